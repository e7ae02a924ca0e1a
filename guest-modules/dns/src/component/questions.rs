//! The export `questions`: the WIT's types to ours and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fumehood_guest_sdk::panic;

use super::DnsResolver;
use super::bindings::exports::fumehood::dns::questions as wit;
use crate::questions::{Carrier, Reading, Sought, Verdict, answer, missing, read};

impl wit::Guest for DnsResolver {
    fn missing(received: Vec<u8>) -> u32 {
        panic::install();
        u32::try_from(missing(&received)).unwrap_or(u32::MAX)
    }

    fn read(message: Vec<u8>, carrier: wit::Carrier) -> wit::Reading {
        panic::install();
        match read(&message, carrier.into()) {
            Reading::Nothing => wit::Reading::Nothing,
            Reading::Reply(bytes) => wit::Reading::Reply(bytes),
            Reading::Question(asked) => wit::Reading::Question(wit::Asked {
                name: asked.name,
                sought: match asked.sought {
                    Sought::Ipv4 => wit::Sought::Ipv4,
                    Sought::Ipv6 => wit::Sought::Ipv6,
                    Sought::Other => wit::Sought::Other,
                },
            }),
        }
    }

    fn answer(message: Vec<u8>, carrier: wit::Carrier, verdict: wit::Verdict) -> Vec<u8> {
        panic::install();
        answer(&message, carrier.into(), &verdict.into())
    }
}

impl From<wit::Carrier> for Carrier {
    fn from(carrier: wit::Carrier) -> Self {
        match carrier {
            wit::Carrier::Datagram => Carrier::Datagram,
            wit::Carrier::Stream => Carrier::Stream,
        }
    }
}

impl From<wit::Verdict> for Verdict {
    fn from(verdict: wit::Verdict) -> Self {
        match verdict {
            wit::Verdict::Found(found) => Verdict::Found {
                aliases: found.aliases,
                addresses: found.addresses.into_iter().map(address).collect(),
                ttl_s: found.ttl_s,
            },
            wit::Verdict::NoSuchRecord => Verdict::NoSuchRecord,
            wit::Verdict::NoSuchName => Verdict::NoSuchName,
            wit::Verdict::Refused(why) => Verdict::Refused(why),
            wit::Verdict::Failed => Verdict::Failed,
        }
    }
}

fn address(address: wit::Address) -> IpAddr {
    match address {
        wit::Address::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
        wit::Address::Ipv6((a, b, c, d, e, f, g, h)) => {
            Ipv6Addr::new(a, b, c, d, e, f, g, h).into()
        }
    }
}
