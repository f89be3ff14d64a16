//! What the pages say is there: files, settings, tests, links, tiers.

use std::collections::BTreeSet;
use std::path::Path;

use crate::common::{fences, page, pages, workspace};
use atrion::Config;
use atrion::license::{DEV_DAYS, DEV_NODES, Tier};
use atrion_sim::cluster::ClusterScenario;
use atrion_sim::scenario::Scenario;

/// By what it is read in earnest: cargo, the instance or the simulator.
#[test]
fn every_file_in_toml_can_be_read() {
    let mut configurations = 0;
    for name in pages() {
        for (line, text) in fences(&page(&name), "toml") {
            let table: toml::Table =
                toml::from_str(&text).unwrap_or_else(|e| panic!("docs/{name}:{line}: {e}"));
            let read = if table.contains_key("atrion") || table.contains_key("dependencies") {
                Ok(())
            } else if table.contains_key("nodes") {
                ClusterScenario::from_toml(&text).map(drop).map_err(|e| e.to_string())
            } else if table.contains_key("service") {
                Scenario::from_toml(&text).map(drop).map_err(|e| e.to_string())
            } else {
                configurations += 1;
                toml::from_str::<Config>(&text).map(drop).map_err(|e| e.to_string())
            };
            assert_eq!(read, Ok(()), "docs/{name}:{line}");
        }
    }
    assert!(configurations >= 3, "only {configurations} configurations were found");
}

#[test]
fn every_setting_that_is_named_exists() {
    let known = toml::Table::try_from(Config::default()).expect("plain data");
    let has = |part: &str, field: &str| known[part].get(field).is_some();
    let mut seen = BTreeSet::new();
    for name in pages() {
        for word in page(&name).split(|c: char| !(c.is_ascii_alphanumeric() || "._".contains(c))) {
            let word = word.trim_matches('.');
            for part in ["law", "physics"] {
                let Some(field) = word.strip_prefix(part).and_then(|w| w.strip_prefix('.')) else {
                    continue;
                };
                // `law.build` and the like are code; settings have no capitals and no more dots.
                if field.contains('.') || field.starts_with(char::is_uppercase) {
                    continue;
                }
                if field.ends_with("rs") || field == "adaptive_break" || field == "toml" {
                    continue;
                }
                assert!(has(part, field), "docs/{name} names `{word}`, which does not exist");
                seen.insert(word.to_owned());
            }
        }
    }
    assert!(seen.len() >= 20, "{seen:?}");
}

/// Where a page says "`law.x`, 0.5", that is the default.
#[test]
fn the_numbers_beside_settings_are_their_defaults() {
    let known = toml::Table::try_from(Config::default()).expect("plain data");
    let mut compared = 0;
    for name in pages() {
        let text = page(&name);
        for (at, _) in text.match_indices("`law.") {
            let (field, rest) = text[at + "`law.".len()..].split_once('`').expect("an end");
            let Some(rest) = rest.strip_prefix(", ") else { continue };
            let said = rest.split([' ', '|', ',', ';', ':', '\n', ')']).next().unwrap_or_default();
            let Ok(said) = said.parse::<f64>() else { continue };
            let shipped = known["law"][field].as_float().expect("a number");
            assert!((said - shipped).abs() < 1e-12, "docs/{name}: law.{field} is {shipped}");
            compared += 1;
        }
    }
    assert!(compared >= 6, "only {compared} were compared");
}

/// A table row that names tests names a file before them.
#[test]
fn every_test_that_security_relies_on_exists() {
    let mut found = 0;
    for line in page("security.md").lines().filter(|line| line.starts_with('|')) {
        let mut source: Option<(String, String)> = None;
        for word in line.split('`').skip(1).step_by(2) {
            if word.starts_with("crates/") {
                let path = workspace().join(word);
                let text = std::fs::read_to_string(&path);
                source = Some((word.to_owned(), text.unwrap_or_else(|e| panic!("{word}: {e}"))));
            } else if let Some((file, text)) = &source
                && word.contains('_')
                && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            {
                assert!(text.contains(&format!("fn {word}(")), "{file} has no test `{word}`");
                found += 1;
            }
        }
    }
    assert!(found >= 25, "only {found} tests are named");
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut followed = 0;
    let docs = pages().into_iter().map(|name| format!("docs/{name}"));
    for file in docs.chain(["README.md".to_owned()]) {
        let path = workspace().join(&file);
        let text = std::fs::read_to_string(&path).expect("text");
        for target in links(&text) {
            let (target, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = path.parent().expect("in a folder");
            let at = if target.is_empty() { path.clone() } else { folder.join(target) };
            assert!(at.exists(), "{file} links to {target}, which is not there");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&at).expect("text");
                let known = anchors(&text);
                assert!(known.contains(anchor), "{file}: {target} has no #{anchor}; {known:?}");
            }
            followed += 1;
        }
    }
    assert!(followed > 100, "only {followed} links were found");
}

