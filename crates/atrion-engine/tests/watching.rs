//! Those who watch: what is counted by tier, which decisions are told and to whom, and that no
//! observer hurts anybody.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::units::Volts;
use atrion_engine::{
    Atrion, BuildError, Builder, Event, Force, Interest, ObserveError, Observer, OwnedPermit, Route,
};
use atrion_state::clock::ManualClock;
use proptest::prelude::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn built(builder: Builder) -> (Atrion, ManualClock) {
    let clock = ManualClock::new();
    (builder.clock(clock.clone()).seed(5).build().expect("valid"), clock)
}

fn serve(route: &Route, clock: &ManualClock, count: u32) {
    for _ in 0..count {
        let permit = route.admit(Priority::Normal).expect("calm");
        clock.advance(ms(10));
        permit.success();
    }
}

/// A route that has learned its service and is full.
fn full(atrion: &Atrion, clock: &ManualClock) -> (Route, Vec<OwnedPermit>) {
    let route = atrion.route("full");
    serve(&route, clock, 300);
    let mut held = Vec::new();
    while let Ok(permit) = route.admit_owned(Priority::Normal) {
        held.push(permit);
    }
    (route, held)
}

/// Keeps what it is told of what it wants.
#[derive(Clone)]
struct Keeps {
    wants: Interest,
    told: Arc<Mutex<Vec<Event>>>,
}

impl Keeps {
    fn new(wants: Interest) -> Self {
        Self { wants, told: Arc::default() }
    }

    /// What it was told, as soon as that is at least so much.
    fn told(&self, at_least: usize) -> Vec<Event> {
        loop {
            let told = self.told.lock().expect("no panic").clone();
            if told.len() >= at_least {
                return told;
            }
            std::thread::yield_now();
        }
    }
}

impl Observer for Keeps {
    fn event(&self, event: &Event) {
        self.told.lock().expect("no panic").push(event.clone());
    }

    fn interest(&self) -> Interest {
        self.wants
    }
}

fn sum(counts: [u32; 5]) -> u32 {
    counts.iter().fold(0, |sum, n| sum.wrapping_add(*n))
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit(u32),
    Succeed,
    Fail,
    Cancel,
    Advance(u16),
    Shadow(bool),
    Force(Option<Force>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u32..150).prop_map(Step::Admit),
        4 => Just(Step::Succeed),
        1 => Just(Step::Cancel),
        1 => Just(Step::Fail),
        2 => (0u16..200).prop_map(Step::Advance),
        1 => any::<bool>().prop_map(Step::Shadow),
        1 => prop::option::of(prop_oneof![Just(Force::Open), Just(Force::Closed)])
            .prop_map(Step::Force),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every answer is counted once, in its tier, whatever the route goes through.
    #[test]
    fn the_tally_is_what_callers_saw(
        steps in prop::collection::vec(step(), 1..500),
        process in any::<bool>(),
        one_in in 0u32..4,
    ) {
        let builder = Atrion::builder().tally(true).sample_decisions(one_in);
        let (atrion, clock) = built(builder.process_circuit(process));
        let route = atrion.route("r");
        let (mut admitted, mut refused) = ([0; 5], [0; 5]);
        let mut held = Vec::new();
        let mut failed = 0;
        for step in steps {
            match step {
                Step::Admit(volts) => {
                    let tier = Priority::of(Volts::from(volts)) as usize;
                    match route.admit_owned(Volts::from(volts)) {
                        Ok(permit) => {
                            admitted[tier] += 1;
                            held.push(permit);
                        }
                        Err(_) => refused[tier] += 1,
                    }
                }
                Step::Succeed => held.pop().into_iter().for_each(OwnedPermit::success),
                Step::Cancel => held.pop().into_iter().for_each(OwnedPermit::cancel),
                Step::Fail => {
                    failed += u32::from(!held.is_empty());
                    held.pop().into_iter().for_each(OwnedPermit::failure);
                }
                Step::Advance(millis) => drop(clock.advance(ms(millis.into()))),
                Step::Shadow(on) => route.set_shadow(on),
                Step::Force(Some(force)) => route.force(force, ms(100)),
                Step::Force(None) => route.release(),
            }
        }
        let tally = route.tally().expect("asked for");
        prop_assert_eq!((tally.admitted, tally.refused), (admitted, refused));
        let counts = route.counts();
        prop_assert_eq!(sum(tally.refused), counts.shed);
        let ended = counts.completed + counts.cancelled + counts.in_flight;
        // A failure that began before the breaker last closed is in neither count.
        prop_assert!(sum(tally.admitted) >= ended && sum(tally.admitted) <= ended + failed);
        prop_assert_eq!(route.report().tally, Some(tally));
    }
}

