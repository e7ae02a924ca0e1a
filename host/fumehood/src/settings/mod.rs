//! Settings: policy and preferences of a file, then the environment, then flags.
//!
//! ```text
//! layer (file, environment) ── typed by file ──► rules, Settings ──► Engine, fetch
//! ```
//!
//! `docs/policy.md` has the grammar, `docs/config.schema.json` the schema.

mod dns;
mod error;
mod file;
mod follow;
mod layer;
mod modules;
mod proxy;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

pub use error::SettingsError;
pub use follow::Revision;
pub(crate) use follow::{Current, Follow, FollowedProxies, Now, Preferences, watch};
use fumehood_control::{
    Deadlines, DnsPreferences, GuestPreferences, Http1Preferences, TlsOptions, TlsVersion,
};
use fumehood_policy::{DnsName, Policy, PrivateHost, ProxySettings};
use layer::Layer;
pub use layer::MAX_SETTINGS_BYTES;
pub use modules::ModuleSettings;
use toml::Spanned;

use crate::config::{Limits, default_deadlines, default_tls};
use crate::{Dns, DnsAnchor, DnsMode, DnsServer, ModuleKey, places};

/// The environment variable that names the file.
const FILE_VARIABLE: &str = "FUMEHOOD_CONFIG";

/// Where settings come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsSource {
    /// This file, which must be there. Without it, the file that
    /// `FUMEHOOD_CONFIG` names, which must be there too; without that,
    /// `$XDG_CONFIG_HOME/fumehood/config.toml`, if it is there.
    pub file: Option<PathBuf>,
    /// Private hosts of flags, on top of the others.
    pub private_hosts: Vec<PrivateHost>,
    /// Name servers of flags, in place of the others.
    pub dns_servers: Vec<DnsServer>,
    /// What [`crate::Engine::resolve`] finds is validated, whatever the layers say;
    /// names of requests only where `dns.mode` is `guest`.
    pub dnssec: bool,
    /// Keys of flags, in place of the others; what none of them signed is refused.
    pub module_keys: Vec<ModuleKey>,
}

/// What a program goes by: the policy, and preferences.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which requests may be made.
    pub policy: Policy,
    /// Where the policy's allow rules stand, or [`Origin::Default`] where
    /// every public address is allowed.
    pub allow_origin: Origin,
    /// The private hosts of the policy, each with its origin.
    pub private_hosts: Vec<Value<PrivateHost>>,
    /// What becomes of denials by rules.
    pub mode: Value<fumehood_policy::Mode>,
    /// What becomes of denials by address checks.
    pub address_mode: Value<fumehood_policy::Mode>,
    /// What the command calls itself; `None` for its own name.
    pub user_agent: Value<Option<String>>,
    /// Most bytes of a head that a peer sends.
    pub http_max_head_bytes: Value<u32>,
    /// Most fields in such a head.
    pub http_max_fields: Value<u32>,
    /// Oldest TLS version accepted.
    pub tls_min: Value<TlsVersion>,
    /// Newest TLS version offered.
    pub tls_max: Value<TlsVersion>,
    /// Who resolves the names of requests.
    pub dns_mode: Value<DnsMode>,
    /// The resolver's servers; empty for those of `resolv.conf`.
    pub dns_servers: Value<Vec<DnsServer>>,
    /// Its search domains; `None` for those of `resolv.conf`.
    pub dns_search: Value<Option<Vec<DnsName>>>,
    /// Whether it answers private addresses for any name.
    pub dns_private_answers: Value<bool>,
    /// Most answers that the resolver keeps.
    pub dns_cache_entries: Value<u32>,
    /// Longest life of an answer of the resolver's, in seconds.
    pub dns_max_ttl_s: Value<u32>,
    /// Whether it validates what it finds.
    pub dns_dnssec: Value<bool>,
    /// Where it begins to believe, beside the root's keys.
    pub dns_trust_anchors: Value<Vec<DnsAnchor>>,
    /// Where `resolv.conf` is.
    pub dns_resolv_conf: Value<PathBuf>,
    /// Where the host table is.
    pub dns_hosts: Value<PathBuf>,
    /// How requests find their way out; `None` where nobody said.
    pub proxies: Value<Option<ProxySettings>>,
    /// Resolving and connecting, in milliseconds.
    pub connect_ms: Value<u32>,
    /// The TLS handshake, in milliseconds.
    pub tls_ms: Value<u32>,
    /// From request to head, in milliseconds.
    pub head_ms: Value<u32>,
    /// Between two bytes, in milliseconds.
    pub idle_ms: Value<u32>,
    /// Exchanges under way at once.
    pub max_exchanges: Value<u32>,
    /// Guest instances alive at once.
    pub max_instances: Value<u32>,
    /// Idle connections kept.
    pub max_idle_connections: Value<u32>,
    /// How long each is kept, in milliseconds.
    pub idle_connection_ms: Value<u32>,
    /// Connections to one origin.
    pub max_per_origin: Value<u32>,
    /// Connections through one proxy.
    pub max_per_proxy: Value<u32>,
    /// Connections in all.
    pub max_connections: Value<u32>,
    /// Memory of the engine, in bytes.
    pub memory_bytes: Value<u64>,
    /// Modules of files: where they are, and which are taken.
    pub modules: ModuleSettings,
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    /// The file that was looked for.
    pub looked_for: Option<PathBuf>,
}

