//! Connections: a pool of few, each set up the same way, none of them reused after a failure.

use std::future::Future;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
    TimeoutType,
};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{OLDEST_SERVER, StoreError};

/// The pool of one provider.
pub(crate) struct Sessions {
    pool: Pool,
    patience: Duration,
}

/// A connection lent. Unless it is given back by [`done`](Self::done) it is closed: whoever stops
/// in the middle of an exchange leaves an answer behind that the next one would wait for.
pub(crate) struct Lease(Option<Object>);

impl Lease {
    pub(crate) fn client(&mut self) -> Result<&mut tokio_postgres::Client, StoreError> {
        match &mut self.0 {
            Some(object) => Ok(&mut ***object),
            // Only after `done`, which takes the lease.
            None => Err(StoreError::Unreachable("the connection was given back".to_owned())),
        }
    }

    pub(crate) fn done(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

impl Sessions {
    /// No connection is opened before one is asked for.
    pub(crate) fn new(
        config: Config,
        tls: MakeRustlsConnect,
        size: usize,
        timeout: Duration,
    ) -> Result<Self, StoreError> {
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config, tls, manager);
        // Part of the deadline of an operation, so that it is known which part was not kept.
        let patience = timeout.mul_f64(0.75);
        let settings = settings(timeout);
        let pool = Pool::builder(manager)
            .max_size(size)
            .wait_timeout(Some(patience))
            .create_timeout(Some(timeout))
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(move |client, _| {
                let settings = settings.clone();
                Box::pin(async move {
                    client.batch_execute(&settings).await.map_err(HookError::Backend)
                })
            }))
            .build()
            .map_err(|error| StoreError::Ended(error.to_string()))?;
        Ok(Self { pool, patience })
    }

    /// Lends a connection.
    pub(crate) async fn lend(&self) -> Result<Lease, StoreError> {
        self.pool.retain(|client, _| !client.is_closed());
        match self.pool.get().await {
            Ok(object) => Ok(Lease(Some(object))),
            Err(PoolError::Timeout(TimeoutType::Wait)) => {
                Err(StoreError::PoolExhausted { after: self.patience })
            }
            Err(PoolError::Timeout(_)) => Err(StoreError::TimedOut { after: self.patience }),
            Err(
                PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)),
            ) => Err(error.into()),
            Err(error) => Err(StoreError::Ended(error.to_string())),
        }
    }

    /// Closes all connections that are not lent.
    pub(crate) fn drop_idle(&self) {
        self.pool.retain(|_, _| false);
    }
}

/// What every connection is told first. Statements outlive no operation, also when this process is
/// stopped or its network cut; names mean what they mean to the server; and an acknowledged commit
/// is on disk, also where the database is set to promise less.
fn settings(timeout: Duration) -> String {
    let millis = timeout.as_millis().max(1);
    format!(
        "SET statement_timeout = {millis}; SET lock_timeout = {millis}; \
         SET idle_in_transaction_session_timeout = {idle}; SET search_path = pg_catalog; \
         SET client_min_messages = warning; \
         SELECT set_config('synchronous_commit', 'on', false) \
         WHERE current_setting('synchronous_commit') = 'off'",
        idle = millis * 2
    )
}

/// `work` by its deadline.
pub(crate) async fn by<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(deadline, work).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::TimedOut { after: deadline }),
    }
}

/// Whether the server is one that this program knows to work with.
pub(crate) async fn check_version(client: &tokio_postgres::Client) -> Result<(), StoreError> {
    let sql = "SELECT current_setting('server_version_num')::int4";
    let row = client.query_typed(sql, &[]).await?;
    let version: i32 = match row.first() {
        Some(row) => row.try_get(0)?,
        None => return Err(StoreError::NotPostgres("it does not tell its version".to_owned())),
    };
    if version < OLDEST_SERVER { Err(StoreError::TooOld { version }) } else { Ok(()) }
}
