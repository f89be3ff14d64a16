use super::*;

const GOOD: &str = r#"{"v":1,"key":"2026-a","licence":"lic-1","licensee":"Ada & Söhne \"KG\"","tier":"pro","clusters":5,"issued":100,"not_before":100,"expires":200}"#;

fn code(payload: &str) -> &'static str {
    decode(payload.as_bytes()).expect_err(payload).code()
}

fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

#[test]
fn a_payload_reads_as_it_is_written() {
    let claims = decode(GOOD.as_bytes()).unwrap();
    assert_eq!(claims.licensee(), "Ada & Söhne \"KG\"");
    assert_eq!((claims.tier(), claims.cluster_limit()), (Tier::Pro, Some(5)));
    assert_eq!(claims.expires().as_unix_secs(), 200);
    assert_eq!(signer(GOOD.as_bytes()).map(|id| id.to_string()), Ok("2026-a".to_owned()));
}

#[test]
fn there_is_one_form_only() {
    for other in [
        with("{", "{ "),
        with("}", "}\n"),
        with("\"v\":1,\"key\":\"2026-a\"", "\"key\":\"2026-a\",\"v\":1"),
        with("2026-a", "2026\\u002da"),
        with("ö", "\\u00f6"),
        with(",\"clusters\":5", ""),
        with("\"v\":1", "\"v\":1,\"v\":1"),
        with("\"expires\":200", "\"expires\":200,\"expires\":300"),
        with("}", ",\"nodes\":9}"),
        with(":100", ":0100"),
        with(":100", ":1e2"),
        with(":100", ":100.0"),
        "[1,\"2026-a\",\"lic-1\",\"x\",\"pro\",5,100,100,200]".to_owned(),
    ] {
        assert_eq!(code(&other), "payload", "{other}");
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    for bad in
        ["-1", "-0", "NaN", "Infinity", "1e999", "null", "\"5\"", "true", "4294967296", "[5]"]
    {
        if bad != "null" {
            assert_eq!(
                code(&with("clusters\":5", &format!("clusters\":{bad}"))),
                "payload",
                "{bad}"
            );
        }
        assert!(
            decode(with(":200", &format!(":{bad}")).as_bytes()).is_err() || bad == "4294967296"
        );
    }
    assert_eq!(code(&with(":200", ":18446744073709551616")), "payload");
}

#[test]
fn claims_outside_their_range_are_refused() {
    for (from, to, expected) in [
        ("\"key\":\"2026-a\"", "\"key\":\"\"", "claim"),
        ("lic-1", "lic 1", "claim"),
        ("lic-1", "../x", "claim"),
        ("Ada &", " Ada &", "claim"),
        ("Ada &", "Ada\\n&", "claim"),
        ("Ada &", "Ada\u{202e}&", "claim"),
        ("Ada &", "Ada\u{7f}&", "claim"),
        (":200", ":100", "claim"),
        (":200", ":18446744073709551615", "claim"),
        (":200", ":253402300800", "claim"),
        ("not_before\":100", "not_before\":99", "claim"),
        ("clusters\":5", "clusters\":6", "cluster_limit"),
        ("clusters\":5", "clusters\":0", "cluster_limit"),
        ("clusters\":5", "clusters\":null", "cluster_limit"),
        ("\"pro\"", "\"str\"", "cluster_limit"),
        ("\"pro\"", "\"dev\"", "cluster_limit"),
        ("\"pro\"", "\"gold\"", "payload"),
        ("\"pro\"", "\"Pro\"", "payload"),
        ("\"v\":1", "\"v\":2", "unsupported_version"),
    ] {
        assert_eq!(code(&with(from, to)), expected, "{from} -> {to}");
    }
    let long = with("Ada &", &"ä".repeat(MAX_LICENSEE_BYTES / 2 + 1));
    assert_eq!(code(&long), "claim");
}

#[test]
fn fewer_clusters_than_the_tier_allows_are_allowed() {
    for payload in [
        with("clusters\":5", "clusters\":1"),
        with("\"pro\",\"clusters\":5", "\"str\",\"clusters\":1"),
        with("\"pro\",\"clusters\":5", "\"ent\",\"clusters\":null"),
        with("\"pro\",\"clusters\":5", "\"ent\",\"clusters\":40"),
        with("\"pro\",\"clusters\":5", "\"dev\",\"clusters\":null"),
    ] {
        assert!(decode(payload.as_bytes()).is_ok(), "{payload}");
    }
}

#[test]
fn a_development_licence_ends_thirty_days_after_its_issue() {
    let until = |secs: u64| {
        with("\"pro\",\"clusters\":5", "\"dev\",\"clusters\":null")
            .replace(":200", &format!(":{secs}"))
    };
    assert!(decode(until(100 + 30 * DAY_SECS).as_bytes()).is_ok());
    assert_eq!(code(&until(101 + 30 * DAY_SECS)), "development_term");
    let later = until(101 + 31 * DAY_SECS).replace("not_before\":100", "not_before\":9999");
    assert_eq!(code(&later), "development_term", "a later start does not lengthen it");
}

#[test]
fn a_later_format_is_named_whatever_it_holds() {
    for later in [r#"{"v":2}"#, r#"{"x":[[{"y":{}}]],"v":7,"key":9}"#] {
        assert_eq!(signer(later.as_bytes()).unwrap_err().code(), "unsupported_version");
    }
    for none in ["", "{}", "null", r#"{"v":-1}"#, r#"{"v":1.0}"#, r#"{"v":1}"#, r#"{"v":1,"v":2}"#]
    {
        assert_eq!(signer(none.as_bytes()).unwrap_err().code(), "payload", "{none}");
    }
}

#[test]
fn what_is_wrong_with_a_payload_is_said() {
    let why = |payload: &str| decode(payload.as_bytes()).expect_err(payload).to_string();
    for (payload, said) in [
        (with(",\"expires\":200", ""), "a member is missing, unknown, doubled or of another type"),
        (with(":5", ":true"), "a member is missing, unknown, doubled or of another type"),
        (with("}", ""), "it is no JSON"),
        (with("{", "{ "), "it is not in canonical form"),
    ] {
        let why = why(&payload);
        assert!(why.contains(said), "{payload}: {why}");
    }
}
