//! Proxies on the way: each is asked for the next, the last for the target.
//!
//! ```text
//! connect    HTTP's way, spoken by the http1 guest
//! ahead      a proxy that is asked itself learns who asks, before that
//! tokens     who asks, told leg by leg over one connection
//! errand     one request of ours to a proxy, and its answer
//! socks      SOCKS's ways, spoken by the socks guest
//! ```
//!
//! What a proxy says is read by guests alone, and only so much of it as its
//! answer takes. What comes behind that is the tunnel's.

mod ahead;
mod connect;
mod errand;
mod socks;
mod tokens;

pub(crate) use errand::refused;
pub(crate) use tokens::Tokens;

use std::time::Duration;

use fumehood_control::{
    Cause, Deadlines, Exchange, ExchangeId, Field, GrantId, Hop, HopAsk, JourneyEvent, MAX_HOPS,
    ProxyFault, SocksLogin,
};
use fumehood_policy::{Host, Method, ProxyScheme, Target};

use crate::hub::Hub;
use crate::instance::socks::Endpoint;
use crate::reach::TlsVersion;
use crate::tls::HandshakeError;
use crate::transport::Transport;

/// Where a tunnel is to lead.
pub(crate) struct Destination<'a> {
    pub host: &'a Host,
    pub port: u16,
    /// Where it is the target, and no proxy before it.
    pub target: Option<&'a Target>,
}

impl<'a> Destination<'a> {
    /// The next proxy, or the target where there is none.
    fn of(next: Option<&'a Hop>, target: &'a Target) -> Destination<'a> {
        match next {
            Some(next) => Destination {
                host: &next.server.host,
                port: next.server.port,
                target: None,
            },
            None => Destination {
                host: &target.host,
                port: target.port,
                target: Some(target),
            },
        }
    }
}

/// What a proxy is asked, where all of it is known.
enum Asked<'a> {
    /// For the target's content, later; whether it is settled before who asks.
    Itself {
        settle: bool,
    },
    Tunnel(Destination<'a>, &'a [Field]),
    Socks(Endpoint, Option<&'a SocksLogin>),
}

impl<'a> Asked<'a> {
    /// What goes wrong is not this proxy's fault: a name that is not found here is
    /// that of the next one, or of the target.
    async fn of(
        hub: &Hub,
        trip: &Trip<'a>,
        hop: &'a Hop,
        next: Option<&'a Hop>,
    ) -> Result<Asked<'a>, Cause> {
        let to = Destination::of(next, trip.target);
        Ok(match &hop.ask {
            HopAsk::Request { ahead, .. } => Asked::Itself {
                settle: *ahead || hop.tokens.is_some(),
            },
            HopAsk::Connect { fields } => Asked::Tunnel(to, fields),
            HopAsk::Socks { login } => {
                let found = socks::destination(hub, trip, hop.server.scheme, &to).await;
                let found = found.map_err(|cause| match next {
                    Some(next) => at(next, ProxyFault::Cause(cause)),
                    None => cause,
                });
                Asked::Socks(found?, login.as_ref())
            }
        })
    }
}

/// A way that is gone, and for whom.
pub(crate) struct Trip<'a> {
    pub(crate) via: &'a [Hop],
    pub(crate) target: &'a Target,
    pub(crate) deadlines: Deadlines,
    pub(crate) asker: Asker<'a>,
}

/// For whom a way is gone: by whose leave, and who is told of it.
#[derive(Clone, Copy)]
pub(crate) enum Asker<'a> {
    /// The embedder, which hears of each step.
    Exchange(ExchangeId, GrantId),
    /// A listener's client.
    Client {
        grant: GrantId,
        method: Option<&'a Method>,
        /// What HTTP proxies are told besides: `via`.
        fields: &'a [Field],
    },
}

