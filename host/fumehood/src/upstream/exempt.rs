//! Targets that no proxy is asked for.

use std::fmt;
use std::str::FromStr;

use fumehood_policy::{Host, HostPattern, PatternError};

/// Most patterns of a bypass; lists in practice have a few dozen.
const MAX_PATTERNS: usize = 1024;

/// Hosts that are connected to without a proxy, as curl's `--noproxy` writes them:
/// names, each with all under it, addresses and ranges, with commas or blanks
/// between, or `*` for all. The default is none.
///
/// This is not `NO_PROXY` as [`fumehood_policy::Bypass`] reads it: a leading dot has
/// the name itself too, ports are not known, and loopback is no exception.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exempt(Vec<HostPattern>);

/// Why a bypass was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExemptError {
    /// No host, and no range.
    #[error("{0:?}: {1}")]
    Pattern(String, #[source] PatternError),
    /// Over 1024.
    #[error("more than {MAX_PATTERNS} hosts are exempted from proxies")]
    TooMany,
}

impl Exempt {
    /// Whether a host is among them.
    #[must_use]
    pub fn has(&self, host: &Host) -> bool {
        self.0.iter().any(|pattern| pattern.matches(host))
    }
}

impl FromStr for Exempt {
    type Err = ExemptError;

    fn from_str(text: &str) -> Result<Self, ExemptError> {
        let mut patterns = Vec::new();
        let words = text.split([',', ' ', '\t']);
        for word in words.filter(|word| !word.is_empty()) {
            if patterns.len() >= MAX_PATTERNS {
                return Err(ExemptError::TooMany);
            }
            // ".example.com" and "*.example.com" have the name itself, too.
            let name = word.strip_prefix("*.").or(word.strip_prefix('.'));
            let pattern = HostPattern::from_str(name.unwrap_or(word))
                .map_err(|why| ExemptError::Pattern(word.to_owned(), why))?;
            if let HostPattern::Name(name) = &pattern {
                patterns.push(HostPattern::Under(name.clone()));
            }
            patterns.push(pattern);
        }
        Ok(Exempt(patterns))
    }
}

/// `example.com, 10.0.0.0/8`.
impl fmt::Display for Exempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self
            .0
            .iter()
            .filter(|it| !matches!(it, HostPattern::Under(_)))
            .map(ToString::to_string)
            .collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn a_name_stands_for_all_under_it_and_for_nothing_beside() {
        let bypass: Exempt = "example.com,.corp.test 10.0.0.0/8, ::1".parse().unwrap();
        for host in [
            "example.com",
            "a.b.example.com",
            "corp.test",
            "x.corp.test",
            "10.1.2.3",
            "[::1]",
        ] {
            assert!(bypass.has(&Host::parse(host).unwrap()), "{host}");
        }
        for host in [
            "notexample.com",
            "example.com.evil.test",
            "11.0.0.1",
            "localhost",
        ] {
            assert!(!bypass.has(&Host::parse(host).unwrap()), "{host}");
        }
        assert_eq!(bypass.to_string().parse::<Exempt>().unwrap(), bypass);
        assert!(
            "*".parse::<Exempt>()
                .unwrap()
                .has(&Host::parse("any.test").unwrap())
        );
        assert!(
            !"".parse::<Exempt>()
                .unwrap()
                .has(&Host::parse("any.test").unwrap())
        );
    }

    #[test]
    fn what_is_no_host_is_refused_and_so_is_a_flood() {
        for text in ["a b/c", "ex*mple", "10.0.0.0/33", "http://a"] {
            assert!(text.parse::<Exempt>().is_err(), "{text}");
        }
        assert_eq!(
            "a,".repeat(2000).parse::<Exempt>(),
            Err(ExemptError::TooMany)
        );
    }
}
