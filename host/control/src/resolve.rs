//! Names, resolved by the engine's own resolver: how it is set up, what it is
//! asked, and what it answers. The types follow `wit/dns/dns.wit`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fumehood_policy::{DnsName, Transport};
use serde::{Deserialize, Serialize};

use crate::{AssemblyError, Cause, GrantId};

/// Most endpoints of the resolver's grant: a handful of servers, each over UDP
/// and TCP.
pub const MAX_RESOLVER_PLACES: usize = 16;

/// Largest setup of a resolver, in bytes: a host table of its greatest size.
pub const MAX_RESOLVER_SETUP_BYTES: usize = 6 << 20;

/// Leave for the resolver's sockets: exactly these endpoints, as often as it
/// likes, until another takes its place. The policy is not asked about them,
/// no more than about the servers that `getaddrinfo` asks: they are the
/// user's own choice, and name servers live on ports and in networks that are
/// closed to everything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolverGrant {
    /// By which the engine refers to it.
    pub id: GrantId,
    /// At most [`MAX_RESOLVER_PLACES`]; one with more is not taken.
    pub places: Vec<(SocketAddr, Transport)>,
    /// Whether names are dialled at the addresses that the engine found, and
    /// at no others. Otherwise what it found is not looked at.
    pub dials: bool,
}

/// How a server is talked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerProtocol {
    /// UDP, and TCP where a reply was truncated.
    Plain,
    /// DNS over TLS (RFC 7858). The name or address to verify.
    Tls(String),
    /// DNS over HTTPS (RFC 8484). The whole URL, without `{?dns}`.
    Https(String),
}

/// A server of names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameServer {
    /// Where it is.
    pub address: SocketAddr,
    /// How it is talked to.
    pub protocol: ServerProtocol,
}

/// One line of the host table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLine {
    /// What its names stand for.
    pub address: IpAddr,
    /// The canonical name first.
    pub names: Vec<DnsName>,
}

/// A key that a zone is believed by: the digest of a DNSKEY record (RFC 4034
/// section 5.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustAnchor {
    /// None is the root.
    pub zone: Option<DnsName>,
    /// A number by which the key is found.
    pub key_tag: u16,
    /// IANA registry "DNS Security Algorithm Numbers".
    pub algorithm: u8,
    /// IANA registry "DS RR Type Digest Algorithms".
    pub digest_type: u8,
    /// The digest itself.
    pub digest: Vec<u8>,
}

/// Everything a resolver goes by. It travels as one sealed memfd, in postcard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolverSetup {
    /// Leave to reach the servers.
    pub grant: GrantId,
    /// Whether exchanges and drivers resolve through it.
    pub dials: bool,
    /// In order of preference.
    pub servers: Vec<NameServer>,
    /// Search domains, in order.
    pub search: Vec<DnsName>,
    /// A name with fewer dots is tried with the search domains first.
    pub ndots: u8,
    /// How long one server is waited for, in milliseconds.
    pub timeout_ms: u32,
    /// How many times the servers are gone through.
    pub attempts: u8,
    /// Whether lookups begin at one server after another.
    pub rotate: bool,
    /// Whether a server's word that DNSSEC holds is believed.
    pub trust_authentic: bool,
    /// Where to begin to believe, if answers are to be validated.
    pub dnssec: Option<Vec<TrustAnchor>>,
    /// The host table.
    pub hosts: Vec<HostLine>,
}

impl ResolverSetup {
    /// As it travels.
    ///
    /// # Errors
    /// [`AssemblyError::TooLarge`] over [`MAX_RESOLVER_SETUP_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, AssemblyError> {
        let bytes = postcard::to_stdvec(self).map_err(|_| AssemblyError::Malformed)?;
        match bytes.len() <= MAX_RESOLVER_SETUP_BYTES {
            true => Ok(bytes),
            false => Err(AssemblyError::TooLarge {
                most: MAX_RESOLVER_SETUP_BYTES,
            }),
        }
    }

    /// Reads what [`ResolverSetup::encode`] made.
    ///
    /// # Errors
    /// [`AssemblyError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, AssemblyError> {
        match postcard::take_from_bytes(bytes) {
            Ok((setup, [])) => Ok(setup),
            _ => Err(AssemblyError::Malformed),
        }
    }
}

/// The types of record that can be asked for (the IANA registry "DNS Resource
/// Record Types").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum RecordType {
    A,
    Aaaa,
    Caa,
    Cname,
    Https,
    Mx,
    Ns,
    Ptr,
    Soa,
    Srv,
    Svcb,
    Txt,
    Dnskey,
    Ds,
}

impl RecordType {
    /// All of them, in the order of their names.
    pub const ALL: [RecordType; 14] = [
        RecordType::A,
        RecordType::Aaaa,
        RecordType::Caa,
        RecordType::Cname,
        RecordType::Dnskey,
        RecordType::Ds,
        RecordType::Https,
        RecordType::Mx,
        RecordType::Ns,
        RecordType::Ptr,
        RecordType::Soa,
        RecordType::Srv,
        RecordType::Svcb,
        RecordType::Txt,
    ];

