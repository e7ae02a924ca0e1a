//! The configuration file as types. The JSON schema is generated from them.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::str::FromStr;

use fumehood_control::{
    MAX_DNS_CACHE_ENTRIES, MAX_DNS_TTL_S, MAX_FIELDS, MAX_HEAD_BYTES, MIN_FIELDS, MIN_HEAD_BYTES,
    TlsVersion,
};
use fumehood_policy::{
    AddressSpace, Bypass, BypassError, ClientName, DnsName, Host, HostPattern, Method, Mode,
    PrivateHost, SchemeName,
};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use toml::Spanned;

use crate::{DnsAnchor, DnsMode, DnsServer, ModuleKey, ModulePin, ProxyFallback};

/// Longest time that can be set, in seconds; the broker dials no longer.
const MAX_SECONDS: f64 = 4_000_000.0;

/// The whole file.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema),
    schemars(title = "Fumehood's configuration")
)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct File {
    /// Where editors find the schema of this file. Not looked at.
    #[serde(rename = "$schema")]
    pub(crate) _schema: Option<String>,
    /// Which requests may be made.
    pub(crate) policy: PolicyTable,
    /// What requests say where they do not say it themselves.
    pub(crate) http: HttpTable,
    /// How TLS is spoken.
    pub(crate) tls: TlsTable,
    /// How names are resolved.
    pub(crate) dns: DnsTable,
    /// How requests find their way out.
    pub(crate) proxy: ProxyTable,
    /// When to give up, in seconds.
    pub(crate) timeouts: TimeoutTable,
    /// What an engine may take; read when an engine is launched.
    pub(crate) limits: LimitTable,
    /// Which modules of files are taken; read when an engine is launched.
    pub(crate) modules: ModuleTable,
}

/// `[policy]`
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PolicyTable {
    /// What becomes of denials by rules: "enforce" (the default), or "report",
    /// which logs and counts them and lets the request through.
    #[cfg_attr(test, schemars(with = "Option<ModeName>"))]
    pub(crate) mode: Option<Spanned<ModeName>>,
    /// The same for denials by the address checks. They are enforced in report
    /// mode too, unless this key says otherwise.
    #[cfg_attr(test, schemars(with = "Option<ModeName>"))]
    pub(crate) address_mode: Option<Spanned<ModeName>>,
    /// Hosts that may be reached although their address is not public:
    /// "localhost:8080", "10.0.0.0/8", "[::1]:443", "*.corp.example".
    pub(crate) private_hosts: Option<Vec<Read<PrivateHost>>>,
    /// Without this key every public address is allowed. With it, only what
    /// one of its rules matches; an empty list allows nothing.
    #[cfg_attr(test, schemars(with = "Option<Vec<RuleTable>>"))]
    pub(crate) allow: Option<Vec<Spanned<RuleTable>>>,
    /// What is denied, whatever allows it.
    #[cfg_attr(test, schemars(with = "Vec<RuleTable>"))]
    pub(crate) deny: Vec<Spanned<RuleTable>>,
    /// What the embedder has to be asked about first.
    #[cfg_attr(test, schemars(with = "Vec<RuleTable>"))]
    pub(crate) ask: Vec<Spanned<RuleTable>>,
}

/// A rule. It matches when all that it names matches; a key that is left out
/// matches everything.
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RuleTable {
    /// "example.com" is that name alone, "*.example.com" every name under it
    /// and not itself, "10.0.0.0/8" literals in it and names that resolve into
    /// it, "*" every host.
    pub(crate) hosts: Option<Vec<Read<HostPattern>>>,
    /// "http", "https", and what a module serves, such as "gopher". "udp" is
    /// datagrams of a proxy's clients: only a rule that names it allows them.
    pub(crate) schemes: Option<Vec<Read<SchemeName>>>,
    /// 443, "8000-8999".
    pub(crate) ports: Option<Vec<Ports>>,
    /// "GET"; in any case.
    pub(crate) methods: Option<Vec<Read<Method>>>,
    /// The parts of a program that say who they are, such as
    /// `fumehood fetch --client NAME`.
    pub(crate) clients: Option<Vec<Read<ClientName>>>,
    /// "public", "local", "loopback": where the address has to be for the rule
    /// to match. It opens nothing; see private-hosts.
    pub(crate) spaces: Option<Vec<Read<AddressSpace>>>,
}

