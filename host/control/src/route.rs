//! Which way the requests of a listener's clients go out: the engine asks, for
//! each, where there is a choice or a proxy.

use fumehood_policy::{Naming, ProxyServer, Route, Target};
use serde::{Deserialize, Serialize};

use crate::{Cause, Challenge, DialFailure, Field, FirstHop, Hop, HopAsk, ProxyFault};

/// Most ways that are tried for one request. Scripts name two or three.
pub const MAX_WAYS: usize = 8;

/// Most proxies that a user named, of which a listener's clients may be led to
/// the first of a way: four kinds of target with eight to choose from.
pub const MAX_NAMED_PROXIES: usize = 32;

/// To which proxies listeners' clients may be led. The policy is asked about each
/// of them besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyLeave {
    /// Those that the user named, at most [`MAX_NAMED_PROXIES`].
    pub named: Vec<ProxyServer>,
    /// Those that a script names, which are judged as any target.
    pub scripts: bool,
}

/// Most bytes of the sentence that says why there is no way.
pub const MAX_NO_WAY_BYTES: usize = 1024;

/// Most times that one request's way is asked for anew since a proxy wants proof of
/// who asks: once for what it wants, and again where that grew stale meanwhile.
pub const MAX_CHALLENGE_ROUNDS: u8 = 3;

/// What a client asks for. The answer is a [`RouteAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteQuestion {
    /// Where to.
    pub target: Target,
    /// How: a token.
    pub method: String,
    /// In origin-form; empty for a tunnel.
    pub path: String,
    /// Proxies are to lead to the target itself, also where they could be asked
    /// for what it has.
    pub tunnel: bool,
    /// It has content, which can be sent once.
    pub content: bool,
    /// The way before ended at a proxy that wants proof of who asks. Where none can
    /// be given, the answer is that there is no way.
    pub challenge: Option<Challenged>,
}

/// What a proxy said with a 407.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenged {
    /// Which.
    pub server: ProxyServer,
    /// At most [`crate::MAX_CHALLENGES`].
    pub challenges: Vec<Challenge>,
    /// How often it said so to this request before.
    pub round: u8,
    /// The request's content is spent, so that it goes none of the ways of the answer:
    /// nothing is proven for it. Those after it have what it takes.
    pub spent: bool,
}

/// The ways to try, in this order, 1 to [`MAX_WAYS`]; or why there is none, in at
/// most [`MAX_NO_WAY_BYTES`].
pub type RouteAnswer = Result<Vec<ClientWay>, String>;

/// One way to a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientWay {
    /// Through these, in this order, at most [`crate::MAX_HOPS`]; straight where
    /// there is none.
    pub via: Vec<Hop>,
    /// By whom the first was named.
    pub naming: Naming,
    /// For a proxy that is asked for the target itself: what the request has
    /// besides, `proxy-authorization` perhaps.
    pub fields: Vec<Field>,
}

impl ClientWay {
    /// Without a proxy.
    #[must_use]
    pub fn straight() -> Self {
        ClientWay {
            via: Vec::new(),
            naming: Naming::User,
            fields: Vec::new(),
        }
    }

    /// As those who choose ways know it: by its first proxy.
    #[must_use]
    pub fn route(&self) -> Route {
        match self.via.first() {
            Some(hop) => Route::Proxy(hop.server.clone()),
            None => Route::Direct,
        }
    }

    /// The proxy that is asked for the target's content itself, and not to lead to it.
    #[must_use]
    pub fn asked(&self) -> Option<&Hop> {
        let last = self.via.last()?;
        matches!(last.ask, HopAsk::Request { .. }).then_some(last)
    }

    /// What the broker dials in the target's place.
    #[must_use]
    pub fn first(&self) -> Option<FirstHop> {
        let (first, last) = (self.via.first()?, self.via.last()?);
        Some(FirstHop {
            server: first.server.clone(),
            naming: self.naming,
            unseen: !last.server.scheme.wants_address(),
        })
    }
}

/// How ways did, for whoever remembers that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTried {
    /// Those that did not work.
    pub failed: Vec<Route>,
    /// The one that did.
    pub worked: Option<Route>,
}

/// What a failure means for the ways that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayFailure {
    /// It would be the same on another way: the target's, or the policy's word.
    Final,
    /// The proxy, or the way to it, does not work: the next one may.
    OfTheWay,
    /// It is not for this request, and the next one may be: the policy denies its
    /// proxy, or what that has to be told is not found here. Nothing is held against
    /// it.
    NotThisOne,
}

impl WayFailure {
    /// By what happened before a request was sent, on a way straight to the target
    /// or through proxies. A proxy that answers, and be it with a no, works.
    #[must_use]
    pub fn of(cause: &Cause, straight: bool) -> Self {
        match cause {
            Cause::Proxy { fault, .. } => match &**fault {
                ProxyFault::Cause(Cause::Dial(DialFailure::Denied(_))) => WayFailure::NotThisOne,
                ProxyFault::Cause(_) | ProxyFault::Violation(_) => WayFailure::OfTheWay,
                ProxyFault::Refused { .. }
                | ProxyFault::Socks { .. }
                | ProxyFault::NoMethod
                | ProxyFault::Login
                | ProxyFault::Token(_)
                // The bound is ours: no way is worse for it.
                | ProxyFault::Full { .. } => WayFailure::Final,
            },
            // Behind a proxy it is the target's name that was looked for.
            Cause::Dial(
                DialFailure::Connect(_) | DialFailure::Resolve(_) | DialFailure::Timeout { .. },
            ) => match straight {
                true => WayFailure::OfTheWay,
                false => WayFailure::NotThisOne,
            },
            Cause::BadRequest(_) if !straight => WayFailure::NotThisOne,
            _ => WayFailure::Final,
        }
    }
}
