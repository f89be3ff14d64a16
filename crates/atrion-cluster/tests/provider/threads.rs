//! Programs without a runtime, runtimes that end, and what is left when everything is dropped.

use std::fs;
use std::sync::Arc;
use std::thread;

use atrion_cluster::Client;
use atrion_core::flow::Priority;
use atrion_state::blocking::block_on;
use atrion_state::provider::{Health, StateProvider};
use atrion_testkit::RedisServer;

use crate::harness::{Pod, clients, fail_once, for_each_client, node, on, provider, until};
use crate::links::{hears, scar};

for_each_client!(
    a_program_without_a_runtime_shares_too,
    dropping_the_last_handle_ends_everything,
    a_runtime_that_ends_takes_only_the_link_with_it,
    connecting_from_many_threads_makes_one_link,
);

async fn a_program_without_a_runtime_shares_too(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let peer = provider(node(client, &url, "peer"));
    peer.connect().await.expect("never fails");
    let flushed = url.clone();
    // A thread that no runtime knows of: the whole program, as it were.
    let program = thread::spawn(move || {
        let pod = Pod::new(node(client, &flushed, "sync"));
        let route = pod.atrion.route("payments");
        while !route.is_open() {
            fail_once(&route);
            block_on(pod.atrion.flush()).expect("memory serves");
        }
        pod
    });
    let pod = join(program).await;
    until("the link is driven by a thread of its own", || pod.is_healthy()).await;
    until("the word gets out", || {
        block_on(pod.atrion.flush()).expect("memory serves");
        hears(&peer, "payments")
    })
    .await;
    peer.update_vector("orders", scar()).await.expect("memory serves");
    until("and others' words get in", || {
        block_on(pod.atrion.flush()).expect("memory serves");
        pod.heard("orders") > 0.0 || !pod.atrion.route("orders").would_flow(Priority::Normal)
    })
    .await;
    let thread = move || {
        block_on(pod.atrion.disconnect());
        pod.health()
    };
    assert_eq!(join(thread::spawn(thread)).await, Some(Health::Disconnected));
    until("its farewell is heard", || peer.peers().unwrap().nodes(scar().timestamp).len() == 1)
        .await;
}

async fn dropping_the_last_handle_ends_everything(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    // In a runtime, in a thread, and a provider that nobody built an instance on.
    let inside = Pod::new(node(client, &url, "inside"));
    let outside = url.clone();
    let outside = join(thread::spawn(move || {
        let pod = Pod::new(node(client, &outside, "outside"));
        block_on(pod.atrion.flush()).expect("memory serves");
        pod
    }))
    .await;
    let bare = provider(node(client, &url, "bare"));
    bare.connect().await.expect("never fails");
    until("all are there", || {
        inside.is_healthy() && outside.is_healthy() && bare.health() == Health::Healthy
    })
    .await;
    let weak = [&inside.provider, &outside.provider, &bare].map(Arc::downgrade);
    assert!(clients(&server) >= 3);
    assert!(threads_named("atrion-cluster") >= 1);
    drop((inside, outside, bare));
    until("the providers are gone", || weak.iter().all(|weak| weak.strong_count() == 0)).await;
    until("their connections are closed", || clients(&server) == 0).await;
    // Other tests of this process may have threads of their own.
}

async fn a_runtime_that_ends_takes_only_the_link_with_it(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let provider = provider(node(client, &url, "moving"));
    let moved = Arc::clone(&provider);
    let first = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            moved.connect().await.expect("never fails");
            until("it is connected", || moved.health() == Health::Healthy).await;
        });
    });
    join(first).await;
    until("nobody drives the link, and that is said", || {
        provider.health() == Health::Degraded && provider.trouble().is_some()
    })
    .await;
    // Whoever uses the provider next drives it on.
    provider.update_vector("payments", scar()).await.expect("memory serves");
    until("it is connected again", || provider.health() == Health::Healthy).await;
    provider.disconnect().await.expect("never fails");
}

async fn connecting_from_many_threads_makes_one_link(client: Client) {
    let server = RedisServer::start().unwrap();
    let provider = provider(node(client, &on(server.port()), "one"));
    for _ in 0..5 {
        let calls: Vec<_> = (0..8)
            .map(|number: u32| {
                let provider = Arc::clone(&provider);
                tokio::spawn(async move {
                    if number % 4 == 3 {
                        provider.disconnect().await.expect("never fails");
                    }
                    provider.connect().await.expect("never fails");
                })
            })
            .collect();
        for call in calls {
            call.await.expect("does not panic");
        }
        until("it is connected", || provider.health() == Health::Healthy).await;
    }
    let one = clients(&server);
    assert!((1..=2).contains(&one), "{one} connections of one node");
    provider.disconnect().await.expect("never fails");
    until("and none is left", || clients(&server) == 0).await;
}

async fn join<T: Send + 'static>(thread: thread::JoinHandle<T>) -> T {
    let joined = tokio::task::spawn_blocking(move || thread.join());
    joined.await.expect("not cancelled").expect("the thread does not panic")
}

fn threads_named(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let names = tasks.flatten().map(|task| fs::read_to_string(task.path().join("comm")));
    names.flatten().filter(|comm| comm.trim() == name).count()
}
