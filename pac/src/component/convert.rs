//! Between the library's types and the generated ones, which are their like.

use super::wit;
use crate::{
    CallError, Endpoint, Explained, Finding, LoadError, Moment, Proxy, Remark, Severity,
    Surroundings, Thrown, Transition, Zone,
};

impl From<wit::Moment> for Moment {
    fn from(moment: wit::Moment) -> Self {
        Moment {
            now: moment.now,
            seed: moment.seed,
        }
    }
}

impl From<wit::Surroundings> for Surroundings {
    fn from(place: wit::Surroundings) -> Self {
        let addresses = place.addresses.iter().filter_map(|text| text.parse().ok());
        let zone = place.zone.iter().map(|transition| Transition {
            from: transition.from,
            offset: transition.offset,
        });
        Surroundings::new(addresses.collect(), Zone::new(zone.collect()))
    }
}

impl From<Thrown> for wit::Thrown {
    fn from(thrown: Thrown) -> Self {
        wit::Thrown {
            message: thrown.message,
            position: thrown.position,
        }
    }
}

impl From<LoadError> for wit::LoadError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::TooLong => wit::LoadError::TooLong,
            LoadError::Syntax(thrown) => wit::LoadError::Syntax(thrown.into()),
            LoadError::Script(thrown) => wit::LoadError::Script(thrown.into()),
            LoadError::Limit(why) => wit::LoadError::Limit(why),
            LoadError::Needs(name) => wit::LoadError::Needs(name),
            LoadError::NoFunction => wit::LoadError::NoFunction,
        }
    }
}

impl From<CallError> for wit::CallError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotLoaded => wit::CallError::NotLoaded,
            CallError::Target(why) => wit::CallError::Target(why.to_string()),
            CallError::Needs(name) => wit::CallError::Needs(name),
            CallError::Script(thrown) => wit::CallError::Script(thrown.into()),
            CallError::Limit(why) => wit::CallError::Limit(why),
            CallError::NoFunction => wit::CallError::NoFunction,
            CallError::NotAString(kind) => wit::CallError::NotAString(kind.to_owned()),
            CallError::NotAscii => wit::CallError::NotAscii,
            CallError::AnswerTooLong => wit::CallError::AnswerTooLong,
            CallError::NoProxy(answer) => wit::CallError::NoProxy(answer),
        }
    }
}

impl From<Endpoint> for wit::Endpoint {
    fn from(endpoint: Endpoint) -> Self {
        wit::Endpoint {
            host: endpoint.host,
            port: endpoint.port,
        }
    }
}

impl From<Proxy> for wit::Proxy {
    fn from(proxy: Proxy) -> Self {
        match proxy {
            Proxy::Direct => wit::Proxy::Direct,
            Proxy::Http(endpoint) => wit::Proxy::Http(endpoint.into()),
            Proxy::Https(endpoint) => wit::Proxy::Https(endpoint.into()),
            Proxy::Socks4(endpoint) => wit::Proxy::Socks4(endpoint.into()),
            Proxy::Socks5(endpoint) => wit::Proxy::Socks5(endpoint.into()),
        }
    }
}

impl From<Finding> for wit::Finding {
    fn from(finding: Finding) -> Self {
        wit::Finding {
            proxies: finding.proxies.into_iter().map(wit::Proxy::from).collect(),
            skipped: finding.skipped,
            alerts: finding.alerts,
            dropped_alerts: finding.dropped_alerts,
            names: finding.names,
            refused_names: finding.refused_names,
        }
    }
}

impl From<Explained> for wit::Explained {
    fn from(explained: Explained) -> Self {
        let steps = explained.steps.into_iter().map(|step| wit::Step {
            function: step.function.to_owned(),
            arguments: step.arguments,
            answer: step.answer,
        });
        wit::Explained {
            outcome: match explained.outcome {
                Ok(finding) => Ok(finding.into()),
                Err(error) => Err(error.into()),
            },
            steps: steps.collect(),
            earlier_steps: explained.earlier_steps,
        }
    }
}

impl From<Remark> for wit::Remark {
    fn from(remark: Remark) -> Self {
        wit::Remark {
            rule: remark.rule.name().to_owned(),
            severity: match remark.rule.severity() {
                Severity::Error => wit::Severity::Error,
                Severity::Warning => wit::Severity::Warning,
                Severity::Note => wit::Severity::Note,
            },
            position: remark.position,
            message: remark.message,
        }
    }
}
