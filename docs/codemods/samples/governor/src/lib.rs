//! A search that is limited by `governor`: for all together by a guess, for each caller by contract.
#![allow(warnings, reason = "an excerpt of somebody's program")]

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

pub struct Search {
    guess: DefaultDirectRateLimiter,
    contract: DefaultKeyedRateLimiter<String>,
}

impl Search {
    pub fn new(rate: NonZeroU32) -> Self {
        let quota = Quota::per_second(rate);
        Self { guess: RateLimiter::direct(quota), contract: RateLimiter::keyed(quota) }
    }

    pub fn find(&self, caller: &String, words: &str) -> Result<usize, Duration> {
        let wait =
            |denied: governor::NotUntil<_>| denied.wait_time_from(DefaultClock::default().now());
        self.contract.check_key(caller).map_err(wait)?;
        self.guess.check().map_err(wait)?;
        Ok(words.len())
    }

    pub async fn rebuild(&self, documents: &[String]) {
        for document in documents {
            self.guess.until_ready().await;
            drop(document.len());
        }
    }
}
