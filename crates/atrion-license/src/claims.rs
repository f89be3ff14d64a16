//! What a licence says: the payload of a key.
//!
//! The payload is JSON, so that a customer can read it with any base64 decoder, in one canonical
//! form: the members below in this order, no others, none twice, no blanks, numbers as plain
//! integers.
//!
//! | member | type | rule |
//! |---|---|---|
//! | `v` | integer | the format's version, 1 |
//! | `key` | string | name of the signing key, an [`Identifier`] |
//! | `licence` | string | name of this licence, an [`Identifier`] |
//! | `licensee` | string | 1 to [`MAX_LICENSEE_BYTES`] bytes, no control characters, no outer blanks |
//! | `tier` | string | `dev`, `str`, `pro` or `ent`, as in front of the key |
//! | `clusters` | integer or null | 1 to the tier's limit; null is no limit |
//! | `issued` | integer | seconds since 1970, UTC |
//! | `not_before` | integer | not before `issued` |
//! | `expires` | integer | after `not_before`; the first second that is not covered |
//!
//! A later format has another `v`. It is read first and alone, so a newer key is refused by
//! saying that it is newer and not by a riddle.

use serde::{Deserialize, Serialize};

use crate::error::LicenseError;
use crate::identifier::Identifier;
use crate::tier::{DEV_DAYS, Tier};
use crate::time::{DAY_SECS, WallTime};

/// The format version that this crate writes and reads.
pub const FORMAT_VERSION: u64 = 1;

/// The longest name of a licensee, in bytes of UTF-8.
pub const MAX_LICENSEE_BYTES: usize = 200;

/// What a licence says. Every value obeys the rules of the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub(crate) key_id: Identifier,
    pub(crate) licence_id: Identifier,
    pub(crate) licensee: String,
    pub(crate) tier: Tier,
    pub(crate) clusters: Option<u32>,
    pub(crate) issued: WallTime,
    pub(crate) not_before: WallTime,
    pub(crate) expires: WallTime,
}

impl Claims {
    /// The name of the key that signed the licence.
    pub fn key_id(&self) -> &Identifier {
        &self.key_id
    }

    /// The name of the licence, under which production clusters are registered.
    pub fn licence_id(&self) -> &Identifier {
        &self.licence_id
    }

    /// Who holds the licence.
    pub fn licensee(&self) -> &str {
        &self.licensee
    }

    /// What was bought.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// How many production clusters are covered; none is no limit.
    pub fn cluster_limit(&self) -> Option<u32> {
        self.clusters
    }

    /// How many nodes a cluster may have; none is no limit.
    pub fn node_limit(&self) -> Option<u32> {
        self.tier.max_nodes()
    }

    /// When the licence was issued.
    pub fn issued(&self) -> WallTime {
        self.issued
    }

    /// The first second that is covered.
    pub fn not_before(&self) -> WallTime {
        self.not_before
    }

    /// The first second that is not covered.
    pub fn expires(&self) -> WallTime {
        self.expires
    }

    /// The end of the grace period: the first second at which the licence does not work any more.
    pub fn grace_ends(&self) -> WallTime {
        self.expires.plus_secs(self.tier.grace_secs())
    }

    /// Whether the claims obey the rules that no single type holds.
    pub(crate) fn check(&self) -> Result<(), LicenseError> {
        check_licensee(&self.licensee)?;
        let claim = |field, why| Err(LicenseError::Claim { field, why });
        if self.not_before < self.issued {
            return claim("not_before", "it lies before `issued`");
        }
        if self.expires <= self.not_before {
            return claim("expires", "it does not lie after `not_before`");
        }
        let covered = match (self.clusters, self.tier.max_clusters()) {
            (Some(0), _) | (None, Some(_)) => false,
            // There is no production to count.
            (Some(_), None) => self.tier.is_for_production(),
            (None, None) => true,
            (Some(clusters), Some(max)) => clusters <= max,
        };
        if !covered {
            return Err(LicenseError::ClusterLimit { tier: self.tier });
        }
        let term = self.expires.secs_since(self.issued);
        if self.tier == Tier::Development && term > u64::from(DEV_DAYS) * DAY_SECS {
            return Err(LicenseError::DevelopmentTerm);
        }
        Ok(())
    }
}

