//! Lanes: one counter per thread for the busiest routes.
//!
//! One shared counter is exact and small, but two cores that both add to it pass its cache line
//! back and forth, some 50 ns each time. A route that turns out to be hot is therefore given
//! lanes: every thread counts in a line of its own, with plain loads and stores, and whoever
//! needs the exact sum adds the lanes up. While a route is calm nobody needs it: a thread may
//! admit up to its lane's share of the free zone without looking at the others.

use std::cell::Cell;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::tally::TIERS;

/// No lane: the thread counts in the shared word.
pub(crate) const SHARED: u8 = u8::MAX;
/// The thread has not asked for a slot yet.
const UNASKED: u8 = u8::MAX - 1;
/// Threads that can have a slot at a time; more than that share.
const SLOTS: u32 = 64;

/// Which slots are taken. A bit is released when its thread ends and may be taken again.
static TAKEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static SLOT: Cell<u8> = const { Cell::new(UNASKED) };
    static GIVE_BACK: GiveBack = const { GiveBack(Cell::new(SHARED)) };
}

struct GiveBack(Cell<u8>);

impl Drop for GiveBack {
    fn drop(&mut self) {
        let slot = self.0.get();
        // Permits ended by destructors that run after this one count in the shared word.
        SLOT.set(SHARED);
        if slot < SHARED {
            // Release: the next owner's plain loads must see this thread's last plain stores.
            TAKEN.fetch_and(!(1 << slot), Release);
        }
    }
}

/// This thread's slot, or [`SHARED`].
#[inline]
pub(crate) fn slot() -> u8 {
    let slot = SLOT.get();
    if slot == UNASKED { take_slot() } else { slot }
}

#[cold]
fn take_slot() -> u8 {
    let mut slot = SHARED;
    let mut taken = TAKEN.load(Acquire);
    while taken != u64::MAX {
        let free = (!taken).trailing_zeros();
        match TAKEN.compare_exchange_weak(taken, taken | 1 << free, AcqRel, Acquire) {
            Ok(_) => {
                slot = free as u8;
                break;
            }
            Err(now) => taken = now,
        }
    }
    // If the thread is already ending there is nobody to give the slot back: do without.
    if slot != SHARED && GIVE_BACK.try_with(|g| g.0.set(slot)).is_err() {
        TAKEN.fetch_and(!(1 << slot), Release);
        slot = SHARED;
    }
    SLOT.set(slot);
    slot
}

/// The counters of one thread for one route. 128 bytes, because processors fetch cache lines in
/// pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Lane {
    /// Written by the owner only.
    entered: AtomicU32,
    /// Ended on the owner's thread; written by the owner only.
    left: AtomicU32,
    /// Ended on other threads.
    left_elsewhere: AtomicU32,
    /// `entered` at the last tick; written under the route's lock.
    seen: AtomicU32,
    /// Admitted by the owner, by tier, if somebody counts; written by the owner only.
    admitted: [AtomicU32; TIERS],
}

impl Lane {
    /// Requests of this lane in flight, and how many have left it.
    ///
    /// The two counts are not read at one instant. What entered is read first, so the difference is at
    /// most too small, by those that left in between. The other way round a reader that is held up for
    /// a moment would find everything in flight that the lane's owner did meanwhile, refuse for it and
    /// take it for a queue. Whoever enters after the first reading looks for itself.
    #[inline]
    fn counts(&self) -> (u32, u32) {
        let entered = self.entered.load(Acquire);
        let left = self.left();
        (entered.wrapping_sub(left).cast_signed().max(0).cast_unsigned(), left)
    }

    #[inline]
    fn in_flight(&self) -> u32 {
        self.counts().0
    }

    #[inline]
    fn left(&self) -> u32 {
        self.left.load(Acquire).wrapping_add(self.left_elsewhere.load(Acquire))
    }

    /// One more in flight; how many had entered before. Owner only.
    #[inline]
    fn enter(&self) -> u32 {
        let before = self.entered.load(Relaxed);
        self.entered.store(before.wrapping_add(1), Relaxed);
        before
    }

    /// One less. Owner only.
    #[inline]
    fn leave(&self) {
        self.left.store(self.left.load(Relaxed).wrapping_add(1), Release);
    }
}

/// The lanes of one route.
#[derive(Debug)]
pub(crate) struct Lanes(Box<[Lane]>);

