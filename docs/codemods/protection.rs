//! The one instance of this program, and calls in the shape of other breakers.
//!
//! Copied here by hand, as the codemods ask. Give the routes names that mean something, and the
//! calls the priority they have; then call `Route::admit` where you can and delete this.

use std::sync::OnceLock;

use atrion::{Atrion, Priority, Route, Shed};

/// The route of this name.
///
/// # Panics
/// Never: an instance without observer and provider always builds.
pub fn route(name: &str) -> Route {
    static ATRION: OnceLock<Atrion> = OnceLock::new();
    ATRION.get_or_init(|| Atrion::builder().build().expect("nothing in it can fail")).route(name)
}

/// How a protected call can end badly.
#[derive(Debug)]
pub enum Error<E> {
    /// It was made and failed.
    Inner(E),
    /// It was not made; the refusal says why and when to try again.
    Rejected(Shed),
}

/// Makes the call if the route lets it.
///
/// # Errors
/// [`Error`]: refused, or failed.
pub fn call<T, E>(route: &Route, work: impl FnOnce() -> Result<T, E>) -> Result<T, Error<E>> {
    let permit = route.admit(Priority::Normal).map_err(Error::Rejected)?;
    let result = work();
    permit.record(&result);
    result.map_err(Error::Inner)
}

/// Awaits the call if the route lets it. A future that is dropped counts as cancelled.
///
/// # Errors
/// [`Error`]: refused, or failed.
pub async fn call_async<T, E>(
    route: &Route,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Error<E>> {
    let permit = route.admit(Priority::Normal).map_err(Error::Rejected)?;
    let result = work.await;
    permit.record(&result);
    result.map_err(Error::Inner)
}
