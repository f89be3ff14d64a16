//! What the commands share: options that several take, candidates, progress, output.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use atrion_engine::Config;
use atrion_sim::Candidate;
use atrion_sim::draws::Family;
use indicatif::{ProgressBar, ProgressStyle};

use crate::file;

/// Prints; a reader that has heard enough is no error.
pub(crate) fn say(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("nothing can be printed: {e}"))
        }
        _ => Ok(()),
    }
}

/// A bar of `length` steps of one kind, such as `runs`.
pub(crate) fn bar(length: u64, steps: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let template = format!("{{bar:32}} {{pos}}/{{len}} {steps}, {{eta}} left  {{msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

/// Reads a number; `what` says which numbers there are.
pub(crate) fn number<T: FromStr>(option: &str, value: &OsString, what: &str) -> Result<T, String> {
    let shown = value.to_string_lossy();
    shown.parse().map_err(|_| format!("{option} is `{shown}`, which is not {what}"))
}

/// Reads a whole number.
pub(crate) fn whole<T: FromStr>(option: &str, value: &OsString) -> Result<T, String> {
    number(option, value, "a whole number in range")
}

/// The values of an option that takes several, separated by spaces or commas.
pub(crate) fn names(parser: &mut lexopt::Parser) -> Result<Vec<String>, String> {
    let values = parser.values().map_err(|e| e.to_string())?;
    let all: Vec<String> = values.map(|v| v.to_string_lossy().into_owned()).collect();
    let split = all.iter().flat_map(|v| v.split(',')).filter(|n| !n.is_empty());
    Ok(split.map(str::to_owned).collect())
}

/// The engine with the configuration in a TOML file, under the file's name.
pub(crate) fn configured(path: &Path) -> Result<Candidate, String> {
    let text = file::read(path)?;
    let config: Config = toml::from_str(&text)
        .map_err(|e| format!("{}: {}", path.display(), e.to_string().trim()))?;
    let label = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Candidate::with_config(label, config))
}

/// The engine with some numbers of its law changed: `NAME=VALUE`, several separated by commas.
pub(crate) fn with_numbers(text: &str) -> Result<Candidate, String> {
    let mut file = String::from("[law]\n");
    for part in text.split(',') {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| format!("--law is `{text}`, which is not NAME=VALUE[,NAME=VALUE]"))?;
        let (name, value) = (name.trim(), value.trim());
        let value: f64 = value
            .parse()
            .map_err(|_| format!("--law {name} is `{value}`, which is not a number"))?;
        let is_name =
            !name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
        if !is_name {
            return Err(format!("--law names no number in `{part}`"));
        }
        // As a float of TOML, which writes `nan` in small letters.
        let _ = writeln!(file, "{name} = {}", format!("{value:?}").to_lowercase());
    }
    let config: Config =
        toml::from_str(&file).map_err(|e| format!("--law {text}: {}", e.to_string().trim()))?;
    Ok(Candidate::with_config(text, config))
}

/// Files that a command writes at its end, all of them checked before it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) csv: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
}

impl Files {
    pub(crate) fn check(&self) -> Result<(), String> {
        self.csv.iter().chain(&self.json).try_for_each(|path| file::check_writable(path))
    }

    pub(crate) fn write(
        &self,
        csv: impl FnOnce() -> String,
        json: &impl serde::Serialize,
    ) -> Result<(), String> {
        if let Some(path) = &self.csv {
            file::write_whole(path, csv())?;
            say(&format!("wrote {}\n", path.display()))?;
        }
        if let Some(path) = &self.json {
            let text = serde_json::to_string_pretty(json)
                .map_err(|e| format!("the results cannot be written as JSON: {e}"))?;
            file::write_whole(path, &(text + "\n"))?;
            say(&format!("wrote {}\n", path.display()))?;
        }
        Ok(())
    }
}

/// Options as they were given: name and value, in order; a flag's value is empty.
pub(crate) type Given = Vec<(&'static str, OsString)>;

/// Reads options that take a value and flags that take none; `None` is a call for help.
pub(crate) fn read(
    args: impl IntoIterator<Item = OsString>,
    with_value: &[&'static str],
    flags: &[&'static str],
) -> Result<Option<Given>, String> {
    use lexopt::Arg::{Long, Short};
    let mut parser = lexopt::Parser::from_args(args);
    let text = |e: lexopt::Error| e.to_string();
    let mut given = Given::new();
    while let Some(arg) = parser.next().map_err(text)? {
        let name = match arg {
            Short('h') | Long("help") => return Ok(None),
            Long(name) => format!("--{name}"),
            other => return Err(other.unexpected().to_string()),
        };
        if let Some(flag) = flags.iter().find(|f| **f == name) {
            given.push((flag, OsString::new()));
        } else if let Some(option) = with_value.iter().find(|o| **o == name) {
            given.push((option, parser.value().map_err(text)?));
        } else {
            return Err(format!("there is no option {name}"));
        }
    }
    Ok(Some(given))
}

/// The family of this name.
pub(crate) fn family(value: &OsString) -> Result<Family, String> {
    let known = [Family::Training, Family::HeldOut];
    let shown = value.to_string_lossy();
    known
        .into_iter()
        .find(|f| f.name() == shown)
        .ok_or_else(|| format!("--family is `{shown}`, known are training, held-out"))
}

/// `count` seeds from `first` on.
pub(crate) fn seeds(first: u64, count: u64) -> Result<Vec<u64>, String> {
    const MOST_SEEDS: u64 = 10_000;
    if count == 0 || count > MOST_SEEDS {
        return Err(format!("--seeds is {count}, allowed is 1 to {MOST_SEEDS}"));
    }
    let end = first.checked_add(count).ok_or_else(|| format!("--seed is {first}, too large"))?;
    Ok((first..end).collect())
}
