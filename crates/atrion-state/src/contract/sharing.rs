//! Clauses 16 to 18: what a provider shares with other nodes.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;

use atrion_core::vector::PhysicsVector;

use super::Fixture;
use super::vectors::{Outcome, Stop, connected, ensure, expect, expect_held, vector, write};
use crate::provider::{BoxStream, RemoteVector, StateProvider};

/// Both nodes, connected, and the provider's subscription.
async fn pair(
    fixture: &Fixture,
) -> Result<(&dyn StateProvider, &Arc<dyn StateProvider>, BoxStream<RemoteVector>), Stop> {
    let Some(peer) = &fixture.peer else {
        return Err(Stop::Skip("the fixture has no peer"));
    };
    let provider = connected(fixture).await?;
    expect("the peer's connect", peer.connect().await)?;
    Ok((provider, peer, subscribe(provider)?))
}

fn subscribe(provider: &dyn StateProvider) -> Result<BoxStream<RemoteVector>, Stop> {
    provider
        .subscribe()
        .ok_or_else(|| Stop::Broken("the fixture has a peer, but subscribe gives None".to_owned()))
}

async fn next(stream: &mut BoxStream<RemoteVector>) -> Option<RemoteVector> {
    poll_fn(|context| stream.as_mut().poll_next(context)).await
}

/// Reads until `route` is `expected`, noting everything on the way.
async fn read_until(
    stream: &mut BoxStream<RemoteVector>,
    seen: &mut HashMap<Arc<str>, PhysicsVector>,
    route: &str,
    expected: &PhysicsVector,
) -> Outcome {
    loop {
        let Some(remote) = next(stream).await else {
            return Err(Stop::Broken(format!(
                "the stream ended before {route:?} was {expected:?}"
            )));
        };
        let found = *remote.route == *route && equal_but_for_time(&remote.vector, expected);
        seen.insert(remote.route, remote.vector);
        if found {
            return Ok(());
        }
    }
}

/// Ages are rebased on their way from node to node, so timestamps are not compared; and numbers may
/// travel in single precision.
fn equal_but_for_time(one: &PhysicsVector, other: &PhysicsVector) -> bool {
    const SINGLE_PRECISION: f64 = 1e-6;
    let parts = |vector: &PhysicsVector| {
        [
            vector.resistance.get(),
            vector.momentum.get(),
            vector.scar_tissue.get(),
            vector.evidence.get(),
            vector.demand.get(),
        ]
    };
    let close = |(one, other): (f64, f64)| (one - other).abs() <= SINGLE_PRECISION * other;
    one.stance == other.stance && parts(one).into_iter().zip(parts(other)).all(close)
}

pub(super) async fn delivery(fixture: Fixture) -> Outcome {
    let Some(peer) = &fixture.peer else {
        return Err(Stop::Skip("the fixture has no peer"));
    };
    let early = subscribe(&*fixture.provider)?;
    ensure(ends(early).await, || {
        "a subscription of a provider that is not connected should end at once".to_owned()
    })?;
    expect("the peer's connect", peer.connect().await)?;
    write(&**peer, "before", vector(1, 1)).await?;

    let provider = connected(&fixture).await?;
    let mut stream = subscribe(provider)?;
    let mut seen = HashMap::new();
    read_until(&mut stream, &mut seen, "before", &vector(1, 1)).await?;
    for step in 0..20 {
        write(&**peer, "busy", vector(u64::from(step) + 2, step + 2)).await?;
    }
    write(&**peer, "calm", vector(2, 50)).await?;
    let newest = vector(21, 21);
    read_until(&mut stream, &mut seen, "busy", &newest).await?;
    if !seen.contains_key("calm") {
        read_until(&mut stream, &mut seen, "calm", &vector(2, 50)).await?;
    }

    expect("disconnect", provider.disconnect().await)?;
    ensure(ends(stream).await, || "a subscription should end with its connection".to_owned())
}

/// Reads to the end, which a stream that goes on for ever never reaches.
async fn ends(mut stream: BoxStream<RemoteVector>) -> bool {
    // What was on its way may still come.
    for _ in 0..1_000 {
        if next(&mut stream).await.is_none() {
            return true;
        }
    }
    false
}

pub(super) async fn no_echo(fixture: Fixture) -> Outcome {
    let (provider, peer, mut stream) = pair(&fixture).await?;
    let mut seen = HashMap::new();
    for round in 1..=3 {
        let mine = format!("mine{round}");
        let time = u64::from(round);
        write(provider, &mine, vector(time, round)).await?;
        let batch = [crate::provider::RouteVector::new("batched", vector(time, round))];
        expect("update_vectors", provider.update_vectors(&batch).await)?;
        write(&**peer, "theirs", vector(time, round + 10)).await?;
        read_until(&mut stream, &mut seen, "theirs", &vector(time, round + 10)).await?;
    }
    let mut anew = subscribe(provider)?;
    read_until(&mut anew, &mut seen, "theirs", &vector(3, 13)).await?;
    let echoed: Vec<_> = seen.keys().filter(|route| ***route != *"theirs").collect();
    ensure(echoed.is_empty(), || format!("own vectors came back: {echoed:?}"))
}

pub(super) async fn slow_reader(fixture: Fixture) -> Outcome {
    let Some(capacity) = fixture.capacity else {
        return Err(Stop::Skip("the fixture names no capacity"));
    };
    let (_provider, peer, mut stream) = pair(&fixture).await?;
    // Nobody reads meanwhile; the writer must not notice.
    let many = u32::try_from(capacity.saturating_mul(3)).unwrap_or(u32::MAX);
    for seed in 0..many {
        write(&**peer, &format!("r{seed}"), vector(u64::from(seed), seed)).await?;
    }
    let last = many.saturating_sub(1);
    let route = format!("r{last}");
    let newest = vector(u64::from(last), last);
    expect_held(&**peer, &route, &newest).await?;

    // Whatever was lost, the newest state of a route that is held arrives: by this stream, or,
    // if this one ends, by the next.
    let mut seen = HashMap::new();
    if read_until(&mut stream, &mut seen, &route, &newest).await.is_err() {
        let mut anew = subscribe(&*fixture.provider)?;
        seen.clear();
        read_until(&mut anew, &mut seen, &route, &newest).await?;
    }
    let bound = capacity.saturating_mul(2);
    ensure(seen.len() <= bound, || {
        format!("{} routes waited for a reader of a store of {capacity}", seen.len())
    })
}
