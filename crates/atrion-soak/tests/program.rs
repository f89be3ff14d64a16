//! The program as its users start it.

use std::process::{Command, Output};

fn soak(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atrion-soak")).args(args).output().expect("it starts")
}

#[test]
fn the_same_seed_is_the_same_schedule() {
    let schedule = |seed| soak(&["--schedule", "--minutes", "2", "--seed", seed]);
    let (one, again, other) = (schedule("7"), schedule("7"), schedule("8"));
    assert!(one.status.success());
    assert_eq!(one.stdout, again.stdout);
    assert_ne!(one.stdout, other.stdout);
    let text = String::from_utf8_lossy(&one.stdout);
    assert!(text.starts_with("seed 7") && text.contains("round 3"), "{text}");
}

#[test]
fn nonsense_is_refused_with_status_2() {
    for (args, named) in
        [(&["--minutes", "0"][..], "1 to 10080"), (&["--minute", "3"], "minute"), (&["now"], "now")]
    {
        let output = soak(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(named), "{args:?}: {said}");
    }
    assert!(soak(&["--help"]).status.success());
}
