//! One draw's figures, and what they come to over many.

use atrion_core::math;
use serde::Serialize;

use super::{Draw, Kind, Model, Study};
use crate::report::Report;

/// A p99 within this multiple of the deadline, or of the best limit's p99, is all right.
const P99_SLACK: f64 = 1.1;
/// Calm refusals above the best limit's, in points, that count as more.
const MORE_REFUSED: f64 = 0.5;
/// Points of goodput within which a policy keeps up with the best peer.
const KEEPS_UP: f64 = 2.0;
/// Service times vary this much, as a coefficient of variation, in the group `heavy tail`.
const HEAVY_TAIL: f64 = 1.5;
const SLOW_SECS: f64 = 0.1;

/// What one policy did in one draw.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Percent of what was possible.
    pub goodput: f64,
    /// Percent of the best static limit's goodput, both capped at what was possible, and at 100;
    /// `None` if the best limit achieved nothing.
    pub of_best: Option<f64>,
    /// 99th percentile of the latency of what was admitted, in deadlines.
    pub p99_deadlines: Option<f64>,
    /// Whether that is within a tenth of the deadline, or of the best limit's.
    pub p99_ok: bool,
    /// Percent refused in calm times; `None` if there were none.
    pub calm_refused: Option<f64>,
    /// Percent of the most valuable class's requests answered well and in time; `None` if all
    /// classes are worth the same.
    pub critical_served: Option<f64>,
    /// Changes of mode.
    pub transitions: u32,
}

impl Figures {
    fn new(report: &Report, best: &Report) -> Self {
        let capped = |r: &Report| math::min(r.goodput(), 100.0);
        let top = capped(best);
        let p99 = |r: &Report| r.latency.map(|l| l.p99_secs / r.deadline_secs);
        let allowed = P99_SLACK * math::max(1.0, p99(best).unwrap_or(0.0));
        Self {
            goodput: report.goodput(),
            of_best: (top > 0.0).then(|| math::min(100.0 * capped(report) / top, 100.0)),
            p99_deadlines: p99(report),
            p99_ok: p99(report).is_none_or(|p| p <= allowed),
            calm_refused: report.calm_refused,
            critical_served: report.critical_served(),
            transitions: report.transitions,
        }
    }
}

/// One draw and what everybody did in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// The draw's number.
    pub number: u64,
    /// What happened.
    pub kind: &'static str,
    /// How the service works.
    pub model: &'static str,
    /// Workers, connections or cores.
    pub places: u32,
    /// Mean service time in milliseconds.
    pub mean_millis: f64,
    /// Coefficient of variation of the service times; infinite for some power laws.
    pub variation: f64,
    /// The callers' deadline in mean service times.
    pub deadline_means: f64,
    /// The best static limit that was found.
    pub best_limit: u32,
    /// What that limit did.
    pub best: Figures,
    /// What the policies did, in their order.
    pub figures: Vec<Figures>,
}

impl Judged {
    pub(super) fn new(draw: &Draw, limit: u32, best: &Report, reports: &[Report]) -> Self {
        let mean_secs = draw.scenario().service().mean_secs;
        Self {
            number: draw.number(),
            kind: draw.kind().name(),
            model: draw.model().name(),
            places: draw.places(),
            mean_millis: 1000.0 * mean_secs,
            variation: draw.variation(),
            deadline_means: draw.scenario().deadline_secs() / mean_secs,
            best_limit: limit,
            best: Figures::new(best, best),
            figures: reports.iter().map(|r| Figures::new(r, best)).collect(),
        }
    }
}

