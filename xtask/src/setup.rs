//! Installs what is missing on this machine, and nothing that is there.

mod ast_grep;
mod mutants;
pub(crate) mod python;

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::runner::Line;

/// The oldest compiler the workspace supports, as its manifest says.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// What a build needs besides Rust: a C compiler, which links every Rust program.
const DEBIAN_PACKAGES: &[(&str, &str)] = &[("cc", "gcc"), ("ld", "binutils")];

/// What the tests of the cluster start servers with. Sentinels and the nodes of a Redis Cluster are
/// the same program.
const REDIS_PACKAGES: &[(&str, &str)] = &[("redis-server", "redis-server")];

/// What the tests of the memory start servers with. Debian puts the programs where no path leads.
const POSTGRES_PACKAGE: &str = "postgresql";
const POSTGRES_PROGRAMS: [&str; 3] = ["initdb", "postgres", "psql"];
const POSTGRES_FOLDER: &str = "/usr/lib/postgresql";

/// What the tests of the metrics are scraped and asked with.
const PROMETHEUS_PACKAGES: &[(&str, &str)] =
    &[("prometheus", "prometheus"), ("promtool", "prometheus")];

/// What the tests of Studio's page drive: a browser, and what drives it.
const BROWSER_PACKAGES: &[(&str, &str)] =
    &[("chromium", "chromium"), ("chromedriver", "chromium-driver")];

/// What the tests of the request path watch system calls with. There is none but on Linux.
const LINUX_PACKAGES: &[(&str, &str)] = &[("strace", "strace")];

/// Makes the machine ready to build and test; does nothing where it already is.
///
/// # Errors
///
/// A sentence that says what is missing and how to install it.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    println!("==> setup");
    compiler(root)?;
    linker(root)?;
    component(root, "clippy", "clippy-driver")?;
    component(root, "rustfmt", "rustfmt")?;
    redis(root)?;
    postgres(root)?;
    prometheus(root)?;
    tracer(root)?;
    browser(root)?;
    ast_grep::install(root)?;
    println!("    ready");
    Ok(())
}

/// Installs `cargo-deny` from its own locked sources if it is missing.
pub(crate) fn cargo_deny(root: &Path) -> Result<(), String> {
    if answers("cargo-deny", "--version") {
        return Ok(());
    }
    println!("    cargo-deny is missing; building it takes some minutes");
    must_run(root, &Line::cargo("install --locked cargo-deny"))
}

/// Installs `cargo-mutants` into the target folder if it is missing, and tells where it is.
///
/// # Errors
///
/// A sentence that says how to install it by hand.
pub(crate) fn cargo_mutants(root: &Path) -> Result<PathBuf, String> {
    mutants::install(root)
}

fn compiler(root: &Path) -> Result<(), String> {
    let output =
        Command::new("rustc").arg("--version").current_dir(root).output().map_err(|e| {
            format!("`rustc` cannot be started ({e}); install Rust {RUST} or newer")
        })?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let found = said.split_whitespace().nth(1).and_then(version);
    let needed = version(RUST);
    if found < needed {
        return Err(format!(
            "`{said}` is too old: Atrion needs Rust {RUST}; `rustup update stable` installs it"
        ));
    }
    println!("    {said}");
    Ok(())
}

/// The major and minor number at the start of a version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.');
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

fn linker(root: &Path) -> Result<(), String> {
    let missing = missing(DEBIAN_PACKAGES);
    if missing.is_empty() {
        println!("    C compiler and linker found");
        return Ok(());
    }
    let others = "a C compiler and linker are missing. Install them with your system's packages \
                  (Fedora: dnf install gcc; Arch: pacman -S gcc; Alpine: apk add build-base; \
                  macOS: xcode-select --install; Windows: the Visual Studio build tools)";
    install(root, &missing, others)
}

