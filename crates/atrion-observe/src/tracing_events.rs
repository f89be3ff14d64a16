//! Events of the observer as events of `tracing`.

use std::sync::{Mutex, PoisonError};

use atrion_core::law::BreakerMode;
use atrion_core::time::Timestamp;
use atrion_core::units::{Ohms, Volts};
use atrion_engine::{Event, Interest, Observer, Reason, Shed};
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::peers::Notice;
use atrion_state::pulse::PulseEvent;
use tracing::{debug, error, info, trace, warn};

use crate::label::label_value;
use crate::throttle::{Throttle, Told};

/// Tells `tracing` what an instance tells its observers, with the target `atrion`.
///
/// | what | level | fields besides `route` |
/// |---|---|---|
/// | the breaker opened | warn | |
/// | the breaker closed | info | |
/// | the route is held because of what other nodes say | warn | |
/// | no longer | info | |
/// | a request was refused | info | `reason`, `volts`, `ohms`, `retry_after_ms`, `shadow`, `suppressed` |
/// | a sampled decision | trace if admitted, debug if not | `volts`, `ohms`, `admitted`, `shadow`, `reason` |
/// | a route was forgotten to make room | debug | `suppressed` |
/// | the configuration was replaced | info | |
/// | the provider fails | warn | `reason`, `failures`, `failing_ms`, `suppressed` |
/// | it works again | info | `failures`, `failed_ms` |
/// | links, nodes, the licence (see [`cluster_notices`](Self::cluster_notices)) | debug to error | `id`, `node`, `status`, `reason`, `after_ms` |
///
/// Refusals are told at most five times a second, evictions once; `suppressed` says how many were
/// not told since. Route names are written as their [`label_value`]: bounded, and without control
/// characters, so that nobody can write lines of their own into a log.
///
/// All of it happens on the observer's thread; a subscriber that blocks holds up nothing but that.
///
/// ```
/// use atrion_engine::Atrion;
/// use atrion_observe::TracingObserver;
///
/// let atrion = Atrion::builder().observer(TracingObserver::new()).build()?;
/// # Ok::<(), atrion_engine::BuildError>(())
/// ```
#[derive(Debug)]
pub struct TracingObserver {
    clock: MonotonicClock,
    refusals: Mutex<Throttle>,
    evictions: Mutex<Throttle>,
    cluster_notices: bool,
}

/// Told a second, unless said otherwise.
const REFUSALS_PER_SEC: f64 = 5.0;
const EVICTIONS_PER_SEC: f64 = 1.0;

impl TracingObserver {
    /// One with the defaults.
    pub fn new() -> Self {
        let clock = MonotonicClock::new();
        let now = clock.now();
        Self {
            clock,
            refusals: Mutex::new(Throttle::new(REFUSALS_PER_SEC, now)),
            evictions: Mutex::new(Throttle::new(EVICTIONS_PER_SEC, now)),
            cluster_notices: false,
        }
    }

    /// Tells so many refusals a second, and as many at once. Zero tells none.
    #[must_use]
    pub fn refusals_per_sec(mut self, refusals: f64) -> Self {
        self.refusals = Mutex::new(Throttle::new(refusals, self.clock.now()));
        self
    }

    /// Tells the notices of the cluster too. Off by default: `atrion-cluster` writes them to
    /// `tracing` itself, with its own target.
    #[must_use]
    pub const fn cluster_notices(mut self, on: bool) -> Self {
        self.cluster_notices = on;
        self
    }

    fn ask(&self, throttle: &Mutex<Throttle>) -> Told {
        throttle.lock().unwrap_or_else(PoisonError::into_inner).ask(self.clock.now())
    }

    fn refused(&self, route: &str, shed: &Shed, shadow: bool) {
        let Told::Yes { suppressed } = self.ask(&self.refusals) else { return };
        info!(
            target: "atrion",
            route = %label_value(route),
            reason = shed.reason().as_str(),
            volts = shed.voltage().get(),
            ohms = shed.resistance().get(),
            retry_after_ms = shed.retry_after().as_millis() as u64,
            shadow,
            suppressed,
            "request refused"
        );
    }
}

impl Default for TracingObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for TracingObserver {
    fn interest(&self) -> Interest {
        Interest::FIRST_SHEDS
            | Interest::MODES
            | Interest::INSTANCE
            | Interest::CLUSTER
            | Interest::DECISIONS
    }