/// `[http]`
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct HttpTable {
    /// What `fumehood fetch` calls itself; "" sends no such field.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) user_agent: Option<Spanned<FieldText>>,
    /// Most KiB of a head that a server, or a client of the proxy, sends: 4 to 256
    /// (the default).
    #[cfg_attr(test, schemars(with = "Option<u32>", range(min = 4, max = 256)))]
    pub(crate) max_head_kib: Option<Spanned<HeadKib>>,
    /// Most fields in such a head: 16 to 256 (the default).
    #[cfg_attr(test, schemars(with = "Option<u32>", range(min = 16, max = 256)))]
    pub(crate) max_fields: Option<Spanned<FieldCount>>,
}

/// `[tls]`
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TlsTable {
    /// Oldest version accepted: "1.2" (the default) or "1.3".
    #[cfg_attr(test, schemars(with = "Option<TlsName>"))]
    pub(crate) min_version: Option<Spanned<TlsName>>,
    /// Newest version offered: "1.2" or "1.3" (the default).
    #[cfg_attr(test, schemars(with = "Option<TlsName>"))]
    pub(crate) max_version: Option<Spanned<TlsName>>,
}

/// `[dns]`
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct DnsTable {
    /// Who resolves the names of requests: "system" (the default), which is
    /// the C library in the broker, or "guest", which is the engine's own
    /// resolver.
    #[cfg_attr(test, schemars(with = "Option<DnsMode>"))]
    pub(crate) mode: Option<Spanned<DnsMode>>,
    /// The engine's resolver's servers, at most 8: "9.9.9.9", "[::1]:5353",
    /// "tls://dns.quad9.net#9.9.9.9", "https://dns.quad9.net/dns-query#9.9.9.9".
    /// Default those of resolv.conf.
    pub(crate) servers: Option<Vec<Read<DnsServer>>>,
    /// Its search domains. Default those of resolv.conf.
    pub(crate) search: Option<Vec<Read<DomainName>>>,
    /// Whether it answers private addresses for any name: "answered", or
    /// "refused" (the default), which leaves them out but for private-hosts.
    #[cfg_attr(test, schemars(with = "Option<PrivateAnswersName>"))]
    pub(crate) private_answers: Option<Spanned<PrivateAnswersName>>,
    /// Most answers that it keeps: 0, which keeps none, to 1600 (the default).
    #[cfg_attr(test, schemars(with = "Option<u32>", range(max = 1600)))]
    pub(crate) cache_entries: Option<Spanned<CacheEntries>>,
    /// Longest life of an answer in seconds, whatever its zone says: 0 to 86400
    /// (the default).
    #[cfg_attr(test, schemars(with = "Option<u32>", range(max = 86400)))]
    pub(crate) max_ttl: Option<Spanned<Ttl>>,
    /// Whether it validates what it finds with DNSSEC (default false). Needs mode
    /// "guest": what the C library finds is not validated.
    #[cfg_attr(test, schemars(with = "Option<bool>"))]
    pub(crate) dnssec: Option<Spanned<bool>>,
    /// Where it begins to believe, at most 32, each as a DS record: "corp.example
    /// 31589 13 2 CDE0D742…". Those of the root are built in, and replaced by
    /// others for ".".
    pub(crate) trust_anchors: Option<Vec<Read<DnsAnchor>>>,
    /// Default "/etc/resolv.conf".
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) resolv_conf: Option<Spanned<PathBuf>>,
    /// Default "/etc/hosts".
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) hosts_file: Option<Spanned<PathBuf>>,
}

