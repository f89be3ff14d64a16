//! Settings that cannot work, servers that say no, and neighbours that do not match.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use atrion_cluster::{Builder, Client, ClusterConfigError, RedisClusterProvider};
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::peers::Notice;
use atrion_state::provider::{Health, ProviderError, StateProvider};
use atrion_testkit::{RedisOptions, RedisServer, logs};

use crate::harness::{
    PASSWORD, Pod, for_each_client, in_time, node, on, provider, together, until,
};
use crate::links::{hears, scar};

for_each_client!(
    settings_that_cannot_work_are_refused_by_name,
    a_server_that_says_no_is_tried_again_and_quoted,
    two_clusters_on_one_server_do_not_see_each_other,
    route_names_of_any_bytes_arrive,
    two_nodes_of_one_name_become_two,
    only_who_shares_the_secret_is_heard,
);

fn refused(builder: Builder) -> ClusterConfigError {
    let error = builder.build().expect_err("refused");
    let mut shown = format!("{error} {error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        let _ = write!(shown, "{cause} {cause:?}");
        source = cause.source();
    }
    assert!(!logs::leaks(&shown), "{shown}");
    error
}

async fn settings_that_cannot_work_are_refused_by_name(client: Client) {
    let good = || node(client, "redis://127.0.0.1:1", "a");
    for url in [
        "",
        " ",
        "127.0.0.1:6379",
        "http://:hunter2-s3cret@host",
        "redis://",
        "redis://:hunter2-s3cret@",
        "redis://:hunter2-s3cret@host:port",
        "redis://:hunter2-s3cret@host:99999",
        "redis://:hunter2-s3cret@host:0",
        "redis://:hunter2-s3cret@host/no-number",
        "redis://:hunter2-s3cret@host/-1",
        "redis://us%zzer:hunter2-s3cret@host",
        "redis://u:hunter2-s3cret%@host",
        "redis://u:hunter2-s3cret@a,b",
        "redis://u:hunter2-s3cret@[::1",
        "redis+cluster://u:hunter2-s3cret@",
        "redis+cluster://u:hunter2-s3cret@host/3",
        "redis+sentinel://:hunter2-s3cret@host",
        "redis+sentinel://:hunter2-s3cret@host/",
        "unix://:hunter2-s3cret@",
        "redis://host?password=hunter2-s3cret",
        "redis://host/0?unknown=hunter2-s3cret",
    ] {
        let error = refused(good().url(url));
        assert!(matches!(error, ClusterConfigError::Url(_)), "{url:?}: {error}");
    }
    for gamma in [f64::NAN, -0.1, 1.000_001, f64::INFINITY, f64::NEG_INFINITY] {
        let error = refused(good().gamma(gamma));
        assert!(error.to_string().contains("cluster.gamma"), "{error}");
    }
    for interval in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let error = refused(good().sync_interval(interval));
        assert!(error.to_string().contains("interval"), "{error}");
    }
    for timeout in [Duration::ZERO, Duration::from_secs(61), Duration::MAX] {
        let error = refused(good().operation_timeout(timeout));
        assert!(error.to_string().contains("cluster.operation_timeout"), "{error}");
    }
    let long = "x".repeat(257);
    for name in ["", &long] {
        for (field, builder) in [
            ("cluster", good().cluster(name)),
            ("channel", good().channel(name)),
            ("node", good().node(name)),
        ] {
            let error = refused(builder);
            let named = matches!(&error, ClusterConfigError::Name { field: f, bytes }
                if *f == field && *bytes == name.len());
            assert!(named, "{error}");
        }
    }
    for secret in ["", "too short"] {
        let error = refused(good().secret(secret));
        assert!(matches!(error, ClusterConfigError::ShortSecret { .. }), "{error}");
    }
    // The extremes of what is allowed.
    for builder in [
        good().gamma(0.0),
        good().gamma(1.0),
        good().sync_interval(Duration::from_millis(1)),
        good().sync_interval(Duration::from_secs(60)),
        good().cluster(&long[1..]).channel("{}%\r\n\0 *").node("\u{202e}\0"),
        good().secret(PASSWORD.repeat(2)),
    ] {
        let provider = builder.build().expect("allowed");
        assert!(!logs::leaks(&format!("{provider:?}")));
    }
    let builder = good().url(format!("redis://u:{PASSWORD}@host")).secret(PASSWORD.repeat(2));
    assert!(!logs::leaks(&format!("{builder:?}")));
}