/// A setting and where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value<T> {
    /// What holds.
    pub value: T,
    /// Why.
    pub origin: Origin,
}

/// Where a setting comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    #[default]
    Default,
    /// The file says so.
    File {
        /// On this line.
        line: u32,
    },
    /// This environment variable says so.
    Environment(&'static str),
    /// This flag says so.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { line } => write!(f, "line {line}"),
            Origin::Environment(name) | Origin::Flag(name) => f.write_str(name),
        }
    }
}

impl SettingsSource {
    /// Where the file is or would be, and whether it must be there.
    fn place(&self) -> Option<(PathBuf, bool)> {
        let named = self.file.clone().or_else(|| {
            let variable = std::env::var_os(FILE_VARIABLE).filter(|it| !it.is_empty())?;
            Some(PathBuf::from(variable))
        });
        match named {
            Some(path) => Some((path, true)),
            None => places::config().map(|path| (path, false)),
        }
    }
}

impl Settings {
    /// Reads all layers anew. Blocks, for as long as a small file takes.
    ///
    /// # Errors
    /// [`SettingsError`]: then nothing of it is to be used.
    pub fn load(source: &SettingsSource) -> Result<Self, SettingsError> {
        let place = source.place();
        let layer = match &place {
            Some((path, must)) => {
                let layer = Layer::of_file(path)?;
                let absent = || SettingsError::File {
                    path: path.clone(),
                    why: "there is no such file".to_owned(),
                };
                if *must && layer.is_none() {
                    return Err(absent());
                }
                layer
            }
            None => None,
        };
        let environment = Layer::of_environment(|name| std::env::var(name).ok())?;
        let looked_for = place.map(|(path, _)| path);
        Settings::of_layers(layer, &environment, source, looked_for.as_deref())
    }

    /// What holds where no file, no variable and no flag says anything: `http`
    /// and `https` to every public address.
    #[must_use]
    pub fn defaults() -> Self {
        let nothing = Layer::default();
        let made = Settings::of_layers(None, &nothing, &SettingsSource::default(), None);
        made.unwrap_or_else(|_| unreachable!("nothing was said that could be wrong"))
    }

