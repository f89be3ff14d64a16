//! Why a licence key is not accepted.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::format::MAX_KEY_BYTES;
use crate::identifier::Identifier;
use crate::tier::{DEV_DAYS, Tier};
use crate::time::WallTime;

/// Why a licence key is not accepted.
///
/// No message repeats the key or a part of its text; the names of signing keys that appear are
/// identifiers of the vendor's. [`LicenseError::code`] is a stable word for metrics.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LicenseError {
    /// The source could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The key has no characters.
    #[error("it is empty")]
    Empty,
    /// The key is longer than [`MAX_KEY_BYTES`].
    #[error("it has {bytes} bytes, a key has at most {MAX_KEY_BYTES}")]
    TooLong {
        /// The length of what was given, in bytes.
        bytes: usize,
    },
    /// There are blanks, line breaks or other characters that no key has.
    #[error(
        "it contains a character that no key has (a blank, a line break, a quote?); copy the key again, as one line"
    )]
    ForeignCharacter,
    /// The shape `atrion_<tier>_<payload>.<signature>` is not there: cut off, or something else.
    #[error("it is no complete licence key: {missing}; copy the key again, as one line")]
    Shape {
        /// What is missing or too much.
        missing: &'static str,
    },
    /// The mark after `atrion_` is no tier.
    #[error("it names a tier that this version does not know; an update of Atrion may know it")]
    UnknownTier,
    /// A part is no base64url in its one canonical form.
    #[error("its {part} is not in canonical base64url; copy the key again, as one line")]
    Encoding {
        /// `payload` or `signature`.
        part: &'static str,
    },
    /// The payload has a format that this version does not know.
    #[error("its format has version {found}, this version of Atrion reads 1; update Atrion")]
    UnsupportedVersion {
        /// The version that the payload says.
        found: u64,
    },
    /// The key was signed by a key that is not in the keyring.
    #[error(
        "it is signed by the key `{id}`, which this version of Atrion does not know; update Atrion or ask for a new licence key"
    )]
    UnknownSigner {
        /// The name of the signing key.
        id: Identifier,
    },
    /// The signing key has been revoked.
    #[error("it is signed by the revoked key `{id}`; ask for a new licence key")]
    RevokedSigner {
        /// The name of the signing key.
        id: Identifier,
    },
    /// The signing key had been retired when the licence was issued.
    #[error(
        "it was issued on {issued} by the key `{id}`, which signs nothing since {since}; ask for a new licence key"
    )]
    RetiredSigner {
        /// The name of the signing key.
        id: Identifier,
        /// When the licence says it was issued.
        issued: WallTime,
        /// From when on the signing key is not accepted.
        since: WallTime,
    },
    /// The signature is not by the named key over this text.
    #[error("its signature does not match: it was changed, or not issued by the vendor")]
    Signature,
    /// The payload is not what this format version prescribes.
    #[error("its payload is not as the format prescribes: {why}")]
    Payload {
        /// What is wrong, without the payload's own words.
        why: &'static str,
    },
    /// One claim lies outside its range.
    #[error("its claim `{field}` is not allowed: {why}")]
    Claim {
        /// The claim.
        field: &'static str,
        /// The rule it breaks.
        why: &'static str,
    },
    /// The mark in front of the key and the claims disagree.
    #[error("it begins as a {mark} key but its claims say {claimed}")]
    TierMismatch {
        /// The tier of the mark.
        mark: Tier,
        /// The tier of the claims.
        claimed: Tier,
    },
    /// The development key signed something else, or another key signed a development licence.
    #[error("the key `{id}` may not sign {tier} licences")]
    WrongSigner {
        /// The name of the signing key.
        id: Identifier,
        /// The tier it signed.
        tier: Tier,
    },
    /// The claims cover more clusters than the tier can.
    #[error("its cluster limit is not one of the tier {tier}")]
    ClusterLimit {
        /// The tier.
        tier: Tier,
    },
    /// A development licence for longer than [`DEV_DAYS`].
    #[error("a development licence lasts at most {DEV_DAYS} days")]
    DevelopmentTerm,
    /// The licence starts in the future.
    #[error("it is valid from {from} on; until then use the one before it")]
    NotYetValid {
        /// When it starts.
        from: WallTime,
    },
    /// The clock reads less than the time the licence was issued.
    #[error(
        "the machine's clock reads {now}, before the licence was issued on {issued}; set the clock"
    )]
    ClockBehind {
        /// What the clock reads.
        now: WallTime,
        /// When the licence was issued.
        issued: WallTime,
    },
}

impl LicenseError {
    /// A stable word for each kind of error, for metrics and programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Empty => "empty",
            Self::TooLong { .. } => "too_long",
            Self::ForeignCharacter => "foreign_character",
            Self::Shape { .. } => "shape",
            Self::UnknownTier => "unknown_tier",
            Self::Encoding { .. } => "encoding",
            Self::UnsupportedVersion { .. } => "unsupported_version",
            Self::UnknownSigner { .. } => "unknown_signer",
            Self::RevokedSigner { .. } => "revoked_signer",
            Self::RetiredSigner { .. } => "retired_signer",
            Self::Signature => "signature",
            Self::Payload { .. } => "payload",
            Self::Claim { .. } => "claim",
            Self::TierMismatch { .. } => "tier_mismatch",
            Self::WrongSigner { .. } => "wrong_signer",
            Self::ClusterLimit { .. } => "cluster_limit",
            Self::DevelopmentTerm => "development_term",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::ClockBehind { .. } => "clock_behind",
        }
    }
}

/// Why a source yields no key. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file cannot be read.
    #[error("the licence file {} cannot be read: {kind}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// The path is a folder, a pipe or a device. Reading one of these might never end.
    #[error("the licence file {} is no ordinary file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is larger than any key; it was not read to its end.
    #[error("the licence file {} has more than the {MAX_KEY_BYTES} bytes of a key", path.display())]
    FileTooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file or variable holds something that is no text.
    #[error("{what} holds something that is no text")]
    NotText {
        /// The file or the variable.
        what: String,
    },
}
