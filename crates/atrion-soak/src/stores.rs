//! Redis and PostgreSQL, and what is done to them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atrion_testkit::resp::Answer;
use atrion_testkit::{Failure, PostgresServer, RedisServer};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use crate::schedule::Store;
use crate::wire::CLUSTER;

/// How a server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Condition {
    #[default]
    Up,
    Paused,
    Down,
}

/// What may be done to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Kill,
    Start,
    Pause,
    Continue,
}

/// What becomes of a server, and whether there is anything to do: faults overlap, and a server that
/// is down can neither be paused nor killed again.
pub(crate) const fn next(condition: Condition, act: Act) -> Option<Condition> {
    match (condition, act) {
        (Condition::Up | Condition::Paused, Act::Kill) => Some(Condition::Down),
        (Condition::Down, Act::Start) | (Condition::Paused, Act::Continue) => Some(Condition::Up),
        (Condition::Up, Act::Pause) => Some(Condition::Paused),
        _ => None,
    }
}

struct Servers {
    redis: RedisServer,
    postgres: PostgresServer,
    conditions: [Condition; 2],
}

/// Both servers. What is done to them blocks, so it is done aside.
#[derive(Clone)]
pub(crate) struct Stores(Arc<Mutex<Servers>>);

impl Stores {
    /// Starts both.
    ///
    /// # Errors
    ///
    /// A sentence, with the advice to run the setup if one is not installed.
    pub(crate) async fn start() -> Result<Self, String> {
        aside(|| {
            let redis = RedisServer::start()?;
            let postgres = PostgresServer::start()?;
            let conditions = [Condition::Up; 2];
            Ok(Self(Arc::new(Mutex::new(Servers { redis, postgres, conditions }))))
        })
        .await
    }