impl Lanes {
    /// One lane for every slot that the threads of this machine are likely to take.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lanes = (4 * cores).clamp(8, SLOTS as usize);
        Self((0..lanes).map(|_| Lane::default()).collect())
    }

    /// Admits in this thread's lane if fewer than `limit` are in flight there. Answers with the
    /// slot and how many had entered the lane before.
    #[inline]
    pub(crate) fn try_enter(&self, limit: u32) -> Option<(u8, u32)> {
        let slot = slot();
        let lane = self.0.get(usize::from(slot))?;
        (lane.in_flight() < limit).then(|| (slot, lane.enter()))
    }

    /// Whether [`try_enter`](Self::try_enter) would succeed.
    #[inline]
    pub(crate) fn has_room(&self, limit: u32) -> bool {
        self.0.get(usize::from(slot())).is_some_and(|lane| lane.in_flight() < limit)
    }

    /// Counts one in flight in this thread's lane; its slot, or `None` without one.
    pub(crate) fn enter(&self) -> Option<u8> {
        let slot = slot();
        self.0.get(usize::from(slot)).map(|lane| {
            lane.enter();
            slot
        })
    }

    /// Counts an admission of this tier in this thread's lane; how many it had before. `None`
    /// without a lane.
    #[inline]
    pub(crate) fn tally(&self, tier: usize) -> Option<u32> {
        let count = self.0.get(usize::from(slot()))?.admitted.get(tier)?;
        let before = count.load(Relaxed);
        count.store(before.wrapping_add(1), Relaxed);
        Some(before)
    }

    /// Adds what all lanes admitted to `admitted`, by tier.
    pub(crate) fn add_tallies(&self, admitted: &mut [u32; TIERS]) {
        for lane in &self.0 {
            for (sum, count) in admitted.iter_mut().zip(&lane.admitted) {
                *sum = sum.wrapping_add(count.load(Relaxed));
            }
        }
    }

    /// One that entered in `lane` is not in flight any more.
    #[inline]
    pub(crate) fn leave(&self, place: u8) {
        if let Some(lane) = self.0.get(usize::from(place)) {
            if place == slot() {
                lane.leave();
            } else {
                lane.left_elsewhere.fetch_add(1, Release);
            }
        }
    }

    /// In flight and left, all lanes together.
    pub(crate) fn totals(&self) -> (u32, u32) {
        self.0
            .iter()
            .map(Lane::counts)
            .fold((0, 0), |sums, lane| (lane.0.wrapping_add(sums.0), lane.1.wrapping_add(sums.1)))
    }

    /// How many lanes were used since the last call. Under the route's lock.
    pub(crate) fn take_active(&self) -> u32 {
        self.0.iter().fold(0, |active, lane| {
            let entered = lane.entered.load(Relaxed);
            let used = lane.seen.load(Relaxed) != entered;
            if used {
                lane.seen.store(entered, Relaxed);
            }
            active + u32::from(used)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_its_own_slot_and_gives_it_back() {
        let mine = slot();
        let theirs: Vec<u8> =
            (0..200).map(|_| std::thread::spawn(slot).join().expect("no panic")).collect();
        assert!(theirs.iter().all(|s| *s != mine || *s == SHARED));
        assert!(theirs.iter().any(|s| *s != SHARED), "slots of ended threads are taken again");
    }

    #[test]
    fn the_sum_of_the_lanes_is_exact_wherever_permits_end() {
        let lanes = Lanes::new();
        let places = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut kept = Vec::new();
                        for i in 0..1000 {
                            if let Some(place) = lanes.enter() {
                                if i % 2 == 0 { lanes.leave(place) } else { kept.push(place) }
                            }
                        }
                        kept
                    })
                })
                .collect();
            workers.into_iter().flat_map(|w| w.join().expect("no panic")).collect::<Vec<_>>()
        });
        assert_eq!(lanes.totals().0 as usize, places.len());
        for place in places {
            lanes.leave(place);
        }
        assert_eq!(lanes.totals().0, 0);
        assert!(lanes.take_active() > 0);
        assert_eq!(lanes.take_active(), 0, "nothing entered since");
    }

    #[test]
    fn nobody_sees_more_in_flight_than_there_ever_was() {
        let lanes = Lanes::new();
        let done = std::sync::atomic::AtomicBool::new(false);
        let most = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    if let Some(place) = lanes.enter() {
                        lanes.leave(place);
                    }
                }
            });
            while lanes.totals().1 == 0 {
                std::thread::yield_now();
            }
            let most = (0..300_000).map(|_| lanes.totals().0).max();
            done.store(true, Relaxed);
            most
        });
        assert!(most <= Some(1), "one thread with one request at a time, {most:?} seen");
    }
}
