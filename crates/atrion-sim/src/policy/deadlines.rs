//! The caller's timeout around each call, for breakers that only hear how calls ended.
//!
//! In practice a breaker wraps a call that has a timeout, so it hears of a hanging call when the
//! caller gives up and not when the service lets go of it.

use std::collections::VecDeque;

use atrion_core::time::Timestamp;

/// Calls under way, and when their callers give up.
#[derive(Clone, Debug)]
pub(super) struct Deadlines {
    after_secs: f64,
    /// In order: all wait equally long.
    waiting: VecDeque<(Timestamp, u32, u64)>,
    /// For each slot the call that is waited for; 0 is none.
    open: Vec<u64>,
    calls: u64,
}

impl Deadlines {
    pub(super) const fn new(after_secs: f64) -> Self {
        Self { after_secs, waiting: VecDeque::new(), open: Vec::new(), calls: 0 }
    }

    /// A call begins.
    pub(super) fn begin(&mut self, now: Timestamp, slot: u32) {
        self.calls += 1;
        let index = slot as usize;
        if index >= self.open.len() {
            self.open.resize(index + 1, 0);
        }
        if let Some(place) = self.open.get_mut(index) {
            *place = self.calls;
        }
        self.waiting.push_back((now.add_secs(self.after_secs), slot, self.calls));
    }

    /// The moment at which the next caller gives up, if that is before `now`; the call is then no
    /// longer waited for.
    pub(super) fn expired(&mut self, now: Timestamp) -> Option<Timestamp> {
        while let Some((due, slot, call)) = self.waiting.front().copied() {
            let place = self.open.get_mut(slot as usize).filter(|open| **open == call);
            if due >= now && place.is_some() {
                return None;
            }
            self.waiting.pop_front();
            if let Some(place) = place {
                *place = 0;
                return Some(due);
            }
        }
        None
    }

    /// A call ends; whether its caller still waits.
    pub(super) fn end(&mut self, slot: u32) -> bool {
        self.open.get_mut(slot as usize).is_some_and(|open| std::mem::take(open) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: f64) -> Timestamp {
        Timestamp::ZERO.add_secs(secs)
    }

    #[test]
    fn a_call_ends_or_expires_but_never_both() {
        let mut deadlines = Deadlines::new(1.0);
        deadlines.begin(at(0.0), 0);
        deadlines.begin(at(0.5), 1);
        assert!(deadlines.end(0));
        assert!(!deadlines.end(0), "twice");
        assert_eq!(deadlines.expired(at(1.2)), None, "the first one ended");
        assert_eq!(deadlines.expired(at(1.6)), Some(at(1.5)));
        assert_eq!(deadlines.expired(at(9.0)), None);
        assert!(!deadlines.end(1), "given up");
    }

    #[test]
    fn a_slot_that_is_used_again_has_its_own_deadline() {
        let mut deadlines = Deadlines::new(1.0);
        deadlines.begin(at(0.0), 0);
        assert!(deadlines.end(0));
        deadlines.begin(at(0.9), 0);
        assert_eq!(deadlines.expired(at(1.5)), None);
        assert!(deadlines.end(0));
    }
}