/// The server for the tests. They start their own, on ports of their own; the service that the
/// package brings is stopped again.
///
/// # Errors
///
/// A sentence that says how to install it, or that a service could not be stopped.
pub(crate) fn redis(root: &Path) -> Result<(), String> {
    if cfg!(not(unix)) {
        println!("    no Redis server here: the tests that need one run on Unix only");
        return Ok(());
    }
    let missing = missing(REDIS_PACKAGES);
    if missing.is_empty() {
        println!("    Redis server found");
        return Ok(());
    }
    let others = "`redis-server` is missing. Install it with your system's packages (Fedora, Arch \
                  and Alpine: redis or valkey; macOS: brew install redis)";
    install_without_service(root, &missing, others, ("redis-server", 6379))
}

/// The server for the tests of the metrics, which start their own as well.
///
/// # Errors
///
/// A sentence that says how to install it, or that a service could not be stopped.
fn prometheus(root: &Path) -> Result<(), String> {
    let mut missing = missing(PROMETHEUS_PACKAGES);
    missing.dedup();
    if missing.is_empty() {
        println!("    Prometheus found");
        return Ok(());
    }
    let others = "`prometheus` or `promtool` is missing. Install them with your system's packages \
                  (Fedora, Arch, Alpine and Homebrew: prometheus)";
    install_without_service(root, &missing, others, ("prometheus", 9090))
}

/// Installs packages that bring a service, and stops it again if it was not there before.
fn install_without_service(
    root: &Path,
    packages: &[&str],
    others: &str,
    (service, port): (&str, u16),
) -> Result<(), String> {
    let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    let was_there = listens();
    install(root, packages, others)?;
    for stop in [format!("systemctl disable --now {service}"), format!("service {service} stop")] {
        // One of the two is in charge; the other fails, and both do where no services are started.
        let mut line = as_root(&stop).command(root);
        let _ = line.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    if listens() && !was_there {
        return Err(format!(
            "the package has started a service on port {port} that cannot be stopped from here; \
             stop it, then run this command again"
        ));
    }
    Ok(())
}

/// The server for the tests of the memory. They start their own, as an unprivileged user where we
/// are the superuser; the service that the package brings is stopped again.
pub(crate) fn postgres(root: &Path) -> Result<(), String> {
    if cfg!(not(unix)) {
        println!("    no PostgreSQL here: the tests that need one run on Unix only");
        return Ok(());
    }
    if has_postgres() {
        println!("    PostgreSQL found");
        return Ok(());
    }
    let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, 5432)).is_ok();
    let was_there = listens();
    let others = "`initdb` and `postgres` are missing. Install them with your system's packages \
                  (Fedora: postgresql-server; Arch and Alpine: postgresql; macOS: brew install \
                  postgresql), or name their folder in ATRION_POSTGRES_BIN";
    install(root, &[POSTGRES_PACKAGE], others)?;
    for stop in ["systemctl disable --now postgresql", "service postgresql stop"] {
        // One of the two is in charge; the other fails, and both do where no services are started.
        let mut line = as_root(stop).command(root);
        let _ = line.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    if listens() && !was_there {
        return Err("the package has started a PostgreSQL service on port 5432 that cannot be \
                    stopped from here; stop it, then run this command again"
            .to_owned());
    }
    if has_postgres() { Ok(()) } else { Err(others.to_owned()) }
}

/// Whether all programs of one version are in the folder that the environment names, in Debian's,
/// or in the path.
fn has_postgres() -> bool {
    let all_in = |folder: &Path| POSTGRES_PROGRAMS.iter().all(|name| folder.join(name).is_file());
    if let Some(folder) = std::env::var_os("ATRION_POSTGRES_BIN") {
        return all_in(Path::new(&folder));
    }
    let versions = std::fs::read_dir(POSTGRES_FOLDER).into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin")).any(|bin| all_in(&bin))
        || POSTGRES_PROGRAMS.iter().all(|name| answers(name, "--version"))
}

