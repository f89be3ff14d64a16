//! Runs every example as a user would, and reads what it says.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Far beyond what any of them takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(10);

/// Runs a program to its end and answers with the lines it said.
fn run(program: &str, args: &[&str]) -> Said {
    let mut child = Command::new(program)
        .args(args)
        .env("ATRION_LICENSE_KEY", key())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cargo has built it");
    let out = child.stdout.take().map(listen);
    let err = child.stderr.take().map(listen);
    let ended = wait(&mut child);
    let hear = |listener: Option<thread::JoinHandle<String>>| {
        listener.map(|l| l.join().expect("a listener")).unwrap_or_default()
    };
    let said = Said { out: hear(out), err: hear(err) };
    assert_eq!(ended, Some(true), "{program} ended badly, or not within {PATIENCE:?}:\n{said:?}");
    said
}

/// Whether it ended well; `None` if it did not end and was killed.
fn wait(child: &mut Child) -> Option<bool> {
    for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
        if let Some(status) = child.try_wait().expect("its status") {
            return Some(status.success());
        }
        thread::sleep(LOOK);
    }
    child.kill().expect("killed");
    None
}

fn listen(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut said = Vec::new();
        from.read_to_end(&mut said).expect("its output");
        String::from_utf8_lossy(&said).into_owned()
    })
}

/// A development key that is good today, as `cargo xtask license dev` makes it.
fn key() -> String {
    use atrion_license::issue::{Issuer, Terms};
    use atrion_license::{SystemWallClock, Tier, WallClock};
    let id = "examples".parse().expect("an identifier");
    let terms = Terms::new(Tier::Development, id, "the examples", SystemWallClock.now());
    Issuer::development().expect("part of the crate").issue(&terms).expect("allowed")
}

#[derive(Debug)]
struct Said {
    out: String,
    #[expect(dead_code, reason = "is shown where something is missed")]
    err: String,
}

impl Said {
    /// The whole numbers of each line with this beginning, and with this word in it.
    fn rows(&self, start: &str, word: &str) -> Vec<Vec<u64>> {
        let lines = self.out.lines().filter_map(|line| line.trim_start().strip_prefix(start));
        let rows = lines.filter(|rest| rest.contains(word)).map(|rest| {
            let words = rest.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
            words.map(|word| word.parse().expect("a number")).collect()
        });
        rows.collect()
    }

    /// The numbers of the only line with this beginning.
    fn row(&self, start: &str) -> Vec<u64> {
        let mut rows = self.rows(start, "");
        assert_eq!(rows.len(), 1, "lines with `{start}`:\n{self:?}");
        rows.remove(0)
    }

    fn says(&self, text: &str) {
        assert!(self.out.contains(text), "`{text}` was not said:\n{self:?}");
    }
}

#[test]
fn sync() {
    let said = run(env!("CARGO_BIN_EXE_sync"), &[]);
    assert_eq!(said.row("all is well:"), [100, 0, 0]);
    let dead = said.row("it is dead:");
    assert!(dead[0] == 0 && dead[2] >= 100, "{said:?}");
    said.says("why: breaker_open: 20.000 V against");
    let well = said.row("all is well again:");
    assert!(well[0] >= 90 && well[1] == 0, "{said:?}");
}

#[test]
fn worker_pool() {
    let said = run(env!("CARGO_BIN_EXE_worker_pool"), &[]);
    said.says("a lease expired after");
    said.says("report 3: the lease has expired; once more");
    said.says("report 4: cancelled");
    for number in (1..=12).filter(|number| *number != 4) {
        said.says(&format!("report {number}: done"));
    }
    said.says(", 0 in flight");
}

#[test]
fn shadow_rollout() {
    let said = run(env!("CARGO_BIN_EXE_shadow_rollout"), &[]);
    let (paid, free) = (said.rows("paid:", "served"), said.rows("free:", "served"));
    assert_eq!((paid.len(), free.len()), (3, 3), "{said:?}");
    for hours in 0..2 {
        assert_eq!((paid[hours][2], free[hours][2]), (0, 0), "refused in shadow: {said:?}");
    }
    let missed = said.rows("it would have refused", "told of");
    assert!(missed[0][0] > 0, "{said:?}");
    assert!(paid[2][0] > 0 && free[2][2] > 0, "{said:?}");
}