    fn of_layers(
        file: Option<Layer>,
        environment: &Layer,
        source: &SettingsSource,
        looked_for: Option<&Path>,
    ) -> Result<Self, SettingsError> {
        let was_there = file.is_some();
        let file = file.unwrap_or_default();
        let built = rules::build(&file, environment, source, looked_for.filter(|_| was_there))?;
        let (deadlines, tls, limits) = (default_deadlines(), default_tls(), Limits::default());
        let guests = GuestPreferences::default();
        let both = [environment, &file];
        let dns = dns::build(&file, environment, source)?;
        let settings = Settings {
            policy: built.policy,
            allow_origin: built.allow_origin,
            private_hosts: built.private_hosts,
            mode: built.mode,
            address_mode: built.address_mode,
            user_agent: pick(
                both,
                |it| it.http.user_agent.as_ref(),
                |it| Some(it.0.clone()),
                None,
            ),
            http_max_head_bytes: pick(
                both,
                |it| it.http.max_head_kib.as_ref(),
                |it| it.0 << 10,
                guests.http1.max_head_bytes,
            ),
            http_max_fields: pick(
                both,
                |it| it.http.max_fields.as_ref(),
                |it| it.0,
                guests.http1.max_fields,
            ),
            tls_min: pick(
                both,
                |it| it.tls.min_version.as_ref(),
                |it| (*it).into(),
                tls.min_version,
            ),
            tls_max: pick(
                both,
                |it| it.tls.max_version.as_ref(),
                |it| (*it).into(),
                tls.max_version,
            ),
            dns_mode: dns.mode,
            dns_servers: dns.servers,
            dns_search: dns.search,
            dns_private_answers: dns.private_answers,
            dns_cache_entries: pick(
                both,
                |it| it.dns.cache_entries.as_ref(),
                |it| it.0,
                guests.dns.cache_entries,
            ),
            dns_max_ttl_s: pick(
                both,
                |it| it.dns.max_ttl.as_ref(),
                |it| it.0,
                guests.dns.max_ttl_s,
            ),
            dns_dnssec: dns.dnssec,
            dns_trust_anchors: dns.trust_anchors,
            dns_resolv_conf: dns.resolv_conf,
            dns_hosts: dns.hosts,
            proxies: proxy::build(&file, environment)?,
            connect_ms: pick(
                both,
                |it| it.timeouts.connect.as_ref(),
                |it| it.0,
                deadlines.connect_ms,
            ),
            tls_ms: pick(
                both,
                |it| it.timeouts.tls.as_ref(),
                |it| it.0,
                deadlines.tls_ms,
            ),
            head_ms: pick(
                both,
                |it| it.timeouts.head.as_ref(),
                |it| it.0,
                deadlines.head_ms,
            ),
            idle_ms: pick(
                both,
                |it| it.timeouts.idle.as_ref(),
                |it| it.0,
                deadlines.idle_ms,
            ),
            max_exchanges: pick(
                both,
                |it| it.limits.exchanges.as_ref(),
                |it| it.0,
                limits.max_exchanges,
            ),
            max_instances: pick(
                both,
                |it| it.limits.instances.as_ref(),
                |it| it.0,
                limits.max_instances,
            ),
            max_idle_connections: pick(
                both,
                |it| it.limits.idle_connections.as_ref(),
                |it| *it,
                limits.max_idle_connections,
            ),
            idle_connection_ms: pick(
                both,
                |it| it.limits.idle_connection_seconds.as_ref(),
                |it| it.0.saturating_mul(1000),
                limits.idle_connection_ms,
            ),
            max_per_origin: pick(
                both,
                |it| it.limits.per_origin.as_ref(),
                |it| it.0,
                limits.max_per_origin,
            ),
            max_per_proxy: pick(
                both,
                |it| it.limits.per_proxy.as_ref(),
                |it| it.0,
                limits.max_per_proxy,
            ),
            max_connections: pick(
                both,
                |it| it.limits.connections.as_ref(),
                |it| it.0,
                limits.max_connections,
            ),
            memory_bytes: pick(
                both,
                |it| it.limits.memory_mib.as_ref(),
                |it| u64::from(it.0) << 20,
                limits.memory_bytes,
            ),
            modules: modules::build(&file, environment, source)?,
            file: looked_for.filter(|_| was_there).map(Path::to_owned),
            looked_for: looked_for.map(Path::to_owned),
        };
        settings.check_versions(&file)?;
        Ok(settings)
    }

