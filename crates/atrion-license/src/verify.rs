//! From a key to a licence: signature first, then what it says.

use ed25519_dalek::Signature;

use crate::claims::{self, Claims};
use crate::error::LicenseError;
use crate::format;
use crate::keyring::{KeyUse, Keyring, Standing, TrustedKey};
use crate::places::{Admission, Registration, admission};
use crate::status::Status;
use crate::tier::{Feature, Tier};
use crate::time::WallTime;

/// A licence whose signature and claims have been checked. Whether it is valid *now* is
/// [`License::status_at`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    claims: Claims,
}

impl License {
    /// What it says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// How it stands at `now`.
    pub fn status_at(&self, now: WallTime) -> Status {
        Status::of(&self.claims, now)
    }

    /// Whether its tier includes `feature`, whatever the time.
    pub fn includes(&self, feature: Feature) -> bool {
        self.claims.tier.includes(feature)
    }

    /// Whether the production cluster `own` has a place among those registered under this
    /// licence; see [`admission`].
    pub fn admit_cluster(&self, registered: &[Registration], own: &str) -> Admission {
        admission(registered, own, self.claims.cluster_limit())
    }

    /// Whether the node `own` has a place among those registered in its cluster; see
    /// [`admission`].
    pub fn admit_node(&self, registered: &[Registration], own: &str) -> Admission {
        admission(registered, own, self.claims.node_limit())
    }
}

impl Keyring {
    /// Checks a key: its form, its signature by a key of this ring, and its claims.
    ///
    /// The time plays no part; a licence that ended long ago verifies, and its
    /// [`status`](License::status_at) says that it ended. Memory is bounded by the length of the
    /// key, and nothing is allocated for one longer than
    /// [`MAX_KEY_BYTES`](crate::format::MAX_KEY_BYTES).
    ///
    /// # Errors
    ///
    /// [`LicenseError`] for the first thing that is wrong. No message repeats the key.
    ///
    /// ```
    /// use atrion_license::Keyring;
    ///
    /// let why = Keyring::embedded().verify("atrion_pro_e30.AAAA").unwrap_err();
    /// assert_eq!(why.code(), "shape");
    /// ```
    pub fn verify(&self, key: &str) -> Result<License, LicenseError> {
        let parts = format::split(key)?;
        let id = claims::signer(&parts.payload)?;
        let Some(trusted) = self.find(&id) else {
            return Err(LicenseError::UnknownSigner { id });
        };
        if trusted.standing() == Standing::Revoked {
            return Err(LicenseError::RevokedSigner { id });
        }
        let signature = Signature::from_bytes(&parts.signature);
        // Strict: refuses what other implementations might accept (keys and points of small
        // order), so that a key is valid everywhere or nowhere.
        trusted
            .verifying
            .verify_strict(&format::message(parts.signed), &signature)
            .map_err(|_| LicenseError::Signature)?;
        let claims = claims::decode(&parts.payload)?;
        if claims.tier != parts.tier {
            return Err(LicenseError::TierMismatch { mark: parts.tier, claimed: claims.tier });
        }
        trusted.may_sign(&claims)?;
        Ok(License { claims })
    }

    /// How `key` stands at `now`: [`Keyring::verify`] and [`License::status_at`] in one.
    pub fn assess(&self, key: &str, now: WallTime) -> Status {
        self.verify(key).map_or_else(Status::Invalid, |licence| licence.status_at(now))
    }
}

impl TrustedKey {
    /// Whether this key may sign such claims.
    pub(crate) fn may_sign(&self, claims: &Claims) -> Result<(), LicenseError> {
        let is_dev = claims.tier == Tier::Development;
        if is_dev != (self.key_use() == KeyUse::Development) {
            return Err(LicenseError::WrongSigner { id: self.id().clone(), tier: claims.tier });
        }
        match self.standing() {
            Standing::Retired { since } if claims.issued >= since => {
                let id = self.id().clone();
                Err(LicenseError::RetiredSigner { id, issued: claims.issued, since })
            }
            _ => Ok(()),
        }
    }
}
