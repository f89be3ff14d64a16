//! Our tables: what they are, how they come to be, and how they are told from somebody else's.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, GenericClient};

use crate::error::StoreError;

/// The version of the schema that this program writes.
pub(crate) const VERSION: i32 = 1;
/// The oldest version a program has to know to read and to write what this one writes.
const MIN_READER: i32 = 1;
const MIN_WRITER: i32 = 1;
const PRODUCT: &str = "atrion";

/// The columns that have to be there, with their types as the server writes them. More are fine:
/// later versions may add some.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("meta", "product", "text"),
    ("meta", "version", "integer"),
    ("meta", "min_reader", "integer"),
    ("meta", "min_writer", "integer"),
    ("nodes", "id", "bigint"),
    ("nodes", "application", "text"),
    ("nodes", "name", "text"),
    ("nodes", "incarnation", "bigint"),
    ("nodes", "seen_at", "timestamp with time zone"),
    ("vectors", "node", "bigint"),
    ("vectors", "route", "bytea"),
    ("vectors", "incarnation", "bigint"),
    ("vectors", "sequence", "bigint"),
    ("vectors", "resistance", "double precision"),
    ("vectors", "momentum", "double precision"),
    ("vectors", "scar", "double precision"),
    ("vectors", "evidence", "double precision"),
    ("vectors", "demand", "double precision"),
    ("vectors", "stance", "smallint"),
    ("vectors", "observed_at", "timestamp with time zone"),
    ("vectors", "saved_at", "timestamp with time zone"),
];
const TABLES: [&str; 3] = ["meta", "nodes", "vectors"];

/// The steps from nothing to [`VERSION`], each from the version before; `@` is the schema.
const MIGRATIONS: &[&str] = &[V1];

// The few columns that change are in no index, and a page keeps room, so that a new version of a
// row stays on its page and no index is touched ("HOT"). Names of routes are any bytes at all.
const V1: &str = "
CREATE TABLE @.meta (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    product     text NOT NULL,
    version     integer NOT NULL,
    min_reader  integer NOT NULL,
    min_writer  integer NOT NULL,
    migrated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE @.nodes (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    application text NOT NULL,
    name        text NOT NULL,
    incarnation bigint NOT NULL,
    seen_at     timestamptz NOT NULL,
    UNIQUE (application, name)
);
CREATE TABLE @.vectors (
    node        bigint NOT NULL REFERENCES @.nodes (id) ON DELETE CASCADE,
    route       bytea NOT NULL CHECK (octet_length(route) <= 512),
    incarnation bigint NOT NULL,
    sequence    bigint NOT NULL,
    resistance  double precision NOT NULL CHECK (resistance >= 0 AND resistance < 'Infinity'),
    momentum    double precision NOT NULL CHECK (momentum >= 0 AND momentum < 'Infinity'),
    scar        double precision NOT NULL CHECK (scar >= 0 AND scar < 'Infinity'),
    evidence    double precision NOT NULL CHECK (evidence >= 0 AND evidence < 'Infinity'),
    demand      double precision NOT NULL CHECK (demand >= 0 AND demand < 'Infinity'),
    stance      smallint NOT NULL,
    observed_at timestamptz NOT NULL,
    saved_at    timestamptz NOT NULL,
    PRIMARY KEY (node, route)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.1);
CREATE VIEW @.readable AS
    SELECT n.application, n.name AS node, encode(v.route, 'escape') AS route, v.scar, v.resistance,
           v.evidence, v.demand, v.stance & 1 = 1 AS open, v.observed_at, v.saved_at
    FROM @.vectors v JOIN @.nodes n ON n.id = v.node;
COMMENT ON TABLE @.vectors IS 'What Atrion remembers of each route; see docs/postgres.md.';
";

/// What may be done with the tables as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everything.
    Write,
    /// A later version of Atrion made them: they can be read, and writing would spoil them.
    ReadOnly {
        /// Their version,
        found: i32,
        /// and the one that may write.
        needed: i32,
    },
}

/// A schema's name, as it is written in statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schema {
    name: String,
    quoted: String,
}

