//! The driver: starts everything, keeps house, and ends everything.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use atrion_license::issue::{Issuer, Terms};
use atrion_license::{SystemWallClock, Tier, WallClock as _};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::args::{NodeOptions, Options};
use crate::board::Board;
use crate::client::Client;
use crate::dependency;
use crate::ledger::Invariant;
use crate::load;
use crate::machine;
use crate::memory;
use crate::node_process::{Log, Measured, NodeProcess};
use crate::report::{Figures, NodeFigures, Report, Status};
use crate::schedule::{NODES, WITNESS};
use crate::stores::Stores;
use crate::tally::is_starved;
use crate::viewers::Viewers;
use crate::wire::{Done, Order, State, VIOLATION};

/// Between two looks at everything.
const HOUSEKEEPING: Duration = Duration::from_millis(500);
/// Between two measurements of memory.
const MEASURED_EVERY: Duration = Duration::from_secs(5);
/// No new round begins with less time left.
const WORTH_A_ROUND: Duration = Duration::from_secs(20);
/// How long the answer to an order is waited for.
const ORDER_PATIENCE: Duration = Duration::from_secs(5);
/// More descriptors than a node ever needs, and more threads.
const DESCRIPTORS_MAX: f64 = 512.0;
const THREADS_MAX: f64 = 96.0;
/// By how much they may differ between the first and the last third.
const DESCRIPTORS_SLACK: f64 = 16.0;
const THREADS_SLACK: f64 = 4.0;

/// Why a run ended before its time.
pub(crate) enum Stopped {
    Interrupted,
    Failed(String),
}

impl From<String> for Stopped {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// Everything that runs.
pub(crate) struct World {
    pub(crate) board: Arc<Board>,
    pub(crate) stores: Stores,
    pub(crate) nodes: Vec<Option<NodeProcess>>,
    pub(crate) viewers: Vec<Option<Viewers>>,
    /// What was told to be remembered: of which node, on which route.
    pub(crate) acknowledged: BTreeSet<(String, String)>,
    pub(crate) figures: Figures,
    pub(crate) round: u32,
    pub(crate) origin: Instant,
    logs: Vec<Log>,
    generations: Vec<u32>,
    buried: Vec<(usize, Measured)>,
    loads: Vec<JoinHandle<()>>,
    client: Client,
    license: String,
    dependency: u16,
    seed: u64,
    interrupt: watch::Receiver<bool>,
    folder: PathBuf,
    next_measure: Instant,
    next_minute: u64,
}

/// Runs it, and writes the report whatever happens.
///
/// # Errors
///
/// A sentence if it cannot even start, or the report cannot be written.
pub(crate) async fn run(options: &Options, seed: u64) -> Result<Status, String> {
    let minutes = options.minutes;
    println!(
        "soak of {minutes} min, seed {seed}; again: cargo xtask soak --minutes {minutes} --seed {seed}"
    );
    let interrupt = interrupts();
    let mut world = World::build(seed, interrupt).await?;
    let ended = world.soak(Duration::from_secs(u64::from(minutes) * 60)).await;
    let interrupted = matches!(ended, Err(Stopped::Interrupted));
    if let Err(Stopped::Failed(why)) = ended {
        world.board.violated(Invariant::NobodyEnds, why);
    }
    let folder = world.folder.clone();
    let report = world.end(minutes, interrupted).await;
    print!("\n{}", report.table());
    let (markdown, json) = report.write(&options.out)?;
    println!("\nreport: {} and {}", markdown.display(), json.display());
    if report.status == Status::Violated {
        println!("what the nodes said: {}", folder.display());
        println!("again: cargo xtask soak --minutes {minutes} --seed {seed}");
    } else {
        // What cannot be removed is in the folder for temporary files anyway.
        drop(fs::remove_dir_all(folder));
    }
    Ok(report.status)
}

/// Turns true at Ctrl-C, or at a polite request to end.
fn interrupts() -> watch::Receiver<bool> {
    let (asked, interrupt) = watch::channel(false);
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(_) => drop(tokio::signal::ctrl_c().await),
        }
        println!("\ninterrupted: ending everything");
        asked.send_replace(true);
        // The channel must not close while anybody may still wait for it.
        asked.closed().await;
    });
    interrupt
}

