//! The command line of `fetch`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use fumehood::ModuleKey;
use fumehood::control::TlsVersion;
use fumehood::policy::ClientName;

use super::way_out::CHOSEN;
use super::{Chosen, MissingLayers, Permissions, Told};

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
    pub(crate) way: Way,
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
    /// Load the modules in this directory, and what is put there meanwhile, in place
    /// of that of the configuration
    #[arg(long, value_name = "DIR")]
    pub(crate) module_directory: Option<PathBuf>,
    /// Make what is put there current, and not just a candidate
    #[arg(long, requires = "module_directory")]
    pub(crate) swap_on_change: bool,
    /// Take only modules signed by this ed25519 key (64 hexadecimal digits), whatever
    /// keys the configuration has
    #[arg(long, value_name = "KEY")]
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

/// Through which proxies.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Proxies")]
pub(crate) struct Way {
    /// Go through this proxy: [SCHEME://][USER:PASSWORD@]HOST[:PORT], with http, https,
    /// socks4, socks4a, socks5 or socks5h. Ports are 80, 443 and 1080 by default. ""
    /// goes through none
    #[arg(
        short = 'x',
        long,
        value_name = "PROXY",
        conflicts_with_all = CHOSEN
    )]
    pub(crate) proxy: Option<String>,
    /// Reach the proxy through this one; several in the order they are passed
    #[arg(long, value_name = "PROXY", requires = "proxy", conflicts_with_all = CHOSEN)]
    pub(crate) preproxy: Vec<String>,
    /// Tell the proxy who asks
    #[arg(short = 'U', long, value_name = "USER:PASSWORD", requires = "proxy", conflicts_with_all = CHOSEN)]
    pub(crate) proxy_user: Option<String>,
    #[command(flatten)]
    pub(crate) told: Told,
    /// Do not verify the certificate of an https proxy
    #[arg(long, requires = "proxy", conflicts_with_all = CHOSEN)]
    pub(crate) proxy_insecure: bool,
    /// Ask an HTTP proxy for a tunnel for http URLs, too
    #[arg(short = 'p', long, requires = "proxy", conflicts_with_all = CHOSEN)]
    pub(crate) proxytunnel: bool,
    /// Hosts that are connected to without a proxy: names, each with all under it,
    /// addresses and ranges, with commas between; "*" for all. Of --proxy, and in
    /// place of no_proxy in the environment
    #[arg(long, value_name = "HOSTS", allow_hyphen_values = true)]
    pub(crate) noproxy: Option<String>,
    #[command(flatten)]
    pub(crate) chosen: Chosen,
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
    pub(crate) permissions: Permissions,
    /// Who asks, for rules about clients
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Option<ClientName>,
    #[command(flatten)]
    pub(crate) sandbox: MissingLayers,
}
/// Seconds with a fraction, to milliseconds.
pub(super) fn seconds(text: &str) -> Result<u32, String> {
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
fn tls_version(text: &str) -> Result<TlsVersion, String> {
    match text {
        "1.2" => Ok(TlsVersion::V1_2),
        "1.3" => Ok(TlsVersion::V1_3),
        _ => Err("1.2 and 1.3 are spoken".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_fraction_and_are_bounded() {
        assert_eq!(seconds("1.5"), Ok(1500));
        for bad in ["0", "-1", "nan", "inf", "1e12", "x"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
