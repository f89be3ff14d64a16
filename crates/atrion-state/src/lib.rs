//! State for Atrion: clocks, the `StateProvider` port and its contract, the in-memory provider,
//! the state manager and the pulse.

pub mod clock;
