//! The report for people.

use std::fmt::Write as _;

use super::{Report, cells, remark, secs};

/// The whole report.
pub(crate) fn markdown(report: &Report) -> String {
    let mut out = String::from("# Atrion, measured\n\n");
    let machine = &report.machine;
    let load = machine.load_before.map_or("unknown".to_owned(), |load| format!("{load:.2}"));
    for (name, value) in [
        ("command", format!("`{}`", report.command)),
        ("begun", report.date.clone()),
        ("commit", machine.commit.clone()),
        ("processor", machine.cpu.clone()),
        ("cores", machine.cores.to_string()),
        ("system", machine.os.clone()),
        ("compiler", machine.rustc.clone()),
        ("load average before", load),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "- {name}: {value}");
    }
    if let Some(warning) = machine.warning() {
        let _ = writeln!(out, "\n{warning}");
    }
    let _ = writeln!(
        out,
        "\n{} goals met, {} missed, {} not measured.\n",
        report.count("met"),
        report.count("missed"),
        report.count("not measured")
    );
    out.push_str("| what | goal | ours | best peer | ratio | |\n|---|---|---|---|---|---|\n");
    for row in &report.rows {
        let cells = cells(row).map(|cell| escaped(&cell));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push_str(
        "\nIn brackets: the confidence interval of a median (95 %), or the least and the greatest \
         of several seeds.\n",
    );
    let remarks: Vec<(&str, &str)> =
        report.rows.iter().filter_map(|row| Some((row.goal.what, remark(row)?))).collect();
    if !remarks.is_empty() {
        out.push_str("\n## Remarks\n");
        for (what, remark) in remarks {
            let _ = writeln!(out, "- {what}: {remark}");
        }
    }
    out.push_str("\n## Stages\n| stage | took | may take | building | |\n|---|---|---|---|---|\n");
    for stage in &report.stages {
        let times = [stage.took, stage.budget, stage.building].map(secs);
        let _ =
            writeln!(out, "| {} | {} | {} |", stage.stage.name(), times.join(" | "), stage.state());
    }
    for stage in &report.stages {
        if let Some(why) = &stage.broke {
            let _ = writeln!(out, "\n`{}` broke:\n\n```text\n{why}\n```", stage.stage.name());
        }
    }
    for plot in &report.plots {
        let _ = writeln!(out, "\n![{plot}]({plot})");
    }
    out
}

/// A bar would end the cell.
fn escaped(cell: &str) -> String {
    cell.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    const EXPECTED: &str = "\
# Atrion, measured

- command: `cargo xtask bench --quick --seed 7`
- begun: 2026-01-02T03:04:05Z
- commit: 0123456789ab
- processor: A CPU | with a bar
- cores: 2
- system: linux 6.1 x86_64
- compiler: rustc 1.95.0
- load average before: 0.25

2 goals met, 1 missed, 1 not measured.

| what | goal | ours | best peer | ratio | |
|---|---|---|---|---|---|
| decoding a full frame | >= 20 million vectors/s | 23.4 million vectors/s [22, 25] | - | - | met |
| decoding an authenticated frame | - | - | - | - | not measured |
| hard outage: full service after it heals | <= 1 s | 1.5 s [0.5, never] | breaker 20 s | 0.07 x | MISSED, within the spread |
| shed at a steady load of 70 % | <= 0 % | 0 % | sre 0 % | - | met |

In brackets: the confidence interval of a median (95 %), or the least and the greatest of several seeds.

## Remarks
- decoding an authenticated frame: a reason, with a comma | and a bar
- hard outage: full service after it heals: beside breakers

## Stages
| stage | took | may take | building | |
|---|---|---|---|---|
| wire | 12.3 s | 40.0 s | 0.5 s | done |
| scenarios | 41.0 s | 40.0 s | 0.5 s | late |
| service | 0.1 s | 40.0 s | 0.5 s | broken |

`service` broke:

```text
it fell
over
```

![outage.svg](outage.svg)
";

    #[test]
    fn the_report_is_what_it_was() {
        assert_eq!(markdown(&sample()), EXPECTED);
    }

    #[test]
    fn a_cell_stays_a_cell() {
        assert_eq!(escaped("a|b\nc"), "a\\|b c");
    }
}