impl<'a> Trip<'a> {
    /// An exchange's.
    pub(crate) fn of(id: ExchangeId, exchange: &'a Exchange) -> Trip<'a> {
        Trip {
            via: &exchange.via,
            target: &exchange.target,
            deadlines: exchange.deadlines,
            asker: Asker::Exchange(id, exchange.grant),
        }
    }

    /// Tells of a step whom it concerns.
    pub(crate) async fn note(&self, hub: &Hub, event: JourneyEvent) -> Result<(), Cause> {
        match self.asker {
            Asker::Exchange(id, _) => hub.outbox.journey(id, event).await,
            Asker::Client { .. } => Ok(()),
        }
    }

    /// What HTTP proxies are told besides: the way so far, so that circles end.
    fn fields(&self) -> &'a [Field] {
        match self.asker {
            Asker::Client { fields, .. } => fields,
            Asker::Exchange(..) => &[],
        }
    }

    /// Whether a proxy on it is spoken to in TLS.
    pub(crate) fn speaks_tls(&self) -> bool {
        let mut hops = self.via.iter();
        hops.any(|hop| hop.server.scheme == ProxyScheme::Https)
    }
}

/// Leads a connection to the first proxy on to where the request goes: to the
/// target, or to the last proxy where that is to be asked itself.
pub(crate) async fn lead(
    hub: &Hub,
    trip: &Trip<'_>,
    version: Option<&TlsVersion>,
    mut transport: Transport,
) -> Result<Transport, HandshakeError> {
    if trip.via.len() > MAX_HOPS {
        let why = format!("it goes through more than {MAX_HOPS} proxies");
        return Err(Cause::BadRequest(why).into());
    }
    for (at_hop, hop) in trip.via.iter().enumerate() {
        transport = secure(hub, trip, (hop, version), transport).await?;
        let next = trip.via.get(at_hop + 1);
        let asked = Asked::of(hub, trip, hop, next).await?;
        let milliseconds = trip.deadlines.connect_ms;
        let patience = Duration::from_millis(milliseconds.into());
        let asking = ask(hub, trip, hop, asked, &mut transport);
        let asked = tokio::time::timeout(patience, asking).await;
        let asked = asked.unwrap_or_else(|_| {
            let phase = "proxy".to_owned();
            Err(ProxyFault::Cause(Cause::Deadline {
                phase,
                milliseconds,
            }))
        });
        asked.map_err(|fault| at(hop, fault))?;
    }
    Ok(transport)
}

/// TLS with a proxy that is spoken to in it.
async fn secure(
    hub: &Hub,
    trip: &Trip<'_>,
    (hop, version): (&Hop, Option<&TlsVersion>),
    transport: Transport,
) -> Result<Transport, HandshakeError> {
    let Some(version) = version.filter(|_| hop.server.scheme == ProxyScheme::Https) else {
        return Ok(transport);
    };
    let securing = async {
        let begun = hub.begin_tls(version, hop.tls, &hop.server.host)?;
        hub.secure(trip, transport, begun).await
    };
    securing.await.map_err(|error| match error {
        HandshakeError::Guest(fault) => HandshakeError::Guest(fault),
        HandshakeError::Other(cause) => at(hop, ProxyFault::Cause(cause)).into(),
    })
}

async fn ask(
    hub: &Hub,
    trip: &Trip<'_>,
    hop: &Hop,
    asked: Asked<'_>,
    transport: &mut Transport,
) -> Result<(), ProxyFault> {
    match asked {
        Asked::Itself { settle: false } => Ok(()),
        Asked::Itself { settle: true } => ahead::settle(hub, hop, trip, transport).await,
        Asked::Socks(to, login) => socks::connect(hub, trip, (hop, login), to, transport).await,
        Asked::Tunnel(to, fields) => {
            connect::connect(hub, hop, &to, [fields, trip.fields()], transport).await
        }
    }
}

/// What went wrong at a proxy, with its name.
pub(crate) fn at(hop: &Hop, fault: ProxyFault) -> Cause {
    match fault {
        // It is nobody's there.
        ProxyFault::Cause(cause @ (Cause::EngineDied | Cause::Busy)) => cause,
        fault => Cause::Proxy {
            server: hop.server.clone(),
            fault: Box::new(fault),
        },
    }
}
