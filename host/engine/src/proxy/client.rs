//! One client's connection: request after request, until it ends or a tunnel stands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fumehood_control::{
    AccessOutcome, AccessRecord, Cause, Field, MAX_ACCESS_METHOD_BYTES, MAX_ACCESS_TARGET_BYTES,
    PayloadLength, ToEmbedder,
};
use fumehood_policy::Target;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::flow::{Found, Inbound, Outbound};
use super::forward::{ClientSide, End, Forward, Terms};
use super::judge::{Judged, Reader, Wanted, judge, judge_again};
use super::listener::Seat;
use super::patience::{Patience, within};
use super::refusal::Refusal;
use super::tunnel::Tunnel;
use crate::connection::Connection;
use crate::dialer::Dialled;
use crate::hub::{Hub, is_idempotent};
use crate::instance::{
    CodecError, Demand, Fields, LineDemand, Request, RequestHead, ServerAnswer, ServerCodec,
};
use crate::resume::SteadyCodec;
use crate::transport::{PlainStream, Transport};

/// The first byte of SOCKS version 5 (RFC 1928 section 3), which is not served: such
/// a client is let go at once instead of being waited on for a head.
const SOCKS5: u8 = 5;

/// How long what a client still sends is read away after the last response, so
/// that it gets to read that (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(2);

/// Most bytes read away so, beyond which the client is not listening.
const MAX_LINGER_BYTES: usize = 1 << 20;

/// Bytes of the fields that are added to a request: their names, and a usual
/// value of `via`.
const ROOM_FOR_OURS: usize = 64;

/// Serves a connection that was accepted.
pub(super) async fn serve(hub: Arc<Hub>, seat: Seat, stream: TcpStream, peer: SocketAddr) {
    let draining = seat.listener().draining();
    let client = Client {
        hub,
        seat,
        peer,
        transport: Transport::Plain(PlainStream::new(stream)),
        codec: None,
        server: None,
        reader: Reader::default(),
        patience: Patience::new(),
        draining,
    };
    if let Some(standing) = Box::pin(client.run()).await {
        // A task of its own, so that nothing of this one is kept.
        tokio::spawn(standing.run());
    }
}

/// A connection and what serves it.
struct Client {
    hub: Arc<Hub>,
    seat: Seat,
    peer: SocketAddr,
    transport: Transport,
    codec: Option<Guest>,
    /// To the server of the last request. It is this client's alone.
    server: Option<(Target, Connection)>,
    reader: Reader,
    patience: Patience,
    draining: watch::Receiver<bool>,
}

/// The connection's codec, and its room in the pool.
struct Guest {
    codec: ServerCodec,
    /// What it demands between two requests.
    demand: Demand,
    _room: OwnedSemaphorePermit,
}

/// What a connection does next.
enum Next {
    /// Wait for another request.
    Again,
    /// End, once the client has read what was sent.
    Close,
    /// End at once.
    Drop,
    Tunnel(Box<(Tunnel, Told)>),
}

/// What is known of a request for its record.
struct Told {
    began: Instant,
    method: String,
    target: String,
    status: u16,
    received: u64,
    sent: u64,
    server: Option<SocketAddr>,
    reused: bool,
}

/// A request whose head has come.
struct Come {
    request: Request,
    demand: Demand,
    then: Option<LineDemand>,
}

/// A tunnel, after everything else of its connection is gone.
struct Standing {
    hub: Arc<Hub>,
    seat: Seat,
    peer: SocketAddr,
    tunnel: Tunnel,
    told: Told,
}

impl Client {
    async fn run(mut self) -> Option<Standing> {
        loop {
            if !self.wait().await {
                return None;
            }
            let hub = Arc::clone(&self.hub);
            let _active = hub.ticker.activate();
            match self.request().await {
                Next::Again => {}
                Next::Drop => return None,
                Next::Close => {
                    self.linger().await;
                    return None;
                }
                Next::Tunnel(standing) => {
                    let (tunnel, told) = *standing;
                    let Client {
                        hub, seat, peer, ..
                    } = self;
                    return Some(Standing {
                        hub,
                        seat,
                        peer,
                        tunnel,
                        told,
                    });
                }
            }
        }
    }

