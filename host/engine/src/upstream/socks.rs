//! A tunnel by SOCKS: the `socks` guest says what is sent and how much must be
//! seen, and the host puts name and password in.

use std::net::IpAddr;
use std::time::Duration;

use fumehood_control::{Cause, Hop, JourneyEvent, ProxyFault, SocksLogin};
use fumehood_policy::{Host, ProxyScheme, Scheme, Target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Asker, Destination, Trip};
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
    trip: &Trip<'_>,
    (hop, login): (&Hop, Option<&SocksLogin>),
    destination: Endpoint,
    transport: &mut Transport,
) -> Result<(), ProxyFault> {
    let version = hub.registry.socks.current()?;
    let made = version.module.instantiate();
    let mut guest = made.map_err(|fault| ended(&fault))?;
    let made = JourneyEvent::Instantiated(guest.describe());
    trip.note(hub, made).await?;
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
/// the policy, where it takes nothing else. What goes wrong is the host's.
pub(super) async fn destination(
    hub: &Hub,
    trip: &Trip<'_>,
    scheme: ProxyScheme,
    to: &Destination<'_>,
) -> Result<Endpoint, Cause> {
    let address = match to.host {
        Host::V4(it) => IpAddr::from(*it),
        Host::V6(it) => IpAddr::from(*it),
        Host::Name(name) if !scheme.wants_address() => {
            return Ok(Endpoint {
                address: Address::Name(name.as_str().to_owned()),
                port: to.port,
            });
        }
        host @ Host::Name(_) => {
            let all = look_up(hub, trip, to).await?;
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
    let address = match address {
        IpAddr::V4(it) => Address::Ipv4(it.octets().into()),
        IpAddr::V6(it) => Address::Ipv6(it.segments().into()),
    };
    Ok(Endpoint {
        address,
        port: to.port,
    })
}

/// The addresses of a name that pass the policy.
async fn look_up(hub: &Hub, trip: &Trip<'_>, to: &Destination<'_>) -> Result<Vec<IpAddr>, Cause> {
    let patience = Duration::from_millis(trip.deadlines.connect_ms.into());
    let found = hub.names.found(to.host, patience).await?;
    match trip.asker {
        Asker::Exchange(_, grant) => {
            let host = to.host.clone();
            hub.dialer.look_up(grant, host, patience, found).await
        }
        Asker::Client { grant, method, .. } => {
            // A proxy behind another is looked for as what it is taken for.
            let proxy = Target {
                scheme: Scheme::Http,
                host: to.host.clone(),
                port: to.port,
            };
            let (target, method) = (to.target.unwrap_or(&proxy), method.cloned());
            hub.dialer
                .look_up_for(grant, target, method, patience, found)
                .await
        }
    }
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
