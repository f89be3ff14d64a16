//! The outer form of a key, and what of it is signed.
//!
//! ```text
//! atrion_<tier>_<payload>.<signature>
//! ```
//!
//! One line of ASCII. `<tier>` is `ent`, `pro`, `str` or `dev`; `<payload>` and `<signature>` are
//! base64url without padding (RFC 4648, section 5), whose unused bits have to be zero, so that
//! there is one text for one content. The signature is Ed25519 over [`DOMAIN`] followed by all
//! that stands before the dot.
//!
//! Nothing is allocated before length and characters have been checked.

use data_encoding::BASE64URL_NOPAD;

use crate::error::LicenseError;
use crate::tier::Tier;

/// The longest key, in bytes. A key of format version 1 has fewer than 1,200.
pub const MAX_KEY_BYTES: usize = 4096;

/// What every key begins with.
pub const PREFIX: &str = "atrion_";

/// What is signed in front of a key's own text, so that a signature made for another purpose can
/// never pass for a licence.
pub const DOMAIN: &[u8] = b"atrion licence key, format 1\0";

/// The bytes of an Ed25519 signature.
const SIGNATURE_BYTES: usize = 64;
/// Their length in base64url.
const SIGNATURE_CHARS: usize = 86;

/// A key taken apart; nothing in it is trusted yet.
#[derive(Debug)]
pub(crate) struct Parts<'k> {
    pub(crate) tier: Tier,
    /// All that stands before the dot.
    pub(crate) signed: &'k str,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: [u8; SIGNATURE_BYTES],
}

/// Takes a key apart without looking at what its payload says.
///
/// Allocates the payload, which is shorter than the key, and only once everything else fits.
///
/// # Errors
///
/// [`LicenseError::Empty`], `TooLong`, `ForeignCharacter`, `Shape`, `UnknownTier` or `Encoding`.
pub(crate) fn split(key: &str) -> Result<Parts<'_>, LicenseError> {
    if key.is_empty() {
        return Err(LicenseError::Empty);
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(LicenseError::TooLong { bytes: key.len() });
    }
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if !key.bytes().all(known) {
        return Err(LicenseError::ForeignCharacter);
    }
    let shape = |missing| LicenseError::Shape { missing };
    let rest = key.strip_prefix(PREFIX).ok_or_else(|| shape("it does not begin with `atrion_`"))?;
    let (mark, rest) = rest.split_once('_').ok_or_else(|| shape("the tier is missing"))?;
    let tier = Tier::ALL.into_iter().find(|tier| tier.mark() == mark);
    let tier = tier.ok_or(LicenseError::UnknownTier)?;
    let (payload, signature) =
        rest.split_once('.').ok_or_else(|| shape("the signature is missing"))?;
    if signature.len() != SIGNATURE_CHARS {
        return Err(shape("the signature does not have its 86 characters"));
    }
    if payload.is_empty() {
        return Err(shape("the payload is missing"));
    }
    let signed = key.get(..key.len() - SIGNATURE_CHARS - 1).unwrap_or_default();
    let mut decoded = [0; SIGNATURE_BYTES];
    match BASE64URL_NOPAD.decode_mut(signature.as_bytes(), &mut decoded) {
        Ok(SIGNATURE_BYTES) => {}
        _ => return Err(LicenseError::Encoding { part: "signature" }),
    }
    let payload = BASE64URL_NOPAD
        .decode(payload.as_bytes())
        .map_err(|_| LicenseError::Encoding { part: "payload" })?;
    Ok(Parts { tier, signed, payload, signature: decoded })
}

/// The bytes that are signed for the text before the dot.
pub(crate) fn message(signed: &str) -> Vec<u8> {
    [DOMAIN, signed.as_bytes()].concat()
}

/// The text before the dot.
#[cfg(feature = "issue")]
pub(crate) fn head(tier: Tier, payload: &[u8]) -> String {
    format!("{PREFIX}{}_{}", tier.mark(), BASE64URL_NOPAD.encode(payload))
}

/// The whole key.
#[cfg(feature = "issue")]
pub(crate) fn join(head: &str, signature: &[u8; SIGNATURE_BYTES]) -> String {
    format!("{head}.{}", BASE64URL_NOPAD.encode(signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(key: &str) -> &'static str {
        split(key).expect_err("refused").code()
    }

    #[test]
    fn a_key_is_taken_apart() {
        let key = format!("atrion_pro_e30.{}", "A".repeat(86));
        let parts = split(&key).unwrap();
        assert_eq!((parts.tier, parts.signed), (Tier::Pro, "atrion_pro_e30"));
        assert_eq!((parts.payload.as_slice(), parts.signature), (&b"{}"[..], [0; 64]));
    }

    #[test]
    fn every_part_has_to_be_there_and_in_its_one_form() {
        let signature = "A".repeat(86);
        let with = |head: &str| code(&format!("{head}.{signature}"));
        assert_eq!(code(""), "empty");
        assert_eq!(code(&"a".repeat(MAX_KEY_BYTES)), "shape");
        assert_eq!(code(&"a".repeat(MAX_KEY_BYTES + 1)), "too_long");
        assert_eq!(with("ATRION_pro_e30"), "shape");
        assert_eq!(with("atrion_pro"), "shape");
        assert_eq!(with("atrion_pro_"), "shape");
        assert_eq!(with("atrion_gold_e30"), "unknown_tier");
        assert_eq!(with("atrion_PRO_e30"), "unknown_tier");
        assert_eq!(with("atrion_pro_e31"), "encoding"); // an unused bit is set
        assert_eq!(with("atrion_pro_e"), "encoding");
        assert_eq!(with("atrion_pro_e30="), "foreign_character");
        assert_eq!(with("atrion_pro_e3+"), "foreign_character");
        assert_eq!(with("atrion_pro_e30 "), "foreign_character");
        assert_eq!(with("atrion_pro_e30."), "shape");
        assert_eq!(code("atrion_pro_e30"), "shape");
        assert_eq!(code(&format!("atrion_pro_e30.{signature}\n")), "foreign_character");
        assert_eq!(code(&format!("atrion_pro_e30.{signature}A")), "shape");
        assert_eq!(code(&format!("atrion_pro_e30.{}B", "A".repeat(85))), "encoding");
    }
}
