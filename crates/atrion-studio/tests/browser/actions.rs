//! What is done by hand, from the button to the audit log.

use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::Force;

use crate::harness::{Stage, tests};

tests!(
    a_force_is_confirmed_acts_ends_by_itself_and_is_written_down,
    shadow_and_reset_act_on_the_route,
    a_changed_state_is_not_acted_upon,
    a_configuration_is_applied_after_its_changes_were_shown,
    a_wrong_configuration_is_named_by_field,
    cancelling_does_nothing,
);

/// Opens the first step of an action on the route that is shown.
async fn begin(stage: &Stage, action: &str) {
    let button = format!("[data-action={action}]");
    stage.until(&format!("document.querySelector('{button}') !== null")).await;
    stage.click(&button).await;
    stage.until("document.querySelector('dialog[open]') !== null").await;
}

/// From the first step to the second.
async fn go_on(stage: &Stage) {
    stage.click("dialog button[type=submit]").await;
    stage.until("document.querySelector('dialog h2').textContent.startsWith('Confirm')").await;
}

async fn say_yes(stage: &Stage) {
    stage.click("dialog button[type=submit]").await;
    stage.until("document.querySelector('dialog') === null").await;
}

/// Chooses an expiry in seconds.
async fn for_seconds(stage: &Stage, seconds: u32) {
    let choose = format!(
        "const choice = document.querySelector('#act-expiry');
        choice.value = 'other';
        choice.dispatchEvent(new Event('change'));
        document.querySelector('#act-secs').value = '{seconds}'"
    );
    stage.run(&choose).await;
}

async fn on_route(stage: &Stage, name: &str) {
    let place = stage.place_of(name).await;
    stage.go(&place).await;
    stage.until(&format!("document.querySelector('h1').textContent === '{name}'")).await;
}

async fn a_force_is_confirmed_acts_ends_by_itself_and_is_written_down() {
    let stage = Stage::new().await;
    let route = stage.atrion.route("api/checkout");
    on_route(&stage, "api/checkout").await;
    begin(&stage, "force_open").await;
    for_seconds(&stage, 3).await;
    stage.click("#act-reason").await;
    stage.browser.type_text("the database moves").await.unwrap();
    go_on(&stage).await;
    assert!(route.admit(Priority::Critical).is_ok(), "nothing is done before it is confirmed");
    say_yes(&stage).await;
    stage.until("document.querySelector('.mode-line').innerText.includes('Forced open')").await;
    stage.reads("Refuses everything by hand").await;
    stage.until("document.querySelector('[data-action=release]') !== null").await;
    // It ends by itself, and both are in the log.
    stage.until("!document.querySelector('.mode-line').innerText.includes('Forced')").await;
    stage.go("#/audit").await;
    stage.reads("the database moves").await;
    stage.reads("Ended by itself").await;
    stage.until("document.querySelector('table.log').innerText.includes('127.0.0.1')").await;
    // What is open can be closed by hand, and released before its time.
    on_route(&stage, "api/pay").await;
    begin(&stage, "force_closed").await;
    go_on(&stage).await;
    say_yes(&stage).await;
    stage.until("document.querySelector('.mode-line').innerText.includes('Forced closed')").await;
    assert!(stage.atrion.route("api/pay").admit(Priority::Bulk).is_ok());
    begin(&stage, "release").await;
    go_on(&stage).await;
    say_yes(&stage).await;
    stage.until("!document.querySelector('.mode-line').innerText.includes('Forced')").await;
    stage.finish().await;
}

async fn shadow_and_reset_act_on_the_route() {
    let stage = Stage::new().await;
    on_route(&stage, "api/search").await;
    begin(&stage, "shadow_on").await;
    go_on(&stage).await;
    say_yes(&stage).await;
    stage.until("document.querySelector('.flags').textContent.includes('shadow')").await;
    begin(&stage, "shadow_off").await;
    go_on(&stage).await;
    say_yes(&stage).await;
    stage.until("!document.querySelector('.flags').textContent.includes('shadow')").await;
    on_route(&stage, "api/pay").await;
    stage.until("document.querySelector('.mode-line').innerText.includes('Open')").await;
    let changes = "document.querySelectorAll('.timeline li').length";
    begin(&stage, "reset").await;
    go_on(&stage).await;
    say_yes(&stage).await;
    // It closes, and opens anew: its service is still broken.
    stage.until(&format!("{changes} >= 2")).await;
    stage.finish().await;
}

