//! A client of a stock service behind a breaker of `failsafe`.
#![allow(warnings, reason = "an excerpt of somebody's program")]

#[path = "../../../../protection.rs"]
mod protection;

use std::io;
use std::time::Duration;

use atrion::CallError as Error;

pub struct Stock {
    breaker: atrion::Route,
}

impl Stock {
    pub fn new() -> Self {
        Self { breaker: crate::protection::route("breaker") }
    }

    pub fn is_reachable(&self) -> bool {
        self.breaker.would_flow(atrion::Priority::Normal)
    }

    pub fn items(&self, fetch: impl Fn() -> io::Result<u32>) -> Result<u32, String> {
        match self.breaker.run(atrion::Priority::Normal, || fetch()) {
            Ok(items) => Ok(items),
            Err(Error::Inner(why)) => Err(why.to_string()),
            Err(Error::Overloaded(_)) => Err("not asked: the stock service fails".to_owned()),
        }
    }
}

pub fn ping(breaker: &atrion::Route, send: fn() -> io::Result<()>) -> bool {
    breaker.run(atrion::Priority::Normal, send).is_ok()
}

pub fn check(send: fn() -> io::Result<()>) -> bool {
    let pings = crate::protection::route("pings");
    ping(&pings, send)
}