    /// Waits for a request's first byte, with as little as can be. False where
    /// none will come.
    async fn wait(&mut self) -> bool {
        self.transport.shrink();
        if self.hub.room.available_permits() == 0 {
            // Others need the instances now.
            self.codec = None;
            self.server = None;
        }
        let deadline = within(self.seat.listener().setup.bounds.keep_alive_ms);
        let hub = Arc::clone(&self.hub);
        loop {
            let holds = self.codec.is_some() || self.server.is_some();
            let (transport, patience) = (&mut self.transport, &mut self.patience);
            tokio::select! {
                biased;
                first = std::future::poll_fn(|cx| transport.poll_first(cx)) => {
                    return matches!(first, Ok(Some(byte)) if byte != SOCKS5);
                }
                _ = self.draining.wait_for(|it| *it) => return false,
                () = hub.wanted.notified(), if holds => {
                    self.codec = None;
                    self.server = None;
                }
                () = std::future::poll_fn(|cx| patience.poll(cx, deadline)) => return false,
            }
        }
    }

    /// One request, to the end of its response.
    async fn request(&mut self) -> Next {
        let mut told = Told::new();
        if let Err(cause) = self.make_guest().await {
            return self.fail(told, &cause).await;
        }
        let mut come = match self.head().await {
            Ok(Some(come)) => come,
            Ok(None) => return Next::Drop,
            Err(refusal) => return self.refuse(told, &refusal).await,
        };
        told.method = cut(&come.request.method, MAX_ACCESS_METHOD_BYTES);
        let setup = &self.seat.listener().setup;
        let wanted = match self.reader.read(&mut come.request, setup) {
            Ok(wanted) => wanted,
            Err(refusal) => return self.refuse(told, &refusal).await,
        };
        if setup.records {
            told.target = match wanted.tunnel {
                true => wanted.target.host_and_port(),
                false => cut(
                    &format!("{}{}", wanted.target, wanted.path),
                    MAX_ACCESS_TARGET_BYTES,
                ),
            };
        }
        let Some(policy) = self.hub.proxy.policy() else {
            return self.refuse(told, &Refusal::no_policy()).await;
        };
        match judge(&policy, &wanted) {
            Judged::Allowed => {}
            Judged::Reported(denial) => self.hub.outbox.try_send(ToEmbedder::Reported(denial)),
            Judged::Denied(denial) => return self.refuse(told, &Refusal::denied(denial)).await,
        }
        match wanted.tunnel {
            true => self.tunnel(told, &wanted).await,
            false => self.forward(told, wanted, come).await,
        }
    }

    /// A codec of the current version.
    async fn make_guest(&mut self) -> Result<(), Cause> {
        let registry = &self.hub.registry;
        if let Some(guest) = &self.codec
            && guest.codec.is_current()
        {
            return Ok(());
        }
        let room = match self.codec.take() {
            Some(guest) => guest._room,
            None => {
                let setup = &self.seat.listener().setup;
                self.hub.reserve(0, setup.bounds.head_ms).await?
            }
        };
        let mut codec = ServerCodec::new(registry)?;
        let demand = codec.demand().map_err(crate::exchange::cause_of)?;
        self.codec = Some(Guest {
            codec,
            demand,
            _room: room,
        });
        Ok(())
    }

