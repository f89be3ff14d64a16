//! Licence keys of [Atrion](https://docs.rs/atrion)'s commercial parts: checked offline, sending
//! nothing to anybody, and never in the way of the application.
//!
//! | part | what it is |
//! |---|---|
//! | [`format`](mod@format) | the outer form of a key: `atrion_<tier>_<payload>.<signature>` |
//! | [`claims`] | what a licence says |
//! | [`Keyring`] | the public keys, with rotation; [`Keyring::verify`] turns a key into a [`License`] |
//! | [`Status`] | how a licence stands at a time, what to do about it, a word for metrics |
//! | [`ClockGuard`] | notices a clock that is set back |
//! | [`LicenseMonitor`] | the licence of a running program: replaceable, with events to log |
//! | [`LicensePolicy`] | whether a program without a licence may start (by default it may) |
//! | [`KeySource`] | inline, a file, or `ATRION_LICENSE_KEY` |
//! | [`places`] | who has a place under a cluster limit |
//! | `issue` | signing, for the vendor and for development keys (feature `issue`) |
//!
//! ```
//! use atrion_license::{
//!     ClockGuard, Feature, Keyring, KeySource, LicenseMonitor, LicensePolicy, SystemWallClock,
//!     WallClock as _,
//! };
//!
//! let (monitor, events) = LicenseMonitor::start(
//!     Keyring::embedded(),
//!     ClockGuard::new(),
//!     &KeySource::default(), // ATRION_LICENSE_KEY
//!     SystemWallClock.now(),
//! );
//! for event in events {
//!     eprintln!("{:?}: {event}", event.severity());
//! }
//! if monitor.permits(Feature::Cluster) {
//!     // connect to Redis
//! } else {
//!     // work in memory
//! }
//! // From a background loop, about once an hour:
//! let news = monitor.check(SystemWallClock.now());
//! assert!(news.is_empty());
//! # LicensePolicy::Lenient.judge(&monitor.snapshot().status)?;
//! # Ok::<(), atrion_license::StrictRefusal>(())
//! ```
//!
//! # Pure
//!
//! Nothing here reads a clock but [`SystemWallClock`], and nothing reads a file or the environment
//! but [`KeySource::read`]. Time is an argument, and what is to be logged is returned.
//!
//! # Features
//!
//! - `issue`: signing. Off by default, so that no user's build can sign.
//! - `tool`: the program `atrion-license`, the vendor's tool.

pub mod claims;
mod clock;
pub mod error;
pub mod format;
mod guard;
mod identifier;
#[cfg(feature = "issue")]
pub mod issue;
pub mod keyring;
mod monitor;
pub mod places;
mod policy;
mod source;
mod status;
mod tier;
mod time;
mod verify;

pub use claims::Claims;
pub use clock::{ManualWallClock, SystemWallClock, WallClock};
pub use error::{LicenseError, SourceError};
pub use guard::{ClockGuard, ClockReading, SetBack};
pub use identifier::{Identifier, IdentifierError, MAX_IDENTIFIER_BYTES};
pub use keyring::Keyring;
pub use monitor::{Event, LicenseMonitor, ReplaceRefused, Snapshot};
pub use policy::{LicensePolicy, StrictRefusal};
pub use source::{ENV_VAR, KeySource, KeyText};
pub use status::{CLOCK_TOLERANCE_SECS, Severity, Status};
pub use tier::{DEV_DAYS, DEV_NODES, Feature, Tier, TierError};
pub use time::{DAY_SECS, DateError, WallTime};
pub use verify::License;

/// The README's examples, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
