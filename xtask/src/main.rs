//! Every job a developer runs: `cargo xtask COMMAND`. One file a command.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to whoever typed it"
)]

mod bench;
mod build;
mod command;
mod demo;
mod fuzz;
mod guests;
mod install;
mod packages;
mod report;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};
use workspace::Workspace;

const HELP: &str = "\
cargo xtask COMMAND

  demo [ARGS]      build everything and show what Fumehood does; start here
  build            build the guests, then target/release/fumehood
  install          build it optimised as a whole, and install it with its pages and units
      --prefix DIR   below this; /usr/local where nothing is said
      --destdir DIR  for packagers: DIR stands for / until it is unpacked
  guests           build the guests alone, into target/guests/out
      --bless        accept a changed list of imports (guest-modules/IMPORTS.txt)
  test [FILTER]    everything CI checks; with FILTER, only the tests so named
  tidy             check what no compiler checks: layout, directions, promises
  bench fetch      hold the promises of SPECIFICATION.md against curl and rustls
  bench modules    those about swaps, resumption, instances and idle connections
  bench policy     those about decisions of the policy
  bench proxy      those of the forward proxy, against haproxy and tinyproxy
  bench resolve    those about names, against a native resolver
      --json         one JSON object a case
      --only CASE    one case
  bench pac        hold the PAC evaluator against pacparser and pac-resolver;
                   options as above
  fuzz list        the fuzz targets, a line each
  fuzz TARGET      fuzz one, with nightly Rust; replay what is found behind glass
  fuzz all         fuzz each, and print what came of it
      --seconds N    for so long, each; 60 where nothing is said
      --jobs N       so many processes, each of up to 4 GiB of memory
      --cmin         drop inputs of target/fuzz/corpus that reach nothing of their own
      --minimize F   make a crashing input smaller

Tools that are missing (nginx, curl, a wasm32 toolchain) are installed where
this may be done, and named where not.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let Some((command, rest)) = args.split_first() else {
        println!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (command.as_str(), rest.as_slice()) {
        ("help" | "--help" | "-h", _) | (_, ["--help" | "-h"]) if command != "demo" => {
            println!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        ("guests", []) => guests::run(&Workspace::find()?, guests::Imports::MustMatch),
        ("guests", ["--bless"]) => guests::run(&Workspace::find()?, guests::Imports::Bless),
        ("install", options) => install::run(&Workspace::find()?, options),
        ("build", []) => build::run(&Workspace::find()?),
        ("demo", args) => demo::run(&Workspace::find()?, args),
        ("test", []) => test::run(&Workspace::find()?, None),
        ("test", [filter]) if !filter.starts_with('-') => {
            test::run(&Workspace::find()?, Some(filter))
        }
        ("tidy", []) => tidy::run(&Workspace::find()?),
        ("bench", ["fetch", options @ ..]) => {
            bench::run(&Workspace::find()?, bench::Bench::Fetch, options)
        }
        ("bench", ["modules", options @ ..]) => {
            bench::run(&Workspace::find()?, bench::Bench::Modules, options)
        }
        ("bench", ["policy", options @ ..]) => {
            bench::run(&Workspace::find()?, bench::Bench::Policy, options)
        }
        ("bench", ["proxy", options @ ..]) => {
            bench::run(&Workspace::find()?, bench::Bench::Proxy, options)
        }
        ("bench", ["resolve", options @ ..]) => {
            bench::run(&Workspace::find()?, bench::Bench::Resolve, options)
        }
        ("fuzz", words) => fuzz::run(&Workspace::find()?, words),
        ("bench", ["pac", options @ ..]) => bench::pac::run(&Workspace::find()?, options),
        _ => bail!(
            "`cargo xtask {}` is not a command; `cargo xtask` alone lists them",
            args.join(" ")
        ),
    }
}
