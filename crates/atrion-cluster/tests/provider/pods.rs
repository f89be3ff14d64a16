//! Pods that warn each other.

use atrion_cluster::Client;
use atrion_core::flow::Priority;
use atrion_engine::Reason;
use atrion_state::peers::Notice;
use atrion_state::provider::StateProvider;
use atrion_testkit::RedisServer;

use crate::harness::{Pod, for_each_client, node, on, provider, together, until};

for_each_client!(
    the_others_are_warned_before_their_own_first_failure,
    who_sees_otherwise_resists_a_little_and_serves,
    what_was_heard_is_gone_when_the_dependency_heals,
    who_comes_later_is_warned_from_what_is_stored,
    a_restarted_node_takes_its_own_place,
    who_leaves_is_gone_at_once_with_all_its_words,
    gamma_nought_hears_nothing,
);

async fn three(client: Client, url: &str) -> [Pod; 3] {
    let pods = ["a", "b", "c"].map(|name| Pod::new(node(client, url, name)));
    together(&pods.each_ref()).await;
    pods
}

async fn the_others_are_warned_before_their_own_first_failure(client: Client) {
    let server = RedisServer::start().unwrap();
    let [a, cold, new] = three(client, &on(server.port())).await;
    // One has the route and no traffic, to the other it is unknown.
    let idle = cold.atrion.route("payments");
    a.wound("payments").await;
    until("the idle route holds its requests", || idle.is_held()).await;
    until("so does one that is made by its first request", || {
        let first = new.atrion.route("payments").explain(Priority::Normal);
        first.reason() == Some(Reason::Held)
    })
    .await;
    assert_eq!(idle.explain(Priority::Normal).reason(), Some(Reason::Held));
    for pod in [&cold, &new] {
        until("the observer hears of it", || pod.seen.held("payments")).await;
        assert_eq!(pod.atrion.route("payments").counts().completed, 0);
        // News of the cluster takes another way to the observer than what a route notices itself.
        until("and of the nodes", || {
            pod.seen.count(|notice| matches!(notice, Notice::NodeJoined { .. })) >= 2
        })
        .await;
        assert_eq!(pod.seen.count(|notice| matches!(notice, Notice::NodeJoined { .. })), 2);
        assert_eq!(pod.seen.count(|notice| matches!(notice, Notice::LinkUp { .. })), 1);
        until("it is known who complains", || {
            let nodes = pod.atrion.nodes();
            let teller = nodes.iter().find(|node| &*node.name == "a");
            teller.is_some_and(|node| !node.is_self && node.complaints == 1 && node.frames > 0)
        })
        .await;
        assert!(pod.atrion.nodes()[0].is_self);
    }
    assert_eq!(a.heard("payments").total_cmp(&0.0), std::cmp::Ordering::Equal, "no echo");
}

async fn who_sees_otherwise_resists_a_little_and_serves(client: Client) {
    let server = RedisServer::start().unwrap();
    let [a, busy, _] = three(client, &on(server.port())).await;
    let healthy = busy.atrion.route("payments");
    for _ in 0..200 {
        healthy.admit(Priority::Normal).expect("calm").success();
    }
    a.wound("payments").await;
    until("the busy node resists", || busy.heard("payments") > 0.0).await;
    // Nobody is taken at its word against one's own eyes.
    assert!(!healthy.is_held() && healthy.would_flow(Priority::Normal));
    assert_eq!(healthy.counts().completed, 200);
}

async fn what_was_heard_is_gone_when_the_dependency_heals(client: Client) {
    let server = RedisServer::start().unwrap();
    let [a, b, c] = three(client, &on(server.port())).await;
    let routes = [&a, &b, &c].map(|pod| pod.atrion.route("payments"));
    a.wound("payments").await;
    until("the others hold", || routes[1].is_held() && routes[2].is_held()).await;
    until("everybody has looked and goes on", || {
        for route in &routes {
            if let Ok(permit) = route.admit(Priority::Normal) {
                permit.success();
            }
        }
        routes.iter().all(|route| !route.is_held() && !route.is_open())
    })
    .await;
}

async fn who_comes_later_is_warned_from_what_is_stored(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let a = Pod::new(node(client, &url, "a"));
    a.wound("payments").await;
    until("it is stored", || a.is_healthy() && a.provider.stats().changes_out > 0).await;
    let late = Pod::new(node(client, &url, "late"));
    until("it has read the others' words", || late.provider.stats().registers > 0).await;
    // The route did not exist here; it is made by its first request.
    until("the first request is refused on the others' word", || {
        late.atrion.route("payments").explain(Priority::Normal).reason() == Some(Reason::Held)
    })
    .await;
    assert_eq!(late.atrion.route("payments").counts().completed, 0);
}

async fn a_restarted_node_takes_its_own_place(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let [b, c] = ["b", "c"].map(|name| Pod::new(node(client, &url, name)));
    let a = provider(node(client, &url, "a"));
    a.connect().await.expect("never fails");
    let of_a = |pod: &Pod| {
        let nodes = pod.atrion.nodes();
        nodes.iter().find(|node| &*node.name == "a").map(|node| node.id)
    };
    until("all are there", || of_a(&b).is_some() && of_a(&c).is_some()).await;
    let id = of_a(&b).expect("there");
    // Not even a farewell: the process is gone.
    drop(a);
    let again = Pod::new(node(client, &url, "a"));
    together(&[&again, &b, &c]).await;
    assert_eq!(again.atrion.nodes()[0].id, id);
    again.wound("orders").await;
    until("the newborn is listened to", || {
        b.atrion.route("orders").is_held() && c.atrion.route("orders").is_held()
    })
    .await;
    for pod in [&again, &b, &c] {
        assert_eq!(pod.seen.count(|notice| matches!(notice, Notice::DuplicateNode { .. })), 0);
    }
}

async fn who_leaves_is_gone_at_once_with_all_its_words(client: Client) {
    let server = RedisServer::start().unwrap();
    let [a, b, c] = three(client, &on(server.port())).await;
    let route = b.atrion.route("payments");
    a.wound("payments").await;
    until("it is believed", || route.is_held()).await;
    a.atrion.disconnect().await;
    until("it is gone", || b.names() == ["b", "c"] && c.names().len() == 2).await;
    until("and its words with it", || !route.is_held()).await;
    let left = |notice: &Notice| matches!(notice, Notice::NodeLeft { name, .. } if &**name == "a");
    until("and everybody is told", || b.seen.count(left) == 1 && c.seen.count(left) == 1).await;
    let index = server.command("ZCARD atrion:{suite}:nodes").unwrap();
    assert_eq!(index.text().as_deref(), Some("2"));
}

async fn gamma_nought_hears_nothing(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let a = Pod::new(node(client, &url, "a"));
    let deaf = Pod::new(node(client, &url, "deaf").gamma(0.0));
    let open = Pod::new(node(client, &url, "open"));
    together(&[&a, &deaf, &open]).await;
    let [theirs, ours] = [&deaf, &open].map(|pod| pod.atrion.route("payments"));
    a.wound("payments").await;
    until("whoever listens is warned", || ours.is_held()).await;
    until("the deaf one was told as well", || {
        deaf.atrion.nodes().iter().any(|node| node.complaints > 0)
    })
    .await;
    deaf.atrion.flush().await.expect("serves");
    deaf.atrion.flush().await.expect("serves");
    assert!(!theirs.is_held() && theirs.would_flow(Priority::Normal));
    assert!(deaf.heard("payments").abs() < f64::EPSILON);
    assert!(deaf.heard("made only now").abs() < f64::EPSILON);
}
