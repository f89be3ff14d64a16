//! Services, callers and faults in simulated time, before the request path that Atrion ships.
//!
//! A run is a discrete-event simulation: callers of several classes ask whether or not they are
//! answered, a [`policy`] decides, and a service with cores, workers, queues and a dependency works
//! on what was admitted, while things go wrong. Nothing reads the machine's clock, all chance
//! comes from a seed, and all arithmetic is the same on every machine, so a run can be repeated to
//! the last bit. The policy `atrion` is [`atrion_engine::Atrion`] itself under a clock moved by
//! hand, not a model of it.
//!
//! ```
//! use atrion_sim::policy::Choice;
//! use atrion_sim::{Class, Effect, Fault, Scenario, Service, Summary, evaluate};
//!
//! let scenario = Scenario::builder("sale", Service::fifo(8, 0.01))
//!     .class(Class::new("shoppers", 0.6))
//!     .fault(Fault::new(5.0, 10.0, Effect::Load { factor: 5.0, class: None }))
//!     .duration_secs(12.0)
//!     .build()?;
//! for name in ["unlimited", "atrion"] {
//!     let evaluation = evaluate(&scenario, &Choice::parse(name)?, &[1, 2], || ())?;
//!     let summary = Summary::of(evaluation.policy, &evaluation.reports).unwrap();
//!     println!("{name}: {:.1} % of what was possible", summary.goodput.mean);
//! #   assert_eq!(summary.goodput.mean > 90.0, name == "atrion", "{summary:?}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things are
//! - [`scenario`]: what is served and what happens; from code, from a TOML file, or by name.
//! - [`policy`]: who decides, with the peers' algorithms.
//! - [`run`], [`evaluate`], [`oracle`]: one run, several, and the best static limit in hindsight.
//! - [`ablate`]: what each term of the law contributes.
//! - [`draws`]: policies on random services that nobody tuned them for.
//! - [`stability`]: the map of stable, oscillating, deadlocked and chaotic settings.
//! - [`hypotheses`]: H1 to H3 of the stability analysis, tested.
//! - [`replay`]: what a configuration would have done with a recorded trace.
//! - [`report`]: what is measured; [`table`] and, with the feature `svg`, `svg`: how it is shown.
//!
//! # What is simplified
//! Admission takes no time. A caller that gives up does not withdraw its request: the
//! service goes on working. Callers of a paused service wait outside, and are asked about when the
//! pause is over. A goodput of more than 100 % is luck of the draw or work carried over into a
//! lull. With `unlimited` queues the service works off the past after an overload.
//!
//! # Features
//! - `cluster`: several nodes that warn each other, see `cluster`. Brings in `atrion-cluster`, which
//!   is commercial; simulating needs no key.
//! - `peers`: the crates of others as policies, driven by simulated time.
//! - `svg`: plots.
//! - `tool`: the program behind `cargo xtask sim`.

pub mod ablate;
mod candidate;
#[cfg(feature = "cluster")]
pub mod cluster;
mod compare;
pub mod distribution;
pub mod draws;
mod error;
pub mod hypotheses;
mod machine;
mod parallel;
pub mod policy;
pub mod replay;
pub mod report;
pub mod rng;
pub mod scenario;
pub mod stability;
#[cfg(feature = "svg")]
pub mod svg;
pub mod table;
mod world;

pub use candidate::Candidate;
pub use compare::{Evaluation, evaluate, oracle, runs};
pub use distribution::Distribution;
pub use error::{PolicyError, ScenarioError, StudyError};
pub use report::{Report, Summary};
pub use scenario::{
    Class, Contention, Effect, Fault, Pauses, Retries, Scenario, ScenarioBuilder, Service,
};
pub use world::run;
