//! What is asked and answered; `wit/dns/dns.wit` explains each.
#![allow(missing_docs, reason = "described in wit/dns")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Names a query: chosen by the host, never used twice.
pub type QueryId = u64;

/// The time since some moment that stays the same.
pub type Time = Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    A,
    Aaaa,
    Caa,
    Cname,
    Dnskey,
    Ds,
    Https,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Svcb,
    Txt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Addresses,
    Records(RecordType),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub id: QueryId,
    pub name: String,
    pub wanted: Wanted,
    pub cached: bool,
    pub traced: bool,
    pub private_answers: PrivateAnswers,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceParameter {
    Mandatory(Vec<u16>),
    Alpn(Vec<String>),
    NoDefaultAlpn,
    Port(u16),
    Ipv4Hint(Vec<Ipv4Addr>),
    Ech(Vec<u8>),
    Ipv6Hint(Vec<Ipv6Addr>),
    Other(u16, Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceBinding {
    pub priority: u16,
    pub target: String,
    pub parameters: Vec<ServiceParameter>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneAuthority {
    pub primary: String,
    pub mailbox: String,
    pub serial: u32,
    pub refresh_s: u32,
    pub retry_s: u32,
    pub expire_s: u32,
    pub minimum_s: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordData {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Caa {
        critical: bool,
        tag: String,
        value: Vec<u8>,
    },
    Cname(String),
    Dnskey {
        flags: u16,
        protocol: u8,
        algorithm: u8,
        key: Vec<u8>,
    },
    Ds {
        key_tag: u16,
        algorithm: u8,
        digest_type: u8,
        digest: Vec<u8>,
    },
    Https(ServiceBinding),
    Mx {
        preference: u16,
        exchange: String,
    },
    Ns(String),
    Ptr(String),
    Soa(ZoneAuthority),
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: String,
    },
    Svcb(ServiceBinding),
    Txt(Vec<Vec<u8>>),
}

impl RecordData {
    /// The address in an A or AAAA record.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            RecordData::A(it) => Some((*it).into()),
            RecordData::Aaaa(it) => Some((*it).into()),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Cache,
    HostTable,
    BuiltIn,
    Server(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Https,
}

/// Why a reply is not the one that was waited for (RFC 5452 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    Header,
    Sender,
    Id,
    Question,
    Letters,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    Sent {
        server: u32,
        transport: Transport,
        name: String,
        record_type: RecordType,
    },
    Received {
        response_code: u16,
        bytes: u32,
    },
    Truncated,
    Ignored(Mismatch),
    TimedOut,
    Broken(String),
    WithoutEdns,
    Bogus(String),
    Alias(String),
    CacheHit,
    Joined,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Since the query was taken.
    pub at: Duration,
    pub happening: Happening,
}

/// What DNSSEC makes of an answer (RFC 4035 section 4.3), the best first. What is
/// bogus is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Security {
    Secure,
    Insecure,
    Indeterminate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub name: String,
    pub aliases: Vec<String>,
    pub records: Vec<RecordData>,
    pub ttl_s: u32,
    pub authentic: bool,
    pub security: Option<Security>,
    pub source: Source,
    pub steps: Vec<Step>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("the name does not exist")]
    NoSuchName,
    #[error("the name has no record of this type")]
    NoSuchRecord,
    #[error("it is no name: {0}")]
    BadName(String),
    #[error("the name never leaves this machine: {0}")]
    SpecialName(&'static str),
    #[error("its address {0} is private")]
    PrivateAddress(IpAddr),
    #[error("every server failed, the last with response code {0}")]
    ServerFailure(u16),
    #[error("a server's reply breaks the protocol: {0}")]
    Malformed(String),
    #[error("DNSSEC does not hold: {0}")]
    Bogus(String),
    #[error("its aliases lead nowhere")]
    AliasLoop,
    #[error("no server answered in time")]
    Timeout,
    #[error("no server could be talked to: {0}")]
    Unreachable(String),
    #[error("no server is configured")]
    NoServers,
    #[error("too many queries wait already")]
    Busy,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub name: String,
    pub cause: Cause,
    pub ttl_s: u32,
    pub security: Option<Security>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    Plain,
    Tls(String),
    Https(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub address: SocketAddr,
    pub protocol: Protocol,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    pub address: IpAddr,
    pub names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustAnchor {
    pub zone: String,
    pub key_tag: u16,
    pub algorithm: u8,
    pub digest_type: u8,
    pub digest: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateAnswers {
    Answered,
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub servers: Vec<Server>,
    pub search: Vec<String>,
    pub ndots: u8,
    pub timeout: Duration,
    pub attempts: u8,
    pub rotate: bool,
    pub edns: bool,
    pub trust_authentic: bool,
    pub dnssec: Option<Vec<TrustAnchor>>,
    pub hosts: Vec<HostEntry>,
}

impl Default for Config {
    /// No servers, and the defaults of `resolv.conf(5)`.
    fn default() -> Self {
        Config {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            edns: true,
            trust_authentic: false,
            dnssec: None,
            hosts: Vec::new(),
        }
    }
}
