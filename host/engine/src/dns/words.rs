//! Between the types of `wit/dns` and those of the messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fumehood_control::{
    AnswerSource, Mismatch, NameAnswer, NameCause, NameEvent, NameFailure, NameServer, NameStep,
    NameTransport, RecordData, RecordType, ResolverSetup, Security, ServerProtocol, ServiceBinding,
    ServiceParameter, TrustAnchor, Unresolved, Wanted,
};

use super::bindings::fumehood::dns::types as wire;
use super::inbox::Outcome;
use crate::driver::bindings::wasi::sockets::network::IpAddress;
use crate::instance::bounded;

/// Most records of an answer, as `wit/dns` has it.
const MAX_RECORDS: usize = 256;

/// Most aliases of an answer, likewise.
const MAX_ALIASES: usize = 16;

/// Most steps of an answer, likewise.
const MAX_STEPS: usize = 64;

pub(super) fn config(setup: &ResolverSetup) -> wire::Config {
    wire::Config {
        servers: setup.servers.iter().map(server).collect(),
        search: setup.search.iter().map(ToString::to_string).collect(),
        ndots: setup.ndots,
        timeout_ms: setup.timeout_ms,
        attempts: setup.attempts,
        rotate: setup.rotate,
        edns: true,
        trust_authentic: setup.trust_authentic,
        dnssec: setup
            .dnssec
            .as_ref()
            .map(|anchors| anchors.iter().map(anchor).collect()),
        hosts: setup
            .hosts
            .iter()
            .map(|line| wire::HostEntry {
                address: to_wire(line.address),
                names: line.names.iter().map(ToString::to_string).collect(),
            })
            .collect(),
    }
}

fn anchor(anchor: &TrustAnchor) -> wire::TrustAnchor {
    wire::TrustAnchor {
        zone: match &anchor.zone {
            None => ".".to_owned(),
            Some(zone) => zone.to_string(),
        },
        key_tag: anchor.key_tag,
        algorithm: anchor.algorithm,
        digest_type: anchor.digest_type,
        digest: anchor.digest.clone(),
    }
}

fn server(server: &NameServer) -> wire::Server {
    wire::Server {
        address: to_wire(server.address.ip()),
        port: server.address.port(),
        protocol: match &server.protocol {
            ServerProtocol::Plain => wire::Protocol::Plain,
            ServerProtocol::Tls(name) => wire::Protocol::Tls(name.clone()),
            ServerProtocol::Https(url) => wire::Protocol::Https(url.clone()),
        },
    }
}

/// The setup's server that the guest means, if there is one.
pub(super) fn find_server<'a>(
    setup: &'a ResolverSetup,
    meant: &wire::Server,
) -> Option<&'a NameServer> {
    let address = (from_wire(meant.address), meant.port).into();
    let protocol = match &meant.protocol {
        wire::Protocol::Plain => ServerProtocol::Plain,
        wire::Protocol::Tls(name) => ServerProtocol::Tls(name.clone()),
        wire::Protocol::Https(url) => ServerProtocol::Https(url.clone()),
    };
    let meant = NameServer { address, protocol };
    setup.servers.iter().find(|server| **server == meant)
}

pub(super) fn wanted(wanted: Wanted) -> wire::Wanted {
    match wanted {
        Wanted::Addresses => wire::Wanted::Addresses,
        Wanted::Records(kind) => wire::Wanted::Records(match kind {
            RecordType::A => wire::RecordType::A,
            RecordType::Aaaa => wire::RecordType::Aaaa,
            RecordType::Caa => wire::RecordType::Caa,
            RecordType::Cname => wire::RecordType::Cname,
            RecordType::Dnskey => wire::RecordType::Dnskey,
            RecordType::Ds => wire::RecordType::Ds,
            RecordType::Https => wire::RecordType::Https,
            RecordType::Mx => wire::RecordType::Mx,
            RecordType::Ns => wire::RecordType::Ns,
            RecordType::Ptr => wire::RecordType::Ptr,
            RecordType::Soa => wire::RecordType::Soa,
            RecordType::Srv => wire::RecordType::Srv,
            RecordType::Svcb => wire::RecordType::Svcb,
            RecordType::Txt => wire::RecordType::Txt,
        }),
    }
}

