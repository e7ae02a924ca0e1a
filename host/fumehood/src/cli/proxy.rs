//! `fumehood proxy`: a local forward proxy, until it is told to end.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fumehood::{
    Engine, EngineBuilder, Limits, Origin, Proxy, ProxyAddress, ProxyError, ProxyOptions, Settings,
    Users,
};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::access::AccessLog;
use super::args::{ListenAt, ProxyArgs};
use super::exit::{Exit, Failed};
use super::modules::complain;
use super::service::Manager;
use super::{service, settings, way};

/// Guest instances, unless the configuration says how many: a client's
/// connection and a server's take room for two each, tunnels none.
const MAX_INSTANCES: u32 = 4096;

/// Idle connections, unless the configuration says how many: clients of all kinds ask
/// for many hosts, of which each keeps a few. An idle one gives way where a guest is
/// wanted.
const MAX_IDLE_CONNECTIONS: u32 = 512;

/// Runs the command.
pub(crate) async fn run(args: &ProxyArgs) -> ExitCode {
    match serve(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => complain(&failed),
    }
}

async fn serve(args: &ProxyArgs) -> Result<(), Failed> {
    let manager = Manager::new();
    let mut options = options(args)?;
    match service::passed()? {
        Some(passed) => {
            check_address(args, passed.address)?;
            options.address = ProxyAddress::Socket(Arc::new(passed.socket));
        }
        None => {
            if let ListenAt::Tcp(address) = &args.listen {
                check_address(args, *address)?;
            }
        }
    }
    let mut signals = Signals::new()?;
    let mut log = match &args.access_log {
        Some(path) => {
            let log = AccessLog::open(path, args.access_format);
            Some(log.map_err(|why| {
                let why = format!("the access log {} cannot be opened: {why}", path.display());
                Failed::new(Exit::Write, why)
            })?)
        }
        None => None,
    };
    let engine = builder(args)?.launch().await?;
    let mut proxy = engine.proxy(options).await?;
    if let Some(file) = &args.auth_file {
        proxy.follow_users(file.clone())?;
    }
    manager.ready(&tell(args, &proxy, engine.metrics_address())?);
    tokio::select! {
        () = signals.next() => {}
        () = manager.watch() => {}
        done = write_all(&mut proxy, &mut log) => done?,
    }
    manager.stopping();
    drain(args, &mut proxy, &mut log, &mut signals).await?;
    if proxy.lost_records() > 0 {
        let lost = proxy.lost_records();
        let why = format!("{lost} requests are not in the access log: it was too slow");
        return Err(Failed::new(Exit::Write, why));
    }
    Ok(())
}

fn check_address(args: &ProxyArgs, address: SocketAddr) -> Result<(), Failed> {
    if address.ip().is_loopback() || args.dangerously_listen_beyond_loopback {
        return Ok(());
    }
    let why = format!(
        "{address} is not an address of this machine alone: whoever reaches it may ask for all \
         that the policy allows; listen on 127.0.0.1, or pass --dangerously-listen-beyond-loopback"
    );
    Err(Failed::new(Exit::Usage, why))
}

fn builder(args: &ProxyArgs) -> Result<EngineBuilder, Failed> {
    let source = settings::source(&args.permissions);
    let settings = settings::load(&source)?;
    let mut builder = Engine::builder()
        .follow(&settings, &source, true)
        .limits(limits(&settings));
    if let Some(way_out) = way::of_proxy(&args.upstream)? {
        builder = way_out.put_into(builder);
    }
    builder = args.sandbox.put_into(builder);
    if let Some(path) = &args.admin_socket {
        builder = builder.admin_socket(path);
    }
    if let Some(address) = args.metrics_listen {
        builder = builder.metrics_listen(address);
    }
    Ok(builder)
}

/// Those of the configuration, with room for a proxy's clients.
pub(crate) fn limits(settings: &Settings) -> Limits {
    let mut limits = settings.limits();
    if settings.max_instances.origin == Origin::Default {
        limits.max_instances = MAX_INSTANCES;
    }
    if settings.max_idle_connections.origin == Origin::Default {
        limits.max_idle_connections = MAX_IDLE_CONNECTIONS;
    }
    if settings.max_connections.origin == Origin::Default {
        // Clients and the servers they are led to have as many as there are guests for.
        limits.max_connections = limits.max_connections.max(limits.max_instances / 2);
    }
    limits
}

fn options(args: &ProxyArgs) -> Result<ProxyOptions, Failed> {
    let mut options = ProxyOptions::new(match &args.listen {
        ListenAt::Tcp(address) => ProxyAddress::Bind(*address),
        ListenAt::Unix(path) => ProxyAddress::Unix(path.clone()),
    });
    if let Some(path) = &args.auth_file {
        let users = Users::read(path).map_err(|why| {
            let why = format!("{}: {why}", path.display());
            Failed::new(Exit::Configuration, why)
        })?;
        options.users = Some(Arc::new(users));
    }
    options.client = args.client.clone();
    options.via = Some(args.via.clone()).filter(|via| !via.is_empty());
    options.records = args.access_log.is_some();
    let bounds = &mut options.bounds;
    bounds.connections = args.max_connections;
    bounds.connections_per_address = args
        .max_connections_per_address
        .unwrap_or(args.max_connections);
    bounds.head_ms = args.head_timeout;
    bounds.keep_alive_ms = args.keep_alive_timeout;
    bounds.tunnel_idle_ms = args.tunnel_timeout;
    Ok(options)
}

