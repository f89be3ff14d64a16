//! What other nodes say, as the request path meets it: held routes, verification, and the ways
//! around them. The other nodes are scripted; `atrion-cluster` simulates and runs real ones.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::merge::Report;
use atrion_core::time::Timestamp;
use atrion_core::units::{Evidence, Ohms, PerSecond, UnitInterval};
use atrion_core::vector::{PhysicsVector, Stance};
use atrion_engine::{Atrion, BuildError, Event, Force, Reason, Route};
use atrion_state::blocking::block_on;
use atrion_state::clock::ManualClock;
use atrion_state::in_memory::InMemoryProvider;
use atrion_state::license::{License, LicensePolicy, LicenseRefused, LicenseSource};
use atrion_state::peers::{Node, NodeId, Notice, Peers, RouteId};
use atrion_state::provider::{BoxFuture, Health, ProviderError, RouteVector, StateProvider};

/// A cluster that says what it is told to.
#[derive(Default)]
struct Script {
    reports: Mutex<Vec<Report>>,
    notices: Mutex<Vec<Notice>>,
    licenses: Mutex<Vec<License>>,
}

const NAME: &str = "payments";
const ID: RouteId = RouteId(7);

impl Script {
    fn say(&self, reports: impl Into<Vec<Report>>) {
        *self.reports.lock().expect("not poisoned") = reports.into();
    }
}

impl Peers for Script {
    fn gamma(&self) -> UnitInterval {
        UnitInterval::try_new(0.3).expect("in range")
    }

    fn route_id(&self, route: &str) -> RouteId {
        if route == NAME { ID } else { RouteId(route.len() as u64 + 1_000) }
    }

    fn troubled(&self, _: Timestamp) -> Vec<RouteId> {
        let reports = self.reports.lock().expect("not poisoned");
        if reports.iter().any(Report::complains) { vec![ID] } else { Vec::new() }
    }

    fn reports(&self, route: RouteId, _: Timestamp, reports: &mut Vec<Report>) {
        if route == ID {
            reports.extend(self.reports.lock().expect("not poisoned").iter());
        }
    }

    fn voices(&self, route: RouteId, now: Timestamp) -> Vec<(NodeId, Report)> {
        let mut reports = Vec::new();
        self.reports(route, now, &mut reports);
        (2..).map(NodeId).zip(reports).collect()
    }

    fn nodes(&self, _: Timestamp) -> Vec<Node> {
        vec![Node::new(NodeId(1), "me"), Node::new(NodeId(2), "you")]
    }

    fn poll_notice(&self) -> Option<Notice> {
        self.notices.lock().expect("not poisoned").pop()
    }
}

/// Memory, with the scripted cluster around it.
#[derive(Clone)]
struct Scripted {
    memory: Arc<InMemoryProvider>,
    script: Arc<Script>,
}

impl StateProvider for Scripted {
    fn connect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.memory.connect()
    }
    fn disconnect(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        self.memory.disconnect()
    }
    fn get_vector<'a>(
        &'a self,
        route: &'a str,
    ) -> BoxFuture<'a, Result<Option<PhysicsVector>, ProviderError>> {
        self.memory.get_vector(route)
    }
    fn update_vector<'a>(
        &'a self,
        route: &'a str,
        vector: PhysicsVector,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.memory.update_vector(route, vector)
    }
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<RouteVector>, ProviderError>> {
        self.memory.snapshot()
    }
    fn health(&self) -> Health {
        self.memory.health()
    }
    fn peers(&self) -> Option<Arc<dyn Peers>> {
        Some(Arc::clone(&self.script) as Arc<dyn Peers>)
    }
    fn license(&self, license: &License) -> Result<(), LicenseRefused> {
        self.script.licenses.lock().expect("not poisoned").push(license.clone());
        match license {
            License { policy: LicensePolicy::Strict, source: LicenseSource::Inline(key) }
                if key.is_empty() =>
            {
                Err(LicenseRefused { feature: "cluster", source: "no key".into() })
            }
            _ => Ok(()),
        }
    }
}

struct Bench {
    clock: ManualClock,
    script: Arc<Script>,
    provider: Scripted,
    atrion: Atrion,
}

fn complaint() -> Report {
    Report {
        scar: Ohms::from(500_u32),
        evidence: Evidence::from(5_u32),
        demand: PerSecond::try_new(20.0).expect("in range"),
        stance: Stance { open: true, ..Stance::CALM },
        age_secs: 0.0,
    }
}

fn bench() -> Bench {
    let clock = ManualClock::starting_at(Timestamp::from_secs(50));
    let script = Arc::new(Script::default());
    let memory = Arc::new(InMemoryProvider::new());
    let provider = Scripted { memory, script: Arc::clone(&script) };
    let atrion = Atrion::builder()
        .clock(clock.clone())
        .provider(provider.clone())
        .seed(5)
        .build()
        .expect("valid");
    Bench { clock, script, provider, atrion }
}

