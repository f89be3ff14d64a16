//! Why bytes are not a frame, or a frame cannot become bytes.

use atrion_state::peers::RouteId;
use thiserror::Error;

/// Why bytes are not a frame of this cluster, or why a frame cannot be sent.
///
/// Nothing of a refused frame is used. [`kind`](Self::kind) names the variant for counters.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// Somebody else's message: it does not begin like a frame.
    #[error("not a frame of Atrion")]
    Foreign,
    /// A frame of another cluster on the same channel; to be ignored.
    #[error("cluster tag is {found:08x}, this cluster's is {ours:08x}")]
    OtherCluster {
        /// The tag of the frame.
        found: u32,
        /// The tag of this cluster.
        ours: u32,
    },
    /// The sender speaks a version whose frames mean something else. Update this node.
    #[error("major version is {found}, supported is {supported}")]
    NewerMajor {
        /// The version of the frame.
        found: u8,
        /// The version spoken here.
        supported: u8,
    },
    /// The frame relies on something that has to be understood and is not. Update this node.
    #[error("flags {flags:#06x} have to be understood and are not")]
    UnknownFlags {
        /// The flags that are not known.
        flags: u16,
    },
    /// The frame ends too soon.
    #[error("cut short: {need} bytes needed, {have} there")]
    Truncated {
        /// Bytes that the next part needs.
        need: usize,
        /// Bytes that are left for it.
        have: usize,
    },
    /// Something follows the end of the frame.
    #[error("{bytes} bytes follow the end of the frame, allowed are none")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// The frame is longer than allowed.
    #[error("frame is {bytes} bytes, allowed are {max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest allowed.
        max: usize,
    },
    /// More items of one kind than allowed.
    #[error("{count} of {what}, allowed are {max}")]
    TooMany {
        /// The kind.
        what: &'static str,
        /// How many.
        count: usize,
        /// The most allowed.
        max: usize,
    },
    /// A part has a size that its kind cannot have.
    #[error("size of {what} is {bytes} bytes, allowed are {min} to {max}")]
    BadSize {
        /// The part.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The smallest allowed.
        min: usize,
        /// The largest allowed.
        max: usize,
    },
    /// Sections have to come in ascending order of their types, each at most once.
    #[error("section {section} after section {after}, allowed are {after}+1 to 255")]
    SectionOrder {
        /// The type of the section.
        section: u8,
        /// The type of the section before it, 0 for the first.
        after: u8,
    },
    /// A number outside its domain.
    #[error("{field} is {value}, allowed is 0 to {max}")]
    BadNumber {
        /// The field.
        field: &'static str,
        /// Its value, possibly NaN or infinite.
        value: f32,
        /// The largest allowed value.
        max: f32,
    },
    /// A route that is said to be open and held at once.
    #[error("route {route:016x} is open and held, allowed is one of them", route = .route.0)]
    OpenAndHeld {
        /// The route.
        route: RouteId,
    },
    /// The same route twice in one section.
    #[error("route {route:016x} is twice among {what}, allowed is once", route = .route.0)]
    Duplicate {
        /// The section.
        what: &'static str,
        /// The route.
        route: RouteId,
    },
    /// Items have to come in ascending order of the route.
    #[error("route {route:016x} among {what} comes after a higher one", route = .route.0)]
    Unordered {
        /// The section.
        what: &'static str,
        /// The route.
        route: RouteId,
    },
    /// A route that has both changed and been forgotten.
    #[error("route {route:016x} is both changed and forgotten", route = .route.0)]
    ChangedAndForgotten {
        /// The route.
        route: RouteId,
    },
    /// A name that is longer than allowed.
    #[error("{what} is {bytes} bytes, allowed are {max}")]
    NameTooLong {
        /// Whose name.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest allowed.
        max: usize,
    },
    /// A name that is not UTF-8.
    #[error("{what} is not UTF-8 from byte {at} on")]
    NameNotText {
        /// Whose name.
        what: &'static str,
        /// How much of it is.
        at: usize,
    },
    /// A name that its id does not stand for.
    #[error("route {route:016x} is not the id of the name given for it", route = .route.0)]
    WrongName {
        /// The id.
        route: RouteId,
    },
    /// The code of authentication is not that of the frame: another secret, or forgery.
    #[error("the frame's authentication does not fit: another secret, or a forgery")]
    BadMac,
    /// A frame without authentication, where this cluster demands it.
    #[error("the frame is not authenticated; this cluster has a secret")]
    Unauthenticated,
    /// A frame with authentication, where this node has no secret to check it by.
    #[error("the frame is authenticated; this node has no secret")]
    UnexpectedAuthentication,
}

impl WireError {
    /// The name of the variant, for counters.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::OtherCluster { .. } => "other_cluster",
            Self::NewerMajor { .. } => "newer_major",
            Self::UnknownFlags { .. } => "unknown_flags",
            Self::Truncated { .. } => "truncated",
            Self::TrailingBytes { .. } => "trailing_bytes",
            Self::TooLong { .. } => "too_long",
            Self::TooMany { .. } => "too_many",
            Self::BadSize { .. } => "bad_size",
            Self::SectionOrder { .. } => "section_order",
            Self::BadNumber { .. } => "bad_number",
            Self::OpenAndHeld { .. } => "open_and_held",
            Self::Duplicate { .. } => "duplicate",
            Self::Unordered { .. } => "unordered",
            Self::ChangedAndForgotten { .. } => "changed_and_forgotten",
            Self::NameTooLong { .. } => "name_too_long",
            Self::NameNotText { .. } => "name_not_text",
            Self::WrongName { .. } => "wrong_name",
            Self::BadMac => "bad_mac",
            Self::Unauthenticated => "unauthenticated",
            Self::UnexpectedAuthentication => "unexpected_authentication",
        }
    }
}
