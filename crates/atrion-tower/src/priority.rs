//! How much a request matters: from headers of trusted callers, else from a function.

use std::fmt;
use std::sync::Arc;

use atrion_core::flow::Priority;
use atrion_core::units::Volts;
use http::{HeaderMap, HeaderValue};

use crate::head::RequestHead;
use crate::stats::Counter;

/// Header with the voltage of a request as a plain decimal number, such as `35` or `12.5`.
pub const VOLTAGE_HEADER: &str = "x-atrion-voltage";
/// Header with the tier of a request: `bulk`, `low`, `normal`, `high` or `critical`.
pub const TIER_HEADER: &str = "x-atrion-tier";

/// Longest voltage that is read, in bytes; enough for every digit that matters.
const LONGEST_VOLTAGE: usize = 32;

type TrustFn = dyn Fn(&RequestHead<'_>) -> bool + Send + Sync;
type VoltsFn = dyn Fn(&RequestHead<'_>) -> Volts + Send + Sync;

/// Finds the voltage of a request.
#[derive(Clone)]
pub(crate) struct PriorityPolicy {
    pub(crate) trusted: Option<Arc<TrustFn>>,
    pub(crate) otherwise: Voltage,
    /// No header lifts a request above this.
    pub(crate) header_ceiling: Volts,
}

/// The voltage of a request that brings none it may bring.
#[derive(Clone)]
pub(crate) enum Voltage {
    Fixed(Volts),
    Computed(Arc<VoltsFn>),
}

impl Default for PriorityPolicy {
    fn default() -> Self {
        Self {
            trusted: None,
            otherwise: Voltage::Fixed(Priority::Normal.volts()),
            header_ceiling: Priority::Critical.volts(),
        }
    }
}

impl PriorityPolicy {
    #[inline]
    pub(crate) fn volts(&self, head: &RequestHead<'_>, malformed: &Counter) -> Volts {
        if let Some(trusted) = &self.trusted
            && has_priority_header(head.headers)
            && trusted(head)
            && let Some(volts) = from_headers(head.headers, malformed)
        {
            return if volts > self.header_ceiling { self.header_ceiling } else { volts };
        }
        match &self.otherwise {
            Voltage::Fixed(volts) => *volts,
            Voltage::Computed(find) => find(head),
        }
    }
}

impl fmt::Debug for PriorityPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriorityPolicy")
            .field("trusts_headers", &self.trusted.is_some())
            .field("header_ceiling", &self.header_ceiling)
            .finish_non_exhaustive()
    }
}

fn has_priority_header(headers: &HeaderMap) -> bool {
    headers.contains_key(VOLTAGE_HEADER) || headers.contains_key(TIER_HEADER)
}

/// The voltage that the headers state: the exact one if it is readable, else that of the tier.
fn from_headers(headers: &HeaderMap, malformed: &Counter) -> Option<Volts> {
    one(headers, VOLTAGE_HEADER, malformed, parse_volts)
        .or_else(|| one(headers, TIER_HEADER, malformed, parse_tier))
}

/// Reads a header that occurs once. Two values are as bad as an unreadable one: whoever appended
/// the second could be anybody.
fn one(
    headers: &HeaderMap,
    name: &'static str,
    malformed: &Counter,
    parse: fn(&HeaderValue) -> Option<Volts>,
) -> Option<Volts> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let volts = if values.next().is_none() { parse(first) } else { None };
    if volts.is_none() {
        malformed.add_one();
    }
    volts
}

/// Digits with at most one point among them. Signs, exponents, `inf` and `nan` are no voltages.
fn parse_volts(value: &HeaderValue) -> Option<Volts> {
    let text = value.to_str().ok().map(str::trim)?;
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !plain || text.len() > LONGEST_VOLTAGE {
        return None;
    }
    text.parse().ok().and_then(|number| Volts::try_new(number).ok())
}

fn parse_tier(value: &HeaderValue) -> Option<Volts> {
    let tier: Priority = value.to_str().ok()?.trim().parse().ok()?;
    Some(tier.volts())
}

#[cfg(test)]
#[path = "priority/tests.rs"]
mod tests;
