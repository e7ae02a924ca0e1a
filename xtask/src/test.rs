//! `cargo xtask test`: everything CI checks, in the order a mistake is
//! cheapest to find. Goes on after a failed step, and ends with a table and
//! the plain line `N passed, N failed`.

mod programs;
mod tally;
mod unprivileged;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::command;
use crate::guests::{self, Imports};
use crate::packages;
use crate::report;
use crate::tidy;
use crate::workspace::{Workspace, effective_user};
use tally::Tally;

/// Cranelift belongs to the compiler and to the tests of drivers. Built in one
/// go with them, the engine would be tested with features that it does not
/// ship with.
const ALL_BUT_THE_COMPILER: [&str; 7] = [
    "--workspace",
    "--exclude",
    "fumehood-compiler",
    "--exclude",
    "fumehood-tests-drivers",
    "--exclude",
    "xtask",
];
const THE_COMPILER_AND_WE: [&str; 6] = [
    "--package",
    "fumehood-compiler",
    "--package",
    "fumehood-tests-drivers",
    "--package",
    "xtask",
];

/// The tests that start real processes and real servers.
const INTEGRATION: &str = "fumehood-tests";

/// What has been done so far.
struct Run<'a> {
    workspace: &'a Workspace,
    filter: Option<&'a str>,
    steps: Vec<Step>,
}

struct Step {
    name: String,
    took: Duration,
    outcome: Result<Tally>,
}

pub(crate) fn run(workspace: &Workspace, filter: Option<&str>) -> Result<ExitCode> {
    let mut run = Run {
        workspace,
        filter,
        steps: Vec::new(),
    };
    if filter.is_none() {
        run.check("format", |workspace| {
            command::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
            let fuzzers = "--manifest-path=tests/fuzz/libfuzzer/Cargo.toml";
            command::run(workspace.cargo().args(["fmt", fuzzers, "--check"]))
        });
        run.check("tidy", tidy::check);
    }
    run.check("servers and proxies", |_| {
        packages::require_programs(&["nginx", "curl", "unbound", "nsd"])?;
        packages::require_programs(&["squid", "tinyproxy", "haproxy"])?;
        packages::require("ldns-signzone", "ldnsutils")?;
        packages::require("named", "bind9")?;
        packages::require("danted", "dante-server")
    });
    run.check("their clients", |_| {
        packages::require_programs(&["wget", "git", "npm"])?;
        packages::require("pip3", "python3-pip")?;
        packages::require("dig", "bind9-dnsutils")?;
        packages::require("ip", "iproute2")?;
        packages::require_file("/usr/lib/python3/dist-packages/socks.py", "python3-socks")
    });
    // Each by itself: not every distribution has it under this name.
    run.check("a browser", |_| packages::require_programs(&["chromium"]));
    run.check("its units", |_| {
        packages::require("systemd-analyze", "systemd")
    });
    run.check("guests", |workspace| {
        guests::build(workspace, Imports::MustMatch)
    });
    if filter.is_none() {
        run.check("clippy", clippy);
    }
    run.check("programs", build_programs);
    run.tests()?;
    if filter.is_none() {
        run.check("documentation", documentation);
    }
    Ok(run.finish())
}

impl Run<'_> {
    /// A step that passes or fails as a whole.
    fn check(&mut self, name: &str, work: impl FnOnce(&Workspace) -> Result<()>) {
        let workspace = self.workspace;
        self.step(name, || work(workspace).map(|()| Tally::default()));
    }

    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Tally>) {
        report::line("step", name);
        let started = Instant::now();
        let outcome = work();
        if let Err(error) = &outcome {
            eprintln!("error: {name}: {error:#}");
        }
        self.steps.push(Step {
            name: name.to_owned(),
            took: started.elapsed(),
            outcome,
        });
    }

    fn tests(&mut self) -> Result<()> {
        let (workspace, filter) = (self.workspace, self.filter);
        let root = effective_user()? == 0;
        let mut host = Vec::new();
        self.step("compiling tests", || {
            host = programs::build(workspace, &ALL_BUT_THE_COMPILER)?;
            Ok(Tally::default())
        });
        let (integration, unit): (Vec<_>, Vec<_>) = host
            .into_iter()
            .partition(|program| program.package == INTEGRATION);
        self.step("unit tests", || programs::run_all(&unit, filter));
        let user = if root { "root" } else { "this user" };
        self.step(&format!("integration, as {user}"), || {
            programs::run_all(&integration, filter)
        });
        if root {
            self.step("integration, as nobody", || {
                unprivileged::run_all(workspace, &integration, filter)
            });
        }
        self.step("compiler, drivers and xtask", || {
            let ours = programs::build(workspace, &THE_COMPILER_AND_WE)?;
            programs::run_all(&ours, filter)
        });
        self.step("examples in documentation", || {
            let mut cargo = workspace.cargo();
            cargo
                .args(["test", "--release", "--doc", "--no-fail-fast"])
                .args(ALL_BUT_THE_COMPILER);
            if let Some(filter) = filter {
                cargo.args(["--", filter]);
            }
            tally::run(&mut cargo)
        });
        Ok(())
    }

    /// The table, the closing line, the exit code.
    fn finish(&self) -> ExitCode {
        let mut total = Tally::default();
        let mut rows = Vec::new();
        for step in &self.steps {
            let result = match &step.outcome {
                Ok(tally) => {
                    total.add(*tally);
                    tally.to_string()
                }
                Err(_) => {
                    total.failed += 1;
                    "FAILED, see above".to_owned()
                }
            };
            rows.push(vec![step.name.clone(), report::duration(step.took), result]);
        }
        println!("\n{}", report::table(&["step", "time", "result"], &rows));
        println!("{} passed, {} failed", total.passed, total.failed);
        if total.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn clippy(workspace: &Workspace) -> Result<()> {
    command::run(workspace.cargo().args([
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))
}

/// The programs that the integration tests start.
fn build_programs(workspace: &Workspace) -> Result<()> {
    let mut cargo: Command = workspace.cargo();
    cargo
        .args(["build", "--release", "--bins"])
        .args(ALL_BUT_THE_COMPILER);
    command::run(&mut cargo)
}

fn documentation(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo
        .args(["doc", "--release", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "--deny warnings");
    command::run(&mut cargo)
}