impl Bench {
    fn pulse(&self) {
        self.clock.advance(Duration::from_millis(100));
        block_on(self.atrion.flush()).expect("memory serves");
    }

    fn held(&self) -> Route {
        let route = self.atrion.route(NAME);
        self.script.say([complaint(), complaint()]);
        for _ in 0..3 {
            self.pulse();
        }
        assert!(route.is_held());
        route
    }
}

#[test]
fn a_held_route_refuses_and_says_why() {
    let bench = bench();
    let route = bench.held();
    let shed = route.admit(Priority::Critical).expect_err("held");
    assert_eq!((shed.reason(), shed.reason().as_str()), (Reason::Held, "held"));
    let parts = shed.parts();
    assert!((parts.cluster_scar - 100.0).abs() < 1e-3 && parts.scar.abs() < 1e-9, "{parts:?}");
    // Nobody asked for the route so far: its turn to look is far away, until somebody does.
    assert!(shed.retry_after() > Duration::from_secs(2));
    for _ in 0..40 {
        bench.pulse();
        assert!(route.admit(Priority::Critical).map(drop).is_err() || route.is_held());
    }
    let shed = route.admit(Priority::Critical).expect_err("held");
    assert!(shed.retry_after() < Duration::from_secs(3), "{:?}", shed.retry_after());
    assert!(!route.would_flow(Priority::Critical) && !route.is_open());
    let explained = route.explain(Priority::High);
    assert_eq!(explained.reason(), Some(Reason::Held));
    assert!(
        explained.refusal.expect("held").explain().to_string().contains("cluster scar 100.000")
    );
}

#[test]
fn a_newcomer_is_told_before_its_first_request() {
    let bench = bench();
    bench.script.say([complaint()]);
    for _ in 0..3 {
        bench.pulse();
    }
    let route = bench.atrion.route(NAME);
    assert_eq!(route.admit(Priority::High).expect_err("held").reason(), Reason::Held);
    assert!(bench.atrion.route("another").admit(Priority::Bulk).is_ok());
}

#[test]
fn probes_pass_one_at_a_time_and_four_good_ones_free_the_route() {
    let bench = bench();
    let route = bench.held();
    let mut admitted = 0;
    for step in 0..600 {
        bench.clock.advance(Duration::from_millis(10));
        if step % 10 == 0 {
            bench.pulse();
        }
        let Ok(permit) = route.admit_owned(Priority::Normal) else { continue };
        let second = route.admit(Priority::Normal);
        if admitted == 0 {
            assert!(second.is_err(), "one look at a time at first");
        }
        drop(second);
        permit.success();
        admitted += 1;
        if admitted == 4 {
            break;
        }
    }
    assert_eq!(admitted, 4);
    bench.pulse();
    assert!(!route.is_held());
    for _ in 0..20 {
        bench.pulse();
        route
            .admit(Priority::Bulk)
            .expect("refuted for as long as its own requests succeed")
            .success();
    }
}

#[test]
fn a_probe_that_is_dropped_returns_its_place() {
    let bench = bench();
    let route = bench.held();
    let mut looks = 0;
    for _ in 0..400 {
        bench.pulse();
        if let Ok(permit) = route.admit(Priority::Normal) {
            permit.cancel();
            looks += 1;
        }
    }
    assert!(looks >= 10, "{looks} looks in 40 s although every one was given up");
    assert!(route.is_held(), "a look that was given up says nothing");
}

#[test]
fn shadow_mode_and_the_operator_overrule_what_others_say() {
    let bench = bench();
    let route = bench.held();
    route.set_shadow(true);
    route.admit(Priority::Bulk).expect("shadowed").success();
    assert!(route.counts().shadow_shed > 0);
    route.set_shadow(false);
    assert!(route.admit(Priority::Bulk).is_err());
    route.force(Force::Closed, Duration::from_secs(60));
    route.admit(Priority::Bulk).expect("forced").success();
    route.release();
    assert!(route.admit(Priority::Bulk).is_err());
}

#[test]
fn when_the_others_fall_silent_the_route_is_free() {
    let bench = bench();
    let route = bench.held();
    bench.script.say([]);
    bench.pulse();
    assert!(!route.is_held());
    route.admit(Priority::Bulk).expect("free").success();
    for _ in 0..100 {
        bench.pulse();
    }
    // And if the pulse itself dies, what was heard is forgotten within two seconds.
    let route = bench.held();
    bench.clock.advance(Duration::from_millis(2_100));
    bench.atrion.tick();
    assert!(!route.is_held());
}

#[test]
fn a_choice_among_routes_avoids_the_held_one_and_sends_it_its_probe() {
    let bench = bench();
    let held = bench.held();
    let routes = [held.clone(), bench.atrion.route("other")];
    let mut probes = 0;
    for _ in 0..100 {
        bench.pulse();
        let chosen = bench.atrion.select_route(&routes, Priority::Normal, 1.0).expect("valid");
        if chosen == Some(&held) {
            held.admit(Priority::Normal).expect("its probe is due").failure();
            probes += 1;
        }
    }
    assert!((1..20).contains(&probes), "{probes}");
}

