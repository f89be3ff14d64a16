//! Files: scenarios in, results out.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[cfg(feature = "cluster")]
use atrion_sim::cluster::{self, ClusterScenario};
use atrion_sim::{Scenario, scenario};

/// A file of this size is neither a scenario nor a configuration.
const MOST_BYTES: u64 = 1 << 20;

/// What can be simulated.
pub(crate) enum Subject {
    /// One node.
    Single(Box<Scenario>),
    /// Several.
    #[cfg(feature = "cluster")]
    Cluster(Box<ClusterScenario>),
}

impl Subject {
    pub(crate) fn to_toml(&self) -> String {
        match self {
            Self::Single(scenario) => scenario.to_toml(),
            #[cfg(feature = "cluster")]
            Self::Cluster(scenario) => scenario.to_toml(),
        }
    }
}

/// The scenario of this name, or in this file.
pub(crate) fn subject(name: &str) -> Result<Subject, String> {
    let is_file = Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
    if is_file {
        return from_text(name, &read(Path::new(name))?);
    }
    #[cfg(feature = "cluster")]
    if cluster::is_cluster(name) {
        let found = cluster::find(name).map_err(|e| e.to_string())?;
        return Ok(Subject::Cluster(Box::new(found)));
    }
    let hint = "; a file's name ends in .toml";
    let found = scenario::find(name).map_err(|e| format!("{e}{hint}"))?;
    Ok(Subject::Single(Box::new(found)))
}

fn from_text(name: &str, text: &str) -> Result<Subject, String> {
    #[cfg(feature = "cluster")]
    if is_cluster(text) {
        let read = ClusterScenario::from_toml(text).map_err(|e| format!("{name}: {e}"))?;
        return Ok(Subject::Cluster(Box::new(read)));
    }
    let read = Scenario::from_toml(text).map_err(|e| format!("{name}: {e}"))?;
    Ok(Subject::Single(Box::new(read)))
}

/// A file that says how many nodes there are is about a cluster.
#[cfg(feature = "cluster")]
fn is_cluster(text: &str) -> bool {
    let head = text.lines().map(str::trim).take_while(|line| !line.starts_with('['));
    head.filter_map(|line| line.split_once('=')).any(|(key, _)| key.trim() == "nodes")
}

/// The text of a file that somebody wrote by hand.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let unreadable =
        |why: &dyn std::fmt::Display| format!("{} cannot be read: {why}", path.display());
    let size = fs::metadata(path).map_err(|e| unreadable(&e))?.len();
    if size > MOST_BYTES {
        return Err(unreadable(&format!("it has {size} bytes, more than {MOST_BYTES}")));
    }
    fs::read_to_string(path).map_err(|e| unreadable(&e))
}

/// Refuses at once what could not be written after a long run.
pub(crate) fn check_writable(path: &Path) -> Result<(), String> {
    let folder = folder_of(path);
    if path.file_name().is_none() || path.is_dir() {
        return Err(format!("{} is no name for a file", path.display()));
    }
    if folder.is_dir() {
        Ok(())
    } else {
        Err(format!(
            "{} cannot be written: there is no folder {}",
            path.display(),
            folder.display()
        ))
    }
}

/// Writes the whole file or nothing: into a neighbour first, which then takes its name.
pub(crate) fn write_whole(path: &Path, content: impl AsRef<[u8]>) -> Result<(), String> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    let part = folder_of(path).join(name);
    let written = fs::File::create(&part)
        .and_then(|mut file| file.write_all(content.as_ref()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&part, path));
    written.map_err(|e| {
        let _ = fs::remove_file(&part);
        format!("{} cannot be written: {e}", path.display())
    })
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
