//! Everything that can be known about a release before it is made. Nothing is published from here.

mod api;
mod changelog;
mod compiler;
mod features;
mod lock;
pub(crate) mod manifests;
mod output;
mod packages;
mod sbom;
mod semver;
mod table;
mod tools;
mod tree;

pub(crate) use api::{WRAPPED_RUSTDOC, as_rustdoc};

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::demo::target_dir;
use crate::manifest::{self, Crate};
use crate::release::changelog::Version;
use crate::release::table::{Outcome, Row};

const USAGE: &str = "\
Usage: cargo xtask release --dry-run [--only STEP[,STEP]..] | --bless-api | --help

  --dry-run    check everything and leave packages, checksums, SBOM and notes in
               target/release-dry-run; publishes nothing
  --only       only these steps, and no files left: tree, changelog, manifests, packages, features,
               api, semver, rust-needed, rust-oldest, lints, licences, advisories, sbom, docs
  --bless-api  write the public interfaces into docs/api as they are now
  --help       this text

docs/release.md says what each step means and what a person does.";

/// What a person does once the dry run is good; see `docs/release.md`.
const BY_HAND: &str = "\
a release is published by a person, not from here. When `cargo xtask release --dry-run` is good:
  1. date the section of CHANGELOG.md, commit, and run the dry run once more
  2. git tag --sign v{version} && git push --follow-tags
  3. cargo publish {packages}
  4. publish notes.md, SHA256SUMS and the SBOM of target/release-dry-run with the tag
docs/release.md says more; `cargo xtask release --help` lists the options";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Mode {
    DryRun { only: Vec<String> },
    BlessApi,
    Publish,
    Help,
}

/// What all steps look at.
pub(crate) struct Release {
    root: PathBuf,
    target: PathBuf,
    /// What becomes the folder of results when all is done.
    staging: PathBuf,
    crates: Vec<Crate>,
    version: Version,
}

impl Release {
    fn new(root: &Path) -> Result<Self, String> {
        let crates = manifest::crates(root)?;
        let facade = crates.iter().find(|c| c.name == "atrion");
        let text = facade.map(|c| c.about.version.clone()).unwrap_or_default();
        let version = Version::parse(&text)
            .ok_or_else(|| format!("the version `{text}` of `atrion` is not three numbers"))?;
        let target = target_dir(root);
        let staging = target.join("release-dry-run.partial");
        Ok(Self { root: root.to_path_buf(), target, staging, crates, version })
    }

    /// The crates that are published, ordered by name.
    fn published(&self) -> impl Iterator<Item = &Crate> {
        self.crates.iter().filter(|c| c.about.published)
    }

    /// `--package NAME` for each crate that is published.
    fn package_args(&self) -> Vec<&str> {
        self.published().flat_map(|c| ["--package", c.name.as_str()]).collect()
    }
}

type Step = fn(&Release) -> Outcome;

/// The steps in their order, by the name that `--only` takes.
const STEPS: [(&str, Step); 14] = [
    ("tree", |r| tree::step(&r.root, r.version)),
    ("changelog", output::notes),
    ("manifests", |r| manifests::step(&r.root, &r.crates)),
    ("packages", packages::step),
    ("features", features::step),
    ("api", api::step),
    ("semver", semver::step),
    ("rust-needed", compiler::needed),
    ("rust-oldest", compiler::oldest),
    ("lints", compiler::lints),
    ("licences", tools::licences),
    ("advisories", tools::advisories),
    ("sbom", sbom::step),
    ("docs", compiler::docs),
];

