use super::*;
use proptest::prelude::*;

const SECS: f64 = 0.02;

fn start() -> Startup {
    Startup::new(&LawConfig::default())
}

/// `count` successes of the bare service time, each admitted at `in_flight`.
fn succeed(startup: &mut Startup, count: u32, in_flight: u32, secs: f64) {
    for k in 0..count {
        startup.sample(secs, math::ln(secs), in_flight, k < YARDSTICK_REQUESTS);
    }
}

#[test]
fn a_limit_nobody_uses_stays() {
    let mut startup = start();
    let before = startup.limit();
    succeed(&mut startup, 10_000, before / 2 - 1, SECS);
    assert_eq!(startup.limit(), before, "a surge would find this much concurrency granted");
    succeed(&mut startup, before, before / 2, SECS);
    assert!(startup.limit() > before);
}

#[test]
fn a_limit_that_is_used_doubles_with_every_round_while_calm() {
    let mut startup = start();
    for _ in 0..4 {
        let limit = startup.limit();
        succeed(&mut startup, limit, limit, SECS);
        assert_eq!(startup.limit(), 2 * limit);
    }
    let limit = startup.limit();
    succeed(&mut startup, 200, limit, 10.0 * SECS);
    assert!(startup.limit() < limit + 20, "slow answers end the growth: {}", startup.limit());
}

/// In flight, of a limit of 16: less than a start counts as stuck with that returns nothing.
const FEW: u32 = 7;

/// Ticks until the start is over; whoever it refused was refused at the first tick.
fn learned(startup: &mut Startup, refused_at_first: bool) -> Learned {
    for tick in 1..200 {
        let now = Timestamp::from_millis(50 * tick);
        if let Some(learned) = startup.tick(FEW, refused_at_first && tick == 1, 0.05, now) {
            return learned;
        }
    }
    panic!("the start has no end: {startup:?}");
}

#[test]
fn a_refusal_counts_until_the_limit_has_doubled() {
    let (mut small, mut grown, mut untouched) = (start(), start(), start());
    for startup in [&mut small, &mut grown, &mut untouched] {
        succeed(startup, 40, 1, SECS);
    }
    assert!(startup_bound(&mut small, 0));
    assert!(!startup_bound(&mut grown, 60));
    assert!(!learned(&mut untouched, false).limit_bound);
}

/// Whether the limit counts as bound after a refusal and `grown_by` successes that used it.
fn startup_bound(startup: &mut Startup, grown_by: u32) -> bool {
    assert_eq!(startup.tick(16, true, 0.05, Timestamp::from_millis(1)), None);
    succeed(startup, grown_by, u32::MAX, SECS);
    learned(startup, false).limit_bound
}

/// Ticks of 50 ms with this many in flight and nothing coming back; the start's end, if it came.
fn silence(startup: &mut Startup, in_flight: u32, secs: f64) -> Option<Learned> {
    let ticks = (secs / 0.05) as u64;
    (1..=ticks).find_map(|tick| {
        let now = Timestamp::from_secs(1).add_secs(0.05 * tick as f64);
        startup.tick(in_flight, false, 0.05, now)
    })
}

/// One core with contention: the first limit alone collapsed it, and the start waited for thirty
/// successes that never came.
#[test]
fn a_start_that_collapsed_the_service_ends_under_load() {
    let mut startup = start();
    assert_eq!(startup.tick(1, false, 0.0, Timestamp::from_secs(1)), None);
    succeed(&mut startup, 5, 1, 0.2);
    assert_eq!(silence(&mut startup, 12, 0.7), None, "a gap of three latencies is none");
    succeed(&mut startup, 1, 12, 0.2);
    assert_eq!(silence(&mut startup, 12, 0.7), None, "whatever returns begins it anew");
    let learned = silence(&mut startup, 12, 0.4).expect("a second and four latencies are over");
    assert!(learned.limit_bound, "what was seen was seen under load: it is measured again");
    assert!((learned.service_secs - 0.2).abs() < 1e-6, "{learned:?}");
}

#[test]
fn few_in_flight_and_idle_times_are_no_collapse() {
    let mut startup = start();
    assert_eq!(startup.tick(1, false, 0.0, Timestamp::from_secs(1)), None);
    succeed(&mut startup, 5, 1, SECS);
    let few = startup.limit() / 2 - 1;
    assert_eq!(silence(&mut startup, few, 30.0), None, "one long request is not a collapse");
    assert_eq!(silence(&mut startup, 0, 600.0), None);
    assert_eq!(silence(&mut startup, 16, 0.5), None, "the idle time before does not count");
}

