//! Deaths at random moments: nothing that was acknowledged is lost, and nothing is half there.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use atrion_core::math::decay;
use atrion_core::time::Timestamp;
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::entropy::Draws;
use atrion_state::provider::{RouteVector, StateProvider};
use atrion_testkit::{PostgresOptions, PostgresServer};

use crate::harness::{connected, node, scarred, tests, until};

tests!(the_writer_is_killed_at_random_moments, the_server_is_killed_at_random_moments,);

const ROUTES: u32 = 200;
/// Named by the environment, this test program is the writer that is to be killed.
const VICTIM: &str = "ATRION_VICTIM_URL";

/// The batch of a round: all parts of a vector say which.
fn round(number: u32) -> Vec<RouteVector> {
    let vector = |_| {
        let mut vector = scarred(f64::from(number) + 100.0);
        vector.demand = atrion_core::units::PerSecond::try_new(f64::from(number)).expect("finite");
        vector
    };
    (0..ROUTES).map(|n| RouteVector::new(format!("route/{n}"), vector(n))).collect()
}

/// What is stored, checked for being whole: the number of the round of each route.
fn stored(server: &PostgresServer) -> HashMap<String, u32> {
    let rows = server.sql("SELECT route, scar, demand, resistance FROM atrion.readable").unwrap();
    rows.lines()
        .map(|row| {
            let parts: Vec<&str> = row.split('|').collect();
            let [route, scar, demand, resistance] = parts.as_slice() else { panic!("{row}") };
            let number = |text: &str| text.parse::<f64>().expect("a number");
            assert!((number(scar) - number(demand) - 100.0).abs() < 1e-9, "half a row: {row}");
            assert!((number(scar) - number(resistance)).abs() < 1e-9, "half a row: {row}");
            ((*route).to_owned(), number(demand) as u32)
        })
        .collect()
}

/// Nothing that was acknowledged is missing, and what a new process restores is what time has left
/// of it.
async fn check(server: &PostgresServer, acknowledged: u32, seed: u64) {
    let rounds = stored(server);
    assert_eq!(rounds.len(), ROUTES as usize, "seed {seed}");
    let oldest = rounds.values().min().copied().unwrap_or_default();
    assert!(oldest >= acknowledged, "round {oldest} of {acknowledged} is there; seed {seed}");
    let after = connected(node(&server.url(), "victim")).await;
    let ages = "SELECT route, scar, extract(epoch FROM now() - observed_at) FROM atrion.readable";
    let asked = MonotonicClock::new().now();
    let ages = server.sql(ages).unwrap();
    let answered = MonotonicClock::new().now();
    for row in ages.lines() {
        let parts: Vec<&str> = row.split('|').collect();
        let [route, scar, age] = parts.as_slice() else { panic!("{row}") };
        let number = |text: &str| text.parse::<f64>().expect("a number");
        let held = after.get_vector(route).await.expect("serves").expect("it is remembered");
        let left =
            |now: Timestamp| held.scar_tissue.get() * decay(0.1, now.secs_since(held.timestamp));
        let expected = number(scar) * decay(0.1, number(age));
        // The server's clock was read between these two.
        assert!(
            left(asked) >= 0.99 * expected && left(answered) <= 1.01 * expected,
            "{route}: {} to {} of {expected}; seed {seed}",
            left(asked),
            left(answered)
        );
    }
    after.disconnect().await.expect("never fails");
}

/// Not a test of its own: what [`the_writer_is_killed_at_random_moments`] starts and kills. It
/// writes round after round and says which were acknowledged.
#[test]
fn victim() {
    let Ok(url) = std::env::var(VICTIM) else { return };
    let first: u32 = std::env::var("ATRION_VICTIM_ROUND").unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let writer = connected(node(&url, "victim")).await;
        for number in first..u32::MAX {
            writer.update_vectors(&round(number)).await.expect("committed");
            println!("acknowledged {number}");
        }
    });
}

/// Gives others their turn a random number of times: the death may come at any moment of a commit.
fn dawdle(draws: &mut Draws) {
    for _ in 0..draws.next_u64() % 2_000 {
        std::thread::yield_now();
    }
}

async fn the_writer_is_killed_at_random_moments() {
    let seed = Draws::unpredictable().next_u64();
    let mut draws = Draws::from_seed(seed);
    let server = PostgresServer::start_with(PostgresOptions::default().durable()).unwrap();
    let mut acknowledged = 0;
    for _ in 0..4 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::victim", "--nocapture"])
            .env(VICTIM, server.url())
            .env("ATRION_VICTIM_ROUND", (acknowledged + 1).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let enough = 2 + draws.next_u64() % 20;
        let mut seen = 0;
        let mut killed = false;
        // What was said before the death counts, also what is read after it.
        for line in lines {
            let Ok(line) = line else { break };
            let Some(number) = line.split("acknowledged ").nth(1) else { continue };
            acknowledged = number.trim().parse().unwrap();
            seen += 1;
            if seen >= enough && !killed {
                // At any moment of the next commit.
                dawdle(&mut draws);
                victim.kill().unwrap();
                killed = true;
            }
        }
        assert!(killed, "the writer ended by itself; seed {seed}");
        victim.wait().unwrap();
        check(&server, acknowledged, seed).await;
    }
}

async fn the_server_is_killed_at_random_moments() {
    let seed = Draws::unpredictable().next_u64();
    let mut draws = Draws::from_seed(seed);
    let mut server = PostgresServer::start_with(PostgresOptions::default().durable()).unwrap();
    let mut acknowledged = 0;
    for _ in 0..4 {
        let writer = connected(node(&server.url(), "victim")).await;
        let task = tokio::spawn({
            let (writer, first) = (std::sync::Arc::clone(&writer), acknowledged + 1);
            async move {
                let mut last = first - 1;
                for number in first.. {
                    if writer.update_vectors(&round(number)).await.is_err() {
                        break;
                    }
                    last = number;
                }
                last
            }
        });
        let enough = writer.stats().batches + 2 + draws.next_u64() % 20;
        until("some were acknowledged", || writer.stats().batches >= enough).await;
        dawdle(&mut draws);
        server.kill();
        acknowledged = task.await.unwrap();
        server.restart().unwrap();
        check(&server, acknowledged, seed).await;
    }
}
