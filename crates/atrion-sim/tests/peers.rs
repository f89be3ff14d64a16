//! The peers' crates behind their adapters: nothing leaks, nothing stays shut.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failing test may say so, and an index out of bounds is one"
)]

use std::collections::{BTreeMap, BTreeSet};

use atrion_core::time::Timestamp;
use atrion_sim::policy::peers::{Adaptive, Congestion, TowerLimit};
use atrion_sim::policy::{
    Arrival, Choice, Completion, Context, Outcome, Policy, Static, Tick, Verdict, entries,
};
use atrion_sim::{Evaluation, evaluate, scenario};
use proptest::prelude::*;

/// One step: the slot that asks, or ends if it is under way; how it ends; milliseconds since the
/// step before.
type Step = (u32, bool, u16);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0_u32..64, any::<bool>(), 0_u16..60), 1..400)
}

/// A caller of one route that keeps count.
#[derive(Default)]
struct Caller {
    nanos: u64,
    under_way: BTreeMap<u32, u64>,
    held: BTreeSet<u32>,
}

impl Caller {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.nanos)
    }

    fn ask(&mut self, policy: &mut dyn Policy, slot: u32) -> Verdict {
        let verdict = policy.arrive(&Arrival { now: self.now(), slot, route: 0, volts: 20.0 });
        match verdict {
            Verdict::Admit => drop(self.under_way.insert(slot, self.nanos)),
            Verdict::Hold => drop(self.held.insert(slot)),
            Verdict::Refuse => {}
        }
        self.release(policy);
        verdict
    }

    fn release(&mut self, policy: &mut dyn Policy) {
        while let Some(release) = policy.release(self.now()) {
            assert!(self.held.remove(&release.slot), "{} was not held", release.slot);
            if release.admitted {
                self.under_way.insert(release.slot, self.nanos);
            }
        }
    }

    fn end(&mut self, policy: &mut dyn Policy, slot: u32, ok: bool) {
        let Some(began) = self.under_way.remove(&slot) else { return };
        let outcome = if ok { Outcome::Success } else { Outcome::Failure };
        let latency_secs = (self.nanos - began) as f64 / 1e9;
        policy.done(&Completion { now: self.now(), slot, route: 0, latency_secs, outcome });
        self.release(policy);
    }

    /// Carries out all steps, ends what is under way, and waits a second.
    fn drive(&mut self, policy: &mut dyn Policy, steps: &[Step]) {
        for (slot, ok, millis) in steps {
            self.nanos += u64::from(*millis) * 1_000_000;
            if self.under_way.contains_key(slot) {
                self.end(policy, *slot, *ok);
            } else if !self.held.contains(slot) {
                self.ask(policy, *slot);
            }
        }
        while let Some(slot) = self.under_way.keys().next().copied() {
            self.nanos += 1_000_000;
            self.end(policy, slot, true);
        }
        assert!(self.held.is_empty(), "{:?} wait while nobody is served", self.held);
        self.nanos += 1_000_000_000;
    }

    /// How many are admitted of more than any limit here.
    fn burst(&mut self, policy: &mut dyn Policy) -> usize {
        (0..2000).filter(|slot| self.ask(policy, *slot) == Verdict::Admit).count()
    }
}

proptest! {
    /// `LoadShed` over `ConcurrencyLimit` decides as `Static` does, so that what the oracle
    /// finds for the one holds for the other.
    #[test]
    fn tower_is_a_static_limit(steps in steps(), limit in 1_u32..40) {
        let (mut tower, mut plain) = (TowerLimit::new(limit), Static::new(limit));
        let mut callers = [Caller::default(), Caller::default()];
        for (slot, ok, _) in &steps {
            let [a, b] = &mut callers;
            if a.under_way.contains_key(slot) {
                a.end(&mut tower, *slot, *ok);
                b.end(&mut plain, *slot, *ok);
            } else {
                prop_assert_eq!(a.ask(&mut tower, *slot), b.ask(&mut plain, *slot));
            }
        }
        callers[0].drive(&mut tower, &[]);
        prop_assert_eq!(callers[0].burst(&mut tower), limit as usize);
    }

    /// Whatever went before, as many are admitted at once as the limit says.
    #[test]
    fn adaptive_limiters_give_every_place_back(steps in steps()) {
        for mut policy in [Adaptive::aimd(0.1), Adaptive::vegas(), Adaptive::gradient2()] {
            let mut caller = Caller::default();
            caller.drive(&mut policy, &steps);
            let limit = policy.limit();
            prop_assert_eq!(caller.burst(&mut policy), limit, "{:?}", policy);
        }
    }

    #[test]
    fn congestion_limiters_give_every_place_back(steps in steps()) {
        let mut aimd = Congestion::aimd(0.1);
        let mut caller = Caller::default();
        caller.drive(&mut aimd, &steps);
        prop_assert_eq!(aimd.in_flight(), 0);
        let limit = aimd.limit();
        prop_assert_eq!(caller.burst(&mut aimd), limit);
        let mut vegas = Congestion::vegas(0.1);
        let mut caller = Caller::default();
        caller.drive(&mut vegas, &steps);
        prop_assert_eq!(vegas.in_flight(), 0);
        let limit = vegas.limit();
        prop_assert_eq!(caller.burst(&mut vegas), limit);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// An hour after the last call every policy lets somebody through, or lets them wait.
    #[test]
    fn nobody_stays_shut_for_ever(steps in steps()) {
        let context = Context::of(&scenario::find("steady").expect("a preset"), 1);
        for entry in entries() {
            let mut policy = Choice::parse(entry.name).expect("listed").make(&context).expect("built");
            let mut caller = Caller::default();
            caller.drive(&mut *policy, &steps);
            for _ in 0..36_000 {
                caller.nanos += 100_000_000;
                policy.tick(&Tick { now: caller.now(), utilisation: 0.0, load: 0.0 });
            }
            let verdict = caller.ask(&mut *policy, 0);
            prop_assert_ne!(verdict, Verdict::Refuse, "{}", entry.name);
        }
    }
}

fn goodput(scenario: &str, policy: &str) -> f64 {
    let scenario = scenario::find(scenario).expect("a preset");
    let choice = Choice::parse(policy).expect("a policy");
    let Evaluation { reports, .. } = evaluate(&scenario, &choice, &[1], || ()).expect("it runs");
    atrion_sim::Summary::of(policy, &reports).expect("a report").goodput.mean
}

/// What refuses even while everything fits, in whatever wiring: the published model, and Vegas,
/// which takes the luckiest request for the usual one.
const LOW: [&str; 4] = ["reference", "vegas", "tr-vegas", "cl-vegas"];

/// The adapters' wiring as a whole: under five times the load a quota of the true capacity and the
/// limit of a careful load test keep the service at work, and the breakers, which are not made for
/// it, at least keep it alive in calm times.
#[test]
fn the_crates_do_in_a_scenario_what_they_are_for() {
    for policy in ["tower", "governor"] {
        let share = goodput("step5x", policy);
        assert!(share > 85.0, "{policy}: {share} %");
    }
    let (plain, best) = (goodput("step5x", "governor"), goodput("step5x", "governor-oracle"));
    assert!(best >= plain, "{best} % is the best quota, {plain} % the usual one");
    for entry in entries() {
        let share = goodput("steady", entry.name);
        assert!(share > 90.0 || LOW.contains(&entry.name), "{}: {share} %", entry.name);
    }
}
