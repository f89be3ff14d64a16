//! What is asked of PostgreSQL, statement by statement. Decides nothing about when.

use std::sync::Arc;
use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_state::clock::Clock;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{GenericClient, Row as PgRow};

use crate::error::StoreError;
use crate::memory::Saying;
use crate::recall::{Remembered, Row, check, stance_bits};
use crate::schema::{Access, Schema};
use crate::session::{Sessions, by, check_version};

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Rows removed in one statement, so that none takes long.
const PRUNE_AT_ONCE: i64 = 10_000;
/// Rows of other nodes that are read for each route that can be held.
const OTHERS_PER_ROUTE: usize = 4;

/// Who this process is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) node: i64,
    /// Grows with every process that takes the node's name, by the store's own count.
    pub(crate) incarnation: i64,
}

/// What opening the store brought.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) own: Vec<Remembered>,
    pub(crate) others: Vec<Remembered>,
    pub(crate) refused: u64,
    pub(crate) left_out: u64,
    /// When that was, on this process's clock: the rows' ages are as of then.
    pub(crate) read_at: Timestamp,
    /// `None` where nothing can be written at the moment.
    pub(crate) identity: Option<Identity>,
    /// What keeps this program from writing, if anything does.
    pub(crate) obstacle: Option<StoreError>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Rows that another process's newer word stands in.
    pub(crate) overtaken: u64,
}

/// The settings that statements need.
#[derive(Clone, Debug)]
pub(crate) struct StoreConfig {
    pub(crate) application: Arc<str>,
    pub(crate) node: Arc<str>,
    pub(crate) schema: Schema,
    pub(crate) max_routes: usize,
    pub(crate) retention: Duration,
    pub(crate) operation_timeout: Duration,
    pub(crate) restore_timeout: Duration,
}

/// The store, reached through a pool.
pub(crate) struct Store {
    pub(crate) config: StoreConfig,
    sessions: Sessions,
    clock: Arc<dyn Clock>,
}

impl Store {
    pub(crate) fn new(config: StoreConfig, sessions: Sessions, clock: Arc<dyn Clock>) -> Self {
        Self { config, sessions, clock }
    }

    pub(crate) fn drop_idle(&self) {
        self.sessions.drop_idle();
    }

    /// Makes the tables if need be, takes a place among the nodes, and reads what is remembered.
    /// `known` is the incarnation of this process if it has one already.
    pub(crate) async fn open(&self, known: Option<i64>) -> Result<Opened, StoreError> {
        let timeout = self.config.operation_timeout;
        let (mut lease, access) = by(timeout, async {
            let mut lease = self.sessions.lend().await?;
            let client = lease.client()?;
            check_version(client).await?;
            let access = self.config.schema.prepare(client).await?;
            Ok((lease, access))
        })
        .await?;
        let client = lease.client()?;
        let (identity, obstacle) = match access {
            Access::Write => match by(timeout, self.register(client, known)).await {
                Ok(identity) => (Some(identity), None),
                Err(error @ (StoreError::ReadOnly { .. } | StoreError::Full { .. })) => {
                    (None, Some(error))
                }
                Err(error) => return Err(error),
            },
            Access::ReadOnly { found, needed } => (None, Some(self.too_new(found, needed))),
        };
        let mut opened = by(self.config.restore_timeout, self.read(client)).await?;
        lease.done();
        (opened.identity, opened.obstacle) = (identity, obstacle);
        Ok(opened)
    }

    fn too_new(&self, found: i32, needed: i32) -> StoreError {
        StoreError::Newer {
            schema: self.config.schema.sql("@"),
            found,
            needed,
            known: crate::schema::VERSION,
        }
    }

