//! The one place where Atrion, or what it is compared with, meets the service.

use atrion_core::units::Volts;
use atrion_engine::Atrion;
use atrion_tower::AtrionLayer;
use axum::Router;

use crate::guard::Guard;

/// What stands before the service.
pub(crate) enum Protection {
    /// Nothing.
    Off,
    /// Atrion as it comes: the default configuration, nothing tuned for this service.
    On(Atrion),
    /// Another crate.
    #[cfg(feature = "peers")]
    Peer(Guard),
}

impl Protection {
    /// # Errors
    ///
    /// A sentence if Atrion cannot be built, or the other crates are not built in.
    pub(crate) fn new(guard: Guard, seed: u64) -> Result<Self, String> {
        match guard {
            Guard::Nothing => Ok(Self::Off),
            Guard::Atrion => {
                let atrion = Atrion::builder().seed(seed).build();
                atrion.map(Self::On).map_err(|e| format!("Atrion cannot be built: {e}"))
            }
            #[cfg(feature = "peers")]
            peer => Ok(Self::Peer(peer)),
            #[cfg(not(feature = "peers"))]
            peer => Err(format!(
                "`{}` is not built in; `cargo xtask demo --peers` builds it",
                peer.name()
            )),
        }
    }

    /// The service behind this protection. The generator may say what its requests are worth;
    /// a service open to the world would not believe everybody.
    ///
    /// # Errors
    ///
    /// A sentence if another crate refuses its settings.
    pub(crate) fn apply(&self, router: Router) -> Result<Router, String> {
        match self {
            Self::Off => Ok(router),
            Self::On(atrion) => {
                Ok(router.layer(AtrionLayer::server(atrion).trust_headers(|_| true)))
            }
            #[cfg(feature = "peers")]
            Self::Peer(guard) => crate::peers::apply(*guard, router),
        }
    }

    /// What a request would have to overcome now, on the route that resists most.
    pub(crate) fn resistance_ohms(&self) -> Option<f64> {
        let Self::On(atrion) = self else { return None };
        let ohms = |route: &atrion_engine::Route| route.explain(Volts::ZERO).parts.total();
        atrion.routes().iter().map(ohms).max_by(f64::total_cmp)
    }
}
