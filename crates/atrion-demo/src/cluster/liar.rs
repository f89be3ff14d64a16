//! A node that lies: it says at every interval that the everyday route is in ruins.
//!
//! It speaks the real format over the real transport. Nobody believes it for long; that is the
//! point.

use std::time::Duration;

use atrion_cluster::machine::node_key;
use atrion_cluster::names::Names;
use atrion_cluster::transport::{
    Commit, Inbox, RedisTransport, Session, TlsOptions, Transport as _,
};
use atrion_cluster::wire::{Change, Codec, Frame};
use atrion_core::merge::Stamp;
use atrion_core::vector::Stance;

use super::clock::SharedClock;
use super::wire::{Event, SHOP};
use super::{CLUSTER, INTERVAL, orders, tell};

/// What it calls itself.
pub(crate) const NAME: &str = "liar";
/// The scar it claims, in ohms.
const SCAR: f32 = 500.0;
/// The requests it claims to have seen, and those per second it claims to be asked.
const WEIGHT: f32 = 1e6;
/// How long Redis may take to let it in and to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lies until the conductor is gone.
///
/// # Errors
///
/// A sentence if Redis does not take its lies.
pub(crate) async fn run(clock: SharedClock, redis: u16) -> Result<(), String> {
    let url = format!("redis://127.0.0.1:{redis}");
    let url = url.parse().map_err(|e| format!("`{url}`: {e}"))?;
    let names = Names::new(Names::DEFAULT_PREFIX, Names::DEFAULT_CHANNEL, CLUSTER);
    let transport = RedisTransport::new(url, names, &TlsOptions::default());
    let transport = transport.map_err(|e| e.to_string())?;
    // What the others say is of no interest; the inbox overflows and nobody minds.
    let (inbox, _arrivals) = Inbox::new(1);
    let session = within(transport.open(inbox)).await?;
    let lie = async {
        let since = clock.nanos();
        let mut frames = 0;
        let mut every = tokio::time::interval(INTERVAL);
        loop {
            every.tick().await;
            frames += 1;
            publish(&*session, frames).await?;
            tell(Event::Lied { since, frames });
        }
    };
    let mut orders = orders();
    tokio::select! {
        failed = lie => failed,
        _ = orders.next() => Ok(()),
    }
}

async fn publish(session: &dyn Session, sequence: u64) -> Result<(), String> {
    let codec = Codec::new(CLUSTER, None);
    let id = codec.node_id(NAME);
    let seen_millis = within(session.server_millis()).await?;
    let stamp = Stamp { incarnation: 1, sequence };
    let mut frame = Frame::new(id, stamp);
    frame.sent_millis = seen_millis;
    frame.node_name = Some(NAME.into());
    frame.changes.push(Change {
        route: codec.route_id(SHOP),
        scar: SCAR,
        evidence: WEIGHT,
        demand: WEIGHT,
        momentum: 0.0,
        resistance: SCAR,
        stance: Stance { open: true, held: false, good: false },
    });
    frame.names.push((codec.route_id(SHOP), SHOP.into()));
    let frame = codec.encode(&frame).map_err(|e| format!("the lie cannot be told: {e}"))?;
    let commit =
        Commit { node: node_key(id), frame, seen_millis, ttl_millis: 10_000, ..Commit::default() };
    within(session.commit(&commit)).await.map(drop)
}

async fn within<T, E: std::fmt::Display>(
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(done) => done.map_err(|e| format!("Redis does not take the lies: {e}")),
        Err(_) => Err("Redis does not answer the liar".to_owned()),
    }
}
