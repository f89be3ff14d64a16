//! Results of clusters as text: a table for people, CSV for programs.

use std::fmt::Write as _;

use super::report::ClusterSummary;
use crate::report::Spread;
use crate::table::{align, number, push, quoted};

const HEADINGS: [&str; 13] = [
    "sharing",
    "to dead",
    "of alone %",
    "others %",
    "probes/s",
    "recovery s",
    "known p50",
    "p99",
    "held p50",
    "p99",
    "converged s",
    "frames/node/s",
    "bytes/frame",
];

/// A table of ways of sharing in one scenario. Times until the others know and act are in
/// intervals; what makes no sense is a dash. `of alone` compares with the row `alone`, if there is
/// one; `others` is the percentage sent to the dead of what all nodes but the first to open a breaker
/// were asked.
pub fn text(rows: &[ClusterSummary]) -> String {
    let alone = rows.iter().find(|row| row.sharing == "alone").and_then(|row| row.sent_to_dead);
    let mut lines = vec![HEADINGS.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| line(row, alone)));
    let names = rows.first().map(|row| &row.harm).into_iter().flatten();
    if let Some(headings) = lines.first_mut() {
        headings.extend(names.map(|(name, _)| format!("harm {name} %")));
    }
    align(&lines)
}

fn line(row: &ClusterSummary, alone: Option<Spread>) -> Vec<String> {
    let percent = row.sent_to_dead.zip(alone).filter(|(_, alone)| alone.mean > 0.0);
    let of_alone =
        percent.map(|(own, alone)| Spread { mean: 100.0 * own.mean / alone.mean, sd: 0.0 });
    let single = |value: Option<f64>| number(value.map(|mean| Spread { mean, sd: 0.0 }), 2);
    let mut cells = vec![
        row.sharing.clone(),
        number(row.sent_to_dead, 0),
        number(of_alone, 1),
        number(row.others_sent_percent, 1),
        number(row.probes_per_sec, 2),
        number(row.recovery_secs, 2),
        single(row.known.map(|k| k.0)),
        single(row.known.map(|k| k.1)),
        single(row.held.map(|k| k.0)),
        single(row.held.map(|k| k.1)),
        number(row.convergence_secs, 2),
        number(Some(row.frames_per_node_sec), 2),
        number(row.bytes_per_frame, 0),
    ];
    cells.extend(row.harm.iter().map(|(_, harm)| number(Some(*harm), 2)));
    cells
}

/// CSV with one row per scenario, way of sharing and class of bystanders; figures with mean and
/// standard deviation. What makes no sense is empty, and what never happened is `inf`.
pub fn csv(rows: &[ClusterSummary]) -> String {
    let figures = [
        "sent_to_dead",
        "others_sent_percent",
        "probes_per_sec",
        "recovery_secs",
        "convergence_secs",
        "frames_per_node_sec",
        "bytes_per_frame",
    ];
    let mut out = String::from(
        "scenario,sharing,runs,known_p50_intervals,known_p99_intervals,held_p50_intervals,\
         held_p99_intervals",
    );
    for figure in figures {
        let _ = write!(out, ",{figure},{figure}_sd");
    }
    out.push_str(",class,harm_percent,harm_percent_sd\r\n");
    for row in rows {
        let mut line = format!("{},{},{}", quoted(&row.scenario), quoted(&row.sharing), row.runs);
        for pair in [row.known, row.held] {
            let _ = match pair {
                None => write!(line, ",,"),
                Some((half, most)) => write!(line, ",{half},{most}"),
            };
        }
        for value in [
            row.sent_to_dead,
            row.others_sent_percent,
            row.probes_per_sec,
            row.recovery_secs,
            row.convergence_secs,
            Some(row.frames_per_node_sec),
            row.bytes_per_frame,
        ] {
            push(&mut line, value);
        }
        if row.harm.is_empty() {
            out.push_str(&line);
            out.push_str(",,,\r\n");
        }
        for (class, harm) in &row.harm {
            let mut full = format!("{line},{}", quoted(class));
            push(&mut full, Some(*harm));
            out.push_str(&full);
            out.push_str("\r\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::report::{ClusterReport, Harm};

    fn row(sharing: &str, sent_to_dead: u64) -> ClusterSummary {
        let harm = Harm { class: "bulk".into(), volts: 1.0, asked: 4, refused: 1 };
        let report = ClusterReport {
            scenario: "a".into(),
            sharing: sharing.into(),
            duration_secs: 1.0,
            nodes: vec![crate::Report::default()],
            asked_dead: 100,
            sent_to_dead,
            known_intervals: vec![0.5, f64::INFINITY],
            harm: vec![harm],
            ..ClusterReport::default()
        };
        ClusterSummary::of(&[report]).expect("one report")
    }

    #[test]
    fn a_table_compares_with_those_who_are_alone() {
        let rows = [row("alone", 80), row("gamma 0.3", 20)];
        let text = text(&rows);
        assert!(text.contains("25.0") && text.contains("100.0"), "{text}");
        assert!(text.contains("0.50") && text.contains("never"), "{text}");
        assert!(text.contains("harm bulk %"), "{text}");
        let csv = csv(&rows);
        let commas = |line: &str| line.matches(',').count();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| commas(line) == commas(lines[0])), "{csv}");
    }
}
