//! One line of a key file.

use data_encoding::BASE64URL_NOPAD;

use super::{KeyUse, KeyringError, Standing, TrustedKey};
use crate::identifier::Identifier;

const PUBLIC: &str = "atrion-public-key";
#[cfg(feature = "issue")]
const PRIVATE: &str = "atrion-private-key";

/// A line taken apart. The 32 bytes are a public key or a private one, as `kind` says.
pub(crate) struct Line {
    number: usize,
    kind: String,
    id: Identifier,
    key_use: KeyUse,
    bytes: [u8; 32],
    standing: Standing,
}

impl Line {
    /// The lines of a file that hold something.
    pub(crate) fn all(text: &str) -> impl Iterator<Item = Result<Self, KeyringError>> {
        let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let held = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        held.map(|(number, line)| {
            Self::read(number, line).map_err(|why| KeyringError::BadLine { line: number, why })
        })
    }

    fn read(number: usize, line: &str) -> Result<Self, &'static str> {
        let mut words = line.split_ascii_whitespace();
        let mut word = || words.next().unwrap_or_default();
        let kind = word().to_owned();
        let key_use = match word() {
            "vendor" => KeyUse::Vendor,
            "development" => KeyUse::Development,
            _ => return Err("the second word is neither `vendor` nor `development`"),
        };
        let id = word().parse().map_err(|_| "the third word is no identifier")?;
        let key = word();
        let mut bytes = [0; 32];
        // 43 characters are exactly 32 bytes, which is what the buffer has to be.
        if key.len() != 43 || BASE64URL_NOPAD.decode_mut(key.as_bytes(), &mut bytes).is_err() {
            return Err("the key is not 43 characters of canonical base64url");
        }
        let standing = match (word(), word()) {
            ("", "") => Standing::Active,
            ("revoked", "") => Standing::Revoked,
            ("retired", date) => Standing::Retired {
                since: date.parse().map_err(|_| "`retired` needs a date such as 2027-03-01")?,
            },
            _ => return Err("after the key stands neither `revoked` nor `retired DATE`"),
        };
        if words.next().is_some() {
            return Err("there are too many words");
        }
        Ok(Self { number, kind, id, key_use, bytes, standing })
    }

    pub(super) fn into_public(self) -> Result<TrustedKey, KeyringError> {
        if self.kind != PUBLIC {
            let why = "it does not begin with `atrion-public-key`";
            return Err(KeyringError::BadLine { line: self.number, why });
        }
        let key = TrustedKey::new(self.id, self.key_use, &self.bytes)?;
        Ok(key.with_standing(self.standing))
    }

    /// The name, use and seed of a private key.
    #[cfg(feature = "issue")]
    pub(crate) fn into_private(self) -> Result<(Identifier, KeyUse, [u8; 32]), KeyringError> {
        let line = self.number;
        if self.kind != PRIVATE {
            let why = "it does not begin with `atrion-private-key`";
            return Err(KeyringError::BadLine { line, why });
        }
        if self.standing != Standing::Active {
            let why = "a private key has no standing";
            return Err(KeyringError::BadLine { line, why });
        }
        Ok((self.id, self.key_use, self.bytes))
    }

    /// The line of a public key that is active.
    #[cfg(feature = "issue")]
    pub(crate) fn write_public(id: &Identifier, key_use: KeyUse, bytes: &[u8; 32]) -> String {
        write(PUBLIC, id, key_use, bytes)
    }

    /// The line of a private key.
    #[cfg(feature = "issue")]
    pub(crate) fn write_private(id: &Identifier, key_use: KeyUse, bytes: &[u8; 32]) -> String {
        write(PRIVATE, id, key_use, bytes)
    }
}

#[cfg(feature = "issue")]
fn write(kind: &str, id: &Identifier, key_use: KeyUse, bytes: &[u8; 32]) -> String {
    let key_use = match key_use {
        KeyUse::Vendor => "vendor",
        KeyUse::Development => "development",
    };
    format!("{kind} {key_use} {id} {}\n", BASE64URL_NOPAD.encode(bytes))
}
