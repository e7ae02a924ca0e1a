//! Between the guest's types and the messages'. What a guest says is checked here.

use std::net::IpAddr;
use std::sync::Arc;

use fumehood_control::{
    PacFailure, PacFinding, PacMoment, PacName, PacRemark, PacSeverity, PacStep, PacSurroundings,
    PacTarget, PacThrown,
};
use fumehood_policy::{Host, ProxyScheme, ProxyServer, Route};

use super::bindings::exports::fumehood::pac::evaluator as wire;
use super::state::Known;
use crate::instance::{Fault, bounded, bounded_to};

/// Most ways of one answer, entries that are none, alerts; as the guest has it.
const MAX_LIST: usize = 32;

/// Most steps that are told of; likewise.
const MAX_STEPS: usize = 512;

/// Most remarks on a script; likewise.
const MAX_REMARKS: usize = 200;

/// Longest text of an alert, in bytes; likewise.
const MAX_ALERT_BYTES: usize = 2048;

pub(super) fn surroundings(place: &PacSurroundings) -> wire::Surroundings {
    wire::Surroundings {
        addresses: place.addresses.iter().map(IpAddr::to_string).collect(),
        zone: place
            .zone
            .iter()
            .map(|&(from, offset)| wire::Transition { from, offset })
            .collect(),
    }
}

pub(super) fn moment(at: PacMoment) -> wire::Moment {
    wire::Moment {
        now: at.now_ms,
        seed: at.seed,
    }
}

pub(super) fn target(target: PacTarget) -> wire::Target {
    wire::Target {
        scheme: target.scheme,
        host: target.host,
        port: target.port,
        path: target.path,
    }
}

/// A guest's end, which is reported too. It is not counted against the module's
/// version: what a script does to its evaluator is the script's doing, and would
/// befall any version.
pub(super) fn ended(fault: &Fault) -> PacFailure {
    fault.tell_of_input();
    let report = fault.report();
    PacFailure::Guest {
        kind: report.kind.clone(),
        detail: report.detail.clone(),
    }
}

/// What the host has to do before there is an answer.
pub(super) enum Unfinished {
    /// Find this name, and ask again.
    Needs(String),
    /// Nothing: that is the answer.
    Failed(PacFailure),
}

pub(super) fn load_error(error: wire::LoadError) -> Unfinished {
    Unfinished::Failed(match error {
        wire::LoadError::Needs(name) => return Unfinished::Needs(name),
        wire::LoadError::TooLong => PacFailure::TooLong,
        wire::LoadError::Syntax(it) => PacFailure::Syntax(thrown(&it)),
        wire::LoadError::Script(it) => PacFailure::Script(thrown(&it)),
        wire::LoadError::Limit(why) => PacFailure::Limit(bounded(&why)),
        wire::LoadError::NoFunction => PacFailure::NoFunction,
    })
}

pub(super) fn call_error(error: wire::CallError) -> Unfinished {
    Unfinished::Failed(match error {
        wire::CallError::Needs(name) => return Unfinished::Needs(name),
        wire::CallError::NotLoaded => PacFailure::NotLoaded,
        wire::CallError::Target(why) => PacFailure::Target(bounded(&why)),
        wire::CallError::Script(it) => PacFailure::Script(thrown(&it)),
        wire::CallError::Limit(why) => PacFailure::Limit(bounded(&why)),
        wire::CallError::NoFunction => PacFailure::NoFunction,
        wire::CallError::NotAString(kind) => PacFailure::NotAString(bounded(&kind)),
        wire::CallError::NotAscii => PacFailure::NotAscii,
        wire::CallError::AnswerTooLong => PacFailure::AnswerTooLong,
        wire::CallError::NoProxy(answer) => PacFailure::NoProxy(bounded(&answer)),
    })
}

fn thrown(thrown: &wire::Thrown) -> PacThrown {
    PacThrown {
        message: bounded(&thrown.message),
        position: thrown.position,
    }
}

