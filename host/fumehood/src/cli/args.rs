//! The command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use fumehood::ModuleKey;
use fumehood::control::{Layer, TlsVersion};
use fumehood::policy::{ClientName, Method, PrivateHost};

use super::exit;

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
    /// Run a proxy auto-configuration script, or tell what is wrong with it
    Pac(super::pac::args::PacArgs),
    /// Tell how a running engine is
    Status(StatusArgs),
    /// Show how guests ended
    Crashes(Crashes),
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
}

/// What `proxy` takes.
#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// Listen there; port 0 is any
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3128")]
    pub(crate) listen: SocketAddr,
    /// Let --listen name an address that others can reach: whoever does may ask
    /// for all that the policy allows
    #[arg(long)]
    pub(crate) dangerously_listen_beyond_loopback: bool,
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
    pub(crate) configuration: Configuration,
    /// Let a host be reached whose address is not public
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allow_private: Vec<PrivateHost>,
    /// Go on without this layer of the sandbox (see `fumehood doctor`)
    #[arg(long, value_name = "LAYER", value_parser = layer)]
    pub(crate) allow_missing_layer: Vec<Layer>,
    /// Listen there for `fumehood modules --socket`, `fumehood status` and the like
    #[arg(long, value_name = "PATH")]
    pub(crate) admin_socket: Option<PathBuf>,
    /// Tell the address in one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
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
    /// Of the request
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
    pub(crate) configuration: Configuration,
    /// Let a host be reached whose address is not public
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allow_private: Vec<PrivateHost>,
    /// Go on without this layer of the sandbox (see `fumehood doctor`)
    #[arg(long, value_name = "LAYER", value_parser = layer)]
    pub(crate) allow_missing_layer: Vec<Layer>,
    /// Print one JSON object a URL instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who looks addresses up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Resolving {
    /// A broker, as for a request
    Broker,
    /// Nobody: only what is known without them is told
    None,
}

/// What `policy show` takes.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) configuration: Configuration,
    /// Let a host be reached whose address is not public
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allow_private: Vec<PrivateHost>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct Configuration {
    /// Go by this configuration [default: $FUMEHOOD_CONFIG, or that of the user]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
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
        /// Trust signatures of this ed25519 key (64 hexadecimal digits) alone
        #[arg(long, value_name = "KEY", value_parser = module_key)]
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
    /// The module directory, where there is no socket [default: that of the user]
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
    /// Go on without this layer of the sandbox
    #[arg(long, value_name = "LAYER", value_parser = layer)]
    pub(crate) allow_missing_layer: Vec<Layer>,
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
    /// Go on without this layer of the sandbox
    #[arg(long, value_name = "LAYER", value_parser = layer)]
    pub(crate) allow_missing_layer: Vec<Layer>,
}

/// What `fetch` takes.
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// What to fetch; several share one engine and its connections
    #[arg(required = true, value_name = "URL")]
    pub(crate) urls: Vec<String>,

    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) request: Request,
    #[command(flatten)]
    pub(crate) transfer: Transfer,
    #[command(flatten)]
    pub(crate) trust: Trust,
    #[command(flatten)]
    pub(crate) guests: Guests,
}

/// What becomes of the guests.
#[derive(Debug, Args)]
#[command(next_help_heading = "Guests")]
pub(crate) struct Guests {
    /// Listen there for `fumehood modules --socket` while it lasts
    #[arg(long, value_name = "PATH")]
    pub(crate) admin_socket: Option<PathBuf>,
    /// Load the modules in this directory, and what is put there meanwhile
    #[arg(long, value_name = "DIR")]
    pub(crate) module_directory: Option<PathBuf>,
    /// Make what is put there current, and not just a candidate
    #[arg(long, requires = "module_directory")]
    pub(crate) swap_on_change: bool,
    /// Take only modules signed by this ed25519 key (64 hexadecimal digits)
    #[arg(long, value_name = "KEY", value_parser = module_key)]
    pub(crate) module_key: Vec<ModuleKey>,
    /// Put crash reports there [default: the user's state directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) crash_reports: Option<PathBuf>,
    /// Keep what guests are called with beside the report of their crash; it
    /// holds what the server sent
    #[arg(long)]
    pub(crate) record: bool,
}

