//! Numbers as they are shown: rounded, so that noise costs nothing, and never NaN in JSON.

use std::fmt::Write as _;

/// Powers of ten that rounding needs, exact in binary as far as they are used.
const TENS: [f64; 13] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

/// `x` to three significant digits; what is below 1e-6 is zero, what is not finite is NaN.
pub(crate) fn rounded(x: f64) -> f64 {
    if !x.is_finite() {
        return f64::NAN;
    }
    let size = x.abs();
    if size < 1e-6 {
        return 0.0;
    }
    if size >= 1e15 {
        return x;
    }
    // 10^digits is the power that brings three digits before the point.
    let whole = TENS.iter().take_while(|ten| **ten <= size).count();
    if whole > 3 {
        let scale = TENS.get(whole - 3).copied().unwrap_or(1e12);
        return (x / scale).round() * scale;
    }
    let mut digits = 3 - whole;
    if whole == 0 {
        // Leading zeros behind the point do not count.
        let mut shifted = size * 10.0;
        while shifted < 1.0 && digits < 9 {
            shifted *= 10.0;
            digits += 1;
        }
    }
    let scale = TENS.get(digits).copied().unwrap_or(1e9);
    (x * scale).round() / scale
}

/// Appends a number as JSON: `null` if it is not finite, without a point if it is whole.
pub(crate) fn put(out: &mut String, x: f64) {
    // Writing into a string does not fail.
    let _ = if !x.is_finite() {
        out.write_str("null")
    } else if x.fract() == 0.0 && x.abs() < 9e15 {
        write!(out, "{}", x as i64)
    } else {
        write!(out, "{x}")
    };
}

/// Appends an array of rounded numbers.
pub(crate) fn put_all(out: &mut String, numbers: impl IntoIterator<Item = f64>) {
    out.push('[');
    let mut first = true;
    for x in numbers {
        if !first {
            out.push(',');
        }
        first = false;
        put(out, rounded(x));
    }
    out.push(']');
}

/// Appends a text as JSON, whatever it holds.
pub(crate) fn put_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // Control characters, and what would end a line of a script or of the stream.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            // Harmless in JSON; escaped so that an answer is no markup whatever reads it.
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(x: f64) -> String {
        let mut out = String::new();
        put(&mut out, rounded(x));
        out
    }

    #[test]
    fn numbers_have_three_digits() {
        for (x, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (9.999, "10"),
            (123.456, "123"),
            (0.012_345, "0.0123"),
            (0.1, "0.1"),
            (12.345, "12.3"),
            (1.2345, "1.23"),
            (99_999.0, "100000"),
            (1234.0, "1230"),
            (1e-9, "0"),
            (0.000_123_456, "0.000123"),
            (-0.5, "-0.5"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
            (999.5, "1000"),
            (1_000_000.0, "1000000"),
        ] {
            assert_eq!(shown(x), text, "{x}");
        }
    }

    proptest! {
        #[test]
        fn rounding_is_near_stable_and_json(x in prop::num::f64::ANY) {
            let r = rounded(x);
            if x.is_finite() && x.abs() >= 1e-6 {
                prop_assert!((r - x).abs() <= 0.005 * x.abs() * 1.001, "{x} {r}");
                prop_assert_eq!(rounded(r).to_bits(), r.to_bits());
            }
            let value: serde_json::Value = serde_json::from_str(&shown(x)).unwrap();
            prop_assert_eq!(value.is_null(), !x.is_finite());
        }

        #[test]
        fn every_text_survives_json_in_one_line(text in ".*") {
            let mut out = String::new();
            put_text(&mut out, &text);
            prop_assert_eq!(&serde_json::from_str::<String>(&out).unwrap(), &text);
            prop_assert!(!out.contains(['\n', '\r', '<']));
        }
    }
}
