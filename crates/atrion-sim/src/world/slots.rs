//! The requests under way, by small numbers that are used again.

use super::Ask;

/// One request between its arrival at the policy and its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) ask: Ask,
    pub(super) arrived: f64,
    pub(super) started: f64,
    /// Tells apart the requests that had this slot one after the other.
    pub(super) serial: u64,
    pub(super) fails: bool,
    pub(super) gave_up: bool,
    is_free: bool,
}

#[derive(Default)]
pub(super) struct Slots {
    all: Vec<Slot>,
    free: Vec<u32>,
}

impl Slots {
    /// A number for a request that just arrived.
    pub(super) fn take(&mut self, ask: Ask, arrived: f64, serial: u64) -> u32 {
        let slot = Slot {
            ask,
            arrived,
            started: arrived,
            serial,
            fails: false,
            gave_up: false,
            is_free: false,
        };
        if let Some(id) = self.free.pop() {
            if let Some(place) = self.all.get_mut(id as usize) {
                *place = slot;
            }
            id
        } else {
            self.all.push(slot);
            self.all.len() as u32 - 1
        }
    }

    /// The request of this number, if there is one.
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Slot> {
        self.all.get_mut(id as usize).filter(|slot| !slot.is_free)
    }

    /// Ends the request of this number; a number that nobody has ends nothing.
    pub(super) fn free(&mut self, id: u32) -> Option<Slot> {
        let slot = self.get_mut(id)?;
        slot.is_free = true;
        let ended = *slot;
        self.free.push(id);
        Some(ended)
    }
}
