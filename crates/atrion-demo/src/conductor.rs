//! Starts the parts, lets the schedule run without and with Atrion, and judges.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::args::{Options, Role};
use crate::figures::{Comparison, Record, RunFigures};
use crate::guard::Guard;
use crate::live::Live;
use crate::part::Part;
use crate::plan::{Health, Phase, Stage, length, schedule};
use crate::service::WORKERS;
use crate::verdict::{self, Verdict};
use crate::wire::{Event, Order};
use crate::{plot, report};

/// Callers that measure the capacity: twice as many as workers keep every worker busy, and the
/// queue short enough for the objective.
const CALLERS: usize = 2 * WORKERS;
/// After this part of the outage a protected service is expected to have noticed.
const REACTION: Duration = Duration::from_secs(1);
/// What a run may take beyond its schedule before it counts as stuck.
const OVERTIME: Duration = Duration::from_secs(20);

/// Why there is no verdict.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The user asked for it.
    Interrupted,
    /// It could not go on; a sentence for the user.
    Failed(String),
}

impl From<String> for Stopped {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// Becomes `true` when the user asks to stop.
pub(crate) type Interrupt = watch::Receiver<bool>;

/// The whole demonstration.
///
/// # Errors
///
/// [`Stopped`] if it was interrupted, if a part could not be started or failed, or if a file
/// cannot be written. No process is left behind in any of these cases.
pub(crate) async fn show(options: &Options, interrupt: &Interrupt) -> Result<Verdict, Stopped> {
    let live = Live::new(2 * length(&schedule(1.0, options.short)));
    let capacity = capacity(options, &live, interrupt).await?;
    live.line(&format!(
        "capacity measured: {capacity:.0} requests/s ({WORKERS} workers, one queue)"
    ));
    let stages = schedule(capacity, options.short);
    let plain = run(options, Guard::Nothing, &stages, &live, interrupt).await?;
    let guarded = run(options, Guard::Atrion, &stages, &live, interrupt).await?;
    let after = self::capacity(options, &live, interrupt).await?;
    live.finish();

    let comparison = Comparison {
        seed: options.seed,
        short: options.short,
        capacity_per_second: capacity,
        capacity_after_per_second: after,
        unprotected: RunFigures::from_record(&plain, &stages, capacity),
        protected: RunFigures::from_record(&guarded, &stages, capacity),
    };
    let checks = verdict::checks(&comparison);
    let verdict = verdict::judge(&checks, &comparison);
    print!("{}", report::side_by_side(&comparison));
    plot::write(&options.svg, &stages, capacity, &plain, &guarded)?;
    println!("\nplot: {}", options.svg.display());
    if let Some(file) = &options.json {
        report::write_json(file, &comparison, &checks, verdict)?;
        println!("figures: {}", file.display());
    }
    print!("{}", report::closing(&comparison, &checks, verdict));
    Ok(verdict)
}

/// Answers within the objective per second that the unprotected service gives when it is kept
/// exactly busy.
pub(crate) async fn capacity(
    options: &Options,
    live: &Live,
    interrupt: &Interrupt,
) -> Result<f64, Stopped> {
    live.doing("measuring the capacity");
    let mut parts = Parts::start(options.seed, Guard::Nothing).await?;
    let ms = if options.short { 1500 } else { 3000 };
    let order = Order::Measure { target: parts.port, callers: CALLERS, warm_up_ms: 300, ms };
    let measured = until(OVERTIME, interrupt, measured(&mut parts, &order)).await;
    parts.end().await;
    let per_second = measured?;
    if per_second < 1.0 {
        let why = "the service answered nothing in time while its capacity was measured";
        return Err(Stopped::Failed(why.to_owned()));
    }
    Ok(per_second)
}

async fn measured(parts: &mut Parts, order: &Order) -> Result<f64, String> {
    parts.generator.order(order).await?;
    loop {
        tokio::select! {
            event = parts.generator.event() => match event? {
                Event::Measured { per_second } => return Ok(per_second),
                other => return Err(format!("the generator said {other:?}")),
            },
            event = parts.service.event() => drop(event?),
            event = parts.dependency.event() => drop(event?),
        }
    }
}

/// Waits for `work`, but neither longer than `limit` nor past an interrupt.
async fn until<T>(
    limit: Duration,
    interrupt: &Interrupt,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, Stopped> {
    let mut interrupt = interrupt.clone();
    tokio::select! {
        done = timeout(limit, work) => match done {
            Ok(done) => done.map_err(Stopped::Failed),
            Err(_) => Err(Stopped::Failed(format!(
                "a step did not end within {} s; the machine may be too busy",
                limit.as_secs()
            ))),
        },
        _ = interrupt.wait_for(|interrupted| *interrupted) => Err(Stopped::Interrupted),
    }
}

/// The processes of one run.
struct Parts {
    dependency: Part,
    service: Part,
    generator: Part,
    /// The service's port.
    port: u16,
}

impl Parts {
    async fn start(seed: u64, guard: Guard) -> Result<Self, String> {
        // Seeds of their own, so that the parts' draws have nothing to do with each other.
        let role = Role::Dependency { seed: seed.wrapping_add(1) };
        let (dependency, upstream) = Part::serve("dependency", role).await?;
        let seed = seed.wrapping_add(2);
        let role = Role::Service { seed, guard, dependency: upstream };
        let (service, port) = Part::serve("service", role).await?;
        let generator = Part::start("generator", Role::Generator)?;
        Ok(Self { dependency, service, generator, port })
    }

    async fn end(self) {
        self.generator.end().await;
        self.service.end().await;
        self.dependency.end().await;
    }
}

/// One pass through the schedule.
pub(crate) async fn run(
    options: &Options,
    guard: Guard,
    stages: &[Stage],
    live: &Live,
    interrupt: &Interrupt,
) -> Result<Record, Stopped> {
    live.begin_run(guard.title());
    let mut parts = Parts::start(options.seed, guard).await?;
    let order = Order::Load { target: parts.port, stages: stages.to_vec(), seed: options.seed };
    let mut run = Run {
        stages,
        live,
        record: Record::default(),
        began: Instant::now(),
        tally_at: None,
        marks: VecDeque::new(),
    };
    let limit = length(stages) + OVERTIME;
    let followed = until(limit, interrupt, run.follow(&mut parts, &order)).await;
    parts.end().await;
    followed?;
    live.end_run();
    Ok(run.record)
}

/// Which moment a count of the dependency belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// One of no interest.
    Passing,
    /// The reaction time of the outage is over.
    Reacted,
    /// The dependency heals.
    Healed,
}

struct Run<'r> {
    stages: &'r [Stage],
    live: &'r Live,
    record: Record,
    began: Instant,
    tally_at: Option<Instant>,
    /// Counts asked for and not yet given, oldest first.
    marks: VecDeque<Mark>,
}

