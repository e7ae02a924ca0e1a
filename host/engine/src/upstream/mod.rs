//! Proxies on the way: each is asked for the next, the last for the target.
//!
//! ```text
//! connect    HTTP's way, spoken by the http1 guest
//! socks      SOCKS's ways, spoken by the socks guest
//! ```
//!
//! What a proxy says is read by guests alone, and only so much of it as its
//! answer takes. What comes behind that is the tunnel's.

mod connect;
mod socks;

pub(crate) use connect::refused;

use std::time::Duration;

use fumehood_control::{
    Cause, Deadlines, Exchange, ExchangeId, Field, GrantId, Hop, HopAsk, JourneyEvent, MAX_HOPS,
    ProxyFault,
};
use fumehood_policy::{Host, Method, ProxyScheme, Target};

use crate::hub::Hub;
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
        let to = match trip.via.get(at_hop + 1) {
            Some(next) => Destination {
                host: &next.server.host,
                port: next.server.port,
                target: None,
            },
            None => Destination {
                host: &trip.target.host,
                port: trip.target.port,
                target: Some(trip.target),
            },
        };
        let milliseconds = trip.deadlines.connect_ms;
        let patience = Duration::from_millis(milliseconds.into());
        let asking = ask(hub, trip, hop, &to, &mut transport);
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
    to: &Destination<'_>,
    transport: &mut Transport,
) -> Result<(), ProxyFault> {
    match &hop.ask {
        HopAsk::Request { .. } => Ok(()),
        HopAsk::Connect { fields } => {
            let more = match trip.asker {
                Asker::Client { fields, .. } => fields,
                Asker::Exchange(..) => &[],
            };
            connect::connect(hub, to, [fields, more], transport).await
        }
        HopAsk::Socks { login } => {
            socks::connect(hub, trip, (hop, login.as_ref()), to, transport).await
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
