//! Route names as label values: bounded, printable, and never two names under one value.

use std::sync::Arc;

/// The label value under which all routes without one of their own are added up.
pub const OTHER: &str = "(other)";
/// Longest label value, in bytes.
pub const LABEL_LIMIT: usize = 128;

/// Hexadecimal digits that tell a changed name from others that look the same now.
const MARK_DIGITS: usize = 16;

/// The label value of a route's name.
///
/// Most names are their own value. Control characters, those that turn the direction of writing, and
/// backslashes (which some exporters escape so that two names become one) become U+FFFD; what is
/// longer than [`LABEL_LIMIT`] is cut. A changed name ends in `#` and a fingerprint of the whole
/// name. Quotes and `<` stay: exporters and pages escape what means something to them.
pub fn label_value(name: &str) -> Arc<str> {
    if name.len() <= LABEL_LIMIT && name != OTHER && !name.chars().any(is_unfit) {
        return name.into();
    }
    let room = LABEL_LIMIT - MARK_DIGITS - 1;
    let mut value = String::with_capacity(LABEL_LIMIT);
    for c in name.chars().map(|c| if is_unfit(c) { char::REPLACEMENT_CHARACTER } else { c }) {
        if value.len() + c.len_utf8() > room {
            break;
        }
        value.push(c);
    }
    value.push('#');
    value.push_str(&format!("{:016x}", fingerprint(name.as_bytes())));
    value.into()
}

/// Controls, separators of lines and paragraphs, marks of direction, backslashes.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || c == '\\'
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// FNV-1a. Somebody who wants to can make two names with one fingerprint; then the second of them
/// is not given a value of its own (see [`Aggregator`](crate::Aggregator)).
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_are_their_own_value() {
        for name in ["GET /users/{id}", "(overflow)", "a \"quoted\" one", "<script>", "ağaç/木"]
        {
            assert_eq!(&*label_value(name), name);
        }
    }

    #[test]
    fn nobody_passes_for_the_sum() {
        let value = label_value(OTHER);
        assert_ne!(&*value, OTHER);
        assert!(value.starts_with("(other)#"), "{value}");
    }

    #[test]
    fn names_that_look_the_same_are_told_apart() {
        let long = "x".repeat(500);
        let pairs = [
            ("a\nb", "a\rb"),
            ("a\u{202e}b", "a\u{200f}b"),
            ("a\\b", "a\\\\b"),
            (&*long, &long[1..]),
        ];
        for (one, other) in pairs {
            assert_ne!(label_value(one), label_value(other));
        }
    }

    proptest! {
        #[test]
        fn values_are_short_and_printable(name in ".{0,600}") {
            let value = label_value(&name);
            prop_assert!(value.len() <= LABEL_LIMIT);
            prop_assert!(!value.chars().any(is_unfit));
            prop_assert_ne!(&*value, OTHER);
        }
    }
}