    fn servers(&self) -> MutexGuard<'_, Servers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn redis_port(&self) -> u16 {
        self.servers().redis.port()
    }

    pub(crate) fn postgres_url(&self) -> String {
        self.servers().postgres.url()
    }

    /// Does something to a server, if there is anything to do.
    ///
    /// # Errors
    ///
    /// A sentence if it cannot be done.
    pub(crate) async fn act(&self, store: Store, act: Act) -> Result<(), String> {
        let this = self.clone();
        aside(move || this.servers().act(store, act)).await
    }

    /// Brings both back, whatever was done to them, and sees that they answer.
    ///
    /// # Errors
    ///
    /// A sentence if one does not.
    pub(crate) async fn heal(&self) -> Result<(), String> {
        let this = self.clone();
        aside(move || {
            let mut servers = this.servers();
            for store in [Store::Redis, Store::Postgres] {
                servers.act(store, Act::Continue)?;
                servers.act(store, Act::Start)?;
            }
            servers.redis.command("PING")?;
            servers.postgres.sql("SELECT 1").map(drop)
        })
        .await
    }

    /// Publishes random bytes on every channel that anybody listens to.
    ///
    /// # Errors
    ///
    /// Never if Redis is away: then nobody hears anything.
    pub(crate) async fn send_garbage(&self, count: u32, seed: u64) -> Result<(), String> {
        let this = self.clone();
        aside(move || {
            let servers = this.servers();
            if servers.condition(Store::Redis) != Condition::Up {
                return Ok(());
            }
            let mut rng = StdRng::seed_from_u64(seed);
            let channels = servers.redis.command("PUBSUB CHANNELS *")?;
            let mut control = servers.redis.control()?;
            for channel in channels.items().iter().filter_map(Answer::text) {
                for _ in 0..count {
                    let mut bytes = vec![0; rng.random_range(0..2_000)];
                    rng.fill_bytes(&mut bytes);
                    if rng.random_bool(0.5) && bytes.len() > 4 {
                        // What begins like one of ours is read further.
                        bytes.splice(0..4, *b"ATRN");
                    }
                    control.call(&[b"PUBLISH", channel.as_bytes(), &bytes])?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Puts random bytes where the cluster keeps what it knows.
    ///
    /// # Errors
    ///
    /// Never if Redis is away.
    pub(crate) async fn store_garbage(&self, seed: u64) -> Result<(), String> {
        let this = self.clone();
        aside(move || {
            let servers = this.servers();
            if servers.condition(Store::Redis) != Condition::Up {
                return Ok(());
            }
            let mut rng = StdRng::seed_from_u64(seed);
            let keys = servers.redis.command("KEYS atrion:*")?;
            let mut control = servers.redis.control()?;
            for key in keys.items() {
                let Answer::Text(key) = key else { continue };
                let (mut field, mut value) = ([0; 8], vec![0; rng.random_range(0..100)]);
                rng.fill_bytes(&mut field);
                rng.fill_bytes(&mut value);
                // An index is no hash and says so; that is as good as any other answer.
                control.call(&[b"HSET", key, &field, &value])?;
                control.call(&[b"ZADD", key, b"1", &field])?;
            }
            Ok(())
        })
        .await
    }

    /// What PostgreSQL holds of the routes with this prefix: names of node and route, and scars.
    ///
    /// # Errors
    ///
    /// A sentence if it does not answer.
    pub(crate) async fn remembered(&self, prefix: &'static str) -> Result<Vec<Row>, String> {
        let this = self.clone();
        aside(move || {
            let text = this.servers().postgres.sql(&format!(
                "SELECT n.name, convert_from(v.route, 'UTF8'), v.scar \
                 FROM atrion.vectors v JOIN atrion.nodes n ON n.id = v.node \
                 WHERE n.application = '{CLUSTER}' \
                 AND position('{prefix}'::bytea IN v.route) = 1"
            ))?;
            Ok(text.lines().filter_map(Row::read).collect())
        })
        .await
    }
}

/// What PostgreSQL holds of a route.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) node: String,
    pub(crate) route: String,
    pub(crate) scar_ohms: f64,
}

impl Row {
    fn read(line: &str) -> Option<Self> {
        let mut columns = line.split('|');
        let (node, route) = (columns.next()?.to_owned(), columns.next()?.to_owned());
        Some(Self { node, route, scar_ohms: columns.next()?.trim().parse().ok()? })
    }
}

/// Which of what was acknowledged is not there.
pub(crate) fn missing<'a>(
    acknowledged: &'a BTreeSet<(String, String)>,
    rows: &[Row],
) -> Vec<&'a (String, String)> {
    let there = |(node, route): &(String, String)| {
        rows.iter().any(|row| row.node == *node && row.route == *route)
    };
    acknowledged.iter().filter(|one| !there(one)).collect()
}

impl Servers {
    const fn condition(&self, store: Store) -> Condition {
        let [redis, postgres] = self.conditions;
        match store {
            Store::Redis => redis,
            Store::Postgres => postgres,
        }
    }

    fn act(&mut self, store: Store, act: Act) -> Result<(), Failure> {
        let Some(after) = next(self.condition(store), act) else { return Ok(()) };
        match (store, act) {
            (Store::Redis, Act::Kill) => self.redis.kill(),
            (Store::Redis, Act::Start) => self.redis.restart_empty()?,
            (Store::Redis, Act::Pause) => self.redis.stop()?,
            (Store::Redis, Act::Continue) => self.redis.cont()?,
            (Store::Postgres, Act::Kill) => self.postgres.kill(),
            (Store::Postgres, Act::Start) => self.postgres.restart()?,
            (Store::Postgres, Act::Pause) => self.postgres.stop()?,
            (Store::Postgres, Act::Continue) => self.postgres.cont()?,
        }
        let [redis, postgres] = &mut self.conditions;
        *match store {
            Store::Redis => redis,
            Store::Postgres => postgres,
        } = after;
        Ok(())
    }
}

/// Waits for work that blocks its thread.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?;
    // A server's whole log may follow, whose end says most.
    done.map_err(|e| {
        let said = e.to_string();
        let lines: Vec<&str> =
            said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        match lines.as_slice() {
            [first, .., last] => format!("{first} … {last}"),
            _ => said.clone(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_that_overlap_leave_nothing_half_done() {
        use Condition::{Down, Paused, Up};
        assert_eq!(next(Up, Act::Kill), Some(Down));
        assert_eq!(next(Down, Act::Pause), None);
        assert_eq!(next(Down, Act::Kill), None);
        assert_eq!(next(Paused, Act::Kill), Some(Down));
        assert_eq!(next(Down, Act::Continue), None);
        assert_eq!(next(Down, Act::Start), Some(Up));
        assert_eq!(next(Up, Act::Start), None);
        // Whatever happened, going on and then starting brings it back.
        for condition in [Up, Paused, Down] {
            let after = next(condition, Act::Continue).unwrap_or(condition);
            assert_eq!(next(after, Act::Start).unwrap_or(after), Up);
        }
    }

    #[test]
    fn what_was_acknowledged_and_is_not_there_is_found() {
        let one = |node: &str, route: &str| (node.to_owned(), route.to_owned());
        let acknowledged = BTreeSet::from([one("soak-0", "witness/1"), one("soak-1", "witness/2")]);
        let rows: Vec<Row> = ["soak-0|witness/1|12.5", "soak-1|witness/3|0", "nonsense"]
            .iter()
            .filter_map(|l| Row::read(l))
            .collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(missing(&acknowledged, &rows), [&one("soak-1", "witness/2")]);
    }
}
