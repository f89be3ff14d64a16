//! What a process finds that starts where another has ended.

use atrion_core::flow::Priority;
use atrion_core::math::decay;
use atrion_core::units::Evidence;
use atrion_state::clock::{Clock, MonotonicClock};
use atrion_state::provider::StateProvider;
use atrion_testkit::PostgresServer;

use crate::harness::{Service, batch, connected, node, scarred, stored_scar, tests, until};

tests!(
    an_open_breaker_survives_a_restart,
    what_is_restored_is_what_time_has_left,
    a_pod_with_a_new_name_takes_the_lower_median_of_the_others,
    what_has_no_room_goes_from_the_store_too,
    rows_that_nobody_renews_go,
    other_applications_and_schemas_are_others,
);

async fn an_open_breaker_survives_a_restart() {
    let server = PostgresServer::start().unwrap();
    let before = Service::start(node(&server.url(), "pod"));
    before.healthy("the first process").await;
    before.wound("payments").await;
    until("it is stored", || stored_scar(&server, "pod", "payments").is_some_and(|s| s > 100.0))
        .await;
    before.assert_unharmed().await;

    let after = Service::start(node(&server.url(), "pod"));
    after.healthy("the second process").await;
    let payments = after.atrion.route("payments");
    until("the breaker is open again", || payments.is_open()).await;
    assert!(payments.explain(Priority::Normal).parts.scar > 5.0);
    assert!(!after.atrion.route("steady").is_open());
    after.assert_unharmed().await;
}

async fn what_is_restored_is_what_time_has_left() {
    let server = PostgresServer::start().unwrap();
    let first = connected(node(&server.url(), "pod")).await;
    first.update_vectors(&batch(100, 400.0)).await.expect("committed");
    drop(first);
    // As if that had been twenty seconds ago, and once as if a day.
    for (route, ago) in [("route/7", 20.0), ("route/8", 80_000.0)] {
        let sql = format!(
            "UPDATE atrion.vectors SET observed_at = clock_timestamp() - {ago} * interval '1 second' \
             WHERE route = '{route}'"
        );
        server.sql(&sql).unwrap();
        let second = connected(node(&server.url(), "pod")).await;
        let held = second.get_vector(route).await.expect("serves").expect("it was stored");
        let stored = stored_scar(&server, "pod", route).expect("a row");
        let now = MonotonicClock::new().now();
        let left = held.scar_tissue.get() * decay(0.1, now.secs_since(held.timestamp));
        let expected = stored * decay(0.1, ago);
        // A slow machine takes its time between the two looks: one percent is 100 ms.
        assert!(left <= expected * 1.01, "{route}: {left} of {expected}");
        assert!(left >= expected * decay(0.1, 20.0), "{route}: {left} of {expected}");
        let evidence = held.evidence.get() * decay(0.231, now.secs_since(held.timestamp));
        assert!(evidence <= 100.0 * decay(0.231, ago) * 1.01, "{route}: {evidence}");
        assert_eq!(second.snapshot().await.expect("serves").len(), 100);
    }
}

async fn a_pod_with_a_new_name_takes_the_lower_median_of_the_others() {
    let server = PostgresServer::start().unwrap();
    let url = server.url();
    for (name, dead, liar) in [("a", 480.0, 500.0), ("b", 500.0, 0.0), ("c", 0.0, 0.0)] {
        let pod = connected(node(&url, name)).await;
        pod.update_vector("dead", scarred(dead)).await.expect("committed");
        pod.update_vector("liar", scarred(liar)).await.expect("committed");
    }
    let fresh = connected(node(&url, "new")).await;
    let dead = fresh.get_vector("dead").await.expect("serves").expect("the others know it");
    // Two of three say so; their rows are some moments old.
    assert!((240.0..=480.0).contains(&dead.scar_tissue.get()), "{dead:?}");
    assert_eq!(dead.evidence, Evidence::ZERO, "it has seen nothing itself");
    let liar = fresh.get_vector("liar").await.expect("serves").expect("the others know it");
    assert!(liar.scar_tissue.get() < 1e-9, "{liar:?}");
    assert_eq!(fresh.stats().restored_others, 2);
    // Nothing that was heard is passed on as one's own.
    let rows = server.sql("SELECT count(*) FROM atrion.readable WHERE node = 'new'").unwrap();
    assert_eq!(rows, "0");
    // One that comes back under its own name believes itself.
    let back = connected(node(&url, "c")).await;
    let dead = back.get_vector("dead").await.expect("serves").expect("its own");
    assert!(dead.scar_tissue.get() < 1e-9, "{dead:?}");
}

