//! One round: a storm, the return of full service, and quiet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::Instant;

use crate::driver::{Stopped, World};
use crate::ledger::Invariant;
use crate::schedule::{Deed, FIXED, Health, NODES, STORM_MILLIS, Step, storm};
use crate::stores::{Act, missing};
use crate::viewers;
use crate::wire::{Heard, Order, Witness, node_name};

/// Full service has to return within this time after the last fault.
pub(crate) const RETURNS_WITHIN: Duration = Duration::from_secs(45);
/// Without load, nothing may be in flight after this.
pub(crate) const EMPTY_WITHIN: Duration = Duration::from_secs(15);
/// In quiet, nodes have to agree within this time,
pub(crate) const AGREE_WITHIN: Duration = Duration::from_secs(10);
/// up to this share and so many ohms: readings are not of the same moment, and a scar heals by a
/// hundredth in a tenth of a second.
const AGREE_SHARE: f64 = 0.1;
const AGREE_OHMS: f64 = 1.0;
/// Connections that nobody uses are closed by then.
const IDLE: Duration = Duration::from_secs(4);
/// Between two looks whether something has come about.
const PAUSE: Duration = Duration::from_millis(300);
/// Routes that fail to be remembered go by this name,
const WITNESSES: &str = "witness/";
/// and come again after so many rounds.
const WITNESS_ROUNDS: u32 = 8;
/// How often a node may fail to have something remembered while everything is well.
const TRIES: usize = 3;
/// What is read back is of the moment of the flush or a little earlier.
const REMEMBERED_SHARE: f64 = 0.5;

impl World {
    /// One round from its storm to its quiet.
    pub(crate) async fn play_round(&mut self, seed: u64) -> Result<(), Stopped> {
        self.board.loading.store(true, Relaxed);
        let begin = Instant::now();
        for step in storm(seed, self.round) {
            let at = begin + Duration::from_millis(step.at_millis.into());
            self.pass(at.saturating_duration_since(Instant::now())).await?;
            self.carry_out(step).await?;
        }
        let end = begin + Duration::from_millis(STORM_MILLIS.into());
        self.pass(end.saturating_duration_since(Instant::now())).await?;
        self.heal().await?;
        self.recover(self.origin.elapsed().as_secs()).await?;
        self.be_quiet().await
    }

    async fn carry_out(&mut self, step: Step) -> Result<(), Stopped> {
        self.figures.note_deed(step.deed);
        match step.deed {
            Deed::KillNode(node) => self.kill_node(node).await,
            Deed::StartNode(node) => self.start_node(node).await?,
            Deed::PauseNode(node) => self.pause(node, true).await?,
            Deed::ContinueNode(node) => self.pause(node, false).await?,
            Deed::KillStore(store) => self.stores.act(store, Act::Kill).await?,
            Deed::StartStore(store) => self.stores.act(store, Act::Start).await?,
            Deed::PauseStore(store) => self.stores.act(store, Act::Pause).await?,
            Deed::ContinueStore(store) => self.stores.act(store, Act::Continue).await?,
            Deed::Dependency(health) => drop(self.board.health.send_replace(health)),
            Deed::Reload { node, preset } => self.tell(node, Order::Reload { preset }).await,
            Deed::ReloadBad(node) => self.tell(node, Order::ReloadBad).await,
            Deed::Force { node, route, open, millis } => {
                self.tell(node, Order::Force { route, open, millis }).await;
            }
            Deed::Reset { node, route } => self.tell(node, Order::Reset { route }).await,
            Deed::Poison { node, seed } => self.tell(node, Order::Poison { seed }).await,
            Deed::GarbageSent { count, seed } => self.stores.send_garbage(count, seed).await?,
            Deed::GarbageStored { seed } => self.stores.store_garbage(seed).await?,
            // New ones come at once.
            Deed::ViewersVanish(node) => self.look_at(node),
            Deed::ViewerStuck { node, millis } => {
                let time = Duration::from_millis(millis.into());
                tokio::spawn(viewers::stuck(Arc::clone(&self.board), node, time));
            }
            Deed::Surge(factor) => self.board.factor.store(factor, Relaxed),
            Deed::KillAfterAcknowledged(node) => {
                let route = format!("{WITNESSES}k{}/{node}", self.round % WITNESS_ROUNDS);
                if let Some(witness) = self.have_remembered(node, &route).await
                    && witness.acknowledged
                {
                    self.acknowledged.insert((node_name(node), route));
                }
                self.kill_node(node).await;
            }
        }
        Ok(())
    }

    async fn tell(&self, node: usize, order: Order) {
        // One that is dead or paused hears nothing.
        drop(self.order(node, &order).await);
    }

