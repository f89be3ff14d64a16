//! Clauses 1 to 15: what a provider does alone.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use super::Fixture;
use super::vectors::{
    Outcome, Stop, connected, ensure, expect, expect_held, expect_not_connected, same, vector,
    write,
};
use crate::provider::{
    BoxFuture, Health, MAX_ROUTE_BYTES, ProviderError, RouteVector, StateProvider,
};

async fn refuses_everything(provider: &dyn StateProvider) -> Outcome {
    let batch = [RouteVector::new("r", vector(1, 1))];
    expect_not_connected("get_vector", provider.get_vector("r").await)?;
    expect_not_connected("update_vector", provider.update_vector("r", vector(1, 1)).await)?;
    expect_not_connected("update_vectors", provider.update_vectors(&batch).await)?;
    expect_not_connected("an empty batch", provider.update_vectors(&[]).await)?;
    expect_not_connected("snapshot", provider.snapshot().await)?;
    let health = provider.health();
    ensure(health == Health::Disconnected, || {
        format!("health should be Disconnected, but is {health:?}")
    })
}

pub(super) async fn before_connect(fixture: Fixture) -> Outcome {
    refuses_everything(&*fixture.provider).await?;
    let provider = connected(&fixture).await?;
    let health = provider.health();
    ensure(health != Health::Disconnected, || {
        "health is still Disconnected after connect".to_owned()
    })?;
    let held = expect("get_vector", provider.get_vector("r").await)?;
    ensure(held.is_none(), || format!("a write refused before connect took effect: {held:?}"))
}

pub(super) async fn connect_twice(fixture: Fixture) -> Outcome {
    let provider = connected(&fixture).await?;
    write(provider, "r", vector(1, 1)).await?;
    expect("the second connect", provider.connect().await)?;
    expect_held(provider, "r", &vector(1, 1)).await
}

pub(super) async fn disconnect_twice(fixture: Fixture) -> Outcome {
    let provider = &*fixture.provider;
    expect("disconnect before connect", provider.disconnect().await)?;
    let provider = connected(&fixture).await?;
    expect("disconnect", provider.disconnect().await)?;
    expect("the second disconnect", provider.disconnect().await)
}

pub(super) async fn after_disconnect(fixture: Fixture) -> Outcome {
    let provider = connected(&fixture).await?;
    write(provider, "r", vector(1, 1)).await?;
    expect("disconnect", provider.disconnect().await)?;
    refuses_everything(provider).await?;
    expect("connect after disconnect", provider.connect().await)?;
    write(provider, "again", vector(2, 2)).await?;
    expect_held(provider, "again", &vector(2, 2)).await
}

pub(super) async fn cold_start(fixture: Fixture) -> Outcome {
    let provider = connected(&fixture).await?;
    write(provider, "r", vector(1, 1)).await?;
    let held = expect("get_vector", provider.get_vector("other").await)?;
    ensure(held.is_none(), || format!("a route nobody wrote holds {held:?}"))
}

pub(super) async fn read_your_writes(fixture: Fixture) -> Outcome {
    let provider = connected(&fixture).await?;
    for seed in 0..10 {
        write(provider, &format!("r{seed}"), vector(u64::from(seed), seed)).await?;
    }
    for seed in 0..10 {
        expect_held(provider, &format!("r{seed}"), &vector(u64::from(seed), seed)).await?;
    }
    Ok(())
}

pub(super) async fn older_is_ignored(fixture: Fixture) -> Outcome {
    let provider = connected(&fixture).await?;
    write(provider, "r", vector(10, 1)).await?;
    write(provider, "r", vector(9, 2)).await?;
    expect_held(provider, "r", &vector(10, 1)).await?;
    let batch = [RouteVector::new("r", vector(0, 3))];
    expect("update_vectors", provider.update_vectors(&batch).await)?;
    expect_held(provider, "r", &vector(10, 1)).await?;
    write(provider, "r", vector(11, 4)).await?;
    expect_held(provider, "r", &vector(11, 4)).await
}

pub(super) async fn duplicates(fixture: Fixture) -> Outcome {
    let provider = connected(&fixture).await?;
    for _ in 0..3 {
        write(provider, "r", vector(5, 1)).await?;
        expect_held(provider, "r", &vector(5, 1)).await?;
    }
    write(provider, "r", vector(5, 2)).await?;
    expect_held(provider, "r", &vector(5, 2)).await
}

