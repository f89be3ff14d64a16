//! The tap: what recorded routes leave on a tape, never at the request's expense.
//!
//! A route that is not recorded looks at one flag, beside words that every request reads anyway. A
//! recorded one reads the clock where the engine did not, and leaves two observations on the tape:
//! at its arrival and at its end. They are matched by the ticket's words.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use arc_swap::ArcSwapOption;
use atrion_core::law::BreakerMode;
use atrion_core::time::Timestamp;
use atrion_core::units::Volts;
use atrion_trace::{
    Arrival, Decision, Ending, Kind as Recorded, Mark, Outcome as Ended, Reason as Why,
    RecordError, RouteStart, Tape,
};

use crate::cell::{Kind, Ticket};
use crate::instance::Atrion;
use crate::permit::Outcome;
use crate::route::Route;
use crate::shed::{Reason, Shed};

/// Whether a route is recorded: its index on the tape plus one, or zero.
#[derive(Debug, Default)]
pub(crate) struct Tap(AtomicU32);

impl Tap {
    #[inline]
    fn is_off(&self) -> bool {
        self.0.load(Relaxed) == 0
    }
}

/// The tape of an instance, while it is recorded.
pub(crate) type TapeSlot = ArcSwapOption<Tape>;

/// What happens to a route besides requests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Influence {
    Mode(BreakerMode),
    Held(bool),
    Reported,
    Forced,
    Shadowed,
    Reset,
    Reloaded,
}

impl Influence {
    const fn mark(self) -> Mark {
        match self {
            Self::Mode(BreakerMode::Open) => Mark::Opened,
            Self::Mode(BreakerMode::Closed) => Mark::Closed,
            Self::Held(true) => Mark::Held,
            Self::Held(false) => Mark::Released,
            Self::Reported => Mark::Reported,
            Self::Forced => Mark::Forced,
            Self::Shadowed => Mark::Shadowed,
            Self::Reset => Mark::Reset,
            Self::Reloaded => Mark::Reloaded,
        }
    }
}

const fn why(reason: Reason) -> Why {
    match reason {
        Reason::Saturated => Why::Saturated,
        Reason::Scarred => Why::Scarred,
        Reason::BreakerOpen => Why::BreakerOpen,
        Reason::Held => Why::Held,
        Reason::ForcedOpen => Why::ForcedOpen,
    }
}

impl Route {
    /// The tape, and this route's index on it, while it is recorded.
    fn on_tape(&self, leave: impl FnOnce(&Tape, u32)) {
        if let Some(route) = self.0.tap.0.load(Relaxed).checked_sub(1)
            && let Some(tape) = &*self.0.hub.tape.load()
        {
            leave(tape, route);
        }
    }

    #[inline]
    pub(crate) fn tap_admitted(&self, volts: Volts, ticket: Ticket) -> Ticket {
        if self.0.tap.is_off() { ticket } else { self.leave_admitted(volts, ticket) }
    }

    #[cold]
    fn leave_admitted(&self, volts: Volts, ticket: Ticket) -> Ticket {
        let mut ticket = ticket;
        self.on_tape(|tape, route| {
            let started = ticket.started();
            if started.is_none() {
                ticket = ticket.numbered(tape.next_id());
            }
            let kind = match ticket.admitted_as() {
                Kind::Plain => Recorded::Plain,
                Kind::Marked => Recorded::Marked,
                Kind::Probe => Recorded::Probe,
                Kind::Scout => Recorded::Scout,
            };
            let arrival = Arrival {
                route,
                at: started.unwrap_or_else(|| self.0.hub.now()).as_nanos(),
                volts: volts.get(),
                in_flight: started.map(|_| ticket.number()),
                decision: Decision::Admitted { kind, shadowed: ticket.shadow_reason().map(why) },
            };
            tape.arrived(arrival, Some(ticket.words()));
        });
        ticket
    }

