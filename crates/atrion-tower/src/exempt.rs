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
}

impl Exempt {
    /// The common names and everything below them.
    pub(crate) fn common() -> Self {
        Self { exact: Vec::new(), prefixes: COMMON.iter().map(|&path| path.into()).collect() }
    }

    pub(crate) fn add_exact(&mut self, path: &str) {
        if let Err(at) = self.exact.binary_search_by(|known| (**known).cmp(path)) {
            self.exact.insert(at, path.into());
        }
    }

    pub(crate) fn add_prefix(&mut self, prefix: &str) {
        self.prefixes.push(prefix.trim_end_matches('/').into());
    }

    /// Compares bytes: a path in any other spelling (`//health`, `%68ealth`) is not exempt, which
    /// is the safe side.
    pub(crate) fn contains(&self, path: &str) -> bool {
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
        assert!(exempt.contains("/anything"));
    }
}
