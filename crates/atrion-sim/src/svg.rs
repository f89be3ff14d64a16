//! Plots of runs over time, as SVG.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use atrion_core::math;

use crate::compare::Evaluation;
use crate::report::{Bin, Report};
use crate::scenario::Scenario;

pub(crate) const WIDTH: u32 = 1100;
const PANEL_HEIGHT: u32 = 330;
/// Points of a line at most; longer runs are averaged.
const POINTS: usize = 240;
pub(crate) const GREY: RGBColor = RGBColor(130, 130, 130);
/// Colours that stay apart for most kinds of colour blindness; then they repeat.
pub(crate) const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 90, 181),
    RGBColor(220, 50, 32),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(90, 60, 20),
    RGBColor(0, 0, 0),
];

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Drawn<T> = Result<T, DrawingAreaErrorKind<std::io::Error>>;
/// Neighbouring points of a line: seconds against a value.
pub(crate) type Points = Vec<(f64, f64)>;

/// Draws what each policy did in one scenario: goodput against capacity, latency, and what was
/// refused. Of several seeds the first is drawn.
///
/// # Errors
/// What the drawing library says; writing into memory does not fail.
pub fn plot(
    scenario: &Scenario,
    evaluations: &[Evaluation],
) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    draw(&mut svg, scenario, evaluations)?;
    Ok(svg)
}

fn draw(svg: &mut String, scenario: &Scenario, evaluations: &[Evaluation]) -> Drawn<()> {
    let root = SVGBackend::with_string(svg, (WIDTH, 3 * PANEL_HEIGHT + 40)).into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!("{}: {}", scenario.name(), scenario.description());
    let root = root.titled(&title, ("sans-serif", 22))?;
    let runs: Vec<(&str, &Report)> =
        evaluations.iter().filter_map(|e| Some((e.policy.as_str(), e.reports.first()?))).collect();
    let capacity = scenario.capacity_per_sec();
    let deadline = scenario.deadline_secs();
    let lines = |value: fn(&Stretch, f64) -> Option<f64>| {
        runs.iter().map(|(name, report)| (*name, points(report, |s| value(s, deadline)))).collect()
    };
    let areas = root.split_evenly((3, 1));
    let panels = [
        Panel {
            title: "work done in time, per second (grey: asked for, cut off; dashed: capacity)",
            top: 1.3 * capacity,
            shades: capacity_line(scenario),
            lines: lines(|s, _| Some(s.good / s.secs)),
        },
        Panel {
            title: "p99 latency of what was admitted, in deadlines (dashed: the deadline)",
            top: 2.5,
            shades: vec![(0.0, 1.0), (scenario.duration_secs(), 1.0)],
            lines: lines(|s, deadline| s.p99_secs.map(|secs| secs / deadline)),
        },
        Panel {
            title: "refused, % of what was asked for, again included",
            top: 105.0,
            shades: Points::new(),
            lines: lines(|s, _| (s.asked > 0.0).then(|| 100.0 * s.refused / s.asked)),
        },
    ];
    for (index, (panel, area)) in panels.into_iter().zip(&areas).enumerate() {
        let asked = (index == 0).then(|| asked_line(scenario));
        panel.draw(area, scenario, asked)?;
    }
    root.present()
}

struct Panel<'a> {
    title: &'a str,
    top: f64,
    shades: Points,
    lines: Vec<(&'a str, Points)>,
}

impl Panel<'_> {
    fn draw(self, area: &Area<'_>, scenario: &Scenario, asked: Option<Points>) -> Drawn<()> {
        let end = scenario.duration_secs();
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 15))
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..end, 0.0..self.top)?;
        for fault in scenario.faults() {
            let corners = [(fault.from_secs, 0.0), (math::min(fault.to_secs, end), self.top)];
            chart.draw_series([Rectangle::new(corners, BLACK.mix(0.06).filled())])?;
        }
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(TRANSPARENT).x_desc("seconds").y_labels(6);
        mesh.x_label_formatter(&|x| plain(*x)).y_label_formatter(&|y| plain(*y)).draw()?;
        let cut = |points: Points| -> Points {
            points.into_iter().map(|(x, y)| (x, math::min(y, self.top))).collect()
        };
        if let Some(asked) = asked {
            chart.draw_series(LineSeries::new(cut(asked), GREY.stroke_width(1)))?;
        }
        if !self.shades.is_empty() {
            let dashes = DashedLineSeries::new(self.shades, 6, 4, BLACK.stroke_width(1));
            chart.draw_series(dashes)?;
        }
        let lines = self.lines.into_iter().map(|(name, points)| (name.to_owned(), cut(points)));
        draw_lines(&mut chart, lines, COLOURS)
    }
}

/// The axes of every panel here.
pub(crate) type Chart<'a> =
    ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws lines in these colours and says which is which.
pub(crate) fn draw_lines(
    chart: &mut Chart<'_>,
    lines: impl Iterator<Item = (String, Points)>,
    colours: impl IntoIterator<Item = RGBColor, IntoIter: Clone>,
) -> Drawn<()> {
    for ((name, points), colour) in lines.zip(colours.into_iter().cycle()) {
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 12))
        .draw()
}

/// Neighbouring bins taken together.
#[derive(Default)]
struct Stretch {
    secs: f64,
    asked: f64,
    refused: f64,
    good: f64,
    p99_secs: Option<f64>,
}

fn points(report: &Report, value: impl Fn(&Stretch) -> Option<f64>) -> Points {
    let width = report.bins.len().div_ceil(POINTS).max(1);
    let stretch = |bins: &[Bin]| {
        let mut sum = Stretch { secs: bins.len() as f64 * report.bin_secs, ..Stretch::default() };
        for bin in bins {
            sum.asked += bin.asked;
            sum.refused += bin.refused;
            sum.good += bin.good;
            if let Some(secs) = bin.p99_secs.map(f64::from) {
                sum.p99_secs = Some(sum.p99_secs.map_or(secs, |other| math::max(other, secs)));
            }
        }
        sum
    };
    let at = |index: usize| (index as f64 + 0.5) * width as f64 * report.bin_secs;
    // The last bin is a rest that the run ends in.
    let whole = report.bins.len().saturating_sub(1);
    let bins = report.bins.get(..whole).unwrap_or_default();
    let chunks = bins.chunks(width).enumerate();
    chunks.filter_map(|(i, bins)| Some((at(i), value(&stretch(bins))?))).collect()
}

/// Sampled finely enough for steps to look like steps.
fn sampled(scenario: &Scenario, value: impl Fn(f64) -> f64) -> Points {
    let steps = 4 * POINTS;
    let at = |i: usize| (i as f64 + 0.5) * scenario.duration_secs() / steps as f64;
    (0..steps).map(|i| (at(i), value(at(i)))).collect()
}

fn capacity_line(scenario: &Scenario) -> Points {
    sampled(scenario, |t| scenario.capacity_at(t))
}

fn asked_line(scenario: &Scenario) -> Points {
    sampled(scenario, |t| scenario.offered_at(t))
}

fn plain(value: f64) -> String {
    if value >= 10.0 { format!("{value:.0}") } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Choice;

    #[test]
    fn a_plot_names_what_it_shows() {
        let scenario = crate::scenario::find("flash").expect("a preset");
        let choice = Choice::parse("static").expect("a policy");
        let evaluation = crate::evaluate(&scenario, &choice, &[1], || ()).expect("runs");
        let svg = plot(&scenario, &[evaluation]).expect("drawn in memory");
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("flash: ") && svg.contains("static"));
    }
}
