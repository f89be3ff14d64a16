//! Replays over time, as SVG.

use plotters::prelude::*;

use atrion_core::math;

use super::table::{RouteReplay, TraceReplay};
use crate::report::Report;
use crate::svg::{Area, COLOURS, Drawn, GREY, Points, WIDTH, draw_lines};

const PANEL_HEIGHT: u32 = 300;
/// Panels that one picture has at most: SVGs beyond that are not looked at.
const MOST_PANELS: usize = 64;

/// Draws every route's replays: what was refused, the resistance, and from the model what was done
/// in time and the latency. The first 64 panels, if there are more.
///
/// # Errors
/// What the drawing library says; writing into memory does not fail.
pub fn plot(replays: &[TraceReplay]) -> Result<String, Box<dyn std::error::Error>> {
    let mut panels = Vec::new();
    for replay in replays {
        for route in &replay.routes {
            let name = format!("{} {}", replay.trace, route.route);
            panels.extend(open_panels(&name, route));
            panels.extend(model_panels(&name, route));
        }
    }
    panels.truncate(MOST_PANELS);
    let mut svg = String::new();
    draw(&mut svg, panels)?;
    Ok(svg)
}

struct Panel {
    title: String,
    lines: Vec<(String, Points)>,
}

fn open_panels(name: &str, route: &RouteReplay) -> Vec<Panel> {
    let share = |of: u64, asked: u64| 100.0 * of as f64 / asked.max(1) as f64;
    let Some(first) = route.open.first() else { return Vec::new() };
    let recorded =
        first.bins.iter().map(|b| (b.from_secs, share(b.recorded_refused, b.asked))).collect();
    let mut refused = vec![("recorded".to_owned(), recorded)];
    let mut ohms = Vec::new();
    for open in &route.open {
        let points = open.bins.iter().map(|b| (b.from_secs, share(b.refused, b.asked))).collect();
        refused.push((open.config.clone(), points));
        let points = open.bins.iter().map(|b| (b.from_secs, b.ohms)).collect();
        ohms.push((open.config.clone(), points));
    }
    vec![
        Panel { title: format!("{name}: open loop, refused %"), lines: refused },
        Panel { title: format!("{name}: open loop, resistance, ohm"), lines: ohms },
    ]
}

fn model_panels(name: &str, route: &RouteReplay) -> Vec<Panel> {
    let Some(Ok((model, runs))) = &route.model else { return Vec::new() };
    let all = || std::iter::once(&model.as_recorded).chain(runs);
    let lines = |value: fn(&Report, usize) -> Option<f64>| {
        let points = |report: &Report| -> Points {
            let at = |index: usize| index as f64 * report.bin_secs;
            (0..report.bins.len()).filter_map(|i| Some((at(i), value(report, i)?))).collect()
        };
        all().map(|run| (run.config.clone(), points(&run.report))).collect()
    };
    vec![
        Panel {
            title: format!("{name}: model, good per second"),
            lines: lines(|report, i| Some(report.bins.get(i)?.good / report.bin_secs)),
        },
        Panel {
            title: format!("{name}: model, p99 latency, ms"),
            lines: lines(|report, i| report.bins.get(i)?.p99_secs.map(|s| 1000.0 * f64::from(s))),
        },
    ]
}

fn draw(svg: &mut String, panels: Vec<Panel>) -> Drawn<()> {
    let rows = panels.len().max(1);
    let height = PANEL_HEIGHT * rows as u32;
    let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((rows, 1));
    for (panel, area) in panels.into_iter().zip(&areas) {
        panel.draw(area)?;
    }
    root.present()
}

impl Panel {
    fn draw(self, area: &Area<'_>) -> Drawn<()> {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let end = points().map(|(x, _)| *x).fold(1e-3, math::max);
        let top = 1.05 * points().map(|(_, y)| *y).fold(1e-3, math::max);
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 15))
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..end, 0.0..top)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("seconds since the first request")
            .y_labels(6)
            .draw()?;
        // The first line is what was recorded.
        draw_lines(&mut chart, self.lines.into_iter(), std::iter::once(GREY).chain(COLOURS))
    }
}
