//! Everything is reached and used without a mouse.

use atrion_core::flow::Priority;
use atrion_testkit::browser::Key;

use crate::harness::{Stage, instance, tests};
use crate::traffic::{Behaviour, Traffic};

tests!(
    a_route_is_found_and_forced_by_keyboard,
    the_table_is_walked_with_arrows,
    a_dialog_keeps_the_focus_and_gives_it_back,
    every_control_is_reached_by_tab,
);

/// The most times Tab is pressed on the way to anything.
const MOST_TABS: usize = 60;

/// Presses Tab until the focus is on an element that matches.
async fn tab_to(stage: &Stage, selector: &str) {
    for _ in 0..MOST_TABS {
        stage.browser.press(&[Key::Tab]).await.unwrap();
        let there = format!("return document.activeElement.matches({selector:?})");
        if stage.run(&there).await == true {
            return;
        }
    }
    let at = stage.run("return document.activeElement.outerHTML.slice(0, 200)").await;
    panic!("Tab does not lead to {selector}; it is at {at}");
}

async fn press(stage: &Stage, keys: &[Key]) {
    stage.browser.press(keys).await.unwrap();
}

async fn a_route_is_found_and_forced_by_keyboard() {
    let stage = Stage::new().await;
    stage.open("").await;
    stage.until("document.querySelectorAll('.grid tbody tr').length >= 8").await;
    // The first stop leads past the navigation.
    press(&stage, &[Key::Tab]).await;
    stage.until("document.activeElement.matches('.skip')").await;
    press(&stage, &[Key::Enter]).await;
    stage.until("document.activeElement.id === 'main'").await;
    tab_to(&stage, "#find").await;
    stage.browser.type_text("checkout").await.unwrap();
    stage.until("document.querySelectorAll('.grid tbody tr').length === 1").await;
    tab_to(&stage, ".grid *").await;
    press(&stage, &[Key::Down]).await;
    stage.until("document.activeElement.textContent === 'api/checkout'").await;
    press(&stage, &[Key::Right, Key::Enter]).await;
    stage.until("document.querySelector('h1').textContent === 'api/checkout'").await;
    // Force it open for half a minute, with a reason.
    stage.until("document.querySelector('[data-action=force_open]') !== null").await;
    tab_to(&stage, "[data-action=force_open]").await;
    press(&stage, &[Key::Enter]).await;
    stage.until("document.querySelector('dialog[open]') !== null").await;
    tab_to(&stage, "#act-expiry").await;
    press(&stage, &[Key::End]).await;
    stage.until("document.querySelector('#act-expiry').value === 'other'").await;
    tab_to(&stage, "#act-reason").await;
    stage.browser.type_text("by keyboard").await.unwrap();
    press(&stage, &[Key::Enter]).await;
    stage.until("document.querySelector('dialog h2')?.textContent.startsWith('Confirm')").await;
    // A second Enter, pressed too soon, confirms nothing.
    press(&stage, &[Key::Enter]).await;
    assert!(stage.atrion.route("api/checkout").admit(Priority::Critical).is_ok());
    tab_to(&stage, "dialog button[type=submit]").await;
    press(&stage, &[Key::Enter]).await;
    stage.until("document.querySelector('dialog') === null").await;
    stage.until("document.querySelector('.mode-line').innerText.includes('Forced open')").await;
    assert!(stage.atrion.route("api/checkout").admit(Priority::Critical).is_err());
    stage.go("#/audit").await;
    stage.reads("by keyboard").await;
    stage.finish().await;
}

