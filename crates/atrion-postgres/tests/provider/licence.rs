//! What the licence allows, as a provider lives it.

use std::sync::Arc;

use atrion_engine::{Atrion, BuildError};
use atrion_license::issue::{Issuer, Terms};
use atrion_license::keyring::KeyUse;
use atrion_license::{Tier, WallTime};
use atrion_state::license::LicensePolicy;
use atrion_state::provider::{Health, StateProvider};
use atrion_testkit::{PostgresServer, logs};

use crate::harness::{Service, key, key_of, node, scarred, stored_scar, tests, until};

tests!(
    what_is_no_licence_keeps_to_memory_and_says_so,
    the_strict_policy_starts_nothing,
    a_licence_is_replaced_while_the_program_runs,
);

/// Keys that are none, with the word for what they are.
fn bad_keys() -> Vec<(String, &'static str)> {
    let terms = |tier, issued| {
        Terms::new(tier, "bad-input".parse().expect("an identifier"), "the test suite", issued)
    };
    let stranger =
        Issuer::from_seed("stranger".parse().expect("an identifier"), KeyUse::Vendor, &[7; 32]);
    let forged = stranger.issue(&terms(Tier::Pro, WallTime::EPOCH)).expect("allowed");
    let good = key();
    let keys = [
        (String::new(), "missing"),
        ("garbage-that-somebody-pasted-here".to_owned(), "invalid"),
        (good[..good.len() - 1].to_owned(), "invalid"),
        (forged, "invalid"),
        (key_of(&terms(Tier::Development, WallTime::EPOCH)), "expired"),
    ];
    for (key, _) in &keys {
        logs::forbid_key(key);
    }
    keys.into()
}

fn connections(server: &PostgresServer) -> String {
    server.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'").unwrap()
}

async fn what_is_no_licence_keeps_to_memory_and_says_so() {
    let server = PostgresServer::start().unwrap();
    for (key, code) in bad_keys() {
        let service = Service::with_key(node(&server.url(), "pod"), &key);
        let (status, sentence) = service.provider.license_status().expect("it was looked at");
        assert_eq!(status, code, "{sentence}");
        let trouble = service.degraded("no licence").await;
        assert!(trouble.contains("licence"), "{trouble}");
        until("the operator is told, once", || {
            let said = service.seen.complaints();
            said.len() == 1 && said.iter().all(|said| said.contains("licence"))
        })
        .await;
        service.wound("payments").await;
        assert_eq!(service.atrion.flush().await.expect("memory serves").undelivered, 0);
        assert!(service.provider.get_vector("payments").await.expect("serves").is_some());
        assert_eq!(service.provider.stats().opens, 0);
        service.assert_unharmed().await;
    }
    assert_eq!(connections(&server), "0", "nobody connected");
}

async fn the_strict_policy_starts_nothing() {
    let server = PostgresServer::start().unwrap();
    for (key, code) in bad_keys() {
        let provider = Arc::new(node(&server.url(), "pod").build().expect("valid"));
        let built = Atrion::builder()
            .provider(Arc::clone(&provider))
            .license(key)
            .license_policy(LicensePolicy::Strict)
            .build();
        let error = built.expect_err("strict");
        let BuildError::License(refused) = &error else { panic!("{error}") };
        let shown = format!("{error} {error:?} {}", refused.source);
        assert!(!logs::leaks(&shown), "{shown}");
        assert!(shown.contains("persistence"), "{shown}");
        assert_eq!(provider.license_status().map(|(status, _)| status), Some(code));
        assert_eq!(provider.health(), Health::Disconnected);
    }
    assert_eq!(connections(&server), "0", "nobody connected");
}

async fn a_licence_is_replaced_while_the_program_runs() {
    let server = PostgresServer::start().unwrap();
    let service = Service::with_key(node(&server.url(), "pod"), "");
    service.degraded("no licence").await;
    service.wound("payments").await;
    service.atrion.replace_license(key()).expect("lenient");
    service.healthy("a good licence").await;
    until("what happened meanwhile is stored", || {
        stored_scar(&server, "pod", "payments").is_some()
    })
    .await;
    // A bad one does not replace a good one.
    service.atrion.replace_license("garbage").expect("lenient");
    service.provider.update_vector("orders", scarred(9.0)).await.expect("committed");
    assert!(stored_scar(&server, "pod", "orders").is_some());
    service.assert_unharmed().await;
}
