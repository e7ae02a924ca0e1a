//! A connection to a server that is a client's for now: its own while it goes on
//! asking, and everybody's afterwards.

use std::sync::Arc;
use std::time::Duration;

use fumehood_control::ClientWay;

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
pub(super) const TO_ITSELF: Duration = Duration::from_secs(5);

/// A connection that serves a client, and where it leads.
pub(super) struct Kept {
    pub(super) key: Key,
    pub(super) way: ClientWay,
    pub(super) connection: Connection,
    /// It had served a request before.
    pub(super) used: bool,
    /// What the server makes of who asked may hold for all that comes over it.
    pub(super) personal: bool,
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
    kept: Option<Kept>,
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
        self.personal |= matches!(status, 401 | 407)
            || fields.any(|(name, _)| name.eq_ignore_ascii_case(b"authorization"));
    }

    /// Gives it to whoever fits it next, or closes it.
    fn give_back(self, hub: &Hub, listener: &Listener) {
        let is_for_others =
            !self.personal && !listener.is_draining() && self.users == listener.users();
        if is_for_others {
            // Where it is not kept there is no room for it.
            let _kept = hub.idle.park(self.key, self.connection);
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
            kept: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_none()
    }

    /// Keeps one that can be used again, for the client's next request, unless
    /// somebody waits for it.
    pub(super) fn put(&mut self, mut kept: Kept) {
        kept.used = true;
        self.kept = Some(kept);
        if self.is_wanted() && !self.is_personal() {
            self.give_back();
        }
    }

    /// The client has it again.
    pub(super) fn take(&mut self) -> Option<Kept> {
        self.kept.take()
    }

    /// Others may have it, where they can.
    pub(super) fn give_back(&mut self) {
        if let Some(kept) = self.kept.take() {
            kept.give_back(&self.hub, &self.listener);
        }
    }

    /// Nobody has it any more.
    pub(super) fn close(&mut self) {
        self.kept = None;
    }

    /// Whether there is anything that others could have or wait for, once the client
    /// has asked for nothing for a while.
    pub(super) fn is_spare(&self) -> bool {
        let kept = self.kept.as_ref();
        kept.is_some_and(|it| !it.personal || it.turn.is_some())
    }

    /// The client has asked for nothing for a while.
    pub(super) fn spare(&mut self) {
        if !self.is_personal() || self.is_wanted() {
            self.give_back();
        }
    }

    fn is_personal(&self) -> bool {
        self.kept.as_ref().is_some_and(|it| it.personal)
    }

    fn is_wanted(&self) -> bool {
        let turn = self.kept.as_ref().and_then(|it| it.turn.as_ref());
        turn.is_some_and(Turn::is_wanted)
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        self.give_back();
    }
}
