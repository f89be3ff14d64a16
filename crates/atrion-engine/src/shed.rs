//! What a refused request is told: why, by how much, and when to try again.

use std::fmt;
use std::time::Duration;

use atrion_core::units::{Ohms, Volts};

use crate::route::ohms;

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The service is saturated, and the voltage does not overcome the queue.
    Saturated,
    /// The scars of past failures, or reported stress, exceed the voltage.
    Scarred,
    /// The route's breaker is open; only probes pass.
    BreakerOpen,
    /// Other nodes say that the route fails, and this one has not seen otherwise yet; only probes
    /// pass.
    Held,
    /// An operator closed the route by hand.
    ForcedOpen,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 5] =
        [Self::Saturated, Self::Scarred, Self::BreakerOpen, Self::Held, Self::ForcedOpen];

    /// A stable identifier for logs, metrics and response bodies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Saturated => "saturated",
            Self::Scarred => "scarred",
            Self::BreakerOpen => "breaker_open",
            Self::Held => "held",
            Self::ForcedOpen => "forced_open",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The parts a resistance is made of, in ohms. They add up to the whole, up to the wall of
/// [`WALL_OHMS`](atrion_core::law::WALL_OHMS).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parts {
    /// Resistance of the untroubled route.
    pub base: f64,
    /// The queue a request would have to wait in: `v_g·y` of the control law.
    pub saturation: f64,
    /// The same of the process's element, which stands in series if
    /// [`Builder::process_circuit`](crate::Builder::process_circuit) says so; zero otherwise.
    pub process: f64,
    /// Memory of failures, this node's share.
    pub scar: f64,
    /// Memory of failures, the part that other nodes' words add. Zero as long as nothing that shares
    /// scars between nodes is in use.
    pub cluster_scar: f64,
    /// Stress from reported telemetry: pressure, momentum and staleness together.
    pub reported: f64,
}

impl Parts {
    /// The names of the parts, in the order in which they are shown.
    pub const NAMES: [&'static str; 6] =
        ["base", "saturation", "process", "scar", "cluster_scar", "reported"];

    /// The parts in the order of [`NAMES`](Self::NAMES), in ohms.
    pub const fn values(&self) -> [f64; 6] {
        let Self { base, saturation, process, scar, cluster_scar, reported } = *self;
        [base, saturation, process, scar, cluster_scar, reported]
    }

    /// The sum of all parts, in ohms.
    pub fn total(&self) -> f64 {
        self.values().iter().sum()
    }
}

/// A refusal: `V <= R`, or a gate that does not ask for voltage.
///
/// Small and `Copy`; making one allocates nothing. It is an [`Error`](std::error::Error), so `?`
/// works, but it says nothing bad about the service: it is what protects it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shed {
    pub(crate) reason: Reason,
    pub(crate) voltage: Volts,
    pub(crate) parts: Parts,
    pub(crate) retry_after: Duration,
}

impl Shed {
    /// Why.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// V: the voltage the request had.
    pub const fn voltage(&self) -> Volts {
        self.voltage
    }

    /// R: the resistance it met.
    pub fn resistance(&self) -> Ohms {
        ohms(self.parts.total())
    }

    /// What the resistance was made of.
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// When this voltage is expected to pass if nothing new happens: when the excess queue has
    /// drained, the scar has healed or the next probe is due. Jittered upwards by up to a half so
    /// that callers who obey it do not return together; from 1 ms to 60 s.
    pub const fn retry_after(&self) -> Duration {
        self.retry_after
    }

    /// One sentence for humans: reason, voltage, resistance and its parts.
    pub fn explain(&self) -> impl fmt::Display + use<> {
        Explain(*self)
    }
}

struct Explain(Shed);

impl fmt::Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shed { reason, voltage, parts, retry_after } = self.0;
        write!(f, "{reason}: {:.3} V against {:.3} ohm (", voltage.get(), parts.total())?;
        for (index, (name, ohms)) in Parts::NAMES.iter().zip(parts.values()).enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            for (index, word) in name.split('_').enumerate() {
                write!(f, "{}{word}", if index == 0 { "" } else { " " })?;
            }
            write!(f, " {ohms:.3}")?;
        }
        write!(f, "); retry in {} ms", retry_after.as_millis())
    }
}

impl fmt::Display for Shed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request shed, {}", self.explain())
    }
}

impl std::error::Error for Shed {}
