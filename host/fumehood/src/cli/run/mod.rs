//! `fumehood run`: a command whose one way out is the proxy.

mod denied;
mod environment;
mod signals;

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use fumehood::control::{AccessRecord, Layer, LayerReport, LayerState};
use fumehood::policy::{Mode, Policy};
use fumehood::{
    Confined, ConfinedError, Engine, Entered, NameOptions, Proxy, ProxyAddress, ProxyOptions,
    Settings,
};
use tokio::process::Child;

use super::args::Run;
use super::escape::for_terminal;
use super::exit::{Exit, Failed};
use super::{proxy, settings};
use denied::Denied;
use environment::Environment;
use signals::Signals;

/// How the command ends when it could not run the program, as `env` and
/// `timeout` do: apart from what most programs end with.
const FAILED: u8 = 125;

/// The program is there and cannot be executed; as in a shell.
const NOT_EXECUTABLE: u8 = 126;

/// There is no such program; as in a shell.
const NOT_FOUND: u8 = 127;

/// What a signal's number is added to; as in a shell.
const SIGNALLED: u8 = 128;

/// How long connections that outlive the program may take to end, before what
/// was denied on them goes untold. Only what it left running has any.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

/// What `--help` says of exit codes.
pub(crate) const EXIT_CODES: &str = "\
Exit codes: the command's own; 128 and the signal's number where one ended it;
    2  the command line cannot be understood
  125  it was not run: no namespaces, no engine, a bad configuration
  126  it cannot be executed
  127  there is no such command";

/// Runs the command.
pub(crate) async fn run(args: &Run) -> ExitCode {
    match confined(args).await {
        Ok(code) => ExitCode::from(code),
        Err(failed) => {
            say(&failed.message);
            ExitCode::from(FAILED)
        }
    }
}

async fn confined(args: &Run) -> Result<u8, Failed> {
    let source = settings::source(&args.permissions);
    let settings = settings::load(&source)?;
    let policy = policy(args, &settings)?;
    let authorities = args.cacert.as_deref().map(absolute).transpose()?;
    let environment = Environment::of(authorities.as_deref(), policy.private_hosts(), |name| {
        std::env::var_os(name)
    });
    // The network first: without one there is nothing to run.
    let entered = program(args, &environment).enter().await?;
    warn_of_mounts(entered.layers());
    if args.verbose {
        tell(args, &environment, &entered, &policy);
    }
    let mut signals = Signals::listen().map_err(|e| Failed::new(Exit::Launch, e.to_string()))?;
    let engine = engine(args, &settings, policy).await?;
    let mut serving = Serving {
        requests: engine.proxy(options(args, &entered)).await?,
        names: engine.serve_names(name_options(args, &entered)).await?,
    };
    let child = match entered.run().await {
        Ok(child) => child,
        Err(ConfinedError::NotExecuted { program, source }) => {
            say(&format!("{program} cannot be executed: {source}"));
            return Ok(match source.kind() {
                std::io::ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_EXECUTABLE,
            });
        }
        Err(error) => return Err(Failed::new(Exit::Launch, error.to_string())),
    };
    let mut denied = Denied::default();
    let status = attend(child, &mut serving, &mut signals, &mut denied).await?;
    hear_out(&mut serving, &mut denied).await;
    engine.flush_reports().await;
    let code = code(status);
    if !args.quiet {
        // A standard error that is closed changes nothing.
        let _unheard = std::io::stderr()
            .lock()
            .write_all(denied.summary().as_bytes());
    }
    if let Some(path) = &args.json {
        write_report(path, &denied, code)?;
    }
    Ok(code)
}

/// What is allowed: by flags and by the configuration's rules, and nothing
/// else. A configuration without rules allows the whole web to `fetch`; a
/// program that is run is not given that unasked.
fn policy(args: &Run, settings: &Settings) -> Result<Policy, Failed> {
    let full = |e: fumehood::policy::TooManyRules| Failed::new(Exit::Configuration, e.to_string());
    let mut policy = Policy::deny_by_default();
    for rule in settings.policy.rules().iter().chain(&args.allow) {
        policy.add_rule(rule.clone()).map_err(full)?;
    }
    for host in settings.policy.private_hosts() {
        policy.allow_private(host.clone()).map_err(full)?;
    }
    let (rules, addresses) = settings.policy.modes();
    policy.set_modes(rules, addresses);
    if let Some(file) = &settings.file {
        policy.set_file(file.display().to_string());
    }
    Ok(policy)
}

/// The program may change its directory.
fn absolute(path: &Path) -> Result<PathBuf, Failed> {
    let found = std::fs::canonicalize(path);
    found.map_err(|e| Failed::new(Exit::Anchors, format!("{}: {e}", path.display())))
}

fn program(args: &Run, environment: &Environment) -> Confined {
    let mut words = args.command.iter().cloned();
    Confined {
        // The command line has one at least.
        program: words.next().unwrap_or_default(),
        arguments: words.collect(),
        variables: environment.variables().to_vec(),
        unix_sockets: args.unix_sockets,
    }
}

