//! Events and spans as a subscriber gets them.
#![cfg(feature = "tracing")]

use std::fmt::{Debug, Write as _};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_core::law::BreakerMode;
use atrion_core::time::Timestamp;
use atrion_core::units::{Ohms, Volts};
use atrion_engine::{Atrion, Event, Force, Observer, Reason};
use atrion_observe::{TracingObserver, guarded};
use atrion_state::blocking::block_on;
use atrion_state::peers::Notice;
use atrion_state::pulse::PulseEvent;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};

const HOUR: Duration = Duration::from_secs(3600);

/// Writes down everything up to a level.
#[derive(Clone)]
struct Journal {
    lines: Arc<Mutex<Vec<String>>>,
    level: Level,
    spans: Arc<AtomicU64>,
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Journal {
    fn up_to(level: Level) -> Self {
        Self { lines: Arc::default(), level, spans: Arc::default() }
    }

    fn write(&self, line: String) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is written while `f` runs.
    fn during(&self, f: impl FnOnce()) -> Vec<String> {
        tracing::subscriber::with_default(self.clone(), f);
        self.lines()
    }
}

impl Subscriber for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.target() == "atrion"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(format!("span {}:", span.metadata().name()));
        span.record(&mut fields);
        self.write(fields.0);
        Id::from_u64(self.spans.fetch_add(1, Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut fields = Fields("recorded:".to_owned());
        values.record(&mut fields);
        self.write(fields.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields(format!("{}:", event.metadata().level()));
        event.record(&mut fields);
        self.write(fields.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn forced_open(name: &str) -> (Atrion, Event) {
    let atrion = Atrion::builder().build().expect("builds");
    let route = atrion.route(name);
    route.force(Force::Open, HOUR);
    let shed = route.admit(Priority::High).expect_err("forced open");
    (atrion, Event::Shed { route, shed, shadow: false })
}

#[test]
fn each_event_has_its_level_and_its_fields() {
    let (atrion, shed) = forced_open("GET /a");
    let (observer, journal) = (TracingObserver::new(), Journal::up_to(Level::TRACE));
    let at = Timestamp::ZERO;
    let route = || atrion.route("GET /a");
    let decision = |admitted: bool| Event::Decision {
        route: route(),
        voltage: Volts::from(20_u32),
        admitted,
        resistance: Ohms::from(3_u32),
        reason: (!admitted).then_some(Reason::Saturated),
        shadow: false,
        at,
    };
    let told = |event: Event| {
        let lines = journal.during(|| observer.event(&event));
        assert!(lines.len() <= 1, "{lines:?}");
        lines.into_iter().next().unwrap_or_default()
    };
    let mode = |mode| Event::ModeChanged { route: route(), mode, at };
    let held = |held| Event::Held { route: route(), held, at };
    for (event, level, parts) in [
        (
            shed,
            "INFO",
            &[
                "request refused",
                "route=GET /a",
                "reason=\"forced_open\"",
                "volts=50.0",
                "retry_after_ms=",
                "shadow=false",
                "suppressed=0",
            ][..],
        ),
        (mode(BreakerMode::Open), "WARN", &["breaker opened", "route=GET /a"]),
        (mode(BreakerMode::Closed), "INFO", &["breaker closed"]),
        (held(true), "WARN", &["held", "route=GET /a"]),
        (held(false), "INFO", &["no longer held"]),
        (decision(true), "TRACE", &["decision", "volts=20.0", "ohms=3.0", "admitted=true"]),
        (decision(false), "DEBUG", &["decision", "reason=\"saturated\"", "admitted=false"]),
        (Event::Evicted { name: "b".into() }, "DEBUG", &["forgotten", "route=b"]),
        (Event::Reloaded, "INFO", &["configuration replaced"]),
        (
            Event::Pulse(PulseEvent::Unhealthy {
                reason: "no\nroute to host".to_owned(),
                failures: 3,
                failing_for: Duration::from_millis(1500),
                suppressed: 2,
            }),
            "WARN",
            &["provider fails", "failures=3", "failing_ms=1500", "suppressed=2", "no\\nroute"],
        ),
        (
            Event::Pulse(PulseEvent::Healthy { failed_for: Duration::from_secs(2), failures: 9 }),
            "INFO",
            &["works again", "failed_ms=2000"],
        ),
    ] {
        let line = told(event);
        assert!(line.starts_with(&format!("{level}:")), "{line}");
        for part in parts {
            assert!(line.contains(part), "{part} is missing in {line}");
        }
    }
}

#[test]
fn notices_of_the_cluster_are_told_if_asked_for() {
    let journal = Journal::up_to(Level::TRACE);
    let notice = || {
        let message = "renew it".to_owned();
        Event::Cluster(Notice::License { status: "grace", message })
    };
    let silent = TracingObserver::new();
    assert_eq!(journal.during(|| silent.event(&notice())), [""; 0]);
    let observer = TracingObserver::new().cluster_notices(true);
    let lines = journal.during(|| observer.event(&notice()));
    assert!(lines[0].starts_with("WARN:") && lines[0].contains("renew it"), "{lines:?}");
}

#[test]
fn a_flood_of_refusals_is_a_trickle_of_lines() {
    let (_atrion, shed) = forced_open("GET /a");
    let (observer, journal) = (TracingObserver::new(), Journal::up_to(Level::INFO));
    let lines = journal.during(|| (0..1_000).for_each(|_| observer.event(&shed)));
    // Five at once, and what a slow machine takes seconds for.
    assert!((5..500).contains(&lines.len()), "{} lines", lines.len());
    let mute = TracingObserver::new().refusals_per_sec(0.0);
    assert_eq!(journal.during(|| (0..100).for_each(|_| mute.event(&shed))), [""; 0]);
}

#[test]
fn names_cannot_write_lines_of_their_own() {
    let hostile = format!("a\nWARN: breaker opened route=b\u{1b}[31m{}", "x".repeat(400));
    let (_atrion, shed) = forced_open(&hostile);
    let (observer, journal) = (TracingObserver::new(), Journal::up_to(Level::INFO));
    let lines = journal.during(|| observer.event(&shed));
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].chars().any(char::is_control), "{lines:?}");
    assert!(lines[0].len() < 400, "{lines:?}");
}

#[test]
fn attached_to_an_instance_it_is_told_on_its_own_thread() {
    /// Passes on what it is told, and says when.
    struct Watched(TracingObserver, Journal, std::sync::mpsc::Sender<()>);
    impl Observer for Watched {
        fn event(&self, event: &Event) {
            tracing::subscriber::with_default(self.1.clone(), || self.0.event(event));
            let _ = self.2.send(());
        }
        fn interest(&self) -> atrion_engine::Interest {
            self.0.interest()
        }
    }
    let journal = Journal::up_to(Level::TRACE);
    let (told, events) = std::sync::mpsc::channel();
    let observer = Watched(TracingObserver::new(), journal.clone(), told);
    let atrion = Atrion::builder().sample_decisions(1).observer(observer).build().expect("builds");
    let route = atrion.route("GET /a");
    route.admit(Priority::Normal).expect("calm").success();
    events.recv_timeout(Duration::from_secs(30)).expect("told");
    let lines = journal.lines();
    assert!(lines[0].starts_with("TRACE:") && lines[0].contains("admitted=true"), "{lines:?}");
}

#[test]
fn guarded_work_has_a_span_that_says_how_it_ended() {
    let journal = Journal::up_to(Level::INFO);
    let atrion = Atrion::builder().build().expect("builds");
    let route = atrion.route("to stock");

    let lines = journal.during(|| {
        let done = block_on(guarded(&route, Priority::High, async || Ok::<_, ()>(3)));
        assert_eq!(done.expect("admitted"), Ok(3));
        let failed = block_on(guarded(&route, Priority::High, async || Err::<(), _>("no")));
        assert_eq!(failed.expect("admitted"), Err("no"));
    });
    assert!(lines[0].starts_with("span atrion.guarded: volts=50.0"), "{lines:?}");
    let recorded = |outcome: &str| lines.contains(&format!("recorded: outcome=\"{outcome}\""));
    assert!(recorded("success") && recorded("failure"), "{lines:?}");
    assert!(lines.contains(&"recorded: route=\"to stock\"".to_owned()), "{lines:?}");

    let lines = journal.during(|| {
        let never = async || std::future::pending::<Result<(), ()>>().await;
        let mut work = Box::pin(guarded(&route, Priority::High, never));
        let poll = pin!(&mut work).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(poll, Poll::Pending);
        assert_eq!(route.counts().in_flight, 1);
    });
    assert!(lines.contains(&"recorded: outcome=\"cancelled\"".to_owned()), "{lines:?}");
    let counts = route.counts();
    assert_eq!((counts.completed, counts.cancelled, counts.in_flight), (2, 1, 0));

    route.force(Force::Open, HOUR);
    let lines = journal.during(|| {
        let refused = block_on(guarded(&route, Priority::High, async || Ok::<_, ()>(3)));
        assert_eq!(refused.expect_err("forced open").reason(), Reason::ForcedOpen);
    });
    assert!(lines.contains(&"recorded: reason=\"forced_open\"".to_owned()), "{lines:?}");
}
