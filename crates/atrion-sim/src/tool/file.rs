//! Files: scenarios in, results out.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use atrion_sim::{Scenario, scenario};

/// A scenario file of this size is none.
const MOST_BYTES: u64 = 1 << 20;

/// The scenario of this name, or in this file.
pub(crate) fn scenario(name: &str) -> Result<Scenario, String> {
    let is_file = Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
    if !is_file {
        let hint = "; a file's name ends in .toml";
        return scenario::find(name).map_err(|e| format!("{e}{hint}"));
    }
    let unreadable = |why: &dyn std::fmt::Display| format!("{name} cannot be read: {why}");
    let size = fs::metadata(name).map_err(|e| unreadable(&e))?.len();
    if size > MOST_BYTES {
        return Err(unreadable(&format!("it has {size} bytes, more than {MOST_BYTES}")));
    }
    let text = fs::read_to_string(name).map_err(|e| unreadable(&e))?;
    Scenario::from_toml(&text).map_err(|e| format!("{name}: {e}"))
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
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), String> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    let part = folder_of(path).join(name);
    let written = fs::File::create(&part)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
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
