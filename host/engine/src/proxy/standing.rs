//! A tunnel, once it stands.

use std::sync::Arc;

use fumehood_control::AccessOutcome;

use super::client::{Client, Next};
use super::listener::Seat;
use super::onward::Far;
use super::told::{Told, tell};
use super::tunnel::Tunnel;
use crate::hub::Hub;
use crate::transport::Transport;

/// A tunnel, after everything else of its connection is gone.
pub(super) struct Standing {
    pub(super) hub: Arc<Hub>,
    pub(super) seat: Seat,
    pub(super) tunnel: Tunnel,
    pub(super) told: Told,
}

impl Client {
    /// What is left of both connections, as a tunnel.
    pub(super) fn stand(&mut self, told: Told, far: Far) -> Next {
        self.codec = None;
        self.server.give_back();
        let closed = Transport::Closed;
        let client = std::mem::replace(&mut self.transport, closed).bare();
        let server = far.transport.bare();
        let idle_ms = self.seat.listener().setup.bounds.tunnel_idle_ms;
        let tunnel = Tunnel::new(client, server, idle_ms).with_room(far.room);
        Next::Tunnel(Box::new((tunnel, told)))
    }
}

impl Standing {
    pub(super) async fn run(mut self) {
        let hub = Arc::clone(&self.hub);
        let _active = self.tunnel.is_secured().then(|| hub.ticker.activate());
        self.tunnel.run().await;
        let (received, sent) = self.tunnel.moved();
        let told = Told {
            received,
            sent,
            ..self.told
        };
        tell(&self.hub, &self.seat, told, AccessOutcome::Tunnelled).await;
    }
}
