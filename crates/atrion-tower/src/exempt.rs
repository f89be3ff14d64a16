//! Paths that pass without asking: a probe that is shed during overload would get the healthy
//! process killed.

/// Paths that carry health, readiness or metrics in most deployments.
const COMMON: [&str; 10] = [
    "/health",
    "/healthz",
    "/live",
    "/livez",
    "/metrics",
    "/ready",
    "/readyz",
    "/-/healthy",
    "/-/ready",
    "/grpc.health.v1.Health",
];

/// The exempt paths of a layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exempt {
    /// Sorted.
    exact: Vec<Box<str>>,
    /// Without a trailing slash; the path itself and everything below it.
    prefixes: Vec<Box<str>>,
    /// Which bytes may follow the first slash of an exempt path; rules most others out at once.
    second: Seconds,
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Seconds([u64; 4]);

impl Seconds {
    /// Adds what may stand second in `path` or, if it is too short to say, everything.
    fn add(&mut self, path: &str) {
        match path.as_bytes().get(1) {
            Some(&byte) => {
                let (word, bit) = Self::place(byte);
                for (i, set) in self.0.iter_mut().enumerate() {
                    *set |= if i == word { bit } else { 0 };
                }
            }
            None => self.0 = [u64::MAX; 4],
        }
    }

    #[inline]
    fn allows(&self, path: &str) -> bool {
        let (word, bit) = Self::place(path.as_bytes().get(1).copied().unwrap_or(0));
        self.0.get(word).is_some_and(|set| set & bit != 0)
    }

    const fn place(byte: u8) -> (usize, u64) {
        ((byte >> 6) as usize, 1 << (byte & 63))
    }
}

impl Exempt {
    /// The common names and everything below them.
    pub(crate) fn common() -> Self {
        let mut exempt = Self::default();
        for path in COMMON {
            exempt.add_prefix(path);
        }
        exempt
    }

    pub(crate) fn add_exact(&mut self, path: &str) {
        if let Err(at) = self.exact.binary_search_by(|known| (**known).cmp(path)) {
            self.exact.insert(at, path.into());
            self.second.add(path);
        }
    }

    pub(crate) fn add_prefix(&mut self, prefix: &str) {
        let prefix = prefix.trim_end_matches('/');
        self.prefixes.push(prefix.into());
        self.second.add(prefix);
    }

    /// Compares bytes: a path in any other spelling (`//health`, `%68ealth`) is not exempt, which
    /// is the safe side.
    #[inline]
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.second.allows(path) && self.lists(path)
    }

    fn lists(&self, path: &str) -> bool {
        self.exact.binary_search_by(|known| (**known).cmp(path)).is_ok()
            || self.prefixes.iter().any(|prefix| is_below(path, prefix))
    }
}

/// Whether `path` is `prefix` or lies below it; `/healthy` is not below `/health`.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prefixes_end_at_a_slash_and_exact_paths_are_exact() {
        let mut exempt = Exempt::default();
        exempt.add_exact("/status");
        exempt.add_exact("/about");
        exempt.add_exact("/status");
        exempt.add_prefix("/internal/");
        for yes in ["/status", "/about", "/internal", "/internal/", "/internal/x/y"] {
            assert!(exempt.contains(yes), "{yes}");
        }
        for no in ["/status/", "/statuses", "/internals", "//internal", "/", "", "/%69nternal"] {
            assert!(!exempt.contains(no), "{no}");
        }
    }

    #[test]
    fn common_names_are_exempt_with_what_lies_below() {
        let exempt = Exempt::common();
        for yes in ["/healthz", "/health/ready", "/metrics", "/grpc.health.v1.Health/Check"] {
            assert!(exempt.contains(yes), "{yes}");
        }
        for no in ["/healthy", "/checkout", "/api/health", "/grpc.health.v1.Healthy/Check"] {
            assert!(!exempt.contains(no), "{no}");
        }
    }

    #[test]
    fn an_empty_prefix_exempts_everything() {
        let mut exempt = Exempt::default();
        exempt.add_prefix("/");
        for path in ["/anything", "/", "", "*", "/\u{fc}"] {
            assert_eq!(exempt.contains(path), path.starts_with('/') || path.is_empty(), "{path}");
        }
        let mut root = Exempt::default();
        root.add_exact("/");
        assert!(root.contains("/"));
        assert!(!root.contains("/a") && !root.contains(""));
    }

    proptest! {
        #[test]
        fn the_filter_changes_no_answer(
            exact in prop::collection::vec("/[a-d/\u{e0}-\u{ff}]{0,3}", 0..3),
            prefixes in prop::collection::vec("/[a-d/]{0,3}", 0..3),
            path in "/?[a-e/\u{e0}-\u{ff}]{0,5}",
        ) {
            let mut exempt = Exempt::default();
            for path in &exact {
                exempt.add_exact(path);
            }
            for prefix in &prefixes {
                exempt.add_prefix(prefix);
            }
            let below = |p: &String| is_below(&path, p.trim_end_matches('/'));
            let plain = exact.contains(&path) || prefixes.iter().any(below);
            prop_assert_eq!(exempt.contains(&path), plain);
        }
    }
}
