//! The crates of others before the same service, each as its documentation shows it.

use std::sync::Arc;

use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use congestion_limiter::limiter::{DefaultLimiter, Limiter as _, Outcome};
use http::{StatusCode, header};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::{BoxError, ServiceBuilder};
use tower_resilience_adaptive::{AdaptiveService, Aimd};

use crate::guard::Guard;
use crate::plan::OBJECTIVE;
use crate::service::WORKERS;

/// In flight at most, for who has to be told: half as many more than there are workers, so that
/// none is ever idle.
const CAREFUL_LIMIT: usize = WORKERS + WORKERS / 2;
/// Where `congestion-limiter` begins, as its examples do.
const INITIAL_LIMIT: usize = 10;

type Congestion = DefaultLimiter<congestion_limiter::limits::Aimd>;

/// The router behind one of them.
///
/// # Errors
///
/// A sentence if a crate refuses its settings.
pub(crate) fn apply(guard: Guard, router: Router) -> Result<Router, String> {
    let guarded = match guard {
        Guard::Nothing | Guard::Atrion => router,
        Guard::Limit => router.layer(
            ServiceBuilder::new()
                .layer(HandleErrorLayer::new(refused))
                .layer(LoadShedLayer::new())
                .layer(GlobalConcurrencyLimitLayer::new(CAREFUL_LIMIT)),
        ),
        Guard::ResilienceAimd => {
            let aimd = Aimd::builder().latency_threshold(OBJECTIVE).build();
            let aimd = aimd.map_err(|e| format!("`{}` cannot be built: {e:?}", guard.name()))?;
            let aimd = Arc::new(aimd);
            router.layer(
                ServiceBuilder::new()
                    .layer(HandleErrorLayer::new(refused))
                    .layer(LoadShedLayer::new())
                    .layer_fn(move |inner| AdaptiveService::new(inner, Arc::clone(&aimd))),
            )
        }
        Guard::CongestionAimd => {
            let aimd = congestion_limiter::limits::Aimd::new_with_initial_limit(INITIAL_LIMIT);
            let limiter = Arc::new(DefaultLimiter::new(aimd));
            router.layer(axum::middleware::from_fn_with_state(limiter, congestion))
        }
    };
    Ok(guarded)
}

/// What the caller is told, whoever refuses.
async fn refused(_: BoxError) -> Response {
    refusal()
}

fn refusal() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "refused").into_response()
}

/// A request under `congestion-limiter`: an answer later than the objective is an overload, a quicker
/// failure no sample, as its documentation asks for.
async fn congestion(
    State(limiter): State<Arc<Congestion>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(token) = limiter.try_acquire().await else { return refusal() };
    let began = tokio::time::Instant::now();
    let answer = next.run(request).await;
    let outcome = if began.elapsed() > OBJECTIVE {
        Some(Outcome::Overload)
    } else {
        answer.status().is_success().then_some(Outcome::Success)
    };
    limiter.release(token, outcome).await;
    answer
}
