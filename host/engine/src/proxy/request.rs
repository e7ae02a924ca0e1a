//! One request of a client that speaks HTTP: its head, who it is, whether it may.

use std::io;

use fumehood_control::{
    Admission, Cause, ClientProtocol, Login, MAX_ACCESS_METHOD_BYTES, MAX_ACCESS_TARGET_BYTES,
    ToEmbedder,
};
use tokio::time::Instant;

use super::admission::is_same;
use super::client::{Client, Guest, Next};
use super::flow::{Found, Inbound};
use super::judge::{Judged, Wanted};
use super::keep::Keep;
use super::patience::{Patience, within};
use super::refusal::Refusal;
use super::told::Told;
use crate::instance::{Demand, LineDemand, Request, ServerCodec};
use crate::transport::Transport;

/// A request whose head has come.
pub(super) struct Come {
    pub(super) request: Request,
    pub(super) demand: Demand,
    pub(super) then: Option<LineDemand>,
}

impl Client {
    /// One request, to the end of its response.
    pub(super) async fn request(&mut self) -> Next {
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
        let users = self.seat.listener().users();
        if matches!(setup.admission, Admission::Anyone(_)) {
            self.users = users;
            return Ok(());
        }
        if let (Some(login), Some(before)) = (&login, &self.login)
            && is_same(login, before)
            && self.users == users
        {
            return Ok(());
        }
        // What a server knows of one user is not for another.
        self.server.give_back();
        self.login = None;
        self.leave = None;
        let login = login.ok_or_else(Refusal::nobody)?;
        let admissions = &self.hub.proxy.admissions;
        let asking = admissions.ask(&self.hub.outbox, setup.id, login.clone(), deadline);
        let leave = asking.await.map_err(|_| Refusal::unknown())?;
        self.leave = Some(leave.ok_or_else(Refusal::nobody)?);
        (self.login, self.users) = (Some(login), users);
        Ok(())
    }

    /// Judges a request of the client's, by the policy of this moment.
    pub(super) fn judge(&mut self, wanted: &mut Wanted, told: &mut Told) -> Result<(), Refusal> {
        let client = self.name();
        told.user.clone_from(&client);
        wanted.terms.client = client;
        let policy = self.hub.proxy.policy().ok_or_else(Refusal::no_policy)?;
        match self.judge.first(&policy, wanted) {
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
            Some(guest) => guest.room,
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
            room,
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
            let (server, patience) = (&mut self.server, &mut self.patience);
            let found = found(
                &mut inbound,
                &mut self.transport,
                server,
                (patience, deadline),
            );
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
}

/// What comes of a head next; `None` at its deadline. A head that is long in coming is no
/// request yet: others may have the connection to its client's last server meanwhile.
async fn found(
    inbound: &mut Inbound,
    transport: &mut Transport,
    server: &mut Keep,
    (patience, deadline): (&mut Patience, Instant),
) -> Option<io::Result<Found>> {
    loop {
        let until = server.spare_at().map_or(deadline, |at| at.min(deadline));
        tokio::select! {
            biased;
            found = std::future::poll_fn(|cx| inbound.poll(cx, transport)) => return Some(found),
            () = server.wanted() => server.spare(),
            () = std::future::poll_fn(|cx| patience.poll(cx, until)) => {
                if until == deadline {
                    return None;
                }
                server.spare();
            }
        }
    }
}

/// The first `most` bytes of a text, which is ASCII.
pub(super) fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}
