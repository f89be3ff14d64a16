//! Rest: what is kept of a route that nobody uses, and how it goes on.

use std::sync::atomic::Ordering::Relaxed;

use atrion_core::law::{Element, LawConfig, Rested};
use atrion_core::time::Timestamp;

use super::{AtomicU32, AtomicU64, Cell, HEALED_OHMS, Inner, Setup};
use crate::counter::Traffic;

/// A [`Cell`] at rest.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    element: Rested,
    completed: u32,
    shed: u32,
    shadow_shed: u32,
    cancelled: u32,
    avoided: u32,
    /// The traffic's mean voltage, as `f32`.
    ground: u32,
    marks: u32,
    shadow: bool,
}

impl Cell {
    /// What is worth keeping of a route that is calm and idle; `None` if it is not. Tick it first,
    /// and see to it that nobody uses it meanwhile.
    pub(crate) fn rest(&self) -> Option<Rest> {
        let inner = self.try_inner()?;
        let reading = self.traffic.read();
        let is_idle = reading.in_flight == 0 && reading.completed == inner.completed;
        if !is_idle || !inner.is_calm() {
            return None;
        }
        Some(Rest {
            element: inner.element.rest()?,
            completed: reading.completed,
            shed: self.shed.load(Relaxed),
            shadow_shed: self.shadow_shed.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            avoided: self.avoided.load(Relaxed),
            ground: self.ground.load(Relaxed),
            marks: self.marks.load(Relaxed),
            shadow: inner.shadow,
        })
    }

    /// The cell as it was. Tick it before its first use.
    pub(crate) fn woken(rest: &Rest, setup: Setup, now: Timestamp, law: &LawConfig) -> Self {
        let setup = Setup { shadow: rest.shadow, ..setup };
        let mut element = rest.element.wake(law);
        // Of the demand of so long ago next to nothing is left.
        element.breaker_mut().count_from(rest.arrivals(), now);
        let last_used = element.last_tick();
        Self {
            traffic: Traffic::of(rest.completed),
            last_done: AtomicU64::new(last_used.as_nanos()),
            shed: AtomicU32::new(rest.shed),
            shadow_shed: AtomicU32::new(rest.shadow_shed),
            cancelled: AtomicU32::new(rest.cancelled),
            avoided: AtomicU32::new(rest.avoided),
            ground: AtomicU32::new(rest.ground),
            marks: AtomicU32::new(rest.marks),
            ..Self::of(Inner::new(element, rest.completed, setup), now)
        }
        .published(now, law)
    }
}

impl Rest {
    const fn arrivals(&self) -> u32 {
        self.completed
            .wrapping_add(self.cancelled)
            .wrapping_add(self.shed)
            .wrapping_add(self.avoided)
    }
}

impl Inner {
    pub(super) const fn new(element: Element, completed: u32, setup: Setup) -> Self {
        Self {
            element,
            reported: None,
            stress_ohms: 0.0,
            hearsay: None,
            completed,
            era: 0,
            scout_sent_at: None,
            series: if setup.series { Some(0.0) } else { None },
            watched: setup.watched,
            shadow: setup.shadow,
            force: None,
        }
    }

    /// Nothing is remembered but what was learned: no scar, no report, no override, no hearsay.
    fn is_calm(&self) -> bool {
        self.force.is_none()
            && self.reported.is_none()
            && self.hearsay.is_none()
            && self.scout_sent_at.is_none()
            && self.element.breaker().scar() <= HEALED_OHMS
    }
}
