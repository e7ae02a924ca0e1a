//! A connection to a server that is a client's for now: its own while it goes on
//! asking, and everybody's afterwards.

use std::sync::Arc;
use std::time::Duration;

use fumehood_control::ClientWay;
use tokio::time::Instant;

use super::judge::Wanted;
use super::listener::Listener;
use crate::connection::Connection;
use crate::gauge::One;
use crate::hub::Hub;
use crate::instance::Request;
use crate::key::{Key, Whose};
use crate::turns::Turn;

/// How long a connection waits for its client's next request before others may have
/// it: who goes on asking has it without a lock, and servers with little patience
/// close theirs after as long.
const TO_ITSELF: Duration = Duration::from_secs(5);

/// Responses in a row that may ask who the client is while its connection is kept
/// from who waits for its place: proving it by NTLM takes two (MS-NLMP section 3.1),
/// by Negotiate seldom more (RFC 4559 section 5). Who never proves it is not to hold
/// a place for ever.
const MAX_UNPROVEN: u8 = 4;

/// A connection that serves a client, and where it leads.
pub(super) struct Kept {
    pub(super) key: Key,
    pub(super) way: ClientWay,
    pub(super) connection: Connection,
    /// It had served a request before.
    pub(super) used: bool,
    /// What the server makes of who asked may hold for all that comes over it.
    pub(super) personal: bool,
    /// How many responses, the last among them, asked who the client is.
    pub(super) unproven: u8,
    /// At the proxy that is first on the way, where there is one.
    pub(super) turn: Option<Turn>,
    /// By which of the listener's users its client was judged.
    pub(super) users: u64,
    /// It is counted as in use.
    pub(super) _serving: One,
}

/// Where a client has its connection between two requests. Whatever becomes of the
/// client, the connection goes back.
pub(super) struct Keep {
    hub: Arc<Hub>,
    listener: Arc<Listener>,
    resting: Option<Resting>,
}

/// One that waits for its client.
struct Resting {
    kept: Kept,
    since: Instant,
    /// When it is seen to next whether others may have it.
    spare_at: Instant,
}

impl Kept {
    /// Whether it can carry a request that is to go this way.
    pub(super) fn leads_to(&self, whose: Whose, wanted: &Wanted, way: &ClientWay) -> bool {
        self.key.fits(whose, &wanted.target, way)
    }

    /// Notes what is known after a request that was answered so. There are schemes by
    /// which who asks is told once for a connection (RFC 4559 section 6); which ones
    /// is the server's to say, so where somebody says who it is, or is asked to, the
    /// connection is for nobody else from then on.
    pub(super) fn note(&mut self, request: &Request, status: u16) {
        let mut fields = request.fields.iter();
        let asks = matches!(status, 401 | 407);
        self.personal |=
            asks || fields.any(|(name, _)| name.eq_ignore_ascii_case(b"authorization"));
        self.unproven = match asks {
            true => self.unproven.saturating_add(1),
            false => 0,
        };
    }

    /// Its client is about to prove who it is, for which it needs this very
    /// connection.
    fn is_being_proven(&self) -> bool {
        (1..=MAX_UNPROVEN).contains(&self.unproven)
    }

    /// Gives it to whoever fits it next, or closes it.
    fn give_back(self, hub: &Hub, listener: &Listener) {
        if !self.personal {
            // Asked while the idle ones are locked: what ends them comes before, and is
            // seen, or after, and ends this one too.
            let may_serve = || !listener.is_draining() && self.users == listener.users();
            // Where it is not kept there is no room for it.
            let _kept = hub.park_if(self.key, self.connection, may_serve);
        }
        // Who has the next turn finds it there.
        drop(self.turn);
    }
}

impl Keep {
    pub(super) fn new(hub: &Arc<Hub>, listener: &Arc<Listener>) -> Keep {
        Keep {
            hub: Arc::clone(hub),
            listener: Arc::clone(listener),
            resting: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.resting.is_none()
    }

    /// Keeps one that can be used again, for the client's next request, unless
    /// somebody waits for its place.
    pub(super) fn put(&mut self, mut kept: Kept) {
        kept.used = true;
        let is_wanted = kept.turn.as_ref().is_some_and(Turn::is_wanted);
        let is_for_who_waits = is_wanted && !kept.is_being_proven();
        let since = Instant::now();
        self.resting = Some(Resting {
            kept,
            since,
            spare_at: since + self.to_itself(),
        });
        if is_for_who_waits {
            self.give_back();
        }
    }

    /// The client has it again.
    pub(super) fn take(&mut self) -> Option<Kept> {
        Some(self.resting.take()?.kept)
    }

    /// Others may have it, where they can.
    pub(super) fn give_back(&mut self) {
        if let Some(kept) = self.take() {
            kept.give_back(&self.hub, &self.listener);
        }
    }

    /// Nobody has it any more.
    pub(super) fn close(&mut self) {
        self.resting = None;
    }

    /// Until somebody waits for its place, and may have it.
    pub(super) fn wanted(&self) -> impl Future<Output = ()> + use<'_> {
        let kept = self.resting.as_ref().map(|it| &it.kept);
        let kept = kept.filter(|it| !it.is_being_proven());
        let turn = kept.and_then(|it| it.turn.as_ref());
        async move {
            match turn {
                Some(turn) => turn.wanted_at_proxy().await,
                None => std::future::pending().await,
            }
        }
    }

    /// When [`Keep::spare`] is to be called, where there is one.
    pub(super) fn spare_at(&self) -> Option<Instant> {
        self.resting.as_ref().map(|it| it.spare_at)
    }

    /// The client has asked for nothing for a while: others may have it, where they can
    /// or wait for its place. Whom nobody can follow may keep it for as long as any is
    /// kept.
    pub(super) fn spare(&mut self) {
        let next = Instant::now() + self.to_itself();
        let Some(Resting {
            kept,
            since,
            spare_at,
        }) = &mut self.resting
        else {
            return;
        };
        *spare_at = next;
        let is_wanted = kept.turn.as_ref().is_some_and(Turn::is_wanted);
        if !kept.personal || is_wanted || since.elapsed() >= self.hub.idle.keep() {
            self.give_back();
        }
    }

    fn to_itself(&self) -> Duration {
        TO_ITSELF.min(self.hub.idle.keep())
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        self.give_back();
    }
}
