//! The program `atrion-license`, run as its users run it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder of its own that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("text").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How a run ended: its status and what it said on both outputs.
struct Run {
    status: i32,
    out: String,
    err: String,
}

fn run_with(args: &[&str], input: &[u8], variable: Option<&str>) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atrion-license"));
    command.args(args).env_remove("ATRION_LICENSE_KEY");
    if let Some(value) = variable {
        command.env("ATRION_LICENSE_KEY", value);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    // It may end without having read everything.
    let _ = child.stdin.take().expect("piped").write_all(input);
    let output = child.wait_with_output().expect("ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Run {
        status: output.status.code().expect("no signal"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn run(args: &[&str]) -> Run {
    run_with(args, b"", None)
}

/// A vendor with a key pair in `folder`, and a licence that it issued.
fn issued(folder: &Folder, more: &[&str]) -> String {
    assert_eq!(run(&["keygen", "--out", &folder.path(""), "--id", "t"]).status, 0);
    let private = folder.path("t.key");
    let mut args = vec!["issue", "--key", &private, "--licensee", "Ada & Söhne", "--days", "90"];
    args.extend(more);
    let run = run(&args);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    run.out.trim_end().to_owned()
}

#[test]
fn from_a_key_pair_to_a_verified_licence() {
    let folder = Folder::new("whole-way");
    let key = issued(&folder, &["--tier", "pro", "--clusters", "2", "--licence", "lic-7"]);
    assert!(key.starts_with("atrion_pro_") && !key.contains(char::is_whitespace));

    let public = folder.path("t.pub");
    let good = run(&["verify", &key, "--keys", &public]);
    assert_eq!(good.status, 0, "{}", good.err);
    assert!(good.out.starts_with("valid: ") && good.out.contains("(90 days left)"), "{}", good.out);

    let stranger = run(&["verify", &key]);
    assert_eq!(stranger.status, 1);
    assert!(stranger.out.starts_with("invalid: ") && stranger.out.contains("`t`"));

    let shown = run(&["inspect", &key]);
    assert_eq!(shown.status, 0);
    for part in ["lic-7", "Ada & Söhne", "pro", "clusters    2", "NOT ACCEPTED"] {
        assert!(shown.out.contains(part), "{part} is missing:\n{}", shown.out);
    }
}

#[test]
fn a_licence_may_start_later() {
    let folder = Folder::new("later");
    let key = issued(&folder, &["--tier", "enterprise", "--not-before", "2999-01-01"]);
    let run = run(&["verify", &key, "--keys", &folder.path("t.pub")]);
    assert_eq!(run.status, 1);
    assert!(run.out.contains("valid from 2999-01-01 on"), "{}", run.out);
}

#[test]
fn private_keys_are_their_owner_s_and_never_overwritten() {
    let folder = Folder::new("private");
    let args = ["keygen", "--out", &folder.path(""), "--id", "k"];
    assert_eq!(run(&args).status, 0);
    let secret = std::fs::read_to_string(folder.path("k.key")).expect("written");
    assert!(secret.starts_with("atrion-private-key vendor k "));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(folder.path("k.key")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = run(&args);
    assert_eq!(again.status, 1);
    assert!(again.err.contains("k.key cannot be written"), "{}", again.err);
    assert_eq!(std::fs::read_to_string(folder.path("k.key")).expect("still there"), secret);
    assert!(!again.out.contains(&secret) && !again.err.contains(&secret));
}

#[test]
fn two_key_pairs_differ() {
    let folder = Folder::new("two");
    for _ in 0..2 {
        assert_eq!(run(&["keygen", "--out", &folder.path("")]).status, 0);
    }
    assert_eq!(std::fs::read_dir(&folder.0).expect("there").count(), 4);
}

#[test]
fn anybody_gets_a_development_key() {
    let made = run(&["dev", "--days", "7", "--licensee", "Grace"]);
    assert_eq!((made.status, made.err.as_str()), (0, ""));
    let key = made.out.trim_end();
    let read = [
        run(&["verify", key]),
        run_with(&["verify", "-"], made.out.as_bytes(), None),
        run_with(&["verify"], b"", Some(key)),
    ];
    for run in read {
        assert_eq!(run.status, 0, "{}", run.out);
        assert!(run.out.contains("(7 days left)"), "{}", run.out);
    }
    let folder = Folder::new("development");
    std::fs::write(folder.path("key"), &made.out).expect("written");
    assert_eq!(run(&["verify", &folder.path("key")]).status, 0);
    assert!(run(&["inspect", key]).out.contains("Grace"));
    for days in ["0", "31", "4294967295"] {
        let refused = run(&["dev", "--days", days]);
        assert_eq!((refused.status, refused.out.as_str()), (1, ""), "{days} days");
        assert!(refused.err.contains("cannot be issued"), "{}", refused.err);
    }
}

#[test]
fn what_is_no_key_gets_an_answer_and_status_1() {
    for (args, input, expected) in [
        (&["verify"][..], &b""[..], "missing: "),
        (&["verify", ""], b"", "missing: "),
        (&["verify", "-"], b"", "no licence key is set"),
        (&["verify", "-"], b"atrion_pro_AA", "the signature is missing"),
        (&["verify", "-"], &[b'a'; 10_000], "at most 4096"),
        (&["inspect"], b"", "no licence key is set"),
        (&["inspect", "atrion_pro_AA"], b"", "the signature is missing"),
        (&["inspect", "/no/such/file"], b"", "cannot be read"),
        (&["verify", "-"], b"\xff\xfe", "cannot be read"),
        (&["verify", "atrion_pro_AA", "--keys", "/no/such/file"], b"", "/no/such/file"),
        (
            &["issue", "--key", "/no/x", "--tier", "pro", "--licensee", "A", "--days", "1"],
            b"",
            "/no/x",
        ),
    ] {
        let run = run_with(args, input, None);
        assert_eq!(run.status, 1, "{args:?}");
        let said = run.out + &run.err;
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[test]
fn licences_that_the_rules_forbid_are_not_issued() {
    let folder = Folder::new("forbidden");
    let _ = issued(&folder, &["--tier", "starter"]);
    let private = folder.path("t.key");
    for (tier, more, expected) in [
        ("starter", ["--clusters", "2"], "cluster limit"),
        ("pro", ["--clusters", "0"], "cluster limit"),
        ("dev", ["--clusters", "1"], "cluster limit"),
        ("dev", ["--not-before", "2000-01-01"], "not_before"),
        ("pro", ["--not-before", "2000-01-01"], "not_before"),
        ("pro", ["--licence", "a-"], "identifier"),
    ] {
        let args = ["issue", "--key", &private, "--tier", tier, "--licensee", "A", "--days", "9"];
        let run = run(&[&args[..], &more[..]].concat());
        assert_ne!(run.status, 0, "{tier} {more:?}");
        assert!(run.out.is_empty() && run.err.contains(expected), "{tier} {more:?}: {}", run.err);
    }
    let args = ["issue", "--key", &private, "--tier", "dev", "--licensee", "A", "--days", "9"];
    assert!(run(&args).err.contains("may not sign development"));
}

#[test]
fn a_command_line_that_makes_no_sense_is_status_2() {
    for args in [&["mint"][..], &["keygen"], &["verify", "a", "b"], &["dev", "--days", "x"]] {
        let run = run(args);
        assert_eq!((run.status, run.out.as_str()), (2, ""), "{args:?}");
        assert!(run.err.contains("help"), "{args:?}: {}", run.err);
    }
    let help = run(&["help"]);
    assert!(help.status == 0 && help.out.contains("keygen"));
}
