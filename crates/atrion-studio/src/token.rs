//! The token, and how often a wrong one may be shown.

use atrion_core::time::Timestamp;

use crate::error::StudioError;

/// Shortest and longest token, in characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=256;

/// The token, kept as its hash only: no dump, log or debug output can hold it, and comparing two
/// hashes of this kind takes the same time whatever they are.
#[derive(Clone, Copy)]
pub(crate) struct Token(blake3::Hash);

impl Token {
    pub(crate) fn new(token: &str) -> Result<Self, StudioError> {
        let is_visible = token.bytes().all(|b| b.is_ascii_graphic());
        if is_visible && LENGTHS.contains(&token.len()) {
            Ok(Self(blake3::hash(token.as_bytes())))
        } else {
            Err(StudioError::Token { length: token.len() })
        }
    }

    /// Whether `offered` is it. The time taken depends on the length of what was offered only.
    pub(crate) fn is(&self, offered: &[u8]) -> bool {
        offered.len() <= *LENGTHS.end() && blake3::hash(offered) == self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Bounds how often wrong tokens are answered and logged: a bucket that refills evenly.
///
/// It is no protection against guessing, which the token's length is; it keeps a flood of wrong
/// ones from filling the log. Right tokens do not pass through it, so nobody can lock an operator out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throttle {
    left: f64,
    at: Timestamp,
}

/// Wrong tokens in a row that are answered as such.
const BURST: f64 = 10.0;
/// How fast these come back.
const PER_SEC: f64 = BURST / 60.0;

impl Throttle {
    pub(crate) const fn new(now: Timestamp) -> Self {
        Self { left: BURST, at: now }
    }

    /// Counts a wrong token; otherwise says in how many seconds the next one is answered.
    pub(crate) fn count(&mut self, now: Timestamp) -> Result<(), f64> {
        self.left = (self.left + PER_SEC * now.secs_since(self.at)).clamp(0.0, BURST);
        self.at = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            Ok(())
        } else {
            Err((1.0 - self.left) / PER_SEC)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_token_is_the_token() {
        let text = "correct-horse-battery-staple";
        let token = Token::new(text).unwrap();
        assert!(token.is(text.as_bytes()));
        for wrong in ["", "correct-horse-battery-stapl", "correct-horse-battery-staple ", "x"] {
            assert!(!token.is(wrong.as_bytes()), "{wrong:?}");
        }
        assert!(!token.is(&vec![b'a'; 100_000]));
        assert!(!format!("{token:?}").contains("horse"));
    }

    #[test]
    fn weak_and_odd_tokens_are_refused_without_being_shown() {
        let long = "x".repeat(257);
        for bad in
            ["", "short", "has a blank in the middle of it", "ünïcödé-ünïcödé-ünïcödé", &*long]
        {
            let error = Token::new(bad).expect_err(bad).to_string();
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_more_than_the_burst_and_the_rate_pass(steps in prop::collection::vec(0_u64..20_000, 1..200)) {
            let mut throttle = Throttle::new(Timestamp::ZERO);
            let (mut now, mut passed) = (0, 0_u32);
            for step in steps {
                now += step;
                match throttle.count(Timestamp::from_millis(now)) {
                    Ok(()) => passed += 1,
                    Err(secs) => prop_assert!(secs > 0.0 && secs <= 6.0 + 1e-9),
                }
            }
            prop_assert!(f64::from(passed) <= BURST + PER_SEC * now as f64 / 1e3 + 1e-6);
        }
    }
}