    async fn pause(&mut self, node: usize, paused: bool) -> Result<(), Stopped> {
        if let Some(Some(process)) = self.nodes.get_mut(node) {
            process.pause(paused).await?;
        }
        Ok(())
    }

    async fn have_remembered(&self, node: usize, route: &str) -> Option<Witness> {
        self.order(node, &Order::Witness { route: route.to_owned() }).await?.witness
    }

    /// Ends every fault that may still be there.
    async fn heal(&mut self) -> Result<(), Stopped> {
        self.board.health.send_replace(Health::Healthy);
        self.board.factor.store(1, Relaxed);
        let healed = self.stores.heal().await;
        self.board.check(Invariant::NobodyEnds, healed.is_ok(), || {
            format!("a store does not answer: {}", healed.err().unwrap_or_default())
        });
        for node in 0..NODES {
            self.pause(node, false).await?;
            self.start_node(node).await?;
            self.tell(node, Order::Reload { preset: 0 }).await;
        }
        Ok(())
    }

    /// Waits until every node serves fully again and reaches its stores.
    pub(crate) async fn recover(&mut self, since: u64) -> Result<(), Stopped> {
        let begin = Instant::now();
        loop {
            self.pass(PAUSE).await?;
            let states = self.states().await;
            let served = |node| self.board.tallies().full_service(node, since).is_some();
            let lacking: Vec<String> = (0..NODES)
                .filter_map(|node| {
                    let state = states.iter().find(|(of, _)| *of == node).map(|(_, state)| state);
                    let healthy = state.is_some_and(|state| state.healthy);
                    (!served(node) || !healthy).then(|| {
                        let trouble = state.map(|state| (&state.trouble, state.closed_off));
                        format!(
                            "node {node}: served {}, healthy {healthy}, {trouble:?}",
                            served(node)
                        )
                    })
                })
                .collect();
            let took = begin.elapsed();
            if lacking.is_empty() {
                self.board.check(Invariant::FullService, true, String::new);
                self.figures.returns_secs.push(took.as_secs_f64());
                return Ok(());
            }
            if took > RETURNS_WITHIN {
                self.board.violated(
                    Invariant::FullService,
                    format!("round {}, after {took:.1?}: {}", self.round, lacking.join("; ")),
                );
                return Ok(());
            }
        }
    }

    /// No load: what was in flight has to return, what nodes know has to agree, what they were told
    /// to be remembered has to be there.
    async fn be_quiet(&mut self) -> Result<(), Stopped> {
        let begin = Instant::now();
        self.board.loading.store(false, Relaxed);
        self.empty().await?;
        self.pass(IDLE.saturating_sub(begin.elapsed())).await?;
        self.measure_quiet();
        let routes = self.witness().await?;
        self.agree(routes).await?;
        self.read_back().await
    }

    async fn empty(&mut self) -> Result<(), Stopped> {
        let begin = Instant::now();
        loop {
            self.pass(PAUSE).await?;
            let states = self.states().await;
            let under_way = self.board.under_way.load(Relaxed);
            let full: Vec<String> = states
                .iter()
                .filter(|(_, state)| state.in_flight > 0 || state.forced > 0)
                .map(|(node, s)| {
                    format!("node {node}: {} in flight, {} forced", s.in_flight, s.forced)
                })
                .collect();
            if under_way == 0 && full.is_empty() && states.len() == NODES {
                self.board.check(Invariant::InFlightReturns, true, String::new);
                self.board.check(Invariant::OverridesEnd, true, String::new);
                return Ok(());
            }
            if begin.elapsed() > EMPTY_WITHIN {
                let forced = states.iter().any(|(_, state)| state.forced > 0);
                let what =
                    if forced { Invariant::OverridesEnd } else { Invariant::InFlightReturns };
                self.board.violated(
                    what,
                    format!(
                        "round {}: {under_way} requests under way, {} nodes answer; {}",
                        self.round,
                        states.len(),
                        full.join("; ")
                    ),
                );
                return Ok(());
            }
        }
    }

