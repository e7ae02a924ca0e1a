//! The local forward proxy: clients' connections, from accept to the end.
//!
//! ```text
//! listener   accepts, within bounds, until it is drained
//! socket     what it accepts from: TCP, or a Unix socket
//! client     one connection: request after request
//! request    one of them: its head, who it is, whether it may
//! onward     it on its way: to a server and back, or as a tunnel
//! keep       the connection to a server: the client's own for now, then everybody's
//! reply      what the proxy itself answers
//! socks      the same of a client that speaks SOCKS: one tunnel
//! admission  who it is, where it has to say so
//! judge      what a request asks for, and whether it may
//! route      which way it goes out, through proxies perhaps
//! forward    a request to the server and its response back, both at once
//! head       heads of our own: a request's as it goes on, a response's that is ours
//! flow       one direction of that: pieces to a codec, payload past it
//! tunnel     bytes both ways, without a guest
//! standing   one of a client, once nothing else of its connection is left
//! associate  a SOCKS client that wants to send datagrams: from request to reply
//! places     how many may do so
//! relay      their datagrams both ways, each header by a guest
//! flows      where they go: one checked, connected socket a target
//! names      another kind of client: it asks for names, and reaches nothing
//! refusal    what a client is told where it gets no response
//! told       what is known of a request when it is over
//! access     what was served, told in batches
//! patience   a deadline that moves on
//! tally      how much was, told now and then
//! ```
//!
//! Every request is judged here, by a copy of the policy, and every connection
//! by the broker, which has the policy itself: an engine in wrong hands reaches
//! what a client of the proxy could have asked for, and nothing else.
//!
//! A connection to a server serves one client at a time. It changes hands only among
//! clients that the policy knows by one name, with a fresh guest, and not at all once
//! somebody said on it who it is: what a server ties to a connection is nobody else's.

mod access;
mod admission;
mod associate;
mod client;
mod flow;
mod flows;
mod forward;
mod head;
mod judge;
mod keep;
mod listener;
mod names;
mod onward;
mod patience;
mod places;
mod refusal;
mod relay;
mod reply;
mod request;
mod route;
mod socket;
mod socks;
mod standing;
mod tally;
mod told;
mod tunnel;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fumehood_control::{Assembly, ListenerId, ListenerSetup, MAX_LISTENERS, StandingGrant};
use fumehood_policy::Policy;
use tokio::sync::Notify;

use crate::gauge::Gauge;
use crate::hub::Hub;
use access::Access;
use admission::Admissions;
pub(crate) use flow::{Found, Inbound};
use listener::Listener;
pub(crate) use names::datagram;
use places::Places;
use route::Routes;
use tally::Tally;

/// The proxy's part of the engine.
pub(crate) struct Proxy {
    /// What requests are judged by; without one nothing is served.
    policy: Mutex<Option<Arc<Policy>>>,
    places: Mutex<HashMap<ListenerId, Place>>,
    /// Told of whatever [changes](Proxy::change) in these places.
    changed: Notify,
    admissions: Admissions,
    access: Access,
    tally: Tally,
    routes: Routes,
    associations: Places,
    /// Connections to servers that serve clients.
    serving: Gauge,
}

/// A listener, or what has come of one.
#[derive(Default)]
struct Place {
    setup: Option<ListenerSetup>,
    socket: Option<OwnedFd>,
    listener: Option<Arc<Listener>>,
}

impl Proxy {
    /// One that serves nobody.
    pub(crate) fn new() -> Proxy {
        Proxy {
            policy: Mutex::default(),
            places: Mutex::default(),
            changed: Notify::new(),
            admissions: Admissions::new(),
            access: Access::default(),
            tally: Tally::default(),
            routes: Routes::default(),
            associations: Places::default(),
            serving: Gauge::default(),
        }
    }

    /// Takes another policy for requests from now on. One that does not decode
    /// leaves none: then nothing is served.
    pub(crate) fn take_policy(&self, pieces: Assembly, last: &[u8]) {
        let policy = pieces.finish(last).ok().map(Arc::new);
        *lock(&self.policy) = policy;
    }

    /// Takes the embedder's word on a client's login.
    pub(crate) fn admitted(&self, id: u64, grant: Option<StandingGrant>) {
        self.admissions.answer(id, grant);
    }

    /// Says whether the embedder is asked which way a request goes out.
    pub(crate) fn routed(&self, asks: bool) {
        self.routes.ask_or_not(asks);
    }

