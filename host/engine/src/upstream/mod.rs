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

use fumehood_control::{Cause, Exchange, ExchangeId, Hop, HopAsk, MAX_HOPS, ProxyFault};
use fumehood_policy::{Host, ProxyScheme};

use crate::hub::Hub;
use crate::reach::TlsVersion;
use crate::tls::HandshakeError;
use crate::transport::Transport;

/// Where a tunnel is to lead.
pub(crate) struct Destination<'a> {
    pub host: &'a Host,
    pub port: u16,
}

/// Leads a connection to the first proxy on to where the request goes: to the
/// target, or to the last proxy where that is to be asked itself.
pub(crate) async fn lead(
    hub: &Hub,
    id: ExchangeId,
    exchange: &Exchange,
    version: Option<&TlsVersion>,
    mut transport: Transport,
) -> Result<Transport, HandshakeError> {
    if exchange.via.len() > MAX_HOPS {
        let why = format!("it goes through more than {MAX_HOPS} proxies");
        return Err(Cause::BadRequest(why).into());
    }
    for (at_hop, hop) in exchange.via.iter().enumerate() {
        transport = secure(hub, id, exchange, (hop, version), transport).await?;
        let to = match exchange.via.get(at_hop + 1) {
            Some(next) => Destination {
                host: &next.server.host,
                port: next.server.port,
            },
            None => Destination {
                host: &exchange.target.host,
                port: exchange.target.port,
            },
        };
        let milliseconds = exchange.deadlines.connect_ms;
        let patience = Duration::from_millis(milliseconds.into());
        let asking = ask(hub, (id, exchange), hop, &to, &mut transport);
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
    id: ExchangeId,
    exchange: &Exchange,
    (hop, version): (&Hop, Option<&TlsVersion>),
    transport: Transport,
) -> Result<Transport, HandshakeError> {
    let Some(version) = version.filter(|_| hop.server.scheme == ProxyScheme::Https) else {
        return Ok(transport);
    };
    let securing = async {
        let begun = hub.begin_tls(version, hop.tls, &hop.server.host)?;
        hub.secure(id, exchange, transport, begun).await
    };
    securing.await.map_err(|error| match error {
        HandshakeError::Guest(fault) => HandshakeError::Guest(fault),
        HandshakeError::Other(cause) => at(hop, ProxyFault::Cause(cause)).into(),
    })
}

async fn ask(
    hub: &Hub,
    exchange: (ExchangeId, &Exchange),
    hop: &Hop,
    to: &Destination<'_>,
    transport: &mut Transport,
) -> Result<(), ProxyFault> {
    match &hop.ask {
        HopAsk::Request { .. } => Ok(()),
        HopAsk::Connect { fields } => connect::connect(hub, to, fields, transport).await,
        HopAsk::Socks { login } => {
            socks::connect(hub, exchange, (hop, login.as_ref()), to, transport).await
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
