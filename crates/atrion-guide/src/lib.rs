//! Atrion's guide, as rustdoc. The same pages are in `docs/`, as a book.
//!
//! Each page is a module here, so that every Rust snippet on it is compiled, and most are run,
//! with the documentation tests. `tests/` holds the rest: files in TOML and YAML are read by what
//! reads them in earnest, tests that are named exist, links lead somewhere, codemods do what they
//! say. The crate is not published.

macro_rules! pages {
    ($($name:ident = $file:literal, $about:literal;)*) => { $(
        #[doc = $about]
        #[doc = ""]
        #[doc = include_str!(concat!("../../../docs/", $file))]
        pub mod $name {}
    )* };
}

pages! {
    first_five_minutes = "first-five-minutes.md", "From an empty folder to a protected route.";
    concepts = "concepts.md", "What a resistance is made of.";
    priorities = "priorities.md", "Who goes first.";
    tuning = "tuning.md", "What may be set, and when not to.";
    rollout = "rollout.md", "From shadow to earnest.";
    kubernetes = "kubernetes.md", "Several pods.";
    incidents = "incidents.md", "What you see, what it means, what to do.";
    migration = "migration.md", "From version 1, from TypeScript, from other crates.";
    cluster = "cluster.md", "Pods that warn each other.";
    postgres = "postgres.md", "Restarts that remember.";
    observability = "observability.md", "Metrics, logs, readiness.";
    studio = "studio.md", "The dashboard.";
    simulation = "simulation.md", "Judging the law, and replaying your own traces.";
    faq = "faq.md", "Questions.";
    glossary = "glossary.md", "Words and symbols.";
    security = "security.md", "The threat model.";
    pricing = "pricing.md", "Tiers.";
}

/// The README, whose snippets are the first that anybody copies.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
