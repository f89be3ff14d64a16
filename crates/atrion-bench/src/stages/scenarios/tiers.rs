//! Who keeps what when others ask for more: priorities, and routes over one bottleneck.

use atrion_core::math;
use atrion_sim::Report;

use super::{
    Everybody, Found, OURS, PROCESS, Plan, Source, anybody, beside, figure, preset, price,
};
use crate::verdict::Measured;

const LOW: (&str, &str, &str) = ("scenarios.low12x", "low12x", "critical");
const ROUTES: (&str, &str, &str) = ("scenarios.routes", "routes", "export");

/// The route of the top tier among them.
const TOP: &str = "health";

pub(super) struct Tiers;

impl Source for Tiers {
    fn name(&self) -> &'static str {
        "priorities and routes"
    }

    fn steps(&self, plan: &Plan) -> usize {
        2 * plan.runs(false)
    }

    fn measure(&self, plan: &Plan) -> Result<Found, String> {
        let (goal, name, top) = LOW;
        let everybody = plan.compare(&preset(name)?, false)?;
        let low = beside(goal, &everybody, |report| served(report, top), anybody)?;
        let of_low = price(&everybody, &low);
        let low = low.note(format!("of all that asked, served well and in time; {of_low}"));
        let (goal, name, surging) = ROUTES;
        let everybody = plan.compare(&preset(name)?, false)?;
        let routes = beside(goal, &everybody, |report| worst_beside(report, surging).1, anybody)?;
        let ours = everybody.get(super::OURS).and_then(|reports| reports.first());
        let worst = ours.map_or("", |report| worst_beside(report, surging).0);
        let of_routes = price(&everybody, &routes);
        let routes = routes.note(format!("worst: {worst}; {of_routes}"));
        let measured = vec![low, routes, in_series(&everybody)?];
        Ok(Found { measured, ..Found::default() })
    }
}

/// What the top tier keeps with the process's element in series.
fn in_series(everybody: &Everybody) -> Result<Measured, String> {
    const GOAL: &str = "scenarios.routes.top";
    let ours = everybody.get(PROCESS).ok_or("the simulator does not know the process circuit")?;
    let mut measured = Measured::new(GOAL, figure(GOAL, ours, |report| served(report, TOP))?);
    for (name, reports) in everybody.iter().filter(|(name, _)| ![OURS, PROCESS].contains(name)) {
        measured = measured.peer(*name, figure(GOAL, reports, |report| served(report, TOP))?);
    }
    let other = super::mean(ours, |report| worst_beside(report, ROUTES.2).1);
    Ok(measured.note(format!("the worst other route keeps {other:.1} %")))
}

/// Percent of a class's requests that were served well and in time.
fn served(report: &Report, class: &str) -> f64 {
    let found = report.classes.iter().find(|c| c.name == class && c.asked > 0);
    // A class that is not there is a mistake, and NaN is refused as one.
    found.map_or(f64::NAN, |c| math::min(100.0, 100.0 * c.good as f64 / c.asked as f64))
}

/// The class that keeps least beside the one that surges, and how much.
fn worst_beside<'r>(report: &'r Report, surging: &str) -> (&'r str, f64) {
    let others = report.classes.iter().filter(|c| c.name != surging);
    let kept = others.map(|c| (c.name.as_str(), served(report, &c.name)));
    kept.reduce(|a, b| if a.1.is_nan() || a.1 <= b.1 { a } else { b }).unwrap_or(("", f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use atrion_sim::report::Served;

    fn report(classes: &[(&str, u64, u64)]) -> Report {
        let class = |&(name, asked, good): &(&str, u64, u64)| Served {
            name: name.to_owned(),
            asked,
            good,
            ..Served::default()
        };
        Report { classes: classes.iter().map(class).collect(), ..Report::default() }
    }

    #[test]
    fn the_worst_is_looked_for_beside_the_one_that_surges() {
        let seen = report(&[("a", 100, 97), ("b", 50, 40), ("export", 1000, 10)]);
        assert_eq!(worst_beside(&seen, "export"), ("b", 80.0));
        assert_eq!(worst_beside(&seen, "nobody").0, "export");
        assert!(worst_beside(&report(&[("export", 1, 1)]), "export").1.is_nan());
    }

    #[test]
    fn a_class_that_is_missing_or_silent_is_no_perfect_score() {
        let seen = report(&[("a", 0, 0), ("b", 10, 10)]);
        assert!(served(&seen, "a").is_nan() && served(&seen, "x").is_nan());
        assert!((served(&seen, "b") - 100.0).abs() < 1e-9);
        assert!(worst_beside(&seen, "x").1.is_nan(), "silence is noticed");
        assert!(worst_beside(&report(&[("b", 10, 10), ("a", 0, 0)]), "x").1.is_nan());
    }

    #[test]
    fn the_scenarios_have_the_classes_that_are_asked_about() {
        for (_, name, class) in [LOW, ROUTES] {
            let scenario = preset(name).expect("there");
            assert!(scenario.classes().iter().any(|c| c.name == class), "{name}: {class}");
        }
    }
}
