//! When to look whether a closed-off route has healed, and how many may look at once.

use super::LawConfig;
use crate::time::Timestamp;

/// A probe that has not returned after this many full waits no longer holds its place.
const PROBE_LOST_AFTER_WAITS: f64 = 4.0;
/// At most `2^MAX_PROBE_DOUBLINGS` probes are outstanding.
const MAX_PROBE_DOUBLINGS: u8 = 6;
/// For this long a good probe is worth telling others about.
const GOOD_FOR_SECS: f64 = 0.5;

/// The schedule of probes.
///
/// The first probe and the one after a bad probe wait for a round `T`, jittered. After `n` good
/// ones in a row the wait is `T_0/2^n`, and up to `2^n` probes may be outstanding. Alone, the round is
/// `T_0 =` [`LawConfig::probe_secs`]; nodes that look at the same time share the probing by longer
/// rounds ([`set_round`](Self::set_round)).
#[derive(Clone, Debug, PartialEq)]
pub struct Prober {
    since: Timestamp,
    /// No later than this, whatever the round says: somebody invited us to look.
    invited: Timestamp,
    lost_at: Timestamp,
    last_good: Option<Timestamp>,
    round_secs: f64,
    base_secs: f64,
    draw: f64,
    /// Nothing was probed yet, so the first probes of many nodes spread over the whole round.
    first: bool,
    good_in_a_row: u8,
    outstanding: u8,
}

impl Prober {
    /// A prober that nobody waits for.
    pub const fn new(config: &LawConfig) -> Self {
        Self {
            since: Timestamp::ZERO,
            invited: Timestamp::MAX,
            lost_at: Timestamp::MAX,
            last_good: None,
            round_secs: config.probe_secs(),
            base_secs: config.probe_secs(),
            draw: 0.5,
            first: true,
            good_in_a_row: 0,
            outstanding: 0,
        }
    }

    /// Starts over at `now`: nothing is outstanding, the first probe waits for its share of a
    /// round. `draw` is uniform in `[0, 1)`.
    pub fn start(&mut self, now: Timestamp, draw: f64, config: &LawConfig) {
        self.outstanding = 0;
        self.base_secs = config.probe_secs();
        self.wait(now, draw, true);
    }

    fn wait(&mut self, now: Timestamp, draw: f64, first: bool) {
        self.good_in_a_row = 0;
        self.invited = Timestamp::MAX;
        self.since = now;
        self.draw = draw;
        self.first = first;
    }

    /// T, the length of a round in seconds; the deadline that is running moves with it.
    pub const fn set_round(&mut self, secs: f64) {
        self.round_secs = secs;
    }

    /// Look no later than `at`.
    pub fn invite(&mut self, at: Timestamp) {
        self.invited = self.invited.min(at);
    }

    fn wait_secs(&self) -> f64 {
        let jitter = 0.8 + 0.4 * self.draw;
        if self.good_in_a_row > 0 {
            self.base_secs * jitter / f64::from(self.places())
        } else if self.first && self.round_secs > self.base_secs {
            self.draw * self.round_secs
        } else {
            jitter * self.round_secs
        }
    }

    /// When the next probe may pass.
    pub fn next(&self) -> Timestamp {
        self.since.add_secs(self.wait_secs()).min(self.invited)
    }

    /// Whether a probe may pass at `now`.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.next() && (self.outstanding < self.places() || now >= self.lost_at)
    }

    /// Takes the place of a probe if one is due. A hung or leaked one gives up its place after
    /// four full waits.
    pub fn try_take(&mut self, now: Timestamp) -> bool {
        let due = self.is_due(now);
        if due {
            if self.outstanding >= self.places() {
                self.outstanding = 0;
            }
            self.outstanding = self.outstanding.saturating_add(1);
            self.lost_at = now.add_secs(PROBE_LOST_AFTER_WAITS * self.base_secs);
        }
        due
    }

    /// A probe came back well.
    pub fn succeeded(&mut self, now: Timestamp) {
        self.outstanding = self.outstanding.saturating_sub(1);
        self.good_in_a_row = self.good_in_a_row.saturating_add(1).min(MAX_PROBE_DOUBLINGS);
        self.invited = Timestamp::MAX;
        self.since = now;
        self.last_good = Some(now);
    }

    /// `count` probes failed: start over.
    pub fn failed(&mut self, count: u32, now: Timestamp, draw: f64) {
        self.outstanding = self.outstanding.saturating_sub(places(count));
        self.wait(now, draw, false);
    }

    /// `count` probes said nothing. They were looks all the same: the next one waits as long
    /// again.
    pub fn cancelled(&mut self, count: u32, now: Timestamp) {
        self.outstanding = self.outstanding.saturating_sub(places(count));
        self.invited = Timestamp::MAX;
        self.since = self.since.max(now);
    }

    /// Nobody is waited for any more.
    pub const fn stop(&mut self) {
        self.outstanding = 0;
        self.good_in_a_row = 0;
    }

    /// Whether a probe succeeded within the last half second.
    pub fn was_good(&self, now: Timestamp) -> bool {
        self.last_good.is_some_and(|at| now >= at && now.secs_since(at) <= GOOD_FOR_SECS)
    }

    /// The clock stepped back to `now`: no wait may end later than it would have begun there.
    pub fn rebase(&mut self, now: Timestamp) {
        self.since = self.since.min(now);
        self.last_good = self.last_good.filter(|at| *at <= now);
        self.lost_at = self.lost_at.min(now.add_secs(PROBE_LOST_AFTER_WAITS * self.base_secs));
    }

    const fn places(&self) -> u8 {
        1 << self.good_in_a_row
    }
}

fn places(count: u32) -> u8 {
    count.min(u32::from(u8::MAX)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_probe_is_forgotten_only_by_a_clock_that_steps_back_behind_it() {
        let at = Timestamp::from_secs;
        let mut prober = Prober::new(&LawConfig::default());
        prober.succeeded(at(10));
        assert!(prober.was_good(at(10)));
        let mut later = prober.clone();
        later.rebase(Timestamp::from_millis(10_200));
        assert!(later.was_good(Timestamp::from_millis(10_300)));
        prober.rebase(at(5));
        assert!(!prober.was_good(at(5)) && !prober.was_good(at(10)));
    }
}
