//! Building Studio.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atrion_engine::Atrion;
use atrion_license::ReplaceRefused;
use atrion_state::clock::{Clock as _, MonotonicClock};
use atrion_state::license::LicenseSource;
use axum::Router;

use crate::answer::ApiError;
use crate::audit::{Audit, AuditSink};
use crate::desk::{Desk, Handle};
use crate::error::StudioError;
use crate::event::Journal;
use crate::guard::Hosts;
use crate::license::Gate;
use crate::preview::Preview;
use crate::server::Server;
use crate::token::{Throttle, Token};

/// What the builder decided.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) instance: String,
    pub(crate) actions: bool,
    pub(crate) preview: bool,
    pub(crate) interval: Duration,
    pub(crate) history: bool,
    pub(crate) history_routes: usize,
    pub(crate) history_samples: usize,
    pub(crate) most_viewers: usize,
    pub(crate) most_connections: usize,
    pub(crate) patience: Duration,
    pub(crate) token: Option<Token>,
    pub(crate) hosts: Hosts,
}

/// What all requests of one Studio share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) gate: Arc<Gate>,
    pub(crate) desk: Handle,
    pub(crate) preview: Arc<Preview>,
    pub(crate) throttle: Mutex<Throttle>,
    pub(crate) clock: MonotonicClock,
    pub(crate) started_ms: u64,
    pub(crate) viewers: Arc<AtomicUsize>,
}

/// One stream's place among the viewers.
#[derive(Debug)]
pub(crate) struct Viewer(Arc<AtomicUsize>);

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Shared {
    /// Counts a wrong token; says when the next one is answered if there were too many.
    pub(crate) fn wrong_token(&self) -> Result<(), f64> {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.count(self.clock.now())
    }

    /// A place among the viewers, if there is one.
    pub(crate) fn viewer(&self) -> Option<Viewer> {
        let viewer = Viewer(Arc::clone(&self.viewers));
        let before = self.viewers.fetch_add(1, Relaxed);
        (before < self.settings.most_viewers).then_some(viewer)
    }

    /// Has the desk do something, and waits for its answer.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Desk) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        self.desk.ask(job).await
    }
}

/// Atrion Studio, to be served or mounted.
///
/// Its work is done on a thread of its own, and only while somebody looks. It ends when the last
/// of this, its routers and its servers is gone.
#[derive(Clone)]
pub struct Studio(pub(crate) Arc<Shared>);

impl Studio {
    /// Starts building; every setting has a default.
    pub fn builder(atrion: &Atrion) -> Builder {
        Builder {
            atrion: atrion.clone(),
            license: LicenseSource::default(),
            token: None,
            sink: None,
            hosts: Vec::new(),
            settings: Settings {
                instance: String::new(),
                actions: false,
                preview: false,
                interval: Duration::from_secs(1),
                history: false,
                history_routes: 256,
                history_samples: 600,
                most_viewers: 256,
                most_connections: 1024,
                patience: Duration::from_secs(10),
                token: None,
                hosts: Hosts::default(),
            },
        }
    }

    /// The page and its interface, to be mounted into an axum application under any prefix:
    /// `app.nest_service("/studio", studio.router())`. With `nest` it works too, but for the path
    /// `/studio/`, which axum then leaves to the application: link to `/studio`.
    ///
    /// The audit log names the address an action came from if the application says it, by
    /// `into_make_service_with_connect_info::<SocketAddr>()`; otherwise it says `unknown`.
    ///
    /// Everything that this crate checks per request is checked here too. What belongs to
    /// connections (their number, slow ones) is up to the server that it is mounted in, and whether
    /// that can be reached from other machines is not known here: set a [token](Builder::token) if
    /// it can.
    pub fn router(&self) -> Router {
        crate::api::router(&self.0)
    }

    /// Serves at `addr` on a thread of its own, whether or not a runtime is running.
    ///
    /// # Errors
    /// [`StudioError::TokenRequired`] if the address can be reached from other machines and there
    /// is no token; [`StudioError`] if it cannot be listened at.
    pub fn serve(&self, addr: impl Into<SocketAddr>) -> Result<Server, StudioError> {
        Server::start(self, addr.into())
    }

    /// Takes another licence, at once.
    ///
    /// # Errors
    /// [`ReplaceRefused`] if the one in force works and the new one does not. Nothing changes then.
    pub fn replace_license(&self, source: impl Into<LicenseSource>) -> Result<(), ReplaceRefused> {
        self.0.gate.replace(&source.into())
    }
}

impl std::fmt::Debug for Studio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Studio").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

/// Builds a [`Studio`].
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    atrion: Atrion,
    license: LicenseSource,
    token: Option<String>,
    sink: Option<Box<dyn AuditSink>>,
    hosts: Vec<String>,
    settings: Settings,
}

impl Builder {
    /// The token that every request must show: 24 to 256 visible ASCII characters, such as 32 random
    /// bytes in hexadecimal. Without one, Studio serves loopback addresses only.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// The licence key, or where it is; the environment variable `ATRION_LICENSE_KEY` unless told.
    /// Without one that works the page opens, says so, and shows nothing else.
    pub fn license(mut self, source: impl Into<LicenseSource>) -> Self {
        self.license = source.into();
        self
    }

