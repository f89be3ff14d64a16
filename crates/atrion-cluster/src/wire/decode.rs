//! Bytes into frames.

use std::str;
use std::sync::Arc;

use atrion_core::merge::Stamp;
use atrion_core::vector::Stance;
use atrion_state::peers::{NodeId, RouteId};

use super::layout::{self, Header, Item, Section};
use super::{Change, Codec, Frame, MAJOR, MAX_CHANGES, MAX_FRAME_BYTES, MAX_NAMES};
use super::{WireError, check};

impl Codec {
    /// The frame that `bytes` are.
    ///
    /// # Errors
    /// [`WireError`] if they are none of this cluster, or if anything in them is not allowed.
    pub fn decode(&self, bytes: &[u8]) -> Result<Frame, WireError> {
        let mut frame = Frame::new(NodeId(0), Stamp { incarnation: 0, sequence: 0 });
        self.decode_into(bytes, &mut frame)?;
        Ok(frame)
    }

    /// As [`decode`](Self::decode), into a frame whose memory is used again.
    ///
    /// # Errors
    /// As for `decode`; the frame is then empty but for its memory.
    pub fn decode_into(&self, bytes: &[u8], frame: &mut Frame) -> Result<(), WireError> {
        clear(frame);
        let result = self.fill(bytes, frame);
        if result.is_err() {
            clear(frame);
        }
        result
    }

    fn fill(&self, bytes: &[u8], frame: &mut Frame) -> Result<(), WireError> {
        let mut rest = self.open(bytes, frame)?;
        let mut after = 0;
        while !rest.is_empty() {
            let (section, item, count): Section = layout::take(&mut rest, layout::SECTION_BYTES)?;
            if section <= after {
                return Err(WireError::SectionOrder { section, after });
            }
            after = section;
            let (item, count) = (usize::from(item), usize::from(count));
            match section {
                layout::CHANGES => take_changes(&mut rest, item, count, &mut frame.changes)?,
                layout::FORGOTTEN => take_forgotten(&mut rest, item, count, &mut frame.forgotten)?,
                layout::NAMES => self.take_names(&mut rest, item, count, &mut frame.names)?,
                layout::NODE_NAME => frame.node_name = take_node_name(&mut rest, item, count)?,
                _ => skip(&mut rest, item, count)?,
            }
        }
        check::disjoint(&frame.changes, &frame.forgotten)
    }

    /// Judges all but the sections, and returns these.
    fn open<'a>(&self, bytes: &'a [u8], frame: &mut Frame) -> Result<&'a [u8], WireError> {
        if bytes.len() > MAX_FRAME_BYTES {
            return Err(WireError::TooLong { bytes: bytes.len(), max: MAX_FRAME_BYTES });
        }
        // What lies behind these means what the major version says.
        let major = match bytes.strip_prefix(&layout::MAGIC).map(<[u8]>::first) {
            Some(Some(&found @ 1..)) => found,
            Some(None) => return Err(truncated(layout::HEADER_BYTES, bytes.len())),
            Some(Some(0)) | None => return Err(WireError::Foreign),
        };
        if major > MAJOR {
            return Err(WireError::NewerMajor { found: major, supported: MAJOR });
        }
        let mut rest = bytes;
        let header: Header = layout::take(&mut rest, layout::HEADER_BYTES)?;
        let (_, _, _, flags, header_bytes, frame_bytes, tag, ..) = header;
        if tag != self.keys.tag {
            return Err(WireError::OtherCluster { found: tag, ours: self.keys.tag });
        }
        match (frame_bytes as usize).checked_sub(bytes.len()) {
            Some(0) => {}
            Some(1..) => return Err(truncated(frame_bytes as usize, bytes.len())),
            None => {
                let trailing = bytes.len() - frame_bytes as usize;
                return Err(WireError::TrailingBytes { bytes: trailing });
            }
        }
        let rest = self.authenticated(bytes, rest, flags)?;
        let unknown = layout::not_understood(flags);
        if unknown != 0 {
            return Err(WireError::UnknownFlags { flags: unknown });
        }
        apply(&header, frame);
        after_header(rest, usize::from(header_bytes))
    }

    /// `rest`, the end of `bytes`, without the code of authentication.
    fn authenticated<'a>(
        &self,
        bytes: &[u8],
        rest: &'a [u8],
        flags: u16,
    ) -> Result<&'a [u8], WireError> {
        let Some(key) = &self.keys.mac else {
            return match flags & layout::AUTHENTICATED {
                0 => Ok(rest),
                _ => Err(WireError::UnexpectedAuthentication),
            };
        };
        if flags & layout::AUTHENTICATED == 0 {
            return Err(WireError::Unauthenticated);
        }
        let short = truncated(layout::HEADER_BYTES + layout::MAC_BYTES, bytes.len());
        let (rest, _) = rest.split_last_chunk::<{ layout::MAC_BYTES }>().ok_or(short)?;
        let (said, code) = bytes.split_last_chunk().ok_or(short)?;
        if key.verifies(said, *code) { Ok(rest) } else { Err(WireError::BadMac) }
    }

    fn take_names(
        &self,
        rest: &mut &[u8],
        item: usize,
        count: usize,
        names: &mut Vec<(RouteId, Arc<str>)>,
    ) -> Result<(), WireError> {
        check::count(check::NAMED, count, MAX_NAMES)?;
        size(check::NAMED, item, 0, 0)?;
        let least = layout::LENGTH_BYTES + layout::ROUTE_BYTES + layout::LENGTH_BYTES;
        enough(rest, least, count)?;
        names.reserve(count);
        let mut before = None;
        for _ in 0..count {
            let mut record = take_record(rest)?;
            let route = RouteId(layout::take(&mut record, layout::ROUTE_BYTES)?);
            check::ascends(check::NAMED, before.replace(route), route)?;
            let called = take_name(&mut record, check::ROUTE_NAME)?;
            if self.route_id(called) != route {
                return Err(WireError::WrongName { route });
            }
            names.push((route, called.into()));
        }
        Ok(())
    }
}

