//! The dashboard of [Atrion](https://docs.rs/atrion): every route and what its resistance is made of,
//! live; why a request was refused; what the cluster thinks beside what this node thinks; and, if
//! enabled, a hand on the switch.
//!
//! ```
//! use atrion_engine::Atrion;
//!
//! let atrion = Atrion::builder().tally(true).build()?; // counts by priority, for the page
//! let studio = atrion_studio::serve(&atrion, ([127, 0, 0, 1], 0))?;
//! println!("http://{}/", studio.addr());
//! studio.shutdown();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Or as a part of an application of one's own:
//!
//! ```
//! # use atrion_engine::Atrion;
//! use atrion_studio::Studio;
//!
//! # let atrion = Atrion::builder().build()?;
//! let studio = Studio::builder(&atrion)
//!     .token("0123456789abcdef0123456789abcdef") // from your secret store
//!     .allow_host("ops.example.com")
//!     .actions(true)
//!     .build()?;
//! let app: axum::Router = axum::Router::new().nest_service("/studio", studio.router());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it costs
//!
//! Nothing while nobody looks. While somebody does, one thread goes over all routes once a second and
//! writes one line that all viewers get; requests of the application do not notice.
//!
//! # Licence
//!
//! Commercial. Without a licence that works (see `docs/licensing.md`) the page opens, says what is
//! wrong and what to do, and shows nothing else. Traffic is not touched either way.
//!
//! How to set it up safely is in `docs/studio.md`, the HTTP interface in `docs/studio-api.md`.

mod action;
mod answer;
mod api;
mod assets;
mod audit;
mod confirm;
mod desk;
mod error;
mod event;
mod frame;
mod guard;
mod history;
mod license;
mod number;
mod patient;
mod preview;
mod ring;
mod server;
mod settings;
mod source;
mod stream;
mod studio;
mod token;
mod view;

pub use audit::{AuditEntry, AuditSink};
pub use error::StudioError;
pub use server::Server;
pub use studio::{Builder, Studio, serve};