#[test]
fn whoever_does_not_ask_for_a_tally_has_none() {
    let (atrion, clock) = built(Atrion::builder().sample_decisions(2));
    serve(&atrion.route("r"), &clock, 3);
    assert_eq!(atrion.route("r").tally(), None);
    assert_eq!(atrion.report("r").expect("it exists").tally, None);
}

#[test]
fn a_tally_outlasts_a_rest() {
    let (atrion, clock) = built(Atrion::builder().tally(true));
    for (name, tiers) in [("one", &[Priority::Low][..]), ("many", &Priority::ALL[..])] {
        for tier in tiers {
            let permit = atrion.route(name).admit_owned(*tier).expect("calm");
            clock.advance(ms(10));
            permit.success();
        }
    }
    let before = ["one", "many"].map(|name| atrion.route(name).tally().expect("asked for"));
    clock.advance(Duration::from_secs(60));
    (0..4).for_each(|_| atrion.tick());
    assert_eq!(atrion.stats().resting, 2);
    let resting = ["one", "many"].map(|name| atrion.report(name).expect("it rests").tally);
    assert_eq!(resting, before.map(Some));
    assert_eq!(atrion.stats().resting, 2);
    assert_eq!(["one", "many"].map(|name| atrion.route(name).tally()), before.map(Some));
}

/// On two threads a busy route has lanes; nothing is lost between them.
#[test]
fn busy_threads_count_every_request() {
    const REQUESTS: u32 = 60_000;
    let (atrion, clock) = built(Atrion::builder().tally(true));
    let route = atrion.route("busy");
    let admitted = AtomicU64::new(0);
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..REQUESTS {
                    clock.advance(Duration::from_micros(5));
                    if let Ok(permit) = route.admit(Priority::High) {
                        admitted.fetch_add(1, Relaxed);
                        permit.success();
                    }
                }
            });
        }
    });
    let tally = route.tally().expect("asked for");
    let admitted = admitted.into_inner() as u32;
    assert_eq!(tally.admitted(Priority::High), admitted);
    assert_eq!(tally.refused(Priority::High), 2 * REQUESTS - admitted);
    assert_eq!(sum(tally.admitted) + sum(tally.refused), 2 * REQUESTS);
}

#[test]
fn one_decision_in_so_many_of_each_kind_is_told() {
    let keeps = Keeps::new(Interest::DECISIONS);
    let builder = Atrion::builder().sample_decisions(10).observer(keeps.clone());
    let (atrion, clock) = built(builder);
    let (route, held) = full(&atrion, &clock);
    for _ in 0..95 {
        assert!(route.admit(Priority::Low).is_err());
    }
    let normal = 300 + held.len();
    // 1 in 10 of those admitted; of the refused the one that ended the filling, and 10 of 95.
    let expected = normal.div_ceil(10) + 1 + 10;
    let told = keeps.told(expected);
    assert_eq!(told.len(), expected);
    let mut admitted = 0;
    for event in &told {
        let Event::Decision { voltage, admitted: yes, resistance, reason, shadow, .. } = event
        else {
            panic!("{event:?}");
        };
        assert!(!shadow && *yes == reason.is_none());
        assert_eq!(*yes, voltage.overcomes(*resistance), "{event:?}");
        admitted += usize::from(*yes);
    }
    assert_eq!(admitted, normal.div_ceil(10));
    drop(held);
}

