//! A SOCKS client that wants to send datagrams (RFC 1928 sections 4, 6 and 7): from
//! its request to the reply, which says where to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fumehood_control::Cause;
use fumehood_policy::{Denial, Scheme, Target, Terms};
use tokio::sync::oneshot;

use super::client::{Client, Next};
use super::judge::of_endpoint;
use super::places::Place;
use super::refusal::Refusal;
use super::relay::{Connecting, Relay};
use super::socks::{Guest, of_guest};
use super::told::Told;
use crate::dialer::Correspondent;
use crate::instance::socks::{Endpoint, Outcome};
use crate::transport::Transport;

/// What the access log has for a method.
const METHOD: &str = "ASSOCIATE";

/// How long a client has to send its first datagram, from which its port is known:
/// the longest that the broker waits for anything.
const FIRST_WITHIN: Duration = Duration::from_secs(300);

/// How long the broker has to bind a socket.
const BOUND_WITHIN: Duration = Duration::from_secs(10);

/// Why a client gets no association.
struct Refused {
    refusal: Refusal,
    outcome: Outcome,
}

/// A client's datagrams, before the first has come.
struct Opened {
    /// Where they are received.
    at: SocketAddr,
    connecting: Connecting,
    place: Place,
}

impl Client {
    /// Opens an association, and tells the client where to send its datagrams.
    pub(super) async fn associate(
        &mut self,
        mut told: Told,
        mut guest: Guest,
        stated: &Endpoint,
    ) -> Next {
        told.method = METHOD.to_owned();
        let terms = Terms {
            client: self.name(),
            ..Terms::default()
        };
        told.user.clone_from(&terms.client);
        let opened = match of_endpoint(Scheme::Udp, stated) {
            Ok(stated) => {
                told.target = stated.host_and_port();
                self.open(stated, &terms).await
            }
            Err(why) => Err(Refused {
                refusal: Refusal::new(400, "http_request_error", why.to_string()),
                outcome: Outcome::Failure,
            }),
        };
        let Opened {
            at,
            connecting,
            place,
        } = match opened {
            Ok(opened) => opened,
            Err(Refused { refusal, outcome }) => {
                return self.refuse_socks(told, guest, &refusal, outcome).await;
            }
        };
        let reply = match guest.codec.reply(Outcome::Granted, Some(at)) {
            Ok(reply) => reply,
            Err(end) => return self.end_socks(told, of_guest(end)).await,
        };
        if !self.write(&reply).await {
            return self.tell_gone(told).await;
        }
        told.status = 200;
        let control = std::mem::replace(&mut self.transport, Transport::Closed);
        let asker = (self.grant(), terms);
        let relay = Relay::new(control, guest, asker, (connecting, place), told);
        Next::Relay(Box::new(relay))
    }

    /// Finds out whether there may be one, and has the broker receive.
    async fn open(&mut self, stated: Target, terms: &Terms) -> Result<Opened, Refused> {
        let setup = &self.seat.listener().setup;
        let (Some(client), Some(at)) = (self.seat.peer(), self.transport.local_address()) else {
            return Err(unsupported("a Unix socket has no address for datagrams"));
        };
        if !setup.datagrams {
            return Err(unsupported(
                "datagrams cannot be received beside a socket that was given",
            ));
        }
        if self.hub.proxy.routes.asks() {
            return Err(unsupported(
                "the way out is through proxies, which carry no datagrams",
            ));
        }
        let policy = self.hub.proxy.policy().ok_or_else(|| Refused {
            refusal: Refusal::no_policy(),
            outcome: Outcome::Failure,
        })?;
        policy.decide_datagrams(terms).map_err(|reason| Refused {
            refusal: Refusal::denied(Denial {
                target: stated.clone(),
                reason,
            }),
            outcome: Outcome::NotAllowed,
        })?;
        let client = SocketAddr::new(client.ip().to_canonical(), port_of(&stated, client.ip()));
        let key = (terms.client.clone(), client.ip());
        let place = self.hub.proxy.associations.take(key);
        let place = place.ok_or_else(|| busy("there are as many associations as there may be"))?;
        let of = Correspondent {
            grant: self.grant(),
            listener: setup.id,
            at: at.ip(),
            client,
        };
        let (at, connecting) = self.receive(of).await.map_err(|cause| {
            let refusal = Refusal::failed(&cause, &stated);
            let outcome = match refusal.reason() {
                Some(_) => Outcome::NotAllowed,
                None => Outcome::Failure,
            };
            Refused { refusal, outcome }
        })?;
        Ok(Opened {
            at,
            connecting,
            place,
        })
    }

    /// Has the broker receive a client's datagrams.
    async fn receive(&mut self, of: Correspondent) -> Result<(SocketAddr, Connecting), Cause> {
        let (receiving, at) = oneshot::channel();
        let dialer = Arc::clone(&self.hub.dialer);
        let mut connecting: Connecting =
            Box::pin(async move { dialer.associate(of, FIRST_WITHIN, receiving).await });
        let bound = async {
            tokio::select! {
                biased;
                Ok(at) = at => Ok(at),
                ended = &mut connecting => Err(match ended {
                    // It cannot have heard from the client before it was told of.
                    Ok(_) => Cause::EngineDied,
                    Err(cause) => cause,
                }),
            }
        };
        let bound = tokio::time::timeout(BOUND_WITHIN, bound).await;
        let at = bound.map_err(|_| Cause::Busy)??;
        Ok((at, connecting))
    }
}

/// The port that a client says it sends from, 0 where any will do. One that names
/// an address that is not its own is behind a translator, and cannot know its port.
fn port_of(stated: &Target, own: IpAddr) -> u16 {
    match stated.host.address() {
        Some(it) if it.is_unspecified() || it.to_canonical() == own.to_canonical() => stated.port,
        _ => 0,
    }
}

fn unsupported(why: &str) -> Refused {
    Refused {
        refusal: Refusal::new(501, "http_request_denied", why.to_owned()),
        outcome: Outcome::NotSupported,
    }
}

fn busy(why: &str) -> Refused {
    Refused {
        refusal: Refusal::new(503, "connection_limit_reached", why.to_owned()),
        outcome: Outcome::Failure,
    }
}
