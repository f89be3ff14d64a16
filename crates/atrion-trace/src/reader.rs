//! From bytes to records.

use std::io::Read;

use crate::bytes::{Input, unzigzag};
use crate::error::TraceError;
use crate::format::{
    ADMITTED, BLOCK_HEADER_BYTES, BLOCK_RECORDS, BLOCK_TOTALS, ENDED, HEADER_BYTES, IS_NEW, LOST,
    MAGIC, MARK, MEASURED, MOST_BLOCK_BYTES, MOST_NAME_BYTES, MOST_ROUTES, MOST_VOLTAGES, REFUSED,
    ROUTE, SHADOWED, SWITCH, TYPE_BITS, VERSION, VOLTAGE, checksum,
};
use crate::record::{
    Arrival, Decision, Ending, Kind, Mark, Outcome, Reason, Record, RouteStart, Totals,
};

/// How a trace ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Well, with these totals.
    Whole(Totals),
    /// The recording was cut off between two blocks, or within one, of which so many bytes are
    /// there. Everything before it was read.
    Cut {
        /// Bytes that belong to no whole block.
        bytes: u64,
    },
}

/// Reads a trace, block by block, with memory bounded by the format's limits whatever the bytes.
pub struct Reader<R> {
    source: R,
    /// Bytes read so far.
    at: u64,
    block: u64,
    payload: Vec<u8>,
    context: Context,
    finish: Option<Finish>,
}

/// What records refer to.
#[derive(Default)]
struct Context {
    last_at: u64,
    route: u32,
    routes: u32,
    voltages: Vec<f64>,
    arrivals: u64,
}

/// Why a payload cannot be understood: which field, and what is wrong with it.
type Fault = (&'static str, &'static str);

/// What filling a buffer came to.
enum Filled {
    Whole,
    Ended(usize),
}

impl<R: Read> Reader<R> {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// [`TraceError`] if the source is empty, no trace, of another version, or cannot be read.
    pub fn new(mut source: R) -> Result<Self, TraceError> {
        let mut header = [0; HEADER_BYTES];
        let filled = fill(&mut source, &mut header)?;
        let have = match filled {
            Filled::Whole => HEADER_BYTES,
            Filled::Ended(have) => have,
        };
        if have == 0 {
            return Err(TraceError::Empty);
        }
        if header.iter().zip(&MAGIC).take(have).any(|(found, expected)| found != expected) {
            return Err(TraceError::NotATrace);
        }
        if have < HEADER_BYTES {
            return Err(TraceError::CutShort { bytes: have as u64 });
        }
        let mut rest = Input::new(&header);
        let _ = rest.take(MAGIC.len());
        let found = rest.array().map_or(0, u16::from_le_bytes);
        if found != VERSION {
            return Err(TraceError::Version { found, known: VERSION });
        }
        if rest.array() != Some([0, 0]) {
            return Err(TraceError::NotATrace);
        }
        Ok(Self {
            source,
            at: HEADER_BYTES as u64,
            block: 0,
            payload: Vec::new(),
            context: Context::default(),
            finish: None,
        })
    }

    /// Reads one block and hands its records to `each`; whether there was one. A block is checked
    /// whole before the first record of it is handed out.
    ///
    /// # Errors
    /// [`TraceError`] if the block is damaged, if `each` says so, or if the source cannot be read. A trace that
    /// simply ends is no error: see [`finish`](Self::finish).
    pub fn read_block(
        &mut self,
        mut each: impl FnMut(Record) -> Result<(), TraceError>,
    ) -> Result<bool, TraceError> {
        if self.finish.is_some() {
            return Ok(false);
        }
        let (block, at) = (self.block, self.at);
        let damaged = |problem| TraceError::Damaged { block, at, problem };
        let mut header = [0; BLOCK_HEADER_BYTES];
        if let Filled::Ended(bytes) = fill(&mut self.source, &mut header)? {
            return self.cut(bytes);
        }
        let mut input = Input::new(&header);
        let length = input.array().map_or(0, u32::from_le_bytes);
        let expected = input.array().map_or(0, u32::from_le_bytes);
        if length == 0 || length as usize > MOST_BLOCK_BYTES {
            return Err(damaged("its length is not one that a block has"));
        }
        self.payload.resize(length as usize, 0);
        if let Filled::Ended(bytes) = fill(&mut self.source, &mut self.payload)? {
            return self.cut(BLOCK_HEADER_BYTES + bytes);
        }
        if checksum(length, &self.payload) != expected {
            return Err(damaged("its checksum does not fit"));
        }
        self.at += (BLOCK_HEADER_BYTES + self.payload.len()) as u64;
        self.block += 1;
        let malformed =
            |(field, problem): Fault| TraceError::Malformed { block, at, field, problem };
        let mut input = Input::new(&self.payload);
        match input.byte() {
            Some(BLOCK_RECORDS) => {
                let records = self.context.records(&mut input).map_err(malformed)?;
                records.into_iter().try_for_each(&mut each)?;
                Ok(true)
            }
            Some(BLOCK_TOTALS) => {
                self.finish = Some(Finish::Whole(totals(&mut input).map_err(malformed)?));
                let mut more = [0];
                if matches!(fill(&mut self.source, &mut more)?, Filled::Whole) {
                    return Err(TraceError::Damaged {
                        block: self.block,
                        at: self.at,
                        problem: "something follows the last block",
                    });
                }
                Ok(true)
            }
            _ => Err(malformed(("kind of block", "is unknown"))),
        }
    }

