//! Where a key comes from.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::error::{LicenseError, SourceError};
use crate::format::MAX_KEY_BYTES;

/// The environment variable that holds the key by default.
pub const ENV_VAR: &str = "ATRION_LICENSE_KEY";

/// Where a key comes from. The default is the environment variable [`ENV_VAR`].
///
/// Its `Debug` output never holds the key.
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The key itself. A blank one counts as not set, as of an environment variable that the caller
    /// has read.
    Inline(String),
    /// A file that holds the key and nothing else. Blanks and line breaks around the key are left
    /// out, as editors and secret stores add them.
    File(PathBuf),
    /// An environment variable. One that is empty counts as not set.
    Env(String),
}

impl Default for KeySource {
    fn default() -> Self {
        Self::Env(ENV_VAR.to_owned())
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(key) => write!(f, "Inline({} bytes)", key.len()),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
        }
    }
}

/// The text of a key. Its `Debug` output does not hold it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

impl KeyText {
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyText({} bytes)", self.0.len())
    }
}

impl KeySource {
    /// Reads the key; none if the environment variable is not set.
    ///
    /// Reads at most one byte more than a key can have, from an ordinary file, so it neither
    /// waits nor fills the memory. It is blocking file access all the same: read at start, and in
    /// the background later.
    ///
    /// # Errors
    ///
    /// [`LicenseError::Source`] if the source cannot be read; [`LicenseError::TooLong`] for a
    /// variable or text longer than any key.
    pub fn read(&self) -> Result<Option<KeyText>, LicenseError> {
        let text = match self {
            Self::Inline(key) if key.trim_ascii().is_empty() => None,
            Self::Inline(key) => Some(fitting(key)?.to_owned()),
            Self::File(path) => Some(read_file(path)?),
            Self::Env(name) => from_env(name, env::var_os(name))?,
        };
        if let Some(text) = &text {
            fitting(text)?;
        }
        Ok(text.map(KeyText))
    }
}

fn fitting(text: &str) -> Result<&str, LicenseError> {
    if text.len() > MAX_KEY_BYTES {
        return Err(LicenseError::TooLong { bytes: text.len() });
    }
    Ok(text)
}

fn from_env(name: &str, value: Option<OsString>) -> Result<Option<String>, SourceError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let not_text = |_| SourceError::NotText { what: format!("the environment variable {name}") };
    value.into_string().map(Some).map_err(not_text)
}

fn read_file(path: &Path) -> Result<String, SourceError> {
    let failed = |e: std::io::Error| SourceError::File { path: path.to_owned(), kind: e.kind() };
    // Before opening it: opening a pipe waits for somebody who writes.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(SourceError::NotAFile { path: path.to_owned() });
    }
    let limit = u64::try_from(MAX_KEY_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_KEY_BYTES {
        return Err(SourceError::FileTooLong { path: path.to_owned() });
    }
    let not_text = |_| SourceError::NotText { what: format!("the file {}", path.display()) };
    let text = String::from_utf8(bytes).map_err(not_text)?;
    Ok(text.trim_ascii().to_owned())
}

#[cfg(test)]
#[path = "source/tests.rs"]
mod tests;