/// Targets of Markdown links outside code that are neither elsewhere nor in rustdoc.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (_, rest) in line.match_indices("](").map(|(at, mark)| line.split_at(at + mark.len())) {
            let target = rest.split(')').next().unwrap_or_default();
            if !target.contains("://") && !target.is_empty() {
                found.push(target);
            }
        }
    }
    found
}

/// What a heading is called in a link, as GitHub and mdBook make it.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut in_code = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
        }
        let title = line.trim_start_matches('#');
        if in_code || title.len() == line.len() {
            continue;
        }
        let lower = title.trim().to_lowercase();
        let kept = lower.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        found.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    found
}

#[test]
fn the_book_lists_every_page_and_no_other() {
    let summary = page("SUMMARY.md");
    let listed: BTreeSet<String> =
        links(&summary).into_iter().filter(|l| !l.contains('/')).map(str::to_owned).collect();
    let there: BTreeSet<String> = pages().into_iter().filter(|name| name != "SUMMARY.md").collect();
    let missing: Vec<_> = there.difference(&listed).collect();
    assert!(missing.is_empty(), "the book leaves out {missing:?}");
    let book: toml::Table = toml::from_str(&page("book.toml")).expect("a table");
    assert_eq!(book["book"]["src"].as_str(), Some("."));
}

/// Whatever the core has a module for is a word that somebody will look up.
#[test]
fn the_glossary_has_the_words_of_the_core_model() {
    // Tools of its code, and names of files that are not quite the word.
    let plain = ["config", "error", "lib", "math", "mod", "stability", "time", "units"];
    let spelt = [("merge", "blend"), ("prober", "probe")];
    let core = workspace().join("crates/atrion-core/src");
    let folders = [core.clone(), core.join("law")];
    let glossary = page("glossary.md").to_lowercase();
    let mut found = 0;
    for entry in folders.iter().flat_map(|f| std::fs::read_dir(f).expect("a folder")) {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let Some(module) = name.strip_suffix(".rs") else { continue };
        if plain.contains(&module) || module.ends_with("tests") {
            continue;
        }
        let word = spelt.iter().find(|(m, _)| *m == module).map_or(module, |(_, word)| word);
        assert!(glossary.contains(&format!("\n| {word} ")), "the glossary lacks `{word}`");
        found += 1;
    }
    assert!(found >= 20, "only {found} modules were found");
}

#[test]
fn the_tiers_are_those_of_the_licence() {
    let prices = page("pricing.md");
    let terms = std::fs::read_to_string(workspace().join("LICENSE-COMMERCIAL")).expect("text");
    let row = |name: &str| {
        let line = prices.lines().find(|line| line.starts_with(&format!("| {name} |")));
        let cells = line.unwrap_or_else(|| panic!("no row for {name}")).split('|');
        cells.map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    for (tier, name, price, support) in [
        (Tier::Starter, "Starter", "$99", "community"),
        (Tier::Pro, "Pro", "$299", "48 hours"),
        (Tier::Enterprise, "Enterprise", "by agreement", "dedicated"),
    ] {
        let cells = row(name);
        assert_eq!(cells[2], price);
        let limit = tier.max_clusters();
        assert_eq!(cells[3], limit.map_or("no limit".to_owned(), |n| n.to_string()), "{name}");
        assert_eq!(tier.max_nodes(), None, "{name}");
        assert_eq!(cells[4], "no limit");
        assert!(cells[6].contains(support), "{name}: {}", cells[6]);
        let term = terms.lines().find(|line| line.trim_start().starts_with(name)).expect("a line");
        let expected = match limit {
            None => "no limit".to_owned(),
            Some(1) => "1 Production Cluster".to_owned(),
            Some(n) => format!("{n} Production Clusters"),
        };
        assert!(term.contains(&expected), "LICENSE-COMMERCIAL: {term}");
        assert!(terms.to_lowercase().contains(support), "LICENSE-COMMERCIAL: support of {name}");
    }
    let cells = row("Development");
    assert_eq!((cells[4].as_str(), cells[2].as_str()), (DEV_NODES.to_string().as_str(), "free"));
    assert!(cells[5].starts_with(&DEV_DAYS.to_string()), "{}", cells[5]);
    assert_eq!((DEV_NODES, DEV_DAYS), (3, 30));
    assert!(
        terms.contains("three nodes") && terms.contains("thirty days from"),
        "development keys"
    );
}

/// A new page with Rust in it has to be added to the list in `lib.rs`.
#[test]
fn every_page_with_rust_is_compiled() {
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let lib = std::fs::read_to_string(lib).expect("text");
    for name in pages() {
        let rust = fences(&page(&name), "rust").len();
        let is_compiled = lib.contains(&format!("\"{name}\""));
        assert!(rust == 0 || is_compiled, "docs/{name}: {rust} snippets that nobody compiles");
        assert!(!page(&name).contains("```rust,ignore"), "docs/{name} hides a snippet");
    }
}
