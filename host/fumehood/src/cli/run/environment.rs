//! Variables by which programs find the proxy, and whom to trust.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use fumehood::PROXY_INSIDE;
use fumehood::policy::{Host, PrivateHost};

/// What is set to the proxy's URL. Both cases: curl reads `http_proxy` in lower
/// case alone, others the upper.
const PROXY: [&str; 13] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "PIP_PROXY",
    "npm_config_proxy",
    "npm_config_https_proxy",
    "YARN_HTTP_PROXY",
    "YARN_HTTPS_PROXY",
    "CARGO_HTTP_PROXY",
    "GLOBAL_AGENT_HTTP_PROXY",
];

/// What is set to the hosts that are asked directly: those in there.
const DIRECT: [&str; 3] = ["no_proxy", "NO_PROXY", "npm_config_noproxy"];

/// The network's own loopback, on which the program's servers are. Where the
/// user let one of these names through, this machine's is meant.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What is set to the file of certification authorities.
const AUTHORITIES: [&str; 9] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "npm_config_cafile",
    "CARGO_HTTP_CAINFO",
    "AWS_CA_BUNDLE",
];

/// Java's options, which are added to what is there.
const JAVA: &str = "JAVA_TOOL_OPTIONS";

/// How many settings of git there are in the environment, which outrank its files.
const GIT_COUNT: &str = "GIT_CONFIG_COUNT";

/// Most settings of git that are kept; there are seldom any.
const MAX_GIT_SETTINGS: u16 = 1000;

/// The variables of a confined program.
#[derive(Debug)]
pub(super) struct Environment {
    variables: Vec<(OsString, OsString)>,
    overridden: Vec<(String, String)>,
}

impl Environment {
    /// With these authorities, which are an absolute path, on top of an
    /// environment that `present` looks into. `outside` are hosts that are not
    /// public and may be reached.
    pub(super) fn of(
        authorities: Option<&Path>,
        outside: &[PrivateHost],
        present: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let url = format!("http://{PROXY_INSIDE}");
        let inside = |name: &&str| !outside.iter().any(|it| is_for(it, name));
        let direct: Vec<&str> = LOOPBACK.into_iter().filter(inside).collect();
        let mut variables = Vec::new();
        let mut set = |name: &str, value: &OsStr| variables.push((name.into(), value.into()));
        for name in PROXY {
            set(name, url.as_ref());
        }
        for name in DIRECT {
            set(name, direct.join(",").as_ref());
        }
        for name in authorities.iter().flat_map(|_| AUTHORITIES) {
            set(name, authorities.unwrap_or(Path::new("")).as_os_str());
        }
        // Node reads the others only where this says so.
        set("NODE_USE_ENV_PROXY", "1".as_ref());
        set(JAVA, &java(&direct, present(JAVA)));
        for (name, value) in git(&url, present(GIT_COUNT)) {
            set(&name, value.as_ref());
        }
        let overridden = PROXY.iter().chain(&DIRECT).filter_map(|name| {
            let value = present(name).filter(|value| !value.is_empty())?;
            Some(((*name).to_owned(), value.to_string_lossy().into_owned()))
        });
        Environment {
            overridden: overridden.collect(),
            variables,
        }
    }

    /// All that is set.
    pub(super) fn variables(&self) -> &[(OsString, OsString)] {
        &self.variables
    }

    /// What the user had set otherwise.
    pub(super) fn overridden(&self) -> &[(String, String)] {
        &self.overridden
    }
}

fn is_for(private: &PrivateHost, name: &str) -> bool {
    let host = match name.contains(':') {
        true => Host::parse(&format!("[{name}]")),
        false => Host::parse(name),
    };
    host.is_ok_and(|host| private.host.matches(&host))
}

/// The last of two options is Java's.
fn java(direct: &[&str], present: Option<OsString>) -> OsString {
    let (host, port) = (PROXY_INSIDE.ip(), PROXY_INSIDE.port());
    let mut options = present.unwrap_or_default();
    if !options.is_empty() {
        options.push(" ");
    }
    options.push(format!(
        "-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttps.proxyHost={host} \
         -Dhttps.proxyPort={port} -Dhttp.nonProxyHosts={}",
        direct.join("|").replace("::1", "[::1]")
    ));
    options
}

/// git's file may name a proxy of its own, which it prefers to `http_proxy`.
fn git(url: &str, present: Option<OsString>) -> [(String, String); 3] {
    let count = present.and_then(|it| it.to_str()?.parse::<u16>().ok());
    let count = count.filter(|it| *it < MAX_GIT_SETTINGS).unwrap_or(0);
    [
        (format!("GIT_CONFIG_KEY_{count}"), "http.proxy".to_owned()),
        (format!("GIT_CONFIG_VALUE_{count}"), url.to_owned()),
        (GIT_COUNT.to_owned(), (count + 1).to_string()),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn value<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
        let mut found = environment.variables().iter().filter(|(it, _)| it == name);
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "{name} is set twice");
        value.to_str()
    }

    #[test]
    fn what_was_there_is_overridden_and_told() {
        let present = |name: &str| (name == "https_proxy").then(|| "http://corp:8080".into());
        let environment = Environment::of(None, &[], present);
        assert_eq!(
            value(&environment, "https_proxy"),
            Some("http://127.0.0.1:3128")
        );
        let told = ("https_proxy".to_owned(), "http://corp:8080".to_owned());
        assert_eq!(environment.overridden(), [told]);
    }

    #[test]
    fn lists_grow_and_do_not_lose_what_was_there() {
        let present = |name: &str| match name {
            "JAVA_TOOL_OPTIONS" => Some("-Xmx1g".into()),
            "GIT_CONFIG_COUNT" => Some("2".into()),
            _ => None,
        };
        let environment = Environment::of(None, &[], present);
        let java = value(&environment, "JAVA_TOOL_OPTIONS").unwrap_or_default();
        assert!(java.starts_with("-Xmx1g -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=3128 "));
        assert_eq!(value(&environment, "GIT_CONFIG_KEY_2"), Some("http.proxy"));
        assert_eq!(value(&environment, "GIT_CONFIG_COUNT"), Some("3"));
    }

    #[test]
    fn loopback_is_its_own_unless_this_machine_is_meant() {
        let none = |_: &str| None;
        let own = Environment::of(None, &[], none);
        assert_eq!(value(&own, "no_proxy"), Some("localhost,127.0.0.1,::1"));
        let meant = ["localhost:8080", "[::1]:8080"].map(|it| it.parse().unwrap());
        let ours = Environment::of(None, &meant, none);
        assert_eq!(value(&ours, "no_proxy"), Some("127.0.0.1"));
        let java = value(&ours, "JAVA_TOOL_OPTIONS").unwrap();
        assert!(java.ends_with(" -Dhttp.nonProxyHosts=127.0.0.1"), "{java}");
    }

    #[test]
    fn authorities_are_set_only_where_they_are_given() {
        let none = |_: &str| None;
        let without = Environment::of(None, &[], none);
        let with = Environment::of(Some(Path::new("/ca.pem")), &[], none);
        for name in AUTHORITIES {
            assert_eq!(value(&without, name), None);
            assert_eq!(value(&with, name), Some("/ca.pem"));
        }
    }
}
