//! Choice among routes.

use atrion_core::error::OutOfRange;
use atrion_core::flow::{Candidate, choose};
use atrion_core::units::{UnitInterval, Volts};

use crate::route::Route;

/// A route for a request of `volts`, by softmax of the resistances; see
/// [`Atrion::select_route`](crate::Atrion::select_route).
pub(crate) fn select(
    routes: &[Route],
    volts: Volts,
    beta_per_ohm: f64,
    draw: f64,
) -> Result<Option<&Route>, OutOfRange> {
    // An open route heals by being looked at, and nobody looks at what is never chosen: when its
    // probe is due it is chosen. `admit` sees to it that only one request goes that way.
    for route in routes {
        route.tick_if_due();
        if route.wants_probe() {
            return Ok(Some(route));
        }
    }
    let candidates: Vec<Candidate> = routes
        .iter()
        .map(|route| {
            route.0.cell.avoid();
            Candidate { resistance: route.resistance(), open: !route.would_flow(volts) }
        })
        .collect();
    let draw = UnitInterval::try_new(draw)?;
    Ok(choose(&candidates, beta_per_ohm, draw)?.and_then(|index| routes.get(index)))
}
