//! The plot: goodput, latency and resistance over time, both runs over each other.

use std::path::Path;
use std::time::Duration;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::figures::{Record, millis};
use crate::plan::{BUCKET, OBJECTIVE, Phase, Stage};
use crate::report::make_folder_of;
use crate::stats::{Bucket, latency_percentile};

const SIZE: (u32, u32) = (1100, 900);
const PLAIN: RGBColor = RGBColor(200, 70, 50);
const GUARDED: RGBColor = RGBColor(30, 110, 180);
const FAINT: RGBColor = RGBColor(130, 130, 130);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<T> = Result<T, DrawingAreaErrorKind<std::io::Error>>;

/// Neighbouring points of a line: seconds against a value. Where nothing is known there is a
/// gap, so a line is a list of these.
type Points = Vec<(f64, f64)>;

/// Writes the plot.
///
/// # Errors
///
/// A sentence if the file cannot be written.
pub(crate) fn write(
    file: &Path,
    stages: &[Stage],
    capacity: f64,
    plain: &Record,
    guarded: &Record,
) -> Result<(), String> {
    make_folder_of(file)?;
    let mut svg = String::new();
    draw(&mut svg, stages, capacity, plain, guarded)
        .map_err(|e| format!("the plot cannot be drawn: {e}"))?;
    std::fs::write(file, svg).map_err(|e| format!("{} cannot be written: {e}", file.display()))
}

fn draw(
    svg: &mut String,
    stages: &[Stage],
    capacity: f64,
    plain: &Record,
    guarded: &Record,
) -> Drawn<()> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled("A service without and with Atrion", ("sans-serif", 22))?;
    let areas = root.split_evenly((3, 1));
    if let [rates, latencies, ohms] = areas.as_slice() {
        let goodput = Panel {
            title: "good answers per second (grey: offered, cut off at the top; dashed: capacity)",
            stages,
            bottom: 0.0,
            top: 1.3 * capacity,
            label: plain_number,
            level: capacity,
            lines: vec![
                (FAINT, rate(guarded, |b| b.total().sent)),
                (PLAIN, rate(plain, |b| b.total().good)),
                (GUARDED, rate(guarded, |b| b.total().good)),
            ],
            legend: true,
        };
        goodput.draw(rates)?;
        let objective = millis(OBJECTIVE);
        let latency = Panel {
            title: "latency p99 of what was let in, ms (dashed: objective, where callers give up)",
            stages,
            bottom: 0.0,
            top: 1.15 * objective,
            label: plain_number,
            level: objective,
            lines: vec![(PLAIN, p99(plain)), (GUARDED, p99(guarded))],
            legend: false,
        };
        latency.draw(latencies)?;
        let resistance = Panel {
            title: "resistance, ohm (dashed: 100 ohm, which the top tier's voltage equals)",
            stages,
            bottom: -1.0,
            top: 3.0,
            label: power_of_ten,
            level: 2.0,
            lines: vec![(GUARDED, resistance(guarded))],
            legend: false,
        };
        resistance.draw(ohms)?;
    }
    root.present()
}

struct Panel<'p> {
    title: &'p str,
    stages: &'p [Stage],
    bottom: f64,
    /// Upper end of the vertical axis; higher values are cut off.
    top: f64,
    /// Turns a value of the vertical axis into its label.
    label: fn(f64) -> String,
    /// Where the dashed line is.
    level: f64,
    lines: Vec<(RGBColor, Vec<Points>)>,
    legend: bool,
}

impl Panel<'_> {
    fn draw(self, area: &Area<'_>) -> Drawn<()> {
        let bands = bands(self.stages);
        let end = bands.last().map_or(1.0, |(_, _, to)| *to);
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 15))
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..end, self.bottom..self.top)?;
        for (index, (phase, from, to)) in bands.iter().enumerate() {
            let shade = if index % 2 == 0 { 0.0 } else { 0.06 };
            let corners = [(*from, self.bottom), (*to, self.top)];
            chart.draw_series([Rectangle::new(corners, BLACK.mix(shade).filled())])?;
            if *phase != Phase::Rest {
                let at = (from + 0.1, self.top - 0.03 * (self.top - self.bottom));
                let style = ("sans-serif", 12).into_font().color(&FAINT);
                chart.draw_series([Text::new(phase.title(), at, style)])?;
            }
        }
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(TRANSPARENT).x_desc("seconds");
        mesh.x_label_formatter(&|x| plain_number(*x))
            .y_labels(5)
            .y_label_formatter(&|y| (self.label)(*y))
            .draw()?;
        let dashes = [(0.0, self.level), (end, self.level)];
        chart.draw_series(DashedLineSeries::new(dashes, 6, 4, BLACK.stroke_width(1)))?;
        for (colour, line) in self.lines {
            for (index, points) in line.into_iter().enumerate() {
                let cut = points.into_iter().map(|(x, y)| (x, y.clamp(self.bottom, self.top)));
                let drawn = chart.draw_series(LineSeries::new(cut, colour.stroke_width(2)))?;
                if self.legend && colour != FAINT && index == 0 {
                    let name = if colour == PLAIN { "unprotected" } else { "with Atrion" };
                    drawn.label(name).legend(move |(x, y)| {
                        PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3))
                    });
                }
            }
        }
        if self.legend {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::Coordinate(580, 26))
                .background_style(WHITE.mix(0.85))
                .draw()?;
        }
        Ok(())
    }
}

