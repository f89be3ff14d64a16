//! The tape: where request threads leave what happened.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crossbeam_queue::ArrayQueue;

use crate::error::RecordError;
use crate::format::{MOST_NAME_BYTES, MOST_ROUTES};
use crate::record::{Arrival, Ending, Key, Mark, Observation, RouteStart};

/// Most observations that a tape holds: about 300 MB.
pub const LARGEST_TAPE: usize = 1 << 22;

/// A bounded queue of [`Observation`]s.
///
/// Leaving one never waits, allocates or makes a system call. A full tape drops and counts. All
/// its memory, some 72 bytes for each place, is taken when it is made.
#[derive(Debug)]
pub struct Tape {
    observations: ArrayQueue<Observation>,
    dropped: AtomicU64,
    ids: AtomicU32,
    /// Apart from the queue, so that a route's name is never dropped. Off the request path.
    starts: Mutex<Vec<RouteStart>>,
}

impl Tape {
    /// A tape with room for so many observations, 1 to [`LARGEST_TAPE`].
    ///
    /// # Errors
    /// [`RecordError::OutOfRange`].
    pub fn new(places: usize) -> Result<Self, RecordError> {
        if places == 0 || places > LARGEST_TAPE {
            return Err(RecordError::OutOfRange {
                field: "places",
                value: places as u64,
                unit: "observations",
                min: 1,
                max: LARGEST_TAPE as u64,
            });
        }
        Ok(Self {
            observations: ArrayQueue::new(places),
            dropped: AtomicU64::new(0),
            ids: AtomicU32::new(0),
            starts: Mutex::new(Vec::new()),
        })
    }

    /// Makes a route known; answers with its index. Not for the request path.
    ///
    /// # Errors
    /// [`RecordError`] for a name that is empty or too long, or for too many routes.
    pub fn start(&self, start: RouteStart) -> Result<u32, RecordError> {
        let length = start.name.len();
        if length == 0 || length > MOST_NAME_BYTES {
            return Err(RecordError::Name { length, max: MOST_NAME_BYTES });
        }
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        if starts.len() >= MOST_ROUTES {
            return Err(RecordError::TooManyRoutes { max: MOST_ROUTES });
        }
        starts.push(start);
        Ok(starts.len() as u32 - 1)
    }

    /// Leaves an arrival, with the key of its ending if it was admitted.
    #[inline]
    pub fn arrived(&self, arrival: Arrival, key: Option<Key>) {
        self.leave(Observation::Arrived(arrival, key));
    }

    /// Leaves an ending.
    #[inline]
    pub fn ended(&self, ending: Ending, key: Key) {
        self.leave(Observation::Ended(ending, key));
    }

    /// Leaves a mark.
    pub fn marked(&self, route: u32, at: u64, mark: Mark) {
        self.leave(Observation::Marked { route, at, mark });
    }

    fn leave(&self, observation: Observation) {
        if self.observations.push(observation).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// A number that differs from the last four billion: for keys.
    #[inline]
    pub fn next_id(&self) -> u32 {
        self.ids.fetch_add(1, Relaxed)
    }

    /// Takes the oldest observation.
    pub fn take(&self) -> Option<Observation> {
        self.observations.pop()
    }

    /// Observations that it can hold.
    pub fn places(&self) -> u64 {
        self.observations.capacity() as u64
    }

    /// Observations that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// The start of the route of this index.
    pub(crate) fn start_of(&self, route: usize) -> Option<RouteStart> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner).get(route).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_tape_drops_and_counts() {
        let tape = Tape::new(2).expect("valid");
        for at in 0..5 {
            tape.marked(0, at, Mark::Opened);
        }
        assert_eq!(tape.dropped(), 3);
        let first = tape.take();
        assert_eq!(first, Some(Observation::Marked { route: 0, at: 0, mark: Mark::Opened }));
    }

    #[test]
    fn impossible_tapes_and_names_are_refused_by_name() {
        let why = Tape::new(0).expect_err("no place").to_string();
        assert_eq!(why, "places is 0 observations, allowed is 1 to 4194304 observations");
        let tape = Tape::new(1).expect("valid");
        let start = |name: &str| RouteStart {
            name: name.into(),
            at: 0,
            seed: 0,
            in_flight: 0,
            is_new: true,
        };
        assert!(tape.start(start("")).is_err());
        assert!(tape.start(start(&"x".repeat(MOST_NAME_BYTES + 1))).is_err());
        for index in 0..MOST_ROUTES as u32 {
            assert_eq!(tape.start(start("x")).expect("room"), index);
        }
        let why = tape.start(start("x")).expect_err("full").to_string();
        assert_eq!(why, "a trace holds at most 4096 routes");
    }
}
