//! Giving orders and noting what happens.

use std::collections::VecDeque;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep_until, timeout};

use super::clock::SharedClock;
use super::crew::{Crew, Who};
use super::record::{Dead, Phase, Record, Span};
use super::script::Script;
use super::wire::{Deed, Event, Order, Rule, Stats, Target};

/// Requests per second on the everyday route of each node.
const PER_SECOND: f64 = 80.0;
/// A burst of failing requests: so many, so far apart.
const BURST: (u32, u64) = (40, 8);
/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(35);

/// A run that goes on.
pub(crate) struct Show {
    pub(crate) crew: Crew,
    pub(crate) record: Record,
    pub(crate) clock: SharedClock,
    /// Answers that nobody has taken yet.
    answers: VecDeque<(Who, Event)>,
    pub(crate) script: Script,
    pub(crate) rng: StdRng,
}

impl Show {
    /// A run in which nothing has happened.
    pub(crate) fn new(seed: u64, origin: u64, script: Script) -> Self {
        Self {
            crew: Crew::new(seed, origin),
            record: Record::default(),
            clock: SharedClock::new(origin),
            answers: VecDeque::new(),
            script,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    pub(crate) fn begin(&mut self, phase: Phase) {
        println!("  {} ...", phase.title());
        let from = self.clock.nanos();
        self.record.phases.insert(phase, Span { from, to: u64::MAX });
    }

    pub(crate) fn end(&mut self, phase: Phase) {
        let to = self.clock.nanos();
        if let Some(span) = self.record.phases.get_mut(&phase) {
            span.to = to;
        }
    }

    fn note(&mut self, (who, event): (Who, Event)) {
        if let Some(answer) = self.record.note(who, event) {
            self.answers.push_back((who, answer));
        }
    }

    /// Lets time pass, noting what happens.
    pub(crate) async fn pass(&mut self, time: Duration) -> Result<(), String> {
        let end = Instant::now() + time;
        loop {
            tokio::select! {
                event = self.crew.event() => {
                    let event = event?;
                    self.note(event);
                }
                () = sleep_until(end) => return Ok(()),
            }
        }
    }

    /// Lets time pass until the record shows something, or for at most `limit`; whether it does.
    pub(crate) async fn until(
        &mut self,
        limit: Duration,
        shows: impl Fn(&Record) -> bool,
    ) -> Result<bool, String> {
        let end = Instant::now() + limit;
        loop {
            if shows(&self.record) {
                return Ok(true);
            }
            tokio::select! {
                event = self.crew.event() => {
                    let event = event?;
                    self.note(event);
                }
                () = sleep_until(end) => return Ok(false),
            }
        }
    }

    /// Gives an order and waits for its answer.
    pub(crate) async fn ask(&mut self, who: Who, order: Order) -> Result<Event, String> {
        let what = format!("{who:?} did not answer {order:?}");
        self.crew.order(who, order).await?;
        let answer = async {
            loop {
                let place = self.answers.iter().position(|(from, _)| *from == who);
                if let Some((_, answer)) = place.and_then(|place| self.answers.remove(place)) {
                    return Ok(answer);
                }
                let event = self.crew.event().await?;
                self.note(event);
            }
        };
        timeout(PATIENCE, answer).await.unwrap_or(Err(what))
    }

    pub(crate) async fn stats(&mut self, node: usize) -> Result<Stats, String> {
        match self.ask(Who::Node(node), Order::Stats).await? {
            Event::Stats(stats) => Ok(stats),
            other => Err(format!("node {node} said {other:?}")),
        }
    }

    pub(crate) async fn store(&mut self, deed: Deed) -> Result<u64, String> {
        match self.ask(Who::Store, Order::Store { deed }).await? {
            Event::Done { at } => Ok(at),
            other => Err(format!("the store said {other:?}")),
        }
    }

    pub(crate) async fn fail(&mut self, rules: Vec<Rule>) -> Result<Dead, String> {
        match self.ask(Who::Callee, Order::Fail { rules }).await? {
            Event::Dead { at, per_node } => Ok(Dead { at, per_node }),
            other => Err(format!("the dependency said {other:?}")),
        }
    }

    pub(crate) async fn aim(&mut self, nodes: impl Iterator<Item = usize>) -> Result<(), String> {
        let targets: Vec<Target> = nodes.map(|node| self.crew.target(node)).collect();
        self.crew.order(Who::Load, Order::Aim { targets, per_second: PER_SECOND }).await
    }

    pub(crate) async fn burst(&mut self, node: usize, route: String) -> Result<(), String> {
        let (count, gap_ms) = BURST;
        let target = self.crew.target(node);
        self.crew.order(Who::Load, Order::Burst { target, route, count, gap_ms }).await
    }
}
