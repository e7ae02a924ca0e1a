//! The way out of a client's request: straight, or through proxies, which the
//! embedder chooses for each request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fumehood_control::{
    Cause, Challenged, ClientWay, Deadlines, DialFailure, Field, GrantId, ListenerId,
    MAX_CHALLENGE_ROUNDS, MAX_WAYS, ProxyFault, RouteAnswer, RouteQuestion, RouteTried, ToEmbedder,
    WayFailure,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::judge::{Judge, Wanted, judge_first};
use super::refusal::Refusal;
use crate::connection::Connection;
use crate::dialer::Dialled;
use crate::hub::Hub;
use crate::key::{Key, Whose};
use crate::questions::{Questions, Unanswered};
use crate::tls::HandshakeError;
use crate::transport::Transport;
use crate::turns::Turn;
use crate::upstream::{self, Asker, Trip};

/// Most entries in a request's `Via`. No way has as many proxies; a circle has
/// any number (RFC 9110 section 7.6.3).
const MAX_VIA: usize = 16;

/// How long the embedder has to choose: as long as it may take to
/// fetch a script and to look its names up.
const CHOSEN_WITHIN: Duration = Duration::from_secs(60);

/// Questions to the embedder about ways.
pub(super) struct Routes {
    /// Whether to ask at all.
    asks: AtomicBool,
    questions: Questions<RouteAnswer>,
}

impl Default for Routes {
    fn default() -> Self {
        Routes {
            asks: AtomicBool::new(false),
            questions: Questions::new(
                |id, bytes| ToEmbedder::RouteFragment { id, bytes },
                |id, bytes| ToEmbedder::Route { id, bytes },
            ),
        }
    }
}

impl Routes {
    /// Says whether to ask from now on.
    pub(super) fn ask_or_not(&self, asks: bool) {
        self.asks.store(asks, Ordering::Release);
    }

    pub(super) fn asks(&self) -> bool {
        self.asks.load(Ordering::Acquire)
    }

    /// Takes a piece of an answer.
    pub(super) fn assemble(&self, id: u64, bytes: &[u8]) {
        self.questions.assemble(id, bytes);
    }

    /// Takes the last piece.
    pub(super) fn answer(&self, id: u64, bytes: &[u8]) {
        self.questions.answer(id, bytes);
    }

    /// Asks which ways to try.
    async fn ask(&self, hub: &Hub, question: &RouteQuestion) -> RouteAnswer {
        let asking = self.questions.ask(&hub.outbox, question, CHOSEN_WITHIN);
        asking.await.unwrap_or_else(|why| {
            Err(match why {
                Unanswered::TooLong => "what is asked for is too long to choose a way for",
                Unanswered::Late => "no way was chosen in time",
            }
            .to_owned())
        })
    }
}

/// Who goes: a client's request.
pub(super) struct Traveller<'a> {
    pub(super) hub: &'a Arc<Hub>,
    pub(super) listener: ListenerId,
    pub(super) grant: GrantId,
    pub(super) deadlines: Deadlines,
    pub(super) wanted: &'a Wanted,
    /// It is to become a tunnel in the end, and so has to come to the target itself.
    pub(super) upgrade: bool,
    /// What HTTP proxies are told of the way so far. Without it the way is straight.
    pub(super) via: Option<&'a [Field]>,
    /// A connection that others used will do.
    pub(super) shares: bool,
}

/// A connection to the target, or to the proxy that is asked in its place.
pub(super) struct Reached {
    pub(super) way: ClientWay,
    pub(super) link: Link,
    /// At the first proxy; of a tunnel none.
    pub(super) turn: Option<Turn>,
}

/// What it is.
pub(super) enum Link {
    /// Others used it. Nothing of theirs is left in its guest.
    Shared(Box<Connection>),
    New(Fresh),
}

impl Link {
    /// What a tunnel has of it: where it leads, the bytes, and the place it takes.
    pub(super) fn into_parts(self) -> (SocketAddr, Transport, Option<OwnedSemaphorePermit>) {
        match self {
            Link::New(fresh) => (fresh.peer, fresh.transport, fresh.room),
            Link::Shared(connection) => {
                let peer = connection.peer;
                let (transport, room) = connection.into_parts();
                (peer, transport, room)
            }
        }
    }
}

/// One that was made.
pub(super) struct Fresh {
    pub(super) transport: Transport,
    /// Of the first connection.
    pub(super) peer: SocketAddr,
    /// When it was begun to be made.
    pub(super) since: Instant,
    /// Of a straight tunnel, which needs none, `None`.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

impl Traveller<'_> {
    /// The ways to try, at least one.
    pub(super) async fn ways(&self) -> Result<Vec<ClientWay>, Refusal> {
        let Some(via) = self.via else {
            return Ok(vec![ClientWay::straight()]);
        };
        if entries(via) > MAX_VIA {
            let why = format!("it came through more than {MAX_VIA} proxies: they go in a circle");
            return Err(Refusal::new(502, "proxy_loop_detected", why));
        }
        self.chosen(None).await.map_err(no_way)
    }

