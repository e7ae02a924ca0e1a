//! A request on its way: to a server and back, or as a tunnel.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fumehood_control::{AccessOutcome, Cause, ClientWay, Field, GrantId, PayloadLength};
use fumehood_policy::Target;
use tokio::sync::OwnedSemaphorePermit;

use super::client::{Client, Next};
use super::forward::{ClientSide, End, Forward, Terms};
use super::head::head_for;
use super::judge::Wanted;
use super::keep::Kept;
use super::listener::Seat;
use super::refusal::Refusal;
use super::request::Come;
use super::route::{Fresh, Link, Reached, Traveller};
use super::told::Told;
use crate::connection::Connection;
use crate::hub::{Hub, is_idempotent, was_dead};
use crate::instance::{Fields, Request, ServerAnswer};
use crate::key::{Key, Whose};
use crate::resume::SteadyCodec;
use crate::transport::Transport;
use crate::turns::Turn;

/// A connection that a tunnel is to lead to.
pub(super) struct Far {
    pub(super) transport: Transport,
    /// For the guest of one that lies in TLS.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// No such connection.
pub(super) struct Unreached {
    /// What the client is told.
    pub(super) refusal: Refusal,
    /// What was the matter on the way.
    pub(super) cause: Option<Box<Cause>>,
}

/// What of a request cannot be had again.
#[derive(Clone, Copy, Default)]
struct Spent {
    /// Some of it, or the server has begun to answer.
    any: bool,
    content: bool,
}

impl Client {
    /// A request to a server, and its response back.
    pub(super) async fn forward(&mut self, mut told: Told, wanted: Wanted, come: Come) -> Next {
        let so_far = self.via_so_far(&come.request);
        let mut passing = Passing {
            via: so_far.as_deref(),
            upgrade: come.request.upgrade,
            // What can be sent only once is not sent where the server may be gone.
            shares: is_idempotent(&come.request.method) && !wanted.content,
        };
        let mut ways = match traveller(&self.hub, &self.seat, self.grant(), &wanted, passing)
            .ways()
            .await
        {
            Ok(ways) => ways,
            Err(refusal) => return self.refuse(told, &refusal).await,
        };
        let mut round = 0;
        let mut kept = self.kept(&wanted, &ways);
        // What is sent again keeps its place in the row.
        let mut turn = None;
        loop {
            let mut server = match kept.take() {
                Some(kept) => kept,
                None => match self
                    .connect(&wanted, passing, (&ways, &mut round), turn.take())
                    .await
                {
                    Ok(reached) => reached,
                    Err(cause) => {
                        (told.server, told.reused) = (None, false);
                        let refusal = Refusal::failed(&cause, &wanted.target);
                        return self.refuse(told, &refusal).await;
                    }
                },
            };
            (told.server, told.reused) = (Some(server.connection.peer), server.used);
            let Some((end, spent)) = self.exchange(&mut server, &wanted, &come, &mut told).await
            else {
                return Next::Drop;
            };
            server.note(&come.request, told.status);
            // A proxy that was asked itself wants proof of who asks.
            let asked = (round, spent.content);
            if let End::Failed(cause) = &end
                && let Some(proven) =
                    traveller(&self.hub, &self.seat, self.grant(), &wanted, passing)
                        .proven(cause, asked)
                        .await
            {
                if spent.content {
                    let refusal = Refusal::content_spent(cause, &wanted.target);
                    return self.refuse(told, &refusal).await;
                }
                (ways, round) = (proven, round + 1);
                turn = server.turn.take();
                continue;
            }
            if let End::Failed(cause) = &end
                && told.reused
                && !spent.any
                && was_dead(cause)
                && is_idempotent(&come.request.method)
            {
                // The connection had died while it was kept; others may have, too.
                passing.shares = false;
                turn = server.turn.take();
                continue;
            }
            return self.conclude(end, told, server, &wanted.target).await;
        }
    }

    /// Request and response with one server: how it ended, and what of it cannot be
    /// had again. `None` where there is no guest.
    async fn exchange(
        &mut self,
        server: &mut Kept,
        wanted: &Wanted,
        come: &Come,
        told: &mut Told,
    ) -> Option<(End, Spent)> {
        let listener = self.seat.listener();
        let via = listener.via(come.request.minor_version);
        let terms = Terms {
            deadlines: listener.setup.deadlines,
            via,
            informational: come.request.minor_version >= 1,
            asked: server.way.asked(),
            listener,
        };
        let client = ClientSide {
            transport: &mut self.transport,
            codec: &mut self.codec.as_mut()?.codec,
        };
        let head = head_for(&come.request, wanted, &server.way, via);
        let inward = (&come.demand, come.then);
        let begun = Forward::begin(client, &mut server.connection, head, inward, terms);
        Some(match begun {
            Ok(mut forward) => {
                let end = forward.run(&mut self.patience).await;
                (told.received, told.sent) = forward.bytes();
                told.status = forward.status();
                let spent = Spent {
                    any: forward.is_spent(),
                    content: forward.has_spent_content(),
                };
                (end, spent)
            }
            Err(cause) => (End::Failed(cause), Spent::default()),
        })
    }

