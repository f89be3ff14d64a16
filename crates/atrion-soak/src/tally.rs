//! What came of requests, second by second and tier by tier.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::schedule::FIXED;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Done.
    Good,
    /// Admitted, and failed.
    Failed,
    /// Refused because its voltage did not overcome the resistance.
    Outweighed,
    /// Refused whatever its voltage: the route is open, held or forced.
    ClosedOff,
    /// Nobody answered: the process is dead, paused or too slow.
    Silent,
}

/// Counts of a run, of all nodes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    pub(crate) asked: u64,
    pub(crate) good: u64,
    pub(crate) failed: u64,
    pub(crate) refused: u64,
    pub(crate) silent: u64,
}

/// Length of a window for priorities, in seconds.
const WINDOW_SECS: u64 = 5;
/// Of a window with fewer such requests nothing is said.
const TELLING: u32 = 5;
/// What is no less likely than this may be chance. At a start and after a reset a route has a wall, which
/// asks nobody's voltage: then everybody is as likely to be refused.
const CHANCE: f64 = 1e-6;
/// Seconds that are kept.
const KEPT_SECS: usize = 120;
/// Requests of a second below which it does not count.
const FEWEST: u32 = 5;
/// Share of good answers that is full service.
const FULL_SHARE: f64 = 0.95;
/// Seconds in a row that are full service.
const FULL_SECS: usize = 2;

/// One tier of one route in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tier {
    pub(crate) admitted: u32,
    pub(crate) outweighed: u32,
}

/// The tiers of one route of one node in one window, the lowest first.
pub(crate) type Window = [Tier; 5];

/// Whether the highest tier got nothing, because of its voltage, while lower ones were served so often
/// that chance does not explain it.
pub(crate) fn is_starved(window: &Window) -> bool {
    let [lower @ .., highest] = window;
    let served: u32 = lower.iter().map(|tier| tier.admitted).sum();
    let outweighed: u32 = lower.iter().map(|tier| tier.outweighed).sum();
    if highest.admitted > 0 || highest.outweighed < TELLING || served < TELLING {
        return false;
    }
    let refused = f64::from(outweighed) / f64::from(served + outweighed);
    refused.powi(highest.outweighed.min(10_000).cast_signed()) < CHANCE
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    at: u64,
    asked: u32,
    good: u32,
}

/// What came of all requests.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    pub(crate) totals: Totals,
    /// By node.
    seconds: BTreeMap<usize, VecDeque<Second>>,
    /// By node and fixed route, with the window they belong to.
    windows: BTreeMap<(usize, usize), (u64, Window)>,
    closed: Vec<(usize, usize, Window)>,
}

impl Tallies {
    /// A request ended; `route` is its index if it was of a fixed one, `secs` the second it was sent in.
    pub(crate) fn note(
        &mut self,
        node: usize,
        route: Option<usize>,
        tier: usize,
        secs: u64,
        ending: Ending,
    ) {
        let totals = &mut self.totals;
        totals.asked += 1;
        match ending {
            Ending::Good => totals.good += 1,
            Ending::Failed => totals.failed += 1,
            Ending::Outweighed | Ending::ClosedOff => totals.refused += 1,
            Ending::Silent => totals.silent += 1,
        }
        self.note_second(node, secs, ending == Ending::Good);
        if let Some(route) = route.filter(|route| *route < FIXED.len()) {
            self.note_tier(node, route, tier, secs / WINDOW_SECS, ending);
        }
    }

    fn note_second(&mut self, node: usize, secs: u64, good: bool) {
        let seconds = self.seconds.entry(node).or_default();
        let at = seconds.iter().rposition(|second| second.at <= secs);
        let found = at.and_then(|at| seconds.get_mut(at)).filter(|second| second.at == secs);
        let second = if let Some(second) = found {
            second
        } else {
            let place = at.map_or(0, |at| at + 1);
            seconds.insert(place, Second { at: secs, asked: 0, good: 0 });
            if seconds.len() > KEPT_SECS {
                seconds.pop_front();
            }
            let place = place.min(seconds.len() - 1);
            let Some(second) = seconds.get_mut(place) else { return };
            second
        };
        second.asked += 1;
        second.good += u32::from(good);
    }

