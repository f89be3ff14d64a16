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
