//! Policies by name.

use atrion_engine::BuildError;

use super::{
    Aimd, AimdSettings, Bbr, BbrSettings, Breaker, BreakerSettings, Cinnamon, CinnamonSettings,
    Codel, CodelSettings, Context, ControlledDelay, ControlledDelaySettings, Engine, Gradient2,
    Gradient2Settings, Limiter, PerRoute, Policy, Reference, STATIC_LIMIT_MAX, Sre, SreSettings,
    Static, Unlimited, Vegas, VegasSettings,
};
use crate::error::PolicyError;

/// A name and what it stands for.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
}

const ORACLE: &str = "oracle";
const ENTRIES: &[Entry] = &[
    Entry { name: "atrion", about: "the shipped engine, without a single setting" },
    Entry { name: "process", about: "the same with `process_circuit`: priority across routes" },
    Entry { name: ORACLE, about: "the best static limit in hindsight: the upper reference" },
    Entry { name: "unlimited", about: "no control" },
    Entry { name: "static", about: "1.5 times the true parallelism; static:N for another limit" },
    Entry { name: "aimd", about: "Netflix concurrency-limits, AIMD" },
    Entry { name: "vegas", about: "Netflix concurrency-limits, Vegas" },
    Entry { name: "gradient2", about: "Netflix concurrency-limits, Gradient2" },
    Entry { name: "sre", about: "Google SRE client throttling, K = 2" },
    Entry { name: "bbr", about: "go-zero's adaptive shedder, after Sentinel" },
    Entry { name: "codel", about: "RFC 8289 in a queue before the service" },
    Entry { name: "delay", about: "Facebook's controlled delay, newest first while it stands" },
    Entry { name: "cinnamon", about: "Uber's PI control of a priority threshold, likeness" },
    Entry {
        name: "reference",
        about: "Atrion's published model, version 2.0.0, mistakes included",
    },
    Entry { name: "breaker", about: "resilience4j's circuit breaker" },
];

/// All policies that [`Choice::parse`] knows.
pub fn entries() -> &'static [Entry] {
    ENTRIES
}

/// A policy that was chosen by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    name: String,
    limit: Option<u32>,
}

impl Choice {
    /// Reads `NAME` or `static:LIMIT`.
    ///
    /// ```
    /// use atrion_sim::policy::Choice;
    ///
    /// assert!(Choice::parse("static:64").is_ok());
    /// let why = Choice::parse("gradient").unwrap_err().to_string();
    /// assert!(why.contains("gradient2"), "{why}");
    /// ```
    ///
    /// # Errors
    /// [`PolicyError`] with what is known or allowed.
    pub fn parse(name: &str) -> Result<Self, PolicyError> {
        if let Some(limit) = name.strip_prefix("static:") {
            let valid = limit.parse().ok().filter(|n| (1..=STATIC_LIMIT_MAX).contains(n));
            let refused = || PolicyError::Limit { name: name.to_owned(), max: STATIC_LIMIT_MAX };
            return Ok(Self { name: name.to_owned(), limit: Some(valid.ok_or_else(refused)?) });
        }
        if ENTRIES.iter().any(|entry| entry.name == name) {
            return Ok(Self { name: name.to_owned(), limit: None });
        }
        let known: Vec<&str> = ENTRIES.iter().map(|entry| entry.name).collect();
        Err(PolicyError::Unknown { name: name.to_owned(), known: known.join(", ") })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is no policy but the search for the best static limit.
    pub fn is_oracle(&self) -> bool {
        self.name == ORACLE
    }

    /// A fresh policy for one run. The oracle, which is none, gives its starting point, the
    /// static limit of the true parallelism.
    ///
    /// # Errors
    /// [`BuildError`] if the engine cannot be built.
    pub fn make(&self, context: &Context) -> Result<Box<dyn Policy>, BuildError> {
        let c = context;
        let ceil = |x: f64| -atrion_core::math::floor(-x);
        let workers = ceil(c.parallelism).clamp(1.0, f64::from(STATIC_LIMIT_MAX)) as u32;
        let seed = |route: usize| c.seed.wrapping_mul(97).wrapping_add(route as u64);
        Ok(match self.name.as_str() {
            "atrion" => Box::new(Engine::new(c)?),
            "process" => Box::new(Engine::with_process_circuit(c)?),
            "unlimited" => Box::new(Unlimited),
            "aimd" => {
                let settings = AimdSettings::published(c.deadline_secs);
                routes(c, |_| Limiter::new(Aimd::new(settings)))
            }
            "vegas" => routes(c, |r| Limiter::new(Vegas::new(VegasSettings::default(), seed(r)))),
            "gradient2" => {
                routes(c, |_| Limiter::new(Gradient2::new(Gradient2Settings::default())))
            }
            "sre" => routes(c, |r| Sre::new(SreSettings::published(c.deadline_secs), seed(r))),
            "bbr" => routes(c, |_| Bbr::new(BbrSettings::default())),
            "codel" => routes(c, |_| Codel::new(CodelSettings::published(workers))),
            "delay" => {
                let settings = ControlledDelaySettings::published(workers);
                routes(c, |_| ControlledDelay::new(settings))
            }
            "cinnamon" => {
                let settings = CinnamonSettings::chosen(c.deadline_secs, workers);
                routes(c, |r| Cinnamon::new(settings, seed(r)))
            }
            "reference" => routes(c, |_| Reference::new(c.mean_secs, c.parallelism)),
            "breaker" => routes(c, |_| Breaker::new(BreakerSettings::published(c.deadline_secs))),
            "static" => {
                let limit = ceil(1.5 * c.parallelism).clamp(1.0, f64::from(STATIC_LIMIT_MAX));
                routes(c, |_| Static::new(limit as u32))
            }
            _ => {
                let limit = self.limit.unwrap_or(workers);
                routes(c, |_| Static::new(limit))
            }
        })
    }
}

fn routes<P: Policy + 'static>(context: &Context, make: impl FnMut(usize) -> P) -> Box<dyn Policy> {
    Box::new(PerRoute::new(context.routes.len(), make))
}
