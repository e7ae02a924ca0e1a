//! The scripts that are measured, and what each is asked. Always the same.

use std::fmt::Write as _;

/// A script and the hosts it is asked about.
pub(super) struct Script {
    /// As given to `--only`.
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) text: String,
    /// Each is asked about in turn, as `http://HOST/index.html`.
    pub(super) hosts: Vec<String>,
    /// Calls that are timed together.
    pub(super) calls: u32,
}

/// All scripts, from the simplest on.
pub(super) fn all() -> Vec<Script> {
    vec![simple(), many(), table()]
}

fn simple() -> Script {
    let text = "function FindProxyForURL(url, host) {
    if (isPlainHostName(host)) return 'DIRECT';
    if (dnsDomainIs(host, '.local.test')) return 'DIRECT';
    if (localHostOrDomainIs(host, 'www.intra.test')) return 'DIRECT';
    if (shExpMatch(host, '*.internal.test')) return 'DIRECT';
    // No name is resolved: that would time the network.
    var literal = /^[0-9]+([.][0-9]+){3}$/.test(host);
    if (literal && isInNet(host, '10.0.0.0', '255.0.0.0')) return 'DIRECT';
    if (literal && isInNet(host, '192.168.0.0', '255.255.0.0')) return 'DIRECT';
    if (url.substring(0, 4) == 'ftp:') return 'PROXY ftp.proxy.test:2121';
    if (shExpMatch(url, 'http://*.media.test/*')) return 'PROXY media.proxy.test:8080';
    if (dnsDomainLevels(host) > 4) return 'PROXY deep.proxy.test:8080';
    return 'PROXY proxy.test:8080; DIRECT';
}
"
    .to_owned();
    let hosts = [
        "intranet",
        "a.local.test",
        "www",
        "x.internal.test",
        "10.1.2.3",
        "192.168.7.7",
        "a.media.test",
        "a.b.c.d.e.test",
        "198.51.100.7",
        "203.0.113.9",
    ];
    Script {
        name: "rules-10",
        what: "ten rules of all kinds",
        text,
        hosts: hosts.map(str::to_owned).to_vec(),
        calls: 2000,
    }
}

fn many() -> Script {
    let mut text = "function FindProxyForURL(url, host) {\n".to_owned();
    for rule in 0..1900 {
        let proxy = rule % 7;
        // A String takes what is written to it.
        let _ = writeln!(
            text,
            "    if (shExpMatch(host, '*.site{rule}.example{proxy}.test')) return 'PROXY p{proxy}.test:8080';"
        );
    }
    text.push_str("    return 'DIRECT';\n}\n");
    let hosts = (0..10).map(|host| match host {
        0 => "www.site1899.example2.test".to_owned(),
        _ => format!("www.other{host}.example.test"),
    });
    Script {
        name: "rules-1900",
        what: "1,900 rules of shExpMatch, all of which are tried",
        text,
        hosts: hosts.collect(),
        calls: 50,
    }
}

fn table() -> Script {
    let mut text = "var hosts = {\n".to_owned();
    for host in 0..11_600 {
        let proxy = host % 5;
        let _ = writeln!(text, "\"w{host:05}.example.test\":\"p{proxy}:80\",");
    }
    text.push_str(
        "\"\":\"\"};
function FindProxyForURL(url, host) {
    if (isPlainHostName(host)) return 'DIRECT';
    var proxy = hosts[host];
    if (proxy) return 'PROXY ' + proxy;
    return 'DIRECT';
}
",
    );
    let hosts = (0..10).map(|host| match host % 2 {
        0 => format!("w{:05}.example.test", host * 977),
        _ => format!("x{host}.example.test"),
    });
    Script {
        name: "table-360kb",
        what: "a table of 11,600 hosts, 360 kB",
        text,
        hosts: hosts.collect(),
        calls: 2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_are_as_large_as_they_are_said_to_be() {
        let scripts = all();
        assert_eq!(scripts[1].text.matches("shExpMatch").count(), 1900);
        let table = scripts[2].text.len();
        assert!((340_000..380_000).contains(&table), "{table}");
    }
}
