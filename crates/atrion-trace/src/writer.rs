//! From observations to bytes.

use std::collections::HashMap;
use std::io::{self, Write};

use crate::bytes::{put_varint, zigzag};
use crate::format::{
    ADMITTED, BLOCK_HEADER_BYTES, BLOCK_RECORDS, BLOCK_TOTALS, ENDED, HEADER_BYTES, IS_NEW, LOST,
    MAGIC, MARK, MEASURED, MOST_VOLTAGES, REFUSED, ROUTE, SHADOWED, SWITCH, TYPE_BITS, VERSION,
    VOLTAGE, checksum,
};
use crate::record::{
    Arrival, Decision, Ending, Key, Kind, Mark, Observation, Outcome, Reason, RouteStart, Totals,
    code,
};
use crate::tape::Tape;

/// A block is closed when it has grown to this.
const BLOCK_BYTES: usize = 32 * 1024;
/// More than the longest record (the start of a route) and the last block take.
const RESERVE_BYTES: u64 = 1024;
/// Requests in flight that endings are matched with; beyond, endings stay without an arrival.
const MOST_IN_FLIGHT: usize = 1 << 20;
/// Requests that may share one key.
const MOST_ALIKE: u8 = 8;

/// Writes a trace, block by block.
///
/// The sink gets whole blocks in single writes: whatever happens to the process, a file can be read
/// up to the last whole block. Call [`finish`](Self::finish) to end it well.
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
    most_bytes: u64,
    written: u64,
    block: Vec<u8>,
    last_at: u64,
    route: u32,
    routes: u32,
    voltages: HashMap<u64, u64>,
    in_flight: HashMap<(u32, Key, u8), u64>,
    totals: Totals,
    dropped_noted: u64,
    failed: bool,
}

impl<W: Write> Writer<W> {
    /// Begins a trace of at most so many bytes; what does not fit is left out and counted. The
    /// bound is kept whatever it is, but a trace needs about 2 KB to hold anything.
    ///
    /// # Errors
    /// What the sink says.
    pub fn new(mut sink: W, most_bytes: u64) -> io::Result<Self> {
        let mut header = MAGIC.to_vec();
        header.extend(VERSION.to_le_bytes());
        header.extend([0, 0]);
        sink.write_all(&header)?;
        sink.flush()?;
        Ok(Self {
            sink,
            most_bytes,
            written: HEADER_BYTES as u64,
            block: Vec::with_capacity(2 * BLOCK_BYTES),
            last_at: 0,
            route: 0,
            routes: 0,
            voltages: HashMap::new(),
            in_flight: HashMap::new(),
            totals: Totals::default(),
            dropped_noted: 0,
            failed: false,
        })
    }

    /// Bytes that the sink has got.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// What the recording has come to so far.
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Moves what is on the tape into the trace, one tapeful at most; answers with how many
    /// observations that were.
    ///
    /// # Errors
    /// What the sink says. From then on everything is only counted.
    pub fn drain(&mut self, tape: &Tape) -> io::Result<u64> {
        let mut count = 0;
        while count < tape.places()
            && let Some(observation) = tape.take()
        {
            count += 1;
            self.push(&observation, tape)?;
        }
        let dropped = tape.dropped();
        if dropped > self.dropped_noted && self.has_room() {
            let lost = dropped - self.dropped_noted;
            self.begin_record();
            self.block.push(LOST);
            put_varint(&mut self.block, lost);
        }
        self.dropped_noted = dropped;
        self.totals.dropped = dropped;
        Ok(count)
    }

