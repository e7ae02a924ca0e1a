//! The steps of a lookup, for people and programs.

use std::fmt::Write as _;

use fumehood::control::{Mismatch, NameEvent, NameServer, NameStep, NameTransport};
use serde_json::{Value, json};

use super::server;
use crate::cli::escape::for_terminal;

/// A line a step.
pub(super) fn text(steps: &[NameStep], servers: &[NameServer]) -> String {
    let mut text = String::new();
    for step in steps {
        let told = told(&step.event, servers);
        let told = for_terminal(told.as_bytes());
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{:>8} µs  {told}", step.at_us);
    }
    text
}

pub(super) fn json(steps: &[NameStep], servers: &[NameServer]) -> Value {
    let step = |step: &NameStep| {
        json!({
            "at_us": step.at_us,
            "event": name(&step.event),
            "detail": told(&step.event, servers),
        })
    };
    steps.iter().map(step).collect()
}

fn told(event: &NameEvent, servers: &[NameServer]) -> String {
    match event {
        NameEvent::Sent {
            server: index,
            transport,
            name,
            record_type,
        } => {
            let transport = match transport {
                NameTransport::Udp => "UDP",
                NameTransport::Tcp => "TCP",
                NameTransport::Tls => "TLS",
                NameTransport::Https => "HTTPS",
            };
            let server = server(*index, servers);
            format!("asked {server} over {transport}: {name} {record_type}")
        }
        NameEvent::Received {
            response_code,
            bytes,
        } => format!("a reply of {bytes} bytes, {}", response(*response_code)),
        NameEvent::Truncated => "it did not fit; asking over TCP".to_owned(),
        NameEvent::Ignored(why) => {
            let why = match why {
                Mismatch::Header => "it is no reply",
                Mismatch::Sender => "from somebody else",
                Mismatch::Id => "under another ID",
                Mismatch::Question => "to another question",
                Mismatch::Letters => "in other letters",
            };
            format!("a reply was passed over: {why}")
        }
        NameEvent::TimedOut => "no reply in time".to_owned(),
        NameEvent::Broken(why) => format!("no reply: {why}"),
        NameEvent::WithoutEdns => "the server does not know EDNS; asking without".to_owned(),
        NameEvent::Alias(name) => format!("it is an alias of {name}"),
        NameEvent::CacheHit => "the cache has it".to_owned(),
        NameEvent::Joined => "the same is being asked already".to_owned(),
        NameEvent::Bogus(why) => format!("the reply is bogus: {why}"),
    }
}

/// An event's name in JSON; never changes.
fn name(event: &NameEvent) -> &'static str {
    match event {
        NameEvent::Sent { .. } => "sent",
        NameEvent::Received { .. } => "received",
        NameEvent::Truncated => "truncated",
        NameEvent::Ignored(_) => "ignored",
        NameEvent::TimedOut => "timed-out",
        NameEvent::Broken(_) => "broken",
        NameEvent::WithoutEdns => "without-edns",
        NameEvent::Alias(_) => "alias",
        NameEvent::CacheHit => "cache-hit",
        NameEvent::Joined => "joined",
        NameEvent::Bogus(_) => "bogus",
    }
}

/// A response code's mnemonic (IANA registry "DNS RCODEs").
fn response(code: u16) -> String {
    let known = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
    ];
    match known.get(usize::from(code)) {
        Some(name) => (*name).to_owned(),
        None => format!("response code {code}"),
    }
}
