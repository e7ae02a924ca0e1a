//! Trust anchors: the keys from which DNSSEC is believed.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use fumehood_control::TrustAnchor;
use fumehood_policy::{DnsName, Host};

use crate::hex;

/// The keys of the root, KSK-2017 and KSK-2024, as
/// <https://data.iana.org/root-anchors/root-anchors.xml> has them.
const ROOT: [&str; 2] = [
    ". 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
    ". 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
];

/// Anchors that a configuration may name.
pub(crate) const MAX_DNS_ANCHORS: usize = 32;

/// Longest digest, in bytes: SHA-512 would be.
const MAX_DIGEST_BYTES: usize = 64;

/// A key that a zone is believed by, written as a DS record (RFC 4034 section
/// 5.3): `ZONE KEY-TAG ALGORITHM DIGEST-TYPE DIGEST`.
///
/// ```text
/// corp.example 31589 13 2 CDE0D742D6998AA554A92D890F8184C698CFAC8A26FA59875A990C03E576343C
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsAnchor(pub(crate) TrustAnchor);

/// Why a text is no trust anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsAnchorError {
    /// Not of its form.
    #[error(
        "a trust anchor is ZONE KEY-TAG ALGORITHM DIGEST-TYPE DIGEST, as in a DS record, \
         such as `. 20326 8 2 E06D44B8…`, its digest in hexadecimal digits"
    )]
    Syntax,
    /// The zone is no name.
    #[error("the trust anchor's zone is not a domain name; the root is `.`")]
    Zone,
}

impl FromStr for DnsAnchor {
    type Err = DnsAnchorError;

    fn from_str(text: &str) -> Result<Self, DnsAnchorError> {
        let mut words = text.split_ascii_whitespace();
        let mut word = || words.next().ok_or(DnsAnchorError::Syntax);
        let zone = match word()? {
            "." => None,
            name => Some(domain(name)?),
        };
        let key_tag = number(word()?)?;
        let algorithm = number(word()?)?;
        let digest_type = number(word()?)?;
        let digits: String = words.collect();
        let digest = hex::decode(&digits).ok_or(DnsAnchorError::Syntax)?;
        if digest.is_empty() || digest.len() > MAX_DIGEST_BYTES {
            return Err(DnsAnchorError::Syntax);
        }
        Ok(DnsAnchor(TrustAnchor {
            zone,
            key_tag,
            algorithm,
            digest_type,
            digest,
        }))
    }
}

impl fmt::Display for DnsAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = &self.0;
        match &it.zone {
            None => f.write_str(".")?,
            Some(zone) => zone.fmt(f)?,
        }
        let digest = hex::encode(&it.digest).to_ascii_uppercase();
        write!(
            f,
            " {} {} {} {digest}",
            it.key_tag, it.algorithm, it.digest_type
        )
    }
}

/// Those that hold: the configured ones, and the root's where none of them is.
pub(super) fn in_force(configured: &[DnsAnchor]) -> Vec<TrustAnchor> {
    let zones: HashSet<_> = configured.iter().map(|it| it.0.zone.clone()).collect();
    let root = ROOT.iter().filter_map(|text| text.parse().ok());
    let built_in = root.filter(|it: &DnsAnchor| !zones.contains(&it.0.zone));
    configured
        .iter()
        .cloned()
        .chain(built_in)
        .map(|it| it.0)
        .collect()
}

fn domain(text: &str) -> Result<DnsName, DnsAnchorError> {
    match Host::parse(text) {
        Ok(Host::Name(name)) => Ok(name),
        _ => Err(DnsAnchorError::Zone),
    }
}

fn number<T: FromStr>(word: &str) -> Result<T, DnsAnchorError> {
    let plain = word.bytes().all(|it| it.is_ascii_digit());
    word.parse()
        .ok()
        .filter(|_| plain)
        .ok_or(DnsAnchorError::Syntax)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn anchor(text: &str) -> Result<DnsAnchor, DnsAnchorError> {
        text.parse()
    }

    #[test]
    fn an_anchor_is_written_as_it_is_read() {
        for text in ROOT {
            assert_eq!(anchor(text).unwrap().to_string(), text);
        }
        let it = anchor("Corp.Example.  1 13 2 ab CD").unwrap();
        assert_eq!(it.to_string(), "corp.example 1 13 2 ABCD");
    }

    #[test]
    fn what_is_no_anchor_is_refused() {
        for text in [
            "",
            ".",
            ". 1 8 2",
            ". 1 8 2 0",
            ". 1 8 2 XY",
            ". +1 8 2 00",
            ". 65536 8 2 00",
            ". 1 256 2 00",
        ] {
            assert_eq!(anchor(text), Err(DnsAnchorError::Syntax), "{text}");
        }
        assert_eq!(anchor("a..b 1 8 2 00"), Err(DnsAnchorError::Zone));
        let long = format!(". 1 8 2 {}", "0".repeat(130));
        assert_eq!(anchor(&long), Err(DnsAnchorError::Syntax));
    }

    #[test]
    fn the_root_s_hold_unless_others_are_named() {
        let of = |zone: &str| anchor(&format!("{zone} 1 8 2 00")).unwrap();
        assert_eq!(in_force(&[]).len(), 2);
        assert_eq!(in_force(&[of("a.example")]).len(), 3);
        assert_eq!(in_force(&[of(".")]), [of(".").0]);
    }
}
