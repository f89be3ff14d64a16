//! What one node is watched for while a cluster runs.

use atrion_core::time::Timestamp;

use crate::scenario::{Effect, Scenario};

/// Seconds after the beginning of an outage until every breaker has opened: what is sent to the
/// dead from then on are probes.
const OPENING_SECS: f64 = 2.0;
/// Width of the bins in which recovery is looked for, in seconds, and how many of them make the
/// stretch that counts as recovered.
const BIN_SECS: f64 = 0.01;
const STRETCH: usize = 50;
/// Share of the normal and more important requests that are served again.
const RECOVERED: f64 = 0.95;
/// Seconds after the end of everything in which recovery is looked for.
const WATCH_SECS: f64 = 30.0;

/// A request that was decided about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) now: Timestamp,
    pub(super) volts: f64,
    /// Normal or more.
    pub(super) important: bool,
    pub(super) admitted: bool,
}

/// Asked and admitted within one bin.
pub(super) type Bin = (u32, u32);

/// Requests of one worth: asked and refused.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Worth {
    pub(super) volts: f64,
    pub(super) asked: u64,
    pub(super) refused: u64,
}

/// Everything counted about one node.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    /// When its dependency is dead, in seconds.
    dead: Vec<(f64, f64)>,
    /// From then on refusals count.
    since: f64,
    /// When everything is over; infinite if nothing happens.
    healed: f64,
    pub(super) opened_at: Option<Timestamp>,
    /// When it had word of somebody's trouble, or found out itself.
    pub(super) known_at: Option<Timestamp>,
    /// When it acted on it: first held or opened a route.
    pub(super) held_at: Option<Timestamp>,
    pub(super) asked_dead: u64,
    pub(super) sent_dead: u64,
    /// Sent to the dead after every breaker had time to open.
    pub(super) probes: u64,
    /// Requests while there was no process.
    pub(super) lost: u64,
    pub(super) worths: Vec<Worth>,
    pub(super) bins: Vec<Bin>,
}

impl Watched {
    pub(super) fn new(node: &Scenario, acting: Option<(f64, f64)>) -> Self {
        let outage = |f: &&crate::scenario::Fault| matches!(f.effect, Effect::Outage { .. });
        let mut worths: Vec<Worth> = Vec::new();
        for class in node.classes() {
            if worths.iter().all(|w| w.volts.to_bits() != class.volts.to_bits()) {
                worths.push(Worth { volts: class.volts, ..Worth::default() });
            }
        }
        Self {
            dead: node.faults().iter().filter(outage).map(|f| (f.from_secs, f.to_secs)).collect(),
            since: acting.map_or(0.0, |a| a.0),
            healed: acting.map_or(f64::INFINITY, |a| a.1),
            worths,
            ..Self::default()
        }
    }

    pub(super) const fn note_lost(&mut self) {
        self.lost += 1;
    }

    pub(super) fn note_asked(&mut self, asked: &Asked) {
        let t = asked.now.secs_since(Timestamp::ZERO);
        if let Some((from, _)) = self.dead.iter().find(|(from, to)| t >= *from && t < *to) {
            self.asked_dead += 1;
            self.sent_dead += u64::from(asked.admitted);
            self.probes += u64::from(asked.admitted && t >= from + OPENING_SECS);
        }
        if t >= self.since {
            let same = |w: &&mut Worth| w.volts.to_bits() == asked.volts.to_bits();
            if let Some(worth) = self.worths.iter_mut().find(same) {
                worth.asked += 1;
                worth.refused += u64::from(!asked.admitted);
            }
        }
        if asked.important && t >= self.healed && t < self.healed + WATCH_SECS {
            let index = ((t - self.healed) / BIN_SECS) as usize;
            if index >= self.bins.len() {
                self.bins.resize(index + 1, (0, 0));
            }
            if let Some(bin) = self.bins.get_mut(index) {
                *bin = (bin.0 + 1, bin.1 + u32::from(asked.admitted));
            }
        }
    }

    /// Seconds of outage in which what is sent to the dead are probes.
    pub(super) fn probing_secs(&self, end: f64) -> f64 {
        let lasts = |(from, to): &(f64, f64)| {
            atrion_core::math::max(atrion_core::math::min(*to, end) - from - OPENING_SECS, 0.0)
        };
        self.dead.iter().map(lasts).sum()
    }
}

/// Seconds until a stretch of half a second begins in which nearly all important requests are
/// admitted: infinite if none does, `None` if nobody asked for so long.
pub(super) fn recovery_secs<'a>(nodes: impl Iterator<Item = &'a [Bin]>) -> Option<f64> {
    let mut all: Vec<Bin> = Vec::new();
    for bins in nodes {
        if bins.len() > all.len() {
            all.resize(bins.len(), (0, 0));
        }
        for (sum, bin) in all.iter_mut().zip(bins) {
            *sum = (sum.0 + bin.0, sum.1 + bin.1);
        }
    }
    if all.len() < 2 * STRETCH {
        return None;
    }
    let recovered = all.windows(STRETCH).position(|stretch| {
        let (asked, admitted) =
            stretch.iter().fold((0, 0), |sum, bin| (sum.0 + bin.0, sum.1 + bin.1));
        asked > 0 && f64::from(admitted) >= RECOVERED * f64::from(asked)
    });
    Some(recovered.map_or(f64::INFINITY, |bins| bins as f64 * BIN_SECS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_begins_where_nearly_all_pass_for_half_a_second() {
        let mut bins = vec![(2, 0); 80];
        bins.extend(vec![(2, 2); 100]);
        let found = recovery_secs([bins.as_slice()].into_iter()).expect("long enough");
        // Two of fifty bins may still refuse.
        assert!((found - 0.78).abs() < 1e-9, "{found}");
        assert_eq!(recovery_secs([&bins[..60]].into_iter()), None, "too short to tell");
        let never = recovery_secs([vec![(1, 0); 200].as_slice()].into_iter());
        assert_eq!(never, Some(f64::INFINITY));
        assert_eq!(recovery_secs(std::iter::empty()), None);
    }
}