#[test]
fn a_shadowed_decision_says_what_it_would_have_been() {
    let keeps = Keeps::new(Interest::DECISIONS);
    let (atrion, clock) = built(Atrion::builder().sample_decisions(1).observer(keeps.clone()));
    let (route, held) = full(&atrion, &clock);
    route.set_shadow(true);
    drop(route.admit(Priority::Bulk).expect("shadowed"));
    let told = keeps.told(300 + held.len() + 2);
    let shadowed = |e: &&Event| matches!(e, Event::Decision { shadow: true, .. });
    let [Event::Decision { admitted: true, reason: Some(_), .. }] =
        told.iter().filter(shadowed).collect::<Vec<_>>()[..]
    else {
        panic!("{told:?}");
    };
}

#[test]
fn nobody_is_told_what_nobody_asked_for() {
    let (all, default) = (Keeps::new(Interest::ALL), Keeps::new(Interest::default()));
    let builder = Atrion::builder().observer(all.clone()).observer(default.clone());
    let (atrion, clock) = built(builder.sample_decisions(1));
    let (_route, held) = full(&atrion, &clock);
    atrion.tick();
    atrion.reload((*atrion.config()).clone());
    drop(held);
    let kinds = |events: &[Event]| {
        let masses = |e: &&Event| matches!(e, Event::Decision { .. } | Event::Ticked { .. });
        (events.iter().filter(masses).count(), events.len())
    };
    let told = default.told(2);
    assert_eq!(kinds(&told), (0, 2), "a refusal and the reload: {told:?}");
    let told = all.told(4);
    assert!(told.iter().any(|e| matches!(e, Event::Ticked { .. })), "{told:?}");
}

#[test]
fn a_storm_of_refusals_is_told_once_a_tick() {
    let few = Keeps::new(Interest::FIRST_SHEDS);
    let every = Keeps::new(Interest::SHEDS);
    let (atrion, clock) = built(Atrion::builder().observer(few.clone()).observer(every.clone()));
    let (route, held) = full(&atrion, &clock);
    let before = route.counts().shed;
    for _ in 0..2_000 {
        assert!(route.admit(Priority::Normal).is_err());
    }
    every.told((before + 2_000) as usize);
    assert_eq!(few.told(1).len(), 1);
    // A tick later the next one is news again.
    clock.advance(ms(150));
    for _ in 0..100 {
        assert!(route.admit(Priority::Bulk).is_err());
    }
    assert_eq!(few.told(2).len(), 2);
    drop(held);
}

#[test]
fn observers_come_and_go_while_the_instance_runs() {
    let (atrion, clock) = built(Atrion::builder());
    let (route, held) = full(&atrion, &clock);
    let refuse = || assert!(route.admit(Priority::Normal).is_err());
    let (first, second) = (Keeps::new(Interest::SHEDS), Keeps::new(Interest::SHEDS));
    let subscription = atrion.observe(first.clone()).expect("there is room");
    refuse();
    atrion.observe(second.clone()).expect("there is room").keep();
    refuse();
    second.told(1);
    first.told(2);
    subscription.detach();
    refuse();
    assert_eq!(second.told(2).len(), 2);
    assert_eq!(first.told(2).len(), 2, "detached before the third");
    drop(held);
    while atrion.stats().observer.delivered < 4 {
        std::thread::yield_now();
    }
    assert_eq!(atrion.stats().observer.delivered, 4, "those of detached observers count");
    drop((route, atrion));
    // What was told holds on to its routes, and they to the instance.
    for keeps in [&first, &second] {
        keeps.told.lock().expect("no panic").clear();
    }
    // Nobody keeps the instance: its threads end and let go of their observers.
    while Arc::strong_count(&second.told) > 1 {
        std::thread::yield_now();
    }
}

/// Blocks at its first event until it is let go.
struct Blocks {
    gate: Arc<(Mutex<bool>, Condvar)>,
    reached: Arc<AtomicBool>,
}