/// A development licence, as `cargo xtask license dev` makes them: anybody may.
fn license() -> Result<String, String> {
    let issuer = Issuer::development().map_err(|e| e.to_string())?;
    let id = "soak".parse().map_err(|e| format!("{e}"))?;
    let terms = Terms::new(Tier::Development, id, "cargo xtask soak", SystemWallClock.now());
    issuer.issue(&terms).map_err(|e| format!("no development licence: {e}"))
}

impl World {
    async fn build(seed: u64, interrupt: watch::Receiver<bool>) -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("atrion-soak-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let board = Arc::new(Board::new());
        let dependency = dependency::serve(&board).await?;
        let log = |index| Log::new(folder.join(format!("node-{index}.log")));
        let now = Instant::now();
        Ok(Self {
            stores: Stores::start().await?,
            nodes: (0..NODES).map(|_| None).collect(),
            viewers: (0..NODES).map(|_| None).collect(),
            acknowledged: BTreeSet::new(),
            figures: Figures::default(),
            round: 0,
            origin: now,
            logs: (0..NODES).map(log).collect(),
            generations: vec![0; NODES],
            buried: Vec::new(),
            loads: Vec::new(),
            client: Client::new(),
            license: license()?,
            dependency,
            seed,
            interrupt,
            next_measure: now,
            next_minute: 1,
            board,
            folder,
        })
    }

    /// Everything, from the first start to the last round.
    async fn soak(&mut self, time: Duration) -> Result<(), Stopped> {
        for node in 0..NODES {
            self.start_node(node).await?;
            self.look_at(node);
        }
        self.origin = Instant::now();
        for node in 0..NODES {
            let run = load::run(Arc::clone(&self.board), node, self.seed, self.origin);
            self.loads.push(tokio::spawn(run));
        }
        // Every route learns its service before anything happens to it.
        self.board.loading.store(true, Relaxed);
        self.recover(self.origin.elapsed().as_secs()).await?;
        loop {
            let left = time.saturating_sub(self.origin.elapsed());
            if self.round > 0 && left < WORTH_A_ROUND {
                self.pass(left).await?;
                return Ok(());
            }
            self.play_round(self.seed).await?;
            self.round += 1;
        }
    }

    /// Starts a node that does not run.
    ///
    /// # Errors
    ///
    /// A sentence if it does not come up.
    pub(crate) async fn start_node(&mut self, node: usize) -> Result<(), Stopped> {
        let (Some(place), Some(log), Some(generation)) =
            (self.nodes.get_mut(node), self.logs.get(node), self.generations.get_mut(node))
        else {
            return Ok(());
        };
        if place.is_some() {
            return Ok(());
        }
        *generation += 1;
        let options = NodeOptions {
            index: node,
            seed: self.seed.wrapping_add(u64::from(*generation)),
            dependency: self.dependency,
            redis: self.stores.redis_port(),
            postgres: self.stores.postgres_url(),
        };
        let process = NodeProcess::start(&options, &self.license, &log.path, *generation).await?;
        self.board.put(node, process.listening.port, process.listening.studio);
        self.figures.starts += 1;
        *place = Some(process);
        Ok(())
    }

    /// Kills a node, if it runs.
    pub(crate) async fn kill_node(&mut self, node: usize) {
        self.keep_watch(node);
        self.board.put(node, 0, 0);
        if let Some(process) = self.nodes.get_mut(node).and_then(Option::take) {
            let measured = process.kill().await;
            self.buried.push((node, measured));
            self.figures.kills += 1;
        }
    }

    /// Lets people look at a node.
    pub(crate) fn look_at(&mut self, node: usize) {
        let viewers = Viewers::of(&self.board, node);
        if let Some(place) = self.viewers.get_mut(node) {
            *place = Some(viewers);
        }
    }

    /// Gives an order to a node; `None` if it does not answer.
    pub(crate) async fn order(&self, node: usize, order: &Order) -> Option<Done> {
        let process = self.nodes.get(node)?.as_ref().filter(|process| !process.paused)?;
        send(&self.client, process.listening.orders, order).await
    }

