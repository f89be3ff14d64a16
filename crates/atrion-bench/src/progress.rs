//! How far a stage is: a bar on a terminal, nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of one stage. Where standard error is no terminal, nothing is drawn; the lines
/// at the start and the end of each stage say enough.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar over so many simulated runs or other steps.
    pub(crate) fn steps(stage: &str, steps: usize) -> Self {
        Self::new(stage, steps as u64, "{prefix:10} {bar:32} {pos}/{len}, {eta} left  {msg}")
    }

    /// A bar over the seconds that a stage is expected to take.
    pub(crate) fn seconds(stage: &str, expected: Duration) -> Self {
        let template = "{prefix:10} {bar:32} {pos} s, about {len} s in all  {msg}";
        Self::new(stage, expected.as_secs(), template)
    }

    /// A bar for tests.
    #[cfg(test)]
    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    fn new(stage: &str, length: u64, template: &str) -> Self {
        let bar = ProgressBar::new(length);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(stage.to_owned());
        Self(bar)
    }

    /// What is being done now.
    pub(crate) fn say(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
    }

    /// One more step is done.
    pub(crate) fn step(&self) {
        self.0.inc(1);
    }

    /// So much time has passed.
    pub(crate) fn at(&self, passed: Duration) {
        self.0.set_position(passed.as_secs().min(self.0.length().unwrap_or(u64::MAX)));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
