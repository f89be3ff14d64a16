//! What can be wrong with a trace, and with recording one.

use thiserror::Error;

/// A file that is no trace, or not one that can be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TraceError {
    /// It has no bytes.
    #[error("the trace is empty")]
    Empty,
    /// It does not begin as a trace does.
    #[error("this is not a trace: it does not begin with `ATRTRACE`")]
    NotATrace,
    /// It was written by another version.
    #[error("the trace has version {found}, this program reads version {known}")]
    Version {
        /// The version of the file.
        found: u16,
        /// The version that is understood.
        known: u16,
    },
    /// It ends before its first whole block.
    #[error("the trace is cut short: it ends after {bytes} bytes, before its first whole block")]
    CutShort {
        /// Its length.
        bytes: u64,
    },
    /// A block is damaged. What came before it was good.
    #[error("block {block} of the trace, at byte {at}, is damaged: {problem}")]
    Damaged {
        /// Which block, from 0.
        block: u64,
        /// Where it begins.
        at: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A whole block holds what no trace holds.
    #[error("block {block} of the trace, at byte {at}: {field} {problem}")]
    Malformed {
        /// Which block, from 0.
        block: u64,
        /// Where the block begins.
        at: u64,
        /// The offending field.
        field: &'static str,
        /// What is wrong with it, as the end of a sentence.
        problem: &'static str,
    },
    /// It holds more requests than are held in memory.
    #[error("the trace has more than {most} requests")]
    TooLong {
        /// The most that is read.
        most: usize,
    },
    /// It cannot be read.
    #[error("the trace cannot be read")]
    Io(#[from] std::io::Error),
}

/// A recording that cannot begin, or did not end well.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A setting is out of its range.
    #[error("{field} is {value} {unit}, allowed is {min} to {max} {unit}")]
    OutOfRange {
        /// The setting.
        field: &'static str,
        /// Its value.
        value: u64,
        /// Its unit.
        unit: &'static str,
        /// The smallest that is allowed.
        min: u64,
        /// The largest that is allowed.
        max: u64,
    },
    /// A route's name cannot be written.
    #[error("the name of a route has {length} bytes, allowed is 1 to {max}")]
    Name {
        /// Its length.
        length: usize,
        /// The longest that is allowed.
        max: usize,
    },
    /// The tape holds all the routes that one trace may have.
    #[error("a trace holds at most {max} routes")]
    TooManyRoutes {
        /// The most that is allowed.
        max: usize,
    },
    /// The instance is being recorded already; nothing changed.
    #[error("the instance is being recorded already")]
    AlreadyRecording,
    /// One of the routes belongs to another instance; nothing changed.
    #[error("route `{route}` belongs to another instance")]
    ForeignRoute {
        /// Its name.
        route: String,
    },
    /// The file cannot be made or written. What was written before can be read.
    #[error("the trace cannot be written")]
    Io(#[from] std::io::Error),
    /// The recording thread died.
    #[error("the recording thread panicked")]
    Panicked,
}
