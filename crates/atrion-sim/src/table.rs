//! Results as text: a table for people, CSV for programs.

use std::fmt::Write as _;

use crate::report::{Spread, Summary};

/// The columns that tables and CSV share.
const HEADINGS: [&str; 10] = [
    "policy",
    "goodput %",
    "p50",
    "p99",
    "shed %",
    "calm harm %",
    "after %",
    "recovery s",
    "to dead",
    "modes",
];

/// A table of policies in one scenario. Latencies are in deadlines; what makes no sense is a dash.
///
/// ```
/// use atrion_sim::{Summary, evaluate, policy::Choice, scenario, table};
///
/// let scenario = scenario::find("trickle")?;
/// let run = evaluate(&scenario, &Choice::parse("atrion")?, &[1], || ())?;
/// let summary = Summary::of(run.policy, &run.reports).unwrap();
/// assert!(table::text(&[summary]).starts_with("policy"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn text(rows: &[Summary]) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
        vec![
            row.policy.clone(),
            number(Some(row.goodput), 1),
            number(row.p50_deadlines, 2),
            number(row.p99_deadlines, 2),
            number(Some(row.shed), 1),
            number(row.calm_refused, 2),
            number(row.settled_refused, 2),
            number(row.recovery_secs, 1),
            number(Some(row.sent_to_dead), 0),
            number(Some(row.transitions), 1),
        ]
    }));
    let tiers = rows.iter().any(|row| row.shed_by_class.len() > 1);
    if tiers {
        for (line, row) in lines.iter_mut().skip(1).zip(rows) {
            line.extend(row.shed_by_class.iter().map(|(_, shed)| number(Some(*shed), 1)));
        }
        let names = rows.first().map(|row| &row.shed_by_class).into_iter().flatten();
        if let Some(headings) = lines.first_mut() {
            headings.extend(names.map(|(name, _)| format!("shed {name} %")));
        }
    }
    align(&lines)
}

pub(crate) fn align(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|i| {
            lines.iter().filter_map(|l| l.get(i)).map(|c| c.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for line in lines {
        for (index, (cell, width)) in line.iter().zip(&widths).enumerate() {
            if index == 0 {
                let _ = write!(out, "{cell:<width$}");
            } else {
                let _ = write!(out, "  {cell:>width$}");
            }
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

fn number(value: Option<Spread>, decimals: usize) -> String {
    match value {
        None => "-".to_owned(),
        Some(s) if s.mean.is_infinite() => "never".to_owned(),
        Some(s) => format!("{:.decimals$}", s.mean),
    }
}

/// CSV with one row per scenario, policy and class; figures with mean and standard deviation.
/// Fields are quoted where they need to be (RFC 4180); what makes no sense is empty, and what
/// never happened is `inf`.
pub fn csv(rows: &[Summary]) -> String {
    let figures = [
        "goodput_percent",
        "p50_deadlines",
        "p99_deadlines",
        "shed_percent",
        "calm_refused_percent",
        "settled_refused_percent",
        "recovery_secs",
        "sent_to_dead",
        "transitions",
    ];
    let mut out = String::from("scenario,policy,runs");
    for figure in figures {
        let _ = write!(out, ",{figure},{figure}_sd");
    }
    out.push_str(",class,class_shed_percent,class_shed_percent_sd\r\n");
    for row in rows {
        let mut line = format!("{},{},{}", quoted(&row.scenario), quoted(&row.policy), row.runs);
        for value in [
            Some(row.goodput),
            row.p50_deadlines,
            row.p99_deadlines,
            Some(row.shed),
            row.calm_refused,
            row.settled_refused,
            row.recovery_secs,
            Some(row.sent_to_dead),
            Some(row.transitions),
        ] {
            push(&mut line, value);
        }
        for (class, shed) in &row.shed_by_class {
            let mut full = format!("{line},{}", quoted(class));
            push(&mut full, Some(*shed));
            out.push_str(&full);
            out.push_str("\r\n");
        }
    }
    out
}

fn push(line: &mut String, value: Option<Spread>) {
    let _ = match value {
        None => write!(line, ",,"),
        Some(s) => write!(line, ",{},{}", s.mean, s.sd),
    };
}

/// Spreadsheets must not take a name for a formula, nor a comma in it for a border.
pub(crate) fn quoted(field: &str) -> String {
    let harmless = |c: char| c.is_alphanumeric() || " .:@%_+-/".contains(c);
    let starts_well = field.starts_with(|c: char| c.is_alphanumeric());
    if starts_well && field.chars().all(harmless) {
        return field.to_owned();
    }
    let guard = if field.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    format!("\"{guard}{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, Served};

    fn row(policy: &str) -> Summary {
        let class =
            |name: &str| Served { name: name.into(), asked: 4, admitted: 3, ..Served::default() };
        let report = Report {
            scenario: "a,b".into(),
            recovery_secs: Some(f64::INFINITY),
            classes: vec![class("low"), class("=high")],
            ..Report::default()
        };
        Summary::of(policy, &[report]).expect("one report")
    }

    #[test]
    fn columns_line_up_and_say_what_is_unknown() {
        let text = text(&[row("x"), row("longer")]);
        let lines: Vec<&str> = text.lines().collect();
        let end = |line: &str| line.chars().count();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|l| end(l) == end(lines[0])), "{text}");
        assert!(text.contains("never") && text.contains(" -") && text.contains("shed low %"));
    }

    #[test]
    fn csv_has_as_many_fields_everywhere_and_no_formulas() {
        let csv = csv(&[row("x")]);
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 3, "a row for each class");
        let commas = |line: &str| line.replace("\"a,b\"", "").matches(',').count();
        assert!(lines.iter().all(|l| commas(l) == commas(lines[0])), "{csv}");
        assert!(lines[2].contains("\"'=high\""), "{csv}");
    }
}
