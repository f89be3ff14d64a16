//! How each stage is measured.

mod benches;
mod demo;
mod memory;
mod scenarios;
mod studio;

use std::path::Path;
use std::time::Duration;

use crate::folder::Draft;
use crate::goals;
use crate::stage::Stage;
use crate::verdict::Measured;

/// What a stage may use.
pub(crate) struct Setting<'a> {
    /// The workspace.
    pub(crate) root: &'a Path,
    pub(crate) is_quick: bool,
    pub(crate) seed: u64,
    pub(crate) draft: &'a Draft,
}

/// What came of a stage.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) measured: Vec<Measured>,
    /// Why goals of it have no figure, although it did not break.
    pub(crate) why_not: String,
    /// What of its time went into building.
    pub(crate) building: Duration,
    /// Plots by file name.
    pub(crate) plots: Vec<(String, String)>,
}

/// Runs a stage.
///
/// # Errors
/// A sentence if it broke.
pub(crate) fn run(stage: Stage, setting: &Setting<'_>) -> Result<Outcome, String> {
    let outcome = measure(stage, setting)?;
    let is_foreign = |goal| goals::find(goal).is_none_or(|goal| goal.stage != stage);
    match outcome.measured.iter().find(|m| is_foreign(m.goal)) {
        // It would be missing from the table without a word.
        Some(stray) => {
            Err(format!("`{}` was measured, which is no goal of this stage", stray.goal))
        }
        None => Ok(outcome),
    }
}

fn measure(stage: Stage, setting: &Setting<'_>) -> Result<Outcome, String> {
    match stage {
        Stage::Micro => benches::micro(setting),
        Stage::Simulator => benches::simulator(setting),
        Stage::Wire => benches::wire(setting),
        Stage::Memory => memory::run(setting),
        Stage::Scenarios => scenarios::run(setting),
        Stage::Service => demo::service(setting),
        Stage::Contest => demo::contest(setting),
        Stage::Cluster => demo::cluster(setting),
        Stage::Store => benches::store(setting),
        Stage::Watch => benches::watch(setting),
        Stage::Studio => studio::run(setting),
    }
}
