//! Every combination of features compiles.

use std::process::Stdio;

use crate::feature_sets;
use crate::release::Release;
use crate::release::table::Outcome;

/// The step: the bounded powerset of each crate's features.
pub(crate) fn step(release: &Release) -> Outcome {
    let checks: Vec<_> = release.published().flat_map(feature_sets::powerset).collect();
    let mut broken = Vec::new();
    for (done, (title, line)) in checks.iter().enumerate() {
        println!("    {} of {}: {title}", done + 1, checks.len());
        // Cargo's own words are of interest only where something is wrong.
        let output = line.command(&release.root).stdin(Stdio::null()).output();
        match output {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                println!("{}", String::from_utf8_lossy(&output.stderr));
                broken.push(format!("{title}; again: {line}"));
            }
            Err(e) => broken.push(format!("{title}: `{line}` cannot be started: {e}")),
        }
    }
    if broken.is_empty() {
        Outcome::Passed(format!("{} combinations compile", checks.len()))
    } else {
        let listed = broken.join("\n");
        Outcome::Failed(format!("{} of {} do not compile\n{listed}", broken.len(), checks.len()))
    }
}