    fn cut(&mut self, bytes: usize) -> Result<bool, TraceError> {
        if self.block == 0 {
            return Err(TraceError::CutShort { bytes: self.at + bytes as u64 });
        }
        self.finish = Some(Finish::Cut { bytes: bytes as u64 });
        Ok(false)
    }

    /// How the trace ended; `None` while there may be more.
    pub const fn finish(&self) -> Option<Finish> {
        self.finish
    }
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("at", &self.at)
            .field("block", &self.block)
            .finish_non_exhaustive()
    }
}

fn fill(source: &mut impl Read, buffer: &mut [u8]) -> Result<Filled, TraceError> {
    let mut have = 0;
    while let Some(rest) = buffer.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => return Ok(Filled::Ended(have)),
            Ok(count) => have += count,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(Filled::Whole)
}

fn totals(input: &mut Input<'_>) -> Result<Totals, Fault> {
    let mut count = || input.varint().ok_or(("totals", "are no numbers"));
    let totals = Totals {
        arrivals: count()?,
        ends: count()?,
        unmatched_ends: count()?,
        marks: count()?,
        dropped: count()?,
        unwritten: count()?,
    };
    if input.is_empty() { Ok(totals) } else { Err(("totals", "are longer than they may be")) }
}

fn pick<T: Copy>(all: &[T], code: u8, field: &'static str) -> Result<T, Fault> {
    all.get(usize::from(code)).copied().ok_or((field, "has an unknown code"))
}

impl Context {
    fn records(&mut self, input: &mut Input<'_>) -> Result<Vec<Record>, Fault> {
        let base = input.array().ok_or(("base time", "is cut short"))?;
        self.last_at = u64::from_le_bytes(base);
        let mut records = Vec::new();
        while let Some(first) = input.byte() {
            let arguments = first >> TYPE_BITS;
            match first & ((1 << TYPE_BITS) - 1) {
                ROUTE => records.push(Record::Route(self.start(arguments, input)?)),
                VOLTAGE => self.define_voltage(arguments, input)?,
                SWITCH => self.switch(arguments, input)?,
                ADMITTED => records.push(Record::Arrival(self.admitted(arguments, input)?)),
                REFUSED => records.push(Record::Arrival(self.refused(arguments, input)?)),
                ENDED => records.push(self.ending(arguments, input)?),
                MARK => {
                    let mark = pick(&Mark::ALL, arguments, "mark")?;
                    let at = self.time(input)?;
                    records.push(Record::Mark { route: self.known_route()?, at, mark });
                }
                LOST if arguments == 0 => {
                    let count = input.varint().ok_or(("lost observations", "are no number"))?;
                    records.push(Record::Lost { count });
                }
                _ => return Err(("record", "has arguments that it must not have")),
            }
        }
        Ok(records)
    }

    fn time(&mut self, input: &mut Input<'_>) -> Result<u64, Fault> {
        let step = input.varint().ok_or(("time", "is no number"))?;
        self.last_at = self.last_at.wrapping_add(unzigzag(step).cast_unsigned());
        Ok(self.last_at)
    }

    fn known_route(&self) -> Result<u32, Fault> {
        if self.routes == 0 { Err(("route", "is not known yet")) } else { Ok(self.route) }
    }

