//! The way out, as `fetch` and `proxy` both take it: a script, or what is set
//! elsewhere.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use fumehood::ProxyFallback;
use fumehood::policy::PacSource;

/// What has proxies chosen in place of named. Flags for named ones have to say that they
/// do not go with it: clap waives what they require where that conflicts with a flag.
pub(super) const CHOSEN: [&str; 2] = ["proxy_pac", "proxy_from"];

/// By what proxies are chosen, where they are not named one by one.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Proxies")]
pub(crate) struct Chosen {
    /// Have this script choose proxies for each request: a file, or an http, https,
    /// file: or data: URL
    #[arg(long, value_name = "FILE|URL", value_parser = clap::value_parser!(PacSource))]
    pub(crate) proxy_pac: Option<PacSource>,
    /// Go this way where the script cannot be had or has no answer: a proxy, or
    /// "direct"; several in the order they are tried [default: none, which is an error]
    #[arg(long, value_name = "PROXY", requires = "proxy_pac")]
    pub(crate) proxy_fallback: Vec<ProxyFallback>,
    /// Go by what is set there
    #[arg(long, value_name = "WHERE", conflicts_with = "proxy_pac")]
    pub(crate) proxy_from: Option<From>,
}

/// Where proxies are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// In http_proxy, https_proxy, all_proxy and no_proxy
    Environment,
    /// There, or else in the desktop's settings
    System,
}

/// How HTTP proxies that are named one by one learn who asks.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Proxies")]
pub(crate) struct Told {
    /// Tell an HTTP proxy name and password as they are; the default
    #[arg(long, conflicts_with_all = ["proxy_digest", "proxy_auth_program"])]
    pub(crate) proxy_basic: bool,
    /// Prove to an HTTP proxy to know them, once it has asked
    #[arg(long, conflicts_with = "proxy_auth_program")]
    pub(crate) proxy_digest: bool,
    /// Tell an HTTP proxy by Negotiate (Kerberos), with what --proxy-auth-program says
    #[arg(long, requires = "proxy_auth_program", conflicts_with = "proxy_ntlm")]
    pub(crate) proxy_negotiate: bool,
    /// The same by NTLM
    #[arg(long, requires = "proxy_auth_program")]
    pub(crate) proxy_ntlm: bool,
    /// Makes the tokens for the last proxy, line by line as Samba's ntlm_auth does:
    /// run once a connection. It is Negotiate unless --proxy-ntlm is said
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) proxy_auth_program: Option<PathBuf>,
}

impl Told {
    /// Whether any of it was said.
    pub(crate) fn is_said(&self) -> bool {
        self.proxy_basic || self.proxy_digest || self.proxy_auth_program.is_some()
    }
}

/// What `proxy` goes through.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Proxies")]
pub(crate) struct Upstream {
    /// Go through this proxy: [SCHEME://][USER:PASSWORD@]HOST[:PORT]; several in the
    /// order they are passed
    #[arg(long, value_name = "PROXY", conflicts_with_all = CHOSEN)]
    pub(crate) upstream: Vec<String>,
    /// Hosts that are connected to without --upstream: names, each with all under
    /// it, addresses and ranges, with commas between
    #[arg(
        long,
        value_name = "HOSTS",
        requires = "upstream",
        conflicts_with_all = CHOSEN,
        allow_hyphen_values = true
    )]
    pub(crate) noproxy: Option<String>,
    #[command(flatten)]
    pub(crate) told: Told,
    #[command(flatten)]
    pub(crate) chosen: Chosen,
}
