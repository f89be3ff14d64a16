//! What became of the requests.

use atrion_core::flow::Priority;

/// Counts by tier, and when whose requests passed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Requests by tier while the node's dependency was well: asked and refused.
    pub(crate) asked: [u64; 5],
    pub(crate) refused: [u64; 5],
    /// Requests while it was dead: asked and sent there.
    pub(crate) asked_dead: u64,
    pub(crate) sent_dead: u64,
    /// Own failures until the first refusal: what a warning should have prevented.
    pub(crate) sent_dead_before_refusal: u64,
    refused_dead: bool,
    /// Steps at which a normal or more important request passed or was refused.
    pub(crate) important: Vec<(u64, bool)>,
}

impl Tally {
    pub(crate) fn count(&mut self, step: u64, tier: Priority, admitted: bool, dead: bool) {
        let index = Priority::ALL.iter().position(|one| *one == tier).unwrap_or(0);
        if dead {
            self.asked_dead += 1;
            self.sent_dead += u64::from(admitted);
            self.refused_dead |= !admitted;
            self.sent_dead_before_refusal += u64::from(admitted && !self.refused_dead);
        } else {
            self.asked[index] += 1;
            self.refused[index] += u64::from(!admitted);
        }
        if tier >= Priority::Normal {
            self.important.push((step, admitted));
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for tier in 0..5 {
            self.asked[tier] += other.asked[tier];
            self.refused[tier] += other.refused[tier];
        }
        self.asked_dead += other.asked_dead;
        self.sent_dead += other.sent_dead;
        self.sent_dead_before_refusal += other.sent_dead_before_refusal;
        self.important.extend(&other.important);
    }

    /// The share of healthy requests of a tier that were refused, in percent.
    pub(crate) fn harm(&self, tier: Priority) -> f64 {
        let index = Priority::ALL.iter().position(|one| *one == tier).unwrap_or(0);
        100.0 * self.refused[index] as f64 / self.asked[index].max(1) as f64
    }

    /// The worst harm of any tier.
    pub(crate) fn worst_harm(&self) -> f64 {
        Priority::ALL
            .iter()
            .map(|tier| self.harm(*tier))
            .fold(0.0, |a, b| if b > a { b } else { a })
    }

    /// Harm of every tier, for messages.
    pub(crate) fn harms(&self) -> String {
        let one = |tier: &Priority| format!("{:.2}", self.harm(*tier));
        Priority::ALL.iter().map(one).collect::<Vec<_>>().join("/")
    }

    /// Seconds from `step` until half a second passes in which at least 95 % of the normal and more
    /// important requests are admitted. None if that never happens.
    pub(crate) fn recovery_secs(&self, step: u64) -> Option<f64> {
        const WINDOW: u64 = 50;
        let mut important: Vec<_> =
            self.important.iter().filter(|(at, _)| *at >= step).copied().collect();
        important.sort_unstable();
        let last = important.last()?.0;
        (step..=last.saturating_sub(WINDOW)).find_map(|from| {
            let within = important.iter().filter(|(at, _)| (from..from + WINDOW).contains(at));
            let (all, passed) =
                within.fold((0_u32, 0_u32), |(n, p), (_, ok)| (n + 1, p + u32::from(*ok)));
            (all > 0 && f64::from(passed) >= 0.95 * f64::from(all))
                .then(|| (from - step) as f64 / 100.0)
        })
    }
}