proptest! {
    /// However long a start lasts, a surge finds at most what was there, or twice what was used
    /// and one more.
    #[test]
    fn the_limit_never_runs_ahead_of_use(
        uses in proptest::collection::vec(1_u32..500, 1..400),
    ) {
        let mut startup = start();
        let first = startup.limit();
        let most = uses.iter().copied().max().unwrap_or(1);
        for used in uses {
            startup.sample(SECS, math::ln(SECS), used, true);
        }
        prop_assert!(startup.limit() <= first.max(2 * most + 1), "{} after {most}", startup.limit());
    }
}

#[test]
fn marks_are_given_anew_only_until_the_yardstick_is_known() {
    let begun = |marked: u32, others: u32| {
        let mut startup = start();
        (0..marked).for_each(|_| startup.sample(SECS, math::ln(SECS), 1, true));
        (0..others).for_each(|_| startup.sample(SECS, math::ln(SECS), 1, false));
        startup.marks_wanted(marked)
    };
    assert_eq!(begun(YARDSTICK_KNOWN, 60), YARDSTICK_REQUESTS);
    assert_eq!(begun(YARDSTICK_KNOWN - 1, 60), 3 * YARDSTICK_REQUESTS, "after every thirty, ten");
    // Three that failed are replaced.
    let mut startup = start();
    (0..4).for_each(|_| startup.sample(SECS, math::ln(SECS), 1, true));
    assert_eq!(startup.marks_wanted(7), YARDSTICK_REQUESTS + 3);
}

#[test]
fn without_a_yardstick_the_limit_grows_for_thirty_successes() {
    let mut startup = start();
    let first = startup.limit();
    (0..200).for_each(|_| startup.sample(SECS, math::ln(SECS), u32::MAX, false));
    assert_eq!(startup.limit(), first + ENOUGH_SUCCESSES);
    // With one, what is slow ends the growth however few came back.
    let mut startup = start();
    (0..YARDSTICK_KNOWN).for_each(|_| startup.sample(SECS, math::ln(SECS), 1, true));
    (0..16).for_each(|_| startup.sample(20.0 * SECS, math::ln(20.0 * SECS), 1, false));
    let grown = startup.limit();
    startup.sample(20.0 * SECS, math::ln(20.0 * SECS), u32::MAX, false);
    assert_eq!(startup.limit(), grown);
}

#[test]
fn a_start_needs_thirty_successes_and_some_time() {
    let mut startup = start();
    succeed(&mut startup, ENOUGH_SUCCESSES - 1, 1, SECS);
    for second in 1..60 {
        assert_eq!(startup.tick(0, false, 1.0, Timestamp::from_secs(second)), None);
    }
    succeed(&mut startup, 1, 1, SECS);
    assert!(startup.tick(0, false, 1.0, Timestamp::from_secs(60)).is_some());
    // Slow answers alone disturb nobody: it takes a refusal to make them an overload.
    let mut startup = start();
    succeed(&mut startup, 10, 1, SECS);
    (0..15).for_each(|_| startup.sample(20.0 * SECS, math::ln(20.0 * SECS), 1, false));
    for second in 1..60 {
        assert_eq!(startup.tick(0, false, 1.0, Timestamp::from_secs(second)), None);
    }
    // A start that was disturbed before any time passed has shown no rate.
    let mut startup = start();
    succeed(&mut startup, 10, 1, SECS);
    (0..40).for_each(|_| startup.sample(20.0 * SECS, math::ln(20.0 * SECS), 1, false));
    assert_eq!(startup.tick(16, true, 0.0, Timestamp::from_secs(1)), None);
    let learned = startup.tick(16, false, 0.5, Timestamp::from_millis(1_500)).expect("disturbed");
    assert!((learned.throughput - 100.0).abs() < 1e-9, "{learned:?}");
}

#[test]
fn the_least_loaded_samples_measure_unless_the_next_ones_drown_them() {
    let samples = |second: u32| {
        let mut startup = start();
        succeed(&mut startup, 8, 1, SECS);
        succeed(&mut startup, second, 2, SECS);
        succeed(&mut startup, 92 - second, 16, 3.0 * SECS);
        startup.learned(1.0).expect("a hundred samples").samples
    };
    // A tenth of a hundred is wanted; twice that is not too many.
    assert_eq!(samples(12), 20);
    assert_eq!(samples(13), 8);
}