/// Where things go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// Write content to FILE, "-" for standard output; once for each URL
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,
    /// Write content to a file named as the URL's last segment
    #[arg(short = 'O', long, conflicts_with = "output")]
    pub(crate) remote_name: bool,
    /// Create missing folders of output files
    #[arg(long)]
    pub(crate) create_dirs: bool,
    /// Write the response's head before its content
    #[arg(short, long)]
    pub(crate) include: bool,
    /// Resume: "-" from the size of the output file, or from a byte offset
    #[arg(short = 'C', long, value_name = "OFFSET", conflicts_with_all = ["include", "head"], allow_hyphen_values = true)]
    pub(crate) continue_at: Option<String>,
    /// No progress, no errors
    #[arg(short, long)]
    pub(crate) silent: bool,
    /// Errors even with --silent
    #[arg(short = 'S', long)]
    pub(crate) show_error: bool,
    /// No progress bar
    #[arg(long)]
    pub(crate) no_progress: bool,
    /// Tell the journey on standard error: policy, addresses, guests, TLS, heads
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// One JSON object a transfer, on standard output, or on standard error where
    /// content goes to standard output. (Not curl's --json: it sends nothing.)
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Request")]
pub(crate) struct Request {
    /// The method
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    pub(crate) method: Option<String>,
    /// Ask for the head alone
    #[arg(short = 'I', long)]
    pub(crate) head: bool,
    /// Add a field "Name: value"; "Name:" takes a default one away, "Name;" sends it empty
    #[arg(short = 'H', long, value_name = "FIELD")]
    pub(crate) header: Vec<String>,
    /// Send as a form does; @FILE reads a file without its line ends, @- standard input
    #[arg(short, long, value_name = "DATA", conflicts_with = "head")]
    pub(crate) data: Vec<OsString>,
    /// As --data, byte for byte
    #[arg(long, value_name = "DATA", conflicts_with = "head")]
    pub(crate) data_binary: Vec<OsString>,
    /// As --data, without the meaning of "@"
    #[arg(long, value_name = "DATA", conflicts_with = "head")]
    pub(crate) data_raw: Vec<OsString>,
    /// As --data, percent-encoded: CONTENT, =CONTENT, NAME=CONTENT, @FILE or NAME@FILE
    #[arg(long, value_name = "DATA", conflicts_with = "head")]
    pub(crate) data_urlencode: Vec<OsString>,
    /// Put the data into the URL's query
    #[arg(short = 'G', long)]
    pub(crate) get: bool,
    /// The user-agent field
    #[arg(short = 'A', long, value_name = "NAME")]
    pub(crate) user_agent: Option<String>,
    /// The referer field
    #[arg(short = 'e', long, value_name = "URL")]
    pub(crate) referer: Option<String>,
    /// Basic authentication
    #[arg(short, long, value_name = "USER:PASSWORD")]
    pub(crate) user: Option<String>,
}

/// How it is done.
#[derive(Debug, Args)]
#[command(next_help_heading = "Transfer")]
pub(crate) struct Transfer {
    /// Follow redirects
    #[arg(short = 'L', long)]
    pub(crate) location: bool,
    /// Most redirects followed
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) max_redirs: u32,
    /// Status 400 and above is an error, and its content is not written
    #[arg(short, long)]
    pub(crate) fail: bool,
    /// Status 400 and above is an error, and its content is written
    #[arg(long, conflicts_with = "fail")]
    pub(crate) fail_with_body: bool,
    /// Most time a URL may take, in seconds
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) max_time: Option<u32>,
    /// Most time resolving and connecting may take, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) connect_timeout: Option<u32>,
    /// Try again so often, after failures that may pass
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retry: u32,
}

/// Who is trusted with what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct Trust {
    /// Trust the certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Do not verify the server's certificate
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,
    /// Oldest TLS version accepted [default: the configuration's, or 1.2]
    #[arg(long, value_name = "VERSION", value_parser = tls_version)]
    pub(crate) tls_min: Option<TlsVersion>,
    /// Newest TLS version offered [default: the configuration's, or 1.3]
    #[arg(long, value_name = "VERSION", value_parser = tls_version)]
    pub(crate) tls_max: Option<TlsVersion>,
    #[command(flatten)]
    pub(crate) configuration: Configuration,
    /// Who asks, for rules about clients
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Option<ClientName>,
    /// Let a host be reached whose address is not public
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) allow_private: Vec<PrivateHost>,
    /// Go on without this layer of the sandbox (see `fumehood doctor`)
    #[arg(long, value_name = "LAYER", value_parser = layer)]
    pub(crate) allow_missing_layer: Vec<Layer>,
}

/// Seconds with a fraction, to milliseconds.
fn seconds(text: &str) -> Result<u32, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    // 49 days: what milliseconds in 32 bits hold.
    if !(0.001..=4_000_000.0).contains(&seconds) {
        return Err("not between 0.001 and 4000000 seconds".to_owned());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and 4e9, as was checked"
    )]
    Ok((seconds * 1000.0) as u32)
}

/// A number within these bounds.
#[cfg(feature = "demo")]
fn count(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let count = text.parse().ok().filter(|n| (least..=most).contains(n));
        count.ok_or_else(|| format!("not a number from {least} to {most}"))
    }
}

fn module_key(text: &str) -> Result<ModuleKey, String> {
    ModuleKey::from_hex(text).ok_or_else(|| "not 64 hexadecimal digits".to_owned())
}

fn tls_version(text: &str) -> Result<TlsVersion, String> {
    match text {
        "1.2" => Ok(TlsVersion::V1_2),
        "1.3" => Ok(TlsVersion::V1_3),
        _ => Err("1.2 and 1.3 are spoken".to_owned()),
    }
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
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seconds_may_have_a_fraction_and_are_bounded() {
        assert_eq!(seconds("1.5"), Ok(1500));
        for bad in ["0", "-1", "nan", "inf", "1e12", "x"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_floor_cannot_be_given_up() {
        assert!(layer("seccomp").is_err());
        assert_eq!(layer("landlock"), Ok(Layer::Landlock));
    }
}
