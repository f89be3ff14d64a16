//! What all routes of one instance share: clock, configuration, chance, observer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;
use atrion_core::time::Timestamp;
use atrion_state::clock::{Clock, MonotonicClock};
use crossbeam_queue::ArrayQueue;

use crate::cell::{Cell, Setup};
use crate::config::Config;
use crate::lanes::Lanes;
use crate::neighbours::Neighbours;
use crate::observer::{Event, Interest};
use crate::relay::Relays;
use crate::route::RouteState;

/// The clock of an instance. The built-in one is called directly, not through a pointer: reading
/// the time is the dearest thing an admission does.
pub(crate) enum Time {
    Monotonic(MonotonicClock),
    Custom(Box<dyn Clock>),
}

impl Time {
    #[inline]
    fn now(&self) -> Timestamp {
        match self {
            Self::Monotonic(clock) => clock.now(),
            Self::Custom(clock) => clock.now(),
        }
    }
}

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Monotonic(_) => "Monotonic",
            Self::Custom(_) => "Custom",
        })
    }
}

pub(crate) struct Hub {
    pub(crate) time: Time,
    pub(crate) config: ArcSwap<Config>,
    draws: AtomicU64,
    pub(crate) relays: Relays,
    /// What is kept count of, and told, besides the decisions themselves.
    pub(crate) watching: Watching,
    /// Lanes for routes that turn out to be hot, made ahead because ticks run on requests'
    /// threads, which allocate nothing.
    pub(crate) lanes: ArrayQueue<Lanes>,
    /// Routes whose shared state changed since the last pulse; made when there is a provider.
    changed: OnceLock<ArrayQueue<Weak<RouteState>>>,
    /// More changed than could be noted: the next pulse looks at every route.
    overflow: AtomicBool,
    /// The element in series with every route's, if there is one.
    pub(crate) process: Option<Cell>,
    /// The other nodes, if the provider can tell them apart.
    pub(crate) neighbours: OnceLock<Neighbours>,
    /// Where recorded routes leave what happens to them.
    #[cfg(feature = "trace")]
    pub(crate) tape: crate::tap::TapeSlot,
}

/// What an instance keeps count of, and tells, besides the decisions themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watching {
    /// Routes count what they admit and refuse by tier.
    pub(crate) tally: bool,
    /// One decision in so many is told; zero for none.
    pub(crate) one_in: u32,
}

impl Watching {
    /// Whether routes have anything to do for it.
    pub(crate) const fn is_on(self) -> bool {
        self.tally || self.one_in > 0
    }
}

/// Changed routes that are noted between two pulses.
const CHANGED_NOTED: usize = 16_384;

/// Lanes kept ready, and so the hottest routes one instance speeds up between two refills.
const LANES_READY: usize = 16;

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("time", &self.time).finish_non_exhaustive()
    }
}

impl Hub {
    pub(crate) fn new(
        time: Time,
        config: Config,
        process_circuit: bool,
        watching: Watching,
        seed: u64,
    ) -> Self {
        let now = time.now();
        let process = process_circuit.then(|| Cell::new(Setup::default(), now, config.law()));
        let hub = Self {
            time,
            process,
            config: ArcSwap::from(Arc::new(config)),
            draws: AtomicU64::new(seed),
            relays: Relays::default(),
            watching,
            lanes: ArrayQueue::new(LANES_READY),
            changed: OnceLock::new(),
            overflow: AtomicBool::new(false),
            neighbours: OnceLock::new(),
            #[cfg(feature = "trace")]
            tape: crate::tap::TapeSlot::default(),
        };
        hub.refill();
        hub
    }

    /// Makes lanes for as many hot routes as are kept ready. Not on the request path.
    pub(crate) fn refill(&self) {
        while !self.lanes.is_full() && self.lanes.push(Lanes::new()).is_ok() {}
    }

    #[inline]
    pub(crate) fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// Uniform in `[0, 1)`: SplitMix64 over a shared counter, so a seed fixes the sequence. The
    /// draws only spread retries and probes; nothing rests on them being unpredictable.
    pub(crate) fn draw(&self) -> f64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.draws.fetch_add(GOLDEN, Relaxed).wrapping_add(GOLDEN);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The state of the draws: a hub made with this seed goes on as this one does.
    #[cfg(feature = "trace")]
    pub(crate) fn draw_state(&self) -> u64 {
        self.draws.load(Relaxed)
    }

    /// From now on changes are noted for the pulse.
    pub(crate) fn share(&self) {
        self.changed.get_or_init(|| ArrayQueue::new(CHANGED_NOTED));
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.changed.get().is_some()
    }

    pub(crate) fn note_changed(&self, route: Weak<RouteState>) {
        if self.changed.get().is_some_and(|changed| changed.push(route).is_err()) {
            self.note_overflow();
        }
    }

    pub(crate) fn take_changed(&self) -> Option<Weak<RouteState>> {
        self.changed.get()?.pop()
    }

    pub(crate) fn note_overflow(&self) {
        self.overflow.store(true, Relaxed);
    }

    pub(crate) fn take_overflow(&self) -> bool {
        self.overflow.swap(false, Relaxed)
    }

    /// Tells whoever wants to be told.
    pub(crate) fn tell(&self, kinds: Interest, event: impl FnOnce() -> Event) {
        self.relays.tell(kinds, event);
    }
}