    /// Reads a request's head. `None` where the client left, or the guest ended.
    async fn head(&mut self) -> Result<Option<Come>, Refusal> {
        let bounds = self.seat.listener().setup.bounds;
        let deadline = within(bounds.head_ms);
        let Some(guest) = &mut self.codec else {
            return Ok(None);
        };
        let mut inbound = Inbound::new(&guest.demand, None);
        loop {
            let (transport, patience) = (&mut self.transport, &mut self.patience);
            let found = std::future::poll_fn(|cx| {
                let found = inbound.poll(cx, transport);
                if found.is_pending() && patience.poll(cx, deadline).is_ready() {
                    return Poll::Ready(None);
                }
                found.map(Some)
            });
            let step = match found.await {
                None => {
                    // What there is, is no head: then one refusal can be told.
                    let _refused = guest.codec.receive(inbound.piece());
                    return Err(Refusal::slow(bounds.head_ms));
                }
                Some(Ok(Found::Piece)) => guest.codec.receive(inbound.piece()),
                Some(Ok(Found::Cut(pending))) => guest.codec.end_of_stream(pending),
                Some(Ok(Found::Payload(_)) | Err(_)) => return Ok(None),
            };
            let step = match step {
                Ok(step) => step,
                Err(error) => return Refusal::broken(error).map_or(Ok(None), Err),
            };
            match step.request {
                Some(request) => {
                    return Ok(Some(Come {
                        request,
                        demand: step.demand,
                        then: step.then,
                    }));
                }
                None if matches!(step.demand, Demand::Nothing) => return Ok(None),
                None => inbound = Inbound::new(&step.demand, step.then),
            }
        }
    }

    /// A tunnel to what is asked for (RFC 9110 section 9.3.6).
    async fn tunnel(&mut self, mut told: Told, wanted: &Wanted) -> Next {
        let Dialled { stream, peer, .. } = match self.dial(wanted).await {
            Ok(dialled) => dialled,
            Err(cause) => {
                return self
                    .refuse(told, &Refusal::failed(&cause, &wanted.target))
                    .await;
            }
        };
        told.server = Some(peer);
        told.status = 200;
        let answer = ServerAnswer {
            status: 200,
            reason: b"Connection established",
            fields: &Fields::default(),
            payload: PayloadLength::None,
            last: false,
        };
        let Some(Ok(head)) = self.codec.as_mut().map(|it| it.codec.encode_head(&answer)) else {
            return Next::Drop;
        };
        if !self.write(&head.bytes).await {
            return Next::Drop;
        }
        self.stand(told, (stream, Vec::new()))
    }

    /// What is left of both connections, as a tunnel.
    fn stand(&mut self, told: Told, server: (TcpStream, Vec<u8>)) -> Next {
        let (codec, upstream) = (self.codec.take(), self.server.take());
        drop((codec, upstream));
        let closed = Transport::Closed;
        let Some(client) = std::mem::replace(&mut self.transport, closed).into_plain() else {
            return Next::Drop;
        };
        let idle_ms = self.seat.listener().setup.bounds.tunnel_idle_ms;
        Next::Tunnel(Box::new((Tunnel::new(client, server, idle_ms), told)))
    }

    /// A request to a server, and its response back.
    async fn forward(&mut self, mut told: Told, wanted: Wanted, come: Come) -> Next {
        let mut kept = self.kept(&wanted);
        loop {
            told.reused = kept.is_some();
            let mut server = match kept.take() {
                Some(server) => server,
                None => match self.connect(&wanted).await {
                    Ok(server) => server,
                    Err(cause) => {
                        let refusal = Refusal::failed(&cause, &wanted.target);
                        return self.refuse(told, &refusal).await;
                    }
                },
            };
            told.server = Some(server.peer);
            let setup = &self.seat.listener().setup;
            let via = setup
                .via
                .as_deref()
                .map(|name| via(come.request.minor_version, name));
            let Some(guest) = &mut self.codec else {
                return Next::Drop;
            };
            let terms = Terms {
                deadlines: setup.deadlines,
                via: via.as_ref(),
                informational: come.request.minor_version >= 1,
                listener: self.seat.listener(),
            };
            let client = ClientSide {
                transport: &mut self.transport,
                codec: &mut guest.codec,
            };
            let head = head_for(&come.request, &wanted, via.as_ref());
            let begun = Forward::begin(client, &mut server, head, (&come.demand, come.then), terms);
            let (end, spent) = match begun {
                Ok(mut forward) => {
                    let end = forward.run(&mut self.patience).await;
                    (told.received, told.sent) = forward.bytes();
                    told.status = forward.status();
                    (end, forward.is_spent())
                }
                Err(cause) => (End::Failed(cause), false),
            };
            return match end {
                End::Complete { persists, reusable } => {
                    if reusable && persists {
                        self.server = Some((wanted.target, server));
                    }
                    self.tell(told, AccessOutcome::Served).await;
                    if persists { Next::Again } else { Next::Close }
                }
                End::Upgraded => {
                    let plain = replace_transport(&mut server).into_plain();
                    match plain {
                        Some(plain) => self.stand(told, plain),
                        None => Next::Drop,
                    }
                }
                // The connection had died while it was kept.
                End::Failed(cause)
                    if told.reused
                        && !spent
                        && was_dead(&cause)
                        && is_idempotent(&come.request.method) =>
                {
                    continue;
                }
                End::Failed(cause) if told.status == 0 => {
                    self.refuse(told, &Refusal::failed(&cause, &wanted.target))
                        .await
                }
                End::Failed(cause) => {
                    let outcome = Refusal::failed(&cause, &wanted.target).outcome();
                    self.tell(told, outcome).await;
                    Next::Drop
                }
                End::Broken(error) => match Refusal::broken(error) {
                    Some(refusal) if told.status == 0 => self.refuse(told, &refusal).await,
                    _ => self.tell_gone(told).await,
                },
                End::Gone => self.tell_gone(told).await,
            };
        }
    }