fn parse(args: &[OsString]) -> Result<Mode, String> {
    let mut parser = lexopt::Parser::from_args(args.iter().cloned());
    let (mut dry_run, mut bless, mut only) = (false, false, None);
    while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
        match arg {
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => return Ok(Mode::Help),
            lexopt::Arg::Long("dry-run") => dry_run = true,
            lexopt::Arg::Long("bless-api") => bless = true,
            lexopt::Arg::Long("only") => {
                let value = parser.value().map_err(|e| e.to_string())?;
                only = Some(steps_named(&value.to_string_lossy())?);
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    match (dry_run, bless, only) {
        (true, true, _) => Err("--dry-run and --bless-api exclude each other".to_owned()),
        (false, _, Some(_)) => Err("--only goes with --dry-run".to_owned()),
        (true, false, only) => Ok(Mode::DryRun { only: only.unwrap_or_default() }),
        (false, true, None) => Ok(Mode::BlessApi),
        (false, false, None) => Ok(Mode::Publish),
    }
}

fn steps_named(list: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = list.split(',').map(str::to_owned).collect();
    let unknown = names.iter().find(|name| STEPS.iter().all(|(step, _)| step != name));
    match unknown {
        None => Ok(names),
        Some(unknown) => {
            let known: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
            Err(format!("there is no step `{unknown}`; the steps are {}", known.join(", ")))
        }
    }
}

/// Runs the command; `false` if a step failed.
///
/// # Errors
///
/// A sentence about a command line that makes no sense, another run at the same time, or a
/// workspace that cannot be read.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<bool, String> {
    let mode = parse(args).map_err(|why| format!("{why}\n\n{USAGE}"))?;
    if mode == Mode::Help {
        println!("{USAGE}");
        return Ok(true);
    }
    let release = Release::new(root)?;
    match mode {
        Mode::Help => Ok(true),
        Mode::Publish => {
            let packages = release.package_args().join(" ");
            let version = release.version.to_string();
            Err(BY_HAND.replace("{version}", &version).replace("{packages}", &packages))
        }
        Mode::BlessApi => {
            let _lock = lock::take(&release.target)?;
            api::bless(&release).map(|()| true)
        }
        Mode::DryRun { only } => {
            let _lock = lock::take(&release.target)?;
            dry_run(&release, &only)
        }
    }
}

/// Runs the steps, all of them even if one fails, and leaves the results if none did.
fn dry_run(release: &Release, only: &[String]) -> Result<bool, String> {
    output::begin(release, only.is_empty())?;
    let chosen = |name: &str| only.is_empty() || only.iter().any(|o| o == name);
    let mut rows: Vec<Row> = Vec::new();
    for (name, step) in STEPS.into_iter().filter(|(name, _)| chosen(name)) {
        println!("\n==> {name}");
        let row = table::timed(name, || step(release));
        println!("    {}", row.outcome.remark().replace('\n', "\n    "));
        if matches!(row.outcome, Outcome::Failed(_)) {
            println!("    again: cargo xtask release --dry-run --only {name}");
        }
        rows.push(row);
    }
    let table = table::table(&rows);
    let good = !table::any_failed(&rows);
    println!("\n{table}");
    if good && only.is_empty() {
        let folder = output::keep(release, &table)?;
        println!("results in {}", folder.display());
    } else {
        output::discard(release);
        println!(
            "no files are left: {}",
            if good { "only some steps ran" } else { "a step failed" }
        );
    }
    println!("{}", table::sentence(&rows));
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Mode, String> {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&args)
    }

    #[test]
    fn without_a_flag_nothing_is_published() {
        assert_eq!(parsed(&[]), Ok(Mode::Publish));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let why = run(root, &[]).expect_err("never published");
        assert!(why.contains("git tag --sign v") && why.contains("--package atrion-core"), "{why}");
        assert!(!why.contains("xtask --package") && !why.contains('{'), "{why}");
    }

    #[test]
    fn flags_are_read() {
        assert_eq!(parsed(&["--dry-run"]), Ok(Mode::DryRun { only: Vec::new() }));
        let only = vec!["api".to_owned(), "sbom".to_owned()];
        assert_eq!(parsed(&["--dry-run", "--only=api,sbom"]), Ok(Mode::DryRun { only }));
        assert_eq!(parsed(&["--bless-api"]), Ok(Mode::BlessApi));
        assert_eq!(parsed(&["--help"]), Ok(Mode::Help));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (words, named) in [
            (&["--dryrun"][..], "--dryrun"),
            (&["now"], "now"),
            (&["--dry-run", "--bless-api"], "exclude"),
            (&["--only", "api"], "--dry-run"),
            (&["--dry-run", "--only", "apis"], "apis"),
            (&["--dry-run", "--only"], "--only"),
        ] {
            let why = parsed(words).expect_err("must be refused");
            assert!(why.contains(named), "{words:?}: {why}");
        }
    }

    #[test]
    fn the_usage_names_every_step() {
        for (name, _) in STEPS {
            let words = USAGE.split([',', ' ', '\n']);
            assert!(words.into_iter().any(|word| word == name), "{name}");
        }
    }
}
