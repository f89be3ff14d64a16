//! The soak behind `cargo xtask soak`: everything that can fail fails, at random, again and again, and what
//! must hold is looked at all the time.
//!
//! Three **nodes** (processes of this program) serve requests over HTTP behind Atrion, share what they
//! know over a real Redis, remember it in a real PostgreSQL, and show it in Studio. The **driver** (what
//! the user starts) sends them requests, looks at their dashboards, is the dependency that they call,
//! and makes the faults of a [`schedule`], which is a pure function of a seed. Between two storms it
//! waits for full service, lets everything become quiet, and compares what the parts know.
//!
//! What is checked is listed in [`ledger`]. `docs/soak.md` says how to read the report.
//!
//! Exit status: 0 if everything held, 1 if something did not, 2 if it could not run, 130 if interrupted.

mod args;
mod board;
mod client;
mod dependency;
mod driver;
mod ledger;
mod load;
mod machine;
mod memory;
mod node;
mod node_process;
mod report;
mod rounds;
mod schedule;
mod stores;
mod tally;
mod viewers;
mod watch;
mod wire;

use std::hash::{BuildHasher as _, RandomState};
use std::process::ExitCode;

use crate::args::{Invocation, Options};
use crate::report::Status;

/// Exit status when it could not run.
const UNUSABLE: u8 = 2;
/// Exit status after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let invocation = match args::parse(std::env::args_os().skip(1)) {
        Ok(invocation) => invocation,
        Err(why) => {
            eprintln!("atrion-soak: {why}; --help lists the options");
            return ExitCode::from(UNUSABLE);
        }
    };
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(e) => {
                eprintln!("atrion-soak: the runtime cannot be started: {e}");
                return ExitCode::from(UNUSABLE);
            }
        };
    let status = match invocation {
        Invocation::Help => {
            print!("{}", args::HELP);
            0
        }
        Invocation::Node(options) => match runtime.block_on(node::run(options)) {
            Ok(()) => 0,
            Err(why) => {
                eprintln!("atrion-soak: {why}");
                UNUSABLE
            }
        },
        Invocation::Soak(options) => soak(&runtime, options),
    };
    // Standard input is read on a thread that cannot be interrupted; do not wait for it.
    runtime.shutdown_background();
    ExitCode::from(status)
}

fn soak(runtime: &tokio::runtime::Runtime, mut options: Options) -> u8 {
    // Different each time: the standard library's hash keys are random.
    let seed = *options.seed.get_or_insert_with(|| RandomState::new().hash_one(0_u8) >> 32);
    if options.schedule {
        print_schedule(seed, options.minutes);
        return 0;
    }
    match runtime.block_on(driver::run(&options, seed)) {
        Ok(Status::Held) => 0,
        Ok(Status::Violated) => 1,
        Ok(Status::Interrupted) => INTERRUPTED,
        Err(why) => {
            eprintln!("atrion-soak: {why}");
            UNUSABLE
        }
    }
}

/// The first storms, at most as many as fit.
fn print_schedule(seed: u64, minutes: u32) {
    println!("seed {seed}");
    for round in 0..minutes * 60_000 / schedule::STORM_MILLIS {
        println!("\nround {round}");
        for step in schedule::storm(seed, round) {
            println!("{step}");
        }
    }
}
