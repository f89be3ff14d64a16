//! The overview's frames: what changed since the last one, written once for everybody.
//!
//! A pure machine: readings of all routes go in, the line that all viewers get comes out. A viewer
//! without a past gets the whole state as a line of its own.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;

use crate::number::{put, put_text, rounded};

/// The names of the columns, in order.
pub(crate) const COLUMNS: [&str; 9] = [
    "mode",
    "flags",
    "resistance_ohm",
    "cause",
    "in_flight",
    "admitted_rate",
    "shed_rate",
    "error_rate",
    "service_ms",
];

type Row = [f64; COLUMNS.len()];

/// What one route shows at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// Index into the names of the modes.
    pub(crate) mode: u8,
    /// Bits.
    pub(crate) flags: u8,
    pub(crate) resistance_ohm: f64,
    /// Index into the names of the parts.
    pub(crate) cause: u8,
    pub(crate) in_flight: u32,
    /// Requests that ended or were dropped, modulo 2^32.
    pub(crate) done: u32,
    /// Requests refused, or that would have been, modulo 2^32.
    pub(crate) shed: u32,
    pub(crate) error_rate: f64,
    pub(crate) service_secs: Option<f64>,
}

/// What was added up over all routes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) in_flight: u64,
    pub(crate) admitted_rate: f64,
    pub(crate) shed_rate: f64,
    pub(crate) by_mode: [u32; 5],
    pub(crate) shadowed: u32,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    row: Row,
    in_flight: u32,
    done: u32,
    shed: u32,
    /// The round that saw it last.
    round: u64,
}

/// All routes as the viewers know them.
#[derive(Debug, Default)]
pub(crate) struct Overview {
    entries: HashMap<Arc<str>, Entry>,
    names: HashMap<u64, Arc<str>>,
    ids: u64,
    seq: u64,
    round: u64,
    secs: f64,
    sums: Sums,
    changed: String,
    added: String,
    /// `totals` and `health` of the last frame, as JSON members.
    rest: String,
    at_ms: u64,
}

/// More requests than this between two rounds are a counter that began anew.
const MOST_IN_A_ROUND: u32 = 1 << 31;

fn step(now: u32, before: u32) -> f64 {
    let step = now.wrapping_sub(before);
    if step < MOST_IN_A_ROUND { f64::from(step) } else { 0.0 }
}

impl Overview {
    /// Begins a round, `secs` after the last one; rates are over that time.
    pub(crate) fn begin(&mut self, secs: f64) {
        self.round += 1;
        self.secs = secs;
        self.sums = Sums::default();
        self.changed.clear();
        self.added.clear();
    }

    /// Takes in one route; answers with its id.
    pub(crate) fn observe(&mut self, name: &Arc<str>, reading: &Reading) -> u64 {
        let known = self.entries.get_mut(name);
        // A route that comes to rest during a visit may be met twice; once is enough.
        if let Some(entry) = known.as_ref().filter(|entry| entry.round == self.round) {
            return entry.id;
        }
        let before = known.as_ref().map(|entry| (entry.in_flight, entry.done, entry.shed));
        let rate = |count: f64| if self.secs > 0.0 { count / self.secs } else { 0.0 };
        let (admitted_rate, shed_rate) = before.map_or((0.0, 0.0), |(in_flight, done, shed)| {
            let still = f64::from(reading.in_flight) - f64::from(in_flight);
            let admitted = (step(reading.done, done) + still).max_zero();
            (rate(admitted), rate(step(reading.shed, shed)))
        });
        let row = [
            f64::from(reading.mode),
            f64::from(reading.flags),
            reading.resistance_ohm,
            f64::from(reading.cause),
            f64::from(reading.in_flight),
            admitted_rate,
            shed_rate,
            reading.error_rate,
            reading.service_secs.map_or(f64::NAN, |secs| 1e3 * secs),
        ]
        .map(rounded);
        self.sums.in_flight += u64::from(reading.in_flight);
        self.sums.admitted_rate += admitted_rate;
        let is_shadowed = reading.flags & 1 != 0;
        // A shadowed route refuses nobody.
        self.sums.shed_rate += if is_shadowed { 0.0 } else { shed_rate };
        if let Some(count) = self.sums.by_mode.get_mut(usize::from(reading.mode)) {
            *count += 1;
        }
        self.sums.shadowed += u32::from(is_shadowed);
        let counted = (reading.in_flight, reading.done, reading.shed);
        if let Some(entry) = known {
            put_changes(&mut self.changed, entry.id, &entry.row, &row);
            (entry.in_flight, entry.done, entry.shed) = counted;
            (entry.row, entry.round) = (row, self.round);
            return entry.id;
        }
        self.ids += 1;
        let id = self.ids;
        let (in_flight, done, shed) = counted;
        let entry = Entry { id, row, in_flight, done, shed, round: self.round };
        separate(&mut self.added);
        put_row(&mut self.added, name, &entry);
        self.entries.insert(Arc::clone(name), entry);
        self.names.insert(id, Arc::clone(name));
        id
    }

