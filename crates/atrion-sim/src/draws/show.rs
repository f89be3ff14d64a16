//! Results of draws as text and as CSV.

use std::fmt::Write as _;

use super::judge::Figures;
use super::{Study, Table};
use crate::table::{align, quoted};

impl Study {
    /// A table of all policies over all draws, and one line for each group and policy.
    pub fn text(&self) -> String {
        let tables = self.tables();
        let mut out = format!(
            "{} draws {} to {}, in percent of the best static limit in hindsight\n",
            self.family.name(),
            self.first,
            self.first + (self.draws.len() as u64).saturating_sub(1),
        );
        if let Some(all) = tables.first() {
            out.push_str(&summary(all));
        }
        out.push_str("\nby group: mean % of the best limit, and the worst draw\n");
        out.push_str(&self.by_group(&tables));
        out
    }

    fn by_group(&self, tables: &[Table]) -> String {
        let mut lines = vec![vec!["group".to_owned(), "draws".to_owned()]];
        if let Some(heading) = lines.first_mut() {
            heading.extend(self.policies.iter().flat_map(|p| [p.clone(), "worst".to_owned()]));
        }
        for table in tables.iter().skip(1) {
            let mut line = vec![table.group.clone(), table.draws.to_string()];
            let cells =
                |row: &super::Row| [format!("{:.1}", row.mean), format!("{:.0}", row.worst)];
            line.extend(table.rows.iter().flat_map(cells));
            lines.push(line);
        }
        align(&lines)
    }

    /// One line for each draw and policy; what cannot be said is empty.
    pub fn csv(&self) -> String {
        let mut out = String::from(
            "family,draw,scenario,service,places,mean_millis,variation,deadline_means,best_limit,\
             policy,goodput_percent,of_best_percent,p99_deadlines,p99_ok,calm_refused_percent,\
             critical_served_percent,transitions\r\n",
        );
        for draw in &self.draws {
            let head = format!(
                "{},{},{},{},{},{},{},{},{}",
                self.family.name(),
                draw.number,
                draw.kind,
                draw.model,
                draw.places,
                draw.mean_millis,
                draw.variation,
                draw.deadline_means,
                draw.best_limit
            );
            push(&mut out, &head, "best limit", &draw.best);
            for (policy, figures) in self.policies.iter().zip(&draw.figures) {
                push(&mut out, &head, policy, figures);
            }
        }
        out
    }
}

fn push(out: &mut String, head: &str, policy: &str, f: &Figures) {
    let maybe = |x: Option<f64>| x.map_or(String::new(), |x| x.to_string());
    let _ = write!(
        out,
        "{head},{},{},{},{},{},{},{},{}\r\n",
        quoted(policy),
        f.goodput,
        maybe(f.of_best),
        maybe(f.p99_deadlines),
        f.p99_ok,
        maybe(f.calm_refused),
        maybe(f.critical_served),
        f.transitions
    );
}

fn summary(all: &Table) -> String {
    let heading = [
        "policy",
        "mean",
        "p10",
        "worst",
        "(draw)",
        ">=98 %",
        ">=95 %",
        "near best peer",
        "p99 ok",
        "calm harm %",
        "more harm",
        "critical %",
        ">=99 %",
        "modes",
        "> 2",
    ];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    let maybe = |x: Option<f64>, decimals: usize| {
        x.map_or_else(|| "-".to_owned(), |x| format!("{x:.decimals$}"))
    };
    lines.extend(all.rows.iter().map(|row| {
        vec![
            row.policy.clone(),
            format!("{:.2}", row.mean),
            format!("{:.1}", row.p10),
            format!("{:.1}", row.worst),
            format!("({})", row.worst_draw),
            format!("{:.0}%", row.at_least_98),
            format!("{:.0}%", row.at_least_95),
            row.near_best_peer.map_or_else(|| "-".to_owned(), |x| format!("{x:.1}%")),
            format!("{:.0}%", row.p99_ok),
            maybe(row.calm_refused, 2),
            row.refuses_more.map_or_else(|| "-".to_owned(), |x| format!("{x:.0}%")),
            maybe(row.critical_served, 2),
            row.critical_99.map_or_else(|| "-".to_owned(), |x| format!("{x:.0}%")),
            format!("{:.2}", row.transitions),
            format!("{:.0}%", row.flapping),
        ]
    }));
    let left_out = if all.hopeless > 0 {
        format!("({} draws left out: not even the best limit achieved anything)\n", all.hopeless)
    } else {
        String::new()
    };
    align(&lines) + &left_out
}

#[cfg(test)]
mod tests {
    use crate::Candidate;
    use crate::draws::{Family, Options, evaluate};

    #[test]
    fn texts_name_everybody_and_csv_lines_are_alike() {
        let policies = [Candidate::parse("atrion").unwrap(), Candidate::parse("aimd").unwrap()];
        let options = Options { threads: 1, most_requests: 2000.0 };
        let study = evaluate(Family::HeldOut, 3, 5, &policies, &options, &|| ()).unwrap();
        let text = study.text();
        assert!(text.starts_with("held-out draws 5 to 7,"), "{text}");
        assert!(text.contains("\natrion ") && text.contains("\naimd "), "{text}");
        let csv = study.csv();
        let commas = |line: &str| line.matches(',').count();
        assert_eq!(csv.lines().count(), 1 + 3 * 3);
        assert!(csv.lines().all(|l| commas(l) == 16), "{csv}");
    }
}