/// What the server is told when the operator has understood.
async fn said_no(client: Client, url: &str, server: &RedisServer, said: &str, remedy: &str) {
    let pod = Pod::new(node(client, url, "pod"));
    until("the refusal is noticed", || {
        pod.seen.count(|notice| matches!(notice, Notice::LinkDown { .. })) == 1
    })
    .await;
    assert_eq!(pod.health(), Some(Health::Degraded));
    let trouble = pod.provider.trouble().expect("there is");
    assert!(trouble.contains(said) && !logs::leaks(&trouble), "{trouble}");
    let attempts = pod.provider.stats().failures;
    until("it is tried again", || pod.provider.stats().failures > attempts).await;
    server.command(remedy).unwrap();
    until("it is let in without a restart", || pod.is_healthy()).await;
    assert_eq!(pod.provider.trouble(), None);
    assert_eq!(pod.seen.count(|notice| matches!(notice, Notice::LinkDown { .. })), 1);
}

async fn a_server_that_says_no_is_tried_again_and_quoted(client: Client) {
    let all = "~* &* +@all";
    let options = RedisOptions::default()
        .user(&format!("late on >another {all}"))
        .user(&format!("mute on >{PASSWORD} ~* resetchannels &other:* +@all"))
        .user(&format!("keyless on >{PASSWORD} ~other:* &* +@all"))
        .user(&format!("poor on >{PASSWORD} ~* &* +@all -zadd"));
    let server = RedisServer::start_with(options).unwrap();
    for (user, remedy) in [
        ("late", format!("ACL SETUSER late >{PASSWORD}")),
        ("mute", "ACL SETUSER mute allchannels".to_owned()),
        ("keyless", "ACL SETUSER keyless ~atrion:*".to_owned()),
        ("poor", "ACL SETUSER poor +zadd".to_owned()),
    ] {
        let url = format!("redis://{user}:{PASSWORD}@127.0.0.1:{}", server.port());
        said_no(client, &url, &server, "denies", &remedy).await;
    }
}

async fn two_clusters_on_one_server_do_not_see_each_other(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    // The last two share even the channel: `x` of the cluster `y` is `x:y` of the default one.
    let pods = [
        node(client, &url, "a").cluster("shop"),
        node(client, &url, "a").cluster("store"),
        node(client, &url, "a").cluster("y").channel("x"),
        node(client, &url, "a").cluster("default").channel("x:y"),
    ]
    .map(provider);
    for pod in &pods {
        pod.connect().await.expect("never fails");
        pod.update_vector("payments", scar()).await.expect("memory serves");
    }
    until("all have published", || pods.iter().all(|pod| pod.stats().changes_out > 0)).await;
    until("the last two hear each other's noise", || {
        pods[2..].iter().all(|pod| pod.stats().refused.contains_key("other_cluster"))
    })
    .await;
    let now = MonotonicClock::new().now();
    for pod in &pods {
        assert!(!hears(pod, "payments"));
        assert_eq!(pod.peers().expect("it shares").nodes(now).len(), 1);
        assert_eq!((pod.stats().failures, pod.stats().conflicts), (0, 0));
    }
}

async fn route_names_of_any_bytes_arrive(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let [one, two] = ["one", "two"].map(|name| provider(node(client, &url, name)));
    one.connect().await.expect("never fails");
    let long = "ü".repeat(256);
    let names = ["", "\0", "a\r\n$1\r\nb", "{suite}", "*", "a b", "\u{202e}x", "%s%n", &long];
    for name in names {
        one.update_vector(name, scar()).await.expect("stored");
    }
    let over = "x".repeat(513);
    let error = one.update_vector(&over, scar()).await.expect_err("too long");
    assert!(matches!(error, ProviderError::RouteTooLong { bytes: 513, max: 512 }), "{error}");
    // Half of them live, half from the store.
    two.connect().await.expect("never fails");
    until("all have arrived", || names.iter().all(|name| hears(&two, name))).await;
    let mut stream = two.subscribe().expect("it shares");
    let mut heard = std::collections::BTreeSet::new();
    while heard.len() < names.len() {
        let next = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await;
        heard.insert(next.expect("goes on").route.to_string());
    }
    assert_eq!(heard, names.map(str::to_owned).into());
    assert!(two.stats().refused.is_empty() && one.stats().unencodable == 0);
}

