//! A tunnel by SOCKS: the `socks` guest says what is sent and how much must be
//! seen, and the host puts name and password in.

use std::net::IpAddr;
use std::time::Duration;

use fumehood_control::{Cause, Exchange, ExchangeId, Hop, JourneyEvent, ProxyFault, SocksLogin};
use fumehood_policy::{Host, ProxyScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Destination;
use crate::exchange::socket;
use crate::hub::Hub;
use crate::instance::socks::{
    Address, Endpoint, Login, Next, Piece, Request, Step, Version, ended,
};
use crate::tls::cause_inside;
use crate::transport::Transport;

/// Most steps of a conversation; the longest sound one has four.
const MAX_STEPS: usize = 8;

/// Asks for a tunnel. Afterwards the transport is the tunnel.
pub(super) async fn connect(
    hub: &Hub,
    (id, exchange): (ExchangeId, &Exchange),
    (hop, login): (&Hop, Option<&SocksLogin>),
    to: &Destination<'_>,
    transport: &mut Transport,
) -> Result<(), ProxyFault> {
    let destination = Endpoint {
        address: address(hub, exchange, hop.server.scheme, to.host).await?,
        port: to.port,
    };
    let version = hub.registry.socks.current()?;
    let made = version.module.instantiate();
    let mut guest = made.map_err(|fault| ended(&fault))?;
    let made = JourneyEvent::Instantiated(guest.describe());
    hub.outbox.journey(id, made).await?;
    let mut step = guest.begin(&Request {
        version: match hop.server.scheme {
            ProxyScheme::Socks4 => Version::V4,
            ProxyScheme::Socks4a => Version::V4a,
            _ => Version::V5,
        },
        destination,
        login: login.map(lengths).transpose()?,
    })?;
    for _ in 0..MAX_STEPS {
        send(&step, login, transport).await?;
        let Next::Bytes(count) = step.next else {
            return Ok(());
        };
        let mut data = vec![0; usize::from(count)];
        let read = transport.read_exact(&mut data).await;
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof if cause_inside(&error).is_none() => truncated(),
            _ => socket(&error),
        })?;
        step = guest.receive(&data)?;
    }
    Err(ProxyFault::Violation("too-many-steps".to_owned()))
}

/// The proxy closed in mid-conversation.
fn truncated() -> Cause {
    Cause::Truncated {
        place: "proxy".to_owned(),
    }
}

/// What the proxy is told: the host as it is, or an address of it that passed
/// the policy, where it takes nothing else.
async fn address(
    hub: &Hub,
    exchange: &Exchange,
    scheme: ProxyScheme,
    host: &Host,
) -> Result<Address, ProxyFault> {
    let address = match host {
        Host::V4(it) => IpAddr::from(*it),
        Host::V6(it) => IpAddr::from(*it),
        Host::Name(name) if !scheme.wants_address() => {
            return Ok(Address::Name(name.as_str().to_owned()));
        }
        Host::Name(_) => {
            let patience = Duration::from_millis(exchange.deadlines.connect_ms.into());
            let found = hub.names.found(host, patience).await?;
            let looking = hub
                .dialer
                .look_up(exchange.grant, host.clone(), patience, found);
            let all = looking.await?;
            let speaks_v6 = scheme != ProxyScheme::Socks4;
            let fits = |it: &IpAddr| it.is_ipv4() || speaks_v6;
            let first = all.into_iter().find(fits);
            first.ok_or_else(|| {
                Cause::BadRequest(format!(
                    "{host} has no IPv4 address, and SOCKS 4 takes no other"
                ))
            })?
        }
    };
    Ok(match address {
        IpAddr::V4(it) => Address::Ipv4(it.octets().into()),
        IpAddr::V6(it) => Address::Ipv6(it.segments().into()),
    })
}

/// All that the guest learns of a login.
fn lengths(login: &SocksLogin) -> Result<Login, Cause> {
    let length = |bytes: &[u8]| {
        let long = |_| Cause::BadRequest("a name or password for SOCKS is too long".to_owned());
        u8::try_from(bytes.len()).map_err(long)
    };
    Ok(Login {
        name: length(&login.name)?,
        password: length(&login.password)?,
    })
}

async fn send(
    step: &Step,
    login: Option<&SocksLogin>,
    transport: &mut Transport,
) -> Result<(), Cause> {
    let mut bytes = Vec::new();
    for piece in &step.send {
        match (piece, login) {
            (Piece::Bytes(piece), _) => bytes.extend_from_slice(piece),
            (Piece::Name, Some(login)) => bytes.extend_from_slice(&login.name),
            (Piece::Password, Some(login)) => bytes.extend_from_slice(&login.password),
            (Piece::Name | Piece::Password, None) => {}
        }
    }
    let sending = async {
        transport.write_all(&bytes).await?;
        transport.flush().await
    };
    sending.await.map_err(|error| socket(&error))
}
