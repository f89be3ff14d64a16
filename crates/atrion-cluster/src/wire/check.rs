//! What a frame must not contain, in either direction.

use atrion_state::peers::RouteId;

use super::{Change, MAX_NAME_BYTES, MAX_SCAR_OHMS, WireError};

pub(super) const CHANGED: &str = "changed routes";
pub(super) const FORGOTTEN: &str = "forgotten routes";
pub(super) const NAMED: &str = "names of routes";
pub(super) const NODE_NAME: &str = "name of the node";
pub(super) const ROUTE_NAME: &str = "name of a route";

/// `change` with -0 turned into 0, if its numbers are in their domains.
#[inline]
pub(super) fn change(mut change: Change) -> Result<Change, WireError> {
    change.scar = number("scar", change.scar, MAX_SCAR_OHMS)?;
    change.evidence = number("evidence", change.evidence, f32::MAX)?;
    change.demand = number("demand", change.demand, f32::MAX)?;
    change.momentum = number("momentum", change.momentum, f32::MAX)?;
    change.resistance = number("resistance", change.resistance, f32::MAX)?;
    if change.stance.open && change.stance.held {
        return Err(WireError::OpenAndHeld { route: change.route });
    }
    Ok(change)
}

#[inline]
fn number(field: &'static str, value: f32, max: f32) -> Result<f32, WireError> {
    // No NaN satisfies it.
    if value >= 0.0 && value <= max {
        Ok(value + 0.0)
    } else {
        Err(WireError::BadNumber { field, value, max })
    }
}

/// That `route` may follow `before` among `what`.
#[inline]
pub(super) fn ascends(
    what: &'static str,
    before: Option<RouteId>,
    route: RouteId,
) -> Result<(), WireError> {
    match before {
        Some(before) if before == route => Err(WireError::Duplicate { what, route }),
        Some(before) if before > route => Err(WireError::Unordered { what, route }),
        _ => Ok(()),
    }
}

/// That there are no more than `max`.
pub(super) fn count(what: &'static str, count: usize, max: usize) -> Result<(), WireError> {
    if count <= max { Ok(()) } else { Err(WireError::TooMany { what, count, max }) }
}

/// That a name is not too long.
pub(super) fn name(what: &'static str, bytes: usize) -> Result<(), WireError> {
    if bytes <= MAX_NAME_BYTES {
        Ok(())
    } else {
        Err(WireError::NameTooLong { what, bytes, max: MAX_NAME_BYTES })
    }
}

/// That no route is both changed and forgotten; both ascend.
pub(super) fn disjoint(changes: &[Change], forgotten: &[RouteId]) -> Result<(), WireError> {
    let mut changes = changes.iter().map(|change| change.route).peekable();
    for &route in forgotten {
        while changes.next_if(|&changed| changed < route).is_some() {}
        if changes.peek() == Some(&route) {
            return Err(WireError::ChangedAndForgotten { route });
        }
    }
    Ok(())
}
