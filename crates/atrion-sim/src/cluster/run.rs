//! One run of a cluster, from its scenario to its report.

use std::collections::BTreeMap;

use atrion_cluster::simulation::Hub;
use atrion_cluster::wire::Codec;
use atrion_core::units::UnitInterval;
use atrion_state::entropy::Draws;

use super::ClusterError;
use super::clock::NodeClock;
use super::converge::Convergence;
use super::net::{Net, Seat, air, secs};
use super::node::{Make, Node};
use super::report::{ClusterReport, gather};
use super::scenario::ClusterScenario;
use super::watch::Watched;
use crate::error::{ScenarioError, check};
use crate::rng::Rng;
use crate::world::Run;

/// The stream of random numbers of hub and network, beside those of the nodes.
const NETWORK: u64 = 1 << 40;
/// The name of the simulated clusters, which goes into how routes and nodes are abbreviated.
const CLUSTER: &str = "default";

/// What the nodes share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sharing {
    /// Nothing: nodes without a provider.
    Alone,
    /// Their scars, with this weight of the others' word.
    Gamma(UnitInterval),
}

impl Sharing {
    /// Sharing with this gamma, 0 to 1.
    ///
    /// # Errors
    /// [`ScenarioError::OutOfRange`] for anything else.
    pub fn gamma(gamma: f64) -> Result<Self, ScenarioError> {
        check(|| "gamma".into(), gamma, "", (0.0, 1.0))?;
        Ok(Self::Gamma(UnitInterval::try_new(gamma).unwrap_or(UnitInterval::ZERO)))
    }
}

impl std::fmt::Display for Sharing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Alone => f.write_str("alone"),
            Self::Gamma(gamma) => write!(f, "gamma {}", gamma.get()),
        }
    }
}

/// Runs `scenario` once. The same seed gives the same report, to the last bit, and the same callers
/// ask at the same moments however much is shared.
///
/// ```
/// use atrion_sim::cluster::{Sharing, find, run};
///
/// let scenario = find("outage@cluster3")?;
/// let alone = run(&scenario, Sharing::Alone, 1)?;
/// let shared = run(&scenario, Sharing::gamma(0.3)?, 1)?;
/// assert!(shared.sent_to_dead < alone.sent_to_dead);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ClusterError`] if an engine or a provider cannot be made.
pub fn run(
    scenario: &ClusterScenario,
    sharing: Sharing,
    seed: u64,
) -> Result<ClusterReport, ClusterError> {
    let mut nodes = Vec::with_capacity(scenario.nodes().len());
    for (id, node) in scenario.nodes().iter().enumerate() {
        let skew = scenario.skews().iter().find(|skew| skew.node as usize == id);
        let make = Make {
            name: format!("node-{id}"),
            routes: node.routes().to_vec(),
            sharing,
            interval: secs(scenario.interval_secs()),
            seed: seed_of(seed, id),
        };
        let watched = Watched::new(node, scenario.acting_secs());
        nodes.push(Node::new(make, NodeClock::new(skew), watched)?);
    }
    let worlds = nodes.iter_mut().zip(scenario.nodes()).enumerate();
    let seats: Vec<Seat<'_>> = worlds
        .map(|(id, (node, own))| Seat {
            run: Run::new(own, node, seed_of(seed, id)),
            timer_at: None,
            lies: None,
        })
        .collect();
    let mut hub = Hub::new(seed, seats.len());
    hub.weather = air(scenario.weather());
    let mut net = Net {
        scenario,
        seats,
        hub,
        agenda: BTreeMap::new(),
        count: 0,
        held_up: Vec::new(),
        draws: Draws::from_seed(Rng::new(seed, NETWORK).next_u64()),
        codec: Codec::new(CLUSTER, None),
        convergence: Convergence::default(),
        failed: None,
    };
    net.begin(sharing, seed);
    net.play();
    if let Some(error) = net.failed.take() {
        return Err(error);
    }
    let Net { seats, hub, convergence, .. } = net;
    let reports = seats.into_iter().map(|seat| seat.run.finish()).collect();
    Ok(gather(scenario, sharing, seed, &nodes, reports, &hub, &convergence))
}

fn seed_of(seed: u64, node: usize) -> u64 {
    Rng::new(seed, node as u64).next_u64()
}