async fn engine(args: &Run, settings: &Settings, policy: Policy) -> Result<Engine, Failed> {
    let mut builder = Engine::builder()
        .policy(policy)
        .deadlines(settings.deadlines())
        .tls(settings.tls())
        .dns(settings.dns())
        .guest_preferences(settings.guest_preferences())
        .limits(proxy::limits(settings))
        .module_settings(&settings.modules);
    if let Some(proxies) = &settings.proxies.value {
        builder = builder.proxy_settings(proxies.clone());
    }
    Ok(args.sandbox.put_into(builder).launch().await?)
}

fn options(args: &Run, entered: &Entered) -> ProxyOptions {
    ProxyOptions {
        client: args.client.clone(),
        records: true,
        ..ProxyOptions::new(ProxyAddress::Socket(entered.proxy()))
    }
}

fn name_options(args: &Run, entered: &Entered) -> NameOptions {
    NameOptions {
        sockets: entered.names(),
        client: args.client.clone(),
        records: true,
    }
}

/// What serves the program.
struct Serving {
    requests: Proxy,
    names: Proxy,
}

impl Serving {
    /// Of either, the next records; none when it will tell of nothing more.
    async fn records(&mut self) -> Option<Vec<AccessRecord>> {
        tokio::select! {
            records = self.requests.records() => records,
            records = self.names.records() => records,
        }
    }
}

/// Waits for the program, hears of its requests and passes signals on to it.
async fn attend(
    mut child: Child,
    serving: &mut Serving,
    signals: &mut Signals,
    denied: &mut Denied,
) -> Result<ExitStatus, Failed> {
    let mut told = true;
    loop {
        let pid = child.id();
        tokio::select! {
            ended = child.wait() => {
                return ended.map_err(|e| Failed::new(Exit::Engine, e.to_string()));
            }
            records = serving.records(), if told => match records {
                Some(records) => records.iter().for_each(|it| denied.hear(it)),
                None => told = false,
            },
            signal = signals.next() => signals::pass_on(signal, pid),
        }
    }
}

/// The program is over; some of its requests may be so only now.
async fn hear_out(serving: &mut Serving, denied: &mut Denied) {
    let Serving { requests, names } = serving;
    let drained = async |proxy: &Proxy| {
        if proxy.begin_drain().await.is_ok() {
            proxy.drained().await;
        }
    };
    let both = async { tokio::join!(drained(requests), drained(names)) };
    let _late = tokio::time::timeout(LAST_WORDS_WITHIN, both).await;
    for proxy in [requests, names] {
        while let Some(records) = proxy.records_at_once() {
            records.iter().for_each(|it| denied.hear(it));
        }
        denied.lost(proxy.lost_records());
    }
}

fn code(status: ExitStatus) -> u8 {
    let signal = || {
        let number = status.signal().and_then(|it| u8::try_from(it).ok());
        SIGNALLED.saturating_add(number.unwrap_or(0))
    };
    let code = status.code().and_then(|it| u8::try_from(it).ok());
    code.unwrap_or_else(signal)
}

/// What holds, and what is overridden.
fn tell(args: &Run, environment: &Environment, entered: &Entered, policy: &Policy) {
    for report in entered.layers() {
        match &report.state {
            LayerState::Holds(detail) => say(&format!("{}: {detail}", report.layer.name())),
            // It was told of already.
            LayerState::Missing { .. } if report.layer == Layer::MountNamespace => {}
            LayerState::Missing { syscall, .. } => say(&format!(
                "{} is missing ({syscall}); the user namespace keeps other processes closed",
                report.layer.name()
            )),
            LayerState::NotUsed => {}
        }
    }
    for (name, value) in environment.overridden() {
        say(&format!("{name} was {value:?}; in there it is the proxy"));
    }
    if args.unix_sockets {
        say("Unix sockets are allowed: what listens on one outside can be asked for anything");
    }
    if policy.modes().0 == Mode::Report {
        say("policy.mode is \"report\": what rules deny is told of, and let through");
    }
}

/// Without mounts of its own the program reads this machine's `resolv.conf`, and
/// asks where nobody answers.
fn warn_of_mounts(layers: &[LayerReport]) {
    let mut mounts = layers.iter().filter(|it| it.layer == Layer::MountNamespace);
    if let Some(LayerState::Missing { syscall, errno }) = mounts.next().map(|it| &it.state) {
        let why = match errno {
            0 => "it had no effect".to_owned(),
            errno => std::io::Error::from_raw_os_error(*errno).to_string(),
        };
        say(&format!(
            "programs resolve no names by themselves in there, since nothing can be mounted \
             ({syscall}: {why}); what uses the proxy is not affected"
        ));
    }
}

fn write_report(path: &Path, denied: &Denied, code: u8) -> Result<(), Failed> {
    let text = format!("{}\n", denied.report(code));
    let written = std::fs::write(path, text);
    written.map_err(|e| Failed::new(Exit::Write, format!("{}: {e}", path.display())))
}

fn say(message: &str) {
    let text = for_terminal(message.as_bytes());
    // A standard error that is closed changes nothing.
    let _unheard = writeln!(std::io::stderr().lock(), "fumehood: {text}");
}