/// The figures of one policy over a group of draws. What cannot be said is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The policy.
    pub policy: String,
    /// Percent of the best static limit's goodput: the mean, the tenth percentile, the worst.
    pub mean: f64,
    /// See [`mean`](Self::mean).
    pub p10: f64,
    /// See [`mean`](Self::mean).
    pub worst: f64,
    /// The draw that was worst.
    pub worst_draw: u64,
    /// Percent of the draws with at least 98 %.
    pub at_least_98: f64,
    /// Percent of the draws with at least 95 %.
    pub at_least_95: f64,
    /// Percent of the draws within 2 points of the best peer; `None` without other peers.
    pub near_best_peer: Option<f64>,
    /// Percent of the draws with a p99 that is all right.
    pub p99_ok: f64,
    /// Mean percent refused in calm times.
    pub calm_refused: Option<f64>,
    /// Percent of the draws that refuse more than half a point more in calm times than the best
    /// limit.
    pub refuses_more: Option<f64>,
    /// Mean percent of the most valuable class served.
    pub critical_served: Option<f64>,
    /// Percent of the draws with classes in which at least 99 % of it were.
    pub critical_99: Option<f64>,
    /// Mean changes of mode.
    pub transitions: f64,
    /// Percent of the draws with more than two.
    pub flapping: f64,
}

/// All policies over one group of draws.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// Name of the group; `all` is everything.
    pub group: String,
    /// Draws in it whose best limit achieved something.
    pub draws: usize,
    /// Draws in it that are left out, since not even the best limit achieved anything.
    pub hopeless: usize,
    /// One row for each policy.
    pub rows: Vec<Row>,
}

impl Study {
    /// The figures over all draws, then by capacity, tail, service time, scenario type and service
    /// model. Groups without any draw are left out.
    pub fn tables(&self) -> Vec<Table> {
        let mut groups: Vec<(String, Vec<&Judged>)> = Vec::new();
        let mut group = |name: &str, belongs: &dyn Fn(&Judged) -> bool| {
            groups.push((name.to_owned(), self.draws.iter().filter(|d| belongs(d)).collect()));
        };
        group("all", &|_| true);
        group("c <= 2", &|d| d.places <= 2);
        group("c 3-15", &|d| (3..16).contains(&d.places));
        group("c >= 16", &|d| d.places >= 16);
        group("heavy tail", &|d| d.variation >= HEAVY_TAIL);
        group("S >= 100 ms", &|d| d.mean_millis >= 1000.0 * SLOW_SECS);
        for kind in Kind::ALL {
            group(kind.name(), &|d| d.kind == kind.name());
        }
        for model in Model::ALL {
            group(&format!("on {}", model.name()), &|d| d.model == model.name());
        }
        groups.into_iter().filter_map(|(name, draws)| self.table(name, &draws)).collect()
    }

    fn table(&self, group: String, draws: &[&Judged]) -> Option<Table> {
        let rated: Vec<&Judged> =
            draws.iter().copied().filter(|d| d.best.of_best.is_some()).collect();
        if draws.is_empty() {
            return None;
        }
        let rows = (0..self.policies.len()).filter_map(|index| self.row(index, &rated));
        Some(Table {
            group,
            draws: rated.len(),
            hopeless: draws.len() - rated.len(),
            rows: rows.collect(),
        })
    }

    fn row(&self, index: usize, draws: &[&Judged]) -> Option<Row> {
        let own = || draws.iter().filter_map(|d| Some((*d, d.figures.get(index)?)));
        let mut shares: Vec<(f64, u64)> =
            own().filter_map(|(d, f)| Some((f.of_best?, d.number))).collect();
        shares.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (worst, worst_draw) = *shares.first()?;
        let (p10, _) = *shares.get(shares.len() / 10)?;
        let is = |yes: bool| f64::from(u8::from(yes));
        let refused = |f: &Figures| f.calm_refused;
        let more = |(d, f): (&Judged, &Figures)| {
            Some(100.0 * is(f.calm_refused? > d.best.calm_refused? + MORE_REFUSED))
        };
        Some(Row {
            policy: self.policies.get(index)?.clone(),
            mean: mean(shares.iter().map(|s| s.0))?,
            p10,
            worst,
            worst_draw,
            at_least_98: mean(shares.iter().map(|s| 100.0 * is(s.0 >= 98.0)))?,
            at_least_95: mean(shares.iter().map(|s| 100.0 * is(s.0 >= 95.0)))?,
            near_best_peer: mean(own().filter_map(|(d, f)| {
                Some(100.0 * is(f.of_best? >= self.best_peer(index, d)? - KEEPS_UP))
            })),
            p99_ok: mean(own().map(|(_, f)| 100.0 * is(f.p99_ok)))?,
            calm_refused: mean(own().filter_map(|(_, f)| refused(f))),
            refuses_more: mean(own().filter_map(more)),
            critical_served: mean(own().filter_map(|(_, f)| f.critical_served)),
            critical_99: mean(
                own().filter_map(|(_, f)| Some(100.0 * is(f.critical_served? >= 99.0))),
            ),
            transitions: mean(own().map(|(_, f)| f64::from(f.transitions)))?,
            flapping: mean(own().map(|(_, f)| 100.0 * is(f.transitions > 2)))?,
        })
    }