/// Says where it listens, for people and for who waits for it.
fn tell(args: &ProxyArgs, proxy: &Proxy, metrics: Option<SocketAddr>) -> Result<String, Failed> {
    let address = match (proxy.address(), &args.listen) {
        (Some(address), _) => address.to_string(),
        (None, ListenAt::Unix(path)) => format!("unix:{}", path.display()),
        (None, ListenAt::Tcp(address)) => address.to_string(),
    };
    let line = match (args.json, metrics) {
        (true, _) => {
            let pid = std::process::id();
            json!({ "address": address, "metrics": metrics, "pid": pid }).to_string()
        }
        (false, Some(metrics)) => {
            format!("fumehood proxy listens on {address}; metrics: http://{metrics}/metrics")
        }
        (false, None) => format!("fumehood proxy listens on {address}"),
    };
    let mut stdout = io::stdout().lock();
    let told = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    told.map_err(|why| Failed::new(Exit::Write, format!("standard output: {why}")))?;
    Ok(address)
}

/// Writes the log, for as long as the proxy runs.
async fn write_all(proxy: &mut Proxy, log: &mut Option<AccessLog>) -> Result<(), Failed> {
    while let Some(records) = proxy.records().await {
        write(log, &records)?;
    }
    Ok(())
}

fn write(
    log: &mut Option<AccessLog>,
    records: &[fumehood::control::AccessRecord],
) -> Result<(), Failed> {
    match log.as_mut().map_or(Ok(()), |log| log.write(records)) {
        Ok(()) => Ok(()),
        Err(why) => {
            let why = format!(
                "the access log cannot be written, and without it nothing is served: {why}"
            );
            Err(Failed::new(Exit::Write, why))
        }
    }
}

/// Lets what is under way go on for a while.
async fn drain(
    args: &ProxyArgs,
    proxy: &mut Proxy,
    log: &mut Option<AccessLog>,
    signals: &mut Signals,
) -> Result<(), Failed> {
    let begun = proxy.begin_drain().await;
    begun.map_err(|why| Failed::new(Exit::Engine, why.to_string()))?;
    let deadline = tokio::time::sleep(Duration::from_millis(args.drain.into()));
    tokio::pin!(deadline);
    let drained = proxy.drained();
    tokio::pin!(drained);
    loop {
        tokio::select! {
            biased;
            () = signals.next() => break,
            () = &mut drained => break,
            () = &mut deadline => break,
            records = proxy.records() => {
                if let Some(records) = records {
                    write(log, &records)?;
                }
            }
        }
    }
    while let Some(records) = proxy.records_at_once() {
        write(log, &records)?;
    }
    Ok(())
}

/// What ends the command.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failed> {
        let listen =
            |kind| signal(kind).map_err(|why| Failed::new(Exit::Launch, format!("signals: {why}")));
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl From<ProxyError> for Failed {
    fn from(error: ProxyError) -> Self {
        let exit = match &error {
            ProxyError::Listen { .. } | ProxyError::Unix { .. } | ProxyError::NoAnswer => {
                Exit::Listen
            }
            ProxyError::Via(_) => Exit::Usage,
            ProxyError::Names(_) => Exit::Configuration,
            ProxyError::Launch(error) => Exit::of_launch(error),
            ProxyError::TooMany | ProxyError::NoUsers | ProxyError::Channel(_) => Exit::Engine,
        };
        Failed::new(exit, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use fumehood::SettingsSource;

    use super::*;

    fn limits_of(text: &str) -> Limits {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        let source = SettingsSource {
            file: Some(file),
            ..SettingsSource::default()
        };
        limits(&Settings::load(&source).unwrap())
    }

    #[test]
    fn a_proxy_has_room_for_clients_where_nobody_says_how_much() {
        let limits = limits_of("");
        assert_eq!(limits.max_instances, MAX_INSTANCES);
        assert_eq!(limits.max_idle_connections, MAX_IDLE_CONNECTIONS);
        assert_eq!(limits.max_connections, MAX_INSTANCES / 2);
        // Never less than anybody has.
        let few = limits_of("[limits]\ninstances = 100\n");
        assert_eq!(few.max_connections, Limits::default().max_connections);
    }

    #[test]
    fn what_is_said_of_limits_holds_for_a_proxy() {
        let text = "[limits]\ninstances = 300\nidle-connections = 5\nconnections = 9\n";
        let limits = limits_of(text);
        assert_eq!((limits.max_instances, limits.max_connections), (300, 9));
        assert_eq!(limits.max_idle_connections, 5);
    }
}
