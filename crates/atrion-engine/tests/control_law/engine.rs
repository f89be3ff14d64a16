//! The shipped engine as a policy: `atrion_engine::Atrion` under a clock moved by hand.

use atrion_core::law::LawConfig;
use atrion_core::time::Timestamp;
use atrion_core::units::Volts;
use atrion_engine::{Atrion, Config, OwnedPermit, Route};
use atrion_state::clock::ManualClock;

use crate::policy::{Learned, Outcome, Policy};

pub struct Engine {
    clock: ManualClock,
    route: Route,
}

impl Engine {
    pub fn new(seed: u64) -> Self {
        Self::with_law(seed, LawConfig::default())
    }

    pub fn with_law(seed: u64, law: LawConfig) -> Self {
        let clock = ManualClock::new();
        let config = Config::builder().law(law).build().expect("a valid configuration");
        let atrion = Atrion::builder().clock(clock.clone()).seed(seed).config(config).build();
        let route = atrion.expect("no observer, no thread to fail").route("service");
        Self { clock, route }
    }

    pub fn route(&self) -> &Route {
        &self.route
    }
}

impl Policy for Engine {
    type Token = OwnedPermit;

    fn arrive(&mut self, now: Timestamp, volts: f64) -> Option<OwnedPermit> {
        self.clock.set(now);
        self.route.admit_owned(Volts::try_new(volts).expect("a finite voltage")).ok()
    }

    fn done(&mut self, now: Timestamp, token: OwnedPermit, outcome: Outcome) {
        self.clock.set(now);
        match outcome {
            Outcome::Success => token.success(),
            Outcome::Failure => token.failure(),
        }
    }

    fn is_open(&self) -> bool {
        self.route.is_open()
    }

    fn learned(&self) -> Learned {
        let said = self.route.explain(Volts::ZERO);
        Learned {
            parallelism: said.parallelism.unwrap_or(0.0),
            service_secs: said.service_secs.unwrap_or(0.0),
        }
    }
}
