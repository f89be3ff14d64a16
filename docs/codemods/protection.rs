//! The one instance of this program.
//!
//! Copied here by hand, as the codemods ask. Give the routes names that mean something, and the
//! calls the priority they have; then hand the instance to those who need it and delete this.

use std::sync::OnceLock;

use atrion::{Atrion, Route};

/// The route of this name.
///
/// # Panics
/// Never: an instance without observer and provider always builds.
pub fn route(name: &str) -> Route {
    static ATRION: OnceLock<Atrion> = OnceLock::new();
    ATRION.get_or_init(|| Atrion::builder().build().expect("nothing in it can fail")).route(name)
}
