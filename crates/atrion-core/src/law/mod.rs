//! The control law: resistance from the live in-flight count, scars from errors.
//!
//! The law keeps the founding form `R = R_base + P·W + μ·M + S + U`, pass iff `V > R`, and fixes
//! *when* and *of what* the terms are made. Saturation is read at every arrival from the live
//! in-flight count against a learned parallelism `C`; a sampled one is always too late. Latency
//! and saturation are elastic: they act on `C` and vanish with their cause. Only errors are
//! plastic: they scar, per second of trauma, and an open breaker heals by probing.
//!
//! [`Element`] is the whole law of one route as a pure machine. It is told the time, random draws
//! and a [`Window`] of what happened; it answers with a [`Gate`] that arrivals are compared with.
//!
//! | symbol    | meaning                                   | where |
//! |-----------|-------------------------------------------|-------|
//! | `n`       | requests in flight                        | the caller's atomic |
//! | `C`, `g`  | learned parallelism, trial growth         | [`Element::parallelism`] |
//! | `R0`      | bare service time, s                      | [`Element::service_secs`] |
//! | `X`       | throughput the service has shown, 1/s     | [`Element::capacity_rate`] |
//! | `Q`       | queue allowance, requests                 | [`Gate::queue`] |
//! | `v_g`     | ground potential of the traffic, V        | [`ground_after`] |
//! | `S`, `e`  | scar, ohm; error rate                     | [`Breaker`] |
//! | `m`, `h`  | the cluster's scar and the hearsay that acts, ohm | [`Word`], [`Hearsay`] |
//! | `d`, `sigma` | demand, 1/s; stretch of a round of probing | [`Demand`], [`Word::sharing`] |

mod breaker;
mod config;
mod demand;
mod element;
mod gate;
mod hearsay;
mod prober;
mod saturation;
mod startup;
mod window;
mod word;

pub use breaker::{Breaker, BreakerMode, Endings};
pub use config::{LawConfig, LawConfigBuilder};
pub use demand::Demand;
pub use element::{Element, Phase, Rested, Sample, TickReport};
pub use gate::{Gate, WALL_OHMS, ground_after};
pub use hearsay::{Hearsay, Moment};
pub use prober::Prober;
pub use window::{Latencies, Window};
pub use word::{OwnWord, Word};