impl Run<'_> {
    /// Follows the run to its end.
    async fn follow(&mut self, parts: &mut Parts, order: &Order) -> Result<(), String> {
        parts.generator.order(order).await?;
        loop {
            let due = self.tally_at;
            tokio::select! {
                event = parts.generator.event() => match event? {
                    Event::StageBegins { index } => self.stage(parts, index).await?,
                    Event::Bucket(bucket) => {
                        self.live.bucket(self.stages, &bucket, self.record.resistance());
                        self.record.buckets.push(bucket);
                    }
                    Event::ShedSeen(sample) => self.record.shed_sample = Some(sample),
                    Event::Done { lag_p99_us, lag_max_us } => {
                        self.record.lag_p99 = Duration::from_micros(lag_p99_us.into());
                        self.record.lag_max = Duration::from_micros(lag_max_us.into());
                        return Ok(());
                    }
                    other => return Err(format!("the generator said {other:?}")),
                },
                event = parts.service.event() => {
                    if let Event::Gauge { resistance_ohms, stall_us } = event? {
                        let at = self.began.elapsed();
                        self.record.gauges.push((at, resistance_ohms));
                        self.record.stalls.push(Duration::from_micros(stall_us.into()));
                    }
                }
                event = parts.dependency.event() => {
                    if let Event::Reached { total } = event? {
                        match self.marks.pop_front() {
                            Some(Mark::Reacted) => self.record.reached_at_reaction = total,
                            Some(Mark::Healed) => self.record.reached_at_heal = total,
                            Some(Mark::Passing) | None => {}
                        }
                    }
                }
                () = sleep_until(due.unwrap_or(self.began)), if due.is_some() => {
                    self.tally_at = None;
                    self.marks.push_back(Mark::Reacted);
                    parts.dependency.order(&Order::Tally).await?;
                }
            }
        }
    }

    /// A stage begins: the dependency changes with it.
    async fn stage(&mut self, parts: &mut Parts, index: usize) -> Result<(), String> {
        let Some(stage) = self.stages.get(index) else {
            return Err(format!("there is no stage {index}"));
        };
        if index == 0 {
            self.began = Instant::now();
            self.record.gauges.clear();
        }
        self.live.stage(*stage);
        let before = index.checked_sub(1).and_then(|i| self.stages.get(i));
        let before = before.map_or(Health::Healthy, |s| s.health);
        if stage.health != before {
            if stage.health == Health::Hanging {
                self.tally_at = Some(Instant::now() + REACTION);
            }
            let healed = stage.phase == Phase::Recovery;
            self.marks.push_back(if healed { Mark::Healed } else { Mark::Passing });
            parts.dependency.order(&Order::Be { health: stage.health }).await?;
        }
        Ok(())
    }
}
