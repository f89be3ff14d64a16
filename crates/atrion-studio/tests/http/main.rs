//! Studio over real HTTP.

mod access;
mod actions;
mod client;
mod paths;
mod preview;
mod viewers;