    fn event(&self, event: &Event) {
        match event {
            Event::Shed { route, shed, shadow } => self.refused(route.name(), shed, *shadow),
            Event::Decision { route, voltage, admitted, resistance, reason, shadow, at } => {
                let decision = Decision { voltage, admitted, resistance, reason, shadow, at };
                decision.tell(route.name());
            }
            Event::ModeChanged { route, mode, .. } => {
                let route = label_value(route.name());
                match mode {
                    BreakerMode::Open => warn!(target: "atrion", %route, "breaker opened"),
                    BreakerMode::Closed => info!(target: "atrion", %route, "breaker closed"),
                }
            }
            Event::Held { route, held, .. } => {
                let route = label_value(route.name());
                if *held {
                    warn!(target: "atrion", %route, "held: other nodes say that it fails");
                } else {
                    info!(target: "atrion", %route, "no longer held");
                }
            }
            Event::Evicted { name } => {
                if let Told::Yes { suppressed } = self.ask(&self.evictions) {
                    let route = label_value(name);
                    debug!(target: "atrion", %route, suppressed, "route forgotten to make room");
                }
            }
            Event::Reloaded => info!(target: "atrion", "configuration replaced"),
            Event::Pulse(event) => pulse(event),
            Event::Cluster(notice) if self.cluster_notices => cluster(notice),
            // Ticks are not asked for; what later versions tell, later versions of this write.
            _ => {}
        }
    }
}

/// The fields of a sampled decision.
struct Decision<'e> {
    voltage: &'e Volts,
    admitted: &'e bool,
    resistance: &'e Ohms,
    reason: &'e Option<Reason>,
    shadow: &'e bool,
    at: &'e Timestamp,
}

impl Decision<'_> {
    fn tell(&self, route: &str) {
        let Self { voltage, admitted, resistance, reason, shadow, at } = *self;
        let (volts, ohms, at_ns) = (voltage.get(), resistance.get(), at.as_nanos());
        // As often as there are decisions to tell: the name is only put together if it is wanted.
        if *admitted && tracing::enabled!(target: "atrion", tracing::Level::TRACE) {
            let (route, reason) = (label_value(route), reason.map(Reason::as_str));
            trace!(target: "atrion", %route, volts, ohms, admitted, shadow, reason, at_ns, "decision");
        } else if !admitted && tracing::enabled!(target: "atrion", tracing::Level::DEBUG) {
            let (route, reason) = (label_value(route), reason.map(Reason::as_str));
            debug!(target: "atrion", %route, volts, ohms, admitted, shadow, reason, at_ns, "decision");
        }
    }
}

fn pulse(event: &PulseEvent) {
    match event {
        PulseEvent::Unhealthy { reason, failures, failing_for, suppressed } => warn!(
            target: "atrion",
            reason = ?reason,
            failures,
            failing_ms = failing_for.as_millis() as u64,
            suppressed,
            "the provider fails; local protection goes on"
        ),
        PulseEvent::Healthy { failed_for, failures } => info!(
            target: "atrion",
            failures,
            failed_ms = failed_for.as_millis() as u64,
            "the provider works again"
        ),
        _ => {}
    }
}

fn cluster(notice: &Notice) {
    match notice {
        Notice::LinkUp { after } => {
            info!(target: "atrion", after_ms = after.as_millis() as u64, "the cluster's link is up");
        }
        Notice::LinkDown { reason } => {
            warn!(target: "atrion", ?reason, "the cluster's link is down; local protection goes on");
        }
        Notice::NodeJoined { id, name } => {
            debug!(target: "atrion", %id, node = ?name, "a node joined");
        }
        Notice::NodeLeft { id, name } => debug!(target: "atrion", %id, node = ?name, "a node left"),
        Notice::DuplicateNode { id } => {
            error!(target: "atrion", %id, "another process uses this node's id; a new one was taken");
        }
        Notice::License { status, message } => match *status {
            "valid" => info!(target: "atrion", status, "{message}"),
            "expiring" | "grace" => warn!(target: "atrion", status, "{message}"),
            _ => error!(target: "atrion", status, "{message}"),
        },
        _ => {}
    }
}
