//! The load: requests at times drawn beforehand, whether or not earlier ones were answered.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use atrion::{Priority, Reason};
use http::{StatusCode, header};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, Exp1};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::board::Board;
use crate::client::{Answer, Client};
use crate::ledger::Invariant;
use crate::node::{REFUSED, TASK};
use crate::schedule::FIXED;
use crate::tally::Ending;

/// Requests per second and node, when nothing happens.
const PER_SEC: f64 = 30.0;
/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// Names of routes that come and go: far more than are kept.
const NAMES: u64 = 600;
/// So many of them are asked for at a time,
const AT_A_TIME: u64 = 60;
/// and so many others a second.
const NEW_PER_SEC: u64 = 4;
/// Of a hundred requests, so many are of each tier, the lowest first.
const SHARES: [u32; 5] = [10, 20, 40, 20, 10];

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ask {
    path: String,
    route: Option<usize>,
    tier: usize,
}

fn draw(rng: &mut StdRng, secs: u64) -> Ask {
    let mut hundredth = rng.random_range(0..100);
    let tier = SHARES.iter().position(|share| {
        let is_it = hundredth < *share;
        hundredth = hundredth.saturating_sub(*share);
        is_it
    });
    let tier = tier.unwrap_or_default();
    match rng.random_range(0..100) {
        0..70 => {
            let route = rng.random_range(0..FIXED.len());
            Ask {
                path: (*FIXED.get(route).unwrap_or(&"shop")).to_owned(),
                route: Some(route),
                tier,
            }
        }
        70..97 => {
            let name = (secs * NEW_PER_SEC + rng.random_range(0..AT_A_TIME)) % NAMES;
            Ask { path: format!("item/{name}"), route: None, tier }
        }
        _ => Ask { path: format!("{TASK}/{}", rng.random_range(0..100)), route: None, tier },
    }
}

/// Sends requests to one node for ever, while there is load.
pub(crate) async fn run(board: Arc<Board>, node: usize, seed: u64, origin: Instant) {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_add(node as u64));
    let client = Client::new();
    let mut next = Instant::now();
    loop {
        let gap: f64 = Exp1.sample(&mut rng);
        let factor = f64::from(board.factor.load(Relaxed));
        next += Duration::try_from_secs_f64(gap / (PER_SEC * factor)).unwrap_or_default();
        sleep_until(next).await;
        let ask = draw(&mut rng, origin.elapsed().as_secs());
        if !board.loading.load(Relaxed) {
            continue;
        }
        let (board, client) = (Arc::clone(&board), client.clone());
        board.under_way.fetch_add(1, Relaxed);
        tokio::spawn(async move {
            let secs = next.saturating_duration_since(origin).as_secs();
            let ending = send(&board, &client, node, &ask, next).await;
            board.tallies().note(node, ask.route, ask.tier, secs, ending);
            board.under_way.fetch_sub(1, Relaxed);
        });
    }
}

async fn send(board: &Board, client: &Client, node: usize, ask: &Ask, at: Instant) -> Ending {
    let Some(port) = board.port(node) else { return Ending::Silent };
    let tier = Priority::ALL.get(ask.tier).copied().unwrap_or_default();
    let header = (atrion::tower::TIER_HEADER, tier.as_str());
    match timeout_at(at + PATIENCE, client.get(port, &ask.path, Some(header))).await {
        Ok(Ok(answer)) => {
            let judged = judge(&answer);
            board.check(Invariant::Answers, judged.is_ok(), || {
                format!("{} of node {node}: {}", ask.path, judged.err().unwrap_or_default())
            });
            judged.unwrap_or(Ending::Failed)
        }
        // Nobody is there, or died meanwhile, or is too late.
        _ => Ending::Silent,
    }
}

/// What an answer means; an error says why it is none that is known.
fn judge(answer: &Answer) -> Result<Ending, &'static str> {
    match answer.status {
        StatusCode::OK => Ok(Ending::Good),
        StatusCode::BAD_GATEWAY => Ok(Ending::Failed),
        StatusCode::SERVICE_UNAVAILABLE => {
            let text = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
            let secs = text(header::RETRY_AFTER).and_then(|text| text.parse::<u64>().ok());
            if !secs.is_some_and(|secs| (1..=60).contains(&secs)) {
                return Err("a refusal without a time to retry, or with an absurd one");
            }
            let reason = text(REFUSED);
            let known = Reason::ALL.into_iter().find(|known| reason == Some(known.as_str()));
            match known {
                Some(Reason::Saturated | Reason::Scarred) => Ok(Ending::Outweighed),
                Some(_) => Ok(Ending::ClosedOff),
                None => Err("a refusal without a known reason"),
            }
        }
        _ => Err("an answer that nobody gives"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, headers: headers.collect(), body: "".into() }
    }

    #[test]
    fn answers_are_known_or_a_violation() {
        let refused =
            |reason, after| judge(&answer(503, &[("x-refused", reason), ("retry-after", after)]));
        assert_eq!(judge(&answer(200, &[])), Ok(Ending::Good));
        assert_eq!(judge(&answer(502, &[])), Ok(Ending::Failed));
        assert_eq!(refused("saturated", "1"), Ok(Ending::Outweighed));
        assert_eq!(refused("held", "60"), Ok(Ending::ClosedOff));
        assert!(refused("held", "0").is_err());
        assert!(refused("held", "61").is_err());
        assert!(refused("whim", "1").is_err());
        assert!(judge(&answer(503, &[("x-refused", "held")])).is_err());
        assert!(judge(&answer(500, &[])).is_err());
    }

    #[test]
    fn more_routes_are_asked_for_than_are_kept_and_no_more_than_there_are_names() {
        let mut rng = StdRng::seed_from_u64(1);
        let paths: std::collections::HashSet<String> =
            (0..200_000).map(|n| draw(&mut rng, n / 100).path).collect();
        assert!(paths.len() > 600 && paths.len() < 720, "{}", paths.len());
        let tiers = (0..1000).map(|_| draw(&mut rng, 0).tier).filter(|tier| *tier == 4).count();
        assert!((50..200).contains(&tiers), "{tiers}");
    }
}
