//! What callers do when they do not get an answer: wait, give up, ask again.

use std::cmp::Reverse;
use std::collections::VecDeque;

use super::Agenda;
use crate::rng::Rng;
use crate::scenario::{Retries, Scenario};

/// Retries that may be saved up while none are needed.
const BURST: f64 = 10.0;

/// One attempt of one caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) class: usize,
    pub(super) attempt: u32,
}

struct Habits {
    timeout: Option<f64>,
    retries: Option<Retries>,
    /// Retries that the budget still allows.
    saved: f64,
    /// Moments of giving up, in order, with slot and serial.
    patience: VecDeque<(f64, u32, u64)>,
}

pub(super) struct Callers {
    habits: Vec<Habits>,
    retries: Agenda<(usize, u32)>,
    rng: Rng,
    /// Orders retries of the same moment.
    count: u64,
    any_timeout: bool,
}

impl Callers {
    pub(super) fn new(scenario: &Scenario, rng: Rng) -> Self {
        let habits: Vec<Habits> = scenario
            .classes()
            .iter()
            .map(|c| Habits {
                timeout: c.timeout_secs,
                retries: c.retries,
                saved: BURST,
                patience: VecDeque::new(),
            })
            .collect();
        let any_timeout = habits.iter().any(|h| h.timeout.is_some());
        Self { habits, retries: Agenda::new(), rng, count: 0, any_timeout }
    }

    /// A fresh request of this class earns its share of a retry.
    pub(super) fn fresh(&mut self, class: usize) {
        if let Some(habits) = self.habits.get_mut(class)
            && let Some(budget) = habits.retries.and_then(|r| r.budget)
        {
            habits.saved = atrion_core::math::min(habits.saved + budget, BURST);
        }
    }

    /// Somebody begins to wait for an answer.
    pub(super) fn watch(&mut self, class: usize, arrived: f64, id: u32, serial: u64) {
        if let Some(habits) = self.habits.get_mut(class)
            && let Some(timeout) = habits.timeout
        {
            habits.patience.push_back((arrived + timeout, id, serial));
        }
    }

    pub(super) fn next_timeout(&self) -> f64 {
        if !self.any_timeout {
            return f64::INFINITY;
        }
        self.first_to_give_up().map_or(f64::INFINITY, |(_, at)| at)
    }

    fn first_to_give_up(&self) -> Option<(usize, f64)> {
        let fronts = self.habits.iter().enumerate();
        fronts
            .filter_map(|(index, h)| h.patience.front().map(|(at, ..)| (index, *at)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    pub(super) fn pop_timeout(&mut self) -> Option<(u32, u64)> {
        let (index, _) = self.first_to_give_up()?;
        let (_, id, serial) = self.habits.get_mut(index)?.patience.pop_front()?;
        Some((id, serial))
    }

    /// The attempt led to nothing; there may be another one.
    pub(super) fn ask_again(&mut self, ask: Ask, now: f64) {
        let Some(habits) = self.habits.get_mut(ask.class) else { return };
        let Some(retries) = habits.retries else { return };
        if ask.attempt >= retries.attempts {
            return;
        }
        if retries.budget.is_some() {
            if habits.saved < 1.0 {
                return;
            }
            habits.saved -= 1.0;
        }
        let at = now + retries.backoff_secs * self.rng.exponential();
        self.count += 1;
        // Times are not negative, so the order of their bits is their order.
        self.retries.push(Reverse((at.to_bits(), self.count, (ask.class, ask.attempt + 1))));
    }

    pub(super) fn next_retry(&self) -> f64 {
        self.retries.peek().map_or(f64::INFINITY, |Reverse((at, ..))| f64::from_bits(*at))
    }

    pub(super) fn pop_retry(&mut self) -> Option<Ask> {
        let Reverse((_, _, (class, attempt))) = self.retries.pop()?;
        Some(Ask { class, attempt })
    }
}
