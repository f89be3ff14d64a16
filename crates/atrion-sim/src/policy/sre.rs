//! Client-side throttling.
//!
//! Source: B. Beyer et al. (eds.), *Site Reliability Engineering*, O'Reilly 2016, chapter 21
//! "Handling Overload" (sre.google/sre-book/handling-overload). A caller refuses by itself with
//! probability `max(0, (requests - K accepts)/(requests + 1))` over the last two minutes, K = 2.
//!
//! The service of a scenario does not refuse by itself, so an accept is here what the caller had
//! an answer from within its deadline.

use atrion_core::math;
use atrion_core::time::Timestamp;

use super::{Arrival, Completion, Outcome, Policy, Verdict};
use crate::rng::Rng;

/// Settings of [`Sre`].
#[derive(Clone, Copy, Debug)]
pub struct SreSettings {
    /// How many requests per accept are sent at most: 2.
    pub k: f64,
    /// Seconds of history: 120.
    pub window_secs: u64,
    /// A later success is not an accept, in seconds.
    pub timeout_secs: f64,
}

impl SreSettings {
    /// The published settings, with this deadline.
    pub const fn published(timeout_secs: f64) -> Self {
        Self { k: 2.0, window_secs: 120, timeout_secs }
    }
}

/// Requests and accepts of one second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    requests: f64,
    accepts: f64,
}

/// The policy.
#[derive(Clone, Debug)]
pub struct Sre {
    settings: SreSettings,
    ring: Vec<Second>,
    /// The second that the ring has reached.
    at: u64,
    sum: Second,
    rng: Rng,
}

impl Sre {
    /// Nothing seen yet.
    pub fn new(settings: SreSettings, seed: u64) -> Self {
        let ring = vec![Second::default(); settings.window_secs.clamp(1, 86_400) as usize];
        Self { settings, ring, at: 0, sum: Second::default(), rng: Rng::new(seed, 52) }
    }

    /// The probability with which the next request is refused.
    pub fn refusal_probability(&self) -> f64 {
        let Second { requests, accepts } = self.sum;
        math::max(0.0, (requests - self.settings.k * accepts) / (requests + 1.0))
    }

    fn present(&mut self, now: Timestamp) -> Option<&mut Second> {
        let second = now.as_nanos() / 1_000_000_000;
        let length = self.ring.len() as u64;
        let steps = second.saturating_sub(self.at).min(length);
        for step in 1..=steps {
            let index = ((self.at + step) % length) as usize;
            if let Some(oldest) = self.ring.get_mut(index) {
                self.sum.requests -= oldest.requests;
                self.sum.accepts -= oldest.accepts;
                *oldest = Second::default();
            }
        }
        self.at = self.at.max(second);
        self.ring.get_mut((self.at % length) as usize)
    }
}

impl Policy for Sre {
    fn arrive(&mut self, arrival: &Arrival) -> Verdict {
        if let Some(second) = self.present(arrival.now) {
            second.requests += 1.0;
        }
        let refuse = self.rng.uniform() < self.refusal_probability();
        self.sum.requests += 1.0;
        if refuse { Verdict::Refuse } else { Verdict::Admit }
    }

    fn done(&mut self, completion: &Completion) {
        let good = completion.outcome == Outcome::Success
            && completion.latency_secs <= self.settings.timeout_secs;
        if good && let Some(second) = self.present(completion.now) {
            second.accepts += 1.0;
            self.sum.accepts += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{arrival, failure, success};

    #[test]
    fn nothing_is_refused_while_half_is_accepted_and_nearly_all_when_nothing_is() {
        let mut policy = Sre::new(SreSettings::published(1.0), 1);
        for i in 0..100 {
            policy.arrive(&arrival(1.0, i));
            if i % 2 == 0 {
                policy.done(&success(1.0, i, 0.01));
            }
        }
        assert!(policy.refusal_probability() < 0.01);
        let mut dead = Sre::new(SreSettings::published(1.0), 1);
        for i in 0..99 {
            dead.arrive(&arrival(1.0, i));
        }
        assert!((dead.refusal_probability() - 0.99).abs() < 1e-12, "99/(99 + 1)");
        dead.arrive(&arrival(200.0, 0));
        assert!(
            (dead.refusal_probability() - 0.5).abs() < 1e-12,
            "two minutes later only this one"
        );
    }

    /// The chapter's figure for K = 2: the backend gets about twice what it accepts.
    #[test]
    fn the_backend_sees_about_twice_what_it_accepts() {
        let mut policy = Sre::new(SreSettings::published(1.0), 2);
        let (mut sent, mut accepted) = (0.0, 0.0);
        for second in 0..300 {
            let mut left = 100;
            for i in 0..1000 {
                let at = f64::from(second) + f64::from(i) / 1000.0;
                if policy.arrive(&arrival(at, 0)) != Verdict::Admit {
                    continue;
                }
                let ok = left > 0;
                left -= i32::from(ok);
                policy.done(&if ok { success(at, 0, 0.01) } else { failure(at, 0) });
                if second >= 150 {
                    sent += 1.0;
                    accepted += f64::from(u8::from(ok));
                }
            }
        }
        assert!((sent / accepted - 2.0_f64).abs() < 0.15, "{} per accept", sent / accepted);
    }
}
