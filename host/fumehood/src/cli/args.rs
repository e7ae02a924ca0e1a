//! The command line.

mod fetch;
mod way_out;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use fumehood::control::{Layer, RecordType};
use fumehood::policy::{ClientName, Effect, HostPattern, Method, PatternError, PrivateHost, Rule};
use fumehood::{DnsServer, EngineBuilder, ModuleKey};

use super::exit;
use fetch::seconds;
pub(crate) use fetch::{Fetch, Request, Transfer, Way};
pub(crate) use way_out::{Chosen, From, Told, Upstream};

/// A network process: whatever comes off the wire is parsed behind glass.
#[derive(Debug, Parser)]
#[command(name = "fumehood", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fetch URLs, with curl's habits
    #[command(after_help = exit::table())]
    Fetch(Box<Fetch>),
    /// Serve programs as a local forward proxy, each request judged by the policy
    Proxy(Box<ProxyArgs>),
    /// List, check, load and swap the guests, of a running engine too
    Modules(Modules),
    /// Show what may be reached and why, and check what would become of a request
    Policy(PolicyArgs),
    /// Resolve a name with the engine's own resolver
    #[command(after_help = exit::table())]
    Resolve(Resolve),
    /// Run a proxy auto-configuration script, or tell what is wrong with it
    Pac(super::pac::args::PacArgs),
    /// Tell how a running engine is
    Status(StatusArgs),
    /// Show how guests ended
    Crashes(Crashes),
    /// Run a command whose one way out is our proxy, which allows what is named
    #[command(after_help = super::run::EXIT_CODES)]
    Run(Run),
    /// Make a line of the file that `fumehood proxy --auth-file` takes; the password
    /// is a line of standard input
    Password {
        /// The user's
        name: ClientName,
    },
    /// Print what makes a shell complete this command
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// Where to
        #[arg(value_name = "DIRECTORY")]
        directory: PathBuf,
    },
    /// Tell which layers of the sandbox this machine can give, and what to do about the rest
    Doctor(Doctor),
    /// Show, measured, what the sandbox is worth; takes under a minute
    #[cfg(feature = "demo")]
    Demo(Demo),
    /// Transfer while modules are swapped, guests trap and the engine is killed,
    /// and tell whether every byte still arrived
    #[cfg(feature = "demo")]
    Chaos(Chaos),
    /// Try every known way around the policy, on a network of its own, and tell
    /// what came through
    #[cfg(feature = "demo")]
    #[command(
        after_help = "Exit code: 0 if nothing came through, 1 if something did or if what \
                            is allowed did not arrive, and else as of `fumehood fetch`."
    )]
    Prove(Prove),
}

/// What `proxy` takes.
#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// Listen there; port 0 is any. A Unix socket is for this user alone
    #[arg(long, value_name = "ADDRESS:PORT|unix:PATH", default_value = "127.0.0.1:3128", value_parser = listen_at)]
    pub(crate) listen: ListenAt,
    /// Let --listen name an address that others can reach: whoever does may ask
    /// for all that the policy allows
    #[arg(long)]
    pub(crate) dangerously_listen_beyond_loopback: bool,
    /// Serve users alone who say their name and password, as FILE has them: a line
    /// of `fumehood password NAME` each. Rules about clients know them by their names
    #[arg(long, value_name = "FILE", conflicts_with = "client")]
    pub(crate) auth_file: Option<PathBuf>,
    /// Append a line a request to FILE, "-" for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) access_log: Option<PathBuf>,
    /// What a line is
    #[arg(long, value_enum, default_value_t = AccessFormat::Json, requires = "access_log")]
    pub(crate) access_format: AccessFormat,
    /// Let what is under way go on for so long after SIGTERM or SIGINT; a second
    /// one ends it
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) drain: u32,
    /// Most connections at once, tunnels among them; more wait
    #[arg(long, value_name = "N", default_value_t = 6000, value_parser = clap::value_parser!(u32).range(1..=8000))]
    pub(crate) max_connections: u32,
    /// Most of them from one address; more are closed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8000))]
    pub(crate) max_connections_per_address: Option<u32>,
    /// Most time a request's head may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) head_timeout: u32,
    /// Most time between two requests, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub(crate) keep_alive_timeout: u32,
    /// Most time a tunnel may say nothing, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    pub(crate) tunnel_timeout: u32,
    /// The name in Via fields; "" adds none
    #[arg(long, value_name = "NAME", default_value = "fumehood")]
    pub(crate) via: String,
    /// What rules about clients know this proxy's by
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Option<ClientName>,
    #[command(flatten)]
    pub(crate) upstream: Upstream,
    #[command(flatten)]
    pub(crate) permissions: Permissions,
    #[command(flatten)]
    pub(crate) sandbox: MissingLayers,
    /// Listen there for `fumehood modules --socket`, `fumehood status` and the like
    #[arg(long, value_name = "PATH")]
    pub(crate) admin_socket: Option<PathBuf>,
    /// Tell metrics there, at http://ADDRESS:PORT/metrics, to every program of this
    /// machine that asks; port 0 is any. Loopback addresses alone are taken
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = on_loopback)]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Tell the address in one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the proxy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListenAt {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

fn listen_at(text: &str) -> Result<ListenAt, String> {
    match text.strip_prefix("unix:") {
        Some("") => Err("the path of the Unix socket is missing".to_owned()),
        Some(path) => Ok(ListenAt::Unix(path.into())),
        None => text
            .parse()
            .map(ListenAt::Tcp)
            .map_err(|_| "this is neither ADDRESS:PORT nor unix:PATH".to_owned()),
    }
}

fn on_loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "this is no ADDRESS:PORT".to_owned())?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err(fumehood::LaunchError::MetricsBeyondLoopback(address).to_string()),
    }
}

