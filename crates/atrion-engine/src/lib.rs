//! The request path. (Documentation to be completed.)

mod cell;
mod config;
mod counter;
mod error;
mod hub;
mod instance;
mod lanes;
mod observer;
mod permit;
mod pulse;
mod registry;
mod route;
mod select;
mod sharing;
mod shed;
mod shim;

pub use cell::{Counts, Force};
pub use config::{Config, ConfigBuilder, ROUTE_NAME_LIMIT};
pub use error::{BuildError, RouteNameError};
pub use instance::{Atrion, Builder, OVERFLOW_ROUTE, Stats};
pub use observer::{Event, Observer, ObserverHealth};
pub use permit::{AsOutcome, Outcome, OwnedPermit, Permit};
pub use route::{Explanation, Route};
pub use shed::{Parts, Reason, Shed};