    /// The ways to try after one that ended so: with proof of who asks, where a proxy
    /// wants that and it can be given. `round` counts how often it said so before.
    /// Where the request is `spent`, they are for none to go.
    pub(super) async fn proven(
        &self,
        cause: &Cause,
        (round, spent): (u8, bool),
    ) -> Option<Vec<ClientWay>> {
        let Cause::Proxy { server, fault } = cause else {
            return None;
        };
        let ProxyFault::Refused {
            status: 407,
            challenges,
            ..
        } = &**fault
        else {
            return None;
        };
        if round >= MAX_CHALLENGE_ROUNDS {
            return None;
        }
        let challenged = Challenged {
            server: server.clone(),
            challenges: challenges.clone(),
            round,
            spent,
        };
        self.chosen(Some(challenged)).await.ok()
    }

    async fn chosen(&self, challenge: Option<Challenged>) -> RouteAnswer {
        let wanted = self.wanted;
        let question = RouteQuestion {
            target: wanted.target.clone(),
            method: wanted
                .terms
                .method
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            path: wanted.path.clone(),
            tunnel: wanted.tunnel || self.upgrade,
            content: wanted.content,
            challenge,
        };
        let mut ways = self.hub.proxy.routes.ask(self.hub, &question).await?;
        ways.truncate(MAX_WAYS);
        match ways.is_empty() {
            true => Err("none was chosen".to_owned()),
            false => Ok(ways),
        }
    }

    /// Goes the first way that can be gone, and again where a proxy of it wants proof
    /// of who asks, which is counted. Who has a `turn` already need not wait for it, and
    /// keeps it while the same proxy is asked again.
    pub(super) async fn reach(
        &self,
        mut ways: Vec<ClientWay>,
        round: &mut u8,
        mut turn: Option<Turn>,
    ) -> Result<Reached, Cause> {
        loop {
            let cause = match self.try_all(ways, &mut turn).await {
                Ok(reached) => return Ok(reached),
                Err(cause) => cause,
            };
            match self.proven(&cause, (*round, false)).await {
                Some(proven) => ways = proven,
                None => return Err(cause),
            }
            *round += 1;
        }
    }

    async fn try_all(
        &self,
        ways: Vec<ClientWay>,
        turn: &mut Option<Turn>,
    ) -> Result<Reached, Cause> {
        let (mut failed, count) = (Vec::new(), ways.len());
        let mut outcome = Err(Cause::Busy);
        for way in ways {
            let (route, straight) = (way.route(), way.via.is_empty());
            outcome = self.go(way, turn).await;
            let failure = outcome.as_ref().err();
            match failure.map(|cause| WayFailure::of(cause, straight)) {
                Some(WayFailure::OfTheWay) => failed.push(route),
                Some(WayFailure::NotThisOne) => {}
                Some(WayFailure::Final) | None => break,
            }
        }
        if count > 1 || !failed.is_empty() {
            let worked = outcome.as_ref().ok().map(|reached| reached.way.route());
            // Whoever chooses can do without.
            self.hub
                .outbox
                .try_send(ToEmbedder::RouteTried(RouteTried { failed, worked }));
        }
        outcome
    }

    /// For whom connections are made.
    pub(super) fn whose(&self) -> Whose {
        Whose::Clients(self.listener, self.grant)
    }

    /// Goes one way. Where that fails, the turn at its first proxy is left for the next.
    async fn go(&self, way: ClientWay, turn: &mut Option<Turn>) -> Result<Reached, Cause> {
        if self.wanted.tunnel {
            let link = Link::New(self.make(&way).await?);
            let turn = None;
            return Ok(Reached { way, link, turn });
        }
        let key = Key::of_client(self.whose(), &self.wanted.target, &way);
        self.wait_for_turn(&way, turn).await?;
        let link = match self.shared(&key, &way) {
            Some(connection) => Link::Shared(Box::new(connection)),
            None => {
                if let Some(turn) = turn {
                    self.hub.idle.leave_room(&key, turn);
                }
                Link::New(self.make(&way).await?)
            }
        };
        let turn = turn.take();
        Ok(Reached { way, link, turn })
    }

