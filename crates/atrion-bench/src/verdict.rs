//! From what was measured to what is said about it.

use crate::figure::Figure;
use crate::goals::{self, Better, Bound, Goal};
use crate::stage::Stage;

/// What a stage found out about one goal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    /// The goal's name.
    pub(crate) goal: &'static str,
    pub(crate) ours: Figure,
    /// Everybody else who was measured in the same way.
    pub(crate) peers: Vec<Peer>,
    /// What a reader has to know beside the figures; may be empty.
    pub(crate) note: String,
    /// Why a missed goal says nothing about Atrion, if so.
    pub(crate) excuse: Option<String>,
    /// Why a met goal says nothing either, if so.
    pub(crate) doubt: Option<String>,
}

impl Measured {
    pub(crate) fn new(goal: &'static str, ours: Figure) -> Self {
        Self { goal, ours, peers: Vec::new(), note: String::new(), excuse: None, doubt: None }
    }

    pub(crate) fn peer(mut self, name: impl Into<String>, figure: Figure) -> Self {
        self.peers.push(Peer { name: name.into(), figure });
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// Somebody else's figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) figure: Figure,
}

/// How a goal stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// There is a figure and nothing to hold it against.
    Known,
    /// It could not be told, and why.
    Unmeasured(String),
}

impl Verdict {
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Known => "no goal",
            Self::Unmeasured(_) => "not measured",
        }
    }
}

/// A line of the final table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) goal: &'static Goal,
    pub(crate) ours: Option<Figure>,
    /// The one the goal names, or else the best.
    pub(crate) peer: Option<Peer>,
    /// Ours over the peer's.
    pub(crate) ratio: Option<Figure>,
    pub(crate) verdict: Verdict,
    /// Whether the bound lies within the spread: another run may well say otherwise.
    pub(crate) is_close: bool,
    pub(crate) note: String,
}

/// A line for each goal of a stage, also for those of which nothing was heard: `why` says why.
pub(crate) fn rows(stage: Stage, measured: &[Measured], why: &str) -> Vec<Row> {
    goals::of_stage(stage)
        .map(|goal| match measured.iter().find(|m| m.goal == goal.id) {
            Some(measured) => judge(goal, measured),
            None => unmeasured(goal, why),
        })
        .collect()
}

fn unmeasured(goal: &'static Goal, why: &str) -> Row {
    Row {
        goal,
        ours: None,
        peer: None,
        ratio: None,
        verdict: Verdict::Unmeasured(why.to_owned()),
        is_close: false,
        note: String::new(),
    }
}

/// Holds one figure against its goal.
pub(crate) fn judge(goal: &'static Goal, measured: &Measured) -> Row {
    let ours = measured.ours;
    let peer = match goal.bound {
        Bound::Ratio { peer, .. } => measured.peers.iter().find(|p| p.name == peer),
        Bound::Value(_) | Bound::None => best(goal.better, &measured.peers),
    };
    let ratio = peer.and_then(|peer| ours.over(peer.figure));
    let (held, bound) = match goal.bound {
        Bound::None => (Ok(None), 0.0),
        Bound::Value(bound) => (Ok(Some(ours)), bound),
        Bound::Ratio { peer: name, bound } => match (peer, ratio) {
            (None, _) => (Err(format!("there is no figure of {name}")), bound),
            (_, None) => (Err(format!("the figure of {name} allows no ratio")), bound),
            (_, ratio) => (Ok(ratio), bound),
        },
    };
    let verdict = match held {
        Err(why) => Verdict::Unmeasured(why),
        Ok(None) => Verdict::Known,
        Ok(Some(figure)) if keeps(goal.better, figure.value(), bound) => {
            measured.doubt.clone().map_or(Verdict::Met, Verdict::Unmeasured)
        }
        Ok(Some(_)) => measured.excuse.clone().map_or(Verdict::Missed, Verdict::Unmeasured),
    };
    let judged = matches!(verdict, Verdict::Met | Verdict::Missed);
    let is_close = judged
        && if let Bound::Value(_) = goal.bound { Some(ours) } else { ratio }
            .is_some_and(|figure| figure.straddles(bound));
    Row {
        goal,
        ours: Some(ours),
        peer: peer.cloned(),
        ratio,
        verdict,
        is_close,
        note: measured.note.clone(),
    }
}

fn keeps(better: Better, value: f64, bound: f64) -> bool {
    match better {
        Better::Less => value <= bound,
        Better::More => value >= bound,
    }
}