async fn the_table_is_walked_with_arrows() {
    let atrion = instance();
    let loads = (0..400).map(|i| (format!("route/{i:03}"), 1, Behaviour::Fine)).collect();
    let traffic = Traffic::of(&atrion, loads);
    let stage = Stage::of(atrion, traffic, |studio| studio).await;
    stage.open("").await;
    stage.until("document.querySelector('.grid').ariaRowCount > 400").await;
    tab_to(&stage, ".grid *").await;
    // In the header, Enter sorts.
    stage.until("document.activeElement.closest('th') !== null").await;
    press(&stage, &[Key::Enter]).await;
    stage.until("document.querySelector('.grid th').ariaSort === 'ascending'").await;
    let at = "document.activeElement.closest('tr').ariaRowIndex";
    let rows = stage.run("return Number(document.querySelector('.grid').ariaRowCount)").await;
    let rows = rows.as_u64().expect("a count, the header included");
    let walk = [
        (Key::Down, 2),
        (Key::Down, 3),
        (Key::Up, 2),
        (Key::Down, 3),
        (Key::Right, 3),
        (Key::End, 3),
        (Key::Home, 3),
    ];
    for (key, row) in walk {
        press(&stage, &[key]).await;
        stage.until(&format!("{at} === '{row}'")).await;
    }
    stage.browser.chord(Key::Control, Key::End).await.unwrap();
    stage.until(&format!("{at} === '{rows}'")).await;
    // What is in focus is in sight, and is the row it says it is.
    let seen = "
        (() => {
            const frame = document.querySelector('.grid-scroll').getBoundingClientRect();
            const row = document.activeElement.closest('tr').getBoundingClientRect();
            return row.bottom <= frame.bottom + 1 && row.top >= frame.top + 25;
        })()";
    stage.until(seen).await;
    press(&stage, &[Key::PageUp]).await;
    stage.until(&format!("Number({at}) < {}", rows.saturating_sub(5))).await;
    stage.until(seen).await;
    stage.browser.chord(Key::Control, Key::Home).await.unwrap();
    stage.until(&format!("{at} === '2'")).await;
    stage.until(seen).await;
    // The mouse wheel takes the row in focus out of sight: the focus waits, and comes back.
    stage.run("document.querySelector('.grid-scroll').scrollTop = 6000").await;
    stage.until("document.activeElement === document.querySelector('.grid')").await;
    press(&stage, &[Key::Down]).await;
    stage.until(&format!("{at} === '3'")).await;
    stage.until(seen).await;
    // One stop for Tab: the next one is behind the table.
    press(&stage, &[Key::Tab]).await;
    stage.until("document.activeElement.closest('.grid tbody, .grid thead') === null").await;
    stage.finish().await;
}

async fn a_dialog_keeps_the_focus_and_gives_it_back() {
    let stage = Stage::new().await;
    let place = stage.place_of("api/checkout").await;
    stage.go(&place).await;
    stage.until("document.querySelector('[data-action=reset]') !== null").await;
    tab_to(&stage, "[data-action=reset]").await;
    press(&stage, &[Key::Enter]).await;
    stage.until("document.querySelector('dialog[open]') !== null").await;
    for _ in 0..12 {
        press(&stage, &[Key::Tab]).await;
        let outside = "
            const at = document.activeElement;
            return at !== document.body && !document.querySelector('dialog').contains(at)";
        assert_eq!(stage.run(outside).await, false, "the focus left the dialog");
    }
    press(&stage, &[Key::Escape]).await;
    stage.until("document.querySelector('dialog') === null").await;
    stage.until("document.activeElement.dataset.action === 'reset'").await;
    stage.finish().await;
}

async fn every_control_is_reached_by_tab() {
    let stage = Stage::new().await;
    let route = stage.place_of("api/search").await;
    for place in [
        "#/routes",
        route.as_str(),
        "#/cluster",
        "#/events",
        "#/preview",
        "#/config",
        "#/audit",
        "#/licence",
    ] {
        stage.open(place).await;
        stage.until("document.querySelector('h1') !== null").await;
        stage.until("document.querySelector('#link').dataset.state === 'live'").await;
        let wanted = "
            globalThis.__wanted = new Set([...document.querySelectorAll(
                'a[href], button, input, select, textarea')].filter((element) =>
                element.checkVisibility() && !element.disabled && element.tabIndex >= 0
                && !element.closest('.grid, table')));
            document.activeElement.blur();
            return __wanted.size";
        let count = stage.run(wanted).await.as_u64().expect("a count");
        assert!(count > 8, "{place} has {count} controls");
        for _ in 0..MOST_TABS {
            press(&stage, &[Key::Tab]).await;
            stage.run("__wanted.delete(document.activeElement)").await;
        }
        let missed = stage
            .run("return [...__wanted].filter((e) => e.isConnected).map((e) => e.outerHTML)")
            .await;
        assert_eq!(missed, serde_json::json!([]), "not reached on {place}");
    }
    stage.finish().await;
}
