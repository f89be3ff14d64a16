//! No page breaks a rule that axe-core knows, in either theme.
//!
//! Every place is held against all rules in one theme, and against those of colours in the other: a
//! theme is nothing but colours.

use atrion_testkit::browser::{Rules, Theme};

use crate::harness::{Stage, of_the_network, tests};

tests!(
    no_page_breaks_a_rule,
    no_narrow_page_breaks_a_rule,
    no_dialog_breaks_a_rule,
    no_trouble_breaks_a_rule,
);

const THEMES: [(Theme, Rules); 2] = [(Theme::Light, Rules::All), (Theme::Dark, Rules::Colours)];

/// Places, and what they show once they are complete.
const PLACES: [(&str, &str); 7] = [
    ("#/routes", "document.querySelectorAll('.grid tbody tr').length >= 8"),
    ("#/cluster", "document.body.innerText.includes('This instance stands alone')"),
    ("#/events", "document.querySelectorAll('table.log tbody tr').length > 0"),
    ("#/preview", "document.querySelector('#preview-config')?.value.includes('probe_secs')"),
    ("#/config", "document.querySelectorAll('table.fields tbody tr').length > 10"),
    ("#/audit", "document.body.innerText.includes('Nothing has been done by hand')"),
    ("#/licence", "document.body.innerText.includes('Days left')"),
];
const ROUTE: &str = "document.body.innerText.includes('The service is saturated') &&
    document.querySelectorAll('.chart canvas').length === 3";

/// Looks at the page as it is; figures change meanwhile, as they do for everybody.
async fn check(stage: &Stage, rules: Rules, what: &str) {
    let found = stage.browser.axe(rules).await.expect("axe-core runs");
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

async fn ready(stage: &Stage) {
    stage.until("document.querySelector('#link').dataset.state === 'live'").await;
    stage.until("document.querySelector('#as-of').textContent !== ''").await;
}

/// One document all the way, so that axe-core is loaded once.
async fn look_everywhere(stage: &Stage, width: u32, height: u32) {
    let route = stage.place_of("api/search").await;
    ready(stage).await;
    for (theme, rules) in THEMES {
        stage.browser.look(width, height, theme).await.unwrap();
        for (place, shows) in PLACES.into_iter().chain([(route.as_str(), ROUTE)]) {
            stage.go(place).await;
            stage.until(shows).await;
            check(stage, rules, &format!("{place}, {theme:?}, {width} wide")).await;
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
        stage.go("#/routes").await;
        stage.until(PLACES[0].1).await;
        let choose = format!(
            "const theme = document.querySelector('#theme');
            theme.value = '{choice}';
            theme.dispatchEvent(new Event('change'));
            return getComputedStyle(document.documentElement).backgroundColor"
        );
        assert_eq!(stage.run(&choose).await, ground);
        check(&stage, Rules::Colours, choice).await;
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
    for (theme, rules) in THEMES {
        stage.browser.look(1360, 860, theme).await.unwrap();
        stage.go(&place).await;
        stage.until("document.querySelector('[data-action=force_open]') !== null").await;
        stage.click("[data-action=force_open]").await;
        stage.until("document.querySelector('dialog[open]') !== null").await;
        check(&stage, rules, &format!("the first step, {theme:?}")).await;
        stage.click("dialog button[type=submit]").await;
        stage.until("document.querySelector('dialog h2').textContent.startsWith('Confirm')").await;
        check(&stage, rules, &format!("the second step, {theme:?}")).await;
        stage.click("dialog button[value=cancel]").await;
        stage.until("document.querySelector('dialog') === null").await;
    }
    stage.go("#/config").await;
    stage.until("document.querySelector('#new-config')?.value.includes('probe_secs')").await;
    let spoil = "
        const text = document.querySelector('#new-config');
        text.value = '{\"law\": {\"probe_secs\": -1}}';
        text.dispatchEvent(new Event('input'))";
    stage.run(spoil).await;
    stage.until("document.querySelector('#new-config').ariaInvalid === 'true'").await;
    check(&stage, Rules::All, "a configuration that is refused").await;
    stage.finish_but(|line| line.contains("422")).await;
}

async fn no_trouble_breaks_a_rule() {
    let token = "0123456789abcdef0123456789abcdef";
    let mut stage = Stage::with(|studio| studio.token(token)).await;
    for (theme, rules) in THEMES {
        stage.browser.look(1360, 860, theme).await.unwrap();
        stage.open("").await;
        stage.reads("needs a token").await;
        check(&stage, rules, &format!("without a token, {theme:?}")).await;
    }
    stage.browser.type_text(token).await.unwrap();
    stage.click("form button[type=submit]").await;
    ready(&stage).await;
    stage.server.take().expect("it runs").shutdown();
    stage.reads("No connection to the server").await;
    for (theme, rules) in THEMES {
        stage.browser.look(1360, 860, theme).await.unwrap();
        check(&stage, rules, &format!("without a server, {theme:?}")).await;
    }
    stage.finish_but(of_the_network).await;
}