/// The first of those that nobody surpasses.
pub(crate) fn best(better: Better, peers: &[Peer]) -> Option<&Peer> {
    let value = |p: &&Peer| p.figure.value();
    peers.iter().reduce(|best, peer| {
        let surpasses = match better {
            Better::Less => value(&peer) < value(&best),
            Better::More => value(&peer) > value(&best),
        };
        if surpasses { peer } else { best }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LESS: Goal = Goal {
        id: "micro.x",
        stage: Stage::Micro,
        what: "x",
        unit: "ns",
        better: Better::Less,
        bound: Bound::Value(10.0),
    };
    const MORE: Goal = Goal { better: Better::More, ..LESS };
    const RATIO: Goal = Goal { bound: Bound::Ratio { peer: "b", bound: 0.5 }, ..LESS };
    const FREE: Goal = Goal { bound: Bound::None, ..LESS };

    fn figure(value: f64, low: f64, high: f64) -> Figure {
        Figure::try_new("x", value, low, high).expect("in order")
    }

    fn measured(value: f64) -> Measured {
        Measured::new("micro.x", figure(value, value - 1.0, value + 1.0))
    }

    fn judged(goal: &'static Goal, measured: &Measured) -> (Verdict, bool) {
        let row = judge(goal, measured);
        (row.verdict, row.is_close)
    }

    #[test]
    fn a_bound_is_met_on_its_own_side_and_at_the_edge() {
        for (value, less, more) in [
            (8.0, Verdict::Met, Verdict::Missed),
            (10.0, Verdict::Met, Verdict::Met),
            (12.0, Verdict::Missed, Verdict::Met),
        ] {
            assert_eq!(judge(&LESS, &measured(value)).verdict, less, "{value}");
            assert_eq!(judge(&MORE, &measured(value)).verdict, more, "{value}");
        }
    }

    #[test]
    fn a_bound_within_the_spread_is_close() {
        assert_eq!(judged(&LESS, &measured(10.5)), (Verdict::Missed, true));
        assert_eq!(judged(&LESS, &measured(9.5)), (Verdict::Met, true));
        assert_eq!(judged(&LESS, &measured(8.0)), (Verdict::Met, false));
    }

    #[test]
    fn what_never_happened_misses_an_upper_bound() {
        let never = Measured::new("micro.x", figure(f64::INFINITY, 1.0, f64::INFINITY));
        assert_eq!(judge(&LESS, &never).verdict, Verdict::Missed);
    }

    #[test]
    fn the_best_peer_is_named_and_compared() {
        let with = measured(6.0)
            .peer("a", figure(4.0, 4.0, 4.0))
            .peer("b", figure(3.0, 3.0, 3.0))
            .peer("c", figure(3.0, 3.0, 3.0));
        let row = judge(&LESS, &with);
        assert_eq!(row.peer.expect("one is best").name, "b");
        assert_eq!(row.ratio, Some(figure(2.0, 5.0 / 3.0, 7.0 / 3.0)));
        let row = judge(&MORE, &with);
        assert_eq!(row.peer.expect("one is best").name, "a");
    }

    #[test]
    fn a_ratio_is_taken_of_the_peer_that_the_goal_names() {
        let with =
            measured(6.0).peer("a", figure(1.0, 1.0, 1.0)).peer("b", figure(20.0, 18.0, 22.0));
        let row = judge(&RATIO, &with);
        assert_eq!((row.verdict, row.is_close), (Verdict::Met, false));
        assert_eq!(row.peer.expect("named").name, "b");
        let slow = measured(6.0).peer("b", figure(11.0, 11.0, 11.0));
        assert_eq!(judged(&RATIO, &slow), (Verdict::Missed, true));
    }

    #[test]
    fn a_missing_or_worthless_peer_is_no_verdict() {
        let alone = judge(&RATIO, &measured(6.0).peer("a", figure(1.0, 1.0, 1.0)));
        assert_eq!(alone.verdict, Verdict::Unmeasured("there is no figure of b".to_owned()));
        let zero = judge(&RATIO, &measured(6.0).peer("b", figure(0.0, 0.0, 0.0)));
        let why = "the figure of b allows no ratio".to_owned();
        assert_eq!((zero.verdict, zero.is_close), (Verdict::Unmeasured(why), false));
    }

    #[test]
    fn an_excuse_takes_nothing_from_a_kept_goal() {
        let excused = |value| {
            let excuse = Some("the machine was too busy".to_owned());
            judge(&LESS, &Measured { excuse, ..measured(value) }).verdict
        };
        assert_eq!(excused(8.0), Verdict::Met);
        assert_eq!(excused(12.0), Verdict::Unmeasured("the machine was too busy".to_owned()));
    }

    #[test]
    fn a_doubt_takes_nothing_from_a_missed_goal() {
        let doubted = |value| {
            let doubt = Some("nobody asked".to_owned());
            judge(&LESS, &Measured { doubt, ..measured(value) }).verdict
        };
        assert_eq!(doubted(8.0), Verdict::Unmeasured("nobody asked".to_owned()));
        assert_eq!(doubted(12.0), Verdict::Missed);
    }

    #[test]
    fn without_a_goal_a_figure_is_just_known() {
        assert_eq!(judged(&FREE, &measured(0.0)), (Verdict::Known, false));
    }

    #[test]
    fn every_goal_of_a_stage_has_a_line_whatever_was_measured() {
        let ours = figure(1.5, 1.4, 1.6);
        let rows = rows(Stage::Micro, &[Measured::new("micro.read", ours)], "it broke");
        assert_eq!(rows.len(), goals::of_stage(Stage::Micro).count());
        let (first, rest) = rows.split_first().expect("some");
        assert_eq!((first.goal.id, &first.verdict), ("micro.read", &Verdict::Met));
        assert!(rest.iter().all(|r| r.verdict == Verdict::Unmeasured("it broke".to_owned())));
    }
}
