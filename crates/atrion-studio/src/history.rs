//! What one route did over time: bounded rings, kept for the routes that somebody looks at.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use atrion_core::time::Timestamp;

use crate::number::{put, put_all, put_text, rounded};

/// How many priority tiers there are.
pub(crate) const TIERS: usize = 5;
/// Mode changes that are kept of each route.
const MODES: usize = 100;
/// Refusals that are kept of each route.
pub(crate) const REFUSALS: usize = 50;
/// A route is kept for this long after somebody looked at it.
const KEPT_SECS: f64 = 600.0;

/// One moment of one route.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) at_ms: u64,
    pub(crate) mode: u8,
    /// Base, saturation, process, scar, cluster scar, reported.
    pub(crate) parts: [f32; 6],
    /// Three pressures, momentum, staleness: what `reported` is made of.
    pub(crate) stress: [f32; 5],
    pub(crate) in_flight: u32,
    pub(crate) error_rate: f32,
    pub(crate) service_ms: Option<f32>,
    /// Per second, by tier.
    pub(crate) rates: Option<([f32; TIERS], [f32; TIERS])>,
}

impl Sample {
    /// Appends it as the array that the interface describes.
    pub(crate) fn put(&self, out: &mut String) {
        out.push('[');
        put(out, self.at_ms as f64);
        let numbers = [f32::from(self.mode)]
            .into_iter()
            .chain(self.parts)
            .chain(self.stress)
            .chain([self.in_flight as f32, self.error_rate, self.service_ms.unwrap_or(f32::NAN)]);
        for number in numbers {
            out.push(',');
            put(out, rounded(f64::from(number)));
        }
        match self.rates {
            None => out.push_str(",null,null"),
            Some((admitted, shed)) => {
                for rates in [admitted, shed] {
                    out.push(',');
                    put_all(out, rates.map(f64::from));
                }
            }
        }
        out.push(']');
    }
}

/// One request that was refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) at_ms: u64,
    pub(crate) reason: &'static str,
    pub(crate) volt: f64,
    pub(crate) parts: [f64; 6],
    pub(crate) retry_after_ms: u64,
    pub(crate) shadow: bool,
    pub(crate) text: String,
}

impl Refused {
    /// Appends it as JSON.
    pub(crate) fn put(&self, out: &mut String) {
        out.push_str("{\"at_ms\":");
        put(out, self.at_ms as f64);
        out.push_str(",\"reason\":");
        put_text(out, self.reason);
        out.push_str(",\"volt\":");
        put(out, self.volt);
        out.push_str(",\"resistance_ohm\":");
        put(out, rounded(self.parts.iter().sum()));
        out.push_str(",\"parts_ohm\":");
        put_all(out, self.parts);
        out.push_str(",\"retry_after_ms\":");
        put(out, self.retry_after_ms as f64);
        out.push_str(if self.shadow { ",\"shadow\":true" } else { ",\"shadow\":false" });
        out.push_str(",\"text\":");
        put_text(out, &self.text);
        out.push('}');
    }
}

/// What is remembered of one route.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) name: Arc<str>,
    samples: VecDeque<Sample>,
    modes: VecDeque<(u64, u8)>,
    refusals: VecDeque<Refused>,
    /// How many refusals there were since it is kept.
    refused: u64,
    wanted: Timestamp,
}

impl Track {
    /// Adds a moment, and a change of mode if it is one.
    pub(crate) fn push(&mut self, sample: Sample, most: usize) {
        if self.modes.back().is_none_or(|(_, mode)| *mode != sample.mode) {
            bounded(&mut self.modes, (sample.at_ms, sample.mode), MODES);
        }
        bounded(&mut self.samples, sample, most);
    }

    pub(crate) fn refuse(&mut self, refused: Refused) {
        self.refused += 1;
        bounded(&mut self.refusals, refused, REFUSALS);
    }

    pub(crate) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter()
    }

    pub(crate) fn modes(&self) -> impl Iterator<Item = &(u64, u8)> {
        self.modes.iter()
    }

    /// Refusals after the `seen`-th, newest first, and how many there were.
    pub(crate) fn refusals(&self, seen: u64) -> (impl Iterator<Item = &Refused>, u64) {
        let new = usize::try_from(self.refused.saturating_sub(seen)).unwrap_or(usize::MAX);
        (self.refusals.iter().rev().take(new), self.refused)
    }
}

fn bounded<T>(ring: &mut VecDeque<T>, entry: T, most: usize) {
    while ring.len() >= most.max(1) {
        ring.pop_front();
    }
    ring.push_back(entry);
}

