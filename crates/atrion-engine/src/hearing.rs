//! What the cluster says about one route, node by node, for people to look at.

use std::sync::Arc;

use atrion_core::law::Word;
use atrion_core::merge::Report;
use atrion_core::units::{Evidence, Ohms, UnitInterval};
use atrion_state::peers::NodeId;
use atrion_state::provider::StateProvider;

use crate::instance::Atrion;
use crate::neighbours::Neighbours;

/// What one other node says about a route.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Voice {
    /// Who says it.
    pub node: NodeId,
    /// What it said last, aged to now.
    pub report: Report,
    /// The scar that it votes for, healed to now; `None` if its evidence has no vote (any more).
    pub vote: Option<Ohms>,
}

/// What is said about a route, and what this node makes of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hearing {
    /// The weight that the cluster's word was given.
    pub gamma: UnitInterval,
    /// This node's own scar.
    pub own_scar: Ohms,
    /// The evidence behind it.
    pub own_evidence: Evidence,
    /// Whether that is enough for a vote.
    pub own_votes: bool,
    /// All words together, as of now.
    pub word: Word,
    /// The share of the own scar in the blended one, 0 to 1.
    pub own_share: f64,
    /// What the others' words add to the resistance, in ohms, as it acts now.
    pub added_ohms: f64,
    /// Whether the route is held back because of it.
    pub held: bool,
    /// The other nodes' words, if the provider can tell who said what.
    pub voices: Vec<Voice>,
}

impl Atrion {
    /// What other nodes say about this route, and what this node makes of it. `None` without a
    /// provider that can tell nodes apart, and for a route that does not exist or is at rest.
    ///
    /// For people to look at: takes locks for a moment, changes nothing.
    pub fn hearing(&self, route: &str) -> Option<Hearing> {
        let instance = self.instance();
        let hub = &instance.hub;
        let neighbours = hub.neighbours.get()?;
        let route = instance.registry.find(route)?;
        let (now, config) = (hub.now(), hub.config.load());
        let law = config.law();
        let rules = law.voting_rules();
        let (own, _) = route.0.cell.vector(now, law);
        let (added_ohms, own_share) = route.0.cell.heeded();
        let voices = neighbours.voices(route.name(), now).into_iter();
        let voices: Vec<Voice> = voices
            .map(|(node, report)| Voice { node, report, vote: rules.vote(&report) })
            .collect();
        let mut reports = Vec::new();
        neighbours.reports(route.name(), now, &mut reports);
        let mut votes = vec![Ohms::ZERO; reports.len() + 1];
        let own_word = atrion_core::law::OwnWord {
            scar: own.scar_tissue,
            evidence: own.evidence,
            demand: own.demand,
        };
        Some(Hearing {
            gamma: neighbours.gamma(),
            own_scar: own.scar_tissue,
            own_evidence: own.evidence,
            own_votes: own.evidence >= rules.evidence_min,
            word: Word::gather(&reports, &own_word, &mut votes, law),
            own_share,
            added_ohms,
            held: route.is_held(),
            voices,
        })
    }

    /// The names of the routes of this instance that another node complains about, whatever this one
    /// makes of it. Empty without a provider that can tell nodes apart.
    pub fn complained_about(&self) -> Vec<Arc<str>> {
        let hub = &self.instance().hub;
        hub.neighbours.get().map(|n| n.complained_about(hub.now())).unwrap_or_default()
    }

    /// The weight that other nodes' words have, as the provider was told; `None` without a provider
    /// that can tell nodes apart.
    pub fn gamma(&self) -> Option<UnitInterval> {
        self.instance().hub.neighbours.get().map(Neighbours::gamma)
    }

    /// What is wrong with the provider's store while [`health`](Self::health) is not
    /// [`Healthy`](atrion_state::provider::Health::Healthy), in one line for people. Never waits.
    pub fn trouble(&self) -> Option<String> {
        self.provider().and_then(StateProvider::trouble)
    }
}
