//! What the licence allows, as a provider lives it.

use std::sync::Arc;

use atrion_cluster::Client;
use atrion_engine::{Atrion, BuildError};
use atrion_license::issue::{Issuer, Terms};
use atrion_license::keyring::KeyUse;
use atrion_license::{Tier, WallTime};
use atrion_state::license::LicensePolicy;
use atrion_state::peers::Notice;
use atrion_state::provider::{Health, StateProvider};
use atrion_testkit::{RedisServer, Seen, Traffic, logs};

use crate::harness::{Pod, clients, for_each_client, key, key_of, node, on, together, until};

for_each_client!(
    what_is_no_licence_keeps_to_memory_and_says_so,
    the_strict_policy_starts_nothing,
    a_licence_is_replaced_while_the_program_runs,
    the_fourth_node_of_a_development_licence_is_refused_by_name,
);

fn terms(tier: Tier, issued: WallTime) -> Terms {
    Terms::new(tier, "bad-input".parse().expect("an identifier"), "the test suite", issued)
}

/// Keys that are none, with the word for what they are.
fn bad_keys() -> Vec<(String, &'static str)> {
    let good = key();
    let (head, signature) = good.split_once('.').expect("two parts");
    let stranger =
        Issuer::from_seed("stranger".parse().expect("an identifier"), KeyUse::Vendor, &[7; 32]);
    let other = key_of(&terms(Tier::Development, WallTime::EPOCH));
    let (_, other_signature) = other.split_once('.').expect("two parts");
    let forged = stranger.issue(&terms(Tier::Pro, WallTime::EPOCH)).expect("allowed");
    let keys = [
        (String::new(), "missing"),
        ("   ".to_owned(), "missing"),
        ("garbage-that-somebody-pasted-here".to_owned(), "invalid"),
        ("x".repeat(1 << 20), "invalid"),
        (head.to_owned(), "invalid"),
        (good[..good.len() - 1].to_owned(), "invalid"),
        (format!("{head}.{other_signature}"), "invalid"),
        (good.replace("atrion_dev_", "atrion_ent_"), "invalid"),
        (format!("atrion_dev_{}.{signature}", &head[12..]), "invalid"),
        (forged, "invalid"),
        (other, "expired"),
    ];
    for (key, _) in &keys {
        logs::forbid_key(key);
    }
    keys.into()
}

async fn what_is_no_licence_keeps_to_memory_and_says_so(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    for (key, code) in bad_keys() {
        let pod = Pod::with_key(node(client, &url, "pod"), &key);
        let (status, sentence) = pod.provider.license_status().expect("it was looked at");
        assert_eq!(status, code, "{sentence}");
        let view = pod.provider.vitals().license.expect("it was looked at");
        assert_eq!((view.status, &view.message, view.days_left), (code, &sentence, None));
        assert!(!logs::leaks(&sentence), "{sentence}");
        until("one error says what is wrong", || {
            let told = |notice: &Notice| {
                matches!(notice, Notice::License { status, message }
                    if *status == code && !logs::leaks(message))
            };
            pod.seen.count(told) == 1
        })
        .await;
        until("it rests", || pod.health() == Some(Health::Degraded)).await;
        assert!(pod.provider.trouble().is_some_and(|said| said.contains("licence")));
        let traffic = Traffic::start(&pod.atrion, "steady");
        pod.wound("payments").await;
        until("requests flow", || traffic.sent() > 1_000).await;
        traffic.assert_unharmed();
        let report = pod.atrion.flush().await.expect("memory serves");
        assert_eq!(report.undelivered, 0);
        assert!(pod.provider.get_vector("payments").await.expect("serves").is_some());
        assert_eq!(pod.provider.stats().opens, 0);
        pod.atrion.disconnect().await;
    }
    assert_eq!(clients(&server), 0, "nobody connected");
}