fn record_type(kind: wire::RecordType) -> RecordType {
    match kind {
        wire::RecordType::A => RecordType::A,
        wire::RecordType::Aaaa => RecordType::Aaaa,
        wire::RecordType::Caa => RecordType::Caa,
        wire::RecordType::Cname => RecordType::Cname,
        wire::RecordType::Dnskey => RecordType::Dnskey,
        wire::RecordType::Ds => RecordType::Ds,
        wire::RecordType::Https => RecordType::Https,
        wire::RecordType::Mx => RecordType::Mx,
        wire::RecordType::Ns => RecordType::Ns,
        wire::RecordType::Ptr => RecordType::Ptr,
        wire::RecordType::Soa => RecordType::Soa,
        wire::RecordType::Srv => RecordType::Srv,
        wire::RecordType::Svcb => RecordType::Svcb,
        wire::RecordType::Txt => RecordType::Txt,
    }
}

/// What a guest answers, if it keeps to its bounds.
///
/// # Errors
/// What it has too many of.
pub(super) fn outcome(
    outcome: Result<wire::Answer, wire::Failure>,
) -> Result<Outcome, &'static str> {
    match outcome {
        Ok(told) if told.records.len() > MAX_RECORDS => Err("too many records"),
        Ok(told) if told.aliases.len() > MAX_ALIASES => Err("too many aliases"),
        Ok(told) => Ok(Ok(answer(told)?)),
        Err(told) => Ok(Err(Unresolved::Failure(NameFailure {
            name: told.name,
            cause: cause(told.cause),
            ttl_s: told.ttl_s,
            security: told.security.map(security),
            steps: steps(told.steps)?,
        }))),
    }
}

fn answer(told: wire::Answer) -> Result<NameAnswer, &'static str> {
    Ok(NameAnswer {
        name: told.name,
        aliases: told.aliases,
        records: told.records.into_iter().map(record).collect(),
        ttl_s: told.ttl_s,
        authentic: told.authentic,
        security: told.security.map(security),
        source: match told.source {
            wire::Source::Cache => AnswerSource::Cache,
            wire::Source::HostTable => AnswerSource::HostTable,
            wire::Source::BuiltIn => AnswerSource::BuiltIn,
            wire::Source::Server(index) => AnswerSource::Server(index),
        },
        steps: steps(told.steps)?,
    })
}

fn security(told: wire::Security) -> Security {
    match told {
        wire::Security::Secure => Security::Secure,
        wire::Security::Insecure => Security::Insecure,
        wire::Security::Indeterminate => Security::Indeterminate,
    }
}

fn record(data: wire::RecordData) -> RecordData {
    match data {
        wire::RecordData::A(it) => RecordData::A(v4(it)),
        wire::RecordData::Aaaa(it) => RecordData::Aaaa(v6(it)),
        wire::RecordData::Caa(it) => RecordData::Caa {
            critical: it.critical,
            tag: it.tag,
            value: it.value,
        },
        wire::RecordData::Cname(name) => RecordData::Cname(name),
        wire::RecordData::Dnskey(it) => RecordData::Dnskey {
            flags: it.flags,
            protocol: it.protocol,
            algorithm: it.algorithm,
            key: it.key,
        },
        wire::RecordData::Ds(it) => RecordData::Ds {
            key_tag: it.key_tag,
            algorithm: it.algorithm,
            digest_type: it.digest_type,
            digest: it.digest,
        },
        wire::RecordData::Https(it) => RecordData::Https(binding(it)),
        wire::RecordData::Mx(it) => RecordData::Mx {
            preference: it.preference,
            exchange: it.exchange,
        },
        wire::RecordData::Ns(name) => RecordData::Ns(name),
        wire::RecordData::Ptr(name) => RecordData::Ptr(name),
        wire::RecordData::Soa(it) => RecordData::Soa {
            primary: it.primary,
            mailbox: it.mailbox,
            serial: it.serial,
            refresh_s: it.refresh_s,
            retry_s: it.retry_s,
            expire_s: it.expire_s,
            minimum_s: it.minimum_s,
        },
        wire::RecordData::Srv(it) => RecordData::Srv {
            priority: it.priority,
            weight: it.weight,
            port: it.port,
            target: it.target,
        },
        wire::RecordData::Svcb(it) => RecordData::Svcb(binding(it)),
        wire::RecordData::Txt(strings) => RecordData::Txt(strings),
    }
}

