//! How requests that do not say otherwise find their way out.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use fumehood_control::{
    Blame, Cause, DialFailure, Failure, MAX_NAMED_PROXIES, ProxyFault, ProxyLeave, RetrySafety,
    RouteTried,
};
use fumehood_policy::{
    Decision, Naming, Policy, ProxyServer, ProxySettings, RequestUrl, Route, Target, Terms,
};

use super::chooser::{Choice, ChooseError, Chosen};
use crate::{Engine, Error, Proxies, ProxiesError, ProxyAuth, UpstreamProxy};

/// How requests that do not say otherwise find their way out.
#[derive(Clone, Debug, Default)]
pub(crate) enum WayOut {
    /// All of them straight.
    #[default]
    Straight,
    /// Through these.
    Chain(Arc<Proxies>),
    /// It is chosen for each.
    Chosen(Arc<Choice>),
}

/// A way that may be tried.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) proxies: Arc<Proxies>,
    /// What is to hear how it did, and what it is called there.
    pub(crate) told: Option<(Arc<Choice>, Route)>,
}

/// Why a request finds no way out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoWayOut {
    #[error(transparent)]
    Choose(#[from] ChooseError),
    #[error(transparent)]
    Proxies(#[from] ProxiesError),
}

impl Candidate {
    pub(crate) fn of(proxies: &Arc<Proxies>) -> Self {
        Candidate {
            proxies: Arc::clone(proxies),
            told: None,
        }
    }

    /// Why the policy denies the proxy that is first on the way, where it does. That of
    /// a script is asked about before anybody else hears its name.
    pub(crate) fn denied(&self, policy: &Policy, target: &Target, terms: &Terms) -> Option<Error> {
        let first = self.proxies.way_to(target).ok()??.first()?;
        let denial = match policy.decide_proxy(&first.server, first.naming, terms) {
            Decision::Allow(_) | Decision::Report(_) => return None,
            Decision::Deny(denial) => denial,
            Decision::Ask(question) => question.unanswered(),
        };
        let fault = ProxyFault::Cause(Cause::Dial(DialFailure::Denied(denial)));
        let cause = Cause::Proxy {
            server: first.server,
            fault: Box::new(fault),
        };
        let failure = Failure {
            blame: Blame::Policy,
            cause,
            retry: RetrySafety::NotSent,
        };
        Some(Error::of_failure(target.clone(), failure))
    }

    /// It did not work, and another is tried.
    pub(crate) fn failed(&self) {
        if let Some((choice, route)) = &self.told {
            choice.failed(route);
        }
    }

    /// It worked.
    pub(crate) fn worked(&self) {
        if let Some((choice, route)) = &self.told {
            choice.worked(route);
        }
    }
}

impl WayOut {
    /// The ways to try for a URL, in this order; at least one.
    pub(crate) async fn candidates(
        &self,
        engine: &Engine,
        url: &RequestUrl,
    ) -> Result<VecDeque<Candidate>, NoWayOut> {
        let choice = match self {
            WayOut::Straight => return Ok([Candidate::of(&Arc::default())].into()),
            WayOut::Chain(proxies) => return Ok([Candidate::of(proxies)].into()),
            WayOut::Chosen(choice) => choice,
        };
        let Chosen {
            routes,
            naming,
            settings,
        } = choosing(choice, engine, url).await?;
        let candidate = |route: Route| {
            let proxies = match route.proxy() {
                None => Proxies::default(),
                Some(server) => Proxies::through(upstream(server, naming, &settings)?),
            };
            Ok(Candidate {
                proxies: Arc::new(proxies),
                told: Some((Arc::clone(choice), route)),
            })
        };
        routes.into_iter().map(candidate).collect()
    }

    /// To which proxies clients of a listener may be led.
    pub(crate) fn leave(&self) -> ProxyLeave {
        let mut leave = ProxyLeave::default();
        match self {
            WayOut::Straight => {}
            WayOut::Chain(proxies) => {
                for proxy in proxies.chain.iter().take(1) {
                    match proxy.naming() {
                        Naming::User => leave.named.push(proxy.server().clone()),
                        Naming::Script => leave.scripts = true,
                    }
                }
            }
            WayOut::Chosen(choice) => {
                let settings = choice.settings();
                leave.scripts = settings.has_script();
                leave.named = settings
                    .named()
                    .into_iter()
                    .take(MAX_NAMED_PROXIES)
                    .collect();
            }
        }
        leave
    }

    /// Whether no request needs to be asked about.
    pub(crate) fn is_straight(&self) -> bool {
        match self {
            WayOut::Straight => true,
            WayOut::Chain(proxies) => proxies.chain.is_empty(),
            WayOut::Chosen(choice) => choice.is_straight(),
        }
    }

    /// Hears how ways did.
    pub(crate) fn tried(&self, tried: &RouteTried) {
        let WayOut::Chosen(choice) = self else {
            return;
        };
        tried.failed.iter().for_each(|it| choice.failed(it));
        tried.worked.iter().for_each(|it| choice.worked(it));
    }
}

/// Boxed, as a script may be fetched for it, by a request.
fn choosing<'a>(
    choice: &'a Choice,
    engine: &'a Engine,
    url: &'a RequestUrl,
) -> Pin<Box<dyn Future<Output = Result<Chosen, ChooseError>> + Send + 'a>> {
    Box::pin(choice.choose(engine, url))
}

/// A proxy with what it is told of who asks, which is for those that the user named.
fn upstream(
    server: &ProxyServer,
    naming: Naming,
    settings: &ProxySettings,
) -> Result<UpstreamProxy, ProxiesError> {
    let (user, auth) = match settings {
        ProxySettings::Fixed(fixed) if fixed.digest => {
            (fixed.credentials_for(server), ProxyAuth::Digest)
        }
        ProxySettings::Fixed(fixed) => (fixed.credentials_for(server), ProxyAuth::Basic),
        _ => (None, ProxyAuth::Basic),
    };
    match (naming, user) {
        (Naming::Script, _) => Ok(UpstreamProxy::nominated(server.clone())),
        (Naming::User, None) => Ok(UpstreamProxy::named(server.clone())),
        (Naming::User, Some(user)) => {
            UpstreamProxy::named(server.clone()).login(user.clone(), auth)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;
    use fumehood_policy::from_environment;

    #[test]
    fn a_login_goes_to_the_proxy_that_the_user_named_and_to_no_namesake() {
        let set = |name: &str| (name == "http_proxy").then(|| "http://a:b@p.test:1".to_owned());
        let settings = from_environment(set).unwrap();
        let upstream = |server: &str, naming| {
            let proxy = upstream(&server.parse().unwrap(), naming, &settings).unwrap();
            format!("{proxy:?}").contains("Basic")
        };
        assert!(upstream("http://p.test:1", Naming::User));
        assert!(!upstream("http://p.test:1", Naming::Script));
        assert!(!upstream("http://p.test:2", Naming::User));
        assert!(!upstream("https://p.test:1", Naming::User));
    }
}