    fn start(&mut self, arguments: u8, input: &mut Input<'_>) -> Result<RouteStart, Fault> {
        if arguments & !IS_NEW != 0 {
            return Err(("route", "has unknown arguments"));
        }
        if self.routes as usize >= MOST_ROUTES {
            return Err(("route", "is one too many"));
        }
        let at = self.time(input)?;
        let seed = input.array().map(u64::from_le_bytes).ok_or(("seed", "is cut short"))?;
        let in_flight = input.varint_u32().ok_or(("in flight", "is no number of requests"))?;
        let length = input.varint().unwrap_or(0);
        let fits = length >= 1 && length <= MOST_NAME_BYTES as u64;
        let name = fits.then(|| input.take(length as usize)).flatten();
        let name = name.ok_or(("name of a route", "has a length that it must not have"))?;
        let name = std::str::from_utf8(name).map_err(|_| ("name of a route", "is not UTF-8"))?;
        self.route = self.routes;
        self.routes += 1;
        Ok(RouteStart { name: name.into(), at, seed, in_flight, is_new: arguments == IS_NEW })
    }

    fn define_voltage(&mut self, arguments: u8, input: &mut Input<'_>) -> Result<(), Fault> {
        if arguments != 0 || self.voltages.len() >= MOST_VOLTAGES {
            return Err(("voltage", "is one too many"));
        }
        let volts = quantity(input)?;
        self.voltages.push(volts);
        Ok(())
    }

    fn switch(&mut self, arguments: u8, input: &mut Input<'_>) -> Result<(), Fault> {
        let route = input.varint_u32().filter(|route| arguments == 0 && *route < self.routes);
        self.route = route.ok_or(("route", "is not one that was made known"))?;
        Ok(())
    }

    fn volts(&self, input: &mut Input<'_>) -> Result<f64, Fault> {
        let number = input.varint().ok_or(("voltage", "is no number"))?;
        let Some(index) = number.checked_sub(1) else { return quantity(input) };
        let known = usize::try_from(index).ok().and_then(|index| self.voltages.get(index));
        known.copied().ok_or(("voltage", "is not one that was made known"))
    }

    fn admitted(&mut self, arguments: u8, input: &mut Input<'_>) -> Result<Arrival, Fault> {
        if arguments & !(3 | MEASURED | SHADOWED) != 0 {
            return Err(("admission", "has unknown arguments"));
        }
        let kind = pick(&Kind::ALL, arguments & 3, "kind")?;
        let at = self.time(input)?;
        let volts = self.volts(input)?;
        let in_flight = if arguments & MEASURED == 0 {
            None
        } else {
            Some(input.varint_u32().ok_or(("in flight", "is no number of requests"))?)
        };
        let shadowed = if arguments & SHADOWED == 0 {
            None
        } else {
            Some(pick(&Reason::ALL, input.byte().unwrap_or(u8::MAX), "reason")?)
        };
        self.arrivals += 1;
        let decision = Decision::Admitted { kind, shadowed };
        Ok(Arrival { route: self.known_route()?, at, volts, in_flight, decision })
    }

    fn refused(&mut self, arguments: u8, input: &mut Input<'_>) -> Result<Arrival, Fault> {
        let reason = pick(&Reason::ALL, arguments, "reason")?;
        let at = self.time(input)?;
        let volts = self.volts(input)?;
        let in_flight = input.varint_u32().ok_or(("in flight", "is no number of requests"))?;
        let ohms = input.array().map(f32::from_le_bytes).filter(|x| *x >= 0.0 && x.is_finite());
        let ohms = ohms.ok_or(("resistance", "is not a finite number from 0 up"))?;
        self.arrivals += 1;
        let decision = Decision::Refused { reason, ohms };
        Ok(Arrival { route: self.known_route()?, at, volts, in_flight: Some(in_flight), decision })
    }

    fn ending(&mut self, arguments: u8, input: &mut Input<'_>) -> Result<Record, Fault> {
        let outcome = pick(&Outcome::ALL, arguments, "outcome")?;
        let at = self.time(input)?;
        let age = input.varint().ok_or(("age", "is no number"))?;
        let ending = Ending { route: self.known_route()?, at, outcome };
        if age == 0 {
            return Ok(Record::Ending { arrival: None, ending });
        }
        let arrival = self.arrivals.checked_sub(age);
        let arrival = arrival.ok_or(("age", "is that of no arrival"))?;
        Ok(Record::Ending { arrival: Some(arrival), ending })
    }
}

fn quantity(input: &mut Input<'_>) -> Result<f64, Fault> {
    let value = input.array().map(f64::from_le_bytes).filter(|x| *x >= 0.0 && x.is_finite());
    value.ok_or(("voltage", "is not a finite number from 0 up"))
}
