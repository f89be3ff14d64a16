//! The load: requests at times fixed beforehand, whether or not earlier ones were answered.

use std::collections::HashMap;
use std::time::Duration;

use atrion::Reason;
use http::StatusCode;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, Exp};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::clock::SharedClock;
use super::node::REFUSED;
use super::wire::{Ending, Event, Order, Request, SHOP, Target};
use super::{SHARED, orders, tell};
use crate::caller::{Answer, Caller};
use crate::plan::TIERS;
use crate::stats::micros;
use crate::traffic::tier;

/// The conductor is told this often.
const TOLD_EVERY: Duration = Duration::from_millis(100);
/// Nobody waits longer for an answer: long enough for whatever a busy machine does, so that only
/// what never comes is missing.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nodes that get the same arrivals get them this much apart, so that they do not wait for each
/// other's processor.
const APART: Duration = Duration::from_millis(7);
/// Requests of a burst carry the voltage of this tier: the highest.
const BURST_TIER: usize = 0;

type Ended = mpsc::UnboundedSender<Request>;

/// Obeys until the conductor is gone.
///
/// # Errors
///
/// A sentence if it is given something that is no order of its own.
pub(crate) async fn run(clock: SharedClock, seed: u64) -> Result<(), String> {
    let (ended, endings) = mpsc::unbounded_channel();
    tokio::spawn(report(endings));
    let mut streams: HashMap<usize, JoinHandle<()>> = HashMap::new();
    let mut orders = orders();
    while let Some(order) = orders.next().await? {
        match order {
            Order::Aim { targets, per_second } => {
                streams.retain(|node, stream| {
                    let stays = targets.iter().any(|target| target.node == *node);
                    if !stays {
                        stream.abort();
                    }
                    stays
                });
                for target in targets {
                    streams.entry(target.node).or_insert_with(|| {
                        let source = Source { target, per_second, clock, ended: ended.clone() };
                        tokio::spawn(source.stream(seed))
                    });
                }
            }
            Order::Burst { target, route, count, gap_ms } => {
                let gap = Duration::from_millis(gap_ms);
                drop(tokio::spawn(burst(target, route, count, gap)));
            }
            other => return Err(format!("the load cannot {other:?}")),
        }
    }
    Ok(())
}

async fn report(mut endings: mpsc::UnboundedReceiver<Request>) {
    loop {
        tokio::time::sleep(TOLD_EVERY).await;
        let mut requests = Vec::new();
        while let Ok(request) = endings.try_recv() {
            requests.push(request);
        }
        if !requests.is_empty() {
            tell(Event::Ended { requests });
        }
    }
}

/// What sends requests to one node.
struct Source {
    target: Target,
    per_second: f64,
    clock: SharedClock,
    ended: Ended,
}

impl Source {
    /// Poisson arrivals on the everyday route, for ever.
    async fn stream(self, seed: u64) {
        let place = (self.target.node % SHARED) as u64;
        let mut rng = StdRng::seed_from_u64(seed.wrapping_add(place));
        let (Ok(caller), Ok(gaps)) =
            (Caller::new(self.target.port, SHOP), Exp::new(self.per_second))
        else {
            return;
        };
        let mut next = Instant::now() + APART * self.target.node as u32;
        loop {
            let gap: f64 = gaps.sample(&mut rng);
            let tier = tier(rng.random_range(0..100));
            next += Duration::try_from_secs_f64(gap).unwrap_or_default();
            sleep_until(next).await;
            let lag = next.elapsed();
            let (caller, ended) = (caller.clone(), self.ended.clone());
            let (node, at) = (self.target.node, self.clock.at(next));
            tokio::spawn(async move {
                let (ending, why) = send(&caller, tier, next).await;
                let latency = next.elapsed();
                let (latency_us, lag_us) = (micros(latency), micros(lag));
                // Without a reporter there is nobody to tell.
                let _ = ended.send(Request { node, tier, ending, why, at, latency_us, lag_us });
            });
        }
    }
}

/// Sends one request and waits for its end.
async fn send(caller: &Caller, tier: usize, intended: Instant) -> (Ending, String) {
    let volts = TIERS.get(tier).map(|tier| tier.volts);
    match timeout_at(intended + PATIENCE, caller.get(volts)).await {
        Err(_) => (Ending::TimedOut, String::new()),
        Ok(Err(e)) => (Ending::Failed, e.to_string()),
        Ok(Ok(answer)) => match judge(&answer) {
            Ending::Good => (Ending::Good, String::new()),
            ending => (ending, String::from_utf8_lossy(&answer.body).into_owned()),
        },
    }
}

fn judge(answer: &Answer) -> Ending {
    let why = answer.headers.get(REFUSED).map(http::HeaderValue::as_bytes);
    match why {
        None if answer.status == StatusCode::OK => Ending::Good,
        None => Ending::Failed,
        Some(why) if why == Reason::Saturated.as_str().as_bytes() => Ending::Saturated,
        Some(_) => Ending::Refused,
    }
}

/// A row of requests at equal distances.
async fn burst(target: Target, route: String, count: u32, gap: Duration) {
    let Ok(caller) = Caller::new(target.port, &route) else { return };
    let start = Instant::now();
    for number in 0..count {
        let intended = start + gap * number;
        sleep_until(intended).await;
        let caller = caller.clone();
        tokio::spawn(async move { send(&caller, BURST_TIER, intended).await });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_its_reason() {
        let answer = |status, why: Option<Reason>| {
            let headers = why.map(|why| (REFUSED.clone(), why.as_str().parse().unwrap()));
            judge(&Answer { status, headers: headers.into_iter().collect(), body: "".into() })
        };
        let refused = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(answer(StatusCode::OK, None), Ending::Good);
        assert_eq!(answer(StatusCode::BAD_GATEWAY, None), Ending::Failed);
        assert_eq!(answer(refused, Some(Reason::Saturated)), Ending::Saturated);
        for why in [Reason::Scarred, Reason::BreakerOpen, Reason::Held] {
            assert_eq!(answer(refused, Some(why)), Ending::Refused);
        }
    }
}
