//! The numbers of the format. `docs/trace-format.md` says the same in words.

/// The first bytes of every trace.
pub const MAGIC: [u8; 8] = *b"ATRTRACE";
/// The version that this crate writes, and the only one that it reads.
pub const VERSION: u16 = 1;
/// Longest payload of a block, in bytes.
pub const MOST_BLOCK_BYTES: usize = 65_536;
/// Longest name of a route, in bytes.
pub const MOST_NAME_BYTES: usize = 512;
/// Most routes in one trace.
pub const MOST_ROUTES: usize = 4096;
/// Most voltages that get a number of their own; further ones are written out.
pub const MOST_VOLTAGES: usize = 255;

/// Magic, version, two bytes of zeros.
pub(crate) const HEADER_BYTES: usize = 12;
/// Length and checksum.
pub(crate) const BLOCK_HEADER_BYTES: usize = 8;

/// First byte of a payload.
pub(crate) const BLOCK_RECORDS: u8 = 1;
pub(crate) const BLOCK_TOTALS: u8 = 2;

/// Lower three bits of a record's first byte.
pub(crate) const ROUTE: u8 = 0;
pub(crate) const VOLTAGE: u8 = 1;
pub(crate) const SWITCH: u8 = 2;
pub(crate) const ADMITTED: u8 = 3;
pub(crate) const REFUSED: u8 = 4;
pub(crate) const ENDED: u8 = 5;
pub(crate) const MARK: u8 = 6;
pub(crate) const LOST: u8 = 7;
pub(crate) const TYPE_BITS: u32 = 3;

/// Arguments of [`ADMITTED`]: two bits of kind, and these.
pub(crate) const MEASURED: u8 = 1 << 2;
pub(crate) const SHADOWED: u8 = 1 << 3;
/// Argument of [`ROUTE`].
pub(crate) const IS_NEW: u8 = 1;

/// Checksum of a block: CRC-32 as in Ethernet and zip, over length and payload.
pub(crate) fn checksum(length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}