/// `[proxy]`
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ProxyTable {
    /// "direct", "environment" (http_proxy and its kin), "system" (those, or else the
    /// desktop's settings), "fixed" (the proxy of url), "pac" (the script of url), or
    /// "wpad" (the script that the network names, which decides on all proxies).
    /// Without it `fumehood fetch` goes by the environment and `fumehood proxy`
    /// straight.
    #[cfg_attr(test, schemars(with = "Option<ProxyModeName>"))]
    pub(crate) mode: Option<Spanned<ProxyModeName>>,
    /// For "fixed" a proxy: "http://user:password@proxy.example:3128",
    /// "socks5h://127.0.0.1:9050". For "pac" a file or an http, https, file: or
    /// data: URL.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) url: Option<Spanned<String>>,
    /// What needs no proxy in the mode "fixed": "*.corp.example", "10.0.0.0/8",
    /// "<local>". Loopback needs none unless "<-loopback>" says so.
    pub(crate) bypass: Option<Vec<Read<BypassText>>>,
    /// The ways to try where a script cannot be had or has no answer: proxies, or
    /// "direct". Without it that is an error.
    pub(crate) fallback: Option<Vec<Read<ProxyFallback>>>,
    /// How an HTTP proxy of the mode "fixed" learns the user and the password of its
    /// URL: "basic" (the default), which tells them, or "digest", which proves them.
    #[cfg_attr(test, schemars(with = "Option<ProxyAuthName>"))]
    pub(crate) auth: Option<Spanned<ProxyAuthName>>,
}

/// How a proxy learns who asks, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProxyAuthName {
    Basic,
    Digest,
}

/// How requests find their way out, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProxyModeName {
    Direct,
    Environment,
    System,
    Fixed,
    Pac,
    Wpad,
}

/// One entry of a bypass list, sound by itself.
#[derive(Clone, Debug)]
pub(crate) struct BypassText(pub(crate) String);

impl FromStr for BypassText {
    type Err = BypassError;

    fn from_str(text: &str) -> Result<Self, BypassError> {
        Bypass::parse(text).map(|_| BypassText(text.to_owned()))
    }
}

/// What becomes of private addresses, as it is written.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PrivateAnswersName {
    Answered,
    Refused,
}

/// A name, as people write it.
#[derive(Clone, Debug)]
pub(crate) struct DomainName(pub(crate) DnsName);

impl FromStr for DomainName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Host::parse(text) {
            Ok(Host::Name(name)) => Ok(DomainName(name)),
            Ok(Host::V4(_) | Host::V6(_)) => Err("an address is no domain".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// `[timeouts]`
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TimeoutTable {
    /// Resolving and connecting. Default 30.
    #[cfg_attr(test, schemars(with = "Option<f64>"))]
    pub(crate) connect: Option<Spanned<Seconds>>,
    /// The TLS handshake. Default 30.
    #[cfg_attr(test, schemars(with = "Option<f64>"))]
    pub(crate) tls: Option<Spanned<Seconds>>,
    /// From the request to the response's head. Default 300.
    #[cfg_attr(test, schemars(with = "Option<f64>"))]
    pub(crate) head: Option<Spanned<Seconds>>,
    /// Between two bytes of content. Default 300.
    #[cfg_attr(test, schemars(with = "Option<f64>"))]
    pub(crate) idle: Option<Spanned<Seconds>>,
}

/// `[limits]`
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LimitTable {
    /// Exchanges under way at once; more wait. Default 128.
    #[cfg_attr(test, schemars(with = "Option<u32>"))]
    pub(crate) exchanges: Option<Spanned<Count>>,
    /// Guest instances alive at once. Default 272; of `proxy` and `run` 4096.
    #[cfg_attr(test, schemars(with = "Option<u32>"))]
    pub(crate) instances: Option<Spanned<Count>>,
    /// Idle connections kept. Default 32; of `proxy` and `run` 512.
    #[cfg_attr(test, schemars(with = "Option<u32>"))]
    pub(crate) idle_connections: Option<Spanned<u32>>,
    /// How long an idle connection is kept, in seconds. Default 90.
    #[cfg_attr(test, schemars(with = "Option<u32>"))]
    pub(crate) idle_connection_seconds: Option<Spanned<Count>>,
    /// Connections to one origin, idle ones too; more wait. Of those for clients of a
    /// proxy so many are kept idle, and more in use. Default 6.
    #[cfg_attr(test, schemars(with = "Option<u32>"))]
    pub(crate) per_origin: Option<Spanned<Count>>,
    /// Connections through one proxy, idle ones too; more wait. Default 32.
    #[cfg_attr(test, schemars(with = "Option<u32>"))]
    pub(crate) per_proxy: Option<Spanned<Count>>,
    /// Connections in all, idle ones too; more wait. Default 512; of `proxy` and `run`
    /// one for two instances, where that is more.
    #[cfg_attr(test, schemars(with = "Option<u32>"))]
    pub(crate) connections: Option<Spanned<Count>>,
    /// Memory that the engine is to stay under, in MiB. Default 512.
    #[cfg_attr(test, schemars(with = "Option<u32>"))]
    pub(crate) memory_mib: Option<Spanned<Count>>,
}

/// A mode, as it is written.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ModeName {
    Enforce,
    Report,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Enforce => Mode::Enforce,
            ModeName::Report => Mode::Report,
        }
    }
}

