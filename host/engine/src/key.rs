//! What two requests must agree on to share a connection.

use fumehood_control::{
    ClientWay, Exchange, GrantId, Hop, HopAsk, ListenerId, TlsOptions, TokenScheme,
};
use fumehood_policy::{ProxyScheme, ProxyServer, Scheme, Target};

/// For whom it was made, where it leads, how TLS is spoken, and the way there with
/// whose credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    whose: Whose,
    /// Of a client's that goes to a proxy which is asked itself, none: it is good for
    /// all that clients ask for.
    target: Option<Target>,
    tls: Option<TlsOptions>,
    via: Vec<Step>,
}

/// For whom connections are made. Nobody is served on another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// The embedder's own exchanges.
    Embedder,
    /// Clients of a listener with the same leave: rules know them by one name.
    Clients(ListenerId, GrantId),
}

/// A proxy, as far as it tells connections apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Step {
    server: ProxyServer,
    tls: Option<TlsOptions>,
    tunnel: bool,
    partition: u64,
    tokens: Option<TokenScheme>,
}

impl Key {
    pub(crate) fn of(exchange: &Exchange) -> Key {
        let Exchange {
            target, tls, via, ..
        } = exchange;
        let tls = match target.scheme {
            Scheme::Http | Scheme::Served(_) | Scheme::Udp => None,
            Scheme::Https => Some(*tls),
        };
        Key {
            whose: Whose::Embedder,
            target: Some(target.clone()),
            tls,
            via: via.iter().map(Step::of).collect(),
        }
    }

    /// Of a client's request for a target of `http`, which goes this way.
    pub(crate) fn of_client(whose: Whose, target: &Target, way: &ClientWay) -> Key {
        Key {
            whose,
            target: way.asked().is_none().then(|| target.clone()),
            tls: None,
            via: way.via.iter().map(Step::of).collect(),
        }
    }

    /// Whether it equals [`Key::of_client`] of these; without one made, as it is asked
    /// at each request.
    pub(crate) fn fits(&self, whose: Whose, target: &Target, way: &ClientWay) -> bool {
        let target = way.asked().is_none().then_some(target);
        let mut steps = self.via.iter().zip(&way.via);
        self.whose == whose
            && self.tls.is_none()
            && self.target.as_ref() == target
            && self.via.len() == way.via.len()
            && steps.all(|(step, hop)| *step == Step::of(hop))
    }

    /// The proxy whose connections are counted.
    pub(crate) fn proxy(&self) -> Option<&ProxyServer> {
        self.via.first().map(|step| &step.server)
    }

    /// It leads to one target. Of others there may be as many as their proxy may have.
    pub(crate) fn is_of_one_target(&self) -> bool {
        self.target.is_some()
    }

    /// It is of a listener's clients.
    pub(crate) fn is_of(&self, listener: ListenerId) -> bool {
        matches!(self.whose, Whose::Clients(its, _) if its == listener)
    }
}

impl Step {
    fn of(hop: &Hop) -> Step {
        Step {
            server: hop.server.clone(),
            tls: (hop.server.scheme == ProxyScheme::Https).then_some(hop.tls),
            tunnel: !matches!(hop.ask, HopAsk::Request { .. }),
            partition: hop.partition,
            tokens: hop.tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use fumehood_policy::RequestUrl;

    use super::*;

    fn target(url: &str) -> Target {
        RequestUrl::parse(url).unwrap().target
    }

    fn asks() -> HopAsk {
        HopAsk::Request {
            hold_challenge: true,
            ahead: false,
        }
    }

    fn tunnels() -> HopAsk {
        HopAsk::Connect { fields: Vec::new() }
    }

    fn way(hops: &[(&str, HopAsk, u64, Option<TokenScheme>)]) -> ClientWay {
        let hops = hops.iter().map(|(server, ask, partition, tokens)| Hop {
            server: server.parse().unwrap(),
            ask: ask.clone(),
            tls: TlsOptions::default(),
            partition: *partition,
            tokens: *tokens,
        });
        ClientWay {
            via: hops.collect(),
            ..ClientWay::straight()
        }
    }

    /// Who asks, for what, and which way: no two of them may share a connection, but
    /// for the targets of a proxy that is asked itself.
    #[test]
    fn only_equals_share_and_looking_is_as_making() {
        let clients = |listener, grant| Whose::Clients(ListenerId(listener), GrantId(grant));
        let whose = [clients(1, 1), clients(1, 2), clients(2, 1), Whose::Embedder];
        let targets = ["http://a.test", "http://a.test:8080", "http://b.test"].map(target);
        let token = Some(TokenScheme::Negotiate);
        let ways = [
            ClientWay::straight(),
            way(&[("http://p.test", tunnels(), 0, None)]),
            way(&[("http://p.test", tunnels(), 1, None)]),
            way(&[("http://p.test", tunnels(), 1, token)]),
            way(&[("http://q.test", tunnels(), 0, None)]),
            way(&[("http://p.test:81", tunnels(), 0, None)]),
            way(&[("https://p.test", tunnels(), 0, None)]),
            way(&[
                ("http://p.test", tunnels(), 0, None),
                ("http://q.test", tunnels(), 0, None),
            ]),
            way(&[("http://p.test", asks(), 0, None)]),
            way(&[("http://p.test", asks(), 2, None)]),
        ];
        let mut all = Vec::new();
        for whose in whose {
            for target in &targets {
                all.extend(ways.iter().map(|way| (whose, target, way)));
            }
        }
        for (one, (whose, target, way)) in all.iter().enumerate() {
            let key = Key::of_client(*whose, target, way);
            for (other, (its, its_target, its_way)) in all.iter().enumerate() {
                let same = key == Key::of_client(*its, its_target, its_way);
                assert_eq!(key.fits(*its, its_target, its_way), same);
                let is_asked = way.asked().is_some() && way == its_way && whose == its;
                assert_eq!(same, one == other || is_asked, "{key:?}");
            }
        }
    }

    #[test]
    fn what_differs_from_request_to_request_is_not_looked_at() {
        let target = target("http://a.test");
        let whose = Whose::Clients(ListenerId(1), GrantId(1));
        let before = way(&[("http://p.test", asks(), 1, None)]);
        let mut after = before.clone();
        after.via[0].ask = HopAsk::Request {
            hold_challenge: false,
            ahead: true,
        };
        let proof = fumehood_control::Field {
            name: "proxy-authorization".to_owned(),
            value: b"Basic eDp5".to_vec(),
        };
        after.fields.push(proof);
        let key = Key::of_client(whose, &target, &before);
        assert!(key.fits(whose, &target, &after));
    }

    #[test]
    fn a_listeners_clients_are_known_by_it() {
        let target = target("http://a.test");
        let of = |whose| Key::of_client(whose, &target, &ClientWay::straight());
        let clients = Whose::Clients(ListenerId(3), GrantId(4));
        assert!(of(clients).is_of(ListenerId(3)));
        assert!(!of(clients).is_of(ListenerId(4)));
        assert!(!of(Whose::Embedder).is_of(ListenerId(3)));
    }
}
