//! Connections that break, servers that go away and come back, tokens and licences that are missing:
//! the page says so and mends itself.

use std::io::Write as _;
use std::net::TcpStream;

use atrion_testkit::{Direction, Fault, FaultProxy};

use crate::harness::{Stage, key, of_the_network, studio, tests};

tests!(
    a_server_that_comes_back_is_found,
    another_process_at_the_same_place_is_noticed,
    a_link_that_only_hangs_is_noticed,
    a_token_is_asked_for_and_stays_out_of_addresses,
    without_a_licence_the_page_says_so_and_waits,
    a_viewer_that_reads_nothing_changes_nothing_for_others,
    a_slow_browser_catches_up,
);

async fn is_live(stage: &Stage) {
    stage.until("document.querySelector('#link').dataset.state === 'live'").await;
}

async fn a_server_that_comes_back_is_found() {
    let mut stage = Stage::new().await;
    stage.open("").await;
    stage.until("document.querySelectorAll('.grid tbody tr').length >= 8").await;
    stage.server.take().expect("it runs").shutdown();
    stage.reads("No connection to the server").await;
    stage.reads("What you see is what was known before").await;
    stage.until("document.querySelector('#link').innerText === 'Disconnected'").await;
    // What was known stays readable.
    let rows = stage.run("return document.querySelectorAll('.grid tbody tr').length").await;
    assert!(rows.as_u64() >= Some(8), "{rows}");
    stage.server = Some(stage.studio.serve(stage.addr).expect("the same port"));
    is_live(&stage).await;
    stage.until("!document.body.innerText.includes('No connection')").await;
    let then = stage.run("return document.querySelector('#as-of').textContent").await;
    stage.until(&format!("document.querySelector('#as-of').textContent !== {then}")).await;
    stage.finish_but(of_the_network).await;
}

async fn another_process_at_the_same_place_is_noticed() {
    let mut stage = Stage::new().await;
    let place = stage.place_of("api/search").await;
    stage.go(&place).await;
    stage.until("document.querySelector('h1').textContent === 'api/search'").await;
    stage.server.take().expect("it runs").shutdown();
    stage.reads("No connection to the server").await;
    // What comes after it has seen other routes first, so that ids differ.
    let other = studio(&stage.atrion).instance("checkout-2").build().expect("valid");
    stage.server = Some(other.serve(stage.addr).expect("the same port"));
    stage.studio = other;
    stage.reads("checkout-2").await;
    stage.until("document.querySelector('h1').textContent === 'api/search'").await;
    stage.until("document.querySelector('table.parts tfoot').innerText.includes('0')").await;
    stage.finish_but(of_the_network).await;
}

async fn a_link_that_only_hangs_is_noticed() {
    let mut stage = Stage::new().await;
    let proxy = FaultProxy::start(stage.addr.port()).await.expect("a proxy");
    stage.addr.set_port(proxy.port());
    stage.open("").await;
    is_live(&stage).await;
    proxy.set(Direction::ToClient, Fault::Stall);
    stage.reads("Nothing has come for a while").await;
    proxy.set(Direction::ToClient, Fault::Pass);
    is_live(&stage).await;
    stage.finish_but(of_the_network).await;
}

async fn a_token_is_asked_for_and_stays_out_of_addresses() {
    let token = "0123456789abcdef0123456789abcdef";
    let stage = Stage::with(|studio| studio.token(token)).await;
    stage.open("").await;
    stage.reads("needs a token").await;
    stage.until("document.activeElement.id === 'token'").await;
    stage.browser.type_text("a wrong one, surely").await.unwrap();
    stage.click("form button[type=submit]").await;
    stage.reads("was not accepted").await;
    stage.browser.type_text(token).await.unwrap();
    stage.click("form button[type=submit]").await;
    is_live(&stage).await;
    let place = stage.place_of("api/search").await;
    stage.go(&place).await;
    stage.until("document.querySelector('h1').textContent === 'api/search'").await;
    // This tab keeps it, and nothing else does.
    stage.browser.reload().await.unwrap();
    is_live(&stage).await;
    let leaks = stage
        .run(&format!(
            "const seen = [location.href, document.cookie, JSON.stringify(localStorage), document.title,
                ...performance.getEntriesByType('resource').map((entry) => entry.name)];
            return seen.filter((text) => text.includes('{token}'))"
        ))
        .await;
    assert_eq!(leaks, serde_json::json!([]));
    // The browser writes refused requests to the console by itself.
    stage.finish_but(|line| line.contains("401")).await;
}

async fn without_a_licence_the_page_says_so_and_waits() {
    let stage = Stage::with(|studio| studio.license("")).await;
    stage.open("").await;
    stage.until("document.querySelector('#link').innerText === 'No licence'").await;
    stage.until("document.querySelector('h1').textContent === 'Licence'").await;
    stage.reads("cargo xtask license dev").await;
    stage.studio.replace_license(key()).expect("a good one");
    is_live(&stage).await;
    stage.until("document.querySelectorAll('.grid tbody tr').length >= 8").await;
    stage.finish_but(|line| line.contains("403")).await;
}

async fn a_viewer_that_reads_nothing_changes_nothing_for_others() {
    let stage = Stage::new().await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut viewer = TcpStream::connect(stage.addr).expect("a connection");
        let host = stage.addr;
        write!(viewer, "GET /api/v1/stream HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("sent");
        silent.push(viewer);
    }
    stage.open("").await;
    is_live(&stage).await;
    for _ in 0..8 {
        let then = stage.run("return document.querySelector('#as-of').textContent").await;
        stage.until(&format!("document.querySelector('#as-of').textContent !== {then}")).await;
        // Half of them vanish meanwhile, without a word.
        silent.pop();
    }
    let state = stage.run("return document.querySelector('#link').dataset.state").await;
    assert_eq!(state, "live");
    stage.finish().await;
}

async fn a_slow_browser_catches_up() {
    let stage = Stage::new().await;
    stage.open("").await;
    is_live(&stage).await;
    let slow = |rate: u32| serde_json::json!({ "rate": rate });
    stage.browser.devtools("Emulation.setCPUThrottlingRate", slow(20)).await.unwrap();
    let then = stage.run("return document.querySelector('#as-of').textContent").await;
    stage.until(&format!("document.querySelector('#as-of').textContent !== {then}")).await;
    stage.browser.devtools("Emulation.setCPUThrottlingRate", slow(1)).await.unwrap();
    is_live(&stage).await;
    stage.until("document.querySelectorAll('.grid tbody tr').length >= 8").await;
    stage.finish().await;
}