/// A TLS version, as it is written.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum TlsName {
    #[serde(rename = "1.2")]
    V1_2,
    #[serde(rename = "1.3")]
    V1_3,
}

impl From<TlsName> for TlsVersion {
    fn from(name: TlsName) -> Self {
        match name {
            TlsName::V1_2 => TlsVersion::V1_2,
            TlsName::V1_3 => TlsVersion::V1_3,
        }
    }
}

/// `[modules]`
#[derive(Debug, Default, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ModuleTable {
    /// Modules in this directory are loaded, and what is put there meanwhile:
    /// "http1@1.2.0.wasm". Default none.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) directory: Option<Spanned<PathBuf>>,
    /// What becomes of a file there: a "candidate" (the default), or current at once
    /// where it is not older than what is: "swap".
    #[cfg_attr(test, schemars(with = "Option<OnChangeName>"))]
    pub(crate) on_change: Option<Spanned<OnChangeName>>,
    /// Ed25519 keys whose signatures are believed, at most 16, each as 64 hexadecimal
    /// digits.
    pub(crate) keys: Option<Vec<Read<ModuleKey>>>,
    /// Whether what none of these keys signed is refused. Default true where there
    /// are keys; with false only a signature that none of them made is.
    #[cfg_attr(test, schemars(with = "Option<bool>"))]
    pub(crate) required: Option<Spanned<bool>>,
    /// Of these names only files with these SHA-256 digests are taken, at most 64:
    /// "http1 9f86d081…".
    pub(crate) pins: Option<Vec<Read<ModulePin>>>,
    /// Where the newest version that was ever taken of each name is remembered; older
    /// ones are refused. Its folder must be this user's alone. Default nowhere.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(crate) accepted_versions: Option<Spanned<PathBuf>>,
}

/// What becomes of a module's file, as it is written.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnChangeName {
    Candidate,
    Swap,
}

/// A string that is read into a type of ours. What is wrong with it is told
/// later, by whoever knows its place in the file.
#[derive(Clone, Debug)]
pub(crate) struct Read<T> {
    pub(super) read: Result<T, String>,
    pub(super) span: Range<usize>,
}

impl<T: FromStr<Err: fmt::Display>> From<Spanned<String>> for Read<T> {
    fn from(text: Spanned<String>) -> Self {
        Read {
            read: text.get_ref().parse().map_err(|e: T::Err| e.to_string()),
            span: text.span(),
        }
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Spanned::<String>::deserialize(from).map(Read::from)
    }
}

/// A field's value: visible ASCII and spaces.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct FieldText(pub(crate) String);

impl TryFrom<String> for FieldText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let good = text.bytes().all(|it| it.is_ascii_graphic() || it == b' ');
        let good = good && text.trim() == text && text.len() <= 256;
        match good {
            true => Ok(FieldText(text)),
            false => Err("a field's value is at most 256 visible ASCII characters"),
        }
    }
}