    fn push(&mut self, observation: &Observation, tape: &Tape) -> io::Result<()> {
        let route = match observation {
            Observation::Arrived(arrival, _) => arrival.route,
            Observation::Ended(ending, _) => ending.route,
            Observation::Marked { route, .. } => *route,
        };
        // What belongs to no route that this tape knows, or holds no number, is not written.
        if !self.has_room() || !is_writable(observation) || !self.know(route, tape) {
            self.totals.unwritten += 1;
            return Ok(());
        }
        self.begin_record();
        self.switch(route);
        match observation {
            Observation::Arrived(arrival, key) => self.arrival(arrival, *key),
            Observation::Ended(ending, key) => self.ending(ending, *key),
            Observation::Marked { at, mark, .. } => {
                self.head(MARK, code(&Mark::ALL, mark), *at);
                self.totals.marks += 1;
            }
        }
        if self.block.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Whether one more record fits, besides the last block.
    fn has_room(&self) -> bool {
        let taken = self.written + (self.block.len() + BLOCK_HEADER_BYTES) as u64;
        !self.failed && taken.saturating_add(2 * RESERVE_BYTES) <= self.most_bytes
    }

    /// Writes the starts of all routes up to this one.
    fn know(&mut self, route: u32, tape: &Tape) -> bool {
        while self.routes <= route {
            let Some(start) = tape.start_of(self.routes as usize) else { return false };
            if !self.has_room() {
                return false;
            }
            self.begin_record();
            self.start(&start);
            // A block must not outgrow its bound while many routes are made known at once.
            if self.block.len() >= BLOCK_BYTES && self.flush().is_err() {
                return false;
            }
        }
        true
    }

    fn begin_record(&mut self) {
        if self.block.is_empty() {
            self.block.push(BLOCK_RECORDS);
            self.block.extend(self.last_at.to_le_bytes());
        }
    }

    fn head(&mut self, kind: u8, arguments: u8, at: u64) {
        self.block.push(kind | arguments << TYPE_BITS);
        put_varint(&mut self.block, zigzag(at.wrapping_sub(self.last_at).cast_signed()));
        self.last_at = at;
    }

    fn start(&mut self, start: &RouteStart) {
        self.head(ROUTE, if start.is_new { IS_NEW } else { 0 }, start.at);
        self.block.extend(start.seed.to_le_bytes());
        put_varint(&mut self.block, u64::from(start.in_flight));
        put_varint(&mut self.block, start.name.len() as u64);
        self.block.extend(start.name.as_bytes());
        self.route = self.routes;
        self.routes += 1;
    }

    fn switch(&mut self, route: u32) {
        if route != self.route {
            self.block.push(SWITCH);
            put_varint(&mut self.block, u64::from(route));
            self.route = route;
        }
    }

    /// The number of this voltage, or 0 if it is to be written out.
    fn voltage(&mut self, volts: f64) -> u64 {
        let bits = volts.to_bits();
        if let Some(number) = self.voltages.get(&bits) {
            return *number;
        }
        if self.voltages.len() >= MOST_VOLTAGES {
            return 0;
        }
        self.block.push(VOLTAGE);
        self.block.extend(volts.to_le_bytes());
        let number = self.voltages.len() as u64 + 1;
        self.voltages.insert(bits, number);
        number
    }

    fn arrival(&mut self, arrival: &Arrival, key: Option<Key>) {
        let voltage = self.voltage(arrival.volts);
        match &arrival.decision {
            Decision::Admitted { kind, shadowed } => {
                let measured = arrival.in_flight.map_or(0, |_| MEASURED);
                let shadow = shadowed.map_or(0, |_| SHADOWED);
                self.head(ADMITTED, code(&Kind::ALL, kind) | measured | shadow, arrival.at);
            }
            Decision::Refused { reason, .. } => {
                self.head(REFUSED, code(&Reason::ALL, reason), arrival.at);
            }
        }
        put_varint(&mut self.block, voltage);
        if voltage == 0 {
            self.block.extend(arrival.volts.to_le_bytes());
        }
        match &arrival.decision {
            Decision::Admitted { shadowed, .. } => {
                if let Some(in_flight) = arrival.in_flight {
                    put_varint(&mut self.block, u64::from(in_flight));
                }
                if let Some(reason) = shadowed {
                    self.block.push(code(&Reason::ALL, reason));
                }
                if let Some(key) = key {
                    self.await_ending(arrival.route, key);
                }
            }
            Decision::Refused { ohms, .. } => {
                put_varint(&mut self.block, u64::from(arrival.in_flight.unwrap_or(0)));
                self.block.extend(ohms.to_le_bytes());
            }
        }
        self.totals.arrivals += 1;
    }

    fn await_ending(&mut self, route: u32, key: Key) {
        if self.in_flight.len() < MOST_IN_FLIGHT
            && let Some(alike) =
                (0..MOST_ALIKE).find(|n| !self.in_flight.contains_key(&(route, key, *n)))
        {
            self.in_flight.insert((route, key, alike), self.totals.arrivals);
        }
    }

    fn ending(&mut self, ending: &Ending, key: Key) {
        let number = (0..MOST_ALIKE).find_map(|n| self.in_flight.remove(&(ending.route, key, n)));
        self.head(ENDED, code(&Outcome::ALL, &ending.outcome), ending.at);
        put_varint(&mut self.block, number.map_or(0, |n| self.totals.arrivals - n));
        self.totals.ends += 1;
        self.totals.unmatched_ends += u64::from(number.is_none());
    }

    /// Gives the sink what waits, as a block.
    ///
    /// # Errors
    /// What the sink says. From then on everything is only counted.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let payload = std::mem::take(&mut self.block);
        let given = self.give(&payload);
        self.block = payload;
        self.block.clear();
        given
    }

    fn give(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = payload.len() as u32;
        let mut whole = Vec::with_capacity(BLOCK_HEADER_BYTES + payload.len());
        whole.extend(length.to_le_bytes());
        whole.extend(checksum(length, payload).to_le_bytes());
        whole.extend(payload);
        let given = self.sink.write_all(&whole).and_then(|()| self.sink.flush());
        self.failed |= given.is_err();
        if given.is_ok() {
            self.written += whole.len() as u64;
        }
        given
    }

    /// Writes what waits and the totals; answers with the sink and the totals.
    ///
    /// # Errors
    /// What the sink says.
    pub fn finish(mut self) -> io::Result<(W, Totals)> {
        if self.failed {
            return Err(io::Error::other("an earlier part of the trace could not be written"));
        }
        self.flush()?;
        let t = self.totals;
        let mut payload = vec![BLOCK_TOTALS];
        for count in [t.arrivals, t.ends, t.unmatched_ends, t.marks, t.dropped, t.unwritten] {
            put_varint(&mut payload, count);
        }
        if self.written + RESERVE_BYTES <= self.most_bytes {
            self.give(&payload)?;
        }
        Ok((self.sink, t))
    }
}

/// Whether every number in it is one that a reader takes.
fn is_writable(observation: &Observation) -> bool {
    let Observation::Arrived(arrival, _) = observation else { return true };
    let is_good = |x: f64| x >= 0.0 && x.is_finite();
    is_good(arrival.volts)
        && match arrival.decision {
            Decision::Admitted { .. } => true,
            Decision::Refused { ohms, .. } => is_good(f64::from(ohms)),
        }
}