    /// Every node has a route of its own fail, and that remembered.
    async fn witness(&mut self) -> Result<Vec<String>, Stopped> {
        let route = |node: usize| format!("{WITNESSES}{}/{node}", self.round % WITNESS_ROUNDS);
        let mut told: BTreeMap<usize, Witness> = BTreeMap::new();
        for _ in 0..TRIES {
            let answers = self.order_all(|node| Order::Witness { route: route(node) }).await;
            for (node, done) in answers {
                if let Some(witness) = done.witness.filter(|witness| witness.acknowledged) {
                    told.insert(node, witness);
                }
            }
            if told.len() == NODES {
                break;
            }
        }
        let routes: Vec<String> = (0..NODES).map(route).collect();
        self.board.check(Invariant::Remembered, told.len() == NODES, || {
            format!(
                "round {}: only nodes {:?} could have something remembered",
                self.round,
                told.keys()
            )
        });
        let rows = self.stores.remembered(WITNESSES).await?;
        for (node, witness) in told {
            let (name, route) = (node_name(node), routes.get(node).cloned().unwrap_or_default());
            let row = rows.iter().find(|row| row.node == name && row.route == route);
            let holds =
                row.is_some_and(|row| row.scar_ohms >= witness.scar_ohms * REMEMBERED_SHARE);
            self.board.check(Invariant::Remembered, holds, || {
                format!("round {}: {route} of {name}: {witness:?}, stored {row:?}", self.round)
            });
            self.acknowledged.insert((name, route));
        }
        Ok(routes)
    }

    async fn agree(&mut self, mut routes: Vec<String>) -> Result<(), Stopped> {
        routes.extend(FIXED.iter().map(|name| format!("GET /{name}")));
        let begin = Instant::now();
        loop {
            let answers = self.order_all(|_| Order::Hear { routes: routes.clone() }).await;
            let heard: BTreeMap<usize, BTreeMap<String, Heard>> =
                answers.into_iter().map(|(node, done)| (node, done.heard)).collect();
            let found = disagreement(&heard);
            if found.is_none() && heard.len() == NODES {
                self.board.check(Invariant::NodesAgree, true, String::new);
                self.figures.agree_secs.push(begin.elapsed().as_secs_f64());
                return Ok(());
            }
            if begin.elapsed() > AGREE_WITHIN {
                self.board.violated(
                    Invariant::NodesAgree,
                    format!("round {}: {} nodes answer; {found:?}", self.round, heard.len()),
                );
                return Ok(());
            }
            self.pass(PAUSE).await?;
        }
    }

    async fn read_back(&mut self) -> Result<(), Stopped> {
        let rows = self.stores.remembered(WITNESSES).await?;
        let lost = missing(&self.acknowledged, &rows);
        self.board.check(Invariant::Remembered, lost.is_empty(), || {
            format!("round {}: acknowledged and not there: {lost:?}", self.round)
        });
        self.figures.acknowledged = self.acknowledged.len();
        Ok(())
    }
}

/// A scar of which one node does not know what its owner knows, if there is one.
fn disagreement(heard: &BTreeMap<usize, BTreeMap<String, Heard>>) -> Option<String> {
    for (node, known) in heard {
        let name = node_name(*node);
        for (route, own) in known {
            for (other, theirs) in heard.iter().filter(|(other, _)| *other != node) {
                let told = theirs.get(route).and_then(|heard| heard.others.get(&name));
                let told = told.copied().unwrap_or_default();
                let own = own.own_scar_ohms;
                let larger = if own > told { own } else { told };
                if (own - told).abs() > AGREE_OHMS + AGREE_SHARE * larger {
                    return Some(format!(
                        "{route}: {own:.2} ohm at node {node}, node {other} believes {told:.2}"
                    ));
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(own: f64, others: &[(&str, f64)]) -> Heard {
        Heard {
            own_scar_ohms: own,
            others: others.iter().map(|(name, scar)| ((*name).to_owned(), *scar)).collect(),
        }
    }

    fn known(each: [Heard; 2]) -> BTreeMap<usize, BTreeMap<String, Heard>> {
        let of = |heard| BTreeMap::from([("r".to_owned(), heard)]);
        each.into_iter().map(of).enumerate().collect()
    }

    #[test]
    fn nodes_agree_if_each_knows_what_the_others_suffered() {
        let agreeing = known([heard(400.0, &[]), heard(0.0, &[("soak-0", 380.0)])]);
        assert_eq!(disagreement(&agreeing), None);
        let deaf = known([heard(400.0, &[]), heard(0.0, &[])]);
        assert!(disagreement(&deaf).is_some_and(|words| words.contains("node 1 believes 0.00")));
        let late = known([heard(400.0, &[]), heard(0.0, &[("soak-0", 300.0)])]);
        assert!(disagreement(&late).is_some());
        let believing = known([heard(0.0, &[]), heard(0.0, &[("soak-0", 20.0)])]);
        assert!(disagreement(&believing).is_some());
    }

    #[test]
    fn what_has_healed_need_not_be_heard_of() {
        let healed = known([heard(0.9, &[]), heard(0.2, &[])]);
        assert_eq!(disagreement(&healed), None);
    }
}