/// What a line of the access log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AccessFormat {
    /// One JSON object
    Json,
    /// The Common Log Format
    Common,
}

/// What `policy` takes.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub(crate) action: PolicyAction,
}

/// What is done with the policy.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyAction {
    /// Tell whether requests would be made; one line a URL, and fetch's exit code
    Check(Box<Asked>),
    /// Tell why, step by step: rule, addresses, and what a client would see
    Explain(Box<Asked>),
    /// Show the policy and the preferences that hold, each with its origin
    Show(Show),
    /// Take back a grant of a running engine (see `fumehood status`)
    Revoke {
        /// Its number
        grant: u64,
        /// The admin socket of a running engine
        #[arg(long, value_name = "PATH")]
        socket: PathBuf,
    },
    /// Have a running engine read its configuration again
    Reload {
        /// The admin socket of a running engine (see `fumehood fetch --admin-socket`)
        #[arg(long, value_name = "PATH")]
        socket: PathBuf,
        /// Print one JSON object instead of text
        #[arg(long)]
        json: bool,
    },
}

/// A request that is asked about.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// Of the request; udp://HOST:PORT for datagrams of a proxy's client
    #[arg(required = true, value_name = "URL")]
    pub(crate) urls: Vec<String>,
    /// Its method
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    pub(crate) method: Method,
    /// Who asks, for rules about clients
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Option<ClientName>,
    /// Who looks the addresses up
    #[arg(long, value_enum, default_value_t = Resolving::Broker)]
    pub(crate) resolve: Resolving,
    #[command(flatten)]
    pub(crate) permissions: Permissions,
    #[command(flatten)]
    pub(crate) sandbox: MissingLayers,
    /// Print one JSON object a URL instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who looks addresses up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Resolving {
    /// A broker, as for a request; with dns.mode = "guest" the engine's own resolver
    Broker,
    /// Nobody: only what is known without them is told
    None,
}

/// What `policy show` takes.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) permissions: Permissions,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the configuration allows, and more.
#[derive(Debug, Args)]
pub(crate) struct Permissions {
    #[command(flatten)]
    pub(crate) configuration: Configuration,
    /// Let a host be reached whose address is not public
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allow_private: Vec<PrivateHost>,
}

/// Layers of the sandbox that may be missing.
#[derive(Debug, Args)]
pub(crate) struct MissingLayers {
    /// Go on without this layer of the engine's sandbox (see `fumehood doctor`)
    #[arg(long, value_name = "LAYER", value_parser = layer)]
    pub(crate) allow_missing_layer: Vec<Layer>,
}

impl MissingLayers {
    /// Has an engine go on without them.
    pub(crate) fn put_into(&self, builder: EngineBuilder) -> EngineBuilder {
        let missing = self.allow_missing_layer.iter();
        missing.fold(builder, |builder, layer| builder.allow_missing(*layer))
    }

