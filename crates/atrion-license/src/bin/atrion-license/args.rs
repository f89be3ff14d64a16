//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use atrion_license::{Identifier, Tier, WallTime};
use lexopt::{Arg, Parser, ValueExt as _};

pub(crate) const HELP: &str = "\
Licence keys of Atrion.

Usage: atrion-license COMMAND

  keygen --out DIR [--id ID]
      make a key pair: DIR/ID.key, which stays secret, and DIR/ID.pub, which goes into the product
  issue --key FILE --tier TIER --licensee NAME --days N [--clusters N] [--not-before DATE]
        [--licence ID]
      print a licence key signed with the private key FILE; TIER is starter, pro or enterprise,
      DATE has the form 2027-03-01
  dev [--days N] [--licensee NAME]
      print a development key: no production, 3 nodes, 30 days at most; anybody may make one
  inspect [KEY | FILE | -]
      show what a key says, whoever signed it
  verify [KEY | FILE | -] [--keys FILE]
      check a key with the public keys of this version, or with those of FILE
  help
      this text

inspect and verify read the key from the argument, a file, the standard input (-), or, without
any, from ATRION_LICENSE_KEY.

Exit status: 0 done, and for verify: the licence works; 1 it does not, or something failed;
2 the command line makes no sense.
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Keygen { out: PathBuf, id: Option<Identifier> },
    Issue(IssueArgs),
    Dev { days: u32, licensee: String },
    Inspect(Input),
    Verify { input: Input, keys: Option<PathBuf> },
    Help,
}

/// What a licence shall say, and who signs it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IssueArgs {
    pub(crate) key: PathBuf,
    pub(crate) tier: Tier,
    pub(crate) licensee: String,
    pub(crate) days: u32,
    pub(crate) clusters: Option<u32>,
    pub(crate) not_before: Option<WallTime>,
    pub(crate) licence: Option<Identifier>,
}

/// Where a key is to be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Environment,
    Stdin,
    Key(String),
    File(PathBuf),
}

/// Everything that any command takes; each command then picks its own.
#[derive(Default)]
struct Options {
    out: Option<PathBuf>,
    id: Option<Identifier>,
    key: Option<PathBuf>,
    keys: Option<PathBuf>,
    tier: Option<Tier>,
    licensee: Option<String>,
    days: Option<u32>,
    clusters: Option<u32>,
    not_before: Option<WallTime>,
    licence: Option<Identifier>,
    input: Option<OsString>,
}

/// Parses the arguments after the program's name; the error is a sentence for the user.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut parser = Parser::from_args(args);
    let name = match parser.next().map_err(|e| e.to_string())? {
        None | Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Command::Help),
        Some(Arg::Value(name)) => name.to_string_lossy().into_owned(),
        Some(other) => return Err(other.unexpected().to_string()),
    };
    let allowed: &[&str] = match name.as_str() {
        "help" => &[],
        "keygen" => &["out", "id"],
        "issue" => &["key", "tier", "licensee", "days", "clusters", "not-before", "licence"],
        "dev" => &["days", "licensee"],
        "inspect" => &["the key"],
        "verify" => &["the key", "keys"],
        unknown => return Err(format!("there is no command `{unknown}`")),
    };
    let Some(options) = options(&mut parser, allowed).map_err(|e| e.to_string())? else {
        return Ok(Command::Help);
    };
    command(&name, options)
}

