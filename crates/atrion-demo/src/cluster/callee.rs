//! The dependency of all nodes: it can be told to fail for one of them, or for all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;

use super::clock::SharedClock;
use super::wire::{Event, Order, Rule, SHOP};
use super::{NODES, orders, tell};
use crate::dependency::listen;

/// How long an answer takes.
const WORK: Duration = Duration::from_millis(5);

struct Shared {
    rules: RwLock<Vec<Rule>>,
    dead: [AtomicU64; NODES],
}

/// Serves until the conductor is gone.
///
/// # Errors
///
/// A sentence if it cannot listen or is given something that is no order of its own.
pub(crate) async fn run(clock: SharedClock) -> Result<(), String> {
    let shared = Arc::new(Shared { rules: RwLock::default(), dead: Default::default() });
    let router =
        Router::new().route("/{node}/{*route}", get(answer)).with_state(Arc::clone(&shared));
    let listener = listen().await?;
    let obey = async {
        let mut orders = orders();
        while let Some(order) = orders.next().await? {
            let Order::Fail { rules } = order else {
                return Err(format!("the dependency cannot {order:?}"));
            };
            *shared.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
            let per_node = shared.dead.iter().map(|dead| dead.load(Ordering::Relaxed)).collect();
            tell(Event::Dead { at: clock.nanos(), per_node });
        }
        Ok(())
    };
    tokio::select! {
        ended = async { axum::serve(listener, router).await } => {
            ended.map_err(|e| format!("cannot serve: {e}"))
        }
        obeyed = obey => obeyed,
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Path((node, route)): Path<(usize, String)>,
) -> Response {
    if shared.fails(node, &route) {
        if route == SHOP
            && let Some(dead) = shared.dead.get(node)
        {
            dead.fetch_add(1, Ordering::Relaxed);
        }
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    tokio::time::sleep(WORK).await;
    "42".into_response()
}

impl Shared {
    fn fails(&self, node: usize, route: &str) -> bool {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.iter().any(|rule| rule.concerns(node, route))
    }
}

impl Rule {
    fn concerns(&self, node: usize, route: &str) -> bool {
        self.route == route && self.node.is_none_or(|only| only == node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fails_for_one_node_or_for_all() {
        let rule = |node| Rule { node, route: SHOP.to_owned() };
        assert!(rule(Some(1)).concerns(1, SHOP) && !rule(Some(1)).concerns(2, SHOP));
        assert!(rule(None).concerns(2, SHOP) && !rule(None).concerns(2, "other"));
    }
}
