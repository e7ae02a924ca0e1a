//! An association that stands: a client's datagrams to where each says, and theirs
//! back (RFC 1928 section 7), until its connection ends.
//!
//! Headers are read and written by the `socks` guest, once for each target. What
//! follows them goes from socket to socket and no guest sees it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fumehood_control::{
    AccessOutcome, Cause, ClientProtocol, DatagramTally, DialFailure, GrantId, ProxyStatus,
    ToEmbedder,
};
use fumehood_policy::{Policy, Reason, Scheme, Target, Terms};
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::flows::{Dialled, Fate, Flows, New, datagram};
use super::judge::{Judged, judge, of_endpoint};
use super::listener::Seat;
use super::patience::Patience;
use super::places::Place;
use super::socks::Guest;
use super::told::{Told, tell};
use crate::hub::Hub;
use crate::instance::socks::{DATAGRAM_START_BYTES, Flaw, MAX_DATAGRAM_HEADER_BYTES};
use crate::transport::Transport;

/// Longest datagram of a client, either way and with its header, in bytes: what one
/// of IPv4 holds.
const MAX_DATAGRAM_BYTES: usize = 65_507;

/// Most datagrams that are passed on before another association has its turn.
const BURST: usize = 64;

/// What the access log has for a method.
const METHOD: &str = "UDP";

thread_local! {
    /// A datagram, with room for a header before it, and one byte more than it may
    /// have. One buffer a thread.
    static BUFFER: RefCell<Vec<u8>> =
        RefCell::new(vec![0; MAX_DATAGRAM_HEADER_BYTES + MAX_DATAGRAM_BYTES + 1]);
}

/// Brings the socket to the client, once that has sent a datagram.
pub(super) type Connecting = Pin<Box<dyn Future<Output = Dialled> + Send>>;

/// An association.
pub(super) struct Relay {
    /// The connection that it was asked for on, and ends with.
    control: Transport,
    guest: Guest,
    grant: GrantId,
    terms: Terms,
    client: Client,
    /// By which the flows were judged.
    policy: Option<Arc<Policy>>,
    flows: Flows,
    tally: DatagramTally,
    last: Instant,
    told: Told,
    _place: Place,
}

/// Who the datagrams are for.
enum Client {
    /// It has sent none.
    Unseen(Connecting),
    At(UdpSocket, SocketAddr),
}

/// Why an association is over.
enum End {
    /// Its connection ended, nothing was sent for too long, the listener drains, or
    /// the way out is through proxies by now.
    Well,
    /// By another policy than it was begun by.
    Denied(Reason),
    /// The guest or the broker failed.
    Failed(Cause),
}

impl Relay {
    /// One whose client knows where to send.
    pub(super) fn new(
        control: Transport,
        guest: Guest,
        (grant, terms): (GrantId, Terms),
        (connecting, place): (Connecting, Place),
        told: Told,
    ) -> Self {
        Relay {
            control,
            guest,
            grant,
            terms,
            client: Client::Unseen(connecting),
            policy: None,
            flows: Flows::default(),
            tally: DatagramTally::default(),
            last: Instant::now(),
            told,
            _place: place,
        }
    }

    /// Passes datagrams on until it is over, and tells of it.
    pub(super) async fn run(mut self: Box<Self>, hub: Arc<Hub>, seat: Seat) {
        let end = self.pass_on(&hub, &seat).await;
        self.flows.end_all();
        self.tell_flows(&hub, &seat).await;
        let mut told = self.told;
        let outcome = match end {
            End::Well => AccessOutcome::Tunnelled,
            End::Denied(reason) => {
                let name = reason.name().to_owned();
                told.denied = Some(reason);
                AccessOutcome::Denied(name)
            }
            End::Failed(cause) => {
                hub.registry.enforce();
                AccessOutcome::Failed(ProxyStatus::of_cause(&cause).error.to_owned())
            }
        };
        // Whoever waits for the end of the connection learns of it when all is told.
        tell(&hub, &seat, told, outcome).await;
    }

    async fn pass_on(&mut self, hub: &Arc<Hub>, seat: &Seat) -> End {
        let setup = &seat.listener().setup;
        let idle = Duration::from_millis(setup.bounds.tunnel_idle_ms.into());
        let connect = Duration::from_millis(setup.deadlines.connect_ms.into());
        let (mut draining, mut patience) = (seat.listener().draining(), Patience::new());
        loop {
            let ended = tokio::select! {
                biased;
                _ = draining.wait_for(|it| *it) => Err(End::Well),
                ended = std::future::poll_fn(|cx| {
                    self.poll(cx, hub, connect, &mut patience, idle)
                }) => ended,
            };
            if let Err(end) = ended {
                return end;
            }
            self.tell_flows(hub, seat).await;
        }
    }

