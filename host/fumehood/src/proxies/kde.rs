//! KDE's proxy settings: the group `Proxy Settings` of `kioslaverc`.

use std::collections::HashMap;

use fumehood_policy::{Bypass, FixedProxies, ProxyScheme, ProxyServer, ProxySettings};

use super::SystemProxyError;

const GROUP: &str = "[Proxy Settings]";

/// Reads them. Where they name variables, `variable` knows those.
///
/// # Errors
/// [`SystemProxyError::Setting`].
pub(super) fn read(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<ProxySettings, SystemProxyError> {
    let settings = group(text);
    let value = |key: &str| settings.get(key).map_or("", String::as_str);
    match value("ProxyType") {
        "1" => fixed(value).map(ProxySettings::Fixed),
        "2" => Ok(ProxySettings::Pac {
            source: value("Proxy Config Script")
                .parse()
                .map_err(SystemProxyError::source("Proxy Config Script"))?,
            fallback: Vec::new(),
        }),
        "3" => Ok(ProxySettings::Wpad {
            fallback: Vec::new(),
        }),
        // The values are names of variables.
        "4" => {
            let named = |key: &str| variable(value(key)).unwrap_or_default();
            let all: HashMap<&str, String> = KEYS.iter().map(|key| (*key, named(key))).collect();
            let value = |key: &str| all.get(key).map_or("", String::as_str);
            fixed(value).map(ProxySettings::Fixed)
        }
        "" | "0" => Ok(ProxySettings::Direct),
        other => Err(SystemProxyError::setting(
            "ProxyType",
            format!("{other} is not a number from 0 to 4"),
        )),
    }
}

const KEYS: [&str; 5] = [
    "httpProxy",
    "httpsProxy",
    "ftpProxy",
    "socksProxy",
    "NoProxyFor",
];

/// The group's keys and values.
fn group(text: &str) -> HashMap<&str, String> {
    let lines = text.lines().map(str::trim);
    let inside = lines.skip_while(|line| *line != GROUP).skip(1);
    let inside = inside.take_while(|line| !line.starts_with('['));
    let pair = |line| {
        let (key, value) = str::split_once(line, '=')?;
        // `$e` and `$i` are how the desktop stores it, not what it says.
        let key = key.split('[').next().unwrap_or(key);
        Some((key.trim(), value.trim().to_owned()))
    };
    inside.filter_map(pair).collect()
}

fn fixed<'a>(value: impl Fn(&str) -> &'a str) -> Result<FixedProxies, SystemProxyError> {
    if value("ReversedException") == "true" {
        return Err(SystemProxyError::setting(
            "ReversedException",
            "proxies for the listed hosts alone are not supported",
        ));
    }
    let mut credentials = Vec::new();
    let mut all = |key: &str, scheme: ProxyScheme| -> Result<Vec<ProxyServer>, SystemProxyError> {
        // The port stands after a blank, or as in a URL.
        let text = value(key).replacen(' ', ":", 1);
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let text = match text.contains("://") {
            true => text,
            false => format!("{scheme}://{text}"),
        };
        let parsed = ProxyServer::parse(&text);
        let (mut server, user) = parsed.map_err(SystemProxyError::proxy(key))?;
        // `socks://` is SOCKS 5 there.
        if key == "socksProxy" {
            server.scheme = scheme;
        }
        credentials.extend(user.map(|user| (server.clone(), user)));
        Ok(vec![server])
    };
    Ok(FixedProxies {
        http: all("httpProxy", ProxyScheme::Http)?,
        https: all("httpsProxy", ProxyScheme::Http)?,
        ftp: all("ftpProxy", ProxyScheme::Http)?,
        other: all("socksProxy", ProxyScheme::Socks5h)?,
        bypass: Bypass::parse_no_proxy(value("NoProxyFor"))
            .map_err(SystemProxyError::bypass("NoProxyFor"))?,
        credentials,
        digest: false,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;
    use fumehood_policy::RequestUrl;

    fn none(_: &str) -> Option<String> {
        None
    }

    fn ways(settings: &ProxySettings, url: &str) -> String {
        let ProxySettings::Fixed(fixed) = settings else {
            panic!("{settings:?}")
        };
        let routes = fixed.routes(&RequestUrl::parse(url).unwrap().target);
        routes[0].to_string()
    }

    #[test]
    fn proxies_are_read() {
        let text = "[Other]\nhttpProxy=no.test 1\n[Proxy Settings]\nNoProxyFor=in.test,10.0.0.0/8
ProxyType=1\nhttpProxy[$e]=http://p.test 8080\nhttpsProxy=http://q.test:99
socksProxy=socks://s.test 1081\n[Next]\nProxyType=0\n";
        let settings = read(text, none).unwrap();
        assert_eq!(ways(&settings, "http://a.test/"), "PROXY p.test:8080");
        assert_eq!(ways(&settings, "https://a.test/"), "PROXY q.test:99");
        assert_eq!(ways(&settings, "http://x.in.test/"), "DIRECT");
        let ProxySettings::Fixed(fixed) = &settings else {
            panic!()
        };
        assert_eq!(fixed.other[0].to_string(), "socks5h://s.test:1081");
    }

    #[test]
    fn variables_are_looked_up_by_name() {
        let text = "[Proxy Settings]\nProxyType=4\nhttpProxy=MY_PROXY\nNoProxyFor=MY_NONE\n";
        let settings = read(text, |name| {
            (name == "MY_PROXY").then(|| "p.test:1".to_owned())
        });
        assert_eq!(ways(&settings.unwrap(), "http://a.test/"), "PROXY p.test:1");
    }

    #[test]
    fn scripts_are_read_and_none_is_none() {
        let of = |lines: &str| read(&format!("[Proxy Settings]\n{lines}"), none);
        assert!(matches!(
            of("ProxyType=2\nProxy Config Script=file:///a.pac\n").unwrap(),
            ProxySettings::Pac { .. }
        ));
        assert!(matches!(
            of("ProxyType=3\n").unwrap(),
            ProxySettings::Wpad { .. }
        ));
        assert_eq!(of("ProxyType=0\n").unwrap(), ProxySettings::Direct);
        assert_eq!(read("", none).unwrap(), ProxySettings::Direct);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (lines, key) in [
            ("ProxyType=9", "ProxyType"),
            ("ProxyType=1\nhttpProxy=a b c", "httpProxy"),
            ("ProxyType=1\nReversedException=true", "ReversedException"),
            ("ProxyType=1\nNoProxyFor=a/b", "NoProxyFor"),
        ] {
            let told = read(&format!("{GROUP}\n{lines}\n"), none).unwrap_err();
            assert!(told.to_string().contains(key), "{told}");
        }
    }
}