fn binding(it: wire::ServiceBinding) -> ServiceBinding {
    let parameter = |it: wire::ServiceParameter| match it {
        wire::ServiceParameter::Mandatory(keys) => ServiceParameter::Mandatory(keys),
        wire::ServiceParameter::Alpn(ids) => ServiceParameter::Alpn(ids),
        wire::ServiceParameter::NoDefaultAlpn => ServiceParameter::NoDefaultAlpn,
        wire::ServiceParameter::Port(port) => ServiceParameter::Port(port),
        wire::ServiceParameter::Ipv4Hint(them) => {
            ServiceParameter::Ipv4Hint(them.into_iter().map(v4).collect())
        }
        wire::ServiceParameter::Ech(bytes) => ServiceParameter::Ech(bytes),
        wire::ServiceParameter::Ipv6Hint(them) => {
            ServiceParameter::Ipv6Hint(them.into_iter().map(v6).collect())
        }
        wire::ServiceParameter::Other((key, value)) => ServiceParameter::Other(key, value),
    };
    ServiceBinding {
        priority: it.priority,
        target: it.target,
        parameters: it.parameters.into_iter().map(parameter).collect(),
    }
}

fn steps(steps: Vec<wire::Step>) -> Result<Vec<NameStep>, &'static str> {
    if steps.len() > MAX_STEPS {
        return Err("too many steps");
    }
    let step = |it: wire::Step| NameStep {
        at_us: it.at_us,
        event: event(it.event),
    };
    Ok(steps.into_iter().map(step).collect())
}

fn event(event: wire::Event) -> NameEvent {
    match event {
        wire::Event::Sent(it) => NameEvent::Sent {
            server: it.server,
            transport: match it.transport {
                wire::Transport::Udp => NameTransport::Udp,
                wire::Transport::Tcp => NameTransport::Tcp,
                wire::Transport::Tls => NameTransport::Tls,
                wire::Transport::Https => NameTransport::Https,
            },
            name: it.name,
            record_type: record_type(it.record_type),
        },
        wire::Event::Received(it) => NameEvent::Received {
            response_code: it.response_code,
            bytes: it.bytes,
        },
        wire::Event::Truncated => NameEvent::Truncated,
        wire::Event::Ignored(it) => NameEvent::Ignored(match it {
            wire::Mismatch::Header => Mismatch::Header,
            wire::Mismatch::Sender => Mismatch::Sender,
            wire::Mismatch::Id => Mismatch::Id,
            wire::Mismatch::Question => Mismatch::Question,
            wire::Mismatch::Letters => Mismatch::Letters,
        }),
        wire::Event::TimedOut => NameEvent::TimedOut,
        wire::Event::Broken(why) => NameEvent::Broken(bounded(&why)),
        wire::Event::WithoutEdns => NameEvent::WithoutEdns,
        wire::Event::Bogus(why) => NameEvent::Bogus(bounded(&why)),
        wire::Event::Alias(name) => NameEvent::Alias(name),
        wire::Event::CacheHit => NameEvent::CacheHit,
        wire::Event::Joined => NameEvent::Joined,
    }
}

fn cause(cause: wire::Cause) -> NameCause {
    match cause {
        wire::Cause::NoSuchName => NameCause::NoSuchName,
        wire::Cause::NoSuchRecord => NameCause::NoSuchRecord,
        wire::Cause::BadName(why) => NameCause::BadName(bounded(&why)),
        wire::Cause::SpecialName(why) => NameCause::SpecialName(bounded(&why)),
        wire::Cause::PrivateAddress(address) => NameCause::PrivateAddress(from_wire(address)),
        wire::Cause::ServerFailure(code) => NameCause::ServerFailure(code),
        wire::Cause::Malformed(how) => NameCause::Malformed(bounded(&how)),
        wire::Cause::Bogus(why) => NameCause::Bogus(bounded(&why)),
        wire::Cause::AliasLoop => NameCause::AliasLoop,
        wire::Cause::Timeout => NameCause::Timeout,
        wire::Cause::Unreachable(why) => NameCause::Unreachable(bounded(&why)),
        wire::Cause::NoServers => NameCause::NoServers,
        wire::Cause::Busy => NameCause::Busy,
    }
}

fn to_wire(address: IpAddr) -> IpAddress {
    match address {
        IpAddr::V4(it) => {
            let [a, b, c, d] = it.octets();
            IpAddress::Ipv4((a, b, c, d))
        }
        IpAddr::V6(it) => {
            let [a, b, c, d, e, f, g, h] = it.segments();
            IpAddress::Ipv6((a, b, c, d, e, f, g, h))
        }
    }
}

fn from_wire(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4(it) => v4(it).into(),
        IpAddress::Ipv6(it) => v6(it).into(),
    }
}

fn v4((a, b, c, d): (u8, u8, u8, u8)) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

fn v6(it: (u16, u16, u16, u16, u16, u16, u16, u16)) -> Ipv6Addr {
    let (a, b, c, d, e, f, g, h) = it;
    Ipv6Addr::new(a, b, c, d, e, f, g, h)
}