    pub(crate) fn tap_refused(&self, shed: &Shed) {
        self.on_tape(|tape, route| {
            let arrival = Arrival {
                route,
                at: self.0.hub.now().as_nanos(),
                volts: shed.voltage().get(),
                in_flight: Some(self.0.cell.counts().in_flight),
                decision: Decision::Refused {
                    reason: why(shed.reason()),
                    ohms: shed.resistance().get() as f32,
                },
            };
            tape.arrived(arrival, None);
        });
    }

    #[inline]
    pub(crate) fn tap_ended(&self, ticket: Ticket, outcome: Outcome) {
        if !self.0.tap.is_off() {
            self.leave_ended(ticket, outcome);
        }
    }

    #[cold]
    fn leave_ended(&self, ticket: Ticket, outcome: Outcome) {
        self.on_tape(|tape, route| {
            let outcome = match outcome {
                Outcome::Success => Ended::Success,
                Outcome::Failure => Ended::Failure,
                Outcome::Cancelled => Ended::Cancelled,
            };
            let ending = Ending { route, at: self.0.hub.now().as_nanos(), outcome };
            tape.ended(ending, ticket.words());
        });
    }

    pub(crate) fn tap_influence(&self, influence: Influence, at: Timestamp) {
        self.on_tape(|tape, route| tape.marked(route, at.as_nanos(), influence.mark()));
    }
}

/// A recording of some routes. It ends when this is dropped.
///
/// It keeps its routes from being forgotten. What requests in flight do after its end is not in
/// the trace.
#[derive(Debug)]
#[must_use = "a recording that is dropped at once records nothing"]
pub struct Recording {
    routes: Vec<Route>,
}

impl Drop for Recording {
    fn drop(&mut self) {
        for route in &self.routes {
            route.0.tap.0.store(0, Relaxed);
        }
        if let Some(route) = self.routes.first() {
            route.0.hub.tape.store(None);
        }
    }
}

impl Atrion {
    /// Leaves on `tape` what these routes go through, until the answer is dropped.
    ///
    /// May be switched on and off while the service runs. Requests never wait for it: a full tape
    /// drops and counts. Give it the tape of a [`Recorder`](atrion_trace::Recorder), which writes
    /// to a file on its own thread.
    ///
    /// ```
    /// use atrion_core::flow::Priority;
    /// use atrion_engine::Atrion;
    /// use atrion_trace::{Recorder, Settings};
    ///
    /// # let folder = std::env::temp_dir().join(format!("atrion-doc-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("pay.trace");
    /// let atrion = Atrion::builder().build()?;
    /// let route = atrion.route("api/pay");
    ///
    /// let recorder = Recorder::create(&path, Settings::default())?;
    /// let recording = atrion.record(recorder.tape(), &[route.clone()])?;
    /// if let Ok(permit) = route.admit(Priority::Normal) {
    ///     permit.success();
    /// }
    /// drop(recording);
    /// assert_eq!(recorder.finish()?.arrivals, 1);
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RecordError`] if a recording goes on already, a route is of another instance, or the tape
    /// has no room for so many routes. Nothing is recorded then.
    pub fn record(&self, tape: &Arc<Tape>, routes: &[Route]) -> Result<Recording, RecordError> {
        let hub = self.overflow_route().0.hub.clone();
        if let Some(foreign) = routes.iter().find(|r| !Arc::ptr_eq(&r.0.hub, &hub)) {
            return Err(RecordError::ForeignRoute { route: foreign.name().to_owned() });
        }
        let mut indices = Vec::with_capacity(routes.len());
        for route in routes {
            let counts = route.counts();
            let start = RouteStart {
                name: Arc::clone(&route.0.name),
                at: hub.now().as_nanos(),
                seed: hub.draw_state(),
                in_flight: counts.in_flight,
                is_new: counts == crate::cell::Counts::default(),
            };
            indices.push(tape.start(start)?);
        }
        let before = hub.tape.compare_and_swap(std::ptr::null(), Some(Arc::clone(tape)));
        if before.is_some() {
            return Err(RecordError::AlreadyRecording);
        }
        for (route, index) in routes.iter().zip(indices) {
            route.0.tap.0.store(index + 1, Relaxed);
        }
        Ok(Recording { routes: routes.to_vec() })
    }
}