async fn what_has_no_room_goes_from_the_store_too() {
    let server = PostgresServer::start().unwrap();
    let small = || node(&server.url(), "pod").max_routes(10);
    let pod = connected(small()).await;
    for change in batch(30, 1.0) {
        pod.update_vectors(&[change]).await.expect("committed");
    }
    let rows = server.sql("SELECT count(*) FROM atrion.vectors").unwrap();
    assert_eq!(rows, "10");
    assert_eq!(pod.stats().evictions, 20);
    drop(pod);
    let again = connected(small()).await;
    let held = again.snapshot().await.expect("serves");
    assert_eq!(held.len(), 10);
    assert!(held.iter().any(|held| &*held.route == "route/29"));
    // One that can hold less than there is takes the freshest, and says so.
    let smaller = connected(node(&server.url(), "pod").max_routes(4)).await;
    assert_eq!(smaller.snapshot().await.expect("serves").len(), 4);
    assert_eq!(smaller.stats().left_out, 1);
}

async fn rows_that_nobody_renews_go() {
    let server = PostgresServer::start().unwrap();
    let clock = atrion_state::clock::ManualClock::new();
    let hour = std::time::Duration::from_secs(3_600);
    let builder = || node(&server.url(), "pod").retention(hour);
    let pod = connected(builder().clock(clock.clone())).await;
    let gone = connected(node(&server.url(), "gone")).await;
    gone.update_vectors(&batch(10, 1.0)).await.expect("committed");
    pod.update_vectors(&batch(5, 1.0)).await.expect("committed");
    server
        .sql(
            "UPDATE atrion.vectors v SET observed_at = clock_timestamp() - interval '2 hours' \
             FROM atrion.nodes n WHERE n.id = v.node AND n.name = 'gone'; \
             UPDATE atrion.nodes SET seen_at = clock_timestamp() - interval '2 hours' \
             WHERE name = 'gone'",
        )
        .unwrap();
    let fresh = connected(node(&server.url(), "fresh").retention(hour)).await;
    assert_eq!(fresh.snapshot().await.expect("serves").len(), 5, "what is too old is not read");
    clock.advance(hour);
    pod.update_vectors(&[]).await.expect("serves");
    until("old rows and their node are gone", || {
        server.sql("SELECT count(*) FROM atrion.vectors").unwrap() == "5"
            && server.sql("SELECT count(*) FROM atrion.nodes WHERE name = 'gone'").unwrap() == "0"
    })
    .await;
    until("they were counted", || pod.stats().pruned == 10).await;
}

async fn other_applications_and_schemas_are_others() {
    let server = PostgresServer::start().unwrap();
    let url = server.url();
    let one = connected(node(&url, "pod")).await;
    one.update_vector("r", scarred(50.0)).await.expect("committed");
    for other in [node(&url, "pod").application("another"), node(&url, "pod").schema("my \"own\"")]
    {
        let other = connected(other).await;
        assert_eq!(other.get_vector("r").await.expect("serves"), None);
        other.update_vector("r", scarred(60.0)).await.expect("committed");
    }
    assert!(stored_scar(&server, "pod", "r").is_some_and(|scar| (scar - 50.0).abs() < 1e-9));
}
