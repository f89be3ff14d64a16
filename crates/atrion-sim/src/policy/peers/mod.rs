//! The peers' own crates as policies, driven by simulated time.
//!
//! Nothing is modelled here: each decision is made by the crate that people depend on. What is
//! ours is how it is wired: its clock is moved to simulated time, its results are the simulated
//! service's, and its settings are those that its documentation gives. How, crate for crate, is in
//! `docs/peers.md`.
//!
//! | name | crate | clock |
//! |---|---|---|
//! | `tower` | `tower`: `LoadShed` over `ConcurrencyLimit` | needs none |
//! | `tr-aimd`, `tr-vegas`, `tr-gradient2` | `tower-resilience-adaptive` | reads the machine's; what it measured is replaced |
//! | `cl-aimd`, `cl-vegas` | `congestion-limiter` | tokio's, paused and advanced |
//! | `failsafe` | `failsafe` | its own for tests, frozen at simulated time |
//! | `governor` | `governor` | its `FakeRelativeClock` |
//!
//! `recloser` and the breaker of `tower-resilience` read the machine's clock where they decide, so
//! they cannot be driven. Their rules are restated in [`Recloser`](super::Recloser) and
//! [`TowerBreaker`](super::TowerBreaker), which are compared with the crates call by call.

mod adaptive;
mod congestion;
mod failsafe;
mod governor;
mod stack;
mod tower;

pub use self::adaptive::Adaptive;
pub use self::congestion::Congestion;
pub use self::failsafe::Failsafe;
pub use self::governor::Governor;
pub use self::tower::TowerLimit;

use super::routes::per_route;
use super::{Context, Policy};

/// What a careful operator leaves free: the share of the true capacity that `governor` admits.
const QUOTA_SHARE: f64 = 0.9;

/// The policy of this name, if it is one of the crates here. `number` is what the user wants of
/// `tower` and `governor`; `careful` is the limit of a careful load test.
pub(super) fn make(
    name: &str,
    context: &Context,
    number: Option<u32>,
    careful: u32,
) -> Option<Box<dyn Policy>> {
    let c = context;
    let deadline = c.deadline_secs;
    Some(match name {
        "tower" => per_route(c, |_| TowerLimit::new(number.unwrap_or(careful))),
        "tr-aimd" => per_route(c, |_| Adaptive::aimd(deadline)),
        "tr-vegas" => per_route(c, |_| Adaptive::vegas()),
        "tr-gradient2" => per_route(c, |_| Adaptive::gradient2()),
        "cl-aimd" => per_route(c, |_| Congestion::aimd(deadline)),
        "cl-vegas" => per_route(c, |_| Congestion::vegas(deadline)),
        "failsafe" => per_route(c, |route| Failsafe::new(deadline, c.route_seed(route))),
        "governor" => {
            let per_sec = number.map_or(QUOTA_SHARE * c.parallelism / c.mean_secs, f64::from);
            // A quota is of the service, whichever of its routes is asked for.
            Box::new(Governor::new(per_sec, careful))
        }
        _ => return None,
    })
}
