//! The observer port: what happened, told to whoever watches, never at the request's expense.

use std::ops::{BitOr, BitOrAssign};
use std::sync::Arc;

use atrion_core::law::BreakerMode;
use atrion_core::time::Timestamp;
use atrion_core::units::{Ohms, Volts};
use atrion_state::peers::Notice;
use atrion_state::pulse::PulseEvent;

use crate::route::Route;
use crate::shed::{Reason, Shed};

/// Something an [`Observer`] is told about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A request was refused, or would have been on a shadowed route.
    Shed {
        /// The route.
        route: Route,
        /// Why, by how much, and when to retry.
        shed: Shed,
        /// The route is shadowed: the request was admitted all the same.
        shadow: bool,
    },
    /// One decision of many: see [`Builder::sample_decisions`](crate::Builder::sample_decisions).
    Decision {
        /// The route.
        route: Route,
        /// V: the voltage of the request.
        voltage: Volts,
        /// Whether it was admitted.
        admitted: bool,
        /// R: what it met, itself included among those in flight if it was admitted.
        resistance: Ohms,
        /// Why it was refused, or would have been on a route that is not shadowed.
        reason: Option<Reason>,
        /// It was admitted only because the route is shadowed.
        shadow: bool,
        /// When, on the instance's clock.
        at: Timestamp,
    },
    /// The breaker of a route opened or closed.
    ModeChanged {
        /// The route.
        route: Route,
        /// The new mode.
        mode: BreakerMode,
        /// When, on the instance's clock.
        at: Timestamp,
    },
    /// A route holds its requests back because of what other nodes said, or no longer.
    Held {
        /// The route.
        route: Route,
        /// Whether it does so from now on.
        held: bool,
        /// When, on the instance's clock.
        at: Timestamp,
    },
    /// A route's state was brought up to date. Look at it with [`Route::report`].
    Ticked {
        /// The route.
        route: Route,
        /// When, on the instance's clock.
        at: Timestamp,
    },
    /// A route was forgotten to make room for another.
    Evicted {
        /// Its name.
        name: Arc<str>,
    },
    /// The configuration in force was replaced.
    Reloaded,
    /// The exchange with the provider has news: trouble, recovery, lost data.
    Pulse(PulseEvent),
    /// The cluster has news: links, nodes, the licence.
    Cluster(Notice),
}

/// What an [`Observer`] wants to be told: a set of kinds of events, put together with `|`.
///
/// ```
/// use atrion_engine::Interest;
///
/// let calm = Interest::MODES | Interest::FIRST_SHEDS;
/// assert!(calm.contains(Interest::MODES) && !calm.contains(Interest::SHEDS));
/// assert!(Interest::default().contains(Interest::SHEDS));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interest(u32);

impl Interest {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Every refusal, as [`Event::Shed`]: as many as there are.
    pub const SHEDS: Self = Self(1);
    /// The first refusal of a route after each of its ticks, as [`Event::Shed`]: some ten a second
    /// and route, however many are refused. Adds nothing to [`SHEDS`](Self::SHEDS).
    pub const FIRST_SHEDS: Self = Self(1 << 1);
    /// [`Event::ModeChanged`] and [`Event::Held`].
    pub const MODES: Self = Self(1 << 2);
    /// [`Event::Evicted`] and [`Event::Reloaded`].
    pub const INSTANCE: Self = Self(1 << 3);
    /// [`Event::Pulse`] and [`Event::Cluster`].
    pub const CLUSTER: Self = Self(1 << 4);
    /// [`Event::Decision`].
    pub const DECISIONS: Self = Self(1 << 5);
    /// [`Event::Ticked`].
    pub const TICKS: Self = Self(1 << 6);
    /// Everything there is.
    pub const ALL: Self = Self((1 << 7) - 1);

    /// Whether all of `other` is part of this.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is part of this.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    pub(crate) const fn of_bits(bits: u32) -> Self {
        Self(bits & Self::ALL.0)
    }
}

/// Everything but [`DECISIONS`](Self::DECISIONS) and [`TICKS`](Self::TICKS), which come in masses.
impl Default for Interest {
    fn default() -> Self {
        Self::SHEDS | Self::MODES | Self::INSTANCE | Self::CLUSTER
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// Watches an instance, on a thread of its own.
///
/// It may block or panic: its thread waits, its queue drops and counts, and neither requests nor
/// other observers notice. It should not own the [`Atrion`](crate::Atrion) it watches, nor keep
/// events, whose routes belong to it: neither would end before the observer is detached.
pub trait Observer: Send + Sync + 'static {
    /// One event, in the order of their happening on each thread.
    fn event(&self, event: &Event);

    /// What it wants to be told. Asked once, when it is attached, on the thread that does so.
    fn interest(&self) -> Interest {
        Interest::default()
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn event(&self, event: &Event) {
        O::event(self, event);
    }

    fn interest(&self) -> Interest {
        O::interest(self)
    }
}

impl<O: Observer + ?Sized> Observer for Box<O> {
    fn event(&self, event: &Event) {
        O::event(self, event);
    }

    fn interest(&self) -> Interest {
        O::interest(self)
    }
}

/// How an observer fares, or all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObserverHealth {
    /// Events it was given.
    pub delivered: u64,
    /// Events dropped because it did not keep up.
    pub dropped: u64,
    /// Events during which it panicked.
    pub panicked: u64,
}
