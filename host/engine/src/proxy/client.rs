//! One client's connection: request after request, until it ends or a tunnel stands.

use std::sync::Arc;
use std::time::Duration;

use fumehood_control::{Admission, ClientProtocol, GrantId, Login, StandingGrant};
use fumehood_policy::ClientName;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::judge::{Judge, Reader};
use super::keep::Keep;
use super::listener::Seat;
use super::patience::{Patience, within};
use super::relay::Relay;
use super::standing::Standing;
use super::told::Told;
use super::tunnel::Tunnel;
use crate::hub::Hub;
use crate::instance::{Demand, ServerCodec};
use crate::transport::{PlainStream, Transport};

/// Of who has none. No grant has this number.
const NOBODYS: GrantId = GrantId(u64::MAX);

/// How long what a client still sends is read away after the last response, so
/// that it gets to read that (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(2);

/// Most bytes read away so, beyond which the client is not listening.
const MAX_LINGER_BYTES: usize = 1 << 20;

/// Serves a connection that was accepted.
pub(super) async fn serve(hub: Arc<Hub>, seat: Seat, stream: TcpStream) {
    let draining = seat.listener().draining();
    let leave = match &seat.listener().setup.admission {
        Admission::Anyone(grant) => Some(grant.clone()),
        Admission::Login => None,
    };
    let client = Client {
        server: Keep::new(&hub, seat.listener()),
        hub,
        seat,
        leave,
        login: None,
        users: 0,
        transport: Transport::Plain(PlainStream::new(stream)),
        codec: None,
        reader: Reader::default(),
        judge: Judge::default(),
        patience: Patience::new(),
        draining,
    };
    if let Some(standing) = Box::pin(client.run()).await {
        // A task of its own, so that nothing of this one is kept.
        tokio::spawn(standing.run());
    }
}

/// A connection and what serves it.
pub(super) struct Client {
    pub(super) hub: Arc<Hub>,
    pub(super) seat: Seat,
    /// By which its targets are dialled, once it is known who it is.
    pub(super) leave: Option<StandingGrant>,
    /// What it said for that, where it had to.
    pub(super) login: Option<Login>,
    /// By which of the listener's users that was judged.
    pub(super) users: u64,
    pub(super) transport: Transport,
    pub(super) codec: Option<Guest>,
    /// To the server of the last request.
    pub(super) server: Keep,
    pub(super) reader: Reader,
    pub(super) judge: Judge,
    pub(super) patience: Patience,
    draining: watch::Receiver<bool>,
}

/// The connection's codec, and its room in the pool.
pub(super) struct Guest {
    pub(super) codec: ServerCodec,
    /// What it demands between two requests.
    pub(super) demand: Demand,
    pub(super) room: OwnedSemaphorePermit,
}

/// What a connection does next.
pub(super) enum Next {
    /// Wait for another request.
    Again,
    /// End, once the client has read what was sent.
    Close,
    /// End at once.
    Drop,
    Tunnel(Box<(Tunnel, Told)>),
    /// Pass datagrams on.
    Relay(Box<Relay>),
}

impl Client {
    async fn run(mut self) -> Option<Standing> {
        let mut is_first = true;
        loop {
            let first = self.wait().await?;
            let hub = Arc::clone(&self.hub);
            let _active = hub.ticker.activate();
            // What was spoken once is spoken to the end.
            let protocol = match std::mem::take(&mut is_first) {
                true => spoken(first),
                false => ClientProtocol::Http,
            };
            let next = match protocol {
                // Who speaks DNS has another listener.
                ClientProtocol::Http | ClientProtocol::Dns => self.request().await,
                ClientProtocol::Socks4 | ClientProtocol::Socks5 => {
                    Box::pin(self.socks(protocol)).await
                }
            };
            match next {
                Next::Again => {}
                Next::Drop => return None,
                Next::Close => {
                    self.linger().await;
                    return None;
                }
                Next::Relay(relay) => {
                    let Client { hub, seat, .. } = self;
                    tokio::spawn(relay.run(hub, seat));
                    return None;
                }
                Next::Tunnel(standing) => {
                    let (tunnel, told) = *standing;
                    let Client { hub, seat, .. } = self;
                    return Some(Standing {
                        hub,
                        seat,
                        tunnel,
                        told,
                    });
                }
            }
        }
    }

    /// Waits for a request's first byte, with as little as can be. `None` where
    /// none will come.
    async fn wait(&mut self) -> Option<u8> {
        self.transport.shrink();
        let bounds = self.seat.listener().setup.bounds;
        let deadline = within(bounds.keep_alive_ms);
        let hub = Arc::clone(&self.hub);
        let mut is_needed = hub.room.available_permits() == 0;
        loop {
            // Made before the look: what is told in between is heard.
            let needed = hub.wanted.notified();
            if is_needed || hub.is_starved() {
                // Others need the instances now.
                self.codec = None;
                self.server.close();
            }
            let holds = self.codec.is_some() || !self.server.is_empty();
            let until = self
                .server
                .spare_at()
                .map_or(deadline, |at| at.min(deadline));
            let (transport, patience) = (&mut self.transport, &mut self.patience);
            tokio::select! {
                biased;
                first = std::future::poll_fn(|cx| transport.poll_first(cx)) => {
                    return first.ok().flatten();
                }
                _ = self.draining.wait_for(|it| *it) => return None,
                () = needed, if holds => is_needed = true,
                () = self.server.wanted() => self.server.spare(),
                () = std::future::poll_fn(|cx| patience.poll(cx, until)) => {
                    if until == deadline {
                        return None;
                    }
                    self.server.spare();
                }
            }
        }
    }

    /// By what its targets are dialled.
    pub(super) fn grant(&self) -> GrantId {
        self.leave.as_ref().map_or(NOBODYS, |leave| leave.id)
    }

    /// What rules know it by.
    pub(super) fn name(&self) -> Option<ClientName> {
        self.leave.as_ref().and_then(|leave| leave.client.clone())
    }

    /// Ends this side and reads away what still comes: a reset would take the
    /// last response from the client.
    async fn linger(&mut self) {
        self.codec = None;
        self.server.give_back();
        let transport = &mut self.transport;
        let mut left = MAX_LINGER_BYTES;
        let reading = async {
            if std::future::poll_fn(|cx| transport.poll_end(cx))
                .await
                .is_err()
            {
                return;
            }
            while left > 0 {
                let read = std::future::poll_fn(|cx| transport.poll_bytes(cx).map_ok(<[u8]>::len));
                match read.await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => {
                        transport.consume(count);
                        left = left.saturating_sub(count);
                    }
                }
            }
        };
        // Who goes on sending is cut off.
        let _late = tokio::time::timeout(LINGER, reading).await;
    }
}

/// What a first byte is the beginning of: a version's number (RFC 1928 section 3),
/// which no method begins with.
fn spoken(first: u8) -> ClientProtocol {
    match first {
        4 => ClientProtocol::Socks4,
        5 => ClientProtocol::Socks5,
        _ => ClientProtocol::Http,
    }
}