    /// The connection of the last request, where it goes where this one does,
    /// lives, and may still be used.
    fn kept(&mut self, wanted: &Wanted) -> Option<Connection> {
        let (target, mut connection) = self.server.take()?;
        let registry = &self.hub.registry;
        let good = target == wanted.target
            && connection.is_alive()
            && connection.codec.refresh().is_ok()
            && !connection.has_outlived_its_guest(registry);
        let policy = self.hub.proxy.policy().filter(|_| good)?;
        judge_again(&policy, wanted, connection.peer.ip()).ok()?;
        Some(connection)
    }

    async fn connect(&mut self, wanted: &Wanted) -> Result<Connection, Cause> {
        let since = Instant::now();
        let milliseconds = self.seat.listener().setup.deadlines.connect_ms;
        let room = self.hub.reserve(0, milliseconds).await?;
        let Dialled { stream, peer, .. } = self.dial(wanted).await?;
        Ok(Connection {
            transport: Transport::Plain(PlainStream::new(stream)),
            codec: SteadyCodec::new(&self.hub.registry)?,
            peer,
            since,
            _room: room,
        })
    }

    async fn dial(&mut self, wanted: &Wanted) -> Result<Dialled, Cause> {
        let setup = &self.seat.listener().setup;
        let deadline = Duration::from_millis(setup.deadlines.connect_ms.into());
        let (target, method) = (&wanted.target, wanted.terms.method.clone());
        let looking = Instant::now();
        let found = self.hub.names.found(&target.host, deadline).await?;
        let left = deadline.saturating_sub(looking.elapsed());
        self.hub
            .dialer
            .dial_for(setup.grant.id, target, method, left, found)
            .await
    }

    /// Tells the client, and the embedder, why it gets no response.
    async fn refuse(&mut self, mut told: Told, refusal: &Refusal) -> Next {
        let (fields, content) = refusal.response();
        let head_only = told.method == "HEAD";
        let answer = ServerAnswer {
            status: refusal.status(),
            reason: refusal.title().as_bytes(),
            fields: &fields.iter().collect(),
            payload: match head_only {
                true => PayloadLength::None,
                false => PayloadLength::Known(content.len() as u64),
            },
            last: self.seat.listener().is_draining(),
        };
        let Some(guest) = &mut self.codec else {
            return Next::Drop;
        };
        let Ok((mut bytes, persists)) = whole_head(&mut guest.codec, &answer) else {
            return self.tell_gone(told).await;
        };
        told.status = refusal.status();
        if !head_only {
            bytes.extend_from_slice(&content);
            told.sent = content.len() as u64;
        }
        let written = self.write(&bytes).await;
        self.tell(told, refusal.outcome()).await;
        match (written, persists) {
            (false, _) => Next::Drop,
            (true, true) => Next::Again,
            (true, false) => Next::Close,
        }
    }