    fn note_tier(&mut self, node: usize, route: usize, tier: usize, window: u64, ending: Ending) {
        let (current, tiers) = self.windows.entry((node, route)).or_default();
        if *current < window {
            let closed = std::mem::take(tiers);
            if *current > 0 {
                self.closed.push((node, route, closed));
            }
            *current = window;
        }
        // Whoever answers late counts where it is noted.
        if let Some(tier) = tiers.get_mut(tier) {
            match ending {
                Ending::Good | Ending::Failed => tier.admitted += 1,
                Ending::Outweighed => tier.outweighed += 1,
                Ending::ClosedOff | Ending::Silent => {}
            }
        }
    }

    /// The windows that are over since this was last asked.
    pub(crate) fn closed(&mut self) -> Vec<(usize, usize, Window)> {
        std::mem::take(&mut self.closed)
    }

    /// When the full service of a node began, if it did after `since`: so many seconds in a row.
    pub(crate) fn full_service(&self, node: usize, since: u64) -> Option<u64> {
        let seconds: Vec<&Second> = self
            .seconds
            .get(&node)?
            .iter()
            .filter(|s| s.at >= since && s.asked >= FEWEST)
            .collect();
        let full = |s: &Second| f64::from(s.good) >= FULL_SHARE * f64::from(s.asked);
        let found = seconds.windows(FULL_SECS).find(|row| row.iter().all(|s| full(s)))?;
        found.first().map(|second| second.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(admitted: u32, outweighed: u32) -> Tier {
        Tier { admitted, outweighed }
    }

    #[test]
    fn the_highest_tier_is_starved_only_while_others_are_served() {
        let none = Tier::default();
        assert!(is_starved(&[tier(9, 0), none, none, none, tier(0, 5)]));
        assert!(!is_starved(&[tier(9, 0), none, none, none, tier(1, 5)]));
        assert!(!is_starved(&[tier(0, 9), none, none, none, tier(0, 5)]));
        assert!(!is_starved(&[tier(9, 0), none, none, none, tier(0, 2)]));
        assert!(!is_starved(&[none; 5]));
        assert!(is_starved(&[tier(40, 40), none, none, none, tier(0, 25)]));
    }

    #[test]
    fn what_a_wall_refuses_by_chance_is_not_starved() {
        assert!(!is_starved(&[tier(11, 16), tier(7, 36), tier(24, 80), tier(14, 38), tier(0, 19)]));
    }

    #[test]
    fn full_service_is_two_good_seconds_in_a_row_after_the_faults() {
        let mut tallies = Tallies::default();
        let mut second = |at, good, bad| {
            (0..good).for_each(|_| tallies.note(1, None, 2, at, Ending::Good));
            (0..bad).for_each(|_| tallies.note(1, None, 2, at, Ending::Failed));
        };
        second(10, 20, 0);
        second(11, 20, 0);
        second(12, 10, 10);
        second(13, 20, 0);
        second(14, 18, 2);
        second(15, 20, 1);
        second(16, 20, 0);
        assert_eq!(tallies.full_service(1, 0), Some(10));
        assert_eq!(tallies.full_service(1, 11), Some(15));
        assert_eq!(tallies.full_service(1, 16), None);
        assert_eq!(tallies.full_service(0, 0), None);
        assert_eq!(tallies.totals.asked, 141);
        assert_eq!(tallies.totals.failed, 13);
    }

    #[test]
    fn answers_that_come_late_count_in_their_second() {
        let mut tallies = Tallies::default();
        for at in [5, 7, 6, 5, 3, 7] {
            tallies.note(0, None, 0, at, Ending::Good);
        }
        let at: Vec<(u64, u32)> = tallies.seconds[&0].iter().map(|s| (s.at, s.asked)).collect();
        assert_eq!(at, [(3, 1), (5, 2), (6, 1), (7, 2)]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut tallies = Tallies::default();
        for at in 0..10_000 {
            tallies.note(0, None, 0, at, Ending::Good);
        }
        assert_eq!(tallies.seconds[&0].len(), KEPT_SECS);
    }

    #[test]
    fn windows_close_when_the_next_begins() {
        let mut tallies = Tallies::default();
        tallies.note(1, Some(2), 4, 6, Ending::Outweighed);
        tallies.note(1, Some(2), 0, 9, Ending::Good);
        tallies.note(1, Some(2), 0, 9, Ending::ClosedOff);
        assert!(tallies.closed().is_empty());
        tallies.note(1, Some(2), 0, 10, Ending::Good);
        let closed = tallies.closed();
        assert_eq!(closed.len(), 1);
        let (node, route, window) = closed[0];
        assert_eq!((node, route), (1, 2));
        assert_eq!((window[0], window[4]), (tier(1, 0), tier(0, 1)));
        assert!(tallies.closed().is_empty());
    }
}
