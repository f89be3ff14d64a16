//! Two steps to an action: what it would change is shown first, and it is done only if that still
//! holds. A pure machine.

use std::collections::HashMap;

use atrion_core::time::Timestamp;

/// How long an action may be confirmed, in seconds.
pub(crate) const CONFIRM_SECS: u64 = 60;
/// Actions that wait to be confirmed; the oldest gives way.
const MOST_WAITING: usize = 64;

/// Why a confirmation does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// Unknown, used already, or too late.
    NoSuch,
    /// The state is not the one that was shown.
    Changed,
}

#[derive(Debug)]
struct Waiting<A, S> {
    action: A,
    state: S,
    since: Timestamp,
}

/// Actions that were prepared and wait to be confirmed.
#[derive(Debug)]
pub(crate) struct Confirmations<A, S> {
    waiting: HashMap<String, Waiting<A, S>>,
}

impl<A, S: PartialEq> Confirmations<A, S> {
    pub(crate) fn new() -> Self {
        Self { waiting: HashMap::new() }
    }

    /// Keeps an action with the state that it was decided on, under an unguessable key.
    pub(crate) fn prepare(&mut self, key: String, action: A, state: S, now: Timestamp) {
        self.waiting.retain(|_, waiting| is_timely(waiting, now));
        if self.waiting.len() >= MOST_WAITING {
            let oldest = self.waiting.iter().min_by_key(|(_, waiting)| waiting.since);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.waiting.remove(&oldest);
            }
        }
        self.waiting.insert(key, Waiting { action, state, since: now });
    }

    /// The action of this key, which is used up.
    pub(crate) fn take(&mut self, key: &str, now: Timestamp) -> Result<Prepared<A, S>, NotDone> {
        let waiting = self.waiting.remove(key).filter(|waiting| is_timely(waiting, now));
        let Waiting { action, state, .. } = waiting.ok_or(NotDone::NoSuch)?;
        Ok(Prepared { action, state })
    }
}

/// An action whose confirmation arrived in time.
#[derive(Debug)]
pub(crate) struct Prepared<A, S> {
    /// What is to be done.
    pub(crate) action: A,
    state: S,
}

impl<A, S: PartialEq> Prepared<A, S> {
    /// Whether what was shown still holds.
    pub(crate) fn check(&self, state: &S) -> Result<(), NotDone> {
        if self.state == *state { Ok(()) } else { Err(NotDone::Changed) }
    }
}

fn is_timely<A, S>(waiting: &Waiting<A, S>, now: Timestamp) -> bool {
    now.since(waiting.since).as_secs() < CONFIRM_SECS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever happens, an action is done at most once, in time, and on the state it was shown for.
        #[test]
        fn at_most_once_in_time_and_as_shown(
            steps in prop::collection::vec((0_u8..3, 0_usize..100, 0_u8..3, 0_u64..40), 1..300),
        ) {
            let mut machine = Confirmations::new();
            let mut now = 0;
            let mut prepared: HashMap<usize, (u8, u64)> = HashMap::new();
            let mut fresh = 0;
            for (kind, which, state, step) in steps {
                now += step;
                let at = Timestamp::from_secs(now);
                if kind == 0 {
                    machine.prepare(fresh.to_string(), fresh, state, at);
                    prepared.insert(fresh, (state, now));
                    fresh += 1;
                    prop_assert!(machine.waiting.len() <= MOST_WAITING);
                } else {
                    let key = if fresh == 0 { which } else { which % (2 * fresh) };
                    match machine.take(&key.to_string(), at) {
                        Ok(taken) => {
                            prop_assert_eq!(taken.action, key);
                            let (shown, since) = prepared.remove(&key).expect("prepared, and once");
                            prop_assert!(now - since < CONFIRM_SECS);
                            prop_assert_eq!(taken.check(&state).is_ok(), shown == state);
                        }
                        Err(problem) => prop_assert_eq!(problem, NotDone::NoSuch),
                    }
                }
            }
        }
    }

    #[test]
    fn the_oldest_gives_way_when_there_are_too_many() {
        let mut machine = Confirmations::new();
        for n in 0..=MOST_WAITING as u64 {
            machine.prepare(n.to_string(), n, (), Timestamp::from_millis(n));
        }
        let now = Timestamp::from_secs(1);
        assert_eq!(machine.take("0", now).unwrap_err(), NotDone::NoSuch);
        assert_eq!(machine.take("1", now).unwrap().action, 1);
    }
}