fn clear(frame: &mut Frame) {
    let Frame { changes, names, forgotten, .. } = frame;
    changes.clear();
    names.clear();
    forgotten.clear();
    *frame = Frame {
        changes: std::mem::take(changes),
        names: std::mem::take(names),
        forgotten: std::mem::take(forgotten),
        ..Frame::new(NodeId(0), Stamp { incarnation: 0, sequence: 0 })
    };
}

/// What the header says.
fn apply(header: &Header, frame: &mut Frame) {
    let (_, _, _, flags, _, _, _, node, incarnation, sequence, sent_millis, age_millis) = *header;
    frame.node = NodeId(node);
    frame.stamp = Stamp { incarnation, sequence };
    frame.sent_millis = sent_millis;
    frame.age_millis = age_millis;
    frame.leaving = flags & layout::LEAVING != 0;
}

/// What follows the header, which newer minor versions may have made longer.
fn after_header(mut rest: &[u8], header_bytes: usize) -> Result<&[u8], WireError> {
    size("header", header_bytes, layout::HEADER_BYTES, usize::from(u16::MAX))?;
    layout::split(&mut rest, header_bytes - layout::HEADER_BYTES)?;
    Ok(rest)
}

const fn truncated(need: usize, have: usize) -> WireError {
    WireError::Truncated { need, have }
}

/// That a part has a size that it can have.
fn size(what: &'static str, bytes: usize, min: usize, max: usize) -> Result<(), WireError> {
    if bytes < min || bytes > max {
        return Err(WireError::BadSize { what, bytes, min, max });
    }
    Ok(())
}

/// That `count` items of at least `least` bytes can be there at all, before memory is set aside.
fn enough(rest: &[u8], least: usize, count: usize) -> Result<(), WireError> {
    let need = least * count;
    if need <= rest.len() { Ok(()) } else { Err(truncated(need, rest.len())) }
}

#[inline]
fn take_changes(
    rest: &mut &[u8],
    item: usize,
    count: usize,
    changes: &mut Vec<Change>,
) -> Result<(), WireError> {
    check::count(check::CHANGED, count, MAX_CHANGES)?;
    size(check::CHANGED, item, layout::CHANGE_BYTES, usize::from(u16::MAX))?;
    let items = layout::split(rest, item * count)?;
    changes.reserve(count);
    let mut before = None;
    for bytes in items.chunks_exact(item) {
        let change = check::change(read_change(bytes)?)?;
        check::ascends(check::CHANGED, before.replace(change.route), change.route)?;
        changes.push(change);
    }
    Ok(())
}

#[inline]
fn read_change(bytes: &[u8]) -> Result<Change, WireError> {
    let (route, scar, evidence, demand, momentum, resistance, stance): Item =
        layout::read(bytes, layout::CHANGE_BYTES)?;
    let stance = Stance {
        open: stance & layout::OPEN != 0,
        held: stance & layout::HELD != 0,
        good: stance & layout::GOOD != 0,
    };
    let route = RouteId(route);
    Ok(Change { route, scar, evidence, demand, momentum, resistance, stance })
}

fn take_forgotten(
    rest: &mut &[u8],
    item: usize,
    count: usize,
    forgotten: &mut Vec<RouteId>,
) -> Result<(), WireError> {
    check::count(check::FORGOTTEN, count, MAX_CHANGES)?;
    size(check::FORGOTTEN, item, layout::ROUTE_BYTES, usize::from(u16::MAX))?;
    let items = layout::split(rest, item * count)?;
    forgotten.reserve(count);
    let mut before = None;
    for bytes in items.chunks_exact(item) {
        let route = RouteId(layout::read(bytes, layout::ROUTE_BYTES)?);
        check::ascends(check::FORGOTTEN, before.replace(route), route)?;
        forgotten.push(route);
    }
    Ok(())
}

fn take_node_name(
    rest: &mut &[u8],
    item: usize,
    count: usize,
) -> Result<Option<Arc<str>>, WireError> {
    check::count(check::NODE_NAME, count, 1)?;
    size(check::NODE_NAME, item, 0, 0)?;
    if count == 0 {
        return Ok(None);
    }
    let mut record = take_record(rest)?;
    Ok(Some(take_name(&mut record, check::NODE_NAME)?.into()))
}

/// An item that begins with its length, without it.
fn take_record<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], WireError> {
    let bytes: u16 = layout::take(rest, layout::LENGTH_BYTES)?;
    layout::split(rest, usize::from(bytes))
}

fn take_name<'a>(record: &mut &'a [u8], what: &'static str) -> Result<&'a str, WireError> {
    let bytes: u16 = layout::take(record, layout::LENGTH_BYTES)?;
    check::name(what, usize::from(bytes))?;
    let text = layout::split(record, usize::from(bytes))?;
    str::from_utf8(text).map_err(|e| WireError::NameNotText { what, at: e.valid_up_to() })
}

/// Passes over a section of a newer minor version.
fn skip(rest: &mut &[u8], item: usize, count: usize) -> Result<(), WireError> {
    if item > 0 {
        layout::split(rest, item * count)?;
    } else {
        for _ in 0..count {
            take_record(rest)?;
        }
    }
    Ok(())
}
