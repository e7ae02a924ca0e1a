//! GNOME's proxy settings, as `gsettings list-recursively` prints them: a schema,
//! a key and a value a line.

use std::collections::HashMap;

use fumehood_policy::{Bypass, FixedProxies, ProxyScheme, ProxyServer, ProxySettings};

use super::SystemProxyError;

/// Under which all of them are.
const SCHEMA: &str = "org.gnome.system.proxy";

/// Reads them.
///
/// # Errors
/// [`SystemProxyError::Setting`].
pub(super) fn read(text: &str) -> Result<ProxySettings, SystemProxyError> {
    let settings = Settings::of(text);
    match settings.text("mode").as_deref() {
        Some("manual") => settings.fixed().map(ProxySettings::Fixed),
        Some("auto") => match settings.text("autoconfig-url") {
            Some(url) if !url.is_empty() => Ok(ProxySettings::Pac {
                source: url
                    .parse()
                    .map_err(SystemProxyError::source("autoconfig-url"))?,
                fallback: Vec::new(),
            }),
            _ => Ok(ProxySettings::Wpad {
                fallback: Vec::new(),
            }),
        },
        _ => Ok(ProxySettings::Direct),
    }
}

/// Values by key, the schema's own name left out: `http host`.
struct Settings<'a>(HashMap<String, &'a str>);

impl<'a> Settings<'a> {
    fn of(text: &'a str) -> Self {
        let line = |line: &'a str| {
            let (schema, rest) = line.trim().split_once(' ')?;
            let (key, value) = rest.split_once(' ')?;
            let under = schema.strip_prefix(SCHEMA)?.trim_start_matches('.');
            Some((format!("{under} {key}").trim().to_owned(), value.trim()))
        };
        Settings(text.lines().filter_map(line).collect())
    }

    fn text(&self, key: &str) -> Option<String> {
        strings(self.0.get(key)?).into_iter().next()
    }

    fn fixed(&self) -> Result<FixedProxies, SystemProxyError> {
        let all = |scheme, kind: &str| -> Result<Vec<ProxyServer>, SystemProxyError> {
            Ok(self.proxy(scheme, kind)?.into_iter().collect())
        };
        let ignored = self.0.get("ignore-hosts").map(|it| strings(it).join(","));
        Ok(FixedProxies {
            http: all(ProxyScheme::Http, "http")?,
            https: all(ProxyScheme::Http, "https")?,
            ftp: all(ProxyScheme::Http, "ftp")?,
            // As browsers take it.
            other: all(ProxyScheme::Socks5h, "socks")?,
            bypass: Bypass::parse(&ignored.unwrap_or_default())
                .map_err(SystemProxyError::bypass("ignore-hosts"))?,
            credentials: Vec::new(),
            digest: false,
        })
    }

    fn proxy(
        &self,
        scheme: ProxyScheme,
        kind: &str,
    ) -> Result<Option<ProxyServer>, SystemProxyError> {
        let host = self.text(&format!("{kind} host")).unwrap_or_default();
        let key = format!("{kind} port");
        let port = self.0.get(&key).copied().unwrap_or("0");
        // A host without a port stands for none, and so does the default.
        if host.is_empty() || port == "0" {
            return Ok(None);
        }
        let place = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let server = ProxyServer::at(scheme, &place);
        server.map(Some).map_err(SystemProxyError::proxy(&key))
    }
}

/// The quoted strings of a value, in order.
fn strings(value: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = value.chars();
    while let Some(quote) = rest.find(|it| matches!(it, '\'' | '"')) {
        let mut text = String::new();
        while let Some(next) = rest.next() {
            match next {
                '\\' => text.extend(rest.next()),
                it if it == quote => break,
                it => text.push(it),
            }
        }
        all.push(text);
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;
    use fumehood_policy::{PacSource, RequestUrl};

    const MANUAL: &str = "org.gnome.system.proxy autoconfig-url ''
org.gnome.system.proxy ignore-hosts ['localhost', '127.0.0.0/8', '::1', '*.in.test']
org.gnome.system.proxy mode 'manual'
org.gnome.system.proxy.http host 'p.test'
org.gnome.system.proxy.http port 8080
org.gnome.system.proxy.https host ''
org.gnome.system.proxy.https port 0
org.gnome.system.proxy.socks host '2001:db8::1'
org.gnome.system.proxy.socks port 1081
";

    #[test]
    fn proxies_are_read() {
        let ProxySettings::Fixed(fixed) = read(MANUAL).unwrap() else {
            panic!()
        };
        let ways = |url: &str| {
            let routes = fixed.routes(&RequestUrl::parse(url).unwrap().target);
            routes[0].to_string()
        };
        assert_eq!(ways("http://a.test/"), "PROXY p.test:8080");
        assert_eq!(ways("https://a.test/"), "SOCKS5 [2001:db8::1]:1081");
        assert_eq!(ways("https://x.in.test/"), "DIRECT");
    }

    #[test]
    fn scripts_are_read_and_none_is_none() {
        let auto = |url: &str| {
            let text = format!("{SCHEMA} mode 'auto'\n{SCHEMA} autoconfig-url {url}\n");
            read(&text).unwrap()
        };
        let ProxySettings::Pac { source, .. } = auto("'http://a.test/p.pac'") else {
            panic!()
        };
        assert!(matches!(source, PacSource::Url(_)));
        assert!(matches!(auto("''"), ProxySettings::Wpad { .. }));
        for text in ["", "org.gnome.system.proxy mode 'none'\n", "x\n\n y"] {
            assert_eq!(read(text).unwrap(), ProxySettings::Direct);
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let bad = MANUAL.replace("8080", "80800");
        let told = read(&bad).unwrap_err().to_string();
        assert!(told.contains("http port"), "{told}");
        let bad = MANUAL.replace("*.in.test", "a b");
        assert!(read(&bad).unwrap_err().to_string().contains("ignore-hosts"));
    }

    #[test]
    fn quotes_are_taken_off() {
        assert_eq!(strings(r"['a\'b', 'c']"), ["a'b", "c"]);
        assert_eq!(strings("\"x"), ["x"]);
        assert!(strings("8080").is_empty());
    }
}
