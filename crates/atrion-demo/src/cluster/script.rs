//! What happens when, and on which routes.

use std::time::Duration;

use super::record::Phase;
use super::wire::{Deed, Rule, SHOP};
use super::{NODES, SHARED};

/// How long everything takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// Routes that fail for one node first.
    pub(crate) warnings: usize,
    pub(crate) outage: Duration,
    pub(crate) recovery: Duration,
    pub(crate) calm: Duration,
    pub(crate) killed: Duration,
    pub(crate) hung: Duration,
    pub(crate) parted: Duration,
    /// What a new lie costs, it costs in its first tenth of a second, until each node has seen for
    /// itself; so the share depends on this.
    pub(crate) liar: Duration,
}

impl Script {
    pub(crate) const fn new(short: bool) -> Self {
        let ms = Duration::from_millis;
        if short {
            Self {
                warnings: 24,
                outage: ms(5000),
                recovery: ms(3500),
                calm: ms(3000),
                killed: ms(2000),
                hung: ms(2500),
                parted: ms(2500),
                liar: ms(15_000),
            }
        } else {
            Self {
                warnings: 60,
                outage: ms(10_000),
                recovery: ms(4000),
                calm: ms(8000),
                killed: ms(4000),
                hung: ms(5000),
                parted: ms(5000),
                liar: ms(15_000),
            }
        }
    }

    /// How long a fault lasts; a restart lasts as long as Redis needs for it.
    pub(crate) const fn fault(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Killed => self.killed,
            Phase::Hung => self.hung,
            Phase::Parted => self.parted,
            _ => Duration::ZERO,
        }
    }

    /// Every route that a node has from the start.
    pub(crate) fn routes(&self) -> Vec<String> {
        let mut routes = vec![SHOP.to_owned()];
        routes.extend((0..self.warnings).map(warning));
        for fault in Phase::FAULTS {
            routes.extend((0..SHARED).map(|node| marker(fault, node)));
        }
        routes
    }
}

/// What begins and what ends a fault.
pub(crate) const fn deeds(fault: Phase) -> (Option<Deed>, Deed) {
    match fault {
        Phase::Killed => (Some(Deed::Kill), Deed::Restart),
        Phase::Hung => (Some(Deed::Stop), Deed::Continue),
        Phase::Parted => (Some(Deed::Part), Deed::Heal),
        _ => (None, Deed::Restart),
    }
}

/// The route of one warning: it fails for the node [`first_to_fail`] says, and gets no traffic at
/// the others.
pub(crate) fn warning(number: usize) -> String {
    format!("warning/{number}")
}

/// For whom it fails.
pub(crate) const fn first_to_fail(number: usize) -> usize {
    number % SHARED
}

/// The route on which a node learns something new while the link is down. The others get no
/// traffic on it: they know of it only from that node.
pub(crate) fn marker(fault: Phase, node: usize) -> String {
    format!("marker/{}/{node}", fault as u8)
}

/// What fails for a single node: from the start to the end, since nobody else asks for it.
pub(crate) fn single_rules(script: &Script) -> Vec<Rule> {
    let mut rules = Vec::new();
    for number in 0..script.warnings {
        rules.push(Rule { node: Some(first_to_fail(number)), route: warning(number) });
    }
    for fault in Phase::FAULTS {
        for node in 0..SHARED {
            rules.push(Rule { node: Some(node), route: marker(fault, node) });
        }
    }
    rules
}

/// The same, and the everyday route fails for all.
pub(crate) fn outage_rules(script: &Script) -> Vec<Rule> {
    let mut rules = single_rules(script);
    rules.extend((0..NODES).map(|node| Rule { node: Some(node), route: SHOP.to_owned() }));
    rules
}
