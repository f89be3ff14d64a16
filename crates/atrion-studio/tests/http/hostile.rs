//! Bodies and paths that nobody's page sends.

use atrion_engine::Atrion;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::{Index, select};

use crate::client::{ask, builder, serve};

/// Requests as the page sends them.
const GOOD: &[(&str, &str, &str)] = &[
    (
        "POST",
        "actions/prepare",
        r#"{"action": "force_open", "route": 1, "expiry_secs": 60, "reason": "x"}"#,
    ),
    ("POST", "actions/prepare", r#"{"action": "reload", "config": {"law": {"probe_secs": 0.5}}}"#),
    ("POST", "actions/prepare", r#"{"action": "shadow_on", "route": 1}"#),
    ("POST", "actions/commit", r#"{"confirm": "0011223344556677"}"#),
    ("POST", "preview/check", r#"{"config": {"route_limit": 5, "physics": {}}}"#),
    ("POST", "preview/run", r#"{"config": {}}"#),
    ("GET", "events?after=3&limit=20", ""),
    ("GET", "routes/1", ""),
    ("GET", "audit?after=0", ""),
];
/// What means something in them.
const WORDS: &[&str] = &[
    "",
    "null",
    "-1",
    "1e999",
    "9007199254740993",
    "18446744073709551616",
    "true",
    "\"\"",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[[[[",
    ",",
    ":",
    "\"reset\"",
    "\"config\":",
    "\"law\":",
    "NaN",
    "%00",
    "/..",
];

proptest! {
    // Each is a connection.
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sent_gets_a_known_answer_and_changes_nothing_by_mistake(
        spoilt in vec((select(GOOD), vec((any::<Index>(), 0..8_usize, select(WORDS)), 1..4)), 1..6),
    ) {
        let atrion = Atrion::builder().build().unwrap();
        let _route = atrion.route("shop");
        let server = serve(builder(&atrion).actions(true).preview(true));
        let before = atrion.config();
        for ((method, path, body), cuts) in spoilt {
            let (mut path, mut body) = (path.to_owned(), body.to_owned());
            let target = if body.is_empty() { &mut path } else { &mut body };
            for (at, length, word) in cuts {
                let at = at.index(target.len() + 1);
                let end = target.len().min(at + length);
                target.replace_range(at..end, word);
            }
            // A path is one word of the request's line.
            let path = path.replace(['"', '{', '}', '[', '\\'], "x");
            let json = "content-type: application/json\r\n";
            let answer = ask(server.addr(), method, &format!("/api/v1/{path}"), json, &body);
            let known = [200, 202, 400, 404, 405, 409, 413, 415, 422, 503];
            prop_assert!(known.contains(&answer.status), "{method} {path} {body}: {}", answer.status);
            if answer.status >= 400 {
                prop_assert!(!answer.code().is_empty(), "{method} {path} {body}");
            }
        }
        // Nothing was confirmed, so nothing was done.
        prop_assert_eq!(before, atrion.config());
        let report = atrion.report("shop").unwrap();
        prop_assert!(report.forced.is_none() && !report.shadow);
    }
}
