//! The table and the file that a run leaves.

use std::fmt::Write as _;

use super::figures::Figures;
use super::verdict::{Check, number, too_busy};
use crate::verdict::Verdict;

/// Figure by figure, what else was seen, and one line that says it all.
pub(crate) fn table(figures: &Figures, checks: &[Check], verdict: Verdict) -> String {
    let width = |of: fn(&Check) -> &str| checks.iter().map(|c| of(c).len()).fold(8, usize::max);
    let figure = width(|check| check.figure);
    let measured = width(|check| &check.measured);
    let goal = width(|check| &check.goal);
    let mut text =
        format!("\n{:figure$}  {:>measured$}  {:>goal$}\n", "figure", "measured", "goal");
    for check in checks {
        let met = if check.met { "met" } else { "MISSED" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:figure$}  {:>measured$}  {:>goal$}  {met}",
            check.figure, check.measured, check.goal
        );
    }
    details(&mut text, figures);
    let missed = checks.iter().filter(|check| !check.met).count();
    let _ = match (verdict, too_busy(figures)) {
        (Verdict::Met, _) => writeln!(text, "demo passed: every goal met"),
        (Verdict::TooBusy, Some(why)) => writeln!(
            text,
            "demo without a verdict: the machine is too busy to measure ({why}); \
             run it again when nothing else runs"
        ),
        (Verdict::TooBusy | Verdict::Missed, _) => {
            writeln!(text, "demo failed: {missed} of {} goals missed", checks.len())
        }
    };
    text
}

fn details(text: &mut String, figures: &Figures) {
    let delays = &figures.delays;
    let _ = writeln!(
        text,
        "\nwarned: {} warnings, p50 {}, p99 {}",
        figures.warnings,
        number(figures.warned_ms_p50, "ms"),
        number(figures.warned_ms_p99, "ms"),
    );
    for (fault, ms) in &figures.reconverged_ms {
        let _ = writeln!(text, "{}: all agree after {}", fault.title(), number(*ms, "ms"));
    }
    for failure in &figures.failures {
        let _ = writeln!(
            text,
            "{}, after {:.0} ms: a request of tier {} failed at node {}: {}",
            failure.phase.title(),
            failure.after_ms,
            failure.tier,
            failure.node,
            failure.why
        );
    }
    let _ = writeln!(
        text,
        "requests during the faults: sharing {} ({} failed, {} later than {:.1} ms), \
         alone {} ({} failed, {} later)\n\
         admit (p99): sharing {:.1} us, alone {:.1} us\n\
         full service after the outage: sharing {}, alone {}\n\
         liar: {} lies told, {} heard; it was {:.0} ms old when it last had a request refused\n\
         a new route's name and state: {} bytes\n\
         the measuring itself: requests sent {:.1} ms late (p99), processes stalled {:.0} ms \
         (p99), clocks {:.2} ms apart",
        delays.requests_shared,
        delays.failed_shared,
        delays.delayed_shared,
        delays.limit_ms,
        delays.requests_alone,
        delays.failed_alone,
        delays.delayed_alone,
        figures.admit_p99_us_shared,
        figures.admit_p99_us_alone,
        number(figures.recovery_s, "s"),
        number(figures.recovery_alone_s, "s"),
        figures.lies_told,
        figures.lies_heard,
        figures.liar_bound_ms,
        number(figures.bytes_per_new_route, ""),
        figures.generator_lag_p99_ms,
        figures.node_stall_p99_ms,
        figures.clock_disagreement_ms,
    );
}

#[cfg(test)]
mod tests {
    use super::super::verdict;
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_goal_and_a_last_word() {
        let figures = Figures::default();
        let checks = verdict::checks(&figures);
        let verdict = verdict::judge(&checks, &figures);
        let text = table(&figures, &checks, verdict);
        let missed = checks.iter().filter(|check| !check.met).count();
        assert_eq!(text.matches("MISSED").count(), missed);
        assert!(checks.iter().all(|check| text.contains(check.figure)), "{text}");
        assert!(text.trim_end().lines().last().unwrap().starts_with("demo failed"), "{text}");
    }
}
