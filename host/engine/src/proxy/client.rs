//! One client's connection: request after request, until it ends or a tunnel stands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use fumehood_control::{
    AccessOutcome, Admission, Cause, ClientProtocol, ClientWay, Field, GrantId, Login,
    MAX_ACCESS_METHOD_BYTES, MAX_ACCESS_TARGET_BYTES, PayloadLength, StandingGrant, ToEmbedder,
};
use fumehood_policy::Target;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::admission::is_same;
use super::flow::{Found, Inbound, Outbound};
use super::forward::{ClientSide, End, Forward, Terms};
use super::head::{head_for, via, whole_head};
use super::judge::{Judged, Reader, Wanted, judge, judge_again};
use super::listener::Seat;
use super::patience::{Patience, within};
use super::refusal::Refusal;
use super::route::Traveller;
use super::told::{Told, tell};
use super::tunnel::Tunnel;
use crate::connection::Connection;
use crate::hub::{Hub, is_idempotent};
use crate::instance::{Demand, Fields, LineDemand, Request, ServerAnswer, ServerCodec};
use crate::resume::SteadyCodec;
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
        hub,
        seat,
        leave,
        login: None,
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
pub(super) struct Client {
    pub(super) hub: Arc<Hub>,
    pub(super) seat: Seat,
    /// By which its targets are dialled, once it is known who it is.
    leave: Option<StandingGrant>,
    /// What it said for that, where it had to.
    login: Option<Login>,
    pub(super) transport: Transport,
    codec: Option<Guest>,
    /// To the server of the last request. It is this client's alone.
    server: Option<Kept>,
    reader: Reader,
    pub(super) patience: Patience,
    draining: watch::Receiver<bool>,
}

/// A connection that was used, and where it leads.
struct Kept {
    target: Target,
    way: ClientWay,
    connection: Connection,
}

/// The connection's codec, and its room in the pool.
struct Guest {
    codec: ServerCodec,
    /// What it demands between two requests.
    demand: Demand,
    _room: OwnedSemaphorePermit,
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
    tunnel: Tunnel,
    told: Told,
}

/// A connection that a tunnel is to lead to.
pub(super) struct Far {
    transport: Transport,
    /// For the guest of one that lies in TLS.
    room: Option<OwnedSemaphorePermit>,
}