    /// What comes of both connections, the server's after a request for `target`.
    async fn conclude(&mut self, end: End, mut told: Told, server: Kept, target: &Target) -> Next {
        match end {
            End::Complete { persists, reusable } => {
                if reusable {
                    self.server.put(server);
                }
                if !persists {
                    self.server.give_back();
                }
                self.tell(told, AccessOutcome::Served).await;
                if persists { Next::Again } else { Next::Close }
            }
            End::Upgraded => {
                let (transport, room) = server.connection.into_parts();
                self.stand(told, Far { transport, room })
            }
            End::Failed(cause) => {
                let refusal = Refusal::failed(&cause, target);
                if told.status == 0 {
                    return self.refuse(told, &refusal).await;
                }
                told.denied = refusal.reason();
                self.tell(told, refusal.outcome()).await;
                Next::Drop
            }
            End::Broken(error) => match Refusal::broken(error) {
                Some(refusal) if told.status == 0 => self.refuse(told, &refusal).await,
                _ => self.tell_gone(told).await,
            },
            End::Gone => self.tell_gone(told).await,
        }
    }

    /// The connection of the last request, where it goes where this one does, the
    /// way that is to be gone first, lives, and may still be used. One that leads
    /// elsewhere is for others.
    fn kept(&mut self, wanted: &Wanted, ways: &[ClientWay]) -> Option<Kept> {
        let (mut kept, way) = (self.server.take()?, ways.first()?);
        let whose = Whose::Clients(self.seat.listener().setup.id, self.grant());
        if !kept.leads_to(whose, wanted, way) {
            self.server.put(kept);
            self.server.give_back();
            return None;
        }
        // The same proxies, but who named them, and what they are told, may be others.
        kept.way = way.clone();
        let good = kept.connection.is_alive() && kept.connection.refresh().is_ok();
        let policy = self.hub.proxy.policy().filter(|_| good)?;
        let first = kept.way.first();
        let address = kept.connection.peer.ip();
        let judge = &mut self.judge;
        judge.again(&policy, wanted, first.as_ref(), address).ok()?;
        Some(kept)
    }

    async fn connect(
        &mut self,
        wanted: &Wanted,
        passing: Passing<'_>,
        (ways, round): (&[ClientWay], &mut u8),
        turn: Option<Turn>,
    ) -> Result<Kept, Cause> {
        let traveller = traveller(&self.hub, &self.seat, self.grant(), wanted, passing);
        let whose = traveller.whose();
        let Reached { way, link, turn } = traveller.reach(ways.to_vec(), round, turn).await?;
        let (connection, used) = match link {
            Link::Shared(connection) => (*connection, true),
            Link::New(fresh) => (self.connection(fresh)?, false),
        };
        Ok(Kept {
            key: Key::of_client(whose, &wanted.target, &way),
            way,
            connection,
            used,
            personal: false,
            unproven: 0,
            turn,
            users: self.users,
            _serving: self.hub.proxy.serving.one(),
        })
    }

    fn connection(&self, fresh: Fresh) -> Result<Connection, Cause> {
        self.hub.made.fetch_add(1, Ordering::Relaxed);
        Ok(Connection {
            transport: fresh.transport,
            codec: SteadyCodec::new(&self.hub.registry)?,
            peer: fresh.peer,
            since: fresh.since,
            room: fresh.room,
        })
    }

    /// A tunnel to what is asked for (RFC 9110 section 9.3.6).
    pub(super) async fn tunnel(
        &mut self,
        mut told: Told,
        wanted: &Wanted,
        request: &Request,
    ) -> Next {
        // It leads elsewhere, and the tunnel may need the room that it has.
        self.server.give_back();
        let via = self.via_so_far(request);
        let (peer, far) = match self.far(wanted, via.as_deref()).await {
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
        via: Option<&[Field]>,
    ) -> Result<(SocketAddr, Far), Unreached> {
        let passing = Passing {
            via,
            upgrade: false,
            shares: false,
        };
        let traveller = traveller(&self.hub, &self.seat, self.grant(), wanted, passing);
        let ways = traveller.ways().await.map_err(|refusal| Unreached {
            refusal,
            cause: None,
        })?;
        let reached = traveller.reach(ways, &mut 0, None).await;
        let reached = reached.map_err(|cause| Unreached {
            refusal: Refusal::failed(&cause, &wanted.target),
            cause: Some(Box::new(cause)),
        })?;
        let (peer, transport, room) = reached.link.into_parts();
        Ok((peer, Far { transport, room }))
    }

    /// `via` of a request as it is passed on, where a way is to be chosen for it.
    fn via_so_far(&self, request: &Request) -> Option<Vec<Field>> {
        if !self.hub.proxy.routes.asks() {
            return None;
        }
        let before = request
            .fields
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"via"))
            .map(|(_, value)| Field {
                name: "via".to_owned(),
                value: value.to_vec(),
            });
        let own = self.seat.listener().via(request.minor_version);
        Some(before.chain(own.cloned()).collect())
    }
}

/// How a request is passed on. Of a tunnel: `shares` is false.
#[derive(Clone, Copy)]
struct Passing<'a> {
    /// What it passes on as `via`, where a way is to be chosen.
    via: Option<&'a [Field]>,
    /// It asks for an upgrade.
    upgrade: bool,
    /// A connection that others used will do.
    shares: bool,
}

/// Who goes for a request. Its parts are lent one by one, as a connection is not
/// shared.
fn traveller<'a>(
    hub: &'a Arc<Hub>,
    seat: &'a Seat,
    grant: GrantId,
    wanted: &'a Wanted,
    passing: Passing<'a>,
) -> Traveller<'a> {
    let setup = &seat.listener().setup;
    Traveller {
        hub,
        listener: setup.id,
        grant,
        deadlines: setup.deadlines,
        wanted,
        upgrade: passing.upgrade,
        via: passing.via,
        shares: passing.shares,
    }
}