pub(super) async fn ordering(fixture: Fixture) -> Outcome {
    let provider = connected(&fixture).await?;
    for step in 0..50 {
        // The clock stands still for two steps at a time, so only the order can decide.
        let newest = vector(u64::from(step) / 2, step);
        write(provider, "r", newest).await?;
        expect_held(provider, "r", &newest).await?;
    }
    Ok(())
}

pub(super) async fn batches(fixture: Fixture) -> Outcome {
    let provider = connected(&fixture).await?;
    expect("an empty batch", provider.update_vectors(&[]).await)?;

    let change =
        |route: &str, millis, seed| RouteVector::new(Arc::<str>::from(route), vector(millis, seed));
    let batch = [change("a", 5, 1), change("b", 5, 2), change("a", 5, 3), change("b", 4, 4)];
    for _ in 0..2 {
        expect("update_vectors", provider.update_vectors(&batch).await)?;
        expect_held(provider, "a", &vector(5, 3)).await?;
        expect_held(provider, "b", &vector(5, 2)).await?;
    }

    let long = "x".repeat(MAX_ROUTE_BYTES + 1);
    let poisoned = [change("c", 6, 5), change(&long, 6, 6)];
    let result = provider.update_vectors(&poisoned).await;
    ensure(matches!(result, Err(ProviderError::RouteTooLong { .. })), || {
        format!("a batch with too long a name should be refused, but gave {result:?}")
    })?;
    let held = expect("get_vector", provider.get_vector("c").await)?;
    ensure(held.is_none(), || "a batch refused with RouteTooLong was stored in part".to_owned())
}

fn hostile() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        " ",
        "  ",
        "\0",
        "a\0b",
        "a",
        "A",
        "a ",
        " a",
        "a\r\nSET b 1\r\n",
        "a:b",
        "a:b:c",
        "a/b",
        "a//b",
        "../a",
        "*",
        "a*",
        "{a}",
        "a{b}",
        "%",
        "_",
        "'; DROP TABLE routes; --",
        "\"",
        "\\",
        "é",
        "e\u{301}",
        "ß",
        "ss",
        "\u{202e}gnp",
        "🦀",
        "\u{feff}a",
        "a\u{200b}",
        "nan",
        "null",
        "0",
        "00",
    ]
    .map(str::to_owned)
    .into();
    names.push("x".repeat(MAX_ROUTE_BYTES));
    names.push("x".repeat(MAX_ROUTE_BYTES - 1));
    names.push("é".repeat(MAX_ROUTE_BYTES / 2));
    names
}

pub(super) async fn hostile_names(fixture: Fixture) -> Outcome {
    let provider = connected(&fixture).await?;
    // In groups, so that a store of a few routes can be tested too.
    let names = hostile();
    for group in names.chunks(8) {
        for (seed, name) in (0..).zip(group) {
            write(provider, name, vector(1, seed)).await?;
        }
        for (seed, name) in (0..).zip(group) {
            expect_held(provider, name, &vector(1, seed)).await?;
        }
    }
    let long = "x".repeat(MAX_ROUTE_BYTES + 1);
    let huge = "x".repeat(1 << 20);
    for name in [long, huge] {
        let bytes = name.len();
        let written = provider.update_vector(&name, vector(1, 1)).await;
        ensure(matches!(written, Err(ProviderError::RouteTooLong { .. })), || {
            format!("writing a name of {bytes} bytes should be refused, but gave {written:?}")
        })?;
        let read = provider.get_vector(&name).await;
        ensure(matches!(read, Err(ProviderError::RouteTooLong { .. })), || {
            format!("reading a name of {bytes} bytes should be refused, but gave {read:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn concurrent_use(fixture: Fixture) -> Outcome {
    const THREADS: u32 = 4;
    const STEPS: u32 = 50;
    let provider = connected(&fixture).await?;
    // The futures may need the caller's runtime, so they are made here and only interleaved:
    // each is polled in turn, all are under way at once.
    let mut calls: Vec<_> = (0..THREADS * STEPS)
        .map(|index| {
            // Seven has no factor in common with the number of steps: every step once, the newest
            // somewhere in the middle.
            let (thread, step) = (index % THREADS, index / THREADS * 7 % STEPS);
            let route = if thread == 0 { "own" } else { "shared" };
            provider.update_vector(route, vector(u64::from(step), step))
        })
        .collect();
    let mut failed = None;
    poll_fn(|context| {
        calls.retain_mut(|call| match call.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(result) => {
                failed = failed.take().or(result.err());
                false
            }
        });
        if calls.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    expect("a concurrent update_vector", failed.map_or(Ok(()), Err))?;
    let newest = vector(u64::from(STEPS - 1), STEPS - 1);
    expect_held(provider, "own", &newest).await?;
    expect_held(provider, "shared", &newest).await?;
    in_threads(&fixture)
}

/// Calls that need no runtime, from several threads at once.
fn in_threads(fixture: &Fixture) -> Outcome {
    let provider = &fixture.provider;
    let survived = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..100 {
                        drop(provider.update_vector("shared", vector(0, 0)));
                        drop(provider.subscribe());
                        provider.health();
                    }
                })
            })
            .collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).all(|end| end.is_ok())
    });
    ensure(survived, || "a call from another thread panicked".to_owned())
}

