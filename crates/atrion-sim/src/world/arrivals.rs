//! The stream of fresh requests: Poisson, with rates that change over time.

use crate::rng::Rng;
use crate::scenario::Scenario;

pub(super) struct Arrivals {
    rng: Rng,
    next: f64,
    class: usize,
    rates: Vec<f64>,
    total: f64,
    /// The rates hold until then.
    until: f64,
}

impl Arrivals {
    pub(super) fn new(scenario: &Scenario, rng: Rng) -> Self {
        let mut rates = Vec::new();
        let until = scenario.rates_at(0.0, &mut rates);
        let total = rates.iter().sum();
        let mut arrivals = Self { rng, next: 0.0, class: 0, rates, total, until };
        arrivals.advance(scenario);
        arrivals
    }

    /// When the next request comes, in seconds; infinity if none does.
    pub(super) const fn next(&self) -> f64 {
        self.next
    }

    /// Of which class it is.
    pub(super) const fn class(&self) -> usize {
        self.class
    }

    pub(super) fn advance(&mut self, scenario: &Scenario) {
        loop {
            let gap =
                if self.total > 0.0 { self.rng.exponential() / self.total } else { f64::INFINITY };
            let next = self.next + gap;
            if next < self.until {
                self.next = next;
                break;
            }
            if self.until.is_infinite() {
                self.next = f64::INFINITY;
                return;
            }
            // Exponential gaps have no memory: where the rate changes, draw anew from there.
            self.next = self.until;
            self.until = scenario.rates_at(self.next, &mut self.rates);
            self.total = self.rates.iter().sum();
        }
        self.class = 0;
        if self.rates.len() > 1 {
            self.class = self.pick();
        }
    }

    fn pick(&mut self) -> usize {
        let mut left = self.rng.uniform() * self.total;
        for (index, rate) in self.rates.iter().enumerate() {
            left -= rate;
            if left < 0.0 {
                return index;
            }
        }
        // Rounding: the last one that asks at all.
        self.rates.iter().rposition(|rate| *rate > 0.0).unwrap_or(0)
    }
}
