//! Carries out the script.

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::Instant;

use super::clock::SharedClock;
use super::crew::Who;
use super::figures::Figures;
use super::record::{Phase, Published, Record};
use super::script::{Script, deeds, first_to_fail, marker, outage_rules, single_rules, warning};
use super::watch::Show;
use super::wire::{Order, Stats};
use super::{NODES, SHARED, liar, node, report, verdict};
use crate::args::Options;
use crate::conductor::{Interrupt, Stopped};
use crate::verdict::Verdict;

/// From one warning to the next, and up to so much more at random, so that the moments of the
/// failures are spread evenly over the interval.
const NEXT_WARNING: Duration = Duration::from_millis(130);
const WARNING_JITTER_MS: u64 = 100;
/// How long before the end of a fault the nodes learn something new.
const LEARNT_BEFORE: Duration = Duration::from_millis(700);
/// After a fault the load is watched for so much longer, and the nodes' agreement is waited for no
/// longer than that.
const AFTER_FAULT: Duration = Duration::from_millis(1500);
const AGREED_WITHIN: Duration = Duration::from_secs(6);
/// Routes that change in one pulse.
const MANY_ROUTES: u32 = 1000;
/// Nothing that is waited for takes longer.
const SOON: Duration = Duration::from_secs(10);

/// The whole demonstration.
///
/// # Errors
///
/// [`Stopped`] if it was interrupted, if a part could not be started or failed, or if a file
/// cannot be written. No process is left behind in any of these cases.
pub(crate) async fn show(options: &Options, interrupt: &Interrupt) -> Result<Verdict, Stopped> {
    let record = record(options, interrupt).await?;
    let figures = Figures::new(&record, options.seed, options.short);
    let checks = verdict::checks(&figures);
    let verdict = verdict::judge(&checks, &figures);
    print!("{}", report::table(&figures, &checks, verdict));
    if let Some(file) = &options.json {
        crate::report::write_json(file, &figures, &checks, verdict)?;
        println!("figures: {}", file.display());
    }
    Ok(verdict)
}

async fn record(options: &Options, interrupt: &Interrupt) -> Result<Record, Stopped> {
    let origin = SharedClock::origin();
    let mut show = Show::new(options.seed, origin, Script::new(options.short));
    let mut interrupt = interrupt.clone();
    let done = tokio::select! {
        played = show.play(origin) => played.map_err(Stopped::Failed),
        _ = interrupt.wait_for(|interrupted| *interrupted) => Err(Stopped::Interrupted),
    };
    // However it ended, every process is asked to end: the store takes Redis with it.
    show.crew.end_all().await;
    done.map(|()| show.record)
}

impl Show {
    async fn play(&mut self, origin: u64) -> Result<(), String> {
        println!("starting Redis, a dependency, three nodes that share and three that do not ...");
        self.crew.start().await?;
        let disagreement = self.clock.disagreement(origin).as_micros();
        self.record.clock_us = u64::try_from(disagreement).unwrap_or(u64::MAX);
        self.prepare().await?;
        self.warnings().await?;
        self.outage().await?;
        self.begin(Phase::Calm);
        self.take_admits(false).await?;
        self.pass(self.script.calm).await?;
        self.end(Phase::Calm);
        self.take_admits(true).await?;
        for fault in Phase::FAULTS {
            self.fault(fault).await?;
        }
        self.take_admits(true).await?;
        self.lie().await?;
        self.many_routes().await
    }

    /// Everybody knows the routes, everybody knows everybody, and the load goes on.
    async fn prepare(&mut self) -> Result<(), String> {
        for node in 0..SHARED {
            let routes = self.script.routes();
            self.crew.order(Who::Node(node), Order::Know { routes }).await?;
        }
        self.fail(single_rules(&self.script)).await?;
        self.aim(0..NODES).await?;
        let limit = Instant::now() + SOON;
        for node in 0..SHARED {
            while self.stats(node).await?.peers.len() + 1 < SHARED {
                if Instant::now() > limit {
                    return Err(format!("node {node} did not hear of the others"));
                }
                self.pass(Duration::from_millis(50)).await?;
            }
        }
        self.pass(Duration::from_millis(1500)).await
    }