#[test]
fn a_clock_that_steps_back_begins_the_start_anew() {
    let mut startup = start();
    assert_eq!(startup.tick(1, false, 0.0, Timestamp::from_secs(100)), None);
    succeed(&mut startup, 40, 1, SECS);
    startup.rebase(Timestamp::from_secs(50));
    assert_eq!(
        startup.tick(0, false, 0.1, Timestamp::from_secs(52)),
        None,
        "nothing was seen since"
    );
    succeed(&mut startup, 40, 1, SECS);
    let learned = startup.tick(0, false, 0.1, Timestamp::from_secs(54)).expect("over");
    assert!((learned.throughput - 10.0).abs() < 1e-9, "40 in 4 s: {learned:?}");
}

fn under_load(throughput: f64) -> Learned {
    Learned {
        service_secs: 0.2,
        service_ln: math::ln(0.2),
        throughput,
        mean_in_flight: 30.0,
        limit_bound: true,
        samples: 20,
        variance_ln: 0.04,
    }
}

fn exhale(before: Learned) -> Exhale {
    Exhale::new(before, before.service_ln, Timestamp::from_secs(100))
}

#[test]
fn an_exhale_that_finds_the_service_much_faster_is_repeated_three_times() {
    let now = Timestamp::from_secs(101);
    let before = under_load(1_000.0);
    let found = |secs: f64| Learned { service_secs: secs, service_ln: math::ln(secs), ..before };
    assert!(exhale(before).again(&found(MISTAKEN * 0.2), now).is_none());
    let mut secs = 0.2;
    let mut exhale = exhale(before);
    for repeat in 1..=4 {
        secs *= 0.6;
        let again = exhale.again(&found(secs), now);
        assert_eq!(again.is_some(), repeat <= 3, "repeat {repeat}");
        exhale = again.unwrap_or(exhale);
    }
    // With a limit of one the service was drained as far as it can be.
    let narrow =
        |throughput| self::exhale(under_load(throughput)).again(&found(0.02), now).is_some();
    assert!(!narrow(10.0) && narrow(20.0));
}

#[test]
fn an_exhale_replaces_what_it_contradicts_and_else_adds_to_it() {
    // Ten of 10 ms and ten of 30 ms: mean 20 ms, standard deviation of the logarithm ln(3)/2.
    let measured = |service_ln: f64| {
        let mut exhale = exhale(Learned { service_ln, ..under_load(1_000.0) });
        for secs in [0.01, 0.03] {
            (0..10).for_each(|_| exhale.sample(secs, math::ln(secs)));
        }
        exhale.learned(true)
    };
    let mean_ln = f64::midpoint(math::ln(0.01), math::ln(0.03));
    let deviation = math::ln(3.0) / 2.0;
    let doubt = 2.0 * deviation / math::sqrt(20.0);
    let added = measured(mean_ln - doubt + 1e-6);
    assert!((added.variance_ln - deviation * deviation).abs() < 1e-12, "{added:?}");
    assert_eq!(added.samples, 40);
    assert!((added.service_secs - (0.2 + 20.0 / 84.0 * (0.02 - 0.2))).abs() < 1e-12, "{added:?}");
    let replaced = measured(mean_ln - doubt - 1e-6);
    assert_eq!(replaced.samples, 20);
    assert!((replaced.service_secs - 0.02).abs() < 1e-12, "{replaced:?}");
    assert!((replaced.service_ln - mean_ln).abs() < 1e-12);
    assert!((replaced.mean_in_flight - 20.0).abs() < 1e-9, "no more than was done: {replaced:?}");
    // Without any spread, a fifth: more than that is needed.
    let mut even = self::exhale(Learned { service_ln: 0.0, ..under_load(1_000.0) });
    even.sample(0.02, 0.2);
    assert_eq!(even.learned(true).samples, 21);
    assert_eq!(even.learned(false), Learned { service_ln: 0.0, ..under_load(1_000.0) }.bounded());
}

impl Learned {
    /// In flight on average: no more than throughput and service time allow.
    fn bounded(self) -> Self {
        let most = self.throughput * self.service_secs;
        Self { mean_in_flight: math::min(self.mean_in_flight, most), ..self }
    }
}

#[test]
fn an_exhale_is_given_up_in_time_when_the_clock_steps_back() {
    let config = LawConfig::default();
    let mut exhale = exhale(under_load(100.0));
    // A limit of ten: 0.2 (16 + 320 / 10) = 9.6 s.
    exhale.rebase(Timestamp::from_secs(50));
    assert!(exhale.tick(0, Timestamp::from_millis(59_500), &config).is_none());
    assert!(exhale.tick(0, Timestamp::from_millis(59_700), &config).is_some());
}
