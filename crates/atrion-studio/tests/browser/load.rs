//! Ten thousand routes in the browser: what is bounded is asserted, what depends on the machine is
//! measured and written down.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Stage, instance, tests};
use crate::traffic::{Behaviour, Traffic};

tests!(ten_thousand_routes_are_scrolled_while_they_change);

const ROUTES: usize = 10_000;

/// Scrolls for some seconds as a finger would, and notes how long each frame took.
const SCROLL: &str = "
    const scroller = document.querySelector('.grid-scroll');
    const frames = [];
    const began = performance.now();
    let last = await new Promise(requestAnimationFrame);
    let most = 0;
    while (performance.now() - began < 8000) {
        const way = Math.floor((performance.now() - began) / 2000) % 2 === 0 ? 1 : -1;
        scroller.scrollTop += way * 45;
        const now = await new Promise(requestAnimationFrame);
        frames.push(now - last);
        last = now;
        most = Math.max(most, document.querySelectorAll('.grid tbody tr').length);
    }
    frames.sort((a, b) => a - b);
    const at = (share) => frames[Math.min(frames.length - 1, Math.floor(frames.length * share))];
    const sum = frames.reduce((a, b) => a + b, 0);
    return {frames: frames.length, per_second: frames.length / sum * 1000, p50_ms: at(0.5),
        p95_ms: at(0.95), p99_ms: at(0.99), longest_ms: at(1), rows: most,
        late: frames.filter((ms) => ms > 25).length}
";

async fn ten_thousand_routes_are_scrolled_while_they_change() {
    let atrion = instance();
    let loads = (0..ROUTES)
        .map(|i| (format!("api/v1/resource/{i:05}/items"), 1, Behaviour::Fine))
        .collect();
    let traffic = Traffic::of(&atrion, loads);
    // As by default: once a second.
    let stage = Stage::of(atrion, traffic, |studio| studio.interval(Duration::from_secs(1))).await;
    stage.open("").await;
    stage.until(&format!("Number(document.querySelector('.grid')?.ariaRowCount) > {ROUTES}")).await;
    let paint = stage
        .run(
            "const first = performance.getEntriesByName('first-contentful-paint')[0];
            const data = performance.getEntriesByName('studio-data')[0];
            return {first_paint_ms: first?.startTime ?? null, data_ms: data?.startTime ?? null}",
        )
        .await;
    assert!(paint["first_paint_ms"].is_number() && paint["data_ms"].is_number(), "{paint}");
    // By resistance, so that the order changes with the figures.
    stage.run("document.querySelector('#by').value = 'admitted_rate'").await;
    stage.run("document.querySelector('#by').dispatchEvent(new Event('change'))").await;
    let clock = "document.querySelector('#as-of').textContent";
    let then = stage.run(&format!("return {clock}")).await;
    let before = busy_secs(&stage).await;
    let scroll = stage.run(SCROLL).await;
    let frames = scroll["frames"].as_f64().unwrap_or(f64::NAN);
    let work_ms = (busy_secs(&stage).await - before) / frames * 1000.0;
    assert_ne!(stage.run(&format!("return {clock}")).await, then, "figures came meanwhile");
    // However many routes there are, the page has a screenful of rows.
    let rows = scroll["rows"].as_u64().unwrap_or(u64::MAX);
    assert!((10..=60).contains(&rows), "{rows} rows in the document");
    let elements = stage.run("return document.querySelectorAll('*').length").await;
    assert!(elements.as_u64().is_some_and(|n| n < 2500), "{elements} elements");
    let memory = stage.browser.memory().await.expect("the system says");
    let report = json!({
        "routes": ROUTES,
        "paint": paint,
        "scroll": scroll,
        "work_ms_per_frame": (work_ms * 100.0).round() / 100.0,
        "elements": elements,
        "heap_mib": mebibytes(memory.heap),
        "renderer_mib": mebibytes(memory.renderer),
    });
    write(&report);
    stage.finish().await;
}

/// What the page's thread has worked so far, in seconds of the processor: unlike the length of a
/// frame, it does not depend on what else the machine does.
async fn busy_secs(stage: &Stage) -> f64 {
    let domain = json!({"timeDomain": "threadTicks"});
    stage.browser.devtools("Performance.enable", domain).await.expect("it counts");
    let counts = stage.browser.devtools("Performance.getMetrics", json!({})).await.expect("counts");
    let counts = counts["metrics"].as_array().cloned().unwrap_or_default();
    let busy = counts.iter().find(|count| count["name"] == "TaskDuration");
    busy.and_then(|count| count["value"].as_f64()).expect("a number")
}

fn mebibytes(bytes: u64) -> Value {
    json!((bytes as f64 / 1_048_576.0 * 10.0).round() / 10.0)
}

/// Beside the test's other results: `docs/studio.md` says where, and what it said last.
fn write(report: &Value) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("studio-page.json");
    let text = serde_json::to_string_pretty(report).expect("plain values");
    std::fs::write(&file, &text).expect("the report is written");
    println!("{}:\n{text}", file.display());
}
