//! Policies by name.

use atrion_engine::{BuildError, Config};

use super::routes::per_route as routes;
use super::{
    Aimd, AimdSettings, Bbr, BbrSettings, Breaker, BreakerSettings, Cinnamon, CinnamonSettings,
    Codel, CodelSettings, Context, ControlledDelay, ControlledDelaySettings, Engine, Gradient2,
    Gradient2Settings, Limiter, Policy, Recloser, RecloserSettings, Reference, Reported,
    STATIC_LIMIT_MAX, Sentinel, SentinelTrigger, Sre, SreSettings, Static, TowerBreaker,
    TowerBreakerSettings, Unlimited, Vegas, VegasSettings, Windowed,
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
const QUOTA: &str = "governor";
const QUOTA_ORACLE: &str = "governor-oracle";
/// Those that take a number.
#[cfg(feature = "peers")]
const NUMBERED: &[&str] = &["static", "reported", "threshold", "tower", QUOTA];
#[cfg(not(feature = "peers"))]
const NUMBERED: &[&str] = &["static", "reported", "threshold"];
const ENTRIES: &[Entry] = &[
    Entry { name: "atrion", about: "the shipped engine, without a single setting" },
    Entry { name: "process", about: "the same with `process_circuit`: priority across routes" },
    Entry {
        name: "reported",
        about: "the shipped engine, told telemetry every 100 ms, no permits; reported:MS",
    },
    Entry {
        name: "threshold",
        about: "the same by callers who do not count what they let through; threshold:MS",
    },
    Entry { name: ORACLE, about: "the best static limit in hindsight: the upper reference" },
    Entry { name: "unlimited", about: "no control" },
    Entry { name: "static", about: "1.5 times the true parallelism; static:N for another limit" },
    Entry { name: "aimd", about: "Netflix concurrency-limits, AIMD" },
    Entry { name: "vegas", about: "Netflix concurrency-limits, Vegas" },
    Entry { name: "gradient2", about: "Netflix concurrency-limits, Gradient2" },
    Entry { name: "vegas-1s", about: "Vegas in windows of a second" },
    Entry { name: "gradient2-1s", about: "Gradient2 in windows of a second" },
    Entry { name: "sre", about: "Google SRE client throttling, K = 2" },
    Entry { name: "bbr", about: "go-zero's adaptive shedder, after Sentinel" },
    Entry { name: "sentinel", about: "Sentinel's system rule, BBR by load average" },
    Entry { name: "sentinel-cpu", about: "Sentinel's system rule, BBR by use of the processor" },
    Entry { name: "codel", about: "RFC 8289 in a queue before the service" },
    Entry { name: "delay", about: "Facebook's controlled delay, newest first while it stands" },
    Entry { name: "cinnamon", about: "Uber's PI control of a priority threshold, likeness" },
    Entry {
        name: "reference",
        about: "Atrion's published model, version 2.0.0, mistakes included",
    },
    Entry { name: "breaker", about: "resilience4j's circuit breaker" },
    Entry { name: "recloser", about: "crate recloser, restated and compared with it" },
    Entry {
        name: "tr-breaker",
        about: "breaker of tower-resilience, restated and compared with it",
    },
    #[cfg(feature = "peers")]
    Entry {
        name: "tower",
        about: "crate tower, LoadShed over ConcurrencyLimit; tower:N as static:N",
    },
    #[cfg(feature = "peers")]
    Entry { name: "tr-aimd", about: "crate tower-resilience-adaptive, AIMD" },
    #[cfg(feature = "peers")]
    Entry { name: "tr-vegas", about: "crate tower-resilience-adaptive, Vegas" },
    #[cfg(feature = "peers")]
    Entry { name: "tr-gradient2", about: "crate tower-resilience-adaptive, Gradient2" },
    #[cfg(feature = "peers")]
    Entry { name: "cl-aimd", about: "crate congestion-limiter, AIMD" },
    #[cfg(feature = "peers")]
    Entry { name: "cl-vegas", about: "crate congestion-limiter, Vegas" },
    #[cfg(feature = "peers")]
    Entry { name: "failsafe", about: "crate failsafe, its circuit breaker" },
    #[cfg(feature = "peers")]
    Entry {
        name: QUOTA,
        about: "crate governor, 90 % of the true capacity; governor:N per second",
    },
    #[cfg(feature = "peers")]
    Entry { name: QUOTA_ORACLE, about: "the best quota of governor in hindsight" },
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
    /// Reads `NAME`, or `NAME:NUMBER` of those that take one: `static`, and with the feature `peers`
    /// `tower` (a limit) and `governor` (requests per second).
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
        if let Some((kind, limit)) = name.split_once(':')
            && NUMBERED.contains(&kind)
        {
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

    /// Whether this is no policy but the search for the best static limit, or the best quota.
    pub fn is_oracle(&self) -> bool {
        self.name == ORACLE || self.name == QUOTA_ORACLE
    }

    /// For the search for the best quota, what a quota of `per_sec` is.
    pub(crate) fn quota_of_oracle(&self, per_sec: u32) -> Option<Self> {
        let quota = || Self { name: QUOTA.to_owned(), limit: Some(per_sec) };
        (self.name == QUOTA_ORACLE).then(quota)
    }

    /// A fresh policy for one run. The oracles, which are none, give a starting point, the static
    /// limit of the true parallelism.
    ///
    /// # Errors
    /// [`BuildError`] if the engine cannot be built.
    pub fn make(&self, context: &Context) -> Result<Box<dyn Policy>, BuildError> {
        let c = context;
        let ceil = |x: f64| -atrion_core::math::floor(-x);
        let workers = ceil(c.parallelism).clamp(1.0, f64::from(STATIC_LIMIT_MAX)) as u32;
        let seed = |route| c.route_seed(route);
        let careful = ceil(1.5 * c.parallelism).clamp(1.0, f64::from(STATIC_LIMIT_MAX)) as u32;
        let kind = self.name.split_once(':').map_or(self.name.as_str(), |(kind, _)| kind);
        #[cfg(feature = "peers")]
        if let Some(policy) = super::peers::make(kind, c, self.limit, careful) {
            return Ok(policy);
        }
        Ok(match kind {
            "atrion" => Box::new(Engine::new(c)?),
            "process" => Box::new(Engine::with_process_circuit(c)?),
            "reported" => Box::new(Reported::new(c, Config::default(), true, self.limit)?),
            "threshold" => Box::new(Reported::new(c, Config::default(), false, self.limit)?),
            "unlimited" => Box::new(Unlimited),
            "aimd" => {
                let settings = AimdSettings::published(c.deadline_secs);
                routes(c, |_| Limiter::new(Aimd::new(settings)))
            }
            "vegas" => routes(c, |r| Limiter::new(Vegas::new(VegasSettings::default(), seed(r)))),
            "gradient2" => {
                routes(c, |_| Limiter::new(Gradient2::new(Gradient2Settings::default())))
            }
            "vegas-1s" => routes(c, |r| {
                Limiter::new(Windowed::new(Vegas::new(VegasSettings::default(), seed(r))))
            }),
            "gradient2-1s" => routes(c, |_| {
                Limiter::new(Windowed::new(Gradient2::new(Gradient2Settings::default())))
            }),
            "sre" => routes(c, |r| Sre::new(SreSettings::published(c.deadline_secs), seed(r))),
            // One of each guards a process.
            "bbr" => Box::new(Bbr::new(BbrSettings::default())),
            "sentinel" => Box::new(Sentinel::new(SentinelTrigger::LOAD)),
            "sentinel-cpu" => Box::new(Sentinel::new(SentinelTrigger::CPU)),
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
            "recloser" => {
                let settings = RecloserSettings::published(c.deadline_secs);
                routes(c, |_| Recloser::new(settings))
            }
            "tr-breaker" => {
                let settings = TowerBreakerSettings::published(c.deadline_secs);
                routes(c, |_| TowerBreaker::new(settings))
            }
            "static" => {
                let limit = self.limit.unwrap_or(careful);
                routes(c, |_| Static::new(limit))
            }
            _ => routes(c, |_| Static::new(workers)),
        })
    }
}
