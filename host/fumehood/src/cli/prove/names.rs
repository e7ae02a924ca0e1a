//! The zone `prove.test`: what each name of the corpus resolves to.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The one host that may be reached: public in every registry, and in the
/// bottle this machine.
pub(super) const ORIGIN: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);

/// Its address of the other family.
pub(super) const ORIGIN_V6: Ipv6Addr =
    Ipv6Addr::new(0x2606, 0x2800, 0x220, 1, 0x248, 0x1893, 0x25c8, 0x1946);

/// Public too, but a rule denies the name that has it.
const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 35);

const ZONE: &str = "prove.test";
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Answers to one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    /// The name is another's alias, whose addresses these are.
    pub(super) alias_of: Option<&'static str>,
    pub(super) v4: Vec<Ipv4Addr>,
    pub(super) v6: Vec<Ipv6Addr>,
}

/// The zone, and what it remembers of those who asked.
#[derive(Debug, Default)]
pub(super) struct Zone {
    /// How often each name that changes was asked for.
    asked: HashMap<String, u32>,
}

impl Zone {
    /// What a name in lower case has, or nothing: no such name. `v4` is asked
    /// for, or else IPv6.
    pub(super) fn look_up(&mut self, name: &str, v4: bool) -> Option<Answers> {
        let label = name.strip_suffix(ZONE)?.strip_suffix('.')?;
        let first = label.split('.').next()?;
        let last = label.rsplit('.').next()?;
        Some(match last {
            "origin" => {
                let mut both = of(&[ORIGIN], &[]);
                both.v6.push(ORIGIN_V6);
                both
            }
            "forbidden" => of(&[FORBIDDEN], &[]),
            "loopback" => of(&[LOOPBACK], &[Ipv6Addr::LOCALHOST]),
            "private" => of(&[Ipv4Addr::new(10, 0, 0, 1)], &[]),
            "metadata" => of(&[Ipv4Addr::new(169, 254, 169, 254)], &[]),
            "unspecified" => of(&[Ipv4Addr::UNSPECIFIED], &[Ipv6Addr::UNSPECIFIED]),
            "mapped" => of(&[], &[LOOPBACK.to_ipv6_mapped()]),
            "nat64" => of(&[], &[Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0x7f00, 1)]),
            "local6" => of(&[], &[Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)]),
            "both" => of(&[ORIGIN, LOOPBACK], &[]),
            "htob" => of(&[LOOPBACK, ORIGIN], &[]),
            "sixth" => of(&[ORIGIN], &[Ipv6Addr::LOCALHOST]),
            "alias" => alias("loopback.prove.test", &[LOOPBACK]),
            "alias-localhost" => alias("localhost", &[LOOPBACK]),
            "alias-metadata" => alias("metadata.prove.test", &[Ipv4Addr::new(169, 254, 169, 254)]),
            "rebind" if v4 => of(&[self.turn(first)], &[]),
            "rebind" => Answers::default(),
            _ => return None,
        })
    }

    /// The origin for whoever asks first, this machine for all who follow.
    fn turn(&mut self, name: &str) -> Ipv4Addr {
        let asked = self.asked.entry(name.to_owned()).or_default();
        *asked += 1;
        if *asked == 1 { ORIGIN } else { LOOPBACK }
    }
}

fn of(v4: &[Ipv4Addr], v6: &[Ipv6Addr]) -> Answers {
    Answers {
        alias_of: None,
        v4: v4.to_vec(),
        v6: v6.to_vec(),
    }
}

fn alias(of_whom: &'static str, v4: &[Ipv4Addr]) -> Answers {
    Answers {
        alias_of: Some(of_whom),
        ..of(v4, &[])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn a_name_turns_once_it_was_asked_for() {
        let mut zone = Zone::default();
        let mut ask = |name: &str| zone.look_up(name, true).unwrap().v4[0];
        assert_eq!(ask("a.rebind.prove.test"), ORIGIN);
        assert_eq!(ask("b.rebind.prove.test"), ORIGIN);
        assert_eq!(ask("a.rebind.prove.test"), LOOPBACK);
        assert_eq!(
            zone.look_up("a.rebind.prove.test", false).unwrap(),
            Answers::default()
        );
        assert_eq!(zone.look_up("example.com", true), None);
        assert_eq!(zone.look_up("xprove.test", true), None);
    }
}
