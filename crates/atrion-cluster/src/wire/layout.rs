//! The parts of a frame as they lie in memory.
//!
//! The only place that uses `bincode`: integers of fixed size, little end first, no more than a
//! frame at a time.

use bincode::config::{self, Configuration, Fixint, Limit, LittleEndian};
use bincode::de::Decode;
use bincode::enc::Encode;
use bincode::enc::write::Writer;
use bincode::error::EncodeError;

use super::{MAX_FRAME_BYTES, WireError};

/// No text begins with the first of them, in UTF-8 or ASCII.
pub(super) const MAGIC: [u8; 4] = [0xA7, b'A', b'T', b'R'];
pub(super) const HEADER_BYTES: usize = 54;
pub(super) const SECTION_BYTES: usize = 5;
pub(super) const CHANGE_BYTES: usize = 29;
pub(super) const ROUTE_BYTES: usize = 8;
pub(super) const LENGTH_BYTES: usize = 2;
pub(super) const MAC_BYTES: usize = 16;

/// Flags below this bit may be ignored by who does not know them.
const MUST_UNDERSTAND: u16 = 0xFF00;
pub(super) const LEAVING: u16 = 1 << 0;
pub(super) const AUTHENTICATED: u16 = 1 << 8;

/// The flags of `flags` that have to be understood and are not.
pub(super) const fn not_understood(flags: u16) -> u16 {
    flags & MUST_UNDERSTAND & !AUTHENTICATED
}

/// Types of sections; the item sizes of those with items of one size follow them.
pub(super) const CHANGES: u8 = 1;
pub(super) const FORGOTTEN: u8 = 2;
pub(super) const NAMES: u8 = 3;
pub(super) const NODE_NAME: u8 = 4;

pub(super) const OPEN: u8 = 1 << 0;
pub(super) const HELD: u8 = 1 << 1;
pub(super) const GOOD: u8 = 1 << 2;

/// Magic, major, minor, flags, bytes of the header, bytes of the frame, cluster tag, node,
/// incarnation, sequence, `sent_millis`, `age_millis`.
pub(super) type Header = ([u8; 4], u8, u8, u16, u16, u32, u32, u64, u64, u64, u64, u32);
/// Type, bytes of an item (0: each item begins with its length), number of items.
pub(super) type Section = (u8, u16, u16);
/// Route, scar, evidence, demand, momentum, resistance, stance.
pub(super) type Item = (u64, f32, f32, f32, f32, f32, u8);

const fn rules() -> Configuration<LittleEndian, Fixint, Limit<MAX_FRAME_BYTES>> {
    config::standard()
        .with_little_endian()
        .with_fixed_int_encoding()
        .with_limit::<MAX_FRAME_BYTES>()
}

/// The first `bytes` of `rest`, which then begins after them.
pub(super) fn split<'a>(rest: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], WireError> {
    let (taken, left) = rest
        .split_at_checked(bytes)
        .ok_or(WireError::Truncated { need: bytes, have: rest.len() })?;
    *rest = left;
    Ok(taken)
}

/// The value at the beginning of `bytes`, which takes `need` of them.
#[inline]
pub(super) fn read<T: Decode<()>>(bytes: &[u8], need: usize) -> Result<T, WireError> {
    match bincode::decode_from_slice(bytes, rules()) {
        Ok((value, _)) => Ok(value),
        // Numbers can only fail to be decoded for want of bytes.
        Err(_) => Err(WireError::Truncated { need, have: bytes.len() }),
    }
}

/// As [`read`], off the front of `rest`.
pub(super) fn take<T: Decode<()>>(rest: &mut &[u8], bytes: usize) -> Result<T, WireError> {
    read(split(rest, bytes)?, bytes)
}

/// A frame that is being written.
pub(super) struct Out(pub(super) Vec<u8>);

impl Out {
    /// Appends `value`.
    #[inline]
    pub(super) fn put(&mut self, value: impl Encode) -> Result<(), WireError> {
        bincode::encode_into_writer(value, &mut *self, rules()).map_err(|_| self.overflow())
    }

    /// Appends `bytes` as they are.
    pub(super) fn put_bytes(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.write(bytes).map_err(|_| self.overflow())
    }

    fn overflow(&self) -> WireError {
        WireError::TooLong { bytes: self.0.len(), max: MAX_FRAME_BYTES }
    }
}

impl Writer for Out {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
