//! Frames into bytes.

use std::borrow::Cow;
use std::sync::Arc;

use atrion_core::vector::Stance;
use atrion_state::peers::RouteId;
use bytes::Bytes;

use super::layout::{self, Item, Out};
use super::{Change, Codec, Frame, MAJOR, MAX_CHANGES, MAX_FRAME_BYTES, MAX_NAMES, MINOR};
use super::{WireError, check};

impl Codec {
    /// The bytes of `frame`, in any order of its routes. What is encoded can be decoded.
    ///
    /// # Errors
    /// [`WireError`] if the frame has too much in it ([`encoded_bytes`](Self::encoded_bytes)
    /// tells beforehand), a number outside its domain, a route twice, or a name that is too long
    /// or not that of its id.
    pub fn encode(&self, frame: &Frame) -> Result<Bytes, WireError> {
        check::count(check::CHANGED, frame.changes.len(), MAX_CHANGES)?;
        check::count(check::FORGOTTEN, frame.forgotten.len(), MAX_CHANGES)?;
        check::count(check::NAMED, frame.names.len(), MAX_NAMES)?;
        let bytes = self.encoded_bytes(frame);
        if bytes > MAX_FRAME_BYTES {
            return Err(WireError::TooLong { bytes, max: MAX_FRAME_BYTES });
        }
        let changes = ascending(&frame.changes, |change| change.route);
        let forgotten = ascending(&frame.forgotten, |route| *route);
        let names = ascending(&frame.names, |(route, _)| *route);
        check::disjoint(&changes, &forgotten)?;

        let mut out = Out(Vec::with_capacity(bytes));
        self.put_header(&mut out, frame, bytes)?;
        put_changes(&mut out, &changes)?;
        put_forgotten(&mut out, &forgotten)?;
        self.put_names(&mut out, &names)?;
        put_node_name(&mut out, frame.node_name.as_deref())?;
        if let Some(key) = &self.keys.mac {
            let code = key.code(&out.0);
            out.put_bytes(&code)?;
        }
        debug_assert_eq!(out.0.len(), bytes, "the length that the header claims");
        Ok(out.0.into())
    }

    /// How long the frame's encoding is, in bytes, whether or not that is allowed.
    pub fn encoded_bytes(&self, frame: &Frame) -> usize {
        let section = |items: usize, bytes: usize| {
            if items == 0 { 0 } else { layout::SECTION_BYTES + bytes }
        };
        let name = |name: &Arc<str>| layout::LENGTH_BYTES + name.len();
        let names = frame
            .names
            .iter()
            .map(|(_, called)| layout::LENGTH_BYTES + layout::ROUTE_BYTES + name(called));
        layout::HEADER_BYTES
            + section(frame.changes.len(), frame.changes.len() * layout::CHANGE_BYTES)
            + section(frame.forgotten.len(), frame.forgotten.len() * layout::ROUTE_BYTES)
            + section(frame.names.len(), names.sum())
            + frame
                .node_name
                .as_ref()
                .map_or(0, |called| section(1, layout::LENGTH_BYTES + name(called)))
            + if self.is_authenticated() { layout::MAC_BYTES } else { 0 }
    }

    fn put_header(&self, out: &mut Out, frame: &Frame, bytes: usize) -> Result<(), WireError> {
        let leaving = if frame.leaving { layout::LEAVING } else { 0 };
        let authenticated = if self.is_authenticated() { layout::AUTHENTICATED } else { 0 };
        let header: layout::Header = (
            layout::MAGIC,
            MAJOR,
            MINOR,
            leaving | authenticated,
            layout::HEADER_BYTES as u16,
            bytes as u32,
            self.keys.tag,
            frame.node.0,
            frame.stamp.incarnation,
            frame.stamp.sequence,
            frame.sent_millis,
            frame.age_millis,
        );
        out.put(header)
    }

    fn put_names(&self, out: &mut Out, names: &[(RouteId, Arc<str>)]) -> Result<(), WireError> {
        put_section(out, layout::NAMES, 0, names.len())?;
        let mut before = None;
        for (route, called) in names {
            check::ascends(check::NAMED, before.replace(*route), *route)?;
            check::name(check::ROUTE_NAME, called.len())?;
            if self.route_id(called) != *route {
                return Err(WireError::WrongName { route: *route });
            }
            out.put((layout::ROUTE_BYTES + layout::LENGTH_BYTES + called.len()) as u16)?;
            out.put((route.0, called.len() as u16))?;
            out.put_bytes(called.as_bytes())?;
        }
        Ok(())
    }
}

/// `items` in ascending order of their keys, copied only if they are in another one.
fn ascending<T: Clone>(items: &[T], key: impl Fn(&T) -> RouteId) -> Cow<'_, [T]> {
    if items.is_sorted_by_key(&key) {
        return Cow::Borrowed(items);
    }
    let mut items = items.to_vec();
    items.sort_unstable_by_key(key);
    Cow::Owned(items)
}

/// The head of a section, unless it is empty: then the section is left out.
fn put_section(out: &mut Out, section: u8, item: usize, count: usize) -> Result<(), WireError> {
    if count == 0 { Ok(()) } else { out.put((section, item as u16, count as u16)) }
}

fn put_changes(out: &mut Out, changes: &[Change]) -> Result<(), WireError> {
    put_section(out, layout::CHANGES, layout::CHANGE_BYTES, changes.len())?;
    let mut before = None;
    for &change in changes {
        check::ascends(check::CHANGED, before.replace(change.route), change.route)?;
        let change = check::change(change)?;
        let item: Item = (
            change.route.0,
            change.scar,
            change.evidence,
            change.demand,
            change.momentum,
            change.resistance,
            stance_bits(change.stance),
        );
        out.put(item)?;
    }
    Ok(())
}

fn put_forgotten(out: &mut Out, forgotten: &[RouteId]) -> Result<(), WireError> {
    put_section(out, layout::FORGOTTEN, layout::ROUTE_BYTES, forgotten.len())?;
    let mut before = None;
    for &route in forgotten {
        check::ascends(check::FORGOTTEN, before.replace(route), route)?;
        out.put(route.0)?;
    }
    Ok(())
}

fn put_node_name(out: &mut Out, called: Option<&str>) -> Result<(), WireError> {
    let Some(called) = called else { return Ok(()) };
    check::name(check::NODE_NAME, called.len())?;
    put_section(out, layout::NODE_NAME, 0, 1)?;
    out.put(((layout::LENGTH_BYTES + called.len()) as u16, called.len() as u16))?;
    out.put_bytes(called.as_bytes())
}

const fn stance_bits(stance: Stance) -> u8 {
    (if stance.open { layout::OPEN } else { 0 })
        | (if stance.held { layout::HELD } else { 0 })
        | (if stance.good { layout::GOOD } else { 0 })
}
