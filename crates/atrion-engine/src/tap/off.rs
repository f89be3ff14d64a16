//! The tap of a build that cannot record: nothing, at no cost.

use atrion_core::law::BreakerMode;
use atrion_core::time::Timestamp;
use atrion_core::units::Volts;

use crate::cell::Ticket;
use crate::permit::Outcome;
use crate::route::Route;
use crate::shed::Shed;

/// What a recording would note.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "only a build that can record looks inside")]
pub(crate) enum Influence {
    Mode(BreakerMode),
    Held(bool),
    Reported,
    Forced,
    Shadowed,
    Reset,
    Reloaded,
}

#[expect(clippy::unused_self, reason = "the interface of the tap that records")]
impl Route {
    #[inline]
    pub(crate) const fn tap_admitted(&self, _volts: Volts, ticket: Ticket) -> Ticket {
        ticket
    }

    #[inline]
    pub(crate) const fn tap_refused(&self, _shed: &Shed) {}

    #[inline]
    pub(crate) const fn tap_ended(&self, _ticket: Ticket, _outcome: Outcome) {}

    #[inline]
    pub(crate) fn tap_influence(&self, _influence: Influence, _at: Timestamp) {}
}
