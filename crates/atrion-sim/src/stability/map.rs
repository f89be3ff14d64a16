//! The map as text, CSV, and heat maps.

use std::fmt::Write as _;

use super::{Axis, Class, Map};
use crate::table::align;

/// Slices beside each other.
const COLUMNS: usize = 5;
/// Pixels of a cell, and of the space around a slice.
const CELL: usize = 8;
const GAP: usize = 26;
const MARGIN: usize = 30;
const HEAD: usize = 78;

impl Class {
    /// Colours that stay apart for most kinds of colour blindness.
    const fn colour(self) -> &'static str {
        match self {
            Self::Stable => "#56b4e9",
            Self::Oscillating => "#e69f00",
            Self::Deadlock => "#000000",
            Self::Chaotic => "#d55e00",
            Self::Refused => "#dddddd",
        }
    }
}

impl Map {
    /// Counts by class, and where the default lies.
    pub fn text(&self) -> String {
        let heading = ["class", "points", "share", "mean goodput"];
        let mut lines = vec![heading.map(str::to_owned).to_vec()];
        for class in Class::ALL {
            let count = self.count(class);
            let share = 100.0 * count as f64 / self.cells.len().max(1) as f64;
            let of_class = self.cells.iter().filter(|p| p.class == class);
            let goodput = of_class.map(|p| p.goodput).sum::<f64>() / count as f64;
            let runs = count > 0 && class != Class::Refused;
            let goodput = if runs { format!("{goodput:.1} %") } else { "-".to_owned() };
            let (name, share) = (class.name().to_owned(), format!("{share:.1} %"));
            lines.push(vec![name, count.to_string(), share, goodput]);
        }
        let axes: Vec<String> = self.axes.iter().map(sentence).collect();
        let nearest = self.nearest_to_default().map_or("unknown", Class::name);
        format!(
            "{}: {} points over {}\n{}{} of the stable points keep less than half of the possible \
             goodput\ntwins are at most {:.3} apart in the end\nthe point nearest to the default is {nearest}\n",
            self.subject.name(),
            self.cells.len(),
            axes.join(", "),
            align(&lines),
            self.starving(),
            self.cells.iter().map(|p| p.apart_late).fold(0.0, atrion_core::math::max)
        )
    }

    fn nearest_to_default(&self) -> Option<Class> {
        let [a, b, c] = self.axes.map(|axis| nearest(&axis, self.points));
        self.at(a, b, c)
    }

    /// One line for each point.
    pub fn csv(&self) -> String {
        let names: Vec<&str> = self.axes.iter().map(|axis| axis.name).collect();
        let mut out =
            format!("subject,{},class,goodput_percent,apart_early,apart_late\r\n", names.join(","));
        for p in &self.cells {
            let [a, b, c] = p.values;
            let (subject, class) = (self.subject.name(), p.class.name());
            let (goodput, early, late) = (p.goodput, p.apart_early, p.apart_late);
            let _ = write!(out, "{subject},{a},{b},{c},{class},{goodput},{early},{late}\r\n");
        }
        out
    }

    /// One slice for each value of the third axis; in each, the first axis runs to the right and the
    /// second one up. A frame marks the slice and a ring the cell nearest to the default.
    pub fn svg(&self) -> String {
        let n = self.points;
        let side = n * CELL;
        let columns = n.min(COLUMNS);
        let width = (columns * (side + GAP) + 2 * MARGIN).max(640);
        let height = HEAD + n.div_ceil(COLUMNS) * (side + GAP) + MARGIN;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             font-family=\"sans-serif\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        self.draw_head(&mut out);
        for third in 0..n {
            let x = MARGIN + third % COLUMNS * (side + GAP);
            let y = HEAD + third / COLUMNS * (side + GAP) + GAP / 2;
            self.draw_slice(&mut out, third, x, y);
        }
        out.push_str("</svg>\n");
        out
    }

