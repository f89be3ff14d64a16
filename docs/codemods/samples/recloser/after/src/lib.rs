//! A client of a price service behind a breaker of `recloser`.
#![allow(warnings, reason = "an excerpt of somebody's program")]

#[path = "../../../../protection.rs"]
mod protection;

use std::time::Duration;

use atrion::CallError as Error;

pub struct Prices {
    breaker: atrion::Route,
}

impl Prices {
    pub fn new() -> Self {
        Self { breaker: crate::protection::route("breaker") }
    }

    pub fn price(&self, ask: impl FnOnce() -> Result<u32, String>) -> Result<u32, String> {
        match self.breaker.run(atrion::Priority::Normal, ask) {
            Ok(price) => Ok(price),
            Err(Error::Inner(why)) => Err(why),
            Err(Error::Overloaded(_)) => Err("not asked: the price service fails".to_owned()),
        }
    }
}

pub async fn quote(
    breaker: &atrion::Route,
    ask: impl Future<Output = Result<u32, String>>,
) -> Option<u32> {
    breaker.call(atrion::Priority::Normal, || ask).await.ok()
}

pub fn breaker() -> atrion::Route {
    let quotes = crate::protection::route("quotes");
    quotes
}