    /// The highest share among the peers other than `index`.
    fn best_peer(&self, index: usize, draw: &Judged) -> Option<f64> {
        let peers = draw.figures.iter().zip(&self.peers).enumerate();
        peers
            .filter(|(i, (_, is_peer))| *i != index && **is_peer)
            .filter_map(|(_, (f, _))| f.of_best)
            .reduce(math::max)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0_f64);
    for value in values {
        sum += value;
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::Family;

    fn figures(of_best: f64) -> Figures {
        Figures {
            goodput: of_best,
            of_best: Some(of_best),
            p99_deadlines: Some(0.5),
            p99_ok: of_best > 50.0,
            calm_refused: Some(100.0 - of_best),
            critical_served: Some(of_best),
            transitions: 0,
        }
    }

    fn judged(number: u64, places: u32, shares: &[f64]) -> Judged {
        Judged {
            number,
            kind: "step",
            model: "fifo",
            places,
            mean_millis: 10.0,
            variation: 1.0,
            deadline_means: 10.0,
            best_limit: 3,
            best: Figures { calm_refused: Some(0.0), ..figures(100.0) },
            figures: shares.iter().map(|s| figures(*s)).collect(),
        }
    }

    fn study() -> Study {
        let mut draws: Vec<Judged> = (0..10_u32)
            .map(|n| judged(u64::from(n), 1 + n, &[90.0 + f64::from(n), 97.0]))
            .collect();
        draws.push(judged(10, 1, &[40.0, 45.0]));
        let hopeless = Figures { of_best: None, ..figures(0.0) };
        draws.push(Judged { best: hopeless, figures: vec![hopeless; 2], ..judged(11, 1, &[]) });
        Study {
            family: Family::Training,
            first: 0,
            most_requests: 1e5,
            policies: vec!["atrion".into(), "aimd".into()],
            peers: vec![false, true],
            draws,
        }
    }

    #[test]
    fn figures_are_what_their_names_say() {
        let tables = study().tables();
        let all = &tables[0];
        assert_eq!((all.draws, all.hopeless, all.rows.len()), (11, 1, 2));
        let ours = &all.rows[0];
        // 40, 90, 91, ... 99.
        assert!((ours.mean - 985.0 / 11.0).abs() < 1e-9 && (ours.p10 - 90.0).abs() < 1e-9);
        assert!((ours.worst - 40.0).abs() < 1e-9 && ours.worst_draw == 10);
        assert!((ours.at_least_98 - 200.0 / 11.0).abs() < 1e-9);
        assert!((ours.at_least_95 - 500.0 / 11.0).abs() < 1e-9);
        // At least 95 against the peer's 97; 40 against 45 is not near.
        assert!((ours.near_best_peer.expect("a peer") - 500.0 / 11.0).abs() < 1e-9);
        assert!((ours.p99_ok - 1000.0 / 11.0).abs() < 1e-9);
        assert!((ours.refuses_more.expect("calm times") - 100.0).abs() < 1e-9);
        assert!((ours.critical_99.expect("classes") - 100.0 / 11.0).abs() < 1e-9);
        assert_eq!(all.rows[1].near_best_peer, None, "no other peer");
    }

    #[test]
    fn groups_hold_what_belongs_and_none_is_empty() {
        let tables = study().tables();
        let draws = |name: &str| tables.iter().find(|t| t.group == name).map(|t| t.draws);
        assert_eq!((draws("c <= 2"), draws("c 3-15"), draws("c >= 16")), (Some(3), Some(8), None));
        assert_eq!((draws("step"), draws("gray"), draws("on fifo")), (Some(11), None, Some(11)));
    }
}
