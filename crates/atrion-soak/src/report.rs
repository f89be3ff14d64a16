//! The balance: what was looked at, what did not hold, and the figures beside.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use crate::driver::share;
use crate::ledger::{Invariant, Ledger};
use crate::memory::{self, Trend};
use crate::node_process::Measured;
use crate::schedule::{Deed, WITNESS};
use crate::tally::Totals;
use crate::wire::State;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Held,
    Violated,
    Interrupted,
}

/// What was measured of one process of a node.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NodeFigures {
    node: usize,
    generation: u32,
    lived_secs: f64,
    memory_kib: Option<Trend>,
    descriptors: Option<Trend>,
    threads: Option<Trend>,
}

impl NodeFigures {
    pub(crate) fn of(node: usize, measured: &Measured) -> Self {
        Self {
            node,
            generation: measured.generation,
            lived_secs: measured.memory.last().map_or(0.0, |sample| sample.secs),
            memory_kib: memory::trend(&measured.memory),
            descriptors: memory::trend(&measured.descriptors),
            threads: memory::trend(&measured.threads),
        }
    }
}

/// What is worth knowing beside the invariants.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    pub(crate) totals: Totals,
    pub(crate) faults: u64,
    pub(crate) deeds: BTreeMap<String, u64>,
    pub(crate) starts: u64,
    pub(crate) kills: u64,
    /// How long full service took to return after each storm.
    pub(crate) returns_secs: Vec<f64>,
    /// How long nodes took to agree.
    pub(crate) agree_secs: Vec<f64>,
    pub(crate) acknowledged: usize,
    pub(crate) lines_read: u64,
    /// The highest counts that nodes have told.
    pub(crate) most_routes: usize,
    pub(crate) most_evicted: u64,
    pub(crate) most_overflowed: u64,
    pub(crate) most_refused: u64,
    pub(crate) most_saved: u64,
    pub(crate) most_frames_in: u64,
    pub(crate) nodes: Vec<NodeFigures>,
}

impl Figures {
    pub(crate) fn note_deed(&mut self, deed: Deed) {
        self.faults += 1;
        let name = format!("{deed:?}");
        let name = name.split(['(', ' ']).next().unwrap_or_default().to_owned();
        *self.deeds.entry(name).or_default() += 1;
    }

    pub(crate) fn note(&mut self, state: &State) {
        self.most_routes = self.most_routes.max(state.routes);
        self.most_evicted = self.most_evicted.max(state.evicted);
        self.most_overflowed = self.most_overflowed.max(state.overflowed);
        self.most_refused = self.most_refused.max(state.refused);
        self.most_saved = self.most_saved.max(state.saved);
        self.most_frames_in = self.most_frames_in.max(state.frames_in);
    }
}

/// Everything there is to say in the end.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) status: Status,
    pub(crate) interrupted: bool,
    pub(crate) minutes: u32,
    pub(crate) seed: u64,
    pub(crate) took_secs: u64,
    pub(crate) rounds: u32,
    pub(crate) machine: String,
    pub(crate) ledger: Ledger,
    pub(crate) figures: Figures,
}

impl Report {
    fn verdict(&self) -> String {
        let after = if self.interrupted {
            format!(", interrupted after {} s", self.took_secs)
        } else {
            String::new()
        };
        match (self.status, self.ledger.violations()) {
            (Status::Violated, violations) => format!("{violations} VIOLATIONS{after}"),
            (Status::Interrupted, _) => {
                format!("interrupted after {} s; nothing was violated so far", self.took_secs)
            }
            (Status::Held, _) => "everything held".to_owned(),
        }
    }