async fn a_changed_state_is_not_acted_upon() {
    let stage = Stage::new().await;
    on_route(&stage, "api/checkout").await;
    begin(&stage, "reset").await;
    go_on(&stage).await;
    // Somebody else is quicker.
    stage.atrion.route("api/checkout").force(Force::Open, Duration::from_secs(600));
    stage.click("dialog button[type=submit]").await;
    stage.until("document.querySelector('dialog .problem')?.textContent.length > 10").await;
    assert!(stage.atrion.route("api/checkout").admit(Priority::Critical).is_err(), "still forced");
    stage.click("dialog button[value=cancel]").await;
    stage.go("#/audit").await;
    stage.reads("state had changed").await;
    stage.finish_but(|line| line.contains("409")).await;
}

async fn a_configuration_is_applied_after_its_changes_were_shown() {
    let stage = Stage::new().await;
    stage.open("#/config").await;
    stage.until("document.querySelector('#new-config')?.value.includes('probe_secs')").await;
    let edit = "
        const text = document.querySelector('#new-config');
        const config = JSON.parse(text.value);
        config.law.probe_secs = 0.5;
        text.value = JSON.stringify(config);
        text.dispatchEvent(new Event('input'))";
    stage.run(edit).await;
    stage.until("document.querySelector('.live-diff').innerText.includes('law.probe_secs')").await;
    stage.until("!document.querySelector('#apply').disabled").await;
    stage.click("#apply").await;
    stage.until("document.querySelector('dialog[open]') !== null").await;
    go_on(&stage).await;
    stage.until("document.querySelector('dialog .changes').innerText.includes('0.5')").await;
    assert!((stage.atrion.config().law().probe_secs() - 0.25).abs() < 1e-9, "not confirmed yet");
    say_yes(&stage).await;
    stage.reads("Reloaded 1 time").await;
    assert!((stage.atrion.config().law().probe_secs() - 0.5).abs() < 1e-9);
    let row = "[...document.querySelectorAll('table.fields tbody tr')]
        .find((row) => row.cells[0].textContent === 'law.probe_secs').innerText";
    stage.until(&format!("{row}.includes('Changed')")).await;
    stage.until(&format!("{row}.includes('Other than shipped')")).await;
    stage.finish().await;
}

async fn a_wrong_configuration_is_named_by_field() {
    let stage = Stage::new().await;
    stage.open("#/config").await;
    stage.until("document.querySelector('#new-config')?.value.includes('probe_secs')").await;
    for (text, says) in [
        (r#"{"law": {"probe_secs": -1}}"#, "law.probe_secs"),
        (r#"{"law": {"close_ohms": 200}}"#, "law.close_ohms"),
        (r#"{"lawn": {}}"#, "lawn"),
        (r#"{"law": "#, "Not JSON"),
    ] {
        let put = format!(
            "const text = document.querySelector('#new-config');
            text.value = {text:?};
            text.dispatchEvent(new Event('input'))"
        );
        stage.run(&put).await;
        stage
            .until(&format!(
                "document.querySelector('#new-config-problem').textContent.includes('{says}')"
            ))
            .await;
        stage.until("document.querySelector('#apply').disabled").await;
    }
    stage.click("#undo").await;
    stage.until("document.querySelector('#new-config-problem').textContent === ''").await;
    assert!((stage.atrion.config().law().probe_secs() - 0.25).abs() < 1e-9, "nothing was applied");
    stage.finish_but(|line| line.contains("422") || line.contains("400")).await;
}

async fn cancelling_does_nothing() {
    let stage = Stage::new().await;
    on_route(&stage, "api/checkout").await;
    begin(&stage, "force_open").await;
    stage.click("dialog button[value=cancel]").await;
    stage.until("document.querySelector('dialog') === null").await;
    begin(&stage, "force_open").await;
    go_on(&stage).await;
    stage.click("dialog button[value=cancel]").await;
    stage.until("document.querySelector('dialog') === null").await;
    assert!(stage.atrion.route("api/checkout").admit(Priority::Critical).is_ok());
    stage.go("#/audit").await;
    stage.reads("Nothing has been done by hand").await;
    stage.finish().await;
}
