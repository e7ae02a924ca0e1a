//! `fumehood policy show`: the policy and the preferences that hold, each with
//! its origin.

use std::fmt::{self, Write as _};
use std::path::Path;

use fumehood::control::TlsVersion;
use fumehood::policy::{ANY_PORT, Effect, Mode, ProxySettings, Route, Rule};
use fumehood::{OnChange, Origin, Settings, Value};
use serde_json::json;

use super::args::Show;
use super::exit::Failed;
use super::modules::json as line;
use super::settings;

/// All of it.
pub(crate) fn show(args: &Show) -> Result<String, Failed> {
    let source = settings::source(&args.permissions);
    let settings = settings::load(&source)?;
    match args.json {
        true => line(&to_json(&settings)),
        false => Ok(to_text(&settings)),
    }
}

/// A preference: its key, what it is, and why.
type Row = (&'static str, String, Origin);

fn rows(settings: &Settings) -> Vec<Row> {
    fn row<T: fmt::Display>(key: &'static str, value: T, origin: Origin) -> Row {
        (key, value.to_string(), origin)
    }
    fn time(key: &'static str, value: &Value<u32>) -> Row {
        row(
            key,
            format!("{} s", f64::from(value.value) / 1000.0),
            value.origin,
        )
    }
    let it = settings;
    let agent = it.user_agent.value.as_deref();
    let mode = |mode| match mode {
        Mode::Enforce => "enforce",
        Mode::Report => "report",
    };
    let version = |version| match version {
        TlsVersion::V1_2 => "1.2",
        TlsVersion::V1_3 => "1.3",
    };
    vec![
        row("policy.mode", mode(it.mode.value), it.mode.origin),
        row(
            "policy.address-mode",
            mode(it.address_mode.value),
            it.address_mode.origin,
        ),
        row(
            "http.user-agent",
            agent.unwrap_or(super::headers::DEFAULT_USER_AGENT),
            it.user_agent.origin,
        ),
        row(
            "http.max-head-kib",
            it.http_max_head_bytes.value >> 10,
            it.http_max_head_bytes.origin,
        ),
        row(
            "http.max-fields",
            it.http_max_fields.value,
            it.http_max_fields.origin,
        ),
        row(
            "tls.min-version",
            version(it.tls_min.value),
            it.tls_min.origin,
        ),
        row(
            "tls.max-version",
            version(it.tls_max.value),
            it.tls_max.origin,
        ),
        row("dns.mode", it.dns_mode.value.name(), it.dns_mode.origin),
        row(
            "dns.servers",
            or_resolv_conf(joined(&it.dns_servers.value)),
            it.dns_servers.origin,
        ),
        row(
            "dns.search",
            or_resolv_conf(
                it.dns_search
                    .value
                    .as_deref()
                    .map(joined)
                    .unwrap_or_default(),
            ),
            it.dns_search.origin,
        ),
        row(
            "dns.private-answers",
            match it.dns_private_answers.value {
                true => "answered",
                false => "refused",
            },
            it.dns_private_answers.origin,
        ),
        row("dns.dnssec", it.dns_dnssec.value, it.dns_dnssec.origin),
        row(
            "dns.trust-anchors",
            match it.dns_trust_anchors.value.is_empty() {
                true => "those of the root".to_owned(),
                false => joined(&it.dns_trust_anchors.value),
            },
            it.dns_trust_anchors.origin,
        ),
        row(
            "dns.cache-entries",
            it.dns_cache_entries.value,
            it.dns_cache_entries.origin,
        ),
        row(
            "dns.max-ttl",
            format!("{} s", it.dns_max_ttl_s.value),
            it.dns_max_ttl_s.origin,
        ),
        row(
            "dns.resolv-conf",
            it.dns_resolv_conf.value.display(),
            it.dns_resolv_conf.origin,
        ),
        row(
            "dns.hosts-file",
            it.dns_hosts.value.display(),
            it.dns_hosts.origin,
        ),
        row(
            "proxy",
            way_out(it.proxies.value.as_ref()),
            it.proxies.origin,
        ),
        time("timeouts.connect", &it.connect_ms),
        time("timeouts.tls", &it.tls_ms),
        time("timeouts.head", &it.head_ms),
        time("timeouts.idle", &it.idle_ms),
        row(
            "limits.exchanges",
            it.max_exchanges.value,
            it.max_exchanges.origin,
        ),
        row(
            "limits.instances",
            it.max_instances.value,
            it.max_instances.origin,
        ),
        row(
            "limits.idle-connections",
            it.max_idle_connections.value,
            it.max_idle_connections.origin,
        ),
        time("limits.idle-connection-seconds", &it.idle_connection_ms),
        row(
            "limits.per-origin",
            it.max_per_origin.value,
            it.max_per_origin.origin,
        ),
        row(
            "limits.per-proxy",
            it.max_per_proxy.value,
            it.max_per_proxy.origin,
        ),
        row(
            "limits.connections",
            it.max_connections.value,
            it.max_connections.origin,
        ),
        row(
            "limits.memory-mib",
            it.memory_bytes.value >> 20,
            it.memory_bytes.origin,
        ),
        row(
            "modules.directory",
            path(it.modules.directory.value.as_deref()),
            it.modules.directory.origin,
        ),
        row(
            "modules.on-change",
            match it.modules.on_change.value {
                OnChange::Candidate => "candidate",
                OnChange::Swap => "swap",
            },
            it.modules.on_change.origin,
        ),
        row(
            "modules.keys",
            or_none(joined(&it.modules.keys.value)),
            it.modules.keys.origin,
        ),
        row(
            "modules.required",
            it.modules.required.value,
            it.modules.required.origin,
        ),
        row(
            "modules.pins",
            or_none(joined(&it.modules.pins.value)),
            it.modules.pins.origin,
        ),
        row(
            "modules.accepted-versions",
            path(it.modules.accepted_versions.value.as_deref()),
            it.modules.accepted_versions.origin,
        ),
    ]
}

fn path(said: Option<&Path>) -> String {
    said.map_or("none".to_owned(), |path| path.display().to_string())
}

fn or_none(said: String) -> String {
    match said.is_empty() {
        true => "none".to_owned(),
        false => said,
    }
}

fn joined(them: &[impl fmt::Display]) -> String {
    let them: Vec<String> = them.iter().map(ToString::to_string).collect();
    them.join(", ")
}

/// Without names and passwords.
fn way_out(said: Option<&ProxySettings>) -> String {
    let or_else = |fallback: &[Route]| match fallback.is_empty() {
        true => String::new(),
        false => format!(", or else {}", joined(fallback)),
    };
    match said {
        None => "as the command does by itself".to_owned(),
        Some(ProxySettings::Direct) => "direct".to_owned(),
        Some(ProxySettings::System) => "as the system says".to_owned(),
        Some(settings @ ProxySettings::Fixed(fixed)) => match &settings.named()[..] {
            [] => "direct".to_owned(),
            named if fixed.digest => format!("{}, by digest", joined(named)),
            named => joined(named),
        },
        Some(ProxySettings::Pac { source, fallback }) => {
            format!("the script {source}{}", or_else(fallback))
        }
        Some(ProxySettings::Wpad { fallback }) => {
            format!("the script that WPAD finds{}", or_else(fallback))
        }
    }
}

/// Nothing said stands for what that file says.
fn or_resolv_conf(said: String) -> String {
    match said.is_empty() {
        true => "as in resolv.conf".to_owned(),
        false => said,
    }
}

fn to_text(settings: &Settings) -> String {
    let mut text = match (&settings.file, &settings.looked_for) {
        (Some(file), _) => format!("file: {}\n", file.display()),
        (None, Some(path)) => format!(
            "file: none at {}; the defaults hold: http and https to every public address\n",
            path.display()
        ),
        (None, None) => "file: none, for want of a home directory; the defaults hold\n".to_owned(),
    };
    let mut put = |what: &str, value: &str, origin: String| {
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{what:<24} {value:<40} {origin}");
    };
    for (key, value, origin) in rows(settings) {
        put(key, &value, origin.to_string());
    }
    for host in &settings.private_hosts {
        put(
            "private host",
            &host.value.to_string(),
            host.origin.to_string(),
        );
    }
    let default = match settings.policy.default_effect() {
        Effect::Allow => "every public address is allowed",
        Effect::Deny | Effect::Ask => "what no rule allows is denied",
    };
    put("otherwise", default, settings.allow_origin.to_string());
    for rule in settings.policy.rules() {
        put(
            effect(rule),
            &described(rule),
            format!("line {}", rule.line),
        );
    }
    text
}

fn to_json(settings: &Settings) -> serde_json::Value {
    let preferences: serde_json::Map<_, _> = rows(settings)
        .into_iter()
        .map(|(key, value, origin)| {
            (
                key.to_owned(),
                json!({ "value": value, "origin": origin.to_string() }),
            )
        })
        .collect();
    let hosts: Vec<_> = settings
        .private_hosts
        .iter()
        .map(|it| json!({ "host": it.value.to_string(), "origin": it.origin.to_string() }))
        .collect();
    let rules: Vec<_> = settings
        .policy
        .rules()
        .iter()
        .map(|rule| json!({ "effect": effect(rule), "rule": described(rule), "line": rule.line }))
        .collect();
    json!({
        "file": settings.file,
        "looked_for": settings.looked_for,
        "settings": preferences,
        "private_hosts": hosts,
        "default": match settings.policy.default_effect() {
            Effect::Allow => "allow",
            Effect::Deny | Effect::Ask => "deny",
        },
        "rules": rules,
    })
}

fn effect(rule: &Rule) -> &'static str {
    match rule.effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
        Effect::Ask => "ask",
    }
}

/// `*.example.com, https, ports 8000-8999, GET`.
fn described(rule: &Rule) -> String {
    let mut parts = vec![rule.host.to_string()];
    parts.extend(rule.schemes.iter().map(ToString::to_string));
    if rule.ports.start() == rule.ports.end() {
        parts.push(format!("port {}", rule.ports.start()));
    } else if rule.ports != ANY_PORT {
        parts.push(format!("ports {}-{}", rule.ports.start(), rule.ports.end()));
    }
    parts.extend(rule.methods.iter().map(ToString::to_string));
    parts.extend(rule.clients.iter().map(|it| format!("client {it}")));
    if !rule.spaces.is_all() {
        parts.push(format!("in {}", rule.spaces));
    }
    parts.join(", ")
}