    fn draw_head(&self, out: &mut String) {
        let [a, b, c] = self.axes;
        let _ = writeln!(
            out,
            "<text x=\"{MARGIN}\" y=\"24\" font-size=\"18\">Stability of {}: {} to the right, {} up, \
             a slice for each {}</text>\n<text x=\"{MARGIN}\" y=\"44\" font-size=\"12\">{}; {}; {}</text>",
            self.subject.name(),
            a.symbol,
            b.symbol,
            c.symbol,
            sentence(&a),
            sentence(&b),
            sentence(&c)
        );
        let mut x = MARGIN;
        for class in Class::ALL {
            let (name, count) = (class.name(), self.count(class));
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"54\" width=\"12\" height=\"12\" fill=\"{}\"/>\
                 <text x=\"{}\" y=\"64\" font-size=\"12\">{name} {count}</text>",
                class.colour(),
                x + 16
            );
            x += 120;
        }
    }

    fn draw_slice(&self, out: &mut String, third: usize, x: usize, y: usize) {
        let n = self.points;
        let [a, b, c] = self.axes;
        let value = c.value(third, n);
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"{}\" font-size=\"11\">{} = {value:.3}</text>",
            y - 3,
            c.symbol
        );
        for second in 0..n {
            let top = y + (n - 1 - second) * CELL;
            let row: Vec<Class> = (0..n).filter_map(|i| self.at(i, second, third)).collect();
            let mut at = 0;
            // Neighbours of one class in one piece: a tenth of the size.
            for run in row.chunk_by(|l, r| l == r) {
                if let Some(class) = run.first() {
                    let (left, wide) = (x + at * CELL, run.len() * CELL);
                    let _ = writeln!(
                        out,
                        "<rect x=\"{left}\" y=\"{top}\" width=\"{wide}\" height=\"{CELL}\" fill=\"{}\"/>",
                        class.colour()
                    );
                }
                at += run.len();
            }
        }
        if third == nearest(&c, n) {
            let (side, half) = (n * CELL, CELL / 2);
            let (cx, cy) =
                (x + nearest(&a, n) * CELL + half, y + (n - 1 - nearest(&b, n)) * CELL + half);
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" fill=\"none\" \
                 stroke=\"#000\" stroke-width=\"2\"/>\n<circle cx=\"{cx}\" cy=\"{cy}\" r=\"{half}\" \
                 fill=\"none\" stroke=\"#fff\" stroke-width=\"2\"/>"
            );
        }
    }
}

/// The index on the axis whose value is closest to the default, by factor.
fn nearest(axis: &Axis, points: usize) -> usize {
    let factor = |index: &usize| {
        let ratio = axis.value(*index, points) / axis.default;
        if ratio < 1.0 { 1.0 / ratio } else { ratio }
    };
    (0..points).min_by(|a, b| factor(a).total_cmp(&factor(b))).unwrap_or(0)
}

fn sentence(axis: &Axis) -> String {
    let unit = if axis.unit.is_empty() { String::new() } else { format!(" {}", axis.unit) };
    let Axis { symbol, name, from, to, default, .. } = axis;
    format!("{symbol} ({name}) {from} to {to}{unit}, default {default}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stability::{Point, Subject};

    fn map() -> Map {
        let axes = Subject::Reference.axes();
        let cells = (0..8).map(|i| Point {
            values: [0.0; 3],
            class: if i < 5 { Class::Stable } else { Class::Chaotic },
            goodput: 50.0,
            apart_early: 0.0,
            apart_late: 0.0,
        });
        Map { subject: Subject::Reference, axes, points: 2, seed: 1, cells: cells.collect() }
    }

    #[test]
    fn text_csv_and_svg_show_every_class_and_point() {
        let map = map();
        let text = map.text();
        assert!(text.contains("stable            5  62.5 %        50.0 %"), "{text}");
        assert_eq!(map.csv().lines().count(), 9);
        let svg = map.svg();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"), "{svg}");
        for class in Class::ALL {
            assert!(svg.contains(class.name()), "{class:?}");
        }
        // Two slices of two rows; only the second slice has a row of two classes.
        let of = |class: Class| {
            svg.matches(&format!("height=\"{CELL}\" fill=\"{}\"", class.colour())).count()
        };
        assert_eq!((of(Class::Stable), of(Class::Chaotic)), (3, 2), "{svg}");
    }
}
