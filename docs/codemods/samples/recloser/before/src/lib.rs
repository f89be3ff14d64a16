//! A client of a price service behind a breaker of `recloser`.
#![allow(warnings, reason = "an excerpt of somebody's program")]

use std::time::Duration;

use recloser::{AsyncRecloser, Error, Recloser};

pub struct Prices {
    breaker: Recloser,
}

impl Prices {
    pub fn new() -> Self {
        Self {
            breaker: Recloser::custom()
                .error_rate(0.5)
                .closed_len(100)
                .half_open_len(10)
                .open_wait(Duration::from_secs(30))
                .build(),
        }
    }

    pub fn price(&self, ask: impl FnOnce() -> Result<u32, String>) -> Result<u32, String> {
        match self.breaker.call(ask) {
            Ok(price) => Ok(price),
            Err(Error::Inner(why)) => Err(why),
            Err(Error::Rejected) => Err("not asked: the price service fails".to_owned()),
        }
    }
}

pub async fn quote(
    breaker: &AsyncRecloser,
    ask: impl Future<Output = Result<u32, String>>,
) -> Option<u32> {
    breaker.call(ask).await.ok()
}

pub fn breaker() -> AsyncRecloser {
    let quotes = AsyncRecloser::from(Recloser::default());
    quotes
}
