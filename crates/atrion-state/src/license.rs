//! What the user says about the licence, on its way to the provider that needs one.
//!
//! Nothing here checks anything: keys are verified by the crate `atrion-license`, on behalf of the
//! commercial providers. The free ones ignore what they are given.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::error::Cause;

/// What a missing or invalid licence does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LicensePolicy {
    /// The application starts and runs; what needs the licence keeps to memory, as if its store
    /// were away, and says so.
    #[default]
    Lenient,
    /// Building the instance fails.
    Strict,
}

/// Where the key is.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LicenseSource {
    /// Here.
    Inline(String),
    /// In a file.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

impl fmt::Debug for LicenseSource {
    /// Never shows a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
        }
    }
}

/// The environment variable that is read if the user names no source.
pub const LICENSE_VARIABLE: &str = "ATRION_LICENSE_KEY";

impl Default for LicenseSource {
    /// The variable [`LICENSE_VARIABLE`].
    fn default() -> Self {
        Self::Env(LICENSE_VARIABLE.to_owned())
    }
}

impl From<&str> for LicenseSource {
    fn from(key: &str) -> Self {
        Self::Inline(key.to_owned())
    }
}

impl From<String> for LicenseSource {
    fn from(key: String) -> Self {
        Self::Inline(key)
    }
}

/// As environment variables are read: a missing one is an empty key, which is refused as missing.
impl From<Option<String>> for LicenseSource {
    fn from(key: Option<String>) -> Self {
        Self::Inline(key.unwrap_or_default())
    }
}

impl From<Result<String, std::env::VarError>> for LicenseSource {
    fn from(key: Result<String, std::env::VarError>) -> Self {
        key.ok().into()
    }
}

impl From<PathBuf> for LicenseSource {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

/// A key's source and what to do if it is not good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct License {
    /// Where the key is.
    pub source: LicenseSource,
    /// What happens if it is not good.
    pub policy: LicensePolicy,
}

/// How a licence stands, as the provider that needs it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LicenseView {
    /// A stable word: `valid`, `expiring`, `grace`, `expired`, `missing` or `invalid`.
    pub status: &'static str,
    /// The status in a sentence: what it is, and what to do.
    pub message: String,
    /// Days until it ends, or in grace until the grace does; `None` if it does not work.
    pub days_left: Option<u32>,
}

impl LicenseView {
    /// One that stands so.
    pub fn new(status: &'static str, message: impl Into<String>, days_left: Option<u32>) -> Self {
        Self { status, message: message.into(), days_left }
    }
}

/// The licence does not cover what it is needed for, and the policy is strict.
#[derive(Debug, Error)]
#[error("the licence does not cover {feature}")]
pub struct LicenseRefused {
    /// What needs it, such as `cluster`.
    pub feature: &'static str,
    /// What is wrong with it.
    #[source]
    pub source: Cause,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let shown =
            format!("{:?}", License { source: "atrion_ent_secret".into(), ..License::default() });
        assert!(!shown.contains("secret"), "{shown}");
        assert!(format!("{:?}", LicenseSource::default()).contains(LICENSE_VARIABLE));
    }
}
