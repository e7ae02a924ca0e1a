//! What a request asks for, read once into a target, and whether it may have it.

use fumehood_control::{Cause, DialFailure, FirstHop, PayloadLength};
use fumehood_policy::{
    Decision, Denial, Host, HostError, Method, Policy, RequestUrl, Scheme, Target, Terms, UrlError,
};

use super::refusal::Refusal;
use crate::instance::socks::{Address, Endpoint};
use crate::instance::{Asked, Request};

/// What a request is for.
pub(super) struct Wanted {
    pub(super) target: Target,
    pub(super) terms: Terms,
    /// Of a request that is forwarded; empty for a tunnel.
    pub(super) path: String,
    pub(super) tunnel: bool,
    /// It has content, which comes once.
    pub(super) content: bool,
}

/// The last origin that was asked for and what it meant: most requests of a
/// connection ask for one.
#[derive(Default)]
pub(super) struct Reader {
    last: Option<(String, Target)>,
}

/// Methods that stay with the proxy: what a TRACE shows is not the client's
/// business alone (RFC 9110 section 9.3.8).
const NOT_FORWARDED: &str = "TRACE";

impl Reader {
    /// Reads what is asked for.
    pub(super) fn read(&mut self, request: &mut Request) -> Result<Wanted, Refusal> {
        let method = request
            .method
            .parse::<Method>()
            .map_err(|why| Refusal::new(501, "http_request_error", why.to_string()))?;
        if request.method == NOT_FORWARDED {
            let why = "TRACE is not passed on".to_owned();
            return Err(Refusal::new(405, "http_request_denied", why));
        }
        let (target, path, tunnel) = match std::mem::replace(&mut request.target, Asked::Local) {
            Asked::Local => return Err(Refusal::not_a_proxy_request()),
            // What a tunnel carries is nearly always TLS, so rules for https apply.
            Asked::Authority(authority) => {
                let target = self.origin(&format!("https://{authority}"))?;
                (target, String::new(), true)
            }
            Asked::Absolute { origin, path } => {
                let target = self.origin(&origin)?;
                if target.scheme != Scheme::Http {
                    return Err(Refusal::only_http(&target));
                }
                (target, path, false)
            }
        };
        let terms = Terms {
            method: Some(method),
            ..Terms::default()
        };
        Ok(Wanted {
            target,
            terms,
            path,
            tunnel,
            content: request.payload != PayloadLength::None,
        })
    }

    /// Reads where a SOCKS client wants a tunnel to. It is judged as one of CONNECT
    /// to the same place is.
    pub(super) fn tunnel(to: &Endpoint) -> Result<Wanted, Refusal> {
        let target = of_endpoint(Scheme::Https, to)
            .map_err(|why| Refusal::new(400, "http_request_error", why.to_string()))?;
        let terms = Terms {
            method: "CONNECT".parse().ok(),
            ..Terms::default()
        };
        Ok(Wanted {
            target,
            terms,
            path: String::new(),
            tunnel: true,
            content: false,
        })
    }

    fn origin(&mut self, text: &str) -> Result<Target, Refusal> {
        if let Some((last, target)) = &self.last
            && last == text
        {
            return Ok(target.clone());
        }
        let url = RequestUrl::parse(text)
            .map_err(|why: UrlError| Refusal::new(400, "http_request_error", why.to_string()))?;
        self.last = Some((text.to_owned(), url.target.clone()));
        Ok(url.target)
    }
}

/// What a SOCKS client names, as the policy knows it.
pub(super) fn of_endpoint(scheme: Scheme, endpoint: &Endpoint) -> Result<Target, HostError> {
    let host = match &endpoint.address {
        Address::Name(name) => Host::parse(name)?,
        Address::Ipv4((a, b, c, d)) => Host::V4([*a, *b, *c, *d].into()),
        Address::Ipv6((a, b, c, d, e, f, g, h)) => {
            Host::V6([*a, *b, *c, *d, *e, *f, *g, *h].into())
        }
    };
    Ok(Target {
        scheme,
        host,
        port: endpoint.port,
    })
}

/// What the policy says.
pub(super) enum Judged {
    Allowed,
    /// The same, to be told of.
    Reported(Denial),
    Denied(Denial),
}

/// Asks the policy about a target.
pub(super) fn judge(policy: &Policy, target: &Target, terms: &Terms) -> Judged {
    of(policy.decide(target, terms))
}

/// Asks the policy about the address of a connection that is used again: the
/// target's, or that of the proxy which is first on the way there.
pub(super) fn judge_again(
    policy: &Policy,
    wanted: &Wanted,
    first: Option<&FirstHop>,
    address: std::net::IpAddr,
) -> Result<(), Cause> {
    let terms = &wanted.terms;
    let passes = |decision| match of(decision) {
        Judged::Allowed | Judged::Reported(_) => Ok(()),
        Judged::Denied(denial) => Err(Cause::Dial(DialFailure::Denied(denial))),
    };
    match first {
        None => passes(policy.decide_address(&wanted.target, terms, address)),
        Some(FirstHop {
            server,
            naming,
            unseen,
        }) => {
            if *unseen {
                passes(policy.decide_unseen(&wanted.target, terms))?;
            }
            passes(policy.decide_proxy_address(server, *naming, terms, address))
        }
    }
}

fn of(decision: Decision) -> Judged {
    match decision {
        Decision::Allow(_) => Judged::Allowed,
        Decision::Report(denial) => Judged::Reported(denial),
        Decision::Deny(denial) => Judged::Denied(denial),
        Decision::Ask(question) => Judged::Denied(question.unanswered()),
    }
}
