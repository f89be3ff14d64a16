//! Text that must not appear in logs.

use std::fmt;

/// A password. `Debug` shows that there is one and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` to itself.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; only for logging in and for deriving keys.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` without this secret in it.
    pub fn scrub(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "***") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_neither_shown_nor_left_in_a_text() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.scrub("AUTH hunter2 refused"), "AUTH *** refused");
        assert_eq!(secret.scrub("user:hunter2@host"), "user:***@host");
        assert_eq!(Secret::new("").scrub("as it is"), "as it is");
        assert_eq!(secret.reveal(), "hunter2");
    }
}
