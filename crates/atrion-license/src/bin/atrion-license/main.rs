//! The vendor's tool: makes key pairs, issues, inspects and verifies licence keys, and makes
//! development keys for anybody.

mod args;
mod commands;

use std::process::ExitCode;

use crate::args::Command;

fn main() -> ExitCode {
    let command = match args::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(why) => {
            eprintln!("atrion-license: {why}; `atrion-license help` lists the commands");
            return ExitCode::from(2);
        }
    };
    let done = match command {
        Command::Help => {
            print!("{}", args::HELP);
            Ok(true)
        }
        Command::Keygen { out, id } => commands::keygen(&out, id),
        Command::Issue(args) => commands::issue(&args),
        Command::Dev { days, licensee } => commands::dev(days, &licensee),
        Command::Inspect(input) => commands::inspect(&input),
        Command::Verify { input, keys } => commands::verify(&input, keys.as_deref()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("atrion-license: {why}");
            ExitCode::FAILURE
        }
    }
}
