//! One way to a target.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ProxyScheme, ProxyServer};

/// One way to a target. A list of them is tried in its order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Route {
    /// Without a proxy.
    Direct,
    /// Through this one.
    Proxy(ProxyServer),
}

impl Route {
    /// The proxy, where there is one.
    #[must_use]
    pub fn proxy(&self) -> Option<&ProxyServer> {
        match self {
            Route::Direct => None,
            Route::Proxy(server) => Some(server),
        }
    }
}

/// As PAC scripts write it: `DIRECT`, `PROXY proxy.test:8080`, `SOCKS5 [::1]:1080`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Route::Proxy(ProxyServer { scheme, host, port }) = self else {
            return f.write_str("DIRECT");
        };
        let kind = match scheme {
            ProxyScheme::Http => "PROXY",
            ProxyScheme::Https => "HTTPS",
            ProxyScheme::Socks4 | ProxyScheme::Socks4a => "SOCKS4",
            ProxyScheme::Socks5 | ProxyScheme::Socks5h => "SOCKS5",
        };
        write!(f, "{kind} {host}:{port}")
    }
}
