//! The table for spreadsheets.

use std::fmt::Write as _;

use super::{Report, remark};
use crate::figure::Figure;
use crate::goals::Bound;

const HEADINGS: &str = "id,stage,what,unit,better,bound,bound_of,ours,ours_low,ours_high,peer,\
                        peer_value,peer_low,peer_high,ratio,verdict,within_spread,remark\r\n";

/// One line per goal; fields are quoted where they need to be (RFC 4180), what is not known is
/// empty, and what never happened is `inf`.
pub(crate) fn csv(report: &Report) -> String {
    let mut out = String::from(HEADINGS);
    for row in &report.rows {
        let goal = row.goal;
        let (bound, of) = match goal.bound {
            Bound::None => (String::new(), ""),
            Bound::Value(bound) => (bound.to_string(), ""),
            Bound::Ratio { peer, bound } => (bound.to_string(), peer),
        };
        let peer = row.peer.as_ref();
        let fields = [
            quoted(goal.id),
            quoted(goal.stage.name()),
            quoted(goal.what),
            quoted(goal.unit),
            goal.better.word().to_owned(),
            bound,
            quoted(of),
            numbers(row.ours),
            quoted(peer.map_or("", |p| p.name.as_str())),
            numbers(peer.map(|p| p.figure)),
            row.ratio.map_or(String::new(), |r| r.value().to_string()),
            quoted(row.verdict.word()),
            row.is_close.to_string(),
            quoted(remark(row).unwrap_or_default()),
        ];
        // Writing to a string cannot fail.
        let _ = write!(out, "{}\r\n", fields.join(","));
    }
    out
}

fn numbers(figure: Option<Figure>) -> String {
    figure.map_or(",,".to_owned(), |f| format!("{},{},{}", f.value(), f.low(), f.high()))
}

/// Spreadsheets must not take a text for a formula, nor a comma in it for a border.
fn quoted(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    if guard.is_empty() && !field.contains([',', '"', '\r', '\n']) {
        return field.to_owned();
    }
    format!("\"{guard}{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn the_table_is_what_it_was() {
        let expected = [
            "id,stage,what,unit,better,bound,bound_of,ours,ours_low,ours_high,peer,peer_value,\
             peer_low,peer_high,ratio,verdict,within_spread,remark",
            "wire.decode,wire,decoding a full frame,million vectors/s,more,20,,23.4,22,25,,,,,,met,\
             false,",
            "wire.decode.authenticated,wire,decoding an authenticated frame,million vectors/s,more,\
             ,,,,,,,,,,not measured,false,\"a reason, with a comma | and a bar\"",
            "scenarios.outage.recovery,scenarios,hard outage: full service after it heals,s,less,1,\
             ,1.5,0.5,inf,breaker,20,20,20,0.075,missed,true,beside breakers",
            "scenarios.steady,scenarios,shed at a steady load of 70 %,%,less,0,,0,0,0,sre,0,0,0,,\
             met,false,",
            "",
        ];
        assert_eq!(csv(&sample()), expected.join("\r\n"));
    }

    #[test]
    fn no_field_is_a_formula_or_breaks_the_line() {
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("a \"b\"\nc"), "\"a \"\"b\"\"\nc\"");
        assert_eq!(quoted("plain"), "plain");
    }
}