    /// Waits for a turn at the proxy that is first on the way; a turn elsewhere is for
    /// others then. Tunnels have none: they last for as long as their clients want, and
    /// nobody else could have one. Nobody waits for a proxy that is denied.
    async fn wait_for_turn(&self, way: &ClientWay, turn: &mut Option<Turn>) -> Result<(), Cause> {
        turn.take_if(|it| !way.via.first().is_some_and(|hop| it.is_at(&hop.server)));
        let Some(hop) = way.via.first() else {
            return Ok(());
        };
        self.judge_proxy(way)
            .map_err(|cause| upstream::at(hop, ProxyFault::Cause(cause)))?;
        if turn.is_some() {
            return Ok(());
        }
        let milliseconds = self.deadlines.connect_ms;
        let patience = Duration::from_millis(milliseconds.into());
        let waiting = self.hub.turns.wait_at_proxy(&hop.server);
        match tokio::time::timeout(patience, waiting).await {
            Ok(its_turn) => {
                *turn = Some(its_turn);
                Ok(())
            }
            Err(_) => {
                let most = u32::try_from(self.hub.turns.per_proxy()).unwrap_or(u32::MAX);
                Err(upstream::at(hop, ProxyFault::Full { most, milliseconds }))
            }
        }
    }

    /// A connection that others used and that may carry this request, by the policy of
    /// this moment. Those that may not can carry others.
    fn shared(&self, key: &Key, way: &ClientWay) -> Option<Connection> {
        let policy = self.hub.proxy.policy().filter(|_| self.shares)?;
        let first = way.first();
        let may = |connection: &Connection| {
            let address = connection.peer.ip();
            let judged = Judge::default().again(&policy, self.wanted, first.as_ref(), address);
            judged.is_ok()
        };
        loop {
            let mut connection = self.hub.idle.take_if(key, may)?;
            if connection.renew().is_ok() {
                return Some(connection);
            }
        }
    }

    /// Makes a connection that leads this way.
    async fn make(&self, way: &ClientWay) -> Result<Fresh, Cause> {
        let since = Instant::now();
        let milliseconds = self.deadlines.connect_ms;
        let room = match self.wanted.tunnel && way.via.is_empty() {
            true => None,
            false => Some(self.hub.reserve(way.via.len(), milliseconds).await?),
        };
        let Dialled { stream, peer, .. } = match (self.dial(way).await, way.via.first()) {
            (Ok(dialled), _) => dialled,
            (Err(cause), None) => return Err(cause),
            (Err(cause @ Cause::Dial(DialFailure::NoGrant)), _) => return Err(cause),
            (Err(cause), Some(hop)) => {
                return Err(upstream::at(hop, ProxyFault::Cause(cause)));
            }
        };
        let mut transport = Transport::from(stream);
        if !way.via.is_empty() {
            transport = self.led(way, transport).await?;
        }
        Ok(Fresh {
            transport,
            peer,
            since,
            room,
        })
    }

    async fn dial(&self, way: &ClientWay) -> Result<Dialled, Cause> {
        let (hub, wanted) = (self.hub, self.wanted);
        let deadline = Duration::from_millis(self.deadlines.connect_ms.into());
        let (first, method) = (way.first(), wanted.terms.method.clone());
        // No name server hears of a proxy that the policy denies.
        self.judge_proxy(way)?;
        let host = first
            .as_ref()
            .map_or(&wanted.target.host, |it| &it.server.host);
        let looking = Instant::now();
        let found = hub.names.found(host, deadline).await?;
        let left = deadline.saturating_sub(looking.elapsed());
        hub.dialer
            .dial_for(self.grant, &wanted.target, method, left, (first, found))
            .await
    }

    /// Asks the policy of this moment about the proxy that is first on the way.
    fn judge_proxy(&self, way: &ClientWay) -> Result<(), Cause> {
        let Some(first) = way.first() else {
            return Ok(());
        };
        let policy = self.hub.proxy.policy().ok_or(Cause::Busy)?;
        judge_first(&policy, &first, &self.wanted.terms)
    }

    /// From the first proxy on.
    async fn led(&self, way: &ClientWay, transport: Transport) -> Result<Transport, Cause> {
        let trip = Trip {
            via: &way.via,
            target: &self.wanted.target,
            deadlines: self.deadlines,
            asker: Asker::Client {
                grant: self.grant,
                method: self.wanted.terms.method.as_ref(),
                fields: self.via.unwrap_or_default(),
            },
        };
        let version = match trip.speaks_tls() {
            true => Some(self.hub.registry.tls.current()?),
            false => None,
        };
        let led = upstream::lead(self.hub, &trip, version.as_ref(), transport).await;
        led.map_err(HandshakeError::into_cause)
    }
}

fn no_way(why: String) -> Refusal {
    let why = format!("no way out is known: {why}");
    Refusal::new(502, "proxy_configuration_error", why)
}

/// Entries of `via` fields: one more than commas each. A comma in a comment counts
/// too, and does no harm.
fn entries(fields: &[Field]) -> usize {
    let commas = |field: &Field| field.value.iter().filter(|it| **it == b',').count();
    fields.iter().map(|field| commas(field) + 1).sum()
}
