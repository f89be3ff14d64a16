//! A client of a stock service behind a breaker of `failsafe`.
#![allow(warnings, reason = "an excerpt of somebody's program")]

use std::io;
use std::time::Duration;

use failsafe::backoff::EqualJittered;
use failsafe::failure_policy::ConsecutiveFailures;
use failsafe::{CircuitBreaker, Config, Error, StateMachine, backoff, failure_policy};

pub struct Stock {
    breaker: StateMachine<ConsecutiveFailures<EqualJittered>, ()>,
}

impl Stock {
    pub fn new() -> Self {
        let waits = backoff::equal_jittered(Duration::from_secs(10), Duration::from_secs(60));
        let policy = failure_policy::consecutive_failures(3, waits);
        Self { breaker: Config::new().failure_policy(policy).build() }
    }

    pub fn is_reachable(&self) -> bool {
        self.breaker.is_call_permitted()
    }

    pub fn items(&self, fetch: impl Fn() -> io::Result<u32>) -> Result<u32, String> {
        match self.breaker.call(|| fetch()) {
            Ok(items) => Ok(items),
            Err(Error::Inner(why)) => Err(why.to_string()),
            Err(Error::Rejected) => Err("not asked: the stock service fails".to_owned()),
        }
    }
}

pub fn ping(breaker: &impl CircuitBreaker, send: fn() -> io::Result<()>) -> bool {
    breaker.call(send).is_ok()
}

pub fn check(send: fn() -> io::Result<()>) -> bool {
    let pings = Config::new().build();
    ping(&pings, send)
}