    async fn warnings(&mut self) -> Result<(), String> {
        self.begin(Phase::Warning);
        for number in 0..self.script.warnings {
            self.burst(first_to_fail(number), warning(number)).await?;
            let jitter = self.rng.random_range(0..WARNING_JITTER_MS);
            self.pass(NEXT_WARNING + Duration::from_millis(jitter)).await?;
        }
        self.pass(Duration::from_secs(1)).await?;
        self.end(Phase::Warning);
        Ok(())
    }

    async fn outage(&mut self) -> Result<(), String> {
        self.begin(Phase::Outage);
        self.record.dead_before = self.fail(outage_rules(&self.script)).await?;
        self.pass(self.script.outage).await?;
        self.record.dead_after = self.fail(single_rules(&self.script)).await?;
        self.end(Phase::Outage);
        self.begin(Phase::Recovery);
        self.pass(self.script.recovery).await?;
        self.end(Phase::Recovery);
        self.pass(Duration::from_millis(500)).await
    }

    async fn take_admits(&mut self, keep: bool) -> Result<(), String> {
        for node in 0..NODES {
            let stats = self.stats(node).await?;
            if keep {
                self.record.admits.push((node, stats));
            }
        }
        Ok(())
    }

    async fn fault(&mut self, fault: Phase) -> Result<(), String> {
        self.begin(fault);
        let (begins, ends) = deeds(fault);
        if let Some(deed) = begins {
            self.store(deed).await?;
        }
        self.pass(self.script.fault(fault).saturating_sub(LEARNT_BEFORE)).await?;
        for node in 0..SHARED {
            self.burst(node, marker(fault, node)).await?;
        }
        if begins.is_some() {
            self.pass(LEARNT_BEFORE).await?;
        }
        let answered = self.store(ends).await?;
        self.record.answered.insert(fault, answered);
        self.until(AGREED_WITHIN, |record| record.agreed(fault).is_some()).await?;
        self.pass(AFTER_FAULT).await?;
        self.end(fault);
        Ok(())
    }

    /// The last of three takes its leave, and a liar takes its place.
    async fn lie(&mut self) -> Result<(), String> {
        self.aim((0..NODES).filter(|node| node + 1 != SHARED)).await?;
        // It answers what it was asked before it goes.
        self.pass(Duration::from_millis(300)).await?;
        self.crew.end(Who::Node(SHARED - 1)).await;
        self.begin(Phase::Liar);
        self.crew.start_liar()?;
        self.pass(self.script.liar).await?;
        self.end(Phase::Liar);
        let mut heard = u64::MAX;
        for node in 0..SHARED - 1 {
            let stats = self.stats(node).await?;
            let of_liar = stats.peers.iter().filter(|p| p.name == liar::NAME && p.complaints > 0);
            heard = heard.min(of_liar.map(|peer| peer.frames).sum());
        }
        self.record.lies_heard = heard;
        self.crew.end(Who::Liar).await;
        Ok(())
    }

    /// Many routes change at once: first for the first time, then again.
    async fn many_routes(&mut self) -> Result<(), String> {
        println!("  {MANY_ROUTES} routes of {} fail at once ...", node::name(0));
        let published =
            |stats: &Stats| Published { bytes: stats.bytes_out, changes: stats.changes_out };
        let before = published(&self.stats(0).await?);
        self.crew.order(Who::Node(0), Order::Scar { routes: MANY_ROUTES }).await?;
        let introduced = published(&self.sent(before.changes).await?);
        let repeated = published(&self.sent(introduced.changes).await?);
        self.record.introduced = introduced.since(before);
        self.record.repeated = repeated.since(introduced);
        Ok(())
    }

    /// Waits until every one of the many routes was published since `changes` were.
    async fn sent(&mut self, changes: u64) -> Result<Stats, String> {
        let limit = Instant::now() + SOON;
        loop {
            let stats = self.stats(0).await?;
            if stats.changes_out >= changes + u64::from(MANY_ROUTES) {
                return Ok(stats);
            }
            if Instant::now() > limit {
                return Err(format!(
                    "{} of {MANY_ROUTES} changed routes were published within {} s",
                    stats.changes_out - changes,
                    SOON.as_secs()
                ));
            }
            self.pass(Duration::from_millis(20)).await?;
        }
    }
}