async fn two_nodes_of_one_name_become_two(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let pods = [(); 2].map(|()| Pod::new(node(client, &url, "same")));
    together(&pods.each_ref()).await;
    let id = |pod: &Pod| pod.atrion.nodes()[0].id;
    assert_ne!(id(&pods[0]), id(&pods[1]));
    let told = |pod: &Pod| pod.seen.count(|notice| matches!(notice, Notice::DuplicateNode { .. }));
    until("somebody was told", || told(&pods[0]) + told(&pods[1]) >= 1).await;
    let watcher = provider(node(client, &url, "watcher"));
    watcher.connect().await.expect("never fails");
    for (pod, route) in pods.iter().zip(["first", "second"]) {
        pod.provider.update_vector(route, scar()).await.expect("memory serves");
    }
    until("both are heard", || hears(&watcher, "first") && hears(&watcher, "second")).await;
    until("each hears the other", || {
        hears(&pods[0].provider, "second") && hears(&pods[1].provider, "first")
    })
    .await;
    assert!(told(&pods[0]) + told(&pods[1]) <= 2, "told once each at most");
    assert!(pods.iter().all(Pod::is_healthy));
}

async fn only_who_shares_the_secret_is_heard(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let secrets = [Some("correct horse battery staple"), Some("incorrect horse and battery"), None];
    secrets.iter().flatten().for_each(|secret| logs::forbid(secret));
    let pods: Vec<Arc<RedisClusterProvider>> = secrets
        .into_iter()
        .zip(["right", "wrong", "none"])
        .map(|(secret, name)| {
            let builder = node(client, &url, name);
            provider(match secret {
                Some(secret) => builder.secret(secret),
                None => builder,
            })
        })
        .collect();
    for pod in &pods {
        pod.connect().await.expect("never fails");
        pod.update_vector("payments", scar()).await.expect("memory serves");
    }
    until("everybody refuses the others", || {
        let has = |pod: usize, kind| pods[pod].stats().refused.contains_key(kind);
        has(0, "bad_mac")
            && has(0, "unauthenticated")
            && has(1, "bad_mac")
            && has(1, "unauthenticated")
            && has(2, "unexpected_authentication")
    })
    .await;
    assert!(pods.iter().all(|pod| !hears(pod, "payments")));
    // The same with two that share it.
    let built = |name, secret| provider(node(client, &url, name).cluster("other").secret(secret));
    let right = "correct horse battery staple";
    let friends = [built("one", right), built("two", right)];
    let stranger = built("three", "incorrect horse and battery");
    for pod in friends.iter().chain([&stranger]) {
        pod.connect().await.expect("never fails");
    }
    friends[0].update_vector("orders", scar()).await.expect("memory serves");
    until("who shares the secret is heard", || hears(&friends[1], "orders")).await;
    until("the stranger has heard it too", || stranger.stats().refused.contains_key("bad_mac"))
        .await;
    assert!(!hears(&stranger, "orders"));
}

#[tokio::test]
async fn a_client_that_is_not_compiled_in_is_named() {
    in_time("a_client_that_is_not_compiled_in_is_named", async {
        let built = |client| node(client, "redis://127.0.0.1:1", "a").build();
        for (client, there) in
            [(Client::Redis, cfg!(feature = "redis")), (Client::Fred, cfg!(feature = "fred"))]
        {
            match built(client) {
                Ok(_) => assert!(there),
                Err(error) => {
                    assert!(!there);
                    assert!(matches!(error, ClusterConfigError::NoClient { .. }), "{error}");
                }
            }
        }
    })
    .await;
}
