//! The codemods of `docs/codemods`, run on the programs in its `samples`.
//!
//! Each sample is there twice, before and after, and both are compiled with this crate's examples.
//! So if the rules make of the one exactly the other, what they make compiles.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn codemods() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/codemods")
}

/// The program that `cargo xtask setup` installs beside what cargo builds.
fn ast_grep(args: &[&Path]) -> Output {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("in a target folder");
    let folder = if cfg!(windows) { "Scripts" } else { "bin" };
    let name = format!("ast-grep{}", std::env::consts::EXE_SUFFIX);
    let program = target.join("tools/ast-grep").join(folder).join(name);
    let output = Command::new(&program).arg("scan").args(args).output();
    output.unwrap_or_else(|e| {
        panic!("{} cannot be started ({e}): `cargo xtask setup` installs it", program.display())
    })
}

fn said(output: &Output) -> String {
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", of(&output.stdout), of(&output.stderr))
}

/// What the rules and `cargo fmt` make of a program.
fn rewritten(name: &str, before: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("codemod-{name}"));
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("lib.rs");
    fs::write(&file, before).expect("written");
    let rules = codemods().join(format!("{name}.yml"));
    let output = ast_grep(&["--update-all".as_ref(), "--rule".as_ref(), &rules, &file]);
    assert!(output.status.success(), "{name}: {}", said(&output));
    // What the README asks to do by hand; the samples share one copy of the file.
    let text = fs::read_to_string(&file).expect("text");
    let added = "\n#[path = \"../../../../protection.rs\"]\nmod protection;\n\nuse ";
    fs::write(&file, text.replacen("\nuse ", added, 1)).expect("written");
    formatted(&file)
}

fn formatted(file: &Path) -> String {
    let workspace = codemods().join("../..");
    // Only this file: the module it names lies elsewhere.
    let text = fs::File::open(file).expect("text");
    let output = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(workspace)
        .stdin(text)
        .output()
        .expect("`cargo xtask setup` installs rustfmt");
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).expect("text")
}

fn sample(name: &str, when: &str) -> String {
    let path = codemods().join("samples").join(name).join(when).join("src/lib.rs");
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn check(name: &str, marks: &[&str]) {
    let (before, after) = (sample(name, "before"), sample(name, "after"));
    for mark in marks {
        assert!(before.contains(mark), "{name}: the sample shows no `{mark}`");
        assert!(!after.contains(mark), "{name}: `{mark}` is left over");
    }
    assert_eq!(rewritten(name, &before), after, "{name}: not what is compiled as its result");
    // A second run, by somebody who forgot the first, must not harm.
    let again = after.replace("#[path = \"../../../../protection.rs\"]\nmod protection;\n\n", "");
    assert_eq!(rewritten(name, &again), after, "{name}: a second run changes something");
}

#[test]
fn from_failsafe() {
    check("failsafe", &["failsafe::", "StateMachine", "Config::new", "is_call_permitted"]);
}

#[test]
fn from_recloser() {
    check("recloser", &["use recloser", "Recloser::custom", "AsyncRecloser", "Error::Rejected)"]);
}

#[test]
fn from_tower() {
    check("tower", &["load_shed", "concurrency_limit", "LoadShedLayer", "ConcurrencyLimitLayer"]);
}

#[test]
fn from_tower_resilience() {
    check("tower_resilience", &["CircuitBreakerLayer", "CircuitBreakerError", "is_circuit_open"]);
}

#[test]
fn from_the_pure_function() {
    check("v1", &["RouteState", "= update_physics("]);
}

/// Other types have a `call`, too, and other programs a type of the same name.
#[test]
fn programs_that_use_none_of_it_stay_as_they_are() {
    let other = "use std::io;\n\nfn f(x: &Client) -> io::Result<()> {\n    let y = Config::load();\n    \
                 x.call(y).map(drop)\n}\n";
    for name in ["failsafe", "recloser", "tower", "tower_resilience", "v1"] {
        let added = "#[path = \"../../../../protection.rs\"]\nmod protection;\n\n";
        let file = format!("//! Nothing.\n\n{other}");
        let expected = format!("//! Nothing.\n\n{added}{other}");
        assert_eq!(rewritten(name, &file), expected, "{name}");
    }
}

#[test]
fn what_has_to_change_in_a_typescript_program_is_found() {
    let found = findings("typescript");
    assert_eq!(found.len(), 13);
    for (rule, times) in found {
        let twice = ["typescript-package", "typescript-instance"].contains(&&*rule);
        assert_eq!(times, if twice { 2 } else { 1 }, "{rule}");
    }
}

#[test]
fn what_has_to_be_decided_in_a_program_on_governor_is_found() {
    let found = findings("governor");
    assert_eq!(found.len(), 6);
    for (rule, times) in found {
        assert_eq!(times, 1, "{rule}");
    }
}

/// How often each of these rules, which change nothing, finds something in their sample.
fn findings(name: &str) -> BTreeMap<String, usize> {
    let rules = codemods().join(format!("{name}.yml"));
    let program = codemods().join("samples").join(name);
    let output = ast_grep(&["--json=stream".as_ref(), "--rule".as_ref(), &rules, &program]);
    assert!(output.status.success(), "{name}: {}", said(&output));
    let text = fs::read_to_string(&rules).expect("text");
    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    let mut found: BTreeMap<String, usize> = ids.map(|id| (id.to_owned(), 0)).collect();
    for line in said(&output).lines() {
        let finding: serde_json::Value = serde_json::from_str(line).expect("a finding");
        let rule = finding.get("ruleId").and_then(|id| id.as_str()).expect("a rule");
        *found.get_mut(rule).expect("a rule of the file") += 1;
    }
    found
}