async fn the_strict_policy_starts_nothing(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let built = |key: String| {
        let provider = Arc::new(node(client, &url, "pod").build().expect("valid"));
        let instance = Atrion::builder()
            .provider(Arc::clone(&provider))
            .license(key)
            .license_policy(LicensePolicy::Strict)
            .observer(Arc::new(Seen::default()))
            .build();
        (provider, instance)
    };
    for (key, code) in bad_keys() {
        let (provider, instance) = built(key);
        let error = instance.expect_err("strict");
        let BuildError::License(refused) = &error else { panic!("{error}") };
        let shown = format!("{error} {error:?} {}", refused.source);
        assert!(!logs::leaks(&shown), "{shown}");
        assert!(shown.contains("cluster"), "{shown}");
        assert_eq!(provider.license_status().map(|(status, _)| status), Some(code));
        assert_eq!(provider.health(), Health::Disconnected);
        assert_eq!(Arc::strong_count(&provider), 1);
    }
    assert_eq!(clients(&server), 0, "nobody connected");
    let (provider, instance) = built(key());
    let instance = instance.expect("a good licence");
    until("a good one works", || provider.health() == Health::Healthy).await;
    // What works is not given up for what does not.
    for (key, _) in bad_keys() {
        let refused = instance.replace_license(key).expect_err("strict");
        assert!(!logs::leaks(&format!("{refused} {refused:?} {}", refused.source)));
        let (status, sentence) = provider.license_status().expect("there is one");
        assert!(matches!(status, "valid" | "expiring"), "{sentence}");
    }
    assert_eq!(provider.health(), Health::Healthy);
    assert_eq!(provider.stats().opens, 1);
}

async fn a_licence_is_replaced_while_the_program_runs(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let pod = Pod::with_key(node(client, &url, "pod"), "");
    let peer = Pod::new(node(client, &url, "peer"));
    until("it rests", || pod.health() == Some(Health::Degraded)).await;
    pod.wound("payments").await;
    pod.atrion.replace_license(key()).expect("lenient");
    together(&[&pod, &peer]).await;
    until("what happened meanwhile is shared", || peer.atrion.route("payments").is_held()).await;
    let opens = pod.provider.stats().opens;
    // A bad one does not replace a good one; the same or another good one disturbs nothing.
    pod.atrion.replace_license("garbage").expect("lenient");
    pod.atrion.replace_license(key()).expect("lenient");
    pod.provider.update_vector("orders", crate::links::scar()).await.expect("memory serves");
    until("the link goes on", || crate::links::hears(&peer.provider, "orders")).await;
    assert_eq!(pod.provider.stats().opens, opens);
    assert!(pod.is_healthy());
    let refused = |notice: &Notice| matches!(notice, Notice::License { status: "invalid", .. });
    until("the operator is told", || pod.seen.count(refused) == 1).await;
}

async fn the_fourth_node_of_a_development_licence_is_refused_by_name(client: Client) {
    let server = RedisServer::start().unwrap();
    let url = on(server.port());
    let pods = ["a", "b", "c"].map(|name| Pod::new(node(client, &url, name)));
    together(&pods.each_ref()).await;
    let fourth = Pod::new(node(client, &url, "d"));
    let over = |notice: &Notice| {
        matches!(notice, Notice::License { status: "over_limit", message }
            if pods.iter().all(|pod| message.contains(&pod.atrion.nodes()[0].id.to_string())))
    };
    until("it is told who was there before", || fourth.seen.count(over) == 1).await;
    assert_eq!(fourth.health(), Some(Health::Degraded));
    let traffic = Traffic::start(&fourth.atrion, "steady");
    until("requests flow", || traffic.sent() > 1_000).await;
    traffic.assert_unharmed();
    assert!(pods.iter().all(|pod| pod.is_healthy() && pod.names().len() == 3));
    // Another cluster counts by itself.
    let elsewhere = Pod::new(node(client, &url, "d").cluster("elsewhere"));
    until("another cluster has places of its own", || elsewhere.is_healthy()).await;
}
