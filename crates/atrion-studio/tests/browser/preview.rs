//! A recording is replayed under a changed configuration; nothing is applied.

use crate::harness::{Stage, tests};

tests!(a_route_is_recorded_and_replayed);

async fn a_route_is_recorded_and_replayed() {
    let stage = Stage::new().await;
    stage.open("#/preview").await;
    stage.until("document.querySelector('#preview-config')?.value.includes('probe_secs')").await;
    stage.until("document.querySelector('#link').dataset.state === 'live'").await;
    stage.click("#preview-route").await;
    stage.browser.type_text("no such route").await.unwrap();
    stage.click("form button[type=submit]").await;
    stage.reads("There is no route of that name").await;
    stage.run("document.querySelector('#preview-route').value = 'api/search'").await;
    stage.run("document.querySelector('#preview-secs').value = '2'").await;
    stage.click("form button[type=submit]").await;
    stage.reads("Recording").await;
    stage.until("/Recorded [1-9]/.test(document.body.innerText)").await;
    let edit = "
        const text = document.querySelector('#preview-config');
        const config = JSON.parse(text.value);
        config.law.start_limit = 4;
        config.law.queue_min = 0;
        text.value = JSON.stringify(config);
        text.dispatchEvent(new Event('input'))";
    stage.run(edit).await;
    stage.until("document.querySelector('.live-diff').innerText.includes('law.start_limit')").await;
    stage.until("!document.querySelector('#run').disabled").await;
    stage.click("#run").await;
    stage.reads("What would have happened").await;
    stage
        .until("document.querySelectorAll('#main .side table')[0].tBodies[0].rows.length > 0")
        .await;
    stage.until("document.querySelector('.chart canvas') !== null").await;
    assert!((stage.atrion.config().law().start_limit() - 16.0).abs() < 1e-9, "nothing is applied");
    stage.finish().await;
}
