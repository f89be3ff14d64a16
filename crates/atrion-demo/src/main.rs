//! The demonstration behind `cargo xtask demo`: what Atrion does for a real HTTP service.
//!
//! Four processes on loopback, all this binary: the **conductor** (what the user starts), a
//! **dependency** that can be healthy, slow, hanging or failing, a **service** (axum, sixteen
//! workers behind one queue) that calls the dependency for each request, and a **generator**
//! that sends requests at times fixed beforehand, whether or not earlier ones were answered.
//! The conductor measures the service's capacity, lets the same schedule run twice, without and
//! with Atrion, and compares.
//!
//! What is real: processes, sockets, HTTP, clocks, queues, timeouts, cancelled connections.
//! What is not: a request's work is waiting instead of computing, so that two cores carry it
//! and the load generator is never what limits the figures.
//!
//! With `--cluster` it is another demonstration, see [`cluster`]; with `--peers` the crates of others
//! stand before the same service, see [`contest`].
//!
//! Exit status: 0 if every bound holds, 1 if one is missed, 2 if the demonstration could not
//! run, 3 if the machine was too busy to measure anything, 130 if interrupted.

mod args;
mod caller;
mod cluster;
mod conductor;
mod contest;
mod dependency;
mod figures;
mod generator;
mod guard;
mod live;
mod part;
#[cfg(feature = "peers")]
mod peers;
mod plan;
mod plot;
mod protect;
mod report;
mod service;
mod stats;
mod traffic;
mod verdict;
mod wire;

use std::process::ExitCode;

use crate::args::{Invocation, Role};
use crate::conductor::Stopped;
use crate::verdict::Verdict;

/// Exit status when nothing could be measured.
const TOO_BUSY: u8 = 3;
/// Exit status when it could not run at all.
const UNUSABLE: u8 = 2;
/// Exit status after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let invocation = match args::parse(std::env::args_os().skip(1)) {
        Ok(invocation) => invocation,
        Err(why) => {
            eprintln!("atrion-demo: {why}; --help lists the options");
            return ExitCode::from(UNUSABLE);
        }
    };
    // One thread per process: four processes on a small machine, and nothing here computes.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("atrion-demo: the runtime cannot be started: {e}");
            return ExitCode::from(UNUSABLE);
        }
    };
    let status = match invocation {
        Invocation::Help => {
            print!("{}", args::HELP);
            0
        }
        Invocation::Show(options) => runtime.block_on(show(options)),
        Invocation::Part(role) => runtime.block_on(part(role)),
    };
    // Standard input is read on a thread that cannot be interrupted; do not wait for it.
    runtime.shutdown_background();
    ExitCode::from(status)
}

async fn show(options: args::Options) -> u8 {
    let (asked, interrupt) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        interrupted().await;
        asked.send_replace(true);
        // The channel must not close while anybody may still wait for it.
        asked.closed().await;
    });
    let verdict = if options.cluster {
        cluster::show(&options, &interrupt).await
    } else if options.peers {
        contest::show(&options, &interrupt).await
    } else {
        conductor::show(&options, &interrupt).await
    };
    match verdict {
        Ok(Verdict::Met) => 0,
        Ok(Verdict::Missed) => 1,
        Ok(Verdict::TooBusy) => TOO_BUSY,
        Err(Stopped::Interrupted) => {
            eprintln!("\natrion-demo: interrupted; every process is stopped");
            INTERRUPTED
        }
        Err(Stopped::Failed(why)) => {
            eprintln!("atrion-demo: {why}");
            UNUSABLE
        }
    }
}

/// One of the helper processes. It ends when its standard input does, that is, with the
/// conductor, however that ends.
async fn part(role: Role) -> u8 {
    let work = async {
        match role {
            Role::Dependency { seed } => dependency::run(seed).await,
            Role::Service { seed, guard, dependency } => {
                service::run(seed, guard, dependency).await
            }
            Role::Generator => generator::run().await,
            Role::Cluster(role) => role.run().await,
        }
    };
    let ignore_interrupts = async {
        // Ctrl-C reaches the whole group; the conductor decides what it means.
        while tokio::signal::ctrl_c().await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let result = tokio::select! {
        result = work => result,
        () = ignore_interrupts => Ok(()),
    };
    match result {
        Ok(()) => 0,
        Err(why) => {
            wire::tell(&wire::Event::Trouble { why });
            UNUSABLE
        }
    }
}

/// Waits for Ctrl-C or, on Unix, for a polite request to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