    /// The same to all that run, at once.
    pub(crate) async fn order_all(&self, order: impl Fn(usize) -> Order) -> Vec<(usize, Done)> {
        let mut sent = JoinSet::new();
        for (node, process) in self.nodes.iter().enumerate() {
            let Some(process) = process.as_ref().filter(|process| !process.paused) else {
                continue;
            };
            let (client, port, order) =
                (self.client.clone(), process.listening.orders, order(node));
            sent.spawn(async move { (node, send(&client, port, &order).await) });
        }
        let answers = sent.join_all().await;
        let mut answers: Vec<(usize, Done)> =
            answers.into_iter().filter_map(|(node, done)| Some((node, done?))).collect();
        answers.sort_by_key(|(node, _)| *node);
        answers
    }

    /// The state of all that answer; what they have counted is added to the book.
    pub(crate) async fn states(&self) -> Vec<(usize, State)> {
        let answers = self.order_all(|_| Order::Look).await;
        let states = answers.into_iter().filter_map(|(node, done)| Some((node, done.state?)));
        let states: Vec<(usize, State)> = states.collect();
        let mut ledger = self.board.ledger();
        for (_, state) in &states {
            ledger.add_checks(&state.ledger);
        }
        states
    }

    /// Lets time pass, keeping house.
    pub(crate) async fn pass(&mut self, time: Duration) -> Result<(), Stopped> {
        let end = Instant::now() + time;
        loop {
            self.keep_house().await;
            let next = (Instant::now() + HOUSEKEEPING).min(end);
            tokio::select! {
                () = sleep_until(next) => {}
                _ = self.interrupt.wait_for(|asked| *asked) => {}
            }
            if *self.interrupt.borrow() {
                return Err(Stopped::Interrupted);
            }
            if next >= end {
                return Ok(());
            }
        }
    }

    async fn keep_house(&mut self) {
        for node in 0..NODES {
            self.keep_watch(node);
        }
        for (node, state) in self.states().await {
            let words = || format!("node {node} keeps {} nodes", state.nodes);
            self.board.check(Invariant::Bounds, state.nodes <= 32, words);
            self.figures.note(&state);
        }
        let closed = self.board.tallies().closed();
        for (node, route, window) in closed {
            self.board.check(Invariant::Priorities, !is_starved(&window), || {
                format!("node {node}, route {route}: {window:?}")
            });
        }
        if Instant::now() >= self.next_measure {
            self.next_measure = Instant::now() + MEASURED_EVERY;
            self.nodes.iter_mut().flatten().for_each(NodeProcess::measure_memory);
        }
        let minute = self.origin.elapsed().as_secs() / 60;
        if minute >= self.next_minute {
            self.next_minute = minute + 1;
            self.say_minute(minute);
        }
    }

    /// Whether a node has ended, and what it has said.
    fn keep_watch(&mut self, node: usize) {
        if let Some(Some(process)) = self.nodes.get_mut(node) {
            let ended = process.ended();
            self.board.check(Invariant::NobodyEnds, ended.is_none(), || {
                format!("node {node} ended: {}", ended.clone().unwrap_or_default())
            });
            if ended.is_some() {
                // Told once; it is started again when the storm is over.
                self.board.put(node, 0, 0);
                if let Some(process) = self.nodes.get_mut(node).and_then(Option::take) {
                    self.buried.push((node, process.measured));
                }
            }
        }
        let news = self.logs.get_mut(node).map(Log::news).unwrap_or_default();
        let mut quiet = true;
        for line in news {
            if line.contains("panicked at") {
                quiet = false;
                self.board.violated(Invariant::NoPanic, format!("node {node}: {line}"));
            } else if let Some(said) = line.strip_prefix(VIOLATION) {
                let (name, words) = said.split_once(": ").unwrap_or((said, ""));
                let found = Invariant::ALL.into_iter().find(|i| format!("{i:?}") == name);
                let invariant = found.unwrap_or(Invariant::Numbers);
                self.board.violated(invariant, format!("node {node}: {words}"));
            }
        }
        if quiet {
            self.board.check(Invariant::NoPanic, true, String::new);
        }
    }