    /// The table of invariants, and the verdict below it.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{:<70} {:>10} {:>10}\n", "invariant", "checks", "violations");
        for invariant in Invariant::ALL {
            let line = self.ledger.line(invariant);
            let looked =
                if line.checks == 0 { "NOT SEEN".to_owned() } else { line.checks.to_string() };
            // Writing to a string cannot fail.
            let _ =
                writeln!(text, "{:<70} {looked:>10} {:>10}", invariant.title(), line.violations);
        }
        for invariant in Invariant::ALL {
            for words in self.ledger.line(invariant).examples {
                let _ = writeln!(text, "  {invariant:?}: {words}");
            }
        }
        let _ = writeln!(text, "{}", self.sentence());
        let _ = writeln!(text, "{} (seed {})", self.verdict(), self.seed);
        text
    }

    /// The witness's memory in words.
    fn sentence(&self) -> String {
        let witness = self.figures.nodes.iter().find(|figures| figures.node == WITNESS);
        witness.and_then(|figures| figures.memory_kib).map_or_else(
            || "memory: too short to say anything".to_owned(),
            |trend| {
                format!(
                    "memory of the node that is never killed: {:.2} MiB in the first third after warm-up, {:.2} MiB in the last ({:+.2} %, allowed {:+.0} %; {} samples over {:.0} s)",
                    trend.first / 1024.0,
                    trend.last / 1024.0,
                    trend.growth() * 100.0,
                    trend.tolerance() * 100.0,
                    trend.samples,
                    trend.span_secs,
                )
            },
        )
    }

    fn markdown(&self) -> String {
        let figures = &self.figures;
        let totals = figures.totals;
        let mut text = format!(
            "# Soak: {}\n\n`cargo xtask soak --minutes {} --seed {}`, {} s, {} rounds, on {}.\n\n\
             | invariant | checks | violations |\n|---|---|---|\n",
            self.verdict(),
            self.minutes,
            self.seed,
            self.took_secs,
            self.rounds,
            self.machine
        );
        for invariant in Invariant::ALL {
            let line = self.ledger.line(invariant);
            let _ =
                writeln!(text, "| {} | {} | {} |", invariant.title(), line.checks, line.violations);
        }
        let unseen = self.ledger.unseen();
        if !unseen.is_empty() {
            let _ = writeln!(text, "\nNot looked at: {unseen:?}.");
        }
        for invariant in Invariant::ALL {
            for words in self.ledger.line(invariant).examples {
                let _ = writeln!(text, "- {invariant:?}: {words}");
            }
        }
        let _ = writeln!(text, "\n{}.\n", self.sentence());
        let rows = [
            ("requests", totals.asked.to_string()),
            ("good", format!("{:.1} %", share(totals.good, totals.asked))),
            ("refused", format!("{:.1} %", share(totals.refused, totals.asked))),
            ("failed", format!("{:.1} %", share(totals.failed, totals.asked))),
            ("without an answer", format!("{:.1} %", share(totals.silent, totals.asked))),
            ("faults", figures.faults.to_string()),
            ("starts and kills of nodes", format!("{} and {}", figures.starts, figures.kills)),
            ("return of full service, median and longest", spread(&figures.returns_secs)),
            ("agreement of nodes, median and longest", spread(&figures.agree_secs)),
            ("acknowledged and read back", format!("{} routes", figures.acknowledged)),
            ("lines of the dashboard", figures.lines_read.to_string()),
            ("most routes of a node", figures.most_routes.to_string()),
            ("most evictions of a node", figures.most_evicted.to_string()),
            ("most foreign messages refused by a node", figures.most_refused.to_string()),
            ("most vectors saved by a node", figures.most_saved.to_string()),
        ];
        text.push_str("| figure | |\n|---|---|\n");
        for (name, value) in rows {
            let _ = writeln!(text, "| {name} | {value} |");
        }
        text.push_str("\n| process | lived | memory, first and last third | descriptors | threads |\n|---|---|---|---|---|\n");
        for of in figures.nodes.iter().filter(|of| of.memory_kib.is_some()) {
            let _ = writeln!(
                text,
                "| node {}, generation {} | {:.0} s | {} | {} | {} |",
                of.node,
                of.generation,
                of.lived_secs,
                both(of.memory_kib, 1024.0, " MiB"),
                both(of.descriptors, 1.0, ""),
                both(of.threads, 1.0, "")
            );
        }
        text
    }

    fn json(&self) -> Value {
        let invariants: Vec<Value> = Invariant::ALL
            .into_iter()
            .map(|invariant| {
                let line = self.ledger.line(invariant);
                json!({"invariant": invariant, "title": invariant.title(), "checks": line.checks,
                       "violations": line.violations, "examples": line.examples})
            })
            .collect();
        json!({
            "status": self.status, "interrupted": self.interrupted, "minutes": self.minutes,
            "seed": self.seed, "took_secs": self.took_secs, "rounds": self.rounds,
            "machine": self.machine, "invariants": invariants, "figures": self.figures,
        })
    }

    /// Writes both files into `folder`, whole or not at all.
    ///
    /// # Errors
    ///
    /// A sentence if they cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<(PathBuf, PathBuf), String> {
        let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
        fs::create_dir_all(folder).map_err(failed)?;
        let put = |name: &str, text: String| {
            let (path, draft) =
                (folder.join(name), folder.join(format!(".{name}.{}", std::process::id())));
            fs::write(&draft, text).and_then(|()| fs::rename(&draft, &path)).map_err(failed)?;
            Ok::<PathBuf, String>(path)
        };
        let json = serde_json::to_string_pretty(&self.json()).map_err(|e| e.to_string())?;
        Ok((put("soak.md", self.markdown())?, put("soak.json", json)?))
    }
}