    /// Tells of flows that are over, and counts datagrams.
    async fn tell_flows(&mut self, hub: &Hub, seat: &Seat) {
        self.tally.unreached += self.flows.take_lost();
        let tally = std::mem::take(&mut self.tally);
        if tally != DatagramTally::default() {
            hub.proxy.tally.datagrams(tally);
        }
        for ended in self.flows.take_ended() {
            tell(hub, seat, ended.told, ended.outcome).await;
        }
    }

    /// Does all there is to do; ready where there is something to tell.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        hub: &Arc<Hub>,
        connect: Duration,
        patience: &mut Patience,
        idle: Duration,
    ) -> Poll<Result<(), End>> {
        self.follow_policy(hub)?;
        // Nothing is due on its connection but the end.
        if self.control.poll_first(cx).is_ready() {
            return Poll::Ready(Err(End::Well));
        }
        self.poll_client(cx)?;
        while let Poll::Ready((flow, dialled)) = self.flows.poll_dialled(cx) {
            self.dialled(hub, flow, dialled)?;
        }
        let now = Instant::now();
        let some = self.poll_up(cx, hub, connect, now)? | self.poll_down(cx, now);
        if some {
            self.last = now;
        }
        self.flows.expire(now);
        if some || self.flows.has_ended() || self.tally != DatagramTally::default() {
            return Poll::Ready(Ok(()));
        }
        let end = self.last + idle;
        if now >= end {
            return Poll::Ready(Err(End::Well));
        }
        let next = self.flows.next_expiry().map_or(end, |it| it.min(end));
        patience.poll(cx, next).map(Ok)
    }

    /// What was judged by another policy is judged anew. Where the way out is through
    /// proxies by now, there is none for datagrams.
    fn follow_policy(&mut self, hub: &Hub) -> Result<(), End> {
        if hub.proxy.routes.asks() {
            return Err(End::Well);
        }
        let Some(policy) = hub.proxy.policy() else {
            return Err(End::Failed(Cause::Busy));
        };
        if self
            .policy
            .as_ref()
            .is_some_and(|it| Arc::ptr_eq(it, &policy))
        {
            return Ok(());
        }
        self.flows.end_all();
        policy.decide_datagrams(&self.terms).map_err(End::Denied)?;
        self.policy = Some(policy);
        Ok(())
    }

    /// Takes the socket to the client.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let Client::Unseen(connecting) = &mut self.client else {
            return Ok(());
        };
        let Poll::Ready(connected) = connecting.as_mut().poll(cx) else {
            return Ok(());
        };
        match connected.and_then(taken) {
            Ok((socket, address)) => {
                self.client = Client::At(socket, address);
                Ok(())
            }
            // It has had nothing to say.
            Err(Cause::Dial(DialFailure::Timeout { .. })) => Err(End::Well),
            Err(cause) => Err(End::Failed(cause)),
        }
    }

    /// Passes on what the client sends. Whether there was something.
    fn poll_up(
        &mut self,
        cx: &mut Context<'_>,
        hub: &Arc<Hub>,
        connect: Duration,
        now: Instant,
    ) -> Result<bool, End> {
        BUFFER.with_borrow_mut(|buffer| {
            let room = &mut buffer[MAX_DATAGRAM_HEADER_BYTES..];
            for count in 0..BURST {
                let Client::At(socket, client) = &self.client else {
                    return Ok(false);
                };
                if socket.poll_recv_ready(cx).is_pending() {
                    return Ok(count > 0);
                }
                let fate = match socket.try_recv_from(room) {
                    Ok((_, from)) if from != *client => Fate::Stranger,
                    Ok((length, _)) if length > MAX_DATAGRAM_BYTES => Fate::Oversize,
                    Ok((length, _)) => {
                        let datagram = &room[..length];
                        match self.flows.pass(datagram, now) {
                            Some(fate) => fate,
                            None => self.begin(hub, datagram, connect, now)?,
                        }
                    }
                    // A datagram to the client was not taken, or it was ready for nothing.
                    Err(_) => continue,
                };
                fate.count(&mut self.tally);
            }
            Ok(true)
        })
    }

    /// Begins a flow with a header that is not known yet.
    fn begin(
        &mut self,
        hub: &Arc<Hub>,
        datagram: &[u8],
        connect: Duration,
        now: Instant,
    ) -> Result<Fate, End> {
        let (header, target) = match self.read(hub, datagram)? {
            Ok(read) => read,
            Err(fate) => return Ok(fate),
        };
        if self.flows.is_busy() {
            return Ok(Fate::Overflow);
        }
        let mut told = Told::new(ClientProtocol::Socks5);
        told.method = METHOD.to_owned();
        told.target = target.host_and_port();
        told.user.clone_from(&self.terms.client);
        let Some(policy) = &self.policy else {
            return Ok(Fate::Denied);
        };
        let flow = New {
            header,
            target,
            told,
            now,
        };
        match judge(policy, &flow.target, &self.terms) {
            Judged::Allowed => {}
            Judged::Reported(denial) => hub.outbox.try_send(ToEmbedder::Reported(denial)),
            Judged::Denied(denial) => {
                self.flows.deny(flow, denial);
                return Ok(Fate::Denied);
            }
        }
        let payload = &datagram[header.len()..];
        let dial = dial(Arc::clone(hub), self.grant, flow.target.clone(), connect);
        self.flows.begin(flow, payload, dial);
        Ok(Fate::Waits)
    }

    /// Reads a datagram's header, and where it says that it goes.
    fn read<'a>(
        &mut self,
        hub: &Hub,
        datagram: &'a [u8],
    ) -> Result<Result<(&'a [u8], Target), Fate>, End> {
        let Some(start) = datagram.first_chunk::<DATAGRAM_START_BYTES>() else {
            return Ok(Err(Fate::Malformed));
        };
        let _active = hub.ticker.activate();
        let guest = &mut self.guest.codec;
        let length = match guest.measure(start).map_err(End::Failed)? {
            Ok(length) => length,
            Err(flaw) => return Ok(Err(flawed(flaw))),
        };
        let Some(header) = datagram.get(..length) else {
            return Ok(Err(Fate::Malformed));
        };
        let to = match guest.destination(header).map_err(End::Failed)? {
            Ok(to) => to,
            Err(flaw) => return Ok(Err(flawed(flaw))),
        };
        let target = of_endpoint(Scheme::Udp, &to);
        Ok(target
            .map(|target| (header, target))
            .map_err(|_| Fate::Malformed))
    }

    /// Takes a flow's socket.
    fn dialled(&mut self, hub: &Hub, flow: u64, dialled: Dialled) -> Result<(), End> {
        match dialled.and_then(taken) {
            Ok((socket, peer)) => {
                let _active = hub.ticker.activate();
                let header = self.guest.codec.header(peer).map_err(End::Failed)?;
                self.flows
                    .open(flow, (socket, peer), header, &mut self.tally);
            }
            Err(cause) => self.flows.fail(flow, &cause, &mut self.tally),
        }
        Ok(())
    }

    /// Passes on what targets send. Whether there was something.
    fn poll_down(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Client::At(client, _) = &self.client else {
            return false;
        };
        BUFFER.with_borrow_mut(|buffer| {
            for count in 0..BURST {
                let room = &mut buffer[MAX_DATAGRAM_HEADER_BYTES..];
                let arrived = match self.flows.poll_arrived(cx, room, now) {
                    Poll::Pending => return count > 0,
                    Poll::Ready(None) => continue,
                    Poll::Ready(Some(arrived)) => arrived,
                };
                let start = MAX_DATAGRAM_HEADER_BYTES.saturating_sub(arrived.header.len());
                let end = MAX_DATAGRAM_HEADER_BYTES + arrived.length;
                if end - start > MAX_DATAGRAM_BYTES {
                    Fate::Oversize.count(&mut self.tally);
                    continue;
                }
                buffer[start..MAX_DATAGRAM_HEADER_BYTES].copy_from_slice(arrived.header);
                match datagram(client, &buffer[start..end]) {
                    Fate::Passed => {
                        arrived.note_passed();
                        self.tally.sent += 1;
                    }
                    lost => lost.count(&mut self.tally),
                }
            }
            true
        })
    }
}

/// A socket to where a flow goes: the name is found by the engine's own resolver
/// where it has one, and the broker judges each address.
async fn dial(hub: Arc<Hub>, grant: GrantId, target: Target, within: Duration) -> Dialled {
    let looking = Instant::now();
    let found = hub.names.found(&target.host, within).await?;
    let left = within.saturating_sub(looking.elapsed());
    hub.dialer.datagrams_for(grant, &target, left, found).await
}

/// A socket as the broker made it.
fn taken((socket, peer): (OwnedFd, SocketAddr)) -> Result<(UdpSocket, SocketAddr), Cause> {
    match UdpSocket::from_std(socket.into()) {
        Ok(socket) => Ok((socket, peer)),
        Err(error) => Err(Cause::Socket {
            errno: error.raw_os_error().unwrap_or(0),
        }),
    }
}

fn flawed(flaw: Flaw) -> Fate {
    match flaw {
        Flaw::Malformed => Fate::Malformed,
        Flaw::Fragment => Fate::Fragment,
    }
}
