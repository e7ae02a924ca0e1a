//! The types of the world's interfaces to ours and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::bindings::fumehood::dns::{secure, types as wit};
use super::bindings::wasi::sockets::network::{
    IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use crate::types::{
    Answer, Cause, Config, Failure, Happening, HostEntry, Mismatch, PrivateAnswers, Protocol,
    Query, RecordData, RecordType, Security, Server, ServiceBinding, ServiceParameter, Source,
    Step, Transport, TrustAnchor, Wanted, ZoneAuthority,
};

pub(super) fn family_of(address: SocketAddr) -> IpAddressFamily {
    if address.is_ipv4() {
        IpAddressFamily::Ipv4
    } else {
        IpAddressFamily::Ipv6
    }
}

/// Any address and port of the same family.
pub(super) fn unspecified(like: SocketAddr) -> IpSocketAddress {
    let address = if like.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    to_socket_address(SocketAddr::new(address, 0))
}

pub(super) fn to_socket_address(address: SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(it) => IpSocketAddress::Ipv4(Ipv4SocketAddress {
            port: it.port(),
            address: v4(*it.ip()),
        }),
        SocketAddr::V6(it) => IpSocketAddress::Ipv6(Ipv6SocketAddress {
            port: it.port(),
            flow_info: it.flowinfo(),
            address: v6(*it.ip()),
            scope_id: it.scope_id(),
        }),
    }
}

pub(super) fn socket_address(address: IpSocketAddress) -> SocketAddr {
    match address {
        IpSocketAddress::Ipv4(it) => {
            SocketAddr::new(ip_address(IpAddress::Ipv4(it.address)), it.port)
        }
        IpSocketAddress::Ipv6(it) => {
            SocketAddr::new(ip_address(IpAddress::Ipv6(it.address)), it.port)
        }
    }
}

fn ip_address(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => Ipv6Addr::new(a, b, c, d, e, f, g, h).into(),
    }
}

fn to_ip_address(address: IpAddr) -> IpAddress {
    match address {
        IpAddr::V4(it) => IpAddress::Ipv4(v4(it)),
        IpAddr::V6(it) => IpAddress::Ipv6(v6(it)),
    }
}

fn v4(address: Ipv4Addr) -> (u8, u8, u8, u8) {
    let [a, b, c, d] = address.octets();
    (a, b, c, d)
}

fn v6(address: Ipv6Addr) -> (u16, u16, u16, u16, u16, u16, u16, u16) {
    let [a, b, c, d, e, f, g, h] = address.segments();
    (a, b, c, d, e, f, g, h)
}

pub(super) fn server(server: Server) -> wit::Server {
    wit::Server {
        address: to_ip_address(server.address.ip()),
        port: server.address.port(),
        protocol: match server.protocol {
            Protocol::Plain => wit::Protocol::Plain,
            Protocol::Tls(name) => wit::Protocol::Tls(name),
            Protocol::Https(url) => wit::Protocol::Https(url),
        },
    }
}

pub(super) fn secure_error(error: secure::Error) -> String {
    match error {
        secure::Error::Connect(why) | secure::Error::Tls(why) | secure::Error::Http(why) => why,
        secure::Error::Denied => "the grant does not cover this server".to_owned(),
        secure::Error::Unsupported => "the host offers no encrypted transport".to_owned(),
    }
}