/// No such connection.
pub(super) struct Unreached {
    /// What the client is told.
    pub(super) refusal: Refusal,
    /// What was the matter on the way.
    pub(super) cause: Option<Box<Cause>>,
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
                ClientProtocol::Http => self.request().await,
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
                    return first.ok().flatten();
                }
                _ = self.draining.wait_for(|it| *it) => return None,
                () = hub.wanted.notified(), if holds => {
                    self.codec = None;
                    self.server = None;
                }
                () = std::future::poll_fn(|cx| patience.poll(cx, deadline)) => return None,
            }
        }
    }

    /// One request, to the end of its response.
    async fn request(&mut self) -> Next {
        let mut told = Told::new(ClientProtocol::Http);
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
        let mut wanted = match self.reader.read(&mut come.request) {
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
        let deadline = within(setup.bounds.head_ms);
        if let Err(refusal) = self.admit(come.request.login.take(), deadline).await {
            return self.refuse(told, &refusal).await;
        }
        if let Err(refusal) = self.judge(&mut wanted, &mut told) {
            return self.refuse(told, &refusal).await;
        }
        match wanted.tunnel {
            true => self.tunnel(told, &wanted, &come.request).await,
            false => self.forward(told, wanted, come).await,
        }
    }

    /// Finds out whose leave the client has, where it does not have one as whoever
    /// connects.
    pub(super) async fn admit(
        &mut self,
        login: Option<Login>,
        deadline: Instant,
    ) -> Result<(), Refusal> {
        let setup = &self.seat.listener().setup;
        if matches!(setup.admission, Admission::Anyone(_)) {
            return Ok(());
        }
        if let (Some(login), Some(before)) = (&login, &self.login)
            && is_same(login, before)
        {
            return Ok(());
        }
        // What a server knows of one user is not for another.
        self.server = None;
        self.login = None;
        self.leave = None;
        let login = login.ok_or_else(Refusal::nobody)?;
        let admissions = &self.hub.proxy.admissions;
        let asking = admissions.ask(&self.hub.outbox, setup.id, login.clone(), deadline);
        let leave = asking.await.map_err(|_| Refusal::unknown())?;
        self.leave = Some(leave.ok_or_else(Refusal::nobody)?);
        self.login = Some(login);
        Ok(())
    }

    /// Judges a request of the client's, by the policy of this moment.
    pub(super) fn judge(&self, wanted: &mut Wanted, told: &mut Told) -> Result<(), Refusal> {
        let client = self.leave.as_ref().and_then(|leave| leave.client.clone());
        told.user.clone_from(&client);
        wanted.terms.client = client;
        let policy = self.hub.proxy.policy().ok_or_else(Refusal::no_policy)?;
        match judge(&policy, wanted) {
            Judged::Allowed => {}
            Judged::Reported(denial) => self.hub.outbox.try_send(ToEmbedder::Reported(denial)),
            Judged::Denied(denial) => return Err(Refusal::denied(denial)),
        }
        Ok(())
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
    async fn tunnel(&mut self, mut told: Told, wanted: &Wanted, request: &Request) -> Next {
        let via = self.via_so_far(request);
        let (peer, far) = match self.far(wanted, &via).await {
            Ok(far) => far,
            Err(it) => return self.refuse(told, &it.refusal).await,
        };
        told.server = Some(peer);
        told.status = 200;
        let answer = ServerAnswer {
            status: 200,
            reason: b"Connection established",
            fields: &Fields::default(),
            payload: PayloadLength::None,
            last: false,
            challenge: false,
        };
        let Some(Ok(head)) = self.codec.as_mut().map(|it| it.codec.encode_head(&answer)) else {
            return Next::Drop;
        };
        if !self.write(&head.bytes).await {
            return Next::Drop;
        }
        self.stand(told, far)
    }

    /// A connection that a tunnel can lead to, and whose address it has.
    pub(super) async fn far(
        &mut self,
        wanted: &Wanted,
        via: &[Field],
    ) -> Result<(SocketAddr, Far), Unreached> {
        let traveller = self.traveller(wanted, (via, false));
        let ways = traveller.ways().await.map_err(|refusal| Unreached {
            refusal,
            cause: None,
        })?;
        let reached = traveller.reach(ways, &mut 0).await;
        let reached = reached.map_err(|cause| Unreached {
            refusal: Refusal::failed(&cause, &wanted.target),
            cause: Some(Box::new(cause)),
        })?;
        let far = Far {
            transport: reached.transport,
            room: reached.room,
        };
        Ok((reached.peer, far))
    }

    /// By what its targets are dialled.
    fn grant(&self) -> GrantId {
        self.leave.as_ref().map_or(NOBODYS, |leave| leave.id)
    }

    /// What is left of both connections, as a tunnel.
    pub(super) fn stand(&mut self, told: Told, far: Far) -> Next {
        let (codec, upstream) = (self.codec.take(), self.server.take());
        drop((codec, upstream));
        let closed = Transport::Closed;
        let client = std::mem::replace(&mut self.transport, closed).bare();
        let server = far.transport.bare();
        let idle_ms = self.seat.listener().setup.bounds.tunnel_idle_ms;
        let tunnel = Tunnel::new(client, server, idle_ms).with_room(far.room);
        Next::Tunnel(Box::new((tunnel, told)))
    }

    /// A request to a server, and its response back.
    async fn forward(&mut self, mut told: Told, wanted: Wanted, come: Come) -> Next {
        let so_far = self.via_so_far(&come.request);
        let upgrade = come.request.upgrade;
        let mut ways = match self.traveller(&wanted, (&so_far, upgrade)).ways().await {
            Ok(ways) => ways,
            Err(refusal) => return self.refuse(told, &refusal).await,
        };
        let mut round = 0;
        let mut kept = self.kept(&wanted, &ways);
        loop {
            told.reused = kept.is_some();
            let (way, mut server) = match kept.take() {
                Some(kept) => (kept.way, kept.connection),
                None => match self
                    .connect(&wanted, (&so_far, upgrade), (&ways, &mut round))
                    .await
                {
                    Ok(reached) => reached,
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
                asked: way.asked(),
                listener: self.seat.listener(),
            };
            let client = ClientSide {
                transport: &mut self.transport,
                codec: &mut guest.codec,
            };
            let head = head_for(&come.request, &wanted, &way, via.as_ref());
            let begun = Forward::begin(client, &mut server, head, (&come.demand, come.then), terms);
            let (end, spent, content_spent) = match begun {
                Ok(mut forward) => {
                    let end = forward.run(&mut self.patience).await;
                    (told.received, told.sent) = forward.bytes();
                    told.status = forward.status();
                    (end, forward.is_spent(), forward.has_spent_content())
                }
                Err(cause) => (End::Failed(cause), false, false),
            };
            // A proxy that was asked itself wants proof of who asks.
            let traveller = self.traveller(&wanted, (&so_far, upgrade));
            if let End::Failed(cause) = &end
                && let Some(proven) = traveller.proven(cause, round).await
            {
                if content_spent {
                    let refusal = Refusal::content_spent(cause, &wanted.target);
                    return self.refuse(told, &refusal).await;
                }
                (ways, round) = (proven, round + 1);
                continue;
            }
            return match end {
                End::Complete { persists, reusable } => {
                    if reusable && persists {
                        self.server = Some(Kept {
                            target: wanted.target,
                            way,
                            connection: server,
                        });
                    }
                    self.tell(told, AccessOutcome::Served).await;
                    if persists { Next::Again } else { Next::Close }
                }
                End::Upgraded => {
                    let transport = replace_transport(&mut server);
                    let room = server.room.take();
                    self.stand(told, Far { transport, room })
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
                    let refusal = Refusal::failed(&cause, &wanted.target);
                    told.denied = refusal.reason();
                    self.tell(told, refusal.outcome()).await;
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

    /// The connection of the last request, where it goes where this one does, the
    /// way that is to be gone first, lives, and may still be used.
    fn kept(&mut self, wanted: &Wanted, ways: &[ClientWay]) -> Option<Kept> {
        let mut kept = self.server.take()?;
        let registry = &self.hub.registry;
        let good = ways.first().is_some_and(|way| kept.leads_to(wanted, way))
            && kept.connection.is_alive()
            && kept.connection.codec.refresh().is_ok()
            && !kept.connection.has_outlived_its_guest(registry);
        let policy = self.hub.proxy.policy().filter(|_| good)?;
        // The same proxies, but who named them, and what they are told, may be others.
        kept.way = ways.first()?.clone();
        let first = kept.way.first();
        judge_again(&policy, wanted, first.as_ref(), kept.connection.peer.ip()).ok()?;
        Some(kept)
    }

    async fn connect(
        &mut self,
        wanted: &Wanted,
        (so_far, upgrade): (&[Field], bool),
        (ways, round): (&[ClientWay], &mut u8),
    ) -> Result<(ClientWay, Connection), Cause> {
        let traveller = self.traveller(wanted, (so_far, upgrade));
        let reached = traveller.reach(ways.to_vec(), round).await?;
        let connection = Connection {
            transport: reached.transport,
            codec: SteadyCodec::new(&self.hub.registry)?,
            peer: reached.peer,
            since: reached.since,
            room: reached.room,
        };
        Ok((reached.way, connection))
    }

    /// Who goes for a request.
    fn traveller<'a>(
        &'a self,
        wanted: &'a Wanted,
        (via, upgrade): (&'a [Field], bool),
    ) -> Traveller<'a> {
        Traveller {
            hub: &self.hub,
            grant: self.grant(),
            deadlines: self.seat.listener().setup.deadlines,
            wanted,
            upgrade,
            via,
        }
    }

    /// `via` of a request as it is passed on.
    fn via_so_far(&self, request: &Request) -> Vec<Field> {
        let before = request
            .fields
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"via"))
            .map(|(_, value)| Field {
                name: "via".to_owned(),
                value: value.to_vec(),
            });
        let name = self.seat.listener().setup.via.as_deref();
        let own = name.map(|name| via(request.minor_version, name));
        before.chain(own).collect()
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
            challenge: refusal.status() == 407,
        };
        let Some(guest) = &mut self.codec else {
            return Next::Drop;
        };
        let Ok((mut bytes, persists)) = whole_head(&mut guest.codec, &answer) else {
            return self.tell_gone(told).await;
        };
        told.status = refusal.status();
        told.denied = refusal.reason();
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
    pub(super) async fn fail(&mut self, told: Told, cause: &Cause) -> Next {
        let error = fumehood_control::ProxyStatus::of_cause(cause).error;
        self.tell(told, AccessOutcome::Failed(error.to_owned()))
            .await;
        Next::Drop
    }

    pub(super) async fn tell_gone(&mut self, told: Told) -> Next {
        let gone = AccessOutcome::Failed("client_gone".to_owned());
        self.tell(told, gone).await;
        Next::Drop
    }

    pub(super) async fn tell(&mut self, told: Told, outcome: AccessOutcome) {
        tell(&self.hub, &self.seat, told, outcome).await;
    }

    /// Writes all of it, unless the client does not read.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> bool {
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

impl Kept {
    /// Whether it can carry a request that is to go this way.
    fn leads_to(&self, wanted: &Wanted, way: &ClientWay) -> bool {
        let everywhere = way.asked().is_some();
        let mut pairs = self.way.via.iter().zip(&way.via);
        let same = self.way.via.len() == way.via.len();
        same && pairs.all(|(one, other)| one.leads_as(other))
            && (everywhere || self.target == wanted.target)
    }
}

impl Standing {
    async fn run(mut self) {
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

/// What a first byte is the beginning of: a version's number (RFC 1928 section 3),
/// which no method begins with.
fn spoken(first: u8) -> ClientProtocol {
    match first {
        4 => ClientProtocol::Socks4,
        5 => ClientProtocol::Socks5,
        _ => ClientProtocol::Http,
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
pub(super) fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
