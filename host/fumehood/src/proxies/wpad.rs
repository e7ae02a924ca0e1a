//! Where WPAD by DNS looks for its script: at `wpad` under each search domain, and
//! nowhere else. Nothing is cut off a domain to look above it.

use fumehood_policy::{DnsName, RequestUrl, UrlError};

use crate::names::Search;

/// Most places that are looked at: as many search domains as a stub resolver takes.
const MAX_PLACES: usize = 6;

/// Suffixes that nobody outside can register a name under: of RFC 8375, and the one
/// that ICANN keeps for private use.
const PRIVATE_SUFFIXES: [&str; 2] = ["home.arpa", "internal"];

/// The names, to be tried in this order.
///
/// There are none where a resolver, ours or the system's, could put a domain behind them
/// that somebody can register names under (`com`, `co.uk`, and every name of one label,
/// which may be such a domain tomorrow): `wpad.co.uk` is anybody's, and so is
/// `wpad.corp.example.com.co.uk`.
pub(super) fn names(search: &Search) -> Vec<String> {
    let ours = search.domains.iter().map(DnsName::as_str);
    let mut all = ours.chain(search.system.iter().map(String::as_str));
    if !all.all(is_own) {
        return Vec::new();
    }
    let names = search.domains.iter().map(|domain| format!("wpad.{domain}"));
    names.take(MAX_PLACES).collect()
}

/// Where the script is at such a name.
pub(super) fn url(name: &str) -> Result<RequestUrl, UrlError> {
    format!("http://{name}/wpad.dat").parse()
}

/// Whether `wpad` under a domain belongs to whoever has that domain, by the Public
/// Suffix List as it was when this was built.
fn is_own(domain: &str) -> bool {
    let name = format!("wpad.{domain}");
    let registered = psl::domain(name.as_bytes());
    PRIVATE_SUFFIXES.contains(&domain)
        || registered.is_some_and(|it| it.as_bytes() != name.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use fumehood_policy::Host;

    use super::*;

    fn domains(all: &[&str]) -> Vec<DnsName> {
        let name = |text: &&str| match Host::parse(text).unwrap() {
            Host::Name(name) => name,
            other => panic!("{other} is no name"),
        };
        all.iter().map(name).collect()
    }

    fn looked_for(search: &[&str]) -> Vec<String> {
        names(&Search {
            domains: domains(search),
            system: search.iter().map(|&it| it.to_owned()).collect(),
        })
    }

    #[test]
    fn it_is_looked_for_under_each_domain_and_never_above() {
        assert_eq!(
            looked_for(&["a.b.corp.example.com", "example.co.uk", "home.arpa"]),
            [
                "wpad.a.b.corp.example.com",
                "wpad.example.co.uk",
                "wpad.home.arpa",
            ]
        );
        let url = url("wpad.example.co.uk").unwrap();
        assert_eq!(url.to_string(), "http://wpad.example.co.uk/wpad.dat");
    }

    #[test]
    fn a_suffix_that_anybody_registers_under_is_passed_over() {
        for suffix in [
            "com",
            "co.uk",
            "corp",
            "lan",
            "github.io",
            "kobe.jp",
            "test",
            // In letters beyond ASCII, as they are asked for: 公司.cn, 中国.
            "xn--55qx5d.cn",
            "xn--fiqs8s",
        ] {
            assert!(looked_for(&[suffix]).is_empty(), "{suffix}");
        }
        assert_eq!(looked_for(&["a.test"; 9]).len(), MAX_PLACES);
    }

    #[test]
    fn nothing_is_looked_for_where_such_a_suffix_could_come_behind() {
        assert!(looked_for(&["corp.example.com", "co.uk"]).is_empty());
        // Ours is configured, and the system's is not; it may be none that we would ask.
        for system in ["co.uk", "com", "odd_name", "#"] {
            let search = Search {
                domains: domains(&["corp.example.com"]),
                system: vec![system.to_owned()],
            };
            assert!(names(&search).is_empty(), "{system}");
        }
    }
}