    /// The sums of the round so far.
    pub(crate) const fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Ends the round: the line that everybody gets who has the one before. `rest` is further
    /// members of the object, as JSON without braces.
    pub(crate) fn finish(&mut self, at_ms: u64, rest: String) -> Bytes {
        let round = self.round;
        let mut gone = String::new();
        let names = &mut self.names;
        self.entries.retain(|_, entry| {
            let stays = entry.round == round;
            if !stays {
                separate(&mut gone);
                put(&mut gone, entry.id as f64);
                names.remove(&entry.id);
            }
            stays
        });
        self.seq += 1;
        self.at_ms = at_ms;
        self.rest = rest;
        let (seq, rest, changed, added) = (self.seq, &self.rest, &self.changed, &self.added);
        Bytes::from(format!(
            "{{\"t\":\"delta\",\"seq\":{seq},\"at_ms\":{at_ms},{rest},\"changed\":[{changed}],\"added\":[{added}],\"gone\":[{gone}]}}\n"
        ))
    }

    /// Everything, as of the last round, in one line.
    pub(crate) fn snapshot(&self) -> Bytes {
        let (seq, at_ms, rest) = (self.seq, self.at_ms, &self.rest);
        let mut out = String::with_capacity(256 + 96 * self.entries.len());
        // Writing into a string does not fail.
        let _ =
            write!(out, "{{\"t\":\"snapshot\",\"seq\":{seq},\"at_ms\":{at_ms},{rest},\"routes\":[");
        let mut entries: Vec<(&Arc<str>, &Entry)> = self.entries.iter().collect();
        entries.sort_unstable_by_key(|(_, entry)| entry.id);
        for (place, (name, entry)) in entries.into_iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            put_row(&mut out, name, entry);
        }
        out.push_str("]}\n");
        Bytes::from(out)
    }

    /// Number of the last line.
    pub(crate) const fn seq(&self) -> u64 {
        self.seq
    }

    /// The name of a route by its id.
    pub(crate) fn name(&self, id: u64) -> Option<&Arc<str>> {
        self.names.get(&id)
    }

    /// The id of a route by its name.
    pub(crate) fn id(&self, name: &str) -> Option<u64> {
        self.entries.get(name).map(|entry| entry.id)
    }

    /// How many routes there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

trait MaxZero {
    fn max_zero(self) -> Self;
}

impl MaxZero for f64 {
    fn max_zero(self) -> Self {
        if self > 0.0 { self } else { 0.0 }
    }
}

fn separate(out: &mut String) {
    if !out.is_empty() {
        out.push(',');
    }
}

fn put_row(out: &mut String, name: &str, entry: &Entry) {
    out.push('[');
    put(out, entry.id as f64);
    out.push(',');
    put_text(out, name);
    for value in entry.row {
        out.push(',');
        put(out, value);
    }
    out.push(']');
}

fn put_changes(out: &mut String, id: u64, before: &Row, after: &Row) {
    let differs = |(a, b): (&f64, &f64)| a.to_bits() != b.to_bits();
    let mask = before
        .iter()
        .zip(after)
        .enumerate()
        .filter(|(_, pair)| differs(*pair))
        .fold(0_u32, |mask, (column, _)| mask | 1 << column);
    if mask == 0 {
        return;
    }
    separate(out);
    out.push('[');
    put(out, id as f64);
    out.push(',');
    put(out, f64::from(mask));
    for (a, b) in before.iter().zip(after) {
        if differs((a, b)) {
            out.push(',');
            put(out, *b);
        }
    }
    out.push(']');
}

#[cfg(test)]
#[path = "frame/tests.rs"]
mod tests;
