//! What `fumehood pac` takes.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use fumehood::pac::PacZone;
use jiff::Timestamp;

use crate::cli::args::{MissingLayers, Permissions};
use crate::cli::exit;

/// What `pac` takes.
#[derive(Debug, Args)]
pub(crate) struct PacArgs {
    #[command(subcommand)]
    pub(crate) action: PacAction,
}

/// What is done with scripts.
#[derive(Debug, Subcommand)]
pub(crate) enum PacAction {
    /// Ask a script which proxies to use for URLs; one line a URL
    #[command(after_help = exit::table())]
    Eval(Box<Eval>),
    /// Look a script over without running it: one line a remark, and failure
    /// where the script cannot be used
    Lint(Box<Lint>),
}

/// What `pac eval` takes.
#[derive(Debug, Args)]
pub(crate) struct Eval {
    #[command(flatten)]
    pub(crate) script: Script,
    /// http, https, ws, wss or ftp; of https and wss the script sees the host alone
    #[arg(required = true, value_name = "TARGET-URL")]
    pub(crate) urls: Vec<String>,
    /// Tell which functions the script called, what it was answered, and what it said
    #[arg(long)]
    pub(crate) explain: bool,
    /// Take addresses of names from this table (as /etc/hosts) and from nowhere else
    #[arg(long, value_name = "FILE")]
    pub(crate) dns: Option<PathBuf>,
    /// What myIpAddress is to say; several for myIpAddressEx [default: as the kernel has it]
    #[arg(long, value_name = "IP")]
    pub(crate) my_ip: Vec<IpAddr>,
    /// The script's time, such as 2026-09-21T14:13:20Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<Timestamp>,
    /// The script's time zone, such as Europe/Berlin [default: the system's]
    #[arg(long, value_name = "ZONE")]
    pub(crate) tz: Option<PacZone>,
    /// Print one JSON object a URL instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `pac lint` takes.
#[derive(Debug, Args)]
pub(crate) struct Lint {
    #[command(flatten)]
    pub(crate) script: Script,
    /// Print one JSON object a remark instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the script is, and how it is got.
#[derive(Debug, Args)]
pub(crate) struct Script {
    /// A file, an http, https or data: URL, or - for standard input
    #[arg(value_name = "FILE|URL")]
    pub(crate) script: String,
    #[command(flatten)]
    pub(crate) permissions: Permissions,
    /// Trust these certificates (PEM) and no others, for a script over https
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Put crash reports there [default: that of the user]
    #[arg(long, value_name = "DIR")]
    pub(crate) crash_reports: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sandbox: MissingLayers,
}
