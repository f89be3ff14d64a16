//! The one place where Atrion meets the service.

use atrion_core::units::Volts;
use atrion_engine::Atrion;
use atrion_tower::AtrionLayer;
use axum::Router;

/// What stands before the service.
pub(crate) enum Protection {
    /// Nothing.
    Off,
    /// Atrion as it comes: the default configuration, nothing tuned for this service.
    On(Atrion),
}

impl Protection {
    /// # Errors
    ///
    /// A sentence if Atrion cannot be built.
    pub(crate) fn new(protected: bool, seed: u64) -> Result<Self, String> {
        if !protected {
            return Ok(Self::Off);
        }
        let atrion = Atrion::builder().seed(seed).build();
        atrion.map(Self::On).map_err(|e| format!("Atrion cannot be built: {e}"))
    }

    /// The service behind this protection. The generator may say what its requests are worth;
    /// a service open to the world would not believe everybody.
    pub(crate) fn apply(&self, router: Router) -> Router {
        match self {
            Self::Off => router,
            Self::On(atrion) => router.layer(AtrionLayer::server(atrion).trust_headers(|_| true)),
        }
    }

    /// What a request would have to overcome now, on the route that resists most.
    pub(crate) fn resistance_ohms(&self) -> Option<f64> {
        let Self::On(atrion) = self else { return None };
        let ohms = |route: &atrion_engine::Route| route.explain(Volts::ZERO).parts.total();
        atrion.routes().iter().map(ohms).max_by(f64::total_cmp)
    }
}
