//! Every page shows what a real instance does.

use crate::harness::{Stage, tests};

tests!(
    all_routes_are_shown_live,
    a_route_is_shown_in_depth,
    the_other_pages_show_what_there_is,
    routes_are_found_sorted_and_selected,
    what_is_not_allowed_is_not_shown,
    nothing_is_fetched_from_elsewhere,
    paused_means_paused,
);

/// The text of a cell in the row of a route.
fn cell(route: &str, column: usize) -> String {
    format!(
        "[...document.querySelectorAll('.grid tbody tr')]
            .find((row) => row.cells[0].textContent === '{route}')?.cells[{column}].textContent"
    )
}

async fn all_routes_are_shown_live() {
    let stage = Stage::new().await;
    stage.open("").await;
    stage.until("document.querySelector('#link').dataset.state === 'live'").await;
    stage.until(&format!("{}?.startsWith('Open')", cell("api/pay", 1))).await;
    stage.until(&format!("{}?.startsWith('Closed')", cell("api/checkout", 1))).await;
    stage.until(&format!("Number({}) > 0", cell("api/checkout", 5))).await;
    stage.until(&format!("parseFloat({}) > 0", cell("api/search", 6))).await;
    stage.until("Number(document.querySelector('.grid').ariaRowCount) >= 9").await;
    // The clock on the page goes on, so figures are of now.
    let then = stage.run("return document.querySelector('#as-of').textContent").await;
    stage.until(&format!("document.querySelector('#as-of').textContent !== {then}")).await;
    // A shadowed route refuses nobody: what it would have refused is in brackets.
    stage.atrion.route("api/search").set_shadow(true);
    stage.until(&format!("/^\\(.+\\)$/.test({})", cell("api/search", 6))).await;
    stage.finish().await;
}

async fn a_route_is_shown_in_depth() {
    let stage = Stage::new().await;
    let place = stage.place_of("api/search").await;
    stage.go(&place).await;
    stage.until("document.querySelector('h1').textContent === 'api/search'").await;
    stage.until("document.activeElement === document.querySelector('h1')").await;
    stage.until("document.title.startsWith('api/search')").await;
    // The parts add up to the resistance that is shown above them.
    let sum = "
        (() => {
            const figure = (cell) => Number(cell.textContent.replace(/[^0-9.]/g, ''));
            const table = document.querySelector('table.parts');
            const parts = [...table.tBodies[0].rows].map((row) => figure(row.cells[1]));
            const whole = figure(table.tFoot.rows[0].cells[1]);
            const sum = parts.reduce((a, b) => a + b, 0);
            return parts.length === 11 && whole > 0 && Math.abs(sum - whole) <= 0.02 * whole + 0.01;
        })()";
    stage.until(sum).await;
    stage.until("document.body.innerText.includes('opens at 100')").await;
    // Requests of every priority came, and some were refused with an explanation.
    stage.until("document.querySelectorAll('table.parts')[1].tBodies[0].rows.length === 5").await;
    stage.until("document.body.innerText.includes('The service is saturated')").await;
    let painted = "
        [...document.querySelectorAll('.chart canvas')].length === 3
        && [...document.querySelectorAll('.chart canvas, .mode-strip')].every((canvas) => {
            const {width, height} = canvas;
            const {data} = canvas.getContext('2d').getImageData(0, 0, width, height);
            return new Set(new Uint32Array(data.buffer)).size > 2;
        })";
    stage.until(painted).await;
    // The broken one says what it waits for.
    let place = stage.place_of("api/pay").await;
    stage.go(&place).await;
    stage.until("document.querySelector('.mode-line').innerText.includes('Open')").await;
    stage.reads("Only probes pass").await;
    stage.reads("breaker open").await;
    // Its changes of mode stay, whichever of the server's lines come.
    let changes = "document.querySelectorAll('.timeline li').length";
    stage.until(&format!("{changes} >= 1")).await;
    let seen = stage.run("return Number(document.querySelector('#moment').max)").await;
    stage.until(&format!("document.querySelector('#moment').max > {seen} + 12")).await;
    assert_ne!(stage.run(&format!("return {changes}")).await, 0, "no change of mode is shown");
    // A look back shows another moment's figures.
    stage.until("document.querySelector('#moment').max > 4").await;
    let back = "
        const slider = document.querySelector('#moment');
        slider.value = 0;
        slider.dispatchEvent(new Event('input'));
        return document.querySelector('table.parts caption').textContent";
    let caption = stage.run(back).await;
    assert!(caption.as_str().is_some_and(|text| text.ends_with("ago")), "{caption}");
    // Reading pixels as this test does is what the browser would like to be told beforehand.
    stage.finish_but(|line| line.contains("willReadFrequently")).await;
}