fn both(trend: Option<Trend>, unit: f64, name: &str) -> String {
    trend.map_or_else(
        || "too few".to_owned(),
        |trend| {
            let digits = if unit > 1.0 { 2 } else { 0 };
            format!("{:.digits$} → {:.digits$}{name}", trend.first / unit, trend.last / unit)
        },
    )
}

fn spread(secs: &[f64]) -> String {
    let mut secs = secs.to_vec();
    secs.sort_by(f64::total_cmp);
    match (secs.get(secs.len() / 2), secs.last()) {
        (Some(median), Some(longest)) => format!("{median:.1} s and {longest:.1} s"),
        _ => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Sample;

    fn report(status: Status) -> Report {
        let mut ledger = Ledger::default();
        ledger.check(Invariant::Scars, true, String::new);
        if status == Status::Violated {
            ledger.violated(Invariant::Scars, "a scar of 600 ohm".to_owned());
        }
        let samples: Vec<Sample> =
            (0..400).map(|n| Sample { secs: f64::from(n * 5), value: 20_480.0 }).collect();
        let measured = Measured { generation: 1, memory: samples, ..Measured::default() };
        let mut figures =
            Figures { nodes: vec![NodeFigures::of(WITNESS, &measured)], ..Figures::default() };
        figures.note_deed(Deed::KillNode(1));
        figures.note_deed(Deed::KillNode(2));
        Report {
            status,
            interrupted: status == Status::Interrupted,
            minutes: 30,
            seed: 7,
            took_secs: 12,
            rounds: 1,
            machine: "a machine".to_owned(),
            ledger,
            figures,
        }
    }

    #[test]
    fn the_table_says_what_was_seen_and_what_was_not() {
        let text = report(Status::Held).table();
        assert!(text.contains("NOT SEEN") && text.contains("everything held (seed 7)"), "{text}");
        assert!(text.contains("20.00 MiB in the last (+0.00 %, allowed +5 %"), "{text}");
        let text = report(Status::Violated).table();
        assert!(text.contains("1 VIOLATIONS") && text.contains("a scar of 600 ohm"), "{text}");
        assert!(report(Status::Interrupted).table().contains("interrupted after 12 s"));
    }

    #[test]
    fn the_report_is_written_whole() {
        let folder =
            std::env::temp_dir().join(format!("atrion-soak-report-{}", std::process::id()));
        let (markdown, json) = report(Status::Violated).write(&folder).expect("written");
        let text = fs::read_to_string(markdown).expect("there");
        assert!(text.contains("`cargo xtask soak --minutes 30 --seed 7`"), "{text}");
        let json: Value =
            serde_json::from_str(&fs::read_to_string(json).expect("there")).expect("json");
        assert_eq!(json["status"], "violated");
        assert_eq!(json["figures"]["deeds"]["KillNode"], 2);
        assert_eq!(json["invariants"].as_array().map(Vec::len), Some(Invariant::ALL.len()));
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 2, "no drafts are left");
        fs::remove_dir_all(folder).expect("removed");
    }
}