    /// Its name in zone files, in upper case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RecordType::A => "A",
            RecordType::Aaaa => "AAAA",
            RecordType::Caa => "CAA",
            RecordType::Cname => "CNAME",
            RecordType::Dnskey => "DNSKEY",
            RecordType::Ds => "DS",
            RecordType::Https => "HTTPS",
            RecordType::Mx => "MX",
            RecordType::Ns => "NS",
            RecordType::Ptr => "PTR",
            RecordType::Soa => "SOA",
            RecordType::Srv => "SRV",
            RecordType::Svcb => "SVCB",
            RecordType::Txt => "TXT",
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is wanted of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// Its addresses of both families, IPv6 first.
    Addresses,
    /// Its records of one type.
    Records(RecordType),
}

/// One thing to resolve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameQuery {
    /// In presentation form, lower case, A-labels; a trailing dot makes it
    /// absolute. At most 254 bytes.
    pub name: String,
    /// What of it.
    pub wanted: Wanted,
    /// Whether the cache may answer.
    pub cached: bool,
    /// Whether the answer tells its steps.
    pub traced: bool,
    /// Whether private addresses are answered; otherwise they are left out.
    pub private: bool,
    /// When to give up, in milliseconds.
    pub deadline_ms: u32,
}

/// One parameter of a service binding (RFC 9460 section 7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceParameter {
    /// Keys that a client must understand to use the record.
    Mandatory(Vec<u16>),
    /// Protocol identifiers of ALPN.
    Alpn(Vec<String>),
    /// The default protocol is not offered.
    NoDefaultAlpn,
    /// Another port.
    Port(u16),
    /// Addresses to try meanwhile.
    Ipv4Hint(Vec<Ipv4Addr>),
    /// An ECHConfigList.
    Ech(Vec<u8>),
    /// Addresses to try meanwhile.
    Ipv6Hint(Vec<Ipv6Addr>),
    /// Any other key, with its value as sent.
    Other(u16, Vec<u8>),
}

/// The data of a SVCB or HTTPS record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceBinding {
    /// 0 is an alias.
    pub priority: u16,
    /// `.` is the owner itself, or none in an alias.
    pub target: String,
    /// In the order sent.
    pub parameters: Vec<ServiceParameter>,
}

/// A record's data, by type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named as in the RFCs of each type")]
pub enum RecordData {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    /// RFC 8659.
    Caa {
        critical: bool,
        tag: String,
        value: Vec<u8>,
    },
    Cname(String),
    Https(ServiceBinding),
    Mx {
        preference: u16,
        exchange: String,
    },
    Ns(String),
    Ptr(String),
    Soa {
        primary: String,
        mailbox: String,
        serial: u32,
        refresh_s: u32,
        retry_s: u32,
        expire_s: u32,
        minimum_s: u32,
    },
    /// RFC 2782.
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: String,
    },
    Svcb(ServiceBinding),
    /// Each string apart; of any bytes.
    Txt(Vec<Vec<u8>>),
    /// RFC 4034 section 2.
    Dnskey {
        flags: u16,
        protocol: u8,
        algorithm: u8,
        key: Vec<u8>,
    },
    /// RFC 4034 section 5.
    Ds {
        key_tag: u16,
        algorithm: u8,
        digest_type: u8,
        digest: Vec<u8>,
    },
}

impl RecordData {
    /// Of which type it is.
    #[must_use]
    pub fn record_type(&self) -> RecordType {
        match self {
            RecordData::A(_) => RecordType::A,
            RecordData::Aaaa(_) => RecordType::Aaaa,
            RecordData::Caa { .. } => RecordType::Caa,
            RecordData::Cname(_) => RecordType::Cname,
            RecordData::Dnskey { .. } => RecordType::Dnskey,
            RecordData::Ds { .. } => RecordType::Ds,
            RecordData::Https(_) => RecordType::Https,
            RecordData::Mx { .. } => RecordType::Mx,
            RecordData::Ns(_) => RecordType::Ns,
            RecordData::Ptr(_) => RecordType::Ptr,
            RecordData::Soa { .. } => RecordType::Soa,
            RecordData::Srv { .. } => RecordType::Srv,
            RecordData::Svcb(_) => RecordType::Svcb,
            RecordData::Txt(_) => RecordType::Txt,
        }
    }

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

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerSource {
    /// The cache.
    Cache,
    /// The host table.
    HostTable,
    /// The rules for special names (RFC 6761 section 6.3).
    BuiltIn,
    /// A server, by its index in the setup.
    Server(u32),
}

/// What carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum NameTransport {
    Udp,
    Tcp,
    Tls,
    Https,
}

/// Why a reply was not the one that was waited for (RFC 5452 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mismatch {
    /// Shorter than a header, or no response.
    Header,
    /// From another address or port.
    Sender,
    /// Another message ID.
    Id,
    /// Another question.
    Question,
    /// The same question in other letters.
    Letters,
}