    /// The same for a command that is run.
    pub(crate) fn add_to(&self, command: &mut tokio::process::Command) {
        for layer in &self.allow_missing_layer {
            command.args(["--allow-missing-layer", layer.name()]);
        }
    }
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct Configuration {
    /// Go by this configuration [default: $FUMEHOOD_CONFIG, or that of the user]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// What `resolve` takes.
#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// The name; with a dot at its end no search domain is tried. Of an address, the name it has
    pub(crate) name: String,
    /// Which records: A, AAAA, CAA, CNAME, DNSKEY, DS, HTTPS, MX, NS, PTR,
    /// SOA, SRV, SVCB, TXT
    /// [default: addresses of both families]
    #[arg(value_name = "TYPE", value_parser = record_type)]
    pub(crate) record_type: Option<RecordType>,
    /// Ask this server and not those of the configuration or of resolv.conf:
    /// 9.9.9.9, [::1]:5353, tls://dns.quad9.net#9.9.9.9,
    /// https://dns.quad9.net/dns-query#9.9.9.9
    #[arg(long, value_name = "SERVER")]
    pub(crate) server: Vec<DnsServer>,
    /// Tell each step on standard error
    #[arg(long)]
    pub(crate) trace: bool,
    /// Validate with DNSSEC, and answer nothing that is bogus
    #[arg(long)]
    pub(crate) dnssec: bool,
    /// Answer private addresses too (see dns.private-answers)
    #[arg(long)]
    pub(crate) private_answers: bool,
    /// Most time it may take, in seconds
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds, default_value = "30")]
    pub(crate) max_time: u32,
    /// Trust the certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) configuration: Configuration,
    #[command(flatten)]
    pub(crate) sandbox: MissingLayers,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `status` takes.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The admin socket of a running engine (see `fumehood fetch --admin-socket`)
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long, conflicts_with = "metrics")]
    pub(crate) json: bool,
    /// Print metrics as Prometheus reads them
    #[arg(long)]
    pub(crate) metrics: bool,
}

/// What `modules` takes.
#[derive(Debug, Args)]
pub(crate) struct Modules {
    #[command(subcommand)]
    pub(crate) action: ModulesAction,
}

/// What is done with modules.
#[derive(Debug, Subcommand)]
pub(crate) enum ModulesAction {
    /// List versions: of a running engine, or else built in and in the module directory
    List(Reach),
    /// Show what a module may do, and how it fares
    Inspect {
        /// Such as http1
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Load FILE into a running engine as a candidate
    Load {
        #[command(flatten)]
        file: ModuleFile,
        #[command(flatten)]
        reach: Reach,
    },
    /// Make a version current
    Swap {
        /// Such as http1
        name: String,
        /// What its digest begins with, 4 digits at least
        digest: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Make the version before current again
    Rollback {
        /// Such as http1
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Check FILE's signature and compile it, without loading it
    Verify {
        #[command(flatten)]
        file: ModuleFile,
        /// Trust signatures of this ed25519 key (64 hexadecimal digits) alone, and not
        /// what the configuration says
        #[arg(long, value_name = "KEY")]
        key: Vec<ModuleKey>,
        /// Print what a signature is made over, and do nothing else
        #[arg(long, conflicts_with_all = ["key", "json", "socket"])]
        statement: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Make the calls of a recording again, in a sandboxed child
    Replay {
        /// As `fumehood crashes show` names it
        trail: PathBuf,
        /// The module, where it is not built in
        #[arg(long, value_name = "FILE")]
        module: Option<PathBuf>,
        /// Print one JSON object instead of text
        #[arg(long)]
        json: bool,
    },
}

/// Which engine, and how to answer.
#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// The admin socket of a running engine (see `fumehood fetch --admin-socket`)
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// The module directory, where there is no socket [default: that of the
    /// configuration, or else of the user]
    #[arg(long, value_name = "DIR", conflicts_with = "socket")]
    pub(crate) directory: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// A module's file.
#[derive(Debug, Args)]
pub(crate) struct ModuleFile {
    /// A component, named NAME@VERSION.wasm
    pub(crate) file: PathBuf,
    /// The module's name, where the file's does not say it
    #[arg(long, requires = "version")]
    pub(crate) name: Option<String>,
    /// Its version, likewise
    #[arg(long, requires = "name")]
    pub(crate) version: Option<String>,
}

/// What `crashes` takes.
#[derive(Debug, Args)]
pub(crate) struct Crashes {
    #[command(subcommand)]
    pub(crate) action: CrashesAction,
    /// The directory of reports [default: that of the user]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) directory: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What is done with crash reports.
#[derive(Debug, Subcommand)]
pub(crate) enum CrashesAction {
    /// List reports, oldest first
    List,
    /// Show one report
    Show {
        /// Its name, or what only its name begins with
        id: String,
    },
}

/// What `run` takes.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Let this be reached, besides what rules of the configuration allow; `*`
    /// for every public address, `*.example.com` for what is under it
    #[arg(long, value_name = "HOST[:PORT]", value_parser = allowed)]
    pub(crate) allow: Vec<Rule>,
    #[command(flatten)]
    pub(crate) permissions: Permissions,
    /// Who asks, for rules about clients
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Option<ClientName>,
    /// Have the command trust the certificates in this PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Let it make Unix sockets: whatever listens on one (D-Bus, Docker) can
    /// then be asked for what the command itself may not do
    #[arg(long)]
    pub(crate) unix_sockets: bool,
    #[command(flatten)]
    pub(crate) sandbox: MissingLayers,
    /// Do not tell what was denied
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Tell what holds and which variables are overridden
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Write what was denied there, as one JSON object
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// What to run, with its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD"
    )]
    pub(crate) command: Vec<OsString>,
}

/// What `doctor` takes.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `demo` takes.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Size of the large download, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub(crate) mebibytes: u64,
    #[command(flatten)]
    pub(crate) sandbox: MissingLayers,
}

/// What `chaos` takes.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct Chaos {
    /// How many transfers, each made twice: undisturbed to compare with, then disturbed
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = count(1, 1_000_000))]
    pub(crate) transfers: usize,
    /// How many at once, each over a connection
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count(1, 256))]
    pub(crate) connections: usize,
    /// Poison one response in N; 0 for none
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = count(0, 1_000_000))]
    pub(crate) poison: usize,
    /// How often http1 and tls are swapped, each
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = count(0, 1000))]
    pub(crate) swaps: usize,
    /// How often the engine is killed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count(0, 100))]
    pub(crate) kills: usize,
    /// What the transfers are drawn from
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Put crash reports there, to look at them afterwards
    #[arg(long, value_name = "DIR")]
    pub(crate) crash_reports: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) sandbox: MissingLayers,
}