fn options(parser: &mut Parser, allowed: &[&str]) -> Result<Option<Options>, lexopt::Error> {
    let mut found = Options::default();
    while let Some(arg) = parser.next()? {
        let name = match &arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long(name) if allowed.contains(name) => (*name).to_owned(),
            Arg::Value(_) if allowed.contains(&"the key") && found.input.is_none() => String::new(),
            _ => return Err(arg.unexpected()),
        };
        if let Arg::Value(value) = arg {
            found.input = Some(value);
            continue;
        }
        let value = parser.value()?;
        match name.as_str() {
            "out" => found.out = Some(value.into()),
            "id" => found.id = Some(value.parse()?),
            "key" => found.key = Some(value.into()),
            "keys" => found.keys = Some(value.into()),
            "tier" => found.tier = Some(value.parse()?),
            "licensee" => found.licensee = Some(value.string()?),
            "days" => found.days = Some(value.parse()?),
            "clusters" => found.clusters = Some(value.parse()?),
            "not-before" => found.not_before = Some(value.parse()?),
            _ => found.licence = Some(value.parse()?),
        }
    }
    Ok(Some(found))
}

fn command(name: &str, options: Options) -> Result<Command, String> {
    let needs = |what: &str| format!("`{name}` needs `{what}`");
    Ok(match name {
        "keygen" => {
            Command::Keygen { out: options.out.ok_or_else(|| needs("--out"))?, id: options.id }
        }
        "issue" => Command::Issue(IssueArgs {
            key: options.key.ok_or_else(|| needs("--key"))?,
            tier: options.tier.ok_or_else(|| needs("--tier"))?,
            licensee: options.licensee.ok_or_else(|| needs("--licensee"))?,
            days: options.days.ok_or_else(|| needs("--days"))?,
            clusters: options.clusters,
            not_before: options.not_before,
            licence: options.licence,
        }),
        "dev" => Command::Dev {
            days: options.days.unwrap_or(atrion_license::DEV_DAYS),
            licensee: options.licensee.unwrap_or_else(|| "a developer".to_owned()),
        },
        "inspect" => Command::Inspect(input(options.input)),
        "verify" => Command::Verify { input: input(options.input), keys: options.keys },
        _ => Command::Help,
    })
}

fn input(value: Option<OsString>) -> Input {
    let Some(value) = value else { return Input::Environment };
    match value.to_str() {
        Some("-") => Input::Stdin,
        Some(text) if text.is_empty() || text.starts_with(atrion_license::format::PREFIX) => {
            Input::Key(text.to_owned())
        }
        _ => Input::File(value.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn each_command_is_understood() {
        for help in ["", "help", "-h", "--help", "issue --help"] {
            assert_eq!(parsed(help), Ok(Command::Help), "{help}");
        }
        let keygen = Command::Keygen { out: "d".into(), id: Some("a".parse().unwrap()) };
        assert_eq!(parsed("keygen --out d --id=a"), Ok(keygen));
        let dev = Command::Dev { days: 7, licensee: "a developer".to_owned() };
        assert_eq!(parsed("dev --days 7"), Ok(dev));
        let issue = "issue --key k --tier pro --licensee Ada --days 9 --not-before 2027-03-01";
        assert!(matches!(parsed(issue), Ok(Command::Issue(args)) if args.tier == Tier::Pro));
    }

    #[test]
    fn a_key_is_told_from_a_file() {
        let read = |line: &str| match parsed(line) {
            Ok(Command::Inspect(input)) => input,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(read("inspect"), Input::Environment);
        assert_eq!(read("inspect -"), Input::Stdin);
        assert_eq!(read("inspect atrion_x"), Input::Key("atrion_x".to_owned()));
        assert_eq!(read("inspect ./atrion_x"), Input::File("./atrion_x".into()));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (line, named) in [
            ("mint", "mint"),
            ("--quick", "quick"),
            ("keygen", "--out"),
            ("keygen --out d --days 3", "days"),
            ("keygen --out d --id A", "A"),
            ("issue --tier pro --licensee A --days 3", "--key"),
            ("issue --key k --tier gold --licensee A --days 3", "gold"),
            ("issue --key k --tier pro --licensee A --days -3", "-3"),
            ("issue --key k --tier pro --licensee A --days 3 --not-before soon", "soon"),
            ("dev extra", "extra"),
            ("inspect a b", "b"),
        ] {
            let why = parsed(line).expect_err(line);
            assert!(why.contains(named), "{line}: {why}");
        }
    }
}
