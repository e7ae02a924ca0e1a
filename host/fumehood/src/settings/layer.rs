//! One layer of settings: the file, or the environment. Each knows where its
//! values stand.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Origin;
use super::error::{SettingsError, explain, position};
use super::file::{File, Read};
use crate::store::read_file;

/// Largest configuration, in bytes: some hundred for each of the most rules.
pub const MAX_SETTINGS_BYTES: u64 = 4 << 20;

/// Environment variables, the key each sets, and how it is written.
const VARIABLES: [(&str, &str, Kind); 41] = [
    ("FUMEHOOD_POLICY_MODE", "policy.mode", Kind::Text),
    (
        "FUMEHOOD_POLICY_ADDRESS_MODE",
        "policy.address-mode",
        Kind::Text,
    ),
    (
        "FUMEHOOD_POLICY_PRIVATE_HOSTS",
        "policy.private-hosts",
        Kind::List,
    ),
    ("FUMEHOOD_HTTP_USER_AGENT", "http.user-agent", Kind::Text),
    (
        "FUMEHOOD_HTTP_MAX_HEAD_KIB",
        "http.max-head-kib",
        Kind::Number,
    ),
    ("FUMEHOOD_HTTP_MAX_FIELDS", "http.max-fields", Kind::Number),
    ("FUMEHOOD_TLS_MIN_VERSION", "tls.min-version", Kind::Text),
    ("FUMEHOOD_TLS_MAX_VERSION", "tls.max-version", Kind::Text),
    ("FUMEHOOD_DNS_MODE", "dns.mode", Kind::Text),
    ("FUMEHOOD_DNS_SERVERS", "dns.servers", Kind::List),
    ("FUMEHOOD_DNS_SEARCH", "dns.search", Kind::List),
    (
        "FUMEHOOD_DNS_PRIVATE_ANSWERS",
        "dns.private-answers",
        Kind::Text,
    ),
    (
        "FUMEHOOD_DNS_CACHE_ENTRIES",
        "dns.cache-entries",
        Kind::Number,
    ),
    ("FUMEHOOD_DNS_MAX_TTL", "dns.max-ttl", Kind::Number),
    ("FUMEHOOD_DNS_DNSSEC", "dns.dnssec", Kind::Switch),
    (
        "FUMEHOOD_DNS_TRUST_ANCHORS",
        "dns.trust-anchors",
        Kind::List,
    ),
    ("FUMEHOOD_DNS_RESOLV_CONF", "dns.resolv-conf", Kind::Text),
    ("FUMEHOOD_DNS_HOSTS_FILE", "dns.hosts-file", Kind::Text),
    ("FUMEHOOD_PROXY_MODE", "proxy.mode", Kind::Text),
    ("FUMEHOOD_PROXY_URL", "proxy.url", Kind::Text),
    ("FUMEHOOD_PROXY_BYPASS", "proxy.bypass", Kind::List),
    ("FUMEHOOD_PROXY_FALLBACK", "proxy.fallback", Kind::List),
    ("FUMEHOOD_PROXY_AUTH", "proxy.auth", Kind::Text),
    (
        "FUMEHOOD_TIMEOUTS_CONNECT",
        "timeouts.connect",
        Kind::Number,
    ),
    ("FUMEHOOD_TIMEOUTS_TLS", "timeouts.tls", Kind::Number),
    ("FUMEHOOD_TIMEOUTS_HEAD", "timeouts.head", Kind::Number),
    ("FUMEHOOD_TIMEOUTS_IDLE", "timeouts.idle", Kind::Number),
    (
        "FUMEHOOD_LIMITS_EXCHANGES",
        "limits.exchanges",
        Kind::Number,
    ),
    (
        "FUMEHOOD_LIMITS_INSTANCES",
        "limits.instances",
        Kind::Number,
    ),
    (
        "FUMEHOOD_LIMITS_IDLE_CONNECTIONS",
        "limits.idle-connections",
        Kind::Number,
    ),
    (
        "FUMEHOOD_LIMITS_IDLE_CONNECTION_SECONDS",
        "limits.idle-connection-seconds",
        Kind::Number,
    ),
    (
        "FUMEHOOD_LIMITS_PER_ORIGIN",
        "limits.per-origin",
        Kind::Number,
    ),
    (
        "FUMEHOOD_LIMITS_PER_PROXY",
        "limits.per-proxy",
        Kind::Number,
    ),
    (
        "FUMEHOOD_LIMITS_CONNECTIONS",
        "limits.connections",
        Kind::Number,
    ),
    (
        "FUMEHOOD_LIMITS_MEMORY_MIB",
        "limits.memory-mib",
        Kind::Number,
    ),
    (
        "FUMEHOOD_MODULES_DIRECTORY",
        "modules.directory",
        Kind::Text,
    ),
    (
        "FUMEHOOD_MODULES_ON_CHANGE",
        "modules.on-change",
        Kind::Text,
    ),
    ("FUMEHOOD_MODULES_KEYS", "modules.keys", Kind::List),
    (
        "FUMEHOOD_MODULES_REQUIRED",
        "modules.required",
        Kind::Switch,
    ),
    ("FUMEHOOD_MODULES_PINS", "modules.pins", Kind::List),
    (
        "FUMEHOOD_MODULES_ACCEPTED_VERSIONS",
        "modules.accepted-versions",
        Kind::Text,
    ),
];

