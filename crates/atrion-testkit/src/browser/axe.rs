//! axe-core, which looks for what keeps people out of a page.
//!
//! Vendored as it is published (`axe/axe-4.14.1.min.js`, MPL-2.0, its licence beside it), so that
//! neither Node nor a registry is needed; part of no published crate.

use std::fmt;

use serde_json::Value;

use crate::Failure;

/// The library, to be run in the page: it leaves `axe` behind.
pub(super) const LIBRARY: &str = include_str!("axe/axe-4.14.1.min.js");

/// Whether a document has the library already: it stays until another document is loaded.
pub(super) const IS_THERE: &str = "return typeof axe === 'object'";

/// The rules that a page is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Every rule of WCAG 2.0 to 2.2, A and AA, and axe's own best practices.
    All,
    /// Those of them that look at colours. A theme changes nothing else.
    Colours,
}

impl Rules {
    /// What looks at the page.
    pub(super) fn script(self) -> String {
        let only = match self {
            Self::All => {
                "{type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',
                    'best-practice']}"
            }
            Self::Colours => "{type: 'rule', values: ['color-contrast', 'link-in-text-block']}",
        };
        format!(
            "const found = await axe.run(document, {{runOnly: {only}, resultTypes: ['violations']}});
            return found.violations.map((v) => ({{
                rule: v.id, impact: v.impact ?? 'unknown', help: v.help,
                places: v.nodes.map((n) => `${{n.target.join(' ')}}: ${{n.failureSummary}}`),
            }}));"
        )
    }
}

/// A rule that the page breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule's identifier.
    pub rule: String,
    /// How much it hurts: `minor`, `moderate`, `serious` or `critical`.
    pub impact: String,
    /// What the rule asks for.
    pub help: String,
    /// Where it is broken, and why.
    pub places: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.rule, self.impact, self.help)?;
        for place in &self.places {
            write!(f, "\n    {place}")?;
        }
        Ok(())
    }
}

pub(super) fn violations(answer: &Value) -> Result<Vec<Violation>, Failure> {
    let list = answer.as_array().ok_or_else(|| Failure::new("axe-core gave no answer"))?;
    let text = |of: &Value, key| of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let places = |of: &Value| {
        let places = of.get("places").and_then(Value::as_array).into_iter().flatten();
        places.filter_map(|place| place.as_str().map(str::to_owned)).collect()
    };
    let read = |found| Violation {
        rule: text(found, "rule"),
        impact: text(found, "impact"),
        help: text(found, "help"),
        places: places(found),
    };
    Ok(list.iter().map(read).collect())
}
