//! The process that starts the browser.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::memory::processes;
use crate::Failure;
use crate::process::free_port;
use crate::wait::wait_for;

/// `chromedriver`, and whatever it has started.
pub(super) struct Driver {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Driver {
    /// Starts it on a free port; it listens when this returns. What it says goes into the folder.
    pub(super) fn start(folder: &Path) -> Result<Self, Failure> {
        let port = free_port()?;
        let program =
            std::env::var_os("ATRION_CHROMEDRIVER").unwrap_or_else(|| "chromedriver".into());
        let log = fs::File::create(folder.join("driver.log"))?;
        let child = Command::new(&program)
            .arg(format!("--port={port}"))
            // What the browser keeps for itself outside its profile belongs to this run too.
            .env("HOME", folder)
            .env("TMPDIR", folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| {
                let program = program.display();
                Failure::new(if error.kind() == std::io::ErrorKind::NotFound {
                    format!("`{program}` is not installed: run `cargo xtask setup`")
                } else {
                    format!("`{program}` cannot be started: {error}")
                })
            })?;
        let driver = Self { child, port, folder: folder.to_owned() };
        wait_for("chromedriver listens", || {
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok().map(drop))
        })
        .map_err(|error| driver.explain(&error.to_string()))?;
        Ok(driver)
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A failure with the end of what the driver said.
    pub(super) fn explain(&self, what: &str) -> Failure {
        let log = fs::read_to_string(self.folder.join("driver.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(20).collect();
        let end: Vec<&str> = lines.into_iter().rev().collect();
        Failure::new(format!("{what}\nchromedriver said:\n{}", end.join("\n")))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A driver that is killed leaves its browser behind; the profile's path names it.
        for process in processes(&self.folder.display().to_string()) {
            let killed = Command::new("kill")
                .args(["-KILL", &process.to_string()])
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .status();
            // Gone already is as good.
            drop(killed);
        }
    }
}