/// What is remembered of the routes that are looked at.
#[derive(Debug)]
pub(crate) struct Histories {
    tracks: HashMap<u64, Track>,
    most_routes: usize,
    most_samples: usize,
}

impl Histories {
    pub(crate) fn new(most_routes: usize, most_samples: usize) -> Self {
        Self { tracks: HashMap::new(), most_routes: most_routes.max(1), most_samples }
    }

    /// Somebody wants this route: it is kept from now on, in the place of the one that nobody has
    /// wanted for the longest time if there is no room.
    pub(crate) fn want(&mut self, id: u64, name: &Arc<str>, now: Timestamp) -> &mut Track {
        if !self.tracks.contains_key(&id) && self.tracks.len() >= self.most_routes {
            let oldest = self.tracks.iter().min_by_key(|(id, track)| (track.wanted, **id));
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.tracks.remove(&oldest);
            }
        }
        let track = self.tracks.entry(id).or_insert_with(|| Track {
            name: Arc::clone(name),
            samples: VecDeque::new(),
            modes: VecDeque::new(),
            refusals: VecDeque::new(),
            refused: 0,
            wanted: now,
        });
        track.wanted = track.wanted.max(now);
        track
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Track> {
        self.tracks.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Track> {
        self.tracks.get_mut(&id)
    }

    /// Takes in a moment of a route, if it is kept.
    pub(crate) fn push(&mut self, id: u64, sample: Sample) {
        let most = self.most_samples;
        if let Some(track) = self.tracks.get_mut(&id) {
            track.push(sample, most);
        }
    }

    /// Forgets what nobody has wanted for ten minutes.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        self.tracks.retain(|_, track| now.secs_since(track.wanted) <= KEPT_SECS);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tracks.is_empty()
    }

    /// The routes that are kept.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (u64, &Arc<str>)> {
        self.tracks.iter().map(|(id, track)| (*id, &track.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(at_ms: u64) -> Refused {
        Refused {
            at_ms,
            reason: "scarred",
            volt: 5.0,
            parts: [1.0; 6],
            retry_after_ms: 1,
            shadow: false,
            text: "<b>".into(),
        }
    }

    proptest! {
        #[test]
        fn rings_are_bounded_and_keep_the_newest(pushed in 0_u64..300, most in 1_usize..50) {
            let mut histories = Histories::new(2, most);
            let name: Arc<str> = Arc::from("a");
            histories.want(1, &name, Timestamp::ZERO);
            for n in 0..pushed {
                histories.push(1, Sample { at_ms: n, mode: (n % 2) as u8, ..Sample::default() });
                histories.get_mut(1).unwrap().refuse(refused(n));
            }
            let track = histories.get(1).unwrap();
            let held: Vec<u64> = track.samples().map(|s| s.at_ms).collect();
            prop_assert_eq!(held, (pushed.saturating_sub(most as u64)..pushed).collect::<Vec<_>>());
            prop_assert!(track.modes().count() <= MODES);
            let seen = pushed.saturating_sub(3);
            let (new, count) = track.refusals(seen);
            prop_assert_eq!(count, pushed);
            prop_assert_eq!(new.map(|r| r.at_ms).collect::<Vec<_>>(), (seen..pushed).rev().collect::<Vec<_>>());
        }

        #[test]
        fn there_are_never_more_routes_than_allowed(wants in prop::collection::vec((0_u64..20, 0_u64..2000), 1..100)) {
            let mut histories = Histories::new(4, 5);
            let mut now = 0;
            for (id, step) in wants {
                now += step;
                let at = Timestamp::from_secs(now);
                histories.want(id, &Arc::from("x"), at);
                prop_assert!(histories.tracks.len() <= 4);
                prop_assert!(histories.get(id).is_some(), "the one just wanted stays");
                histories.sweep(at);
                prop_assert!(histories.get(id).is_some());
            }
            histories.sweep(Timestamp::from_secs(now + 601));
            prop_assert!(histories.is_empty());
        }
    }

    #[test]
    fn a_sample_is_the_array_that_is_described() {
        let mut out = String::new();
        let sample = Sample { at_ms: 7, rates: Some(([1.0; 5], [0.5; 5])), ..Sample::default() };
        sample.put(&mut out);
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value.as_array().unwrap().len(), 18);
        assert_eq!(value[0], 7);
        assert!(value[15].is_null());
        assert_eq!(value[17][4], 0.5);
        out.clear();
        refused(3).put(&mut out);
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&value["resistance_ohm"], &value["text"]), (&6.into(), &"<b>".into()));
    }
}
