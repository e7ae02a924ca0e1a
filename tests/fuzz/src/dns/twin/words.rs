//! The native resolver's types as the guest behind glass has them, written a second time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fumehood_engine::fuzz::resolver::types::{self as wire, IpAddress};
use fumehood_engine::fuzz::resolver::{Error, ErrorCode};
use fumehood_guest_dns::{
    Answer, Cause, Config, Failure, Happening, Mismatch, PrivateAnswers, Protocol, Query,
    RecordData, RecordType, Security, Server, ServiceBinding, ServiceParameter, Source, Step,
    Transport, Wanted,
};

pub(super) fn config(config: &Config) -> wire::Config {
    let anchor = |it: &fumehood_guest_dns::TrustAnchor| wire::TrustAnchor {
        zone: it.zone.clone(),
        key_tag: it.key_tag,
        algorithm: it.algorithm,
        digest_type: it.digest_type,
        digest: it.digest.clone(),
    };
    let anchors = config.dnssec.as_ref();
    wire::Config {
        servers: config.servers.iter().map(server).collect(),
        search: config.search.clone(),
        ndots: config.ndots,
        timeout_ms: u32::try_from(config.timeout.as_millis()).unwrap_or(u32::MAX),
        attempts: config.attempts,
        rotate: config.rotate,
        edns: config.edns,
        trust_authentic: config.trust_authentic,
        dnssec: anchors.map(|them| them.iter().map(anchor).collect()),
        hosts: Vec::new(),
    }
}

pub(super) fn server(server: &Server) -> wire::Server {
    wire::Server {
        address: address(server.address.ip()),
        port: server.address.port(),
        protocol: match &server.protocol {
            Protocol::Plain => wire::Protocol::Plain,
            Protocol::Tls(name) => wire::Protocol::Tls(name.clone()),
            Protocol::Https(url) => wire::Protocol::Https(url.clone()),
        },
    }
}

pub(super) fn query(query: &Query) -> wire::Query {
    wire::Query {
        id: query.id,
        name: query.name.clone(),
        wanted: match query.wanted {
            Wanted::Addresses => wire::Wanted::Addresses,
            Wanted::Records(kind) => wire::Wanted::Records(record_type(kind)),
        },
        cached: query.cached,
        traced: query.traced,
        private_answers: match query.private_answers {
            PrivateAnswers::Answered => wire::PrivateAnswers::Answered,
            PrivateAnswers::Refused => wire::PrivateAnswers::Refused,
        },
    }
}

pub(super) fn outcome(outcome: Result<Answer, Failure>) -> Result<wire::Answer, wire::Failure> {
    match outcome {
        Ok(answer) => Ok(wire::Answer {
            name: answer.name,
            aliases: answer.aliases,
            records: answer.records.into_iter().map(record).collect(),
            ttl_s: answer.ttl_s,
            authentic: answer.authentic,
            security: answer.security.map(security),
            source: match answer.source {
                Source::Cache => wire::Source::Cache,
                Source::HostTable => wire::Source::HostTable,
                Source::BuiltIn => wire::Source::BuiltIn,
                Source::Server(index) => wire::Source::Server(index),
            },
            steps: answer.steps.into_iter().map(step).collect(),
        }),
        Err(failure) => Err(wire::Failure {
            name: failure.name,
            cause: cause(failure.cause),
            ttl_s: failure.ttl_s,
            security: failure.security.map(security),
            steps: failure.steps.into_iter().map(step).collect(),
        }),
    }
}

/// What people are told of a socket's failure, of those that there are here.
pub(super) fn describe(code: ErrorCode) -> String {
    match code {
        ErrorCode::AccessDenied => "the grant does not cover this server",
        ErrorCode::ConnectionRefused => "connection refused",
        ErrorCode::ConnectionReset => "connection reset",
        ErrorCode::RemoteUnreachable => "host unreachable",
        ErrorCode::Timeout => "connection timed out",
        ErrorCode::NewSocketLimit => "new socket limit",
        ErrorCode::WouldBlock => "would block",
        _ => "unknown",
    }
    .to_owned()
}

/// The same of what is encrypted.
pub(super) fn describe_secure(error: Error) -> String {
    match error {
        Error::Connect(why) | Error::Tls(why) | Error::Http(why) => why,
        Error::Denied => "the grant does not cover this server".to_owned(),
        Error::Unsupported => "the host offers no encrypted transport".to_owned(),
    }
}

fn security(it: Security) -> wire::Security {
    match it {
        Security::Secure => wire::Security::Secure,
        Security::Insecure => wire::Security::Insecure,
        Security::Indeterminate => wire::Security::Indeterminate,
    }
}

fn cause(cause: Cause) -> wire::Cause {
    match cause {
        Cause::NoSuchName => wire::Cause::NoSuchName,
        Cause::NoSuchRecord => wire::Cause::NoSuchRecord,
        Cause::BadName(why) => wire::Cause::BadName(why),
        Cause::SpecialName(why) => wire::Cause::SpecialName(why.to_owned()),
        Cause::PrivateAddress(it) => wire::Cause::PrivateAddress(address(it)),
        Cause::ServerFailure(code) => wire::Cause::ServerFailure(code),
        Cause::Malformed(why) => wire::Cause::Malformed(why),
        Cause::Bogus(why) => wire::Cause::Bogus(why),
        Cause::AliasLoop => wire::Cause::AliasLoop,
        Cause::Timeout => wire::Cause::Timeout,
        Cause::Unreachable(why) => wire::Cause::Unreachable(why),
        Cause::NoServers => wire::Cause::NoServers,
        Cause::Busy => wire::Cause::Busy,
    }
}

