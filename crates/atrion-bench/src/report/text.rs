//! The table on the terminal, and the last words.

use std::fmt::Write as _;

use super::{Report, cells, secs};
use crate::goals;
use crate::stage::Stage;

const HEADINGS: [&str; 6] = ["what", "goal", "ours", "best peer", "ratio", ""];

/// All lines, aligned.
pub(crate) fn table(report: &Report) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(report.rows.iter().map(cells));
    let mut widths = [0; HEADINGS.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for line in &lines {
        for (cell, width) in line.iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(out, "{cell:<width$}  ");
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

/// How long each stage took, what broke, and how many goals were met.
pub(crate) fn closing(report: &Report, out: &str) -> String {
    let mut text = String::new();
    for stage in &report.stages {
        let _ = writeln!(
            text,
            "{:<10} {:>8} of {:>8}, building {:>8}  {}",
            stage.stage.name(),
            secs(stage.took),
            secs(stage.budget),
            secs(stage.building),
            stage.state()
        );
    }
    for stage in &report.stages {
        if let Some(why) = &stage.broke {
            let _ = writeln!(text, "\nthe stage `{}` broke: {why}", stage.stage.name());
        }
    }
    if let Some(warning) = report.machine.warning() {
        let _ = writeln!(text, "\n{warning}");
    }
    let _ = writeln!(
        text,
        "\n{} goals met, {} missed, {} not measured; {out}",
        report.count("met"),
        report.count("missed"),
        report.count("not measured"),
    );
    text
}

/// What `--list` prints.
pub(crate) fn listing() -> String {
    let mut text = String::new();
    for stage in Stage::ALL {
        let budget = |is_quick| stage.budget(is_quick).as_secs();
        let _ = writeln!(
            text,
            "{} (at most {} s, quick {} s): {}",
            stage.name(),
            budget(false),
            budget(true),
            stage.about()
        );
        for goal in goals::of_stage(stage) {
            let _ = writeln!(text, "  {:<28} {}  {}", goal.id, goal.what, goal.text());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    const EXPECTED: &str = "\
what                                      goal                     ours                             best peer     ratio
decoding a full frame                     >= 20 million vectors/s  23.4 million vectors/s [22, 25]  -             -       met
decoding an authenticated frame           -                        -                                -             -       not measured
hard outage: full service after it heals  <= 1 s                   1.5 s [0.5, never]               breaker 20 s  0.07 x  MISSED, within the spread
shed at a steady load of 70 %             <= 0 %                   0 %                              sre 0 %       -       met
";

    #[test]
    fn the_table_is_what_it_was() {
        assert_eq!(table(&sample()), EXPECTED);
    }

    #[test]
    fn the_last_words_say_what_broke_and_how_many_were_met() {
        let text = closing(&sample(), "in x");
        assert!(
            text.contains("wire         12.3 s of   40.0 s, building    0.5 s  done"),
            "{text}"
        );
        assert!(
            text.contains("scenarios    41.0 s of   40.0 s, building    0.5 s  late"),
            "{text}"
        );
        assert!(text.contains("the stage `service` broke: it fell\nover"), "{text}");
        assert!(text.ends_with("2 goals met, 1 missed, 1 not measured; in x\n"), "{text}");
    }

    #[test]
    fn the_last_words_warn_of_others_at_work() {
        let mut report = sample();
        report.machine.load_before = Some(9.0);
        let text = closing(&report, "in x");
        assert!(text.contains("The load average was 9.00 on 2 cores"), "{text}");
        assert!(!closing(&sample(), "in x").contains("load average"));
    }

    #[test]
    fn the_list_has_every_stage_and_every_goal() {
        let text = listing();
        for stage in Stage::ALL {
            assert!(text.contains(&format!("{} (at most", stage.name())), "{text}");
        }
        for goal in goals::GOALS {
            assert!(text.contains(goal.id) && text.contains(goal.what), "{}", goal.id);
        }
    }
}
