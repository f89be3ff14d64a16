//! No page breaks a rule that axe-core knows, in either theme.

use atrion_testkit::browser::Theme;

use crate::harness::{Stage, of_the_network, tests};

tests!(
    no_page_breaks_a_rule,
    no_narrow_page_breaks_a_rule,
    no_dialog_breaks_a_rule,
    no_trouble_breaks_a_rule,
);

const THEMES: [Theme; 2] = [Theme::Light, Theme::Dark];
const PLACES: [&str; 7] =
    ["#/routes", "#/cluster", "#/events", "#/preview", "#/config", "#/audit", "#/licence"];

/// Looks at the page as it is.
async fn check(stage: &Stage, what: &str) {
    // Looked at while figures change, so it stands still for the length of the look.
    let found = stage.browser.axe().await.expect("axe-core runs");
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

async fn ready(stage: &Stage) {
    stage.until("document.querySelector('#link').dataset.state === 'live'").await;
    stage.until("document.querySelector('#as-of').textContent !== ''").await;
}

async fn look_everywhere(stage: &Stage, width: u32, height: u32) {
    let route = stage.place_of("api/search").await;
    for theme in THEMES {
        stage.browser.look(width, height, theme).await.unwrap();
        for place in PLACES.iter().copied().chain([route.as_str()]) {
            stage.open(place).await;
            ready(stage).await;
            if place == route {
                stage.reads("The service is saturated").await;
                stage.until("document.querySelectorAll('.chart canvas').length === 3").await;
            }
            check(stage, &format!("{place}, {theme:?}, {width} wide")).await;
        }
    }
}

async fn no_page_breaks_a_rule() {
    let stage = Stage::new().await;
    look_everywhere(&stage, 1360, 860).await;
    // The switch beats the system, both ways.
    for (system, choice, ground) in
        [(Theme::Light, "dark", "rgb(14, 18, 23)"), (Theme::Dark, "light", "rgb(246, 247, 249)")]
    {
        stage.browser.look(1360, 860, system).await.unwrap();
        stage.open("#/routes").await;
        ready(&stage).await;
        let choose = format!(
            "const theme = document.querySelector('#theme');
            theme.value = '{choice}';
            theme.dispatchEvent(new Event('change'));
            return getComputedStyle(document.documentElement).backgroundColor"
        );
        assert_eq!(stage.run(&choose).await, ground);
        check(&stage, choice).await;
    }
    stage.finish().await;
}

async fn no_narrow_page_breaks_a_rule() {
    let stage = Stage::new().await;
    look_everywhere(&stage, 390, 800).await;
    // Only what scrolls on purpose is wider than the window.
    let wide = stage.run("return document.documentElement.scrollWidth > innerWidth").await;
    assert_eq!(wide, false);
    stage.finish().await;
}

async fn no_dialog_breaks_a_rule() {
    let stage = Stage::new().await;
    let place = stage.place_of("api/checkout").await;
    for theme in THEMES {
        stage.browser.look(1360, 860, theme).await.unwrap();
        stage.open(&place).await;
        stage.until("document.querySelector('[data-action=force_open]') !== null").await;
        stage.click("[data-action=force_open]").await;
        stage.until("document.querySelector('dialog[open]') !== null").await;
        check(&stage, &format!("the first step, {theme:?}")).await;
        stage.click("dialog button[type=submit]").await;
        stage.until("document.querySelector('dialog h2').textContent.startsWith('Confirm')").await;
        check(&stage, &format!("the second step, {theme:?}")).await;
        stage.click("dialog button[value=cancel]").await;
    }
    stage.open("#/config").await;
    stage.until("document.querySelector('#new-config')?.value.includes('probe_secs')").await;
    let spoil = "
        const text = document.querySelector('#new-config');
        text.value = '{\"law\": {\"probe_secs\": -1}}';
        text.dispatchEvent(new Event('input'))";
    stage.run(spoil).await;
    stage.until("document.querySelector('#new-config').ariaInvalid === 'true'").await;
    check(&stage, "a configuration that is refused").await;
    stage.finish_but(|line| line.contains("422")).await;
}

async fn no_trouble_breaks_a_rule() {
    let token = "0123456789abcdef0123456789abcdef";
    let mut stage = Stage::with(|studio| studio.token(token)).await;
    for theme in THEMES {
        stage.browser.look(1360, 860, theme).await.unwrap();
        stage.open("").await;
        stage.reads("needs a token").await;
        check(&stage, &format!("without a token, {theme:?}")).await;
    }
    stage.browser.type_text(token).await.unwrap();
    stage.click("form button[type=submit]").await;
    ready(&stage).await;
    stage.server.take().expect("it runs").shutdown();
    stage.reads("No connection to the server").await;
    for theme in THEMES {
        stage.browser.look(1360, 860, theme).await.unwrap();
        check(&stage, &format!("without a server, {theme:?}")).await;
    }
    stage.finish_but(of_the_network).await;
}
