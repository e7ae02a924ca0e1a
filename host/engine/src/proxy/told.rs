//! What is known of a request when it is over: for the access log and the counters.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use fumehood_control::{AccessOutcome, AccessRecord, ClientProtocol, ListenerSetup};
use fumehood_policy::{ClientName, Reason};
use tokio::time::Instant;

use super::listener::Seat;
use crate::hub::Hub;

/// A request, as far as it is known.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) began: Instant,
    pub(super) protocol: ClientProtocol,
    pub(super) user: Option<ClientName>,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) status: u16,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) server: Option<SocketAddr>,
    pub(super) reused: bool,
    /// Why the policy said no.
    pub(super) denied: Option<Reason>,
}

impl Told {
    /// One that has just begun.
    pub(super) fn new(protocol: ClientProtocol) -> Told {
        Told {
            began: Instant::now(),
            protocol,
            user: None,
            method: String::new(),
            target: String::new(),
            status: 0,
            received: 0,
            sent: 0,
            server: None,
            reused: false,
            denied: None,
        }
    }
}

/// Counts a request that is over, and tells the embedder of it, if it wants to know.
pub(super) async fn tell(hub: &Hub, seat: &Seat, told: Told, outcome: AccessOutcome) {
    tell_of(hub, &seat.listener().setup, seat.peer(), told, outcome).await;
}

/// The same of who may have no seat.
pub(super) async fn tell_of(
    hub: &Hub,
    setup: &ListenerSetup,
    peer: Option<SocketAddr>,
    told: Told,
    outcome: AccessOutcome,
) {
    let bytes = (told.received, told.sent);
    hub.proxy
        .tally
        .count(&outcome, told.denied, bytes, &hub.outbox)
        .await;
    if !setup.records {
        return;
    }
    let took = told.began.elapsed();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let began = now.saturating_sub(took);
    let record = AccessRecord {
        listener: setup.id,
        client: peer,
        user: told.user,
        protocol: told.protocol,
        began_ms: u64::try_from(began.as_millis()).unwrap_or(u64::MAX),
        took_us: crate::hub::micros(took),
        method: told.method,
        target: told.target,
        status: told.status,
        received: told.received,
        sent: told.sent,
        server: told.server.map(|it| it.ip()),
        reused: told.reused,
        outcome,
    };
    hub.proxy.access.add(record, &hub.outbox).await;
}