/// The guest's list, each host parsed as everywhere else. What is no host is
/// left out and told of.
pub(super) fn finding(found: wire::Finding) -> Result<PacFinding, PacFailure> {
    let mut skipped: Vec<String> = texts(found.skipped, MAX_LIST);
    let mut routes = Vec::new();
    for proxy in found.proxies.into_iter().take(MAX_LIST) {
        match route(&proxy) {
            Ok(route) => routes.push(route),
            Err(why) => skipped.push(bounded(&why)),
        }
    }
    if routes.is_empty() {
        return Err(PacFailure::NoProxy(bounded(&skipped.join("; "))));
    }
    let alerts = found.alerts.iter().take(MAX_LIST);
    Ok(PacFinding {
        routes,
        skipped,
        alerts: alerts.map(|it| bounded_to(it, MAX_ALERT_BYTES)).collect(),
        dropped_alerts: found.dropped_alerts,
        refused_names: found.refused_names,
    })
}

fn route(proxy: &wire::Proxy) -> Result<Route, String> {
    let (scheme, wire::Endpoint { host, port }) = match proxy {
        wire::Proxy::Direct => return Ok(Route::Direct),
        wire::Proxy::Http(it) => (ProxyScheme::Http, it),
        wire::Proxy::Https(it) => (ProxyScheme::Https, it),
        wire::Proxy::Socks4(it) => (ProxyScheme::Socks4, it),
        // Names go to it as they are, as in browsers.
        wire::Proxy::Socks5(it) => (ProxyScheme::Socks5h, it),
    };
    let parsed = match host.parse::<IpAddr>() {
        Ok(address) => Ok(Host::from(address)),
        Err(_) => Host::parse(host),
    };
    match parsed {
        Ok(host) if *port != 0 => Ok(Route::Proxy(ProxyServer {
            scheme,
            host,
            port: *port,
        })),
        Ok(_) => Err(format!("{host}:0 is no proxy")),
        Err(why) => Err(format!("{host}:{port} is no proxy: {why}")),
    }
}

pub(super) fn steps(steps: Vec<wire::Step>) -> Vec<PacStep> {
    let step = |step: wire::Step| PacStep {
        function: bounded(&step.function),
        arguments: bounded(&step.arguments),
        answer: bounded(&step.answer),
    };
    steps.into_iter().take(MAX_STEPS).map(step).collect()
}

pub(super) fn remarks(remarks: Vec<wire::Remark>) -> Vec<PacRemark> {
    let remark = |remark: wire::Remark| PacRemark {
        rule: bounded(&remark.rule),
        severity: match remark.severity {
            wire::Severity::Error => PacSeverity::Error,
            wire::Severity::Warning => PacSeverity::Warning,
            wire::Severity::Note => PacSeverity::Note,
        },
        position: remark.position,
        message: bounded(&remark.message),
    };
    remarks.into_iter().take(MAX_REMARKS).map(remark).collect()
}

/// In the order of the alphabet.
pub(super) fn names(known: &Arc<Known>) -> Vec<PacName> {
    let mut names: Vec<PacName> = known
        .iter()
        .map(|(name, addresses)| PacName {
            name: name.clone(),
            addresses: addresses.clone(),
        })
        .collect();
    names.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    names
}

fn texts(texts: Vec<String>, most: usize) -> Vec<String> {
    texts.iter().take(most).map(|text| bounded(text)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    /// A guest that keeps none of its own bounds.
    fn told(proxies: Vec<wire::Proxy>) -> Result<PacFinding, PacFailure> {
        let long = "\u{7}".repeat(MAX_ALERT_BYTES);
        finding(wire::Finding {
            proxies,
            skipped: vec![long.clone(); MAX_LIST + 1],
            alerts: vec![long; MAX_LIST + 1],
            dropped_alerts: 0,
            names: vec![],
            refused_names: 0,
        })
    }

    #[test]
    fn texts_of_a_guest_are_cut_and_cannot_break_out() {
        let found = told(vec![wire::Proxy::Direct]).unwrap();
        assert_eq!(
            (found.alerts.len(), found.skipped.len()),
            (MAX_LIST, MAX_LIST)
        );
        assert_eq!(found.alerts[0], "\u{fffd}".repeat(MAX_ALERT_BYTES / 3));
        let Err(PacFailure::NoProxy(why)) = told(vec![]) else {
            panic!("it names none")
        };
        assert!(why.len() <= 1024 && why.starts_with('\u{fffd}'));
    }
}
