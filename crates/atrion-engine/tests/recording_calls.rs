//! Recording into a file costs the requesting thread no system call: the kernel is the witness. A
//! copy of this program runs under `strace`, and between two marks its thread must make none.

#![cfg(target_os = "linux")]

use std::env;
use std::fs;
use std::process::Command;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Force};
use atrion_trace::{Recorder, Settings};

/// Where the copy finds the file it is to record into.
const RECORD_INTO: &str = "ATRION_TEST_RECORD_INTO";
/// Files that do not exist; asking for them is a system call that is easily found.
const BEGIN: &str = "/atrion-recording-begins";
const END: &str = "/atrion-recording-ends";

/// Not a test of its own: what runs under `strace`.
#[test]
#[ignore = "runs under strace, started by the other test"]
fn the_recorded_program() {
    let Ok(path) = env::var(RECORD_INTO) else { return };
    let atrion = Atrion::builder().build().expect("valid");
    let (calm, closed) = (atrion.route("calm"), atrion.route("closed"));
    closed.force(Force::Open, std::time::Duration::from_secs(600));
    let recorder = Recorder::create(path, Settings::default()).expect("a new file");
    let recording = atrion
        .record(recorder.tape(), &[calm.clone(), closed.clone()])
        .expect("nothing is recorded");
    let mut done = (0, 0);
    let mut requests = |count: u32| {
        for _ in 0..count {
            match calm.admit(Priority::Normal) {
                Ok(permit) => permit.success(),
                Err(_) => done.1 += 1,
            }
            done.0 += u32::from(closed.admit(Priority::Normal).is_err());
        }
    };
    // The first use of the clock, thread-locals and guards may set themselves up.
    requests(10);
    assert!(fs::metadata(BEGIN).is_err());
    // More than the tape holds, so that both a tape with room and a full one are met.
    requests(60_000);
    assert!(fs::metadata(END).is_err());
    drop(recording);
    let totals = recorder.finish().expect("it can be written");
    assert!(totals.arrivals > 1_000, "{totals:?}");
    assert_eq!(totals.arrivals + totals.ends + totals.dropped, u64::from(3 * 60_010_u32 - done.1));
}

#[test]
fn recording_makes_no_system_call_on_the_requesting_thread() {
    let folder = env::temp_dir().join(format!("atrion-recording-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let seen = folder.join("seen");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&seen)
        .arg(env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "the_recorded_program", "--test-threads", "1"])
        .env(RECORD_INTO, folder.join("a.trace"))
        .output();
    let output = match output {
        Ok(output) => output,
        Err(e) => panic!("`strace` cannot be started ({e}): run `cargo xtask setup`"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let seen = fs::read_to_string(seen).expect("what strace saw");
    fs::remove_dir_all(&folder).expect("removed");

    let mut lines = seen.lines().skip_while(|line| !line.contains(BEGIN));
    let begin = lines.next().expect("it began");
    let thread = begin.split_whitespace().next().expect("strace names the thread");
    let own = |line: &&str| line.split_whitespace().next() == Some(thread);
    // A call that another thread's interrupts is told in two lines; the mark itself is no finding.
    let mut calls = lines.filter(own).filter(|line| !line.contains("resumed>"));
    let first = calls.next().expect("it ended");
    assert!(first.contains(END), "a system call of the requesting thread: {first}");
}
