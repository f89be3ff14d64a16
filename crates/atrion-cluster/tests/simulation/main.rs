//! The cluster in a simulated network: the shipped engine, provider and machines under seeds.
//!
//! Each test prints the seed of a failing run. `ATRION_SEED` runs that seed alone; `ATRION_SEEDS`
//! sets how many seeds the sweeps try.

#![allow(clippy::indexing_slicing, reason = "a simulation of a fixed number of nodes")]
#![allow(clippy::disallowed_methods, reason = "a simulation need not be bit-exact across targets")]

mod convergence;
mod large;
mod outages;
mod recipes;
mod tally;
mod world;

/// The seeds a sweep tries.
fn seeds(default: u64) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    match number("ATRION_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("ATRION_SEEDS").unwrap_or(default)).collect(),
    }
}
