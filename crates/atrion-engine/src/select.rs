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
    let candidates: Vec<Candidate> = routes
        .iter()
        .map(|route| Candidate { resistance: route.resistance(), open: !route.would_flow(volts) })
        .collect();
    let draw = UnitInterval::try_new(draw)?;
    Ok(choose(&candidates, beta_per_ohm, draw)?.and_then(|index| routes.get(index)))
}
