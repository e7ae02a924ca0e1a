//! What is configured about proxies.

use super::{Bypass, PacSource, Route};
use crate::{ProxyServer, Target, UserInfo};

/// What is configured about proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxySettings {
    /// None: every target straight.
    #[default]
    Direct,
    /// These, for every target alike or by its scheme.
    Fixed(FixedProxies),
    /// A script decides.
    Pac {
        /// Where it comes from.
        source: PacSource,
        /// What holds while it cannot be had, and where it fails; empty stands
        /// for an error. It never is DIRECT unless somebody wrote that.
        fallback: Vec<Route>,
    },
    /// As [`ProxySettings::Pac`], the script found by asking DNS for `wpad` under
    /// the search domains (WPAD). Whoever answers that name decides on all proxies,
    /// so it is for networks that are trusted.
    Wpad {
        /// As above.
        fallback: Vec<Route>,
    },
    /// What the system says: its environment or its desktop. Whoever holds
    /// these settings puts one of the others in its place.
    System,
}

impl ProxySettings {
    /// Whether a script may name proxies.
    #[must_use]
    pub fn has_script(&self) -> bool {
        matches!(self, ProxySettings::Pac { .. } | ProxySettings::Wpad { .. })
    }

    /// The proxies that whoever configured this named, each once.
    #[must_use]
    pub fn named(&self) -> Vec<ProxyServer> {
        let all: Vec<&ProxyServer> = match self {
            ProxySettings::Direct | ProxySettings::System => Vec::new(),
            ProxySettings::Fixed(fixed) => {
                let lists = [&fixed.http, &fixed.https, &fixed.ftp, &fixed.other];
                lists.into_iter().flatten().collect()
            }
            ProxySettings::Pac { fallback, .. } | ProxySettings::Wpad { fallback } => {
                fallback.iter().filter_map(Route::proxy).collect()
            }
        };
        let mut named: Vec<ProxyServer> = Vec::new();
        for server in all {
            if !named.contains(server) {
                named.push(server.clone());
            }
        }
        named
    }
}

/// Proxies that are the same for every target of a scheme.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FixedProxies {
    /// For http; to be tried in this order.
    pub http: Vec<ProxyServer>,
    /// For https and wss.
    pub https: Vec<ProxyServer>,
    /// For ftp.
    pub ftp: Vec<ProxyServer>,
    /// For every scheme that has none of its own.
    pub other: Vec<ProxyServer>,
    /// Targets that need none.
    pub bypass: Bypass,
    /// What proxies are told of who asks.
    pub credentials: Vec<(ProxyServer, UserInfo)>,
    /// HTTP proxies are not told it as it is, but proven by Digest (RFC 7616).
    pub digest: bool,
}

impl FixedProxies {
    /// The ways to a target: at least one.
    #[must_use]
    pub fn routes(&self, target: &Target) -> Vec<Route> {
        if self.bypass.covers(target) {
            return vec![Route::Direct];
        }
        let own = match target.scheme.name() {
            "http" | "ws" => &self.http,
            "https" | "wss" => &self.https,
            "ftp" => &self.ftp,
            _ => &self.other,
        };
        let proxies = if own.is_empty() { &self.other } else { own };
        match proxies.is_empty() {
            true => vec![Route::Direct],
            false => proxies.iter().cloned().map(Route::Proxy).collect(),
        }
    }

    /// What a proxy is to be told of who asks.
    #[must_use]
    pub fn credentials_for(&self, proxy: &ProxyServer) -> Option<&UserInfo> {
        let mut all = self.credentials.iter();
        all.find(|(known, _)| known == proxy).map(|(_, user)| user)
    }

    /// Notes a proxy's credentials.
    pub(super) fn trust(&mut self, proxy: &ProxyServer, user: Option<UserInfo>) {
        if let Some(user) = user
            && self.credentials_for(proxy).is_none()
        {
            self.credentials.push((proxy.clone(), user));
        }
    }
}
