//! From the table `[dns]` to how names are resolved.

use std::path::PathBuf;

use fumehood_policy::DnsName;
use fumehood_policy::resolver::{MAX_NAME_SERVERS, MAX_SEARCH_DOMAINS};

use super::error::SettingsError;
use super::file::PrivateAnswersName;
use super::layer::Layer;
use super::{Origin, SettingsSource, Value, list, pick};
use crate::names::MAX_DNS_ANCHORS;
use crate::{Dns, DnsAnchor, DnsMode, DnsServer};

/// Each with its origin.
pub(super) struct Built {
    pub(super) mode: Value<DnsMode>,
    pub(super) servers: Value<Vec<DnsServer>>,
    pub(super) search: Value<Option<Vec<DnsName>>>,
    pub(super) private_answers: Value<bool>,
    pub(super) dnssec: Value<bool>,
    pub(super) trust_anchors: Value<Vec<DnsAnchor>>,
    pub(super) resolv_conf: Value<PathBuf>,
    pub(super) hosts: Value<PathBuf>,
}

pub(super) fn build(
    file: &Layer,
    environment: &Layer,
    source: &SettingsSource,
) -> Result<Built, SettingsError> {
    let (both, default) = ([environment, file], Dns::default());
    let search = list(both, |it| it.dns.search.as_ref(), MAX_SEARCH_DOMAINS)?;
    let mode = pick(both, |it| it.dns.mode.as_ref(), |mode| *mode, default.mode);
    let dnssec = dnssec(both, mode.value, source)?;
    Ok(Built {
        mode,
        servers: match source.dns_servers.is_empty() {
            true => list(both, |it| it.dns.servers.as_ref(), MAX_NAME_SERVERS)?.unwrap_or(Value {
                value: default.servers,
                origin: Origin::Default,
            }),
            false => Value {
                value: source.dns_servers.clone(),
                origin: Origin::Flag("--server"),
            },
        },
        search: match search {
            Some(Value { value, origin }) => Value {
                value: Some(value.into_iter().map(|it| it.0).collect()),
                origin,
            },
            None => Value {
                value: None,
                origin: Origin::Default,
            },
        },
        private_answers: pick(
            both,
            |it| it.dns.private_answers.as_ref(),
            |it| matches!(it, PrivateAnswersName::Answered),
            default.private_answers,
        ),
        dnssec,
        trust_anchors: list(both, |it| it.dns.trust_anchors.as_ref(), MAX_DNS_ANCHORS)?.unwrap_or(
            Value {
                value: default.trust_anchors,
                origin: Origin::Default,
            },
        ),
        resolv_conf: pick(
            both,
            |it| it.dns.resolv_conf.as_ref(),
            Clone::clone,
            default.resolv_conf,
        ),
        hosts: pick(
            both,
            |it| it.dns.hosts_file.as_ref(),
            Clone::clone,
            default.hosts,
        ),
    })
}

/// Whether to validate. Whoever says so wants it of requests too, so it is
/// refused where the C library resolves their names.
fn dnssec(
    layers: [&Layer; 2],
    mode: DnsMode,
    source: &SettingsSource,
) -> Result<Value<bool>, SettingsError> {
    for layer in layers {
        let Some(said) = &layer.file.dns.dnssec else {
            continue;
        };
        if *said.get_ref() && mode != DnsMode::Guest {
            let message = "nothing that the C library resolves is validated: set dns.mode = \
                           \"guest\" too";
            return Err(layer.refused(&said.span(), message.to_owned()));
        }
        if *said.get_ref() || !source.dnssec {
            return Ok(Value {
                value: *said.get_ref(),
                origin: layer.origin(&said.span()),
            });
        }
    }
    Ok(Value {
        value: source.dnssec,
        origin: match source.dnssec {
            true => Origin::Flag("--dnssec"),
            false => Origin::Default,
        },
    })
}
