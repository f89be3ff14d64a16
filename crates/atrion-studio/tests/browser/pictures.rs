//! The pictures of `docs/studio.md` and `docs/studio-page.md`. They are taken at every run; with `ATRION_BLESS=1` they replace
//! those in `docs/images`.

use std::fs;
use std::path::{Path, PathBuf};

use atrion_testkit::RedisServer;
use atrion_testkit::browser::Theme;

use crate::cluster::poisoned;
use crate::harness::{Stage, tests};

tests!(the_pages_have_their_pictures_taken, the_cluster_has_its_picture_taken);

/// The largest a picture may be, in bytes.
const MOST: u64 = 400_000;

fn folder() -> PathBuf {
    if std::env::var_os("ATRION_BLESS").is_some() {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images")
    } else {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures")
    }
}

async fn take(stage: &Stage, name: &str) {
    let folder = folder();
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join(format!("studio-{name}.png"));
    stage.browser.picture(&file).await.expect("a picture");
    let bytes = fs::read(&file).expect("the picture");
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "{} is no picture", file.display());
    let size = bytes.len() as u64;
    assert!((10_000..=MOST).contains(&size), "{} has {size} bytes", file.display());
}

async fn the_pages_have_their_pictures_taken() {
    let stage = Stage::new().await;
    let place = stage.place_of("api/search").await;
    let history = "Number(document.querySelector('#moment')?.max) >= 40";
    stage.go(&place).await;
    stage.until(history).await;
    stage.reads("The service is saturated").await;
    stage.browser.look(1360, 1180, Theme::Light).await.unwrap();
    take(&stage, "route").await;
    stage.browser.look(1360, 860, Theme::Light).await.unwrap();
    stage.go("#/routes").await;
    stage.until("document.querySelectorAll('.grid tbody tr').length >= 8").await;
    take(&stage, "routes").await;
    stage.browser.look(1360, 860, Theme::Dark).await.unwrap();
    take(&stage, "routes-dark").await;
    stage.browser.look(390, 800, Theme::Light).await.unwrap();
    take(&stage, "routes-narrow").await;
    stage.browser.look(1360, 860, Theme::Light).await.unwrap();
    // What is broken opens anew after each reset.
    stage.go("#/events").await;
    for opened in 1..=4 {
        let rows = "[...document.querySelectorAll('table.log tbody tr')]
            .filter((row) => row.innerText.includes('the breaker opened')).length";
        stage.until(&format!("{rows} >= {opened}")).await;
        stage.atrion.route("api/pay").reset();
    }
    stage.browser.look(1360, 420, Theme::Light).await.unwrap();
    take(&stage, "events").await;
    stage.browser.look(1360, 860, Theme::Light).await.unwrap();
    stage.go("#/config").await;
    stage.until("document.querySelector('#new-config')?.value.includes('probe_secs')").await;
    let edit = "
        const text = document.querySelector('#new-config');
        const config = JSON.parse(text.value);
        config.law.open_ohms = 150;
        config.law.probe_secs = 0.5;
        text.value = JSON.stringify(config, null, 2);
        text.dispatchEvent(new Event('input'));
        scrollTo(0, document.documentElement.scrollHeight)";
    stage.run(edit).await;
    stage.until("document.querySelector('.live-diff').innerText.includes('2 fields')").await;
    take(&stage, "config").await;
    stage.go(&place).await;
    stage.until("document.querySelector('[data-action=force_open]') !== null").await;
    stage.click("[data-action=force_open]").await;
    stage.until("document.querySelector('dialog[open]') !== null").await;
    stage.click("dialog button[type=submit]").await;
    stage.until("document.querySelector('dialog h2').textContent.startsWith('Confirm')").await;
    take(&stage, "confirm").await;
    stage.finish().await;
}

async fn the_cluster_has_its_picture_taken() {
    let redis = RedisServer::start().expect("run `cargo xtask setup`");
    let (stage, others) = poisoned(&redis).await;
    stage.open("#/cluster").await;
    stage.until("document.querySelector('table.voices tr.outlier') !== null").await;
    stage.until("document.querySelector('table.nodes tr.outlier') !== null").await;
    take(&stage, "cluster").await;
    drop(others);
    stage.finish().await;
}
