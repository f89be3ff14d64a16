//! What the provider and the task that drives its link share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atrion_core::time::Timestamp;
use atrion_core::units::UnitInterval;
use atrion_state::clock::Clock;
use atrion_state::entropy::Draws;
use atrion_state::peers::{Notice, RouteId};
use tokio::sync::Notify;

use crate::feed::Feed;
use crate::machine::{ClusterCore, CoreConfig, Event};
use crate::wire::Codec;

/// News that waits for somebody to fetch it; more displaces the oldest.
const MAX_NOTICES: usize = 256;

pub(crate) struct Shared {
    core: Mutex<ClusterCore>,
    /// Beside the machine, so that whoever makes a route need not wait for its lock.
    codec: Codec,
    gamma: UnitInterval,
    pub(crate) clock: Arc<dyn Clock>,
    draws: Mutex<Draws>,
    pub(crate) feed: Feed,
    notices: Mutex<VecDeque<Notice>>,
    /// Who drives the link, 0 if nobody does, and how many have so far. Changed under the machine's
    /// lock only, so that no two drive it at once.
    driver: AtomicU64,
    drivers: AtomicU64,
    /// The machine has something to do.
    pub(crate) wake: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every step leaves a whole value behind, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        config: CoreConfig,
        codec: Codec,
        clock: Arc<dyn Clock>,
        draws: Draws,
    ) -> Self {
        Self {
            gamma: config.gamma,
            core: Mutex::new(ClusterCore::new(config, codec.clone(), clock.now())),
            codec,
            clock,
            draws: Mutex::new(draws),
            feed: Feed::default(),
            notices: Mutex::new(VecDeque::new()),
            driver: AtomicU64::new(0),
            drivers: AtomicU64::new(0),
            wake: Notify::new(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The abbreviation of a route's name. Takes no lock.
    pub(crate) fn route_id(&self, route: &str) -> RouteId {
        self.codec.route_id(route)
    }

    /// The weight of the cluster's word. Takes no lock.
    pub(crate) const fn gamma(&self) -> UnitInterval {
        self.gamma
    }

    pub(crate) fn draw(&self) -> UnitInterval {
        lock(&self.draws).draw()
    }

    /// Reads the machine. Nothing waits under its lock.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&ClusterCore) -> T) -> T {
        f(&lock(&self.core))
    }

    /// Changes the machine and nothing else, for whoever drives the link.
    pub(crate) fn write<T>(&self, f: impl FnOnce(&mut ClusterCore) -> T) -> T {
        f(&mut lock(&self.core))
    }

    /// Feeds the machine, then passes on what it has to tell and wakes whoever drives the link.
    pub(crate) fn change<T>(&self, f: impl FnOnce(&mut ClusterCore, Timestamp) -> T) -> T {
        let now = self.now();
        let (out, events, changed) = {
            let mut core = lock(&self.core);
            let out = f(&mut core, now);
            let events: Vec<Event> = std::iter::from_fn(|| core.poll_event()).collect();
            let changed: Vec<_> = std::iter::from_fn(|| core.poll_changed(now)).collect();
            (out, events, changed)
        };
        for event in events {
            self.tell(event);
        }
        for remote in &changed {
            self.feed.tell(remote);
        }
        self.wake.notify_one();
        out
    }

    /// Feeds the machine if this driver still drives it.
    pub(crate) fn change_as(&self, driver: u64, f: impl FnOnce(&mut ClusterCore, Timestamp)) {
        self.change(|core, now| {
            if self.is_driven_by(driver) {
                f(core, now);
            }
        });
    }

    /// Feeds the machine and hands the link to a new driver, whose number is returned. One that
    /// is there still ends.
    pub(crate) fn hand_over(&self, f: impl FnOnce(&mut ClusterCore, Timestamp)) -> u64 {
        self.change(|core, now| {
            f(core, now);
            let driver = self.drivers.fetch_add(1, Relaxed) + 1;
            self.driver.store(driver, Relaxed);
            driver
        })
    }

    /// Nobody drives the link from now on, if this driver did.
    pub(crate) fn let_go(&self, driver: u64, f: impl FnOnce(&mut ClusterCore, Timestamp)) {
        self.change_as(driver, |core, now| {
            f(core, now);
            self.driver.store(0, Relaxed);
        });
    }

    pub(crate) fn is_driven_by(&self, driver: u64) -> bool {
        self.driver.load(Relaxed) == driver
    }

    fn tell(&self, event: Event) {
        let notice = match event {
            Event::Up { after } => {
                tracing::info!(after_ms = after.as_millis(), "the cluster's store serves");
                Notice::LinkUp { after }
            }
            Event::Down { reason, suppressed } => {
                tracing::warn!(
                    %reason,
                    suppressed,
                    "the cluster's store is away; this node goes on alone"
                );
                Notice::LinkDown { reason }
            }
            // Why is said by whoever looked at the licence.
            Event::Unlicensed => return,
            Event::OverLimit { names } => {
                let message = format!(
                    "the licence covers fewer clusters or nodes than are registered; this one came \
                     last and goes on alone. Registered, oldest first: {}",
                    names.join(", ")
                );
                tracing::error!("{message}");
                Notice::License { status: "over_limit", message }
            }
            Event::DuplicateNode { id } => {
                tracing::error!(%id, "another process uses this node's id; a new one was taken");
                Notice::DuplicateNode { id }
            }
            Event::NodeJoined { id, name } => {
                tracing::debug!(%id, ?name, "a node joined");
                Notice::NodeJoined { id, name }
            }
            Event::NodeLeft { id, name } => {
                tracing::debug!(%id, ?name, "a node left");
                Notice::NodeLeft { id, name }
            }
        };
        self.note(notice);
    }

    /// Keeps a piece of news for whoever fetches it.
    pub(crate) fn note(&self, notice: Notice) {
        let mut notices = lock(&self.notices);
        if notices.len() >= MAX_NOTICES {
            notices.pop_front();
        }
        notices.push_back(notice);
    }

    pub(crate) fn next_notice(&self) -> Option<Notice> {
        lock(&self.notices).pop_front()
    }

    pub(crate) fn trouble(&self) -> Option<String> {
        self.read(|core| core.trouble().map(str::to_owned))
    }
}
