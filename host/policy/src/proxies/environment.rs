//! Proxies by the environment's variables.
//!
//! | variable | |
//! |---|---|
//! | `http_proxy` | for http. In lower case alone: a server that runs programs for its clients puts their `Proxy` field into `HTTP_PROXY` |
//! | `https_proxy`, `HTTPS_PROXY` | for https and wss |
//! | `ftp_proxy`, `FTP_PROXY` | for ftp |
//! | `all_proxy`, `ALL_PROXY` | for what has none of its own |
//! | `no_proxy`, `NO_PROXY` | what needs none: see [`Bypass::parse_no_proxy`] |
//!
//! The lower-case name counts where both are set; an empty value is none. A
//! value is `[scheme://][user[:password]@]host[:port]`, as curl has it.

use super::{Bypass, BypassError, FixedProxies, ProxySettings};
use crate::{ProxyError, ProxyServer};

/// A variable that says nothing usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// Of a proxy.
    #[error("the variable {name} names no proxy: {why}")]
    Proxy {
        /// Which.
        name: &'static str,
        /// What is wrong.
        why: ProxyError,
    },
    /// `no_proxy`.
    #[error("the variable {name} is no list of hosts: {why}")]
    NoProxy {
        /// Which.
        name: &'static str,
        /// What is wrong.
        why: BypassError,
    },
}

/// Reads the variables, by whatever knows them.
///
/// # Errors
/// [`EnvironmentError`] for the first that is set and means nothing: a proxy that
/// is misspelt is not the same as none.
pub fn from_environment(
    variable: impl Fn(&str) -> Option<String>,
) -> Result<ProxySettings, EnvironmentError> {
    let first = |names: &[&'static str]| {
        let mut set = names
            .iter()
            .filter_map(|name| Some((*name, variable(name)?)));
        set.find(|(_, value)| !value.trim().is_empty())
    };
    let mut fixed = FixedProxies::default();
    let mut credentials = Vec::new();
    let mut read = |names: &[&'static str]| {
        let Some((name, value)) = first(names) else {
            return Ok(Vec::new());
        };
        let (server, user) = ProxyServer::parse(value.trim())
            .map_err(|why| EnvironmentError::Proxy { name, why })?;
        credentials.push((server.clone(), user));
        Ok(vec![server])
    };
    fixed.http = read(&["http_proxy"])?;
    fixed.https = read(&["https_proxy", "HTTPS_PROXY"])?;
    fixed.ftp = read(&["ftp_proxy", "FTP_PROXY"])?;
    fixed.other = read(&["all_proxy", "ALL_PROXY"])?;
    if credentials.is_empty() {
        return Ok(ProxySettings::Direct);
    }
    for (server, user) in credentials {
        fixed.trust(&server, user);
    }
    if let Some((name, value)) = first(&["no_proxy", "NO_PROXY"]) {
        let bypass = Bypass::parse_no_proxy(&value);
        fixed.bypass = bypass.map_err(|why| EnvironmentError::NoProxy { name, why })?;
    }
    Ok(ProxySettings::Fixed(fixed))
}