/// One port, as a number or a string, or a range of them.
#[derive(Clone, Debug)]
pub(crate) struct Ports(pub(super) Read<PortRange>);

/// Ports of a rule.
#[derive(Clone, Debug)]
pub(crate) struct PortRange(pub(crate) RangeInclusive<u16>);

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Spanned::<PortText>::deserialize(from)?;
        let span = text.span();
        let read = text.into_inner().0.parse::<PortRange>();
        Ok(Ports(Read {
            read: read.map_err(str::to_owned),
            span,
        }))
    }
}

struct PortText(String);

impl<'de> Deserialize<'de> for PortText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visited;
        impl Visitor<'_> for Visited {
            type Value = PortText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port such as 443, or a range of them such as \"8000-8999\"")
            }

            fn visit_i64<E: de::Error>(self, port: i64) -> Result<PortText, E> {
                Ok(PortText(port.to_string()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PortText, E> {
                Ok(PortText(text.to_owned()))
            }
        }
        from.deserialize_any(Visited)
    }
}

impl FromStr for PortRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let port = |text: &str| -> Option<u16> {
            let digits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
            text.parse().ok().filter(|port| digits && *port > 0)
        };
        let range = match text.split_once('-') {
            Some((from, to)) => port(from).zip(port(to)).map(|(from, to)| from..=to),
            None => port(text).map(|port| port..=port),
        };
        match range {
            Some(range) if !range.is_empty() => Ok(PortRange(range)),
            _ => Err(
                "a port is a number from 1 to 65535, and a range of them is written \
                      \"8000-8999\", the lower one first",
            ),
        }
    }
}

/// A time, in milliseconds; written in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Seconds(pub(crate) u32);

impl TryFrom<f64> for Seconds {
    type Error = &'static str;

    fn try_from(seconds: f64) -> Result<Self, Self::Error> {
        if !(0.001..=MAX_SECONDS).contains(&seconds) {
            return Err("a time is between 0.001 and 4000000 seconds");
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and 4e9, as was checked"
        )]
        Ok(Seconds((seconds * 1000.0) as u32))
    }
}

/// A head's bound, in KiB.
pub(crate) type HeadKib = Within<{ MIN_HEAD_BYTES >> 10 }, { MAX_HEAD_BYTES >> 10 }>;

/// A bound on fields.
pub(crate) type FieldCount = Within<MIN_FIELDS, MAX_FIELDS>;

/// A bound on answers kept.
pub(crate) type CacheEntries = Within<0, MAX_DNS_CACHE_ENTRIES>;

/// A bound on an answer's life, in seconds.
pub(crate) type Ttl = Within<0, MAX_DNS_TTL_S>;

/// A number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "u32")]
pub(crate) struct Within<const LEAST: u32, const MOST: u32>(pub(crate) u32);

impl<const LEAST: u32, const MOST: u32> TryFrom<u32> for Within<LEAST, MOST> {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        match (LEAST..=MOST).contains(&number) {
            true => Ok(Within(number)),
            false => Err(format!("this is from {LEAST} to {MOST}")),
        }
    }
}

/// A number that is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "u32")]
pub(crate) struct Count(pub(crate) u32);

impl TryFrom<u32> for Count {
    type Error = &'static str;

    fn try_from(count: u32) -> Result<Self, Self::Error> {
        match count {
            0 => Err("this is at least 1"),
            count => Ok(Count(count)),
        }
    }
}

#[cfg(test)]
mod schema {
    //! How the types that are read from strings look in the schema.
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Ports, Read};

    impl<T> JsonSchema for Read<T> {
        fn schema_name() -> Cow<'static, str> {
            "Text".into()
        }

        fn inline_schema() -> bool {
            true
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string" })
        }
    }

    impl JsonSchema for Ports {
        fn schema_name() -> Cow<'static, str> {
            "Ports".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "oneOf": [
                    { "type": "integer", "minimum": 1, "maximum": 65535 },
                    { "type": "string", "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?$" },
                ],
            })
        }
    }
}