fn check_licensee(name: &str) -> Result<(), LicenseError> {
    let claim = |why| Err(LicenseError::Claim { field: "licensee", why });
    if name.is_empty() || name.len() > MAX_LICENSEE_BYTES {
        return claim("it needs 1 to 200 bytes");
    }
    // The name is shown in logs and on pages; these would break a line or turn its order around.
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if name.chars().any(unseen) {
        return claim("it contains control characters");
    }
    if name.trim() != name {
        return claim("it begins or ends with a blank");
    }
    Ok(())
}

/// The payload as JSON has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    v: u64,
    key: String,
    licence: String,
    licensee: String,
    tier: Tier,
    clusters: Option<u32>,
    issued: u64,
    not_before: u64,
    expires: u64,
}

/// The signing key that a payload names, which is all that is read before the signature.
///
/// # Errors
///
/// [`LicenseError::UnsupportedVersion`], or [`LicenseError::Payload`] or
/// [`LicenseError::Claim`] if there is no version or no name.
pub(crate) fn signer(payload: &[u8]) -> Result<Identifier, LicenseError> {
    #[derive(Deserialize)]
    struct Version {
        v: u64,
    }
    #[derive(Deserialize)]
    struct Signer {
        key: String,
    }
    let unreadable = |_| LicenseError::Payload { why: "it is no JSON object with a version" };
    let Version { v } = serde_json::from_slice(payload).map_err(unreadable)?;
    if v != FORMAT_VERSION {
        return Err(LicenseError::UnsupportedVersion { found: v });
    }
    let unnamed = |_| LicenseError::Payload { why: "it names no signing key" };
    let Signer { key } = serde_json::from_slice(payload).map_err(unnamed)?;
    identifier("key", &key)
}

fn identifier(field: &'static str, text: &str) -> Result<Identifier, LicenseError> {
    text.parse().map_err(|_| LicenseError::Claim { field, why: "it is no identifier" })
}

/// Reads a payload whose signature has been checked.
///
/// # Errors
///
/// `UnsupportedVersion`, `Payload`, `Claim`, `ClusterLimit` or `DevelopmentTerm`.
pub(crate) fn decode(payload: &[u8]) -> Result<Claims, LicenseError> {
    let raw: Raw = serde_json::from_slice(payload).map_err(|e| LicenseError::Payload {
        why: match e.classify() {
            serde_json::error::Category::Data => {
                "a member is missing, unknown, doubled or of another type"
            }
            _ => "it is no JSON",
        },
    })?;
    if raw.v != FORMAT_VERSION {
        return Err(LicenseError::UnsupportedVersion { found: raw.v });
    }
    let canonical = serde_json::to_vec(&raw).is_ok_and(|again| again == payload);
    if !canonical {
        return Err(LicenseError::Payload { why: "it is not in canonical form" });
    }
    let time = |field, secs| {
        let why = "it lies after the year 9999";
        WallTime::from_unix_secs(secs).ok_or(LicenseError::Claim { field, why })
    };
    let claims = Claims {
        key_id: identifier("key", &raw.key)?,
        licence_id: identifier("licence", &raw.licence)?,
        licensee: raw.licensee,
        tier: raw.tier,
        clusters: raw.clusters,
        issued: time("issued", raw.issued)?,
        not_before: time("not_before", raw.not_before)?,
        expires: time("expires", raw.expires)?,
    };
    claims.check()?;
    Ok(claims)
}

/// The canonical payload of `claims`.
#[cfg(feature = "issue")]
pub(crate) fn encode(claims: &Claims) -> Result<Vec<u8>, LicenseError> {
    let raw = Raw {
        v: FORMAT_VERSION,
        key: claims.key_id.to_string(),
        licence: claims.licence_id.to_string(),
        licensee: claims.licensee.clone(),
        tier: claims.tier,
        clusters: claims.clusters,
        issued: claims.issued.as_unix_secs(),
        not_before: claims.not_before.as_unix_secs(),
        expires: claims.expires.as_unix_secs(),
    };
    serde_json::to_vec(&raw).map_err(|_| LicenseError::Payload { why: "it cannot be written" })
}

#[cfg(test)]
#[path = "claims/tests.rs"]
mod tests;
