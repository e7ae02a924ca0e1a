//! `fumehood chaos`: transfers while modules are swapped, guests trap and the
//! engine is killed, and whether every byte still arrives as it must.
//!
//! ```text
//! plan      what is transferred, drawn from a seed
//! origin    who sends it, poisoned or not
//! versions  two of each module that is swapped
//! transfer  one of them, checked byte for byte
//! crowd     all of them, as many at once as there are connections
//! trouble   what is done to the engine meanwhile
//! claims    what must hold of it all
//! ```
//!
//! The same transfers are made twice: undisturbed, to compare with, and then
//! with everything that can go wrong going wrong.

mod claims;
mod crowd;
mod origin;
mod plan;
mod transfer;
mod trouble;
mod versions;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fumehood::policy::{PatternError, PrivateHost};
use fumehood::{Anchors, CrashReports, Engine, EngineBuilder, Limits, crashes};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::watch;

use super::args::Chaos;
use super::exit::{Exit, Failed};
use super::passing::PassingFolder;
use super::show::Show;
use claims::Evidence;
use crowd::Run;
use origin::Origin;
use plan::Item;
use versions::Versions;

/// Instances beside those of the connections: the shared one of each version
/// of `x509`, and those that take over while what they replace still stands.
const SPARE_INSTANCES: u32 = 64;

/// Memory for each connection, in bytes, so that many are no reason to refuse
/// some: two guests at twice their usual size, and buffers.
const MEMORY_PER_CONNECTION: u64 = 8 << 20;

/// Runs the command.
pub(crate) async fn run(args: &Chaos) -> ExitCode {
    let mut show = Show::new(args.json);
    match all(args, &mut show).await {
        Ok(()) => show.end(),
        Err(failed) => show.broken(&failed),
    }
}

async fn all(args: &Chaos, show: &mut Show) -> Result<(), Failed> {
    let began = Instant::now();
    allow_descriptors();
    let origin = Origin::start();
    let origin = Arc::new(origin.map_err(|e| broken(&"the command's own server", &*e))?);
    let plan: Arc<[Item]> = plan::draw(args.transfers, args.poison, args.seed).into();
    let reports = Reports::new(args.crash_reports.as_deref())?;
    let mut versions =
        Versions::new().ok_or_else(|| Failed::new(Exit::Launch, "a module is not built in"))?;
    let builder = builder(args, &origin, &reports.folder)?.modules(versions.modules());
    let engine = builder.launch().await?;
    show.title(&format!(
        "{} transfers over {} connections, seed {}",
        args.transfers, args.connections, args.seed
    ));
    let meter = Meter::new(args, "undisturbed");
    let baseline = crowd::run(
        &engine,
        &origin,
        &plan,
        args.connections,
        false,
        &meter.done,
    )
    .await;
    meter.end();
    versions
        .expose(&engine)
        .await
        .map_err(|e| broken(&"the version that traps", &e))?;
    let meter = Meter::new(args, "disturbed");
    let (disturbed, troubles): (Run, _) = tokio::join!(
        crowd::run(&engine, &origin, &plan, args.connections, true, &meter.done),
        trouble::make(
            &engine,
            &mut versions,
            plan.len(),
            (args.swaps, args.kills),
            meter.done.subscribe()
        )
    );
    meter.end();
    engine.flush_reports().await;
    let evidence = Evidence {
        plan: &plan,
        baseline: &baseline,
        disturbed: &disturbed,
        troubles: &troubles,
        wanted: (args.swaps, args.kills),
        restarts: engine.launch_report().await.restarts,
        reports: reports.count(),
    };
    for finding in claims::judge(&evidence) {
        show.finding(finding);
    }
    show.took(began.elapsed());
    Ok(())
}

/// Both ends of each connection are ours, and those of its content.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where it cannot be had, it is for many connections only that it is missed.
    let _as_it_was = setrlimit(Resource::Nofile, most);
}

fn broken(what: &dyn std::fmt::Display, why: &dyn std::fmt::Display) -> Failed {
    Failed::new(Exit::Launch, format!("{what} cannot be had: {why}"))
}

/// Trusts the command's own server and may reach it, and nothing else here.
fn builder(args: &Chaos, origin: &Origin, reports: &Path) -> Result<EngineBuilder, Failed> {
    let connections = u32::try_from(args.connections).unwrap_or(u32::MAX);
    let limits = Limits {
        max_instances: connections
            .saturating_mul(2)
            .saturating_add(SPARE_INSTANCES),
        max_exchanges: connections,
        // One origin is all there is.
        max_per_origin: connections,
        memory_bytes: Limits::default().memory_bytes
            + MEMORY_PER_CONNECTION * u64::from(connections),
        ..Limits::default()
    };
    let mut builder = Engine::builder()
        .anchors(Anchors::Der(vec![origin.anchor().clone()]))
        .limits(limits)
        .crash_reports(CrashReports::In(reports.to_owned()))
        // Never: each poisoned transfer is to meet the fault, not the first three.
        .quarantine(u32::MAX, Duration::ZERO);
    for authority in origin.authorities() {
        let host: PrivateHost = authority
            .parse()
            .map_err(|e: PatternError| broken(&authority, &e))?;
        builder = builder
            .allow_private(host)
            .map_err(|e| broken(&authority, &e))?;
    }
    Ok(args.sandbox.put_into(builder))
}

/// Where crash reports go: a folder that goes too, unless one was named.
struct Reports {
    folder: PathBuf,
    /// Ours to remove.
    _passing: Option<PassingFolder>,
}

impl Reports {
    fn new(named: Option<&Path>) -> Result<Self, Failed> {
        if let Some(folder) = named {
            return Ok(Reports {
                folder: folder.to_owned(),
                _passing: None,
            });
        }
        let passing = PassingFolder::new("chaos");
        let passing = passing.map_err(|e| broken(&"a folder for crash reports", &e))?;
        Ok(Reports {
            folder: passing.path().to_owned(),
            _passing: Some(passing),
        })
    }

    /// Those that are kept: [`crashes::MAX_FILES`] at most.
    fn count(&self) -> usize {
        crashes::list(&self.folder).map_or(0, |all| all.len())
    }
}

/// Counts what is over; on a terminal it shows.
struct Meter {
    done: watch::Sender<usize>,
    bar: ProgressBar,
}

impl Meter {
    fn new(args: &Chaos, what: &'static str) -> Self {
        let done = watch::Sender::new(0);
        let bar = ProgressBar::new(args.transfers as u64);
        bar.set_draw_target(match std::io::stderr().is_terminal() && !args.json {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        });
        // A template that does not parse would leave the plain bar.
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:32.cyan/dim} {pos} of {len} transfers, {msg}  {elapsed}",
        ) {
            bar.set_style(style);
        }
        bar.set_message(what);
        let (shown, mut counted) = (bar.clone(), done.subscribe());
        tokio::spawn(async move {
            while counted.changed().await.is_ok() {
                shown.set_position(*counted.borrow_and_update() as u64);
            }
        });
        Meter { done, bar }
    }

    fn end(self) {
        self.bar.finish_and_clear();
    }
}