    fn check_versions(&self, file: &Layer) -> Result<(), SettingsError> {
        let reversed =
            self.tls_min.value == TlsVersion::V1_3 && self.tls_max.value == TlsVersion::V1_2;
        let message = "tls.min-version is newer than tls.max-version".to_owned();
        match (reversed, &file.file.tls.min_version, self.tls_min.origin) {
            (false, ..) => Ok(()),
            (true, _, Origin::Environment(name)) => {
                Err(SettingsError::Environment { name, message })
            }
            (true, Some(min), _) => Err(file.refused(&min.span(), message)),
            // Then its default, the older, holds.
            (true, None, _) => Ok(()),
        }
    }

    /// The deadlines of exchanges that bring none.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        Deadlines {
            connect_ms: self.connect_ms.value,
            tls_ms: self.tls_ms.value,
            head_ms: self.head_ms.value,
            idle_ms: self.idle_ms.value,
            ..default_deadlines()
        }
    }

    /// How TLS is spoken on exchanges that do not say.
    #[must_use]
    pub fn tls(&self) -> TlsOptions {
        TlsOptions {
            min_version: self.tls_min.value,
            max_version: self.tls_max.value,
            ..default_tls()
        }
    }

    /// How names are resolved.
    #[must_use]
    pub fn dns(&self) -> Dns {
        Dns {
            mode: self.dns_mode.value,
            servers: self.dns_servers.value.clone(),
            search: self.dns_search.value.clone(),
            private_answers: self.dns_private_answers.value,
            dnssec: self.dns_dnssec.value,
            trust_anchors: self.dns_trust_anchors.value.clone(),
            resolv_conf: self.dns_resolv_conf.value.clone(),
            hosts: self.dns_hosts.value.clone(),
        }
    }

    /// What is preferred of the guests.
    #[must_use]
    pub fn guest_preferences(&self) -> GuestPreferences {
        GuestPreferences {
            http1: Http1Preferences {
                max_head_bytes: self.http_max_head_bytes.value,
                max_fields: self.http_max_fields.value,
            },
            dns: DnsPreferences {
                cache_entries: self.dns_cache_entries.value,
                max_ttl_s: self.dns_max_ttl_s.value,
            },
        }
    }

    /// What an engine may take.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            max_instances: self.max_instances.value,
            max_exchanges: self.max_exchanges.value,
            max_idle_connections: self.max_idle_connections.value,
            idle_connection_ms: self.idle_connection_ms.value,
            max_per_origin: self.max_per_origin.value,
            max_per_proxy: self.max_per_proxy.value,
            max_connections: self.max_connections.value,
            memory_bytes: self.memory_bytes.value,
        }
    }
}

/// What the first layer that speaks of it says.
fn pick<S, T>(
    layers: [&Layer; 2],
    find: impl Fn(&file::File) -> Option<&Spanned<S>>,
    read: impl Fn(&S) -> T,
    default: T,
) -> Value<T> {
    for layer in layers {
        if let Some(said) = find(&layer.file) {
            return Value {
                value: read(said.get_ref()),
                origin: layer.origin(&said.span()),
            };
        }
    }
    Value {
        value: default,
        origin: Origin::Default,
    }
}

/// What the first layer that has the list says.
fn list<T: Clone>(
    layers: [&Layer; 2],
    find: impl Fn(&file::File) -> Option<&Vec<file::Read<T>>>,
    most: usize,
) -> Result<Option<Value<Vec<T>>>, SettingsError> {
    for layer in layers {
        let Some(said) = find(&layer.file) else {
            continue;
        };
        if let Some(one_more) = said.get(most) {
            let message = format!("there are at most {most} of these");
            return Err(layer.refused(&one_more.span, message));
        }
        let origin = said.first().map(|first| layer.origin(&first.span));
        return Ok(layer.values(Some(said))?.map(|value| Value {
            value,
            origin: origin.unwrap_or_default(),
        }));
    }
    Ok(None)
}
