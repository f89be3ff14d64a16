//! How much work a request is.

use crate::machine::Demand;
use crate::rng::Rng;
use crate::scenario::{Scenario, Strain};

/// Draws one request's demand.
pub(crate) fn draw_demand(
    scenario: &Scenario,
    strain: &Strain,
    cost: f64,
    rng: &mut Rng,
) -> Demand {
    let service = scenario.service();
    let waits = service.cpu_share < 1.0;
    let total = cost * service.mean_secs * strain.sampler.draw(rng);
    let (mut cpu, mut wait) = (strain.cpu, strain.wait);
    if let Some((share, factor)) = strain.gray
        && rng.uniform() < share
    {
        if waits {
            wait *= factor;
        } else {
            cpu *= factor;
        }
    }
    let cpu_secs = total * service.cpu_share * cpu;
    Demand {
        cpu_before: if waits { cpu_secs / 2.0 } else { cpu_secs },
        wait: total * (1.0 - service.cpu_share) * wait,
        cpu_after: if waits { cpu_secs / 2.0 } else { 0.0 },
        detached: false,
    }
}