async fn the_other_pages_show_what_there_is() {
    let stage = Stage::new().await;
    stage.open("#/events").await;
    stage.reads("the breaker opened").await;
    stage.until("document.querySelector('table.log').innerText.includes('api/pay')").await;
    stage.go("#/cluster").await;
    stage.reads("stands alone").await;
    stage.go("#/config").await;
    stage.until("document.querySelector('table.fields').tBodies[0].rows.length > 30").await;
    stage.reads("law.open_ohms").await;
    stage.go("#/audit").await;
    stage.reads("Nothing has been done by hand").await;
    stage.go("#/licence").await;
    stage.reads("the test suite").await;
    stage.go("#/preview").await;
    stage.reads("Nothing is recorded").await;
    stage.go("#/nowhere").await;
    stage.until("document.querySelector('h1').textContent === 'Routes'").await;
    stage.finish().await;
}

async fn routes_are_found_sorted_and_selected() {
    let stage = Stage::new().await;
    stage.open("#/routes").await;
    stage.until("document.querySelectorAll('.grid tbody tr').length >= 8").await;
    let names = "[...document.querySelectorAll('.grid tbody tr')]
        .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map((row) => row.cells[0].textContent)";
    stage.click(".grid th:first-child button").await;
    stage
        .until(&format!(
            "(() => {{ const n = {names}; return n.join() === n.toSorted().join(); }})()"
        ))
        .await;
    stage.click(".grid th:first-child button").await;
    stage
        .until(&format!(
            "(() => {{ const n = {names}; return n.join() === n.toSorted().reverse().join(); }})()"
        ))
        .await;
    let sorted = stage.run("return document.querySelector('.grid th').ariaSort").await;
    assert_eq!(sorted, "descending");
    stage.click("#find").await;
    stage.browser.type_text("PAY").await.unwrap();
    stage.until(&format!("{names}.join() === 'api/pay'")).await;
    stage.reads("1 of ").await;
    stage.browser.type_text("zzz").await.unwrap();
    stage.reads("No route matches").await;
    let choose = "
        document.querySelector('#find').value = '';
        const selection = document.querySelector('#selection');
        selection.value = 'open';
        selection.dispatchEvent(new Event('change'))";
    stage.run(choose).await;
    stage.until(&format!("{names}.join() === 'api/pay'")).await;
    stage.finish().await;
}

async fn what_is_not_allowed_is_not_shown() {
    let stage = Stage::with(|studio| studio).await;
    stage.open("").await;
    stage.reads("Read only").await;
    let place = stage.place_of("api/pay").await;
    stage.go(&place).await;
    stage.until("document.querySelector('h1').textContent === 'api/pay'").await;
    stage.until("document.querySelector('table.parts') !== null").await;
    let buttons = stage.run("return document.querySelectorAll('[data-action]').length").await;
    assert_eq!(buttons, 0);
    stage.go("#/config").await;
    stage.reads("read only").await;
    let editors = stage.run("return document.querySelectorAll('textarea, #apply').length").await;
    assert_eq!(editors, 0);
    stage.go("#/audit").await;
    stage.reads("changes nothing").await;
    stage.go("#/preview").await;
    stage.reads("switched off").await;
    stage.finish().await;
}

async fn nothing_is_fetched_from_elsewhere() {
    let stage = Stage::new().await;
    stage.open("").await;
    stage.until("document.querySelectorAll('.grid tbody tr').length >= 8").await;
    for place in ["#/events", "#/cluster", "#/config", "#/audit", "#/licence", "#/preview"] {
        stage.go(place).await;
        stage.until("document.querySelector('h1') !== null").await;
    }
    let strangers = stage
        .run(
            "return performance.getEntriesByType('resource').map((entry) => entry.name)
                .filter((name) => !name.startsWith(location.origin + '/'))",
        )
        .await;
    assert_eq!(strangers, serde_json::json!([]));
    stage.finish().await;
}

async fn paused_means_paused() {
    let stage = Stage::new().await;
    stage.open("").await;
    stage.until("document.querySelectorAll('.grid tbody tr').length >= 8").await;
    stage.click("#pause").await;
    stage.until("document.querySelector('#pause').ariaPressed === 'true'").await;
    let text = "document.querySelector('.grid tbody').innerText";
    let before = stage.run(&format!("return {text}")).await;
    // The clock goes on, so figures came, and none of them was drawn.
    let clock = stage.run("return document.querySelector('#as-of').textContent").await;
    stage.until(&format!("document.querySelector('#as-of').textContent !== {clock}")).await;
    assert_eq!(stage.run(&format!("return {text}")).await, before);
    stage.click("#pause").await;
    stage.until(&format!("{text} !== {before}")).await;
    stage.finish().await;
}
