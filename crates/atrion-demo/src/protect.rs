//! The one place where Atrion meets the service.

use atrion_core::flow::Priority;
use atrion_core::units::Volts;
use atrion_engine::{Atrion, Outcome};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use crate::service::PATH;

/// What stands before the service.
pub(crate) enum Protection {
    /// Nothing.
    Off,
    /// Atrion with its default configuration.
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

    /// The service behind this protection.
    pub(crate) fn apply(&self, router: Router) -> Router {
        match self {
            Self::Off => router,
            Self::On(atrion) => {
                let route = atrion.route(PATH);
                router.layer(middleware::from_fn(move |request: Request, next: Next| {
                    let route = route.clone();
                    async move { guarded(&route, request, next).await }
                }))
            }
        }
    }

    /// What a request without any voltage would have to overcome now.
    pub(crate) fn resistance_ohms(&self) -> Option<f64> {
        match self {
            Self::Off => None,
            Self::On(atrion) => Some(atrion.route(PATH).explain(Volts::ZERO).parts.total()),
        }
    }
}

async fn guarded(route: &atrion_engine::Route, request: Request, next: Next) -> Response {
    let header = request.headers().get("x-atrion-voltage");
    let volts = header
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .and_then(|volts| Volts::try_new(volts).ok())
        .unwrap_or_else(|| Priority::Normal.into());
    match route.admit_owned(volts) {
        Ok(permit) => {
            let response = next.run(request).await;
            let failed = response.status().is_server_error();
            permit.record(&if failed { Outcome::Failure } else { Outcome::Success });
            response
        }
        Err(shed) => {
            let seconds = shed.retry_after().as_secs_f64().ceil();
            let headers = [("retry-after", format!("{seconds:.0}"))];
            (StatusCode::SERVICE_UNAVAILABLE, headers, shed.to_string()).into_response()
        }
    }
}