impl From<wit::Config> for Config {
    fn from(config: wit::Config) -> Self {
        Config {
            servers: config.servers.into_iter().map(Into::into).collect(),
            search: config.search,
            ndots: config.ndots,
            timeout: Duration::from_millis(config.timeout_ms.into()),
            attempts: config.attempts,
            rotate: config.rotate,
            edns: config.edns,
            trust_authentic: config.trust_authentic,
            dnssec: config
                .dnssec
                .map(|anchors| anchors.into_iter().map(Into::into).collect()),
            hosts: config.hosts.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<wit::TrustAnchor> for TrustAnchor {
    fn from(anchor: wit::TrustAnchor) -> Self {
        TrustAnchor {
            zone: anchor.zone,
            key_tag: anchor.key_tag,
            algorithm: anchor.algorithm,
            digest_type: anchor.digest_type,
            digest: anchor.digest,
        }
    }
}

impl From<wit::Server> for Server {
    fn from(server: wit::Server) -> Self {
        Server {
            address: SocketAddr::new(ip_address(server.address), server.port),
            protocol: match server.protocol {
                wit::Protocol::Plain => Protocol::Plain,
                wit::Protocol::Tls(name) => Protocol::Tls(name),
                wit::Protocol::Https(url) => Protocol::Https(url),
            },
        }
    }
}

impl From<wit::HostEntry> for HostEntry {
    fn from(entry: wit::HostEntry) -> Self {
        HostEntry {
            address: ip_address(entry.address),
            names: entry.names,
        }
    }
}

impl From<wit::Query> for Query {
    fn from(query: wit::Query) -> Self {
        Query {
            id: query.id,
            name: query.name,
            wanted: match query.wanted {
                wit::Wanted::Addresses => Wanted::Addresses,
                wit::Wanted::Records(kind) => Wanted::Records(kind.into()),
            },
            cached: query.cached,
            traced: query.traced,
            private_answers: match query.private_answers {
                wit::PrivateAnswers::Answered => PrivateAnswers::Answered,
                wit::PrivateAnswers::Refused => PrivateAnswers::Refused,
            },
        }
    }
}

impl From<wit::RecordType> for RecordType {
    fn from(kind: wit::RecordType) -> Self {
        match kind {
            wit::RecordType::A => RecordType::A,
            wit::RecordType::Aaaa => RecordType::Aaaa,
            wit::RecordType::Caa => RecordType::Caa,
            wit::RecordType::Cname => RecordType::Cname,
            wit::RecordType::Dnskey => RecordType::Dnskey,
            wit::RecordType::Ds => RecordType::Ds,
            wit::RecordType::Https => RecordType::Https,
            wit::RecordType::Mx => RecordType::Mx,
            wit::RecordType::Ns => RecordType::Ns,
            wit::RecordType::Ptr => RecordType::Ptr,
            wit::RecordType::Soa => RecordType::Soa,
            wit::RecordType::Srv => RecordType::Srv,
            wit::RecordType::Svcb => RecordType::Svcb,
            wit::RecordType::Txt => RecordType::Txt,
        }
    }
}

impl From<RecordType> for wit::RecordType {
    fn from(kind: RecordType) -> Self {
        match kind {
            RecordType::A => wit::RecordType::A,
            RecordType::Aaaa => wit::RecordType::Aaaa,
            RecordType::Caa => wit::RecordType::Caa,
            RecordType::Cname => wit::RecordType::Cname,
            RecordType::Dnskey => wit::RecordType::Dnskey,
            RecordType::Ds => wit::RecordType::Ds,
            RecordType::Https => wit::RecordType::Https,
            RecordType::Mx => wit::RecordType::Mx,
            RecordType::Ns => wit::RecordType::Ns,
            RecordType::Ptr => wit::RecordType::Ptr,
            RecordType::Soa => wit::RecordType::Soa,
            RecordType::Srv => wit::RecordType::Srv,
            RecordType::Svcb => wit::RecordType::Svcb,
            RecordType::Txt => wit::RecordType::Txt,
        }
    }
}

impl From<Answer> for wit::Answer {
    fn from(answer: Answer) -> Self {
        wit::Answer {
            name: answer.name,
            aliases: answer.aliases,
            records: answer.records.into_iter().map(Into::into).collect(),
            ttl_s: answer.ttl_s,
            authentic: answer.authentic,
            security: answer.security.map(Into::into),
            source: match answer.source {
                Source::Cache => wit::Source::Cache,
                Source::HostTable => wit::Source::HostTable,
                Source::BuiltIn => wit::Source::BuiltIn,
                Source::Server(index) => wit::Source::Server(index),
            },
            steps: answer.steps.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Failure> for wit::Failure {
    fn from(failure: Failure) -> Self {
        wit::Failure {
            name: failure.name,
            cause: failure.cause.into(),
            ttl_s: failure.ttl_s,
            security: failure.security.map(Into::into),
            steps: failure.steps.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Security> for wit::Security {
    fn from(security: Security) -> Self {
        match security {
            Security::Secure => wit::Security::Secure,
            Security::Insecure => wit::Security::Insecure,
            Security::Indeterminate => wit::Security::Indeterminate,
        }
    }
}

impl From<Cause> for wit::Cause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::NoSuchName => wit::Cause::NoSuchName,
            Cause::NoSuchRecord => wit::Cause::NoSuchRecord,
            Cause::BadName(why) => wit::Cause::BadName(why),
            Cause::SpecialName(why) => wit::Cause::SpecialName(why.to_owned()),
            Cause::PrivateAddress(address) => wit::Cause::PrivateAddress(to_ip_address(address)),
            Cause::ServerFailure(code) => wit::Cause::ServerFailure(code),
            Cause::Malformed(why) => wit::Cause::Malformed(why),
            Cause::Bogus(why) => wit::Cause::Bogus(why),
            Cause::AliasLoop => wit::Cause::AliasLoop,
            Cause::Timeout => wit::Cause::Timeout,
            Cause::Unreachable(why) => wit::Cause::Unreachable(why),
            Cause::NoServers => wit::Cause::NoServers,
            Cause::Busy => wit::Cause::Busy,
        }
    }
}

impl From<RecordData> for wit::RecordData {
    fn from(data: RecordData) -> Self {
        match data {
            RecordData::A(it) => wit::RecordData::A(v4(it)),
            RecordData::Aaaa(it) => wit::RecordData::Aaaa(v6(it)),
            RecordData::Caa {
                critical,
                tag,
                value,
            } => wit::RecordData::Caa(wit::CertificationAuthority {
                critical,
                tag,
                value,
            }),
            RecordData::Cname(it) => wit::RecordData::Cname(it),
            RecordData::Dnskey {
                flags,
                protocol,
                algorithm,
                key,
            } => wit::RecordData::Dnskey(wit::ZoneKey {
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
            } => wit::RecordData::Ds(wit::DelegationSigner {
                key_tag,
                algorithm,
                digest_type,
                digest,
            }),
            RecordData::Https(it) => wit::RecordData::Https(it.into()),
            RecordData::Mx {
                preference,
                exchange,
            } => wit::RecordData::Mx(wit::MailExchange {
                preference,
                exchange,
            }),
            RecordData::Ns(it) => wit::RecordData::Ns(it),
            RecordData::Ptr(it) => wit::RecordData::Ptr(it),
            RecordData::Soa(it) => wit::RecordData::Soa(it.into()),
            RecordData::Srv {
                priority,
                weight,
                port,
                target,
            } => wit::RecordData::Srv(wit::ServiceLocation {
                priority,
                weight,
                port,
                target,
            }),
            RecordData::Svcb(it) => wit::RecordData::Svcb(it.into()),
            RecordData::Txt(it) => wit::RecordData::Txt(it),
        }
    }
}

impl From<ZoneAuthority> for wit::ZoneAuthority {
    fn from(soa: ZoneAuthority) -> Self {
        wit::ZoneAuthority {
            primary: soa.primary,
            mailbox: soa.mailbox,
            serial: soa.serial,
            refresh_s: soa.refresh_s,
            retry_s: soa.retry_s,
            expire_s: soa.expire_s,
            minimum_s: soa.minimum_s,
        }
    }
}

impl From<ServiceBinding> for wit::ServiceBinding {
    fn from(binding: ServiceBinding) -> Self {
        wit::ServiceBinding {
            priority: binding.priority,
            target: binding.target,
            parameters: binding.parameters.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<ServiceParameter> for wit::ServiceParameter {
    fn from(parameter: ServiceParameter) -> Self {
        match parameter {
            ServiceParameter::Mandatory(keys) => wit::ServiceParameter::Mandatory(keys),
            ServiceParameter::Alpn(names) => wit::ServiceParameter::Alpn(names),
            ServiceParameter::NoDefaultAlpn => wit::ServiceParameter::NoDefaultAlpn,
            ServiceParameter::Port(port) => wit::ServiceParameter::Port(port),
            ServiceParameter::Ipv4Hint(hints) => {
                wit::ServiceParameter::Ipv4Hint(hints.into_iter().map(v4).collect())
            }
            ServiceParameter::Ech(bytes) => wit::ServiceParameter::Ech(bytes),
            ServiceParameter::Ipv6Hint(hints) => {
                wit::ServiceParameter::Ipv6Hint(hints.into_iter().map(v6).collect())
            }
            ServiceParameter::Other(key, value) => wit::ServiceParameter::Other((key, value)),
        }
    }
}

impl From<Step> for wit::Step {
    fn from(step: Step) -> Self {
        wit::Step {
            at_us: u64::try_from(step.at.as_micros()).unwrap_or(u64::MAX),
            event: step.happening.into(),
        }
    }
}

impl From<Happening> for wit::Event {
    fn from(happening: Happening) -> Self {
        match happening {
            Happening::Sent {
                server,
                transport,
                name,
                record_type,
            } => wit::Event::Sent(wit::Sending {
                server,
                transport: match transport {
                    Transport::Udp => wit::Transport::Udp,
                    Transport::Tcp => wit::Transport::Tcp,
                    Transport::Tls => wit::Transport::Tls,
                    Transport::Https => wit::Transport::Https,
                },
                name,
                record_type: record_type.into(),
            }),
            Happening::Received {
                response_code,
                bytes,
            } => wit::Event::Received(wit::Receipt {
                response_code,
                bytes,
            }),
            Happening::Truncated => wit::Event::Truncated,
            Happening::Ignored(mismatch) => wit::Event::Ignored(match mismatch {
                Mismatch::Header => wit::Mismatch::Header,
                Mismatch::Sender => wit::Mismatch::Sender,
                Mismatch::Id => wit::Mismatch::Id,
                Mismatch::Question => wit::Mismatch::Question,
                Mismatch::Letters => wit::Mismatch::Letters,
            }),
            Happening::TimedOut => wit::Event::TimedOut,
            Happening::Broken(why) => wit::Event::Broken(why),
            Happening::WithoutEdns => wit::Event::WithoutEdns,
            Happening::Bogus(why) => wit::Event::Bogus(why),
            Happening::Alias(name) => wit::Event::Alias(name),
            Happening::CacheHit => wit::Event::CacheHit,
            Happening::Joined => wit::Event::Joined,
        }
    }
}