/// Where each phase begins and ends, in seconds; neighbouring stages of one phase are one band.
fn bands(stages: &[Stage]) -> Vec<(Phase, f64, f64)> {
    let mut bands: Vec<(Phase, f64, f64)> = Vec::new();
    let mut at = 0.0;
    for stage in stages {
        let to = at + BUCKET.as_secs_f64() * f64::from(stage.buckets);
        match bands.last_mut() {
            Some((phase, _, end)) if *phase == stage.phase => *end = to,
            _ => bands.push((stage.phase, at, to)),
        }
        at = to;
    }
    bands
}

/// The middle of a bucket, in seconds.
fn middle(bucket: &Bucket) -> f64 {
    (f64::from(bucket.index) + 0.5) * BUCKET.as_secs_f64()
}

fn rate(record: &Record, count: impl Fn(&Bucket) -> u64) -> Vec<Points> {
    let per_second = 1.0 / BUCKET.as_secs_f64();
    vec![record.buckets.iter().map(|b| (middle(b), count(b) as f64 * per_second)).collect()]
}

/// The latency of each bucket that let anything in; beyond the objective it is drawn at it.
fn p99(record: &Record) -> Vec<Points> {
    let let_in = |b: &Bucket| b.total().good + b.total().timed_out > 0;
    let value = |b: &Bucket| latency_percentile(std::slice::from_ref(b), 0.99).unwrap_or(OBJECTIVE);
    let known = record.buckets.chunk_by(|a, b| let_in(a) == let_in(b));
    let known = known.filter(|run| run.first().is_some_and(let_in));
    known.map(|run| run.iter().map(|b| (middle(b), millis(value(b)))).collect()).collect()
}

/// The decimal logarithm of the resistance, which spans a tenth of an ohm to some hundreds.
fn resistance(record: &Record) -> Vec<Points> {
    let point = |(at, ohms): &(Duration, Option<f64>)| Some((at.as_secs_f64(), (*ohms)?.log10()));
    vec![record.gauges.iter().filter_map(point).collect()]
}

fn plain_number(value: f64) -> String {
    format!("{value:.0}")
}

/// The label of a logarithmic axis; between whole powers there is none.
fn power_of_ten(exponent: f64) -> String {
    if (exponent - exponent.round()).abs() < 1e-9 {
        format!("{}", 10f64.powi(exponent.round() as i32))
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::schedule;

    #[test]
    fn bands_follow_the_schedule_without_gaps() {
        let stages = schedule(600.0, false);
        let bands = bands(&stages);
        assert!(bands.windows(2).all(|w| (w[0].2 - w[1].1).abs() < 1e-9));
        assert_eq!(bands.iter().filter(|b| b.0 == Phase::Outage).count(), 1);
        assert!(
            (bands.last().unwrap().2 - crate::plan::length(&stages).as_secs_f64()).abs() < 1e-9
        );
    }

    #[test]
    fn points_are_rates_and_what_is_unknown_is_a_gap() {
        let mut late = Bucket::new(2);
        late.tiers[0].sent = 10;
        late.tiers[0].timed_out = 10;
        let mut last = late.clone();
        (last.index, last.latencies_us) = (4, vec![5_000; 2000]);
        let record = Record {
            buckets: vec![Bucket::new(1), late, Bucket::new(3), last],
            gauges: vec![(Duration::from_secs(1), Some(10.0)), (Duration::from_secs(2), None)],
            ..Record::default()
        };
        let sent = [(0.375, 0.0), (0.625, 40.0), (0.875, 0.0), (1.125, 40.0)];
        assert_eq!(rate(&record, |b| b.total().sent), [sent.to_vec()]);
        // Nothing was let in in bucket 3: a gap, not a line across it.
        assert_eq!(p99(&record), [vec![(0.625, 200.0)], vec![(1.125, 5.0)]]);
        assert_eq!(resistance(&record), [vec![(1.0, 1.0)]]);
    }

    #[test]
    fn axis_labels_are_whole_numbers_and_powers() {
        assert_eq!(plain_number(250.0), "250");
        let labels = [-1.0, 0.0, 2.0, 0.5].map(power_of_ten);
        assert_eq!(labels, ["0.1", "1", "100", ""]);
    }

    #[test]
    fn the_plot_is_an_svg_that_names_every_phase() {
        let mut svg = String::new();
        let stages = schedule(600.0, true);
        let record = Record { buckets: vec![Bucket::new(0)], ..Record::default() };
        draw(&mut svg, &stages, 600.0, &record, &record).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for phase in Phase::REPORTED {
            assert!(svg.contains(phase.title()), "{phase:?}");
        }
        assert!(svg.contains("with Atrion") && svg.contains("unprotected"));
    }
}
