//! Whether a name may be looked up for somebody who has not said what for.
//!
//! A question about a name is a message to whoever answers it: one that nothing
//! could come of is a way to tell things, and no more. So it is weighed as all
//! the connections that it might lead to, and one that may be is enough.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::{
    ClientName, Decision, Denial, Grounds, Host, HostPattern, Method, Policy, Reason, Scheme,
    Spaces, Target, Terms, is_blocked,
};

/// What is most likely meant. Of a denial, the first is told.
const USUAL_PORTS: [u16; 2] = [443, 80];

/// Tunnels are asked for so, whatever they carry.
const TUNNEL: &str = "CONNECT";

/// Requests in the clear: the usual one, and one that a rule hardly names.
const REQUESTS: [&str; 2] = ["GET", "OTHER"];

impl Policy {
    /// Decides whether a name may be looked up for a client that may go on to any
    /// port, by a tunnel or by requests in the clear: as [`Policy::decide`] says
    /// of the one of these that fares best. A range of addresses is not enough: any
    /// name may have one of them, so whoever wants to know gives leave for all.
    pub fn decide_lookup(&self, host: &Host, client: Option<&ClientName>) -> Decision {
        self.best(host, client, |target, terms| {
            match self.decide(target, terms) {
                Decision::Allow(Grounds::Addresses) if !self.names(target, terms) => {
                    Decision::Deny(Denial {
                        target: target.clone(),
                        reason: Reason::NotAllowed,
                    })
                }
                decision => decision,
            }
        })
    }

    /// Decides whether such a client may know an address of the name: as
    /// [`Policy::decide_address`] says of the connection that fares best.
    pub fn decide_found(
        &self,
        host: &Host,
        client: Option<&ClientName>,
        address: IpAddr,
    ) -> Decision {
        self.best(host, client, |target, terms| {
            self.decide_address(target, terms, address)
        })
    }

    fn best(
        &self,
        host: &Host,
        client: Option<&ClientName>,
        decide: impl Fn(&Target, &Terms) -> Decision,
    ) -> Decision {
        let weigh = |scheme: Scheme, port: u16, method: Option<Method>| {
            let target = Target {
                scheme,
                host: host.clone(),
                port,
            };
            let terms = Terms {
                method,
                client: client.cloned(),
                spaces: Spaces::ALL,
                confirmed: false,
            };
            decide(&target, &terms)
        };
        let (tunnel, requests) = (TUNNEL.parse().ok(), self.methods());
        let mut best = weigh(Scheme::Https, USUAL_PORTS[0], tunnel.clone());
        for port in self.ports(host) {
            let tunnels = std::iter::once((Scheme::Https, tunnel.clone()));
            let requests = requests.iter().map(|it| (Scheme::Http, Some(it.clone())));
            for (scheme, method) in tunnels.chain(requests) {
                if matches!(best, Decision::Allow(_)) {
                    return best;
                }
                let decision = weigh(scheme, port, method);
                if rank(&decision) > rank(&best) {
                    best = decision;
                }
            }
        }
        best
    }

    /// Of every kind of port that rules tell apart one at least: what they say
    /// changes only where one begins, or behind where one ends.
    fn ports(&self, host: &Host) -> impl Iterator<Item = u16> {
        // A range may hold what the name stands for.
        let speaks = |it: &HostPattern| matches!(it, HostPattern::Net(_)) || it.matches(host);
        let rules = self.parts.rules.iter().filter(|it| speaks(&it.host));
        let edges = rules.flat_map(|it| [Some(*it.ports.start()), it.ports.end().checked_add(1)]);
        let private = self.parts.private.iter().map(|it| it.port);
        let edges: BTreeSet<u16> = edges.chain(private).flatten().collect();
        USUAL_PORTS.into_iter().chain(edges).filter_map(next_open)
    }

    /// The same of methods.
    fn methods(&self) -> BTreeSet<Method> {
        let named = self.parts.rules.iter().flat_map(|it| &it.methods).cloned();
        let requests = REQUESTS.iter().filter_map(|it| it.parse().ok());
        named.chain(requests).collect()
    }
}

/// The port, or the next that is not another service's.
fn next_open(port: u16) -> Option<u16> {
    (port..=u16::MAX).find(|it| !is_blocked(*it))
}

fn rank(decision: &Decision) -> u8 {
    match decision {
        Decision::Deny(_) => 0,
        Decision::Ask(_) => 1,
        Decision::Report(_) => 2,
        Decision::Allow(_) => 3,
    }
}