    fn say_minute(&self, minute: u64) {
        let totals = self.board.tallies().totals;
        let (checks, violations) = {
            let ledger = self.board.ledger();
            (ledger.checks(), ledger.violations())
        };
        let memory = self.nodes.get(WITNESS).and_then(Option::as_ref);
        let memory = memory.and_then(|process| process.measured.memory.last());
        println!(
            "{minute:>4} min  round {}, {} faults, {} starts; asked {}, good {:.1} %, refused {:.1} %, failed {:.1} %, silent {:.1} %; {:.1} MiB; {checks} checks, {violations} violations",
            self.round,
            self.figures.faults,
            self.figures.starts,
            totals.asked,
            share(totals.good, totals.asked),
            share(totals.refused, totals.asked),
            share(totals.failed, totals.asked),
            share(totals.silent, totals.asked),
            memory.map_or(0.0, |sample| sample.value / 1024.0),
        );
    }

    /// Notes descriptors and threads; nothing may be going on.
    pub(crate) fn measure_quiet(&mut self) {
        for (node, process) in self.nodes.iter_mut().enumerate() {
            let Some(process) = process else { continue };
            process.measure_quiet();
            let last = |samples: &[memory::Sample]| samples.last().map_or(0.0, |s| s.value);
            let descriptors = last(&process.measured.descriptors);
            let threads = last(&process.measured.threads);
            self.board.check(Invariant::Descriptors, descriptors <= DESCRIPTORS_MAX, || {
                format!("node {node} has {descriptors} descriptors")
            });
            self.board.check(Invariant::Threads, threads <= THREADS_MAX, || {
                format!("node {node} has {threads} threads")
            });
        }
    }

    /// Ends everything and draws the balance.
    async fn end(mut self, minutes: u32, interrupted: bool) -> Report {
        self.board.loading.store(false, Relaxed);
        self.viewers.clear();
        self.loads.iter().for_each(JoinHandle::abort);
        for node in 0..NODES {
            self.keep_watch(node);
            if let Some(process) = self.nodes.get_mut(node).and_then(Option::take) {
                self.buried.push((node, process.kill().await));
            }
        }
        self.judge_trends();
        let mut figures = std::mem::take(&mut self.figures);
        figures.nodes =
            self.buried.iter().map(|(n, measured)| NodeFigures::of(*n, measured)).collect();
        figures.totals = self.board.tallies().totals;
        figures.lines_read = self.board.lines_read.load(Relaxed);
        let ledger = self.board.ledger().clone();
        let status = match (ledger.violations(), interrupted) {
            (1.., _) => Status::Violated,
            (0, true) => Status::Interrupted,
            (0, false) => Status::Held,
        };
        Report {
            status,
            interrupted,
            minutes,
            seed: self.seed,
            took_secs: self.origin.elapsed().as_secs(),
            rounds: self.round,
            machine: machine::describe(),
            ledger,
            figures,
        }
    }

    /// Memory, descriptors and threads of the witness, which lived from the beginning to the end.
    fn judge_trends(&self) {
        let Some((_, witness)) = self.buried.iter().find(|(node, _)| *node == WITNESS) else {
            return;
        };
        if let Some(trend) = memory::trend(&witness.memory) {
            self.board.check(Invariant::Memory, trend.is_flat(), || format!("{trend:?}"));
        }
        if let Some(trend) = memory::trend(&witness.descriptors) {
            let holds = trend.is_within(DESCRIPTORS_SLACK);
            self.board.check(Invariant::Descriptors, holds, || format!("{trend:?}"));
        }
        if let Some(trend) = memory::trend(&witness.threads) {
            let holds = trend.is_within(THREADS_SLACK);
            self.board.check(Invariant::Threads, holds, || format!("{trend:?}"));
        }
    }
}

async fn send(client: &Client, port: u16, order: &Order) -> Option<Done> {
    let json = serde_json::to_string(order).ok()?;
    let answer = timeout(ORDER_PATIENCE, client.post(port, "order", json)).await.ok()?.ok()?;
    serde_json::from_slice(&answer.body).ok()
}

/// A part of a whole in percent.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anybody_can_have_a_development_licence() {
        assert!(license().expect("one").starts_with("atrion_dev_"));
    }
}
