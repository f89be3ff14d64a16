//! Bars: one figure for each name, on a logarithmic scale.

use plotters::prelude::*;

use crate::figure::Figure;

const WIDTH: u32 = 900;
const LINE: i32 = 24;
const TOP: i32 = 50;
/// Where bars begin, and the room they and their numbers have.
const LEFT: i32 = 380;
const ROOM: i32 = 380;
/// So that the least one can be seen.
const SHORTEST: i32 = 20;
const OURS: RGBColor = RGBColor(0, 90, 181);
const OTHERS: RGBColor = RGBColor(150, 150, 150);

/// Draws a bar for each figure, those of Atrion in another colour than those of others.
///
/// # Errors
/// A sentence if the drawing library refuses.
pub(crate) fn bars(title: &str, figures: &[(String, Figure)]) -> Result<String, String> {
    let mut svg = String::new();
    draw(&mut svg, title, figures).map_err(|e| format!("the plot cannot be drawn: {e}"))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    title: &str,
    figures: &[(String, Figure)],
) -> Result<(), Box<dyn std::error::Error>> {
    let lines = i32::try_from(figures.len())? + 1;
    let size = (WIDTH, (TOP + LINE * lines).unsigned_abs());
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let font = ("sans-serif", 14).into_font();
    root.draw(&Text::new(title.to_owned(), (10, 14), ("sans-serif", 18).into_font()))?;
    let scale = Scale::over(figures);
    for ((name, figure), top) in figures.iter().zip((TOP..).step_by(LINE.unsigned_abs() as usize)) {
        let colour = if name.contains("atrion") || name == "physics tick" { OURS } else { OTHERS };
        let right = LEFT + scale.width(figure.value());
        let corners = [(LEFT, top), (right, top + LINE - 8)];
        root.draw(&Rectangle::new(corners, colour.filled()))?;
        root.draw(&Text::new(name.clone(), (10, top + 1), font.clone()))?;
        let label = super::with_spread(*figure, "");
        root.draw(&Text::new(label, (right + 6, top + 1), font.clone()))?;
    }
    root.present()?;
    Ok(())
}

/// From the least to the greatest.
struct Scale {
    least: i32,
    greatest: i32,
}

impl Scale {
    fn over(figures: &[(String, Figure)]) -> Self {
        let logs: Vec<i32> = figures.iter().map(|(_, f)| log(f.value())).collect();
        Self {
            least: logs.iter().min().copied().unwrap_or(0),
            greatest: logs.iter().max().copied().unwrap_or(0),
        }
    }

    /// Every bar can be seen, and the longest leaves room for its number.
    fn width(&self, value: f64) -> i32 {
        let span = (self.greatest - self.least).max(1);
        let above = log(value).clamp(self.least, self.greatest) - self.least;
        SHORTEST + (ROOM - SHORTEST) * above / span
    }
}

/// The logarithm in steps so fine that nobody sees them; picoseconds are the least.
fn log(value: f64) -> i32 {
    let bounded = atrion_core::math::clamp(1000.0 * value, 1.0, 1e15);
    (1000.0 * atrion_core::math::ln(bounded)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64) -> Figure {
        Figure::once("x", value).expect("a number")
    }

    #[test]
    fn bars_are_named_and_as_long_as_they_are_great() {
        let figures = [
            ("a<b".to_owned(), figure(1.0)),
            ("atrion".to_owned(), figure(10.0)),
            ("c".to_owned(), figure(100.0)),
        ];
        let svg = bars("nanoseconds", &figures).expect("drawn in memory");
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(svg.contains("nanoseconds") && svg.contains("a&lt;b"), "{svg}");
        let scale = Scale::over(&figures);
        let widths = [1.0, 10.0, 100.0].map(|x| scale.width(x));
        assert_eq!((widths[0], widths[2]), (SHORTEST, ROOM));
        let middle = i32::midpoint(SHORTEST, ROOM);
        assert!(widths[1].abs_diff(middle) <= 1, "{widths:?}");
    }

    #[test]
    fn nothing_zero_and_never_can_be_drawn() {
        bars("nothing", &[]).expect("an empty plot");
        let odd = [("zero".to_owned(), figure(0.0)), ("never".to_owned(), figure(f64::INFINITY))];
        let svg = bars("odd", &odd).expect("drawn in memory");
        assert!(svg.contains("never"), "{svg}");
    }
}
