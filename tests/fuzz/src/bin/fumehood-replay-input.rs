//! `fumehood-replay-input list`, or `TARGET FILE…`: inputs once more, natively
//! and behind glass, and what each came to. `cargo xtask fuzz` runs it on what
//! a fuzzer found. Exits with 1 when an input did not survive.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::process::ExitCode;

use fumehood_fuzz::replay::{Outcome, replay};
use fumehood_fuzz::{TARGETS, target};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [list] if list == "list" => {
            for target in &TARGETS {
                println!("{}\t{}\t{}", target.name, target.corpus, target.what);
            }
            ExitCode::SUCCESS
        }
        [name, files @ ..] if !files.is_empty() => all(name, files),
        _ => {
            eprintln!("error: type `fumehood-replay-input list`, or a target and files");
            ExitCode::from(2)
        }
    }
}

fn all(name: &str, files: &[String]) -> ExitCode {
    let Some(target) = target(name) else {
        eprintln!("error: there is no target {name}; `list` tells which there are");
        return ExitCode::from(2);
    };
    let mut code = ExitCode::SUCCESS;
    for file in files {
        match std::fs::read(file) {
            Ok(input) => {
                let outcome = replay(target, &input);
                println!("{file}\n{outcome}");
                if outcome != Outcome::Survived {
                    code = ExitCode::FAILURE;
                }
            }
            Err(error) => {
                eprintln!("error: {file}: {error}");
                code = ExitCode::from(2);
            }
        }
    }
    code
}