#[test]
fn what_is_published_is_the_own_observation_and_nothing_that_was_heard() {
    let bench = bench();
    let route = bench.held();
    let vector = route.vector();
    assert!(vector.scar_tissue.is_zero() && vector.stance.held && !vector.stance.open);
    assert!(vector.resistance.get() < 1.0, "{:?} holds what others said", vector.resistance);
    let stored = block_on(bench.provider.memory.get_vector(NAME)).expect("serves").expect("told");
    assert!(stored.scar_tissue.is_zero() && stored.stance.held, "{stored:?}");
}

/// Notes what it hears of held routes and of the cluster.
struct Collect(Arc<Mutex<Vec<String>>>);
impl atrion_engine::Observer for Collect {
    fn event(&self, event: &Event) {
        match event {
            Event::Held { held, route, .. } => {
                self.0.lock().expect("not poisoned").push(format!("{} held {held}", route.name()));
            }
            Event::Cluster(notice) => {
                self.0.lock().expect("not poisoned").push(format!("{notice:?}"));
            }
            _ => {}
        }
    }
}

#[test]
fn observers_hear_of_held_routes_and_of_the_cluster() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let script = Arc::new(Script::default());
    let memory = Arc::new(InMemoryProvider::new());
    let clock = ManualClock::new();
    let atrion = Atrion::builder()
        .clock(clock.clone())
        .provider(Scripted { memory, script: Arc::clone(&script) })
        .observer(Collect(Arc::clone(&events)))
        .build()
        .expect("valid");
    let _route = atrion.route(NAME);
    script.say([complaint()]);
    script
        .notices
        .lock()
        .expect("not poisoned")
        .push(Notice::NodeJoined { id: NodeId(9), name: "nine".into() });
    for _ in 0..3 {
        clock.advance(Duration::from_millis(100));
        block_on(atrion.flush()).expect("serves");
    }
    assert_eq!(atrion.nodes().len(), 2);
    assert_eq!(atrion.health(), Some(Health::Healthy));
    while atrion.stats().observer.delivered < 2 {
        std::thread::yield_now();
    }
    let heard = events.lock().expect("not poisoned").clone();
    assert!(heard.iter().any(|event| event == "payments held true"), "{heard:?}");
    assert!(heard.iter().any(|event| event.contains("nine")), "{heard:?}");
}

#[test]
fn the_licence_reaches_the_provider_and_a_strict_one_stops_the_build() {
    let bench = bench();
    let given =
        |b: &Bench| b.script.licenses.lock().expect("not poisoned").last().cloned().expect("one");
    assert_eq!(given(&bench), License::default(), "the environment, unless told");
    bench.atrion.replace_license("a key").expect("lenient");
    assert_eq!(given(&bench).source, LicenseSource::from("a key"));
    let refused = Atrion::builder()
        .provider(bench.provider.clone())
        .license("")
        .license_policy(LicensePolicy::Strict)
        .build();
    match refused {
        Err(BuildError::License(refused)) => assert_eq!(refused.feature, "cluster"),
        other => panic!("{other:?}"),
    }
    assert_eq!(Atrion::builder().build().expect("valid").health(), None);
    assert!(Atrion::builder().build().expect("valid").nodes().is_empty());
}

#[test]
fn what_each_node_says_is_told_with_what_this_one_makes_of_it() {
    let alone = Atrion::builder().build().expect("valid");
    let _route = alone.route(NAME);
    assert!(alone.hearing(NAME).is_none() && alone.gamma().is_none() && alone.trouble().is_none());

    let bench = bench();
    let _route = bench.atrion.route(NAME);
    bench.script.say([complaint(), Report { evidence: Evidence::ZERO, ..complaint() }]);
    block_on(bench.atrion.flush()).expect("memory");
    let hearing = bench.atrion.hearing(NAME).expect("there are others");
    assert!(bench.atrion.hearing("nobody asked for it").is_none());
    assert!((hearing.gamma.get() - 0.3).abs() < 1e-12 && bench.atrion.gamma().is_some());
    let votes: Vec<_> = hearing.voices.iter().map(|v| (v.node.0, v.vote.is_some())).collect();
    assert_eq!(votes, [(2, true), (3, false)], "who has no evidence has no vote");
    // A node that saw nothing itself takes the others' word whole.
    assert!(hearing.held && !hearing.own_votes && hearing.own_scar.is_zero());
    assert!(hearing.added_ohms > 50.0 && hearing.word.voters == 1, "{hearing:?}");
    assert_eq!(bench.atrion.complained_about(), [NAME.into()]);
    bench.script.say([]);
    assert!(bench.atrion.complained_about().is_empty());
}