/// What `prove` takes.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// Try only this case, and the controls; may be given again
    #[arg(long, value_name = "CASE")]
    pub(crate) only: Vec<String>,
    /// Try another proxy instead, that listens there once COMMAND is started
    #[arg(long, value_name = "http://ADDRESS:PORT", value_parser = proxy_address, requires = "command")]
    pub(crate) target: Option<SocketAddr>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) sandbox: MissingLayers,
    /// Starts the other proxy, in the foreground
    #[arg(last = true, requires = "target")]
    pub(crate) command: Vec<OsString>,
}

/// A number within these bounds.
#[cfg(feature = "demo")]
fn count(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let count = text.parse().ok().filter(|n| (least..=most).contains(n));
        count.ok_or_else(|| format!("not a number from {least} to {most}"))
    }
}

/// A rule that allows a host, on a port or on all.
fn allowed(text: &str) -> Result<Rule, PatternError> {
    if text == "*" {
        return Ok(Rule::new(Effect::Allow, HostPattern::Any));
    }
    let PrivateHost { host, port } = text.parse()?;
    let mut rule = Rule::new(Effect::Allow, host);
    if let Some(port) = port {
        rule.ports = port..=port;
    }
    Ok(rule)
}

/// `http://127.0.0.1:3128`
#[cfg(feature = "demo")]
fn proxy_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.strip_prefix("http://").unwrap_or(text);
    let address = address.strip_suffix('/').unwrap_or(address).parse();
    address.map_err(|_| "not an address with a port, such as http://127.0.0.1:3128".to_owned())
}

fn record_type(text: &str) -> Result<RecordType, String> {
    let mut all = RecordType::ALL.into_iter();
    let found = all.find(|it| it.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        format!(
            "not one of {}",
            RecordType::ALL.map(RecordType::name).join(", ")
        )
    })
}

pub(crate) fn layer(text: &str) -> Result<Layer, String> {
    let found = Layer::ALL.into_iter().find(|layer| layer.name() == text);
    let layer = found.ok_or_else(|| {
        format!(
            "not a layer; there are {}",
            Layer::ALL.map(Layer::name).join(", ")
        )
    })?;
    if Layer::FLOOR.contains(&layer) {
        return Err("no process runs without it".to_owned());
    }
    Ok(layer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_run_keeps_its_flags() {
        let line = [
            "fumehood",
            "run",
            "--allow",
            "a.test:443",
            "ls",
            "--allow",
            "-v",
        ];
        let Command::Run(run) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        assert_eq!(run.command, ["ls", "--allow", "-v"]);
        assert_eq!(run.allow.len(), 1);
        assert_eq!(run.allow[0].ports, 443..=443);
        assert!(!run.verbose);
        assert_eq!(allowed("*").unwrap().host, HostPattern::Any);
        assert!(allowed("*:443").is_err());
        assert!(allowed("a b").is_err());
    }

    #[test]
    fn a_proxy_is_for_this_machine_unless_it_is_said() {
        let line = ["fumehood", "proxy"];
        let Command::Proxy(proxy) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        let own = SocketAddr::from(([127, 0, 0, 1], 3128));
        assert_eq!(proxy.listen, ListenAt::Tcp(own));
        assert!(!proxy.dangerously_listen_beyond_loopback);
    }

    #[test]
    fn the_floor_cannot_be_given_up() {
        assert!(layer("seccomp").is_err());
        assert_eq!(layer("landlock"), Ok(Layer::Landlock));
    }
}
