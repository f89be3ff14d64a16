//! What Atrion's commercial parts have in common.
//!
//! Nobody uses this crate directly: it comes with `atrion-cluster`, `atrion-postgres` and
//! `atrion-studio`, and changes with them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`gate`] | the licence of one part: taken, replaced, looked at now and then |
//! | [`names`] | what nodes are called if nobody says |
//! | [`secret`] | text that must not appear in logs |
//! | [`tls`] | whom encrypted connections trust, and what they show |
//! | [`runtime`] | a tokio runtime for programs that have none |
//! | `test_util` | development keys, for tests (feature `test-util`) |
//!
//! Commercial: see `LICENSE-COMMERCIAL`. Evaluation and development are free.

pub mod gate;
pub mod names;
pub mod runtime;
pub mod secret;
#[cfg(feature = "test-util")]
pub mod test_util;
pub mod tls;