impl Observer for Blocks {
    fn event(&self, _: &Event) {
        self.reached.store(true, Relaxed);
        let (open, changed) = &*self.gate;
        let mut open = open.lock().expect("no panic");
        while !*open {
            open = changed.wait(open).expect("no panic");
        }
    }
}

struct Panics;

impl Observer for Panics {
    fn event(&self, _: &Event) {
        // Without the message and the backtrace of each.
        std::panic::resume_unwind(Box::new("as it is meant to"));
    }
}

#[test]
fn one_that_blocks_and_one_that_panics_hurt_nobody() {
    let keeps = Keeps::new(Interest::SHEDS);
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let reached = Arc::new(AtomicBool::new(false));
    let blocks = Blocks { gate: Arc::clone(&gate), reached: Arc::clone(&reached) };
    let (atrion, clock) = built(Atrion::builder());
    let panics = atrion.observe(Panics).expect("there is room");
    let blocked = atrion.observe(blocks).expect("there is room");
    let fine = atrion.observe(keeps.clone()).expect("there is room");
    let (route, held) = full(&atrion, &clock);
    while !reached.load(Relaxed) {
        std::thread::yield_now();
    }
    // More than its queue holds, in portions that the others can take.
    let mut refused = 1;
    for _ in 0..60 {
        for _ in 0..100 {
            assert!(route.admit(Priority::Normal).is_err());
        }
        refused += 100;
        keeps.told(refused);
    }
    assert_eq!(fine.health().delivered, 6_001);
    assert!(blocked.health().dropped > 1_000, "{:?}", blocked.health());
    while panics.health().panicked + panics.health().dropped < 6_001 {
        std::thread::yield_now();
    }
    assert!(panics.health().panicked > 0 && panics.health().delivered == 0);
    *gate.0.lock().expect("no panic") = true;
    gate.1.notify_all();
    while blocked.health().delivered + blocked.health().dropped < 6_001 {
        std::thread::yield_now();
    }
    drop(held);
}

#[test]
fn there_is_a_limit_that_those_who_hang_count_against() {
    let (atrion, clock) = built(Atrion::builder());
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let reached = Arc::new(AtomicBool::new(false));
    let blocks = Blocks { gate: Arc::clone(&gate), reached: Arc::clone(&reached) };
    let hangs = atrion.observe(blocks).expect("there is room");
    let (_route, held) = full(&atrion, &clock);
    while !reached.load(Relaxed) {
        std::thread::yield_now();
    }
    drop(hangs);
    let rest: Vec<_> = (0..15).map(|_| atrion.observe(Panics).expect("there is room")).collect();
    let error = atrion.observe(Panics).expect_err("one hangs, fifteen are attached");
    assert!(matches!(error, ObserveError::TooMany { limit: 16 }), "{error}");
    drop((rest, held));
    *gate.0.lock().expect("no panic") = true;
    gate.1.notify_all();
    while atrion.observe(Panics).is_err() {
        std::thread::yield_now();
    }

    let crowded = (0..17).fold(Atrion::builder(), |builder, _| builder.observer(Panics));
    let error = crowded.build().map(drop).expect_err("too many");
    assert!(matches!(error, BuildError::Observer(ObserveError::TooMany { .. })), "{error}");
}

/// Attached and detached all the time beside requests: who stays is told everything.
#[test]
fn coming_and_going_loses_nothing_for_those_who_stay() {
    let stays = Keeps::new(Interest::SHEDS);
    let (atrion, clock) = built(Atrion::builder().observer(stays.clone()));
    let (route, held) = full(&atrion, &clock);
    std::thread::scope(|scope| {
        let requests = scope.spawn(|| {
            for i in 1..=2_000 {
                assert!(route.admit(Priority::Normal).is_err());
                if i % 100 == 0 {
                    stays.told(i);
                }
            }
        });
        while !requests.is_finished() {
            if let Ok(guest) = atrion.observe(Keeps::new(Interest::ALL)) {
                guest.detach();
            }
        }
    });
    assert_eq!(stays.told(2_001).len(), 2_001);
    drop(held);
}