impl Schema {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), quoted: format!("\"{}\"", name.replace('"', "\"\"")) }
    }

    /// `@` in a statement replaced by the name.
    pub(crate) fn sql(&self, statement: &str) -> String {
        statement.replace('@', &self.quoted)
    }

    fn foreign(&self, what: impl Into<String>) -> StoreError {
        StoreError::Foreign { schema: self.name.clone(), what: what.into() }
    }

    /// Makes the tables if there are none, brings older ones up to date, and says what may be done
    /// with them. Of many programs that start at once one does it, the others wait for it.
    pub(crate) async fn prepare(&self, client: &mut Client) -> Result<Access, StoreError> {
        match self.state(client).await? {
            State::Current(access) => return Ok(access),
            State::Behind(_) => {}
        }
        let transaction = client.transaction().await?;
        transaction
            .query_typed("SELECT pg_advisory_xact_lock($1)", &[(&self.lock(), Type::INT8)])
            .await?;
        // Somebody may have done it meanwhile.
        let from = match self.state(&transaction).await? {
            State::Current(access) => return Ok(access),
            State::Behind(version) => version,
        };
        if from == 0 && !self.exists(&transaction).await? {
            transaction.batch_execute(&self.sql("CREATE SCHEMA @")).await?;
        }
        let done = usize::try_from(from).unwrap_or_default();
        for step in MIGRATIONS.iter().skip(done) {
            transaction.batch_execute(&self.sql(step)).await?;
        }
        let stamp = self.sql(
            "INSERT INTO @.meta (product, version, min_reader, min_writer) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (only_row) DO UPDATE SET version = excluded.version, \
             min_reader = excluded.min_reader, min_writer = excluded.min_writer, \
             migrated_at = clock_timestamp()",
        );
        let row = [
            (&PRODUCT as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT),
            (&VERSION, Type::INT4),
            (&MIN_READER, Type::INT4),
            (&MIN_WRITER, Type::INT4),
        ];
        transaction.execute_typed(&stamp, &row).await?;
        transaction.commit().await?;
        Ok(Access::Write)
    }

    async fn exists(&self, client: &impl GenericClient) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
        Ok(!client.query_typed(sql, &[(&self.name, Type::TEXT)]).await?.is_empty())
    }

    async fn state(&self, client: &impl GenericClient) -> Result<State, StoreError> {
        let sql = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL) \
                   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                   LEFT JOIN pg_attribute a \
                   ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
                   WHERE n.nspname = $1 AND c.relname = ANY($2)";
        let names: Vec<&str> = TABLES.to_vec();
        let rows = client
            .query_typed(sql, &[(&self.name, Type::TEXT), (&names, Type::TEXT_ARRAY)])
            .await?;
        let mut found = BTreeMap::new();
        for row in &rows {
            let (table, column, kind): (String, Option<String>, Option<String>) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            found.insert((table, column.unwrap_or_default()), kind.unwrap_or_default());
        }
        if found.is_empty() {
            return Ok(State::Behind(0));
        }
        self.check_columns(&found)?;
        let meta = self.sql("SELECT product, version, min_reader, min_writer FROM @.meta");
        let rows = client.query_typed(&meta, &[]).await?;
        let [row] = rows.as_slice() else {
            return Err(self.foreign(format!("a table `meta` of {} rows", rows.len())));
        };
        let product: String = row.try_get(0)?;
        if product != PRODUCT {
            return Err(self.foreign("a table `meta` of another product"));
        }
        self.judge(row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)
    }

    fn check_columns(&self, found: &BTreeMap<(String, String), String>) -> Result<(), StoreError> {
        for (table, column, kind) in COLUMNS {
            match found.get(&((*table).to_owned(), (*column).to_owned())) {
                Some(is) if is == kind => {}
                Some(is) => {
                    return Err(self.foreign(format!(
                        "a table `{table}` whose column `{column}` is {is}, not {kind}"
                    )));
                }
                None if found.keys().any(|(name, _)| name == table) => {
                    return Err(
                        self.foreign(format!("a table `{table}` without a column `{column}`"))
                    );
                }
                None => {
                    let others: Vec<&str> = found.keys().map(|(name, _)| name.as_str()).collect();
                    let other = others.first().copied().unwrap_or_default();
                    return Err(self.foreign(format!("a table `{other}` and no table `{table}`")));
                }
            }
        }
        Ok(())
    }

    /// Pure: what a version found means for this program.
    fn judge(&self, found: i32, min_reader: i32, min_writer: i32) -> Result<State, StoreError> {
        if found < VERSION {
            return Ok(State::Behind(found));
        }
        if min_reader > VERSION {
            return Err(StoreError::Newer {
                schema: self.name.clone(),
                found,
                needed: min_reader,
                known: VERSION,
            });
        }
        Ok(State::Current(if min_writer > VERSION {
            Access::ReadOnly { found, needed: min_writer }
        } else {
            Access::Write
        }))
    }

    /// The number of the lock under which tables are made.
    fn lock(&self) -> i64 {
        // FNV-1a: any fixed function of the name will do.
        let hash = b"atrion:"
            .iter()
            .chain(self.name.as_bytes())
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        i64::from_ne_bytes(hash.to_ne_bytes())
    }
}

#[derive(Debug, PartialEq)]
enum State {
    /// This version or one that is compatible.
    Current(Access),
    /// An older version, 0 for none.
    Behind(i32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_whatever_it_holds() {
        let schema = Schema::new("a\"; DROP TABLE x; --");
        assert_eq!(schema.sql("SELECT @.x"), "SELECT \"a\"\"; DROP TABLE x; --\".x");
        assert_ne!(Schema::new("a").lock(), Schema::new("b").lock());
    }

    #[test]
    fn versions_are_judged_by_what_they_ask_of_readers_and_writers() {
        let schema = Schema::new("atrion");
        let judge = |v, r, w| schema.judge(v, r, w);
        assert!(matches!(judge(VERSION, 1, 1), Ok(State::Current(Access::Write))));
        assert!(matches!(judge(0, 0, 0), Ok(State::Behind(0))));
        assert!(matches!(judge(9, 1, 1), Ok(State::Current(Access::Write))));
        let Ok(State::Current(access)) = judge(9, 1, 7) else { panic!("readable") };
        assert_eq!(access, Access::ReadOnly { found: 9, needed: 7 });
        let newer = judge(9, 8, 8).expect_err("too new");
        assert!(matches!(newer, StoreError::Newer { found: 9, needed: 8, .. }), "{newer}");
        assert!(newer.to_string().contains("version 9"));
    }

    #[test]
    fn there_is_a_migration_for_each_version() {
        assert_eq!(i32::try_from(MIGRATIONS.len()), Ok(VERSION));
    }
}