fn record_type(kind: RecordType) -> wire::RecordType {
    match kind {
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
    }
}

fn record(data: RecordData) -> wire::RecordData {
    match data {
        RecordData::A(it) => wire::RecordData::A(v4(it)),
        RecordData::Aaaa(it) => wire::RecordData::Aaaa(v6(it)),
        RecordData::Caa {
            critical,
            tag,
            value,
        } => wire::RecordData::Caa(wire::CertificationAuthority {
            critical,
            tag,
            value,
        }),
        RecordData::Cname(it) => wire::RecordData::Cname(it),
        RecordData::Dnskey {
            flags,
            protocol,
            algorithm,
            key,
        } => wire::RecordData::Dnskey(wire::ZoneKey {
            flags,
            protocol,
            algorithm,
            key,
        }),
        RecordData::Ds {
            key_tag,
            algorithm,
            digest_type,
            digest,
        } => wire::RecordData::Ds(wire::DelegationSigner {
            key_tag,
            algorithm,
            digest_type,
            digest,
        }),
        RecordData::Https(it) => wire::RecordData::Https(binding(it)),
        RecordData::Mx {
            preference,
            exchange,
        } => wire::RecordData::Mx(wire::MailExchange {
            preference,
            exchange,
        }),
        RecordData::Ns(it) => wire::RecordData::Ns(it),
        RecordData::Ptr(it) => wire::RecordData::Ptr(it),
        RecordData::Soa(it) => wire::RecordData::Soa(wire::ZoneAuthority {
            primary: it.primary,
            mailbox: it.mailbox,
            serial: it.serial,
            refresh_s: it.refresh_s,
            retry_s: it.retry_s,
            expire_s: it.expire_s,
            minimum_s: it.minimum_s,
        }),
        RecordData::Srv {
            priority,
            weight,
            port,
            target,
        } => wire::RecordData::Srv(wire::ServiceLocation {
            priority,
            weight,
            port,
            target,
        }),
        RecordData::Svcb(it) => wire::RecordData::Svcb(binding(it)),
        RecordData::Txt(it) => wire::RecordData::Txt(it),
    }
}

fn binding(it: ServiceBinding) -> wire::ServiceBinding {
    let parameter = |it: ServiceParameter| match it {
        ServiceParameter::Mandatory(keys) => wire::ServiceParameter::Mandatory(keys),
        ServiceParameter::Alpn(names) => wire::ServiceParameter::Alpn(names),
        ServiceParameter::NoDefaultAlpn => wire::ServiceParameter::NoDefaultAlpn,
        ServiceParameter::Port(port) => wire::ServiceParameter::Port(port),
        ServiceParameter::Ipv4Hint(hints) => {
            wire::ServiceParameter::Ipv4Hint(hints.into_iter().map(v4).collect())
        }
        ServiceParameter::Ech(bytes) => wire::ServiceParameter::Ech(bytes),
        ServiceParameter::Ipv6Hint(hints) => {
            wire::ServiceParameter::Ipv6Hint(hints.into_iter().map(v6).collect())
        }
        ServiceParameter::Other(key, value) => wire::ServiceParameter::Other((key, value)),
    };
    wire::ServiceBinding {
        priority: it.priority,
        target: it.target,
        parameters: it.parameters.into_iter().map(parameter).collect(),
    }
}

fn step(step: Step) -> wire::Step {
    wire::Step {
        at_us: u64::try_from(step.at.as_micros()).unwrap_or(u64::MAX),
        event: match step.happening {
            Happening::Sent {
                server,
                transport,
                name,
                record_type: kind,
            } => wire::Event::Sent(wire::Sending {
                server,
                transport: match transport {
                    Transport::Udp => wire::Transport::Udp,
                    Transport::Tcp => wire::Transport::Tcp,
                    Transport::Tls => wire::Transport::Tls,
                    Transport::Https => wire::Transport::Https,
                },
                name,
                record_type: record_type(kind),
            }),
            Happening::Received {
                response_code,
                bytes,
            } => wire::Event::Received(wire::Receipt {
                response_code,
                bytes,
            }),
            Happening::Truncated => wire::Event::Truncated,
            Happening::Ignored(it) => wire::Event::Ignored(match it {
                Mismatch::Header => wire::Mismatch::Header,
                Mismatch::Sender => wire::Mismatch::Sender,
                Mismatch::Id => wire::Mismatch::Id,
                Mismatch::Question => wire::Mismatch::Question,
                Mismatch::Letters => wire::Mismatch::Letters,
            }),
            Happening::TimedOut => wire::Event::TimedOut,
            Happening::Broken(why) => wire::Event::Broken(why),
            Happening::WithoutEdns => wire::Event::WithoutEdns,
            Happening::Bogus(why) => wire::Event::Bogus(why),
            Happening::Alias(name) => wire::Event::Alias(name),
            Happening::CacheHit => wire::Event::CacheHit,
            Happening::Joined => wire::Event::Joined,
        },
    }
}

fn address(address: IpAddr) -> IpAddress {
    match address {
        IpAddr::V4(it) => IpAddress::Ipv4(v4(it)),
        IpAddr::V6(it) => IpAddress::Ipv6(v6(it)),
    }
}

fn v4(it: Ipv4Addr) -> (u8, u8, u8, u8) {
    let [a, b, c, d] = it.octets();
    (a, b, c, d)
}

fn v6(it: Ipv6Addr) -> (u16, u16, u16, u16, u16, u16, u16, u16) {
    let [a, b, c, d, e, f, g, h] = it.segments();
    (a, b, c, d, e, f, g, h)
}
