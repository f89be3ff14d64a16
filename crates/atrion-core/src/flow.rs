//! temporary
#![allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    Bulk,
    Low,
    Normal,
    High,
    Critical,
}
