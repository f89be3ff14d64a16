//! Operations, drawn from bytes.

use std::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use atrion_core::flow::Priority;
use atrion_core::units::Volts;
use atrion_engine::Outcome;

/// Names of routes: more than the instance keeps.
pub(crate) const NAMES: usize = 9;

/// What users do with an instance.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Admit {
        route: usize,
        volts: Draw,
    },
    End {
        permit: usize,
        outcome: Option<Outcome>,
    },
    /// So many requests one after the other, which all fail.
    Storm {
        route: usize,
        requests: u8,
    },
    Lease {
        route: usize,
        volts: Draw,
        silence: Duration,
        longest: Duration,
    },
    Beat {
        lease: usize,
    },
    EndLease {
        lease: usize,
        outcome: Option<Outcome>,
    },
    CancelLease {
        lease: usize,
    },
    Look {
        name: usize,
    },
    Forget {
        route: usize,
    },
    Tick,
    Advance(Duration),
    StepBack(Duration),
    Force {
        route: usize,
        open: bool,
        expiry: Duration,
    },
    Release {
        route: usize,
    },
    Reset {
        route: usize,
    },
    Shadow {
        route: usize,
        on: bool,
    },
    Reload {
        law: [Draw; 6],
        limit: usize,
        idle_secs: Draw,
        shadow: bool,
    },
    Report {
        route: usize,
        numbers: [Draw; 3],
        outcomes: (u64, u64),
    },
    Choose {
        volts: Draw,
        beta: Draw,
    },
    Flush,
    Restart,
}

/// A number that a user may hand over: mostly a sensible one, sometimes none at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw(pub(crate) f64);

impl Draw {
    /// A voltage of this number, if it is one; else that of a tier.
    pub(crate) fn volts(self) -> Volts {
        Volts::try_new(self.0).unwrap_or(Priority::Normal.volts())
    }
}

impl<'a> Arbitrary<'a> for Draw {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        const TELLING: [f64; 16] = [
            0.0,
            -0.0,
            0.1,
            1.0,
            5.0,
            20.0,
            50.0,
            100.0,
            1e6,
            1e300,
            -1.0,
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        Ok(Self(match u.int_in_range(0..=9)? {
            0..=4 => *u.choose(&TELLING)?,
            5..=7 => f64::from(u.arbitrary::<u16>()?) / 256.0,
            8 => f64::from(u.arbitrary::<f32>()?),
            _ => u.arbitrary()?,
        }))
    }
}

/// Times of all orders of magnitude, from nanoseconds to centuries.
fn time(u: &mut Unstructured<'_>) -> Result<Duration> {
    let bits = u.int_in_range(0..=63)?;
    let nanos = u.arbitrary::<u64>()? >> (63 - bits);
    Ok(Duration::from_nanos(nanos))
}

/// Times that services take.
fn short(u: &mut Unstructured<'_>) -> Result<Duration> {
    Ok(Duration::from_micros(u.arbitrary::<u16>()?.into()))
}

fn outcome(u: &mut Unstructured<'_>) -> Result<Option<Outcome>> {
    Ok(*u.choose(&[
        Some(Outcome::Success),
        Some(Outcome::Success),
        Some(Outcome::Failure),
        Some(Outcome::Cancelled),
        None,
    ])?)
}

impl<'a> Arbitrary<'a> for Op {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        // The first byte chooses; the more common ones have more values.
        let kind: u8 = u.arbitrary()?;
        let route = u.arbitrary::<u8>()?.into();
        Ok(match kind {
            0..=79 => Self::Admit { route, volts: u.arbitrary()? },
            80..=139 => Self::End { permit: route, outcome: outcome(u)? },
            140..=169 => Self::Advance(short(u)?),
            170..=177 => Self::Advance(time(u)?),
            178..=181 => Self::StepBack(if u.arbitrary()? { time(u)? } else { short(u)? }),
            182..=189 => Self::Lease {
                route,
                volts: u.arbitrary()?,
                silence: if u.arbitrary()? { short(u)? } else { time(u)? },
                longest: if u.arbitrary()? { time(u)? } else { Duration::MAX },
            },
            190..=193 => Self::Beat { lease: route },
            194..=198 => Self::EndLease { lease: route, outcome: outcome(u)? },
            199..=201 => Self::CancelLease { lease: route },
            202..=209 => Self::Look { name: route % NAMES },
            210..=214 => Self::Forget { route },
            215..=219 => Self::Tick,
            220..=223 => Self::Force {
                route,
                open: u.arbitrary()?,
                expiry: if u.arbitrary()? { short(u)? } else { time(u)? },
            },
            224..=225 => Self::Release { route },
            226..=227 => Self::Reset { route },
            228..=231 => Self::Shadow { route, on: u.arbitrary()? },
            232..=236 => Self::Reload {
                law: u.arbitrary()?,
                limit: route,
                idle_secs: u.arbitrary()?,
                shadow: u.arbitrary::<u8>()? < 16,
            },
            237..=243 => Self::Report {
                route,
                numbers: u.arbitrary()?,
                outcomes: (u.arbitrary::<u16>()?.into(), u.arbitrary::<u16>()?.into()),
            },
            244..=246 => Self::Choose { volts: u.arbitrary()?, beta: u.arbitrary()? },
            247..=250 => Self::Flush,
            251..=252 => Self::Storm { route, requests: u.arbitrary()? },
            _ => Self::Restart,
        })
    }
}

/// The operations that these bytes stand for.
pub(crate) fn decode(bytes: &[u8]) -> Vec<Op> {
    let mut u = Unstructured::new(bytes);
    let mut ops = Vec::new();
    while !u.is_empty() {
        // What is missing at the end counts as zeros.
        let Ok(op) = u.arbitrary() else { break };
        ops.push(op);
    }
    ops
}