/// What happened at one point of a lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameEvent {
    /// A question went to a server.
    Sent {
        /// Index in the setup.
        server: u32,
        /// Over what.
        transport: NameTransport,
        /// Whose record.
        name: String,
        /// Of which type.
        record_type: RecordType,
    },
    /// A reply.
    Received {
        /// RFC 6895 section 2.3.
        response_code: u16,
        /// Its size.
        bytes: u32,
    },
    /// A reply on UDP did not hold it all; TCP follows.
    Truncated,
    /// A reply was not the one to the question.
    Ignored(Mismatch),
    /// The server did not answer in time.
    TimedOut,
    /// The server could not be talked to; why, for people.
    Broken(String),
    /// The server does not know EDNS; the question goes there without.
    WithoutEdns,
    /// The name is an alias of this one.
    Alias(String),
    /// The cache had it.
    CacheHit,
    /// Another query had asked the same already.
    Joined,
    /// A reply did not stand up to DNSSEC; why, for people.
    Bogus(String),
}

/// One step of a lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameStep {
    /// Since the query was taken, in microseconds.
    pub at_us: u64,
    /// What happened.
    pub event: NameEvent,
}

/// What DNSSEC makes of an answer (RFC 4035 section 4.3). What is bogus is no
/// answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Security {
    /// Signed, all the way from a trust anchor.
    Secure,
    /// Shown to be in a zone that is not signed.
    Insecure,
    /// No trust anchor is above the name.
    Indeterminate,
}

impl Security {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Security::Secure => "secure",
            Security::Insecure => "insecure",
            Security::Indeterminate => "indeterminate",
        }
    }
}

/// Records that were found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameAnswer {
    /// The name that was found: that of the query, or with a search domain.
    pub name: String,
    /// The aliases that were followed, in order.
    pub aliases: Vec<String>,
    /// At most 256, in the order the server sent them.
    pub records: Vec<RecordData>,
    /// For how long this holds, in seconds; 0 for what is not from a server.
    pub ttl_s: u32,
    /// Whether the server vouches that DNSSEC holds, where it is trusted.
    pub authentic: bool,
    /// None where DNSSEC is not validated, and for what is not from a server.
    pub security: Option<Security>,
    /// Where from.
    pub source: AnswerSource,
    /// Empty unless the query was traced.
    pub steps: Vec<NameStep>,
}

/// Why a name has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameCause {
    /// NXDOMAIN.
    NoSuchName,
    /// The name exists, with no record of the type.
    NoSuchRecord,
    /// It is no name; why.
    BadName(String),
    /// A name that never leaves; why.
    SpecialName(String),
    /// All its addresses are private, and the query refuses these.
    PrivateAddress(IpAddr),
    /// Every server failed; the last one's response code.
    ServerFailure(u16),
    /// A reply breaks the protocol; how.
    Malformed(String),
    /// DNSSEC does not hold; what of it.
    Bogus(String),
    /// Too many aliases, or a circle of them.
    AliasLoop,
    /// No server answered in time, or the query's own deadline passed.
    Timeout,
    /// No server could be talked to; why.
    Unreachable(String),
    /// There is no server in the setup, or no setup.
    NoServers,
    /// As many queries wait as may.
    Busy,
    /// The resolver was stopped.
    Stopped,
}

/// What it is, to people: one clause.
impl fmt::Display for NameCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameCause::NoSuchName => f.write_str("the name does not exist"),
            NameCause::NoSuchRecord => f.write_str("the name has no record of this type"),
            NameCause::BadName(why) => write!(f, "it is no name: {why}"),
            NameCause::SpecialName(why) => write!(f, "the name never leaves this machine: {why}"),
            NameCause::PrivateAddress(address) => {
                write!(
                    f,
                    "its address {address} is private, and such answers are refused"
                )
            }
            NameCause::ServerFailure(code) => {
                write!(f, "every server failed, the last with response code {code}")
            }
            NameCause::Malformed(how) => write!(f, "a server's reply breaks the protocol: {how}"),
            NameCause::Bogus(why) => write!(f, "DNSSEC does not hold: {why}"),
            NameCause::AliasLoop => f.write_str("its aliases lead nowhere"),
            NameCause::Timeout => f.write_str("no server answered in time"),
            NameCause::Unreachable(why) => write!(f, "no server could be talked to: {why}"),
            NameCause::NoServers => f.write_str("no server is configured"),
            NameCause::Busy => f.write_str("too many queries wait already"),
            NameCause::Stopped => f.write_str("the resolver was stopped"),
        }
    }
}

/// A query without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameFailure {
    /// As for an answer; of several names tried, the last.
    pub name: String,
    /// Why.
    pub cause: NameCause,
    /// For how long absence holds, in seconds.
    pub ttl_s: u32,
    /// What DNSSEC makes of absence.
    pub security: Option<Security>,
    /// Empty unless the query was traced.
    pub steps: Vec<NameStep>,
}

impl NameFailure {
    /// The name is known not to exist, or to have no such record.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self.cause, NameCause::NoSuchName | NameCause::NoSuchRecord)
    }
}

/// Why the engine has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unresolved {
    /// The resolver says so.
    Failure(NameFailure),
    /// The resolver itself failed: it trapped over this query, or none is left.
    Guest(Cause),
}