async fn poll_once<T>(future: &mut BoxFuture<'_, T>) {
    poll_fn(|context| {
        // What it gave, if anything, is of no interest.
        let _ = future.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
}

pub(super) async fn cancellation(fixture: Fixture) -> Outcome {
    let provider = connected(&fixture).await?;
    write(provider, "r", vector(1, 1)).await?;

    drop(provider.update_vector("r", vector(2, 2)));
    expect_held(provider, "r", &vector(1, 1)).await?;

    // Polled once, then dropped: the old vector or the new one, nothing else.
    let mut call = provider.update_vector("r", vector(3, 3));
    poll_once(&mut call).await;
    drop(call);
    let held = expect("get_vector", provider.get_vector("r").await)?;
    let whole = held.is_some_and(|held| same(&held, &vector(1, 1)) || same(&held, &vector(3, 3)));
    ensure(whole, || format!("half a write: {held:?}"))?;

    let mut read = provider.get_vector("r");
    poll_once(&mut read).await;
    drop(read);
    write(provider, "r", vector(4, 4)).await?;
    expect_held(provider, "r", &vector(4, 4)).await
}

pub(super) async fn bounded_memory(fixture: Fixture) -> Outcome {
    let Some(capacity) = fixture.capacity else {
        return Err(Stop::Skip("the fixture names no capacity"));
    };
    let provider = connected(&fixture).await?;
    let many = u32::try_from(capacity.saturating_mul(3)).unwrap_or(u32::MAX);
    for seed in 0..many {
        write(provider, &format!("r{seed}"), vector(u64::from(seed), seed)).await?;
        // Used each time, so it must survive.
        let kept = seed.min(1);
        let held = expect("get_vector", provider.get_vector(&format!("r{kept}")).await)?;
        ensure(held.is_some(), || {
            format!("r{kept} was evicted although it was used after every write")
        })?;
    }
    let held = expect("snapshot", provider.snapshot().await)?.len();
    ensure(held <= capacity, || format!("{held} routes are held, the capacity is {capacity}"))?;
    let last = many.saturating_sub(1);
    expect_held(provider, &format!("r{last}"), &vector(u64::from(last), last)).await
}

pub(super) async fn snapshot(fixture: Fixture) -> Outcome {
    let provider = connected(&fixture).await?;
    let empty = expect("snapshot", provider.snapshot().await)?;
    ensure(empty.is_empty(), || format!("a new store should be empty, but holds {empty:?}"))?;
    for seed in 0..10 {
        write(provider, &format!("r{seed}"), vector(1, seed)).await?;
        write(provider, &format!("r{seed}"), vector(2, seed + 100)).await?;
    }
    let mut all = expect("snapshot", provider.snapshot().await)?;
    all.sort_by(|one, other| one.route.cmp(&other.route));
    ensure(all.len() == 10, || {
        format!("10 routes were written, the snapshot holds {}", all.len())
    })?;
    for (seed, held) in (0..).zip(&all) {
        let expected = vector(2, seed + 100);
        ensure(*held.route == *format!("r{seed}") && same(&held.vector, &expected), || {
            format!("r{seed} should hold {expected:?}, the snapshot has {held:?}")
        })?;
    }
    Ok(())
}
