//! Ten thousand routes in the browser: what is bounded is asserted, what depends on the machine is
//! measured and written down.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Stage, instance, tests};
use crate::traffic::{Behaviour, Traffic};

tests!(ten_thousand_routes_are_scrolled_while_they_change);

const ROUTES: usize = 10_000;

/// Begins to scroll for some seconds, up and down as a finger would, and notes how long each frame
/// took.
const SCROLL: &str = "
    const scroller = document.querySelector('.grid-scroll');
    const frames = [];
    let rows = 0;
    globalThis.scrolled = (async () => {
        const began = performance.now();
        let last = await new Promise(requestAnimationFrame);
        while (performance.now() - began < SECONDS * 1000) {
            const way = Math.floor((performance.now() - began) / 2000) % 2 === 0 ? 1 : -1;
            scroller.scrollTop += way * 45;
            const now = await new Promise(requestAnimationFrame);
            frames.push(now - last);
            last = now;
            rows = Math.max(rows, document.querySelectorAll('.grid tbody tr').length);
        }
        return {frames, rows};
    })()
";
const SECONDS: u32 = 8;
/// What a frame may take at sixty a second, in milliseconds.
const BUDGET_MS: f64 = 1000.0 / 60.0;

async fn ten_thousand_routes_are_scrolled_while_they_change() {
    let atrion = instance();
    let loads = (0..ROUTES)
        .map(|i| (format!("api/v1/resource/{i:05}/items"), 1, Behaviour::Fine))
        .collect();
    // A request a second for each, so that every row has news in every line, and the machine is the
    // browser's rather than the callers'.
    let traffic = Traffic::spread(&atrion, loads, 50);
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
    let scroll = scroll(&stage).await;
    assert_ne!(stage.run(&format!("return {clock}")).await, then, "figures came meanwhile");
    // However many routes there are, the page has a screenful of rows.
    let rows = scroll["rows"].as_u64().expect("a number");
    assert!((10..=60).contains(&rows), "{rows} rows in the document");
    let elements = stage.run("return document.querySelectorAll('*').length").await;
    assert!(elements.as_u64().is_some_and(|n| n < 2500), "{elements} elements");
    let memory = stage.browser.memory().await.expect("the system says");
    let report = json!({
        "routes": ROUTES,
        "paint": paint,
        "scroll": scroll,
        "load_average": load_average(),
        "elements": elements,
        "heap_mib": mebibytes(memory.heap),
        "renderer_mib": mebibytes(memory.renderer),
    });
    write(&report);
    stage.finish().await;
}

/// Scrolls twice. The first time nobody looks, and what a frame costs is what all of them cost. The
/// second time the counters are read as often as the browser answers, for the most that was done in a
/// stretch: no frame can have taken more. Costs are time of the processor, which does not depend on
/// what else the machine does; the frames delivered are what is left of it.
async fn scroll(stage: &Stage) -> Value {
    let domain = json!({"timeDomain": "threadTicks"});
    stage.browser.devtools("Performance.enable", domain).await.expect("it counts");
    let script = SCROLL.replace("SECONDS", &SECONDS.to_string());
    let before = Work::so_far(stage).await;
    stage.run(&script).await;
    let seen = stage.run("return await scrolled").await;
    let spent = Work::so_far(stage).await.since(before);
    let lengths = seen["frames"].as_array().into_iter().flatten().filter_map(Value::as_f64);
    let mut frames: Vec<f64> = lengths.collect();
    let count = frames.len() as f64;
    let total_ms: f64 = frames.iter().sum();
    let each = |secs: f64| hundredths(secs / count * 1000.0);
    stage.run(&script).await;
    let mut stretches = stretches(stage).await;
    let again = stage.run("return await scrolled").await;
    let rows = [&seen, &again].map(|seen| seen["rows"].as_u64().expect("a number"));
    json!({
        "rows": rows.into_iter().max(),
        "budget_ms": hundredths(BUDGET_MS),
        "work_ms_per_frame": each(spent.page),
        "of_that": {"scripts": each(spent.scripts), "styles": each(spent.styles),
            "layout": each(spent.layout)},
        "all_threads_of_the_page_ms_per_frame": each(spent.process),
        "stretches": {"count": stretches.len(),
            "over_budget": stretches.iter().filter(|&&ms| ms > BUDGET_MS).count(),
            "p50_ms": hundredths(at(&mut stretches, 0.5)),
            "p95_ms": hundredths(at(&mut stretches, 0.95)),
            "heaviest_ms": hundredths(at(&mut stretches, 1.0))},
        "delivered": {"frames": frames.len(), "per_second": hundredths(count / total_ms * 1000.0),
            "p50_ms": hundredths(at(&mut frames, 0.5)), "p95_ms": hundredths(at(&mut frames, 0.95)),
            "longest_ms": hundredths(at(&mut frames, 1.0))},
    })
}

/// What the page's thread did between one look at its counters and the next, in milliseconds.
async fn stretches(stage: &Stage) -> Vec<f64> {
    let first = Work::so_far(stage).await;
    let (mut last, mut stretches) = (first, Vec::new());
    while last.at - first.at < f64::from(SECONDS) {
        let now = Work::so_far(stage).await;
        stretches.push(now.since(last).page * 1000.0);
        last = now;
    }
    stretches
}

/// What the page has worked, in seconds of the processor.
#[derive(Clone, Copy, Debug)]
struct Work {
    /// When, by the browser's clock.
    at: f64,
    /// Its main thread: scripts, styles, layout, painting, everything.
    page: f64,
    scripts: f64,
    styles: f64,
    layout: f64,
    /// All threads of its process: those that rasterise and read the stream as well.
    process: f64,
}

impl Work {
    /// As the browser counts it.
    async fn so_far(stage: &Stage) -> Self {
        let counts = stage.browser.devtools("Performance.getMetrics", json!({})).await;
        let counts = counts.expect("it counts")["metrics"].as_array().cloned().unwrap_or_default();
        let of = |name: &str| {
            let found = counts.iter().find(|count| count["name"] == name);
            found.and_then(|count| count["value"].as_f64()).unwrap_or_else(|| panic!("no {name}"))
        };
        Self {
            at: of("Timestamp"),
            page: of("TaskDuration"),
            scripts: of("ScriptDuration"),
            styles: of("RecalcStyleDuration"),
            layout: of("LayoutDuration"),
            process: of("ProcessTime"),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            at: self.at - before.at,
            page: self.page - before.page,
            scripts: self.scripts - before.scripts,
            styles: self.styles - before.styles,
            layout: self.layout - before.layout,
            process: self.process - before.process,
        }
    }
}

/// The value below which this share of them lies.
fn at(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}

fn hundredths(value: f64) -> Value {
    json!((value * 100.0).round() / 100.0)
}

/// How busy the machine was in the last minute: programs that ran or wanted to, and its processors.
fn load_average() -> Value {
    let said = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Option<f64> = said.split(' ').next().and_then(|load| load.parse().ok());
    json!({"one_minute": load, "processors": std::thread::available_parallelism().map_or(0, usize::from)})
}

fn mebibytes(bytes: u64) -> Value {
    json!((bytes as f64 / 1_048_576.0 * 10.0).round() / 10.0)
}

/// Beside the test's other results: `docs/studio-page.md` says where, and what it said last.
fn write(report: &Value) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("studio-page.json");
    let text = serde_json::to_string_pretty(report).expect("plain values");
    std::fs::write(&file, &text).expect("the report is written");
    println!("{}:\n{text}", file.display());
}
