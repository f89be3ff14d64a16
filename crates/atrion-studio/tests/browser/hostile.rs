//! Names that want to be more than names stay text, everywhere they are shown.

use serde_json::Value;

use crate::harness::{Stage, instance, tests};
use crate::traffic::Traffic;

tests!(hostile_names_stay_text, what_cannot_be_seen_is_written_out);

const SCRIPT: &str = "<script>globalThis.__pwned = 1</script>";
const IMAGE: &str = "\"><img src=x onerror=\"globalThis.__pwned = 2\">";
const OVERRIDE: &str = "\u{202e}gnp.exe\u{202c}/api";
const CONTROLS: &str = "a\nb\tc\u{0}d\u{7}\\n";
const TEMPLATE: &str = "${globalThis.__pwned = 3}{{constructor.constructor('__pwned=4')()}}";

fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        SCRIPT,
        IMAGE,
        OVERRIDE,
        CONTROLS,
        TEMPLATE,
        " lead  trail ",
        "\u{645}\u{633}\u{627}\u{631}/1",
    ]
    .map(str::to_owned)
    .into();
    names.push("x".repeat(512));
    names
}

async fn stage() -> Stage {
    let atrion = instance();
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let traffic = Traffic::usual_and(&atrion, &names);
    Stage::of(atrion, traffic, |studio| studio.actions(true).preview(true)).await
}

/// Nothing of a name became an element, ran, or left its place.
async fn assert_inert(stage: &Stage, place: &str) {
    assert_eq!(stage.run("return globalThis.__pwned ?? null").await, Value::Null, "{place}");
    let strange = "return document.querySelectorAll('body script, img, iframe, object').length";
    assert_eq!(stage.run(strange).await, 0, "{place}");
    let bare = "
        const marks = /[\\u202a-\\u202e\\u2066-\\u2069\\u0000-\\u0008]/;
        return marks.test(document.body.textContent) || marks.test(document.title)";
    assert_eq!(stage.run(bare).await, false, "{place} shows marks of direction or controls");
}

async fn hostile_names_stay_text() {
    let stage = stage().await;
    for name in [SCRIPT, IMAGE, TEMPLATE] {
        let place = stage.place_of(name).await;
        stage.until("document.querySelector('.grid tbody bdi') !== null").await;
        assert_inert(&stage, "the overview").await;
        stage.go(&place).await;
        let name = Value::from(name);
        stage.until(&format!("document.querySelector('h1').textContent === {name}")).await;
        stage.until(&format!("document.title.startsWith({name})")).await;
        stage.until("document.querySelector('[data-action=force_open]') !== null").await;
        stage.click("[data-action=force_open]").await;
        stage.until(&format!("document.querySelector('.subject')?.textContent === {name}")).await;
        stage.click("dialog button[type=submit]").await;
        stage
            .until(&format!(
                "document.querySelector('.summary')?.textContent.includes({name}.slice(0, 10))"
            ))
            .await;
        assert_inert(&stage, "a dialog").await;
        stage.click("dialog button[type=submit]").await;
        stage.until("document.querySelector('dialog') === null").await;
        for place in ["#/audit", "#/events"] {
            stage.go(place).await;
            stage
                .until(&format!(
                    "[...document.querySelectorAll('.log bdi')].some((e) => e.textContent === {name})"
                ))
                .await;
            assert_inert(&stage, place).await;
        }
    }
    stage.go("#/preview").await;
    stage.click("#preview-route").await;
    stage.until("document.querySelectorAll('#preview-routes option').length > 5").await;
    assert_inert(&stage, "the preview").await;
    stage.finish().await;
}

async fn what_cannot_be_seen_is_written_out() {
    let stage = stage().await;
    stage.open("#/routes").await;
    stage.until("document.querySelectorAll('.grid tbody tr').length >= 9").await;
    let shown =
        "return [...document.querySelectorAll('.grid tbody bdi')].map((e) => e.textContent)";
    let shown = stage.run(shown).await;
    let shown: Vec<&str> =
        shown.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for name in [
        "\\u{202E}gnp.exe\\u{202C}/api",
        "a\\nb\\tc\\0d\\u{7}\\\\n",
        "\\u{20}lead \\u{20}trail\\u{20}",
        "\u{645}\u{633}\u{627}\u{631}/1",
    ] {
        assert!(shown.contains(&name), "{name} is not among {shown:#?}");
    }
    assert_inert(&stage, "the overview").await;
    // Every name has a direction of its own, so that one cannot turn its neighbours around.
    let isolated = "
        return [...document.querySelectorAll('.grid tbody bdi')].every((e) =>
            getComputedStyle(e).unicodeBidi.startsWith('isolate'))";
    assert_eq!(stage.run(isolated).await, true);
    // A long one is cut by the eye only, and does not make the table wider.
    let cut = "
        const cell = [...document.querySelectorAll('.grid tbody td')]
            .find((cell) => cell.textContent === 'x'.repeat(512));
        return cell !== undefined && cell.offsetWidth < 600";
    assert_eq!(stage.run(cut).await, true);
    let place = stage.place_of(&"x".repeat(512)).await;
    stage.go(&place).await;
    stage.until("document.querySelector('h1').textContent.length === 512").await;
    let wide = stage.run("return document.documentElement.scrollWidth > innerWidth").await;
    assert_eq!(wide, false);
    stage.finish().await;
}
