//! Controlled delay as it was adapted to services: two timeouts in a queue.
//!
//! Source: B. Maurer, *Fail at Scale*, ACM Queue 13(8), 2015, which adapts CoDel to request queues.
//! Published: when the queue was empty within the last N, a request may wait N in it; when it was
//! not, M; N is 100 ms and M 5 ms, which work "across a wide set of use cases". While the queue
//! stands, the newest request is served first.
//!
//! As for [`Codel`](super::Codel), the number that goes on at once is the truth.

use std::collections::VecDeque;

use atrion_core::time::Timestamp;

use super::{Arrival, Completion, Policy, Release, Verdict};

/// Settings of [`ControlledDelay`].
#[derive(Clone, Copy, Debug)]
pub struct ControlledDelaySettings {
    /// Wait in seconds while the queue stands: 0.005.
    pub standing_secs: f64,
    /// Wait in seconds otherwise, and the time after which a queue stands: 0.1.
    pub usual_secs: f64,
    /// Requests that go on to the service at once.
    pub workers: u32,
}

impl ControlledDelaySettings {
    /// The published settings, before this many workers.
    pub const fn published(workers: u32) -> Self {
        Self { standing_secs: 0.005, usual_secs: 0.1, workers }
    }
}

/// The policy.
#[derive(Clone, Debug)]
pub struct ControlledDelay {
    settings: ControlledDelaySettings,
    queue: VecDeque<(f64, u32)>,
    in_flight: u32,
    last_empty: f64,
}

impl ControlledDelay {
    /// An empty queue.
    pub const fn new(settings: ControlledDelaySettings) -> Self {
        Self { settings, queue: VecDeque::new(), in_flight: 0, last_empty: 0.0 }
    }

    fn stands(&self, now: f64) -> bool {
        now - self.last_empty > self.settings.usual_secs
    }
}

fn secs(now: Timestamp) -> f64 {
    now.secs_since(Timestamp::ZERO)
}

impl Policy for ControlledDelay {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        let now = secs(arrival.now);
        if self.queue.is_empty() {
            self.last_empty = now;
        }
        self.queue.push_back((now, arrival.slot));
        Verdict::Hold
    }

    fn done(&mut self, _completion: &Completion) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn release(&mut self, now: Timestamp) -> Option<Release> {
        let now = secs(now);
        let stands = self.stands(now);
        let wait = if stands { self.settings.standing_secs } else { self.settings.usual_secs };
        if let Some((since, slot)) = self.queue.front().copied()
            && now - since > wait
        {
            self.queue.pop_front();
            return Some(Release { slot, admitted: false });
        }
        if self.in_flight >= self.settings.workers {
            return None;
        }
        let (_, slot) = if stands { self.queue.pop_back() } else { self.queue.pop_front() }?;
        self.in_flight += 1;
        Some(Release { slot, admitted: true })
    }

    fn holds(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{arrival, success};

    /// A worker of 10 ms under twenty times its capacity: once the queue has stood for 100 ms,
    /// nobody waits longer than 5 ms.
    #[test]
    fn a_standing_queue_shortens_the_wait_to_five_milliseconds() {
        let mut policy = ControlledDelay::new(ControlledDelaySettings::published(1));
        let (mut late, mut refused) = (Vec::new(), 0);
        let at = |step: u32| f64::from(step) * 0.0005;
        for step in 0..4000 {
            policy.arrive(&arrival(at(step), step));
            if step % 20 == 0 {
                policy.done(&success(at(step), 0, 0.01));
            }
            while let Some(release) = policy.release(Timestamp::ZERO.add_secs(at(step))) {
                refused += u32::from(!release.admitted);
                if release.admitted && at(step) > 0.12 {
                    late.push(at(step) - at(release.slot));
                }
            }
        }
        assert!(late.len() > 180 && late.iter().all(|wait| *wait < 0.0051), "{late:?}");
        assert!((3700..=3850).contains(&refused), "{refused} of 4000, 200 can be served");
    }

    #[test]
    fn while_the_queue_empties_now_and_then_a_request_may_wait_longer() {
        let mut policy = ControlledDelay::new(ControlledDelaySettings::published(1));
        for slot in 0..5 {
            policy.arrive(&arrival(1.0, slot));
        }
        for slot in 0..5 {
            let at = 1.0 + f64::from(slot) * 0.02;
            let release = policy.release(Timestamp::ZERO.add_secs(at));
            assert_eq!(release, Some(Release { slot, admitted: true }));
            policy.done(&success(at + 0.02, slot, 0.02));
        }
    }
}