/// How a variable's value is written.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    /// `true` or `false`.
    Switch,
    /// Separated by commas.
    List,
}

/// A parsed layer.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) file: File,
    text: String,
    source: Source,
}

/// What it was read from.
#[derive(Debug, Default)]
enum Source {
    #[default]
    Nothing,
    File(PathBuf),
    /// The variable of each line.
    Environment(Vec<&'static str>),
}

impl Layer {
    /// Reads a file; `None` where there is none. Blocks.
    pub(super) fn of_file(path: &Path) -> Result<Option<Self>, SettingsError> {
        let failed = |why: String| SettingsError::File {
            path: path.to_owned(),
            why,
        };
        match read_file(path, MAX_SETTINGS_BYTES) {
            Ok(Some(bytes)) => {
                let text =
                    String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8".into()))?;
                Layer::parse(text, Source::File(path.to_owned())).map(Some)
            }
            Ok(None) => Ok(None),
            Err(why) => Err(failed(why)),
        }
    }

    /// Takes what `variable` has to say.
    pub(super) fn of_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let (mut text, mut names) = (String::new(), Vec::new());
        for (name, key, kind) in VARIABLES {
            if let Some(value) = variable(name) {
                text.push_str(&format!("{key} = {}\n", kind.literal(name, &value)?));
                names.push(name);
            }
        }
        Layer::parse(text, Source::Environment(names))
    }

    fn parse(text: String, source: Source) -> Result<Self, SettingsError> {
        let parsed = toml::from_str(&text);
        let mut layer = Layer {
            file: File::default(),
            text,
            source,
        };
        match parsed {
            Ok(file) => {
                layer.file = file;
                Ok(layer)
            }
            Err(error) => {
                let (span, message) = explain(&error);
                Err(layer.refused(&span, message))
            }
        }
    }

    /// An error about a place in it.
    pub(super) fn refused(&self, span: &Range<usize>, message: String) -> SettingsError {
        let (line, column) = position(&self.text, span.start);
        match &self.source {
            Source::File(path) => SettingsError::Refused {
                path: path.clone(),
                line,
                column,
                message,
            },
            Source::Environment(names) => SettingsError::Environment {
                name: names
                    .get(line as usize - 1)
                    .copied()
                    .unwrap_or("FUMEHOOD_*"),
                message,
            },
            Source::Nothing => SettingsError::NotFollowed,
        }
    }

    /// What was read, or its error with its place.
    pub(super) fn value<T: Clone>(&self, read: &Read<T>) -> Result<T, SettingsError> {
        read.read
            .clone()
            .map_err(|message| self.refused(&read.span, message))
    }

    /// All of a list; `None` where the key is not there.
    pub(super) fn values<T: Clone>(
        &self,
        list: Option<&Vec<Read<T>>>,
    ) -> Result<Option<Vec<T>>, SettingsError> {
        let values = |list: &Vec<Read<T>>| list.iter().map(|it| self.value(it)).collect();
        list.map(values).transpose()
    }

    /// Where a place in it is, for people.
    pub(super) fn origin(&self, span: &Range<usize>) -> Origin {
        let (line, _) = position(&self.text, span.start);
        match &self.source {
            Source::File(_) => Origin::File { line },
            Source::Environment(names) => match names.get(line as usize - 1) {
                Some(name) => Origin::Environment(name),
                None => Origin::Default,
            },
            Source::Nothing => Origin::Default,
        }
    }
}

impl Kind {
    /// As TOML has it.
    fn literal(self, name: &'static str, value: &str) -> Result<String, SettingsError> {
        // What JSON quotes, TOML reads the same.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Kind::Text => Ok(quoted(value)),
            Kind::List => {
                let items = value.split(',').map(str::trim).filter(|it| !it.is_empty());
                Ok(format!(
                    "[{}]",
                    items.map(quoted).collect::<Vec<_>>().join(",")
                ))
            }
            Kind::Number if value.parse::<f64>().is_ok_and(f64::is_finite) => Ok(value.to_owned()),
            Kind::Switch if matches!(value, "true" | "false") => Ok(value.to_owned()),
            Kind::Switch => Err(SettingsError::Environment {
                name,
                message: format!("{value:?} is neither true nor false"),
            }),
            Kind::Number => Err(SettingsError::Environment {
                name,
                message: format!("{value:?} is not a number"),
            }),
        }
    }
}