    /// A name under which Studio is reached, besides IP addresses and `localhost`: the host as it
    /// stands in the URL. Needed behind a reverse proxy; call it for each name.
    pub fn allow_host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// What the page calls this process, such as the pod's name. Empty by default.
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.settings.instance = name.into();
        self
    }

    /// Lets the page act: force, release, reset, shadow, reload. Off by default: then the paths do
    /// not exist.
    pub const fn actions(mut self, on: bool) -> Self {
        self.settings.actions = on;
        self
    }

    /// Lets the page record a route for some seconds and replay it under another configuration. Off
    /// by default: then the paths do not exist.
    pub const fn preview(mut self, on: bool) -> Self {
        self.settings.preview = on;
        self
    }

    /// Keeps the history of troubled routes even while nobody looks. Off by default.
    pub const fn history(mut self, on: bool) -> Self {
        self.settings.history = on;
        self
    }

    /// How often viewers are told what changed: 1 s by default, 100 ms to 60 s.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.settings.interval = interval;
        self
    }

    /// How many routes have a history at a time, 256 by default, 1 to 10,000; and how many samples
    /// each, 600 by default, 10 to 86,400. A sample takes about 120 bytes.
    pub const fn history_size(mut self, routes: usize, samples: usize) -> Self {
        self.settings.history_routes = routes;
        self.settings.history_samples = samples;
        self
    }

    /// How many streams are served at a time: 256 by default, 1 to 10,000.
    pub const fn most_viewers(mut self, viewers: usize) -> Self {
        self.settings.most_viewers = viewers;
        self
    }

    /// How many connections [`Studio::serve`] keeps at a time, 1024 by default, 1 to 100,000; more
    /// are closed as they come.
    pub const fn most_connections(mut self, connections: usize) -> Self {
        self.settings.most_connections = connections;
        self
    }

    /// How long a caller may take over the head of a request, or over its body: 10 s by default,
    /// 100 ms to 60 s. A caller that takes nothing of an answer for three times as long, or is idle
    /// for this long, is disconnected by [`Studio::serve`].
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// Tells this sink of every action, besides `tracing` and the page. Called on Studio's own
    /// thread.
    pub fn audit(mut self, sink: impl AuditSink) -> Self {
        self.sink = Some(Box::new(sink));
        self
    }

    /// Builds it. Starts its thread, which sleeps until somebody looks.
    ///
    /// # Errors
    /// [`StudioError`] for a token, a host or a number that cannot be used, or if the thread cannot
    /// be started.
    pub fn build(self) -> Result<Studio, StudioError> {
        let mut settings = self.settings;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let ranges = [
            ("interval", millis(settings.interval), "ms", 100, 60_000),
            ("patience", millis(settings.patience), "ms", 100, 60_000),
            ("history_size.routes", settings.history_routes as u64, "routes", 1, 10_000),
            ("history_size.samples", settings.history_samples as u64, "samples", 10, 86_400),
            ("most_viewers", settings.most_viewers as u64, "viewers", 1, 10_000),
            ("most_connections", settings.most_connections as u64, "connections", 1, 100_000),
        ];
        for (field, value, unit, min, max) in ranges {
            if value < min || value > max {
                return Err(StudioError::OutOfRange { field, value, unit, min, max });
            }
        }
        settings.token = self.token.as_deref().map(Token::new).transpose()?;
        for name in self.hosts {
            if !settings.hosts.allow(&name) {
                return Err(StudioError::Host { name });
            }
        }
        getrandom::fill(&mut [0; 1]).map_err(|_| StudioError::Random)?;
        let gate = Arc::new(Gate::start(&self.license));
        let viewers = Arc::new(AtomicUsize::new(0));
        let desk = Desk::start(
            self.atrion.clone(),
            settings.clone(),
            Arc::clone(&gate),
            Arc::new(Journal::new()),
            Arc::new(Audit::new(self.sink)),
            Arc::clone(&viewers),
        )?;
        let clock = MonotonicClock::new();
        let throttle = Mutex::new(Throttle::new(clock.now()));
        let preview = Arc::new(Preview::new(self.atrion));
        let started_ms = crate::event::now_ms();
        Ok(Studio(Arc::new(Shared {
            settings,
            gate,
            desk,
            preview,
            throttle,
            clock,
            started_ms,
            viewers,
        })))
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Serves Studio for `atrion` at `addr`, with the defaults: read-only, no token (so `addr` has to be
/// a loopback address), the licence from `ATRION_LICENSE_KEY`. On a thread of its own, whether or not
/// a runtime is running, until the answer is dropped.
///
/// # Errors
/// As [`Builder::build`] and [`Studio::serve`].
pub fn serve(atrion: &Atrion, addr: impl Into<SocketAddr>) -> Result<Server, StudioError> {
    Studio::builder(atrion).build()?.serve(addr)
}
