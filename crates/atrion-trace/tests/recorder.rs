//! The recorder: files, bounds, and what happens when writing fails or the process dies.
#![allow(clippy::unwrap_used, reason = "a failing test may say so")]

mod common;

use std::fs::File;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use atrion_trace::{
    Arrival, Ending, Finish, Mark, Outcome, RecordError, Recorder, Settings, Tape, Trace, Writer,
};
use common::{PLAIN, sample, start};

/// A folder of its own for each test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("atrion-trace-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("a.trace")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn threads_record_into_a_file_that_reads_back() {
    const THREADS: u64 = 4;
    const EACH: u64 = 5_000;
    let folder = Folder::new("threads");
    let recorder = Recorder::create(folder.file(), Settings::default()).unwrap();
    let route = recorder.tape().start(start("r")).unwrap();
    thread::scope(|scope| {
        for n in 0..THREADS {
            let tape = recorder.tape();
            scope.spawn(move || {
                for at in 0..EACH {
                    let key = (at, n);
                    let arrival =
                        Arrival { route, at, volts: n as f64, in_flight: Some(1), decision: PLAIN };
                    tape.arrived(arrival, Some(key));
                    tape.ended(Ending { route, at: at + 1 + n, outcome: Outcome::Success }, key);
                }
            });
        }
    });
    let totals = recorder.finish().unwrap();
    assert_eq!(totals.arrivals + totals.dropped / 2, THREADS * EACH, "{totals:?}");
    let trace = Trace::read(File::open(folder.file()).unwrap()).unwrap();
    assert_eq!(trace.finish(), Finish::Whole(totals));
    for request in trace.requests() {
        let latency = request.latency_nanos().expect("every key is met again");
        assert_eq!(latency, 1 + request.volts as u64, "arrival and end belong together");
    }
}

#[test]
fn a_recording_that_is_never_finished_can_be_read() {
    let folder = Folder::new("killed");
    let recorder = Recorder::create(folder.file(), Settings::default()).unwrap();
    let route = recorder.tape().start(start("r")).unwrap();
    recorder.tape().marked(route, 5, Mark::Opened);
    // As after a kill, nothing tells the recorder to end; within about a second it has written.
    let written = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(50));
        Trace::read(File::open(folder.file()).unwrap()).is_ok_and(|trace| trace.steps().len() == 1)
    });
    assert!(written, "{:?}", recorder.health());
    let trace = Trace::read(File::open(folder.file()).unwrap()).unwrap();
    assert_eq!(trace.finish(), Finish::Cut { bytes: 0 });
}

#[test]
fn a_file_that_exists_is_left_alone() {
    let folder = Folder::new("exists");
    std::fs::write(folder.file(), sample()).unwrap();
    let why = Recorder::create(folder.file(), Settings::default()).expect_err("it exists");
    assert!(matches!(why, RecordError::Io(ref e) if e.kind() == std::io::ErrorKind::AlreadyExists));
    assert_eq!(std::fs::read(folder.file()).unwrap(), sample());
}

#[test]
fn impossible_settings_are_refused_by_name() {
    let folder = Folder::new("settings");
    for (settings, named) in [
        (Settings { places: 0, ..Settings::default() }, "places is 0 observations"),
        (
            Settings { most_bytes: 100, ..Settings::default() },
            "most_bytes is 100 bytes, allowed is 4096",
        ),
    ] {
        let why = Recorder::create(folder.file(), settings).expect_err(named).to_string();
        assert!(why.contains(named), "{why}");
        assert!(!folder.file().exists(), "nothing is left behind");
    }
}

#[test]
fn the_file_keeps_its_bound() {
    let folder = Folder::new("bound");
    let settings = Settings { places: 1 << 12, most_bytes: 8_192 };
    let recorder = Recorder::create(folder.file(), settings).unwrap();
    let route = recorder.tape().start(start("r")).unwrap();
    for at in 0..4_000 {
        recorder.tape().marked(route, at, Mark::Reported);
    }
    let totals = recorder.finish().unwrap();
    let length = std::fs::metadata(folder.file()).unwrap().len();
    assert!(length <= 8_192, "{length}");
    assert_eq!(totals.marks + totals.unwritten + totals.dropped, 4_000);
    let trace = Trace::read(File::open(folder.file()).unwrap()).unwrap();
    assert_eq!(trace.finish(), Finish::Whole(totals));
}

/// Room for the header and no more.
struct Tight(usize);
impl std::io::Write for Tight {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() > self.0 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A disk without room: what is recorded is counted, and the end says what went wrong.
#[test]
fn a_full_disk_is_reported_and_harms_nobody() {
    assert!(Writer::new(Tight(11), u64::MAX).is_err(), "no room for the header");
    let tape = Tape::new(16).unwrap();
    tape.start(start("r")).unwrap();
    let mut writer = Writer::new(Tight(20), u64::MAX).unwrap();
    tape.marked(0, 1, Mark::Opened);
    writer.drain(&tape).unwrap();
    assert!(writer.flush().is_err());
    tape.marked(0, 2, Mark::Closed);
    writer.drain(&tape).unwrap();
    assert_eq!(writer.totals().unwritten, 1, "counted, not written");
    assert!(writer.finish().is_err());
}
