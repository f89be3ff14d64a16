//! The stream of fresh requests: Poisson, with rates that change over time, or as recorded.

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
    /// Times in seconds, in order, and classes; then no chance is involved.
    recorded: Option<std::vec::IntoIter<(f64, usize)>>,
}

impl Arrivals {
    pub(super) fn new(scenario: &Scenario, rng: Rng) -> Self {
        let mut rates = Vec::new();
        let until = scenario.rates_at(0.0, &mut rates);
        let total = rates.iter().sum();
        let mut arrivals = Self { rng, next: 0.0, class: 0, rates, total, until, recorded: None };
        arrivals.advance(scenario);
        arrivals
    }

    /// These arrivals and no others.
    pub(super) fn recorded(all: Vec<(f64, usize)>) -> Self {
        let mut recorded = all.into_iter();
        let first = recorded.next();
        Self {
            rng: Rng::new(0, 0),
            next: first.map_or(f64::INFINITY, |(at, _)| at),
            class: first.map_or(0, |(_, class)| class),
            rates: Vec::new(),
            total: 0.0,
            until: f64::INFINITY,
            recorded: Some(recorded),
        }
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
        if let Some(recorded) = &mut self.recorded {
            (self.next, self.class) = recorded.next().unwrap_or((f64::INFINITY, 0));
            return;
        }
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