    async fn register(
        &self,
        client: &impl GenericClient,
        known: Option<i64>,
    ) -> Result<Identity, StoreError> {
        // The store counts, so no clock can make a later process the earlier one.
        let sql = self.config.schema.sql(
            "INSERT INTO @.nodes AS held (application, name, incarnation, seen_at) \
             VALUES ($1, $2, greatest($3, 1), clock_timestamp()) \
             ON CONFLICT (application, name) DO UPDATE SET seen_at = clock_timestamp(), \
             incarnation = CASE WHEN $3 = 0 THEN held.incarnation + 1 \
             ELSE greatest(held.incarnation, $3) END \
             RETURNING id, incarnation",
        );
        let (application, node) = (&*self.config.application, &*self.config.node);
        let before = known.unwrap_or(0);
        let parameters: [Parameter<'_>; 3] =
            [(&application, Type::TEXT), (&node, Type::TEXT), (&before, Type::INT8)];
        let row = client.query_typed(&sql, &parameters).await?;
        let row = row.first().ok_or_else(|| missing("a row of `nodes`"))?;
        let incarnation: i64 = row.try_get(1)?;
        Ok(Identity { node: row.try_get(0)?, incarnation: known.unwrap_or(incarnation) })
    }

    /// All rows of this node, and what the application's other nodes last saw, as many as can be
    /// held, the freshest first.
    async fn read(&self, client: &mut tokio_postgres::Client) -> Result<Opened, StoreError> {
        // The server's `now()` is when the transaction began, which lies between these two.
        let asked = self.clock.now();
        let transaction = client.build_transaction().read_only(true).start().await?;
        let answered = self.clock.now();
        let millis = self.config.restore_timeout.as_millis().max(1);
        transaction.batch_execute(&format!("SET LOCAL statement_timeout = {millis}")).await?;
        let max = i64::try_from(self.config.max_routes).unwrap_or(i64::MAX - 1);
        let own = self.rows(&transaction, "n.name = $2", max).await?;
        let others = max.saturating_mul(OTHERS_PER_ROUTE as i64);
        let others = self.rows(&transaction, "n.name <> $2", others).await?;
        transaction.commit().await?;
        Ok(Opened {
            refused: own.refused + others.refused,
            left_out: own.left_out + others.left_out,
            read_at: asked.saturating_add(answered.since(asked) / 2),
            own: own.rows,
            others: others.rows,
            identity: None,
            obstacle: None,
        })
    }

    async fn rows(
        &self,
        client: &impl GenericClient,
        which: &str,
        limit: i64,
    ) -> Result<Rows, StoreError> {
        // One row more than is kept tells whether there are more.
        let sql = self.config.schema.sql(&format!(
            "SELECT v.node, v.route, v.resistance, v.momentum, v.scar, v.evidence, v.demand, \
             v.stance, CASE WHEN isfinite(v.observed_at) \
             THEN extract(epoch FROM now() - v.observed_at)::float8 ELSE 'NaN' END \
             FROM @.vectors v JOIN @.nodes n ON n.id = v.node \
             WHERE n.application = $1 AND {which} \
             AND NOT v.observed_at <= now() - $3 * interval '1 second' \
             ORDER BY v.observed_at DESC LIMIT $4"
        ));
        let (application, node) = (&*self.config.application, &*self.config.node);
        let retention = self.config.retention.as_secs_f64();
        let with_one_more = limit + 1;
        let parameters: [Parameter<'_>; 4] = [
            (&application, Type::TEXT),
            (&node, Type::TEXT),
            (&retention, Type::FLOAT8),
            (&with_one_more, Type::INT8),
        ];
        let found = client.query_typed(&sql, &parameters).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut rows = Rows { left_out: u64::from(found.len() > limit), ..Rows::default() };
        for row in found.iter().take(limit) {
            match decode(row).ok().and_then(check) {
                Some(row) => rows.rows.push(row),
                None => rows.refused += 1,
            }
        }
        Ok(rows)
    }

    /// Commits a batch. Rows that hold a newer word, by incarnation and sequence, stay as they are.
    pub(crate) async fn write(
        &self,
        identity: Identity,
        sayings: &[Saying],
        forgotten: &[Arc<str>],
    ) -> Result<Written, StoreError> {
        let mut lease = self.sessions.lend().await?;
        let client = lease.client()?;
        let mut written = Written::default();
        if !sayings.is_empty() {
            written.overtaken = self.upsert(client, identity, sayings).await?;
        }
        if !forgotten.is_empty() {
            let sql = self.config.schema.sql(
                "DELETE FROM @.vectors WHERE node = $1 AND route = ANY($2) AND incarnation <= $3",
            );
            let routes: Vec<&[u8]> = forgotten.iter().map(|route| route.as_bytes()).collect();
            let parameters: [Parameter<'_>; 3] = [
                (&identity.node, Type::INT8),
                (&routes, Type::BYTEA_ARRAY),
                (&identity.incarnation, Type::INT8),
            ];
            client.execute_typed(&sql, &parameters).await?;
        }
        lease.done();
        Ok(written)
    }

    /// How many rows stayed as they were because another process's newer word stands in them.
    async fn upsert(
        &self,
        client: &impl GenericClient,
        identity: Identity,
        sayings: &[Saying],
    ) -> Result<u64, StoreError> {
        // Ages are sent, not times: only the server's clock counts, as of the moment that the
        // statement arrives, however long it then waits for a lock.
        let sql = self.config.schema.sql(
            "WITH written AS ( \
               INSERT INTO @.vectors AS held (node, route, incarnation, sequence, resistance, \
                 momentum, scar, evidence, demand, stance, observed_at, saved_at) \
               SELECT $1, route, $2, sequence, resistance, momentum, scar, evidence, demand, \
                 stance, statement_timestamp() - age * interval '1 second', statement_timestamp() \
               FROM unnest($3::bytea[], $4::int8[], $5::float8[], $6::float8[], $7::float8[], \
                 $8::float8[], $9::float8[], $10::int2[], $11::float8[]) \
                 AS news (route, sequence, resistance, momentum, scar, evidence, demand, stance, age) \
               ON CONFLICT (node, route) DO UPDATE SET incarnation = excluded.incarnation, \
                 sequence = excluded.sequence, resistance = excluded.resistance, \
                 momentum = excluded.momentum, scar = excluded.scar, \
                 evidence = excluded.evidence, demand = excluded.demand, \
                 stance = excluded.stance, observed_at = excluded.observed_at, \
                 saved_at = excluded.saved_at \
               WHERE (held.incarnation, held.sequence) <= (excluded.incarnation, excluded.sequence) \
               RETURNING 1) \
             SELECT count(*) FROM written",
        );
        let columns = Columns::new(sayings, self.clock.now());
        let parameters: [Parameter<'_>; 11] = [
            (&identity.node, Type::INT8),
            (&identity.incarnation, Type::INT8),
            (&columns.route, Type::BYTEA_ARRAY),
            (&columns.sequence, Type::INT8_ARRAY),
            (&columns.resistance, Type::FLOAT8_ARRAY),
            (&columns.momentum, Type::FLOAT8_ARRAY),
            (&columns.scar, Type::FLOAT8_ARRAY),
            (&columns.evidence, Type::FLOAT8_ARRAY),
            (&columns.demand, Type::FLOAT8_ARRAY),
            (&columns.stance, Type::INT2_ARRAY),
            (&columns.age, Type::FLOAT8_ARRAY),
        ];
        let row = client.query_typed(&sql, &parameters).await?;
        let row = row.first().ok_or_else(|| missing("the count of rows"))?;
        let count: i64 = row.try_get(0)?;
        let sent = sayings.len() as u64;
        Ok(sent.saturating_sub(u64::try_from(count).unwrap_or_default()))
    }

    /// Whether the store serves and takes writes. Says the incarnation that the node's name has
    /// now.
    pub(crate) async fn ping(&self, identity: Identity) -> Result<i64, StoreError> {
        let mut lease = self.sessions.lend().await?;
        let client = lease.client()?;
        let sql = self.config.schema.sql(
            "UPDATE @.nodes SET seen_at = clock_timestamp() WHERE id = $1 RETURNING incarnation",
        );
        let row = client.query_typed(&sql, &[(&identity.node, Type::INT8)]).await?;
        let row = row.first().ok_or_else(|| StoreError::Changed {
            code: "-".to_owned(),
            message: "this node's row is gone".to_owned(),
        })?;
        let incarnation = row.try_get(0)?;
        lease.done();
        Ok(incarnation)
    }

    /// Takes a place among the nodes, where that could not be done at the opening.
    pub(crate) async fn register_late(&self, known: Option<i64>) -> Result<Identity, StoreError> {
        let mut lease = self.sessions.lend().await?;
        let client = lease.client()?;
        let identity = match self.config.schema.prepare(client).await? {
            Access::Write => self.register(client, known).await?,
            Access::ReadOnly { found, needed } => return Err(self.too_new(found, needed)),
        };
        lease.done();
        Ok(identity)
    }

    /// Removes rows of the application that are older than the retention, and nodes without any.
    /// Of many processes one does it; the others remove nothing.
    pub(crate) async fn prune(&self) -> Result<u64, StoreError> {
        let mut lease = self.sessions.lend().await?;
        let client = lease.client()?;
        let application = &*self.config.application;
        let retention = self.config.retention.as_secs_f64();
        let old = self.config.schema.sql(
            "WITH one AS (SELECT pg_try_advisory_xact_lock(hashtext('atrion-prune'), hashtext($1)) AS mine) \
             DELETE FROM @.vectors WHERE ctid = ANY (ARRAY( \
               SELECT v.ctid FROM @.vectors v JOIN @.nodes n ON n.id = v.node, one \
               WHERE one.mine AND n.application = $1 \
               AND v.observed_at <= clock_timestamp() - $2 * interval '1 second' LIMIT $3))",
        );
        let parameters: [Parameter<'_>; 3] =
            [(&application, Type::TEXT), (&retention, Type::FLOAT8), (&PRUNE_AT_ONCE, Type::INT8)];
        let mut pruned = 0;
        loop {
            let removed = client.execute_typed(&old, &parameters).await?;
            pruned += removed;
            if removed < PRUNE_AT_ONCE as u64 {
                break;
            }
        }
        let gone = self.config.schema.sql(
            "DELETE FROM @.nodes n WHERE n.application = $1 \
             AND n.seen_at <= clock_timestamp() - $2 * interval '1 second' \
             AND NOT EXISTS (SELECT 1 FROM @.vectors v WHERE v.node = n.id)",
        );
        let parameters: [Parameter<'_>; 2] =
            [(&application, Type::TEXT), (&retention, Type::FLOAT8)];
        client.execute_typed(&gone, &parameters).await?;
        lease.done();
        Ok(pruned)
    }
}

#[derive(Default)]
struct Rows {
    rows: Vec<Remembered>,
    refused: u64,
    left_out: u64,
}

/// A batch, column by column.
struct Columns<'a> {
    route: Vec<&'a [u8]>,
    sequence: Vec<i64>,
    resistance: Vec<f64>,
    momentum: Vec<f64>,
    scar: Vec<f64>,
    evidence: Vec<f64>,
    demand: Vec<f64>,
    stance: Vec<i16>,
    age: Vec<f64>,
}

impl<'a> Columns<'a> {
    fn new(sayings: &'a [Saying], now: Timestamp) -> Self {
        let each = |of: fn(&Saying) -> f64| sayings.iter().map(of).collect();
        Self {
            route: sayings.iter().map(|said| said.route.as_bytes()).collect(),
            sequence: sayings
                .iter()
                .map(|said| i64::try_from(said.sequence).unwrap_or(i64::MAX))
                .collect(),
            resistance: each(|said| said.vector.resistance.get()),
            momentum: each(|said| said.vector.momentum.get()),
            scar: each(|said| said.vector.scar_tissue.get()),
            evidence: each(|said| said.vector.evidence.get()),
            demand: each(|said| said.vector.demand.get()),
            stance: sayings.iter().map(|said| stance_bits(said.vector.stance)).collect(),
            age: sayings.iter().map(|said| now.secs_since(said.vector.timestamp)).collect(),
        }
    }
}

fn decode(row: &PgRow) -> Result<Row, tokio_postgres::Error> {
    Ok(Row {
        node: row.try_get(0)?,
        route: row.try_get(1)?,
        resistance: row.try_get(2)?,
        momentum: row.try_get(3)?,
        scar: row.try_get(4)?,
        evidence: row.try_get(5)?,
        demand: row.try_get(6)?,
        stance: row.try_get(7)?,
        age: row.try_get(8)?,
    })
}

fn missing(what: &str) -> StoreError {
    StoreError::Unreachable(format!("the server's answer lacks {what}"))
}