    /// Takes a piece of the answer to that.
    pub(crate) fn assemble_route(&self, id: u64, bytes: &[u8]) {
        self.routes.assemble(id, bytes);
    }

    /// Takes the last piece.
    pub(crate) fn take_route(&self, id: u64, bytes: &[u8]) {
        self.routes.answer(id, bytes);
    }

    /// Connections to servers that serve clients at this moment.
    pub(crate) fn connections(&self) -> u64 {
        self.serving.count()
    }

    fn policy(&self) -> Option<Arc<Policy>> {
        lock(&self.policy).clone()
    }

    /// A listener that is served.
    fn listener(&self, id: ListenerId) -> Option<Arc<Listener>> {
        self.places().get(&id)?.listener.clone()
    }

    /// A listener that is served, or will be once its socket has come from the broker:
    /// the embedder may have heard of that socket before.
    async fn listener_to_be(&self, id: ListenerId) -> Option<Arc<Listener>> {
        loop {
            // From before the look on, so that nothing is told in between.
            let changed = self.changed.notified();
            if let Some(listener) = &self.places().get(&id)?.listener {
                return Some(Arc::clone(listener));
            }
            changed.await;
        }
    }

    /// Changes something in the places, and has whoever waits there look again.
    fn change<T>(&self, change: impl FnOnce(&mut HashMap<ListenerId, Place>) -> T) -> T {
        let done = change(&mut self.places());
        self.changed.notify_waiters();
        done
    }

    fn places(&self) -> MutexGuard<'_, HashMap<ListenerId, Place>> {
        lock(&self.places)
    }
}

/// Takes how a listener is to be served.
pub(crate) fn set_up(hub: &Arc<Hub>, setup: ListenerSetup) {
    let id = setup.id;
    take(hub, id, |place| place.setup = Some(setup));
}

/// Takes a listener's socket from the broker.
pub(crate) fn listen(hub: &Arc<Hub>, id: ListenerId, socket: OwnedFd) {
    take(hub, id, |place| place.socket = Some(socket));
}

/// Begins to serve once both have come, in whichever order.
fn take(hub: &Arc<Hub>, id: ListenerId, put: impl FnOnce(&mut Place)) {
    hub.proxy.change(|places| {
        if places.len() >= MAX_LISTENERS && !places.contains_key(&id) {
            return;
        }
        let place = places.entry(id).or_default();
        put(place);
        if place.listener.is_some() || place.setup.is_none() || place.socket.is_none() {
            return;
        }
        if let (Some(setup), Some(socket)) = (place.setup.take(), place.socket.take()) {
            place.listener = Listener::begin(hub, setup, socket);
        }
    });
}

/// Who was admitted at this listener is asked about again, and nobody has what those
/// who were had before.
pub(crate) fn ask_anew(hub: &Hub, id: ListenerId) {
    if let Some(listener) = hub.proxy.listener(id) {
        listener.ask_anew();
        hub.idle.close_of(id);
    }
}

/// Ends a listener; the embedder is told when its last connection has ended.
pub(crate) fn drain(hub: &Arc<Hub>, id: ListenerId) {
    let place = hub.proxy.change(|places| places.remove(&id));
    let listener = place.and_then(|place| place.listener);
    let hub = Arc::clone(hub);
    tokio::spawn(async move {
        if let Some(listener) = listener {
            hub.idle.close_of(id);
            listener.drain().await;
            // What was on its way there when it began.
            hub.idle.close_of(id);
        }
        hub.proxy.access.flush(&hub.outbox).await;
        hub.proxy.tally.flush(&hub.outbox).await;
        // Nobody is left to tell when this fails.
        let _ = hub
            .outbox
            .send(fumehood_control::ToEmbedder::Drained(id))
            .await;
    });
}

/// Tells of requests now and then, for as long as the engine runs.
pub(crate) async fn tell(hub: &Hub) {
    let Proxy { access, tally, .. } = &hub.proxy;
    tokio::join!(access.tell(&hub.outbox), tally.tell(&hub.outbox));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    /// The socket comes from another process than the question.
    #[tokio::test]
    async fn a_question_waits_for_what_becomes_of_its_listener() {
        let (proxy, id) = (Proxy::new(), ListenerId(1));
        assert!(proxy.listener_to_be(id).await.is_none());
        proxy.change(|places| places.insert(id, Place::default()));
        let mut waiting = pin!(proxy.listener_to_be(id));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        proxy.change(|places| places.remove(&id));
        assert!(waiting.await.is_none());
    }
}