fn tracer(root: &Path) -> Result<(), String> {
    let missing = if cfg!(target_os = "linux") { missing(LINUX_PACKAGES) } else { Vec::new() };
    if missing.is_empty() {
        return Ok(());
    }
    let others = "`strace` is missing. Install it with your system's packages";
    install(root, &missing, others)
}

fn browser(root: &Path) -> Result<(), String> {
    let missing = if cfg!(target_os = "linux") { missing(BROWSER_PACKAGES) } else { Vec::new() };
    if missing.is_empty() {
        return Ok(());
    }
    let others = "Chromium or its driver is missing. Install both with your system's packages \
                  (Fedora: chromium chromedriver; Arch: chromium; Alpine: chromium \
                  chromium-chromedriver), or name them with ATRION_CHROMIUM and \
                  ATRION_CHROMEDRIVER";
    install(root, &missing, others)
}

/// The packages whose program is not there.
fn missing(packages: &[(&str, &'static str)]) -> Vec<&'static str> {
    let absent = packages.iter().filter(|(program, _)| !answers(program, "--version"));
    absent.map(|(_, package)| *package).collect()
}

/// Installs packages on Debian and its relatives; elsewhere says what `others` do.
fn install(root: &Path, packages: &[&str], others: &str) -> Result<(), String> {
    let names = packages.join(" ");
    if !Path::new("/etc/debian_version").is_file() || !answers("apt-get", "--version") {
        return Err(format!("{others}, then run this command again (Debian's names: {names})"));
    }
    println!("    installing Debian packages: {names}");
    must_run(root, &as_root("apt-get update --quiet"))?;
    let install = as_root("apt-get install --yes --no-install-recommends");
    must_run(root, &install.args(packages.iter().copied()))
}

/// `words` as the superuser: directly where this already is one, through sudo elsewhere.
fn as_root(words: &str) -> Line {
    let own = Command::new("id").arg("-u").output();
    let is_root = own.is_ok_and(|out| out.stdout.trim_ascii() == b"0");
    let mut words = words.split_whitespace();
    if is_root {
        Line::new(words.next().unwrap_or_default()).args(words)
    } else {
        Line::new("sudo").args(words)
    }
}

/// Adds a component of the toolchain if its program is missing.
fn component(root: &Path, component: &str, program: &str) -> Result<(), String> {
    if answers(program, "--version") {
        println!("    {component} found");
        return Ok(());
    }
    if !answers("rustup", "--version") {
        return Err(format!(
            "`{program}` is missing and so is rustup; install the package of your \
             system that brings {component}, then run this command again"
        ));
    }
    println!("    adding {component}");
    must_run(root, &Line::new("rustup").args(["component", "add", component]))
}

/// Whether a program is there and runs.
fn answers(program: &str, arg: &str) -> bool {
    Command::new(program)
        .arg(arg)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether `program` is there and, asked with these arguments, calls itself `NAME VERSION`.
fn is_version(program: &Path, args: &[&str], version: &str) -> bool {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    output.is_ok_and(|out| {
        let said = String::from_utf8_lossy(&out.stdout);
        out.status.success() && said.split_whitespace().nth(1) == Some(version)
    })
}

fn must_run(root: &Path, line: &Line) -> Result<(), String> {
    println!("    {line}");
    match line.command(root).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` ended with {status}")),
        Err(e) => Err(format!("`{line}` cannot be started: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(version("1.95.0"), Some((1, 95)));
        assert!(version("1.9.0") < version("1.88"));
        assert!(version("2.0") > version("1.88"));
        assert_eq!(version("nightly"), None);
        assert!(version("nightly") < version(RUST));
    }

    #[test]
    fn an_absent_program_does_not_answer() {
        assert!(!answers("a-program-that-nobody-has", "--version"));
        assert!(answers("rustc", "--version"));
    }

    #[test]
    fn an_absent_or_another_program_is_not_the_pinned_one() {
        assert!(!is_version(Path::new("/nowhere/rustc"), &["--version"], "1.2.3"));
        assert!(!is_version(Path::new("rustc"), &["--version"], "1.2.3"));
    }
}
