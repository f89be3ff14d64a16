use proptest::prelude::*;

use super::*;
use http::Request;

fn head_with(pairs: &[(&'static str, &[u8])]) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in pairs {
        let value = HeaderValue::from_bytes(value).expect("allowed in a header");
        request.headers_mut().append(*name, value);
    }
    request
}

fn trusting() -> PriorityPolicy {
    PriorityPolicy { trusted: Some(Arc::new(|_| true)), ..PriorityPolicy::default() }
}

/// The voltage and how many headers were malformed.
fn read(policy: &PriorityPolicy, pairs: &[(&'static str, &[u8])]) -> (f64, u64) {
    let malformed = Counter::default();
    let request = head_with(pairs);
    (policy.volts(&RequestHead::of(&request), &malformed).get(), malformed.get())
}

#[test]
fn without_trust_headers_are_not_even_read() {
    let policy = PriorityPolicy::default();
    assert_eq!(read(&policy, &[(VOLTAGE_HEADER, b"100"), (TIER_HEADER, b"critical")]), (20.0, 0));
    assert_eq!(read(&policy, &[(VOLTAGE_HEADER, b"rubbish")]), (20.0, 0));
}

#[test]
fn a_predicate_decides_whom_to_trust() {
    let trusted: Arc<TrustFn> = Arc::new(|head| head.headers.contains_key("x-from-gateway"));
    let policy = PriorityPolicy { trusted: Some(trusted), ..PriorityPolicy::default() };
    assert_eq!(read(&policy, &[(TIER_HEADER, b"high")]), (20.0, 0));
    assert_eq!(read(&policy, &[(TIER_HEADER, b"high"), ("x-from-gateway", b"1")]), (50.0, 0));
}

#[test]
fn voltages_and_tiers_of_trusted_callers_are_read() {
    let policy = trusting();
    for (text, volts) in [("35", 35.0), ("12.5", 12.5), (" 7 ", 7.0), (".5", 0.5), ("0", 0.0)] {
        assert_eq!(read(&policy, &[(VOLTAGE_HEADER, text.as_bytes())]), (volts, 0), "{text:?}");
    }
    for tier in Priority::ALL {
        assert_eq!(
            read(&policy, &[(TIER_HEADER, tier.as_str().as_bytes())]),
            (tier.volts().get(), 0)
        );
    }
    assert_eq!(read(&policy, &[(TIER_HEADER, b"HIGH")]), (50.0, 0));
    let both: &[(&str, &[u8])] = &[(TIER_HEADER, b"bulk"), (VOLTAGE_HEADER, b"42")];
    assert_eq!(read(&policy, both), (42.0, 0), "the exact number goes before the tier");
}

#[test]
fn malformed_headers_are_ignored_and_counted() {
    let policy = trusting();
    let long = "1".repeat(LONGEST_VOLTAGE + 1);
    for bad in [
        "", "NaN", "nan", "inf", "-inf", "infinity", "-1", "+1", "1e3", "1,5", "1.2.3", ".",
        "0x10", "1_000", "1 2", "1V", &long,
    ] {
        assert_eq!(read(&policy, &[(VOLTAGE_HEADER, bad.as_bytes())]), (20.0, 1), "{bad:?}");
    }
    assert_eq!(read(&policy, &[(VOLTAGE_HEADER, b"\xff\xfe")]), (20.0, 1));
    for bad in ["", "urgent", "normal,high", "4"] {
        assert_eq!(read(&policy, &[(TIER_HEADER, bad.as_bytes())]), (20.0, 1), "{bad:?}");
    }
    assert_eq!(read(&policy, &[(TIER_HEADER, b"low"), (TIER_HEADER, b"high")]), (20.0, 1));
    let mixed: &[(&str, &[u8])] = &[(VOLTAGE_HEADER, b"-5"), (TIER_HEADER, b"low")];
    assert_eq!(read(&policy, mixed), (5.0, 1), "the tier still counts");
}

#[test]
fn no_header_lifts_a_request_above_the_ceiling() {
    let mut policy = trusting();
    assert_eq!(read(&policy, &[(VOLTAGE_HEADER, b"1000000")]), (100.0, 0));
    policy.header_ceiling = Priority::High.volts();
    assert_eq!(read(&policy, &[(TIER_HEADER, b"critical")]), (50.0, 0));
}

proptest! {
    #[test]
    fn any_bytes_give_a_voltage_within_the_ceiling(
        // All that a header value may hold, with digits more often than not.
        bytes in prop::collection::vec(prop_oneof![b'0'..=b'9', 0x20..=0x7e_u8, 0x80..=0xff_u8], 0..64),
    ) {
        let read = read(&trusting(), &[(VOLTAGE_HEADER, &bytes)]);
        prop_assert!((0.0..=100.0).contains(&read.0));
        prop_assert!(read.1 == 0 || read == (20.0, 1));
    }

    #[test]
    fn what_is_read_is_the_number_that_was_written(volts in 0.0..100.0f64) {
        let text = format!("{volts:.6}");
        let expected: f64 = text.parse().expect("a number");
        prop_assert_eq!(read(&trusting(), &[(VOLTAGE_HEADER, text.as_bytes())]), (expected, 0));
    }

    #[test]
    fn no_text_with_a_sign_exponent_or_letter_is_a_voltage(
        before in "[0-9.]{0,6}", odd in "[-+eEnaifx_, ]", after in "[0-9.]{1,6}",
    ) {
        prop_assume!(!before.is_empty() || odd != " "); // surrounding space is not part of a value
        let text = format!("{before}{odd}{after}");
        prop_assert_eq!(read(&trusting(), &[(VOLTAGE_HEADER, text.as_bytes())]), (20.0, 1));
    }
}
