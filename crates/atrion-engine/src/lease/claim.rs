//! The one word of a lease that its holder and those who look for expired ones both change.

use std::sync::atomic::Ordering::Relaxed;

use atrion_core::profile::{Lease, LeaseTerms};
use atrion_core::time::Timestamp;

use crate::shim::AtomicU64;

/// The word of a lease that was ended by its holder, and of one that expired.
const ENDED: u64 = u64::MAX;
const EXPIRED: u64 = u64::MAX - 1;
/// The latest heartbeat there is.
const LATEST: u64 = u64::MAX - 2;

/// How a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It holds its place, until then if no further heartbeat comes.
    Live(Timestamp),
    /// Its time is up, and its place has yet to be given back.
    Overdue,
    Expired,
    Ended,
}

/// A lease as several threads see it: whoever ends it, exactly one does.
///
/// All the rules are those of [`Lease`]; here is the time of its last heartbeat, or how it ended.
#[derive(Debug)]
pub(crate) struct Claim {
    granted: Timestamp,
    terms: LeaseTerms,
    word: AtomicU64,
}

impl Claim {
    pub(crate) fn new(now: Timestamp, terms: LeaseTerms) -> Self {
        let granted = Timestamp::from_nanos(now.as_nanos().min(LATEST));
        Self { granted, terms, word: AtomicU64::new(granted.as_nanos()) }
    }

    pub(crate) const fn granted(&self) -> Timestamp {
        self.granted
    }

    /// Whether it lived at `now`: then it lives on.
    pub(crate) fn beat(&self, now: Timestamp) -> bool {
        let mut word = self.word.load(Relaxed);
        while let Some(lease) = self.lease(word) {
            let Ok(next) = lease.heartbeat(now) else { return false };
            let beat = next.last_beat().as_nanos().min(LATEST);
            match self.word.compare_exchange(word, beat, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(other) => word = other,
            }
        }
        false
    }

    /// Ends it; whether it lived at `now` and was ended by this very call.
    pub(crate) fn end(&self, now: Timestamp) -> bool {
        self.replace(ENDED, |lease| lease.is_live(now))
    }

    /// Lets it expire; whether its time was up at `now` and this very call found it.
    pub(crate) fn expire(&self, now: Timestamp) -> bool {
        self.replace(EXPIRED, |lease| !lease.is_live(now))
    }

    fn replace(&self, with: u64, if_so: impl Fn(&Lease) -> bool) -> bool {
        let mut word = self.word.load(Relaxed);
        while let Some(lease) = self.lease(word) {
            if !if_so(&lease) {
                return false;
            }
            match self.word.compare_exchange(word, with, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(other) => word = other,
            }
        }
        false
    }

    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        let word = self.word.load(Relaxed);
        match self.lease(word) {
            Some(lease) if lease.is_live(now) => Standing::Live(lease.expires_at()),
            Some(_) => Standing::Overdue,
            None if word == ENDED => Standing::Ended,
            None => Standing::Expired,
        }
    }

    fn lease(&self, word: u64) -> Option<Lease> {
        let last_beat = Timestamp::from_nanos(word);
        (word <= LATEST).then(|| Lease::resumed(self.granted, last_beat, self.terms))
    }
}

/// Run with `RUSTFLAGS="--cfg loom" cargo test -p atrion-engine --lib --release loom_tests`.
#[cfg(all(test, loom))]
mod loom_tests {
    use std::time::Duration;

    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    fn claim() -> Arc<Claim> {
        Arc::new(Claim::new(Timestamp::ZERO, Duration::from_secs(5).into()))
    }

    #[test]
    fn a_place_is_given_back_exactly_once() {
        loom::model(|| {
            let claim = claim();
            let others: Vec<_> = [4, 6]
                .map(|secs| {
                    let claim = Arc::clone(&claim);
                    let now = Timestamp::from_secs(secs);
                    thread::spawn(move || claim.end(now) || claim.expire(now))
                })
                .into();
            let mine = claim.expire(Timestamp::from_secs(7));
            let theirs: u32 =
                others.into_iter().map(|o| u32::from(o.join().expect("no panic"))).sum();
            assert_eq!(u32::from(mine) + theirs, 1);
        });
    }

    #[test]
    fn a_heartbeat_that_was_heard_keeps_the_place() {
        loom::model(|| {
            let claim = claim();
            let holder = {
                let claim = Arc::clone(&claim);
                thread::spawn(move || claim.beat(Timestamp::from_secs(4)))
            };
            let expired = claim.expire(Timestamp::from_secs(6));
            let heard = holder.join().expect("no panic");
            // Whichever came first: never both, never neither.
            assert_ne!(heard, expired);
            let lives = matches!(claim.standing(Timestamp::from_secs(6)), Standing::Live(_));
            assert_eq!(lives, heard);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Call {
        Beat,
        End,
        Expire,
    }

    proptest! {
        /// Whatever the clock does: at most one call ends it, and nothing revives it.
        #[test]
        fn it_ends_once_and_stays_ended(
            granted: u64,
            silence in 0u64..1_000,
            calls in prop::collection::vec(
                (
                    prop_oneof![Just(Call::Beat), Just(Call::End), Just(Call::Expire)],
                    prop_oneof![0u64..2_000, any::<u64>()],
                ),
                0..40,
            ),
        ) {
            let terms = Duration::from_nanos(silence).into();
            let claim = Claim::new(Timestamp::from_nanos(granted), terms);
            let mut over = None;
            for (call, ahead) in calls {
                let now = Timestamp::from_nanos(granted.wrapping_add(ahead));
                let lived = matches!(claim.standing(now), Standing::Live(_));
                let done = match call {
                    Call::Beat => claim.beat(now),
                    Call::End => claim.end(now),
                    Call::Expire => claim.expire(now),
                };
                prop_assert!(!done || over.is_none(), "{call:?} after its end");
                match (call, done) {
                    (Call::Beat, heard) => prop_assert_eq!(heard, lived),
                    (Call::End, true) => over = Some(Standing::Ended),
                    (Call::Expire, true) => over = Some(Standing::Expired),
                    (Call::End | Call::Expire, false) => {}
                }
                if let Some(over) = over {
                    prop_assert_eq!(claim.standing(now), over);
                }
            }
        }
    }
}
