//! What a request asks for, read once into a target, and whether it may have it.

use std::net::IpAddr;
use std::sync::Arc;

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
    /// The target's, for `host`; of a request that is forwarded.
    pub(super) authority: Arc<str>,
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
    last: Option<Origin>,
}

/// An origin as it was written, and read.
struct Origin {
    text: String,
    target: Target,
    authority: Arc<str>,
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
        let ((target, authority), path, tunnel) =
            match std::mem::replace(&mut request.target, Asked::Local) {
                Asked::Local => return Err(Refusal::not_a_proxy_request()),
                // What a tunnel carries is nearly always TLS, so rules for https apply.
                Asked::Authority(authority) => {
                    let target = self.origin(format!("https://{authority}"))?;
                    (target, String::new(), true)
                }
                Asked::Absolute { origin, path } => {
                    let read = self.origin(origin)?;
                    if read.0.scheme != Scheme::Http {
                        return Err(Refusal::only_http(&read.0));
                    }
                    (read, path, false)
                }
            };
        let terms = Terms {
            method: Some(method),
            ..Terms::default()
        };
        Ok(Wanted {
            target,
            authority,
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
            authority: Arc::default(),
            terms,
            path: String::new(),
            tunnel: true,
            content: false,
        })
    }

    fn origin(&mut self, text: String) -> Result<(Target, Arc<str>), Refusal> {
        if let Some(last) = &self.last
            && last.text == text
        {
            return Ok((last.target.clone(), Arc::clone(&last.authority)));
        }
        let RequestUrl { target, .. } = RequestUrl::parse(&text)
            .map_err(|why: UrlError| Refusal::new(400, "http_request_error", why.to_string()))?;
        let authority: Arc<str> = target.authority().into();
        self.last = Some(Origin {
            text,
            target: target.clone(),
            authority: Arc::clone(&authority),
        });
        Ok((target, authority))
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

/// Judges a connection's requests. A decision is a function of policy, target, terms
/// and address, and a connection asks for one place under the same terms again and
/// again: the last that was allowed is not decided anew while all of them are equal.
/// What is denied or reported always is.
#[derive(Default)]
pub(super) struct Judge {
    allowed: Option<Allowed>,
}

/// What a policy allowed.
struct Allowed {
    /// It is held, so that no other can be in its place.
    policy: Arc<Policy>,
    target: Target,
    terms: Terms,
    /// One that it allowed to be dialled besides.
    address: Option<IpAddr>,
}

impl Judge {
    /// Asks the policy about a request.
    pub(super) fn first(&mut self, policy: &Arc<Policy>, wanted: &Wanted) -> Judged {
        if self.allowed_before(policy, wanted).is_some() {
            return Judged::Allowed;
        }
        let judged = judge(policy, &wanted.target, &wanted.terms);
        self.allowed = matches!(judged, Judged::Allowed).then(|| Allowed {
            policy: Arc::clone(policy),
            target: wanted.target.clone(),
            terms: wanted.terms.clone(),
            address: None,
        });
        judged
    }

    /// Asks the policy about the address of a connection that is used again: the
    /// target's, or that of the proxy which is first on the way there.
    pub(super) fn again(
        &mut self,
        policy: &Arc<Policy>,
        wanted: &Wanted,
        first: Option<&FirstHop>,
        address: IpAddr,
    ) -> Result<(), Cause> {
        let terms = &wanted.terms;
        match first {
            None => self.address(policy, wanted, address),
            Some(FirstHop {
                server,
                naming,
                unseen,
            }) => {
                if *unseen {
                    passes(of(policy.decide_unseen(&wanted.target, terms)))?;
                }
                passes(of(
                    policy.decide_proxy_address(server, *naming, terms, address)
                ))
            }
        }
    }

    fn address(
        &mut self,
        policy: &Arc<Policy>,
        wanted: &Wanted,
        address: IpAddr,
    ) -> Result<(), Cause> {
        let before = self.allowed_before(policy, wanted);
        if before.is_some_and(|it| it.address == Some(address)) {
            return Ok(());
        }
        let judged = of(policy.decide_address(&wanted.target, &wanted.terms, address));
        if matches!(judged, Judged::Allowed)
            && let Some(allowed) = self.allowed_before(policy, wanted)
        {
            allowed.address = Some(address);
        }
        passes(judged)
    }

    fn allowed_before(&mut self, policy: &Arc<Policy>, wanted: &Wanted) -> Option<&mut Allowed> {
        self.allowed.as_mut().filter(|it| {
            Arc::ptr_eq(&it.policy, policy)
                && it.target == wanted.target
                && it.terms == wanted.terms
        })
    }
}

/// Asks the policy about the proxy that is first on a way, before anybody is asked
/// where it is.
pub(super) fn judge_first(policy: &Policy, first: &FirstHop, terms: &Terms) -> Result<(), Cause> {
    passes(of(policy.decide_proxy(&first.server, first.naming, terms)))
}

fn passes(judged: Judged) -> Result<(), Cause> {
    match judged {
        Judged::Allowed | Judged::Reported(_) => Ok(()),
        Judged::Denied(denial) => Err(Cause::Dial(DialFailure::Denied(denial))),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use fumehood_policy::{Effect, HostPattern, Mode, Rule};

    use super::*;

    const PUBLIC: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(9, 9, 9, 9));
    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn wanted(method: &str, origin: &str) -> Wanted {
        let RequestUrl { target, .. } = RequestUrl::parse(origin).unwrap();
        Wanted {
            authority: target.authority().into(),
            target,
            terms: Terms {
                method: Some(method.parse().unwrap()),
                ..Terms::default()
            },
            path: "/".to_owned(),
            tunnel: false,
            content: false,
        }
    }

    /// A policy that denies POST, and everything of one host.
    fn policy() -> Policy {
        let mut policy = Policy::default();
        let mut no_posts = Rule::new(Effect::Deny, HostPattern::Any);
        no_posts.methods = vec!["POST".parse().unwrap()];
        policy.add_rule(no_posts).unwrap();
        let evil = "evil.test".parse().unwrap();
        policy.add_rule(Rule::new(Effect::Deny, evil)).unwrap();
        policy
    }

    fn allows(judge: &mut Judge, policy: &Arc<Policy>, wanted: &Wanted) -> bool {
        matches!(judge.first(policy, wanted), Judged::Allowed)
    }

    #[test]
    fn what_was_allowed_speaks_for_its_equal_alone() {
        let (mut judge, policy) = (Judge::default(), Arc::new(policy()));
        let get = wanted("GET", "http://good.test");
        for _ in 0..2 {
            assert!(allows(&mut judge, &policy, &get));
            assert!(!allows(
                &mut judge,
                &policy,
                &wanted("POST", "http://good.test")
            ));
            assert!(!allows(
                &mut judge,
                &policy,
                &wanted("GET", "http://evil.test")
            ));
            assert!(allows(&mut judge, &policy, &get));
        }
        let mut stricter = Policy::clone(&policy);
        let good = "good.test".parse().unwrap();
        stricter.add_rule(Rule::new(Effect::Deny, good)).unwrap();
        assert!(!allows(&mut judge, &Arc::new(stricter), &get));
    }

    #[test]
    fn each_address_is_judged_and_by_the_policy_of_the_moment() {
        let (mut judge, policy) = (Judge::default(), Arc::new(policy()));
        let get = wanted("GET", "http://good.test");
        assert!(allows(&mut judge, &policy, &get));
        for _ in 0..2 {
            assert!(judge.again(&policy, &get, None, PUBLIC).is_ok());
            assert!(judge.again(&policy, &get, None, LOCAL).is_err());
        }
        let nobody = Arc::new(Policy::deny_by_default());
        assert!(judge.again(&nobody, &get, None, PUBLIC).is_err());
        assert!(judge.again(&policy, &get, None, PUBLIC).is_ok());
    }

    #[test]
    fn what_is_reported_is_reported_each_time() {
        let mut policy = policy();
        policy.set_modes(Mode::Report, Mode::Report);
        let (mut judge, policy) = (Judge::default(), Arc::new(policy));
        let evil = wanted("GET", "http://evil.test");
        for _ in 0..2 {
            assert!(matches!(judge.first(&policy, &evil), Judged::Reported(_)));
        }
    }
}
