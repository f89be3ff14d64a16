//! The expressions of the dashboard, as Grafana would send them.

use serde_json::Value;

const DASHBOARD: &str = include_str!("../../../../docs/grafana/atrion.json");

/// Title and expression of every target of every panel, and of the lists to choose from.
pub(crate) fn expressions() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut expressions = Vec::new();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            expressions.push((text(&panel["title"]), filled(&text(&target["expr"]))));
        }
    }
    for variable in list(&dashboard["templating"]["list"]) {
        if let Some((metric, label)) = label_values(&text(&variable["definition"])) {
            let title = format!("${}", text(&variable["name"]));
            expressions.push((title, filled(&format!("count by ({label}) ({metric})"))));
        }
    }
    assert!(expressions.len() > 50, "{} expressions", expressions.len());
    expressions
}

/// All of everything, as a new visitor has it.
fn filled(expression: &str) -> String {
    let filled = expression
        .replace("$__rate_interval", "1m")
        .replace("$job", ".*")
        .replace("$instance", ".*")
        .replace("$route", ".*");
    assert!(!filled.contains('$'), "{filled} has a variable that nobody fills");
    filled
}

/// `label_values(metric, label)`, which only Grafana knows.
fn label_values(definition: &str) -> Option<(String, String)> {
    let inner = definition.strip_prefix("label_values(")?.strip_suffix(')')?;
    let (metric, label) = inner.rsplit_once(',')?;
    Some((metric.trim().to_owned(), label.trim().to_owned()))
}

const GUIDE: &str = include_str!("../../../../docs/observability.md");

/// The recipes that people copy from the guide.
pub(crate) fn recipes() -> Vec<String> {
    let (_, rest) = GUIDE.split_once("```promql\n").expect("recipes begin");
    let (block, _) = rest.split_once("```").expect("and end");
    let recipes = block.split("\n\n").flat_map(|recipe| {
        let is_comment = |line: &&str| line.starts_with('#');
        let code: Vec<&str> = recipe.lines().filter(|line| !is_comment(line)).collect();
        // An expression that goes on says so at the start of its next line.
        let mut whole: Vec<String> = Vec::new();
        for line in code {
            match whole.last_mut() {
                Some(last) if line.starts_with('/') => last.push_str(line),
                _ => whole.push(line.to_owned()),
            }
        }
        whole
    });
    let recipes: Vec<String> = recipes.filter(|recipe| !recipe.is_empty()).collect();
    assert!(recipes.len() >= 6, "{recipes:?}");
    recipes
}
