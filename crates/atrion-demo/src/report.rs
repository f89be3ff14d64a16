//! The tables and the file that a run leaves.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::figures::{Comparison, RunFigures};
use crate::plan::{OBJECTIVE, Phase, TIERS};
use crate::verdict::{Check, Verdict, too_busy};

/// Widths of the two columns of figures.
const COLUMN: usize = 14;

/// A latency, or what is known of one beyond the objective.
pub(crate) fn latency(ms: Option<f64>) -> String {
    ms.map_or_else(|| format!("> {} ms", OBJECTIVE.as_millis()), |ms| format!("{ms:.0} ms"))
}

/// Both runs next to each other.
pub(crate) fn side_by_side(comparison: &Comparison) -> String {
    let mut rows: Vec<(String, [String; 2])> = Vec::new();
    let mut row = |name: String, figure: &dyn Fn(&RunFigures) -> String| {
        rows.push((name, [figure(&comparison.unprotected), figure(&comparison.protected)]));
    };
    for (index, phase) in Phase::REPORTED.iter().enumerate() {
        let title = phase.title();
        row(format!("{title}: good answers per second"), &|run| {
            run.phases
                .get(index)
                .map(|p| format!("{:.0}", p.goodput_per_second))
                .unwrap_or_default()
        });
        match phase {
            Phase::Calm => {
                row(format!("{title}: refused"), &|run| run.shed_while_calm.to_string());
            }
            Phase::Overload => {
                row(format!("{title}: share of the capacity"), &|run| {
                    format!("{:.1} %", run.overload_goodput_percent)
                });
                for tier in TIERS {
                    row(format!("{title}: {} served", tier.name), &|run| {
                        let served = run.overload_served_percent.get(tier.name);
                        served.map(|s| format!("{s:.1} %")).unwrap_or_default()
                    });
                }
            }
            Phase::Outage => {
                row(format!("{title}: reached the dead dependency"), &|run| {
                    format!("{:.2} %", run.dead_dependency_percent)
                });
            }
            Phase::Recovery => {
                row(format!("{title}: full service after"), &|run| {
                    run.recovery_seconds.map_or("never".to_owned(), |s| format!("{s:.2} s"))
                });
            }
            Phase::Gray | Phase::Rest | Phase::Tenfold => {}
        }
        // Of nothing let in there is no latency.
        if *phase != Phase::Outage {
            row(format!("{title}: latency p99"), &|run| {
                run.phases.get(index).map(|p| latency(p.p99_ms)).unwrap_or_default()
            });
        }
    }
    let width = rows.iter().map(|(name, _)| name.len()).fold(0, usize::max);
    let mut text =
        format!("\n{:width$}  {:>COLUMN$}  {:>COLUMN$}\n", "", "unprotected", "with Atrion");
    for (name, [plain, guarded]) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:width$}  {plain:>COLUMN$}  {guarded:>COLUMN$}");
    }
    text
}

/// Promise by promise, then one line that says it all.
pub(crate) fn closing(comparison: &Comparison, checks: &[Check], verdict: Verdict) -> String {
    let mut text = String::from("\n");
    for check in checks {
        let mark = if check.met { "kept  " } else { "MISSED" };
        let _ = writeln!(text, "{mark}  {} ({})", check.promise, check.measured);
    }
    let runs = [&comparison.unprotected, &comparison.protected];
    let worst = |figure: fn(&RunFigures) -> f64| runs.iter().map(|r| figure(r)).fold(0.0, f64_max);
    let _ = writeln!(
        text,
        "\nthe measuring itself: requests sent {:.1} ms late (p99), {:.0} ms at most; \
         service stalled {:.0} ms (p99); capacity {:.0} before, {:.0} after",
        worst(|r| r.generator_lag_p99_ms),
        worst(|r| r.generator_lag_max_ms),
        worst(|r| r.service_stall_p99_ms),
        comparison.capacity_per_second,
        comparison.capacity_after_per_second,
    );
    let missed = checks.iter().filter(|check| !check.met).count();
    let _ = match (verdict, too_busy(comparison)) {
        (Verdict::Met, _) => writeln!(text, "demo passed: every promise kept"),
        (Verdict::TooBusy, Some(why)) => writeln!(
            text,
            "demo without a verdict: the machine is too busy to measure ({why}); \
             run it again when nothing else runs"
        ),
        (Verdict::TooBusy | Verdict::Missed, _) => {
            writeln!(text, "demo failed: {missed} of {} promises missed", checks.len())
        }
    };
    text
}

/// The greater of two figures, neither of which is NaN: they come from durations.
fn f64_max(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// Writes every figure as JSON.
///
/// # Errors
///
/// A sentence if the file cannot be written.
pub(crate) fn write_json<F: Serialize, C: Serialize>(
    file: &Path,
    figures: &F,
    checks: &[C],
    verdict: Verdict,
) -> Result<(), String> {
    #[derive(Serialize)]
    struct Report<'r, F: Serialize, C: Serialize> {
        #[serde(flatten)]
        figures: &'r F,
        checks: &'r [C],
        verdict: Verdict,
    }
    let text = serde_json::to_string_pretty(&Report { figures, checks, verdict })
        .map_err(|e| format!("the figures cannot be written as JSON: {e}"))?;
    make_folder_of(file)?;
    std::fs::write(file, text + "\n")
        .map_err(|e| format!("{} cannot be written: {e}", file.display()))
}

/// Makes the folder a file is to be written to.
///
/// # Errors
///
/// A sentence if that cannot be done.
pub(crate) fn make_folder_of(file: &Path) -> Result<(), String> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|e| format!("{} cannot be made: {e}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Record;
    use crate::plan::schedule;
    use crate::verdict;

    fn comparison() -> Comparison {
        let run = RunFigures::from_record(&Record::default(), &schedule(600.0, true), 600.0);
        Comparison {
            seed: 1,
            short: true,
            capacity_per_second: 600.0,
            capacity_after_per_second: 600.0,
            unprotected: run.clone(),
            protected: run,
        }
    }

    #[test]
    fn the_table_is_aligned_and_names_every_tier() {
        let text = side_by_side(&comparison());
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{text}");
        for tier in TIERS {
            assert!(text.contains(tier.name), "{text}");
        }
        assert!(text.contains("never"), "{text}");
    }

    #[test]
    fn the_closing_lists_what_was_missed() {
        let comparison = comparison();
        let checks = verdict::checks(&comparison);
        let verdict = verdict::judge(&checks, &comparison);
        let text = closing(&comparison, &checks, verdict);
        let missed = checks.iter().filter(|check| !check.met).count();
        assert_eq!(text.matches("MISSED").count(), missed);
        assert!(text.trim_end().lines().last().unwrap().starts_with("demo failed"), "{text}");
    }

    #[test]
    fn an_unknown_latency_is_said_to_be_beyond_the_objective() {
        assert_eq!(latency(Some(41.6)), "42 ms");
        assert_eq!(latency(None), "> 200 ms");
    }
}