#[cfg(feature = "axum_server")]
#[test]
fn axum_server() {
    let said = run(env!("CARGO_BIN_EXE_axum_server"), &[]);
    let [checkout, export] = ["/checkout:", "/export:"].map(|path| said.rows(path, "served"));
    let (checkout, export) = (&checkout[1], &export[1]);
    assert!(checkout[0] > 0 && export[2] > 0, "{said:?}");
    assert!(checkout[0] > export[0], "cheap before dear: {said:?}");
}

#[cfg(feature = "tonic_server")]
#[test]
fn tonic_server() {
    let said = run(env!("CARGO_BIN_EXE_tonic_server"), &[]);
    said.says("say hello:      b\"hello\"");
    said.says("as you wish");
    said.says("server refuses: Unavailable: request shed: forced_open");
    assert!(said.row("come back in:")[0] >= 4000, "{said:?}");
    said.says("client refuses: route \"to /demo.Echo/Say\": request shed, forced_open");
    said.says("say it again:   b\"hello again\"");
    assert_eq!(said.row("to /demo.Echo/Say:")[1], 1, "{said:?}");
}

#[cfg(feature = "reqwest_client")]
#[test]
fn reqwest_client() {
    let said = run(env!("CARGO_BIN_EXE_reqwest_client"), &[]);
    assert_eq!(said.row("well:"), [100, 0, 0, 100]);
    let failing = said.row("failing, afterwards:");
    let [answered, failed, not_sent, received] = failing[..] else { panic!("{said:?}") };
    assert!(answered == 0 && not_sent >= 100 && received == failed, "{said:?}");
    said.says("not sent: breaker_open");
    assert!(said.row("well again:")[0] >= 100, "{said:?}");
}

#[cfg(feature = "hyper_proxy")]
#[test]
fn hyper_proxy() {
    let said = run(env!("CARGO_BIN_EXE_hyper_proxy"), &[]);
    let [well, dead] = ["all are well:", "and the third is dead:"].map(|what| said.row(what));
    let again = said.row("both are well again:");
    assert!(well[..3].iter().all(|share| *share > 5) && well[4] == 0, "{said:?}");
    assert!(dead[2] < well[2] && dead[4] * 2 < dead[3], "{said:?}");
    assert!(again[4] * 10 < again[3], "{said:?}");
}

#[cfg(feature = "three_nodes")]
#[test]
fn three_nodes() {
    let said = run(env!("CARGO_BIN_EXE_three_nodes"), &[]);
    for name in ["b:", "c:"] {
        let rows = said.rows(name, "paid,");
        assert!(rows[0][0] == 0 && rows[0][2] > rows[0][1], "{name} asked on: {said:?}");
        said.says(&format!("{name} held: 20.000 V against"));
    }
    said.says("all of them pay again");
    for name in ["a:", "b:", "c:"] {
        let rows = said.rows(name, "paid,");
        // What is left of a scar may still refuse some; nothing fails, and customers are served.
        let last = rows.last().expect("without Redis");
        assert!(last[0] > 0 && last[1] == 0 && last[0] + last[2] == 20, "without Redis: {said:?}");
    }
}

#[cfg(feature = "warm_start")]
#[test]
fn warm_start() {
    let said = run(env!("CARGO_BIN_EXE_warm_start"), &[]);
    let scars = said.rows("second life: begins with a scar of", "");
    assert!((5..500).contains(&scars[0][0]), "{said:?}");
    let customers = said.rows("second life: of", "customers");
    assert!(customers[0][0] == 50 && customers[0][2] > customers[0][1], "{said:?}");
}

#[cfg(feature = "studio_mounted")]
#[test]
fn studio_mounted() {
    let said = run(env!("CARGO_BIN_EXE_studio_mounted"), &[]);
    said.says("hello: 200 OK");
    said.says("page: 200 OK");
    said.says("overview: 200 OK");
    said.says("api/payments");
}

#[cfg(feature = "metrics")]
#[test]
fn metrics() {
    let said = run(env!("CARGO_BIN_EXE_metrics"), &[]);
    said.says("hello: 200 OK");
    said.says("ready: {");
    said.says("hello, when closed: 503");
    let counted =
        |line: &&str| line.contains("atrion_route_requests_total{") && line.contains("\"refused\"");
    let lines: Vec<&str> = said.out.lines().filter(counted).collect();
    assert!(lines.len() == 1 && lines[0].ends_with(" 1"), "{said:?}");
}

#[cfg(feature = "trace")]
#[test]
fn trace() {
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/pay.trace");
    let _ = std::fs::remove_file(file); // of the run before
    let said = run(env!("CARGO_BIN_EXE_trace"), &[file]);
    said.says("pay.trace: ");
    assert!(std::fs::metadata(file).expect("a file").len() > 1000);
}
