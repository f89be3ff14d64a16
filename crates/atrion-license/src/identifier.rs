//! Names of signing keys and of licences.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest identifier, in bytes.
pub const MAX_IDENTIFIER_BYTES: usize = 64;

/// The name of a signing key or of a licence: 1 to [`MAX_IDENTIFIER_BYTES`] lower-case letters,
/// digits and hyphens, neither first nor last a hyphen.
///
/// Nothing in it needs quoting in a file name, a log or a key of Redis.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(Box<str>);

impl Identifier {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn fits(text: &str) -> bool {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=MAX_IDENTIFIER_BYTES).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-')
    }
}

/// A text that is no [`Identifier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "an identifier has 1 to {MAX_IDENTIFIER_BYTES} lower-case letters, digits and inner hyphens"
)]
pub struct IdentifierError;

impl FromStr for Identifier {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        if Self::fits(text) { Ok(Self(text.into())) } else { Err(IdentifierError) }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_identifiers() {
        for good in ["a", "7", "2026-a", "lic-0f", &"x".repeat(64)] {
            assert_eq!(good.parse::<Identifier>().map(|i| i.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "-", "-a", "a-", "A", "a b", "a\n", "ä", "a/b", "a_b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Identifier>(), Err(IdentifierError), "{bad:?}");
        }
    }
}