    /// Without a guest nothing can be said.
    async fn fail(&mut self, told: Told, cause: &Cause) -> Next {
        let error = fumehood_control::ProxyStatus::of_cause(cause).error;
        self.tell(told, AccessOutcome::Failed(error.to_owned()))
            .await;
        Next::Drop
    }

    async fn tell_gone(&mut self, told: Told) -> Next {
        let gone = AccessOutcome::Failed("client_gone".to_owned());
        self.tell(told, gone).await;
        Next::Drop
    }

    async fn tell(&mut self, told: Told, outcome: AccessOutcome) {
        tell(&self.hub, &self.seat, self.peer, told, outcome).await;
    }

    /// Writes all of it, unless the client does not read.
    async fn write(&mut self, bytes: &[u8]) -> bool {
        let mut out = Outbound::default();
        out.push(bytes);
        let deadline = within(self.seat.listener().setup.deadlines.idle_ms);
        let (transport, patience) = (&mut self.transport, &mut self.patience);
        std::future::poll_fn(|cx| match out.poll_flush(cx, transport) {
            Poll::Ready(flushed) => Poll::Ready(flushed.is_ok()),
            Poll::Pending => patience.poll(cx, deadline).map(|()| false),
        })
        .await
    }

    /// Ends this side and reads away what still comes: a reset would take the
    /// last response from the client.
    async fn linger(&mut self) {
        self.codec = None;
        self.server = None;
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

impl Standing {
    async fn run(mut self) {
        self.tunnel.run().await;
        let (received, sent) = self.tunnel.moved();
        let told = Told {
            received,
            sent,
            ..self.told
        };
        tell(
            &self.hub,
            &self.seat,
            self.peer,
            told,
            AccessOutcome::Tunnelled,
        )
        .await;
    }
}

impl Told {
    fn new() -> Told {
        Told {
            began: Instant::now(),
            method: String::new(),
            target: String::new(),
            status: 0,
            received: 0,
            sent: 0,
            server: None,
            reused: false,
        }
    }
}

/// Tells the embedder of a request that is over, if it wants to know.
async fn tell(hub: &Hub, seat: &Seat, client: SocketAddr, told: Told, outcome: AccessOutcome) {
    let setup = &seat.listener().setup;
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
        client,
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

/// The request as the server is sent it.
fn head_for(request: &Request, wanted: &Wanted, via: Option<&Field>) -> RequestHead {
    let host = wanted.target.authority();
    let bytes = request.fields.bytes() + host.len() + ROOM_FOR_OURS;
    let mut fields = Fields::with_room(request.fields.len() + 2, bytes);
    fields.push("host", host.as_bytes());
    fields.append(&request.fields);
    via.iter()
        .for_each(|via| fields.push(&via.name, &via.value));
    RequestHead {
        method: request.method.clone(),
        target: wanted.path.clone(),
        fields,
        payload: request.payload,
        upgrade: request.upgrade,
    }
}

/// The head of a response of our own, whose content needs no frame, and whether
/// another request may follow.
fn whole_head(
    codec: &mut ServerCodec,
    answer: &ServerAnswer<'_>,
) -> Result<(Vec<u8>, bool), CodecError> {
    let head = codec.encode_head(answer)?;
    let persists = match head.persists {
        Some(persists) => persists,
        None => codec.end_payload(&Fields::default())?.persists,
    };
    Ok((head.bytes, persists))
}

/// RFC 9110 section 7.6.3.
fn via(minor_version: u8, name: &str) -> Field {
    Field {
        name: "via".to_owned(),
        value: format!("1.{minor_version} {name}").into_bytes(),
    }
}

/// The server had closed a connection that was kept.
fn was_dead(cause: &Cause) -> bool {
    match cause {
        Cause::Socket { .. } => true,
        Cause::Truncated { place } => place == "before-head",
        _ => false,
    }
}

fn replace_transport(server: &mut Connection) -> Transport {
    std::mem::replace(&mut server.transport, Transport::Closed)
}

/// The first `most` bytes of a text, which is ASCII.
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
