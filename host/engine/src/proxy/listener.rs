//! One listening socket: accepts within bounds, until it is drained.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use fumehood_control::{Field, ListenerSetup, Serves};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::socket::{Accepted, Socket};
use super::{client, head, lock, names};
use crate::hub::Hub;

/// How long is waited after an accept that failed for want of something, such
/// as descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// A listener that is served.
pub(super) struct Listener {
    pub(super) setup: ListenerSetup,
    /// Its entry in `via`, of a request in HTTP/1.0 and in HTTP/1.1.
    via: Option<[Field; 2]>,
    /// One permit a connection.
    room: Arc<Semaphore>,
    /// Those of a Unix socket have none.
    by_address: Mutex<HashMap<Option<IpAddr>, u32>>,
    draining: watch::Sender<bool>,
    /// Counts how often it had other users.
    users: AtomicU64,
    /// The socket is closed on this side.
    closed: Notify,
}

/// A connection's place, given back when it ends.
pub(super) struct Seat {
    listener: Arc<Listener>,
    peer: Option<SocketAddr>,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    /// Begins to accept. `None` where the descriptor is no listening socket.
    pub(super) fn begin(
        hub: &Arc<Hub>,
        setup: ListenerSetup,
        socket: OwnedFd,
    ) -> Option<Arc<Listener>> {
        let socket = Socket::of(socket)?;
        let room = usize::try_from(setup.bounds.connections).unwrap_or(usize::MAX);
        let via = setup.via.as_deref();
        let listener = Arc::new(Listener {
            via: via.map(|name| [0, 1].map(|minor_version| head::via(minor_version, name))),
            setup,
            room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))),
            by_address: Mutex::default(),
            draining: watch::Sender::new(false),
            users: AtomicU64::new(0),
            closed: Notify::new(),
        });
        tokio::spawn(Arc::clone(&listener).run(Arc::clone(hub), socket));
        Some(listener)
    }

    /// What it adds to `via`, if it does.
    pub(super) fn via(&self, minor_version: u8) -> Option<&Field> {
        let [http_1_0, http_1_1] = self.via.as_ref()?;
        Some(match minor_version {
            0 => http_1_0,
            _ => http_1_1,
        })
    }

    /// Becomes true when the listener is to end.
    pub(super) fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// It has other users from now on.
    pub(super) fn ask_anew(&self) {
        self.users.fetch_add(1, Ordering::AcqRel);
    }

    /// Which users it has. Who was admitted by others is not admitted.
    pub(super) fn users(&self) -> u64 {
        self.users.load(Ordering::Acquire)
    }

    /// It is to end.
    pub(super) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Accepts what waits and no more, and waits until all connections have ended.
    pub(super) async fn drain(&self) {
        self.draining.send_replace(true);
        self.closed.notified().await;
        let all = self.setup.bounds.connections;
        // It is never closed; were it, no connection would be left.
        let _all = self.room.acquire_many(all).await;
    }

    async fn run(self: Arc<Self>, hub: Arc<Hub>, socket: Socket) {
        let mut draining = self.draining();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = draining.wait_for(|it| *it) => break,
                accepted = self.accept(&socket) => accepted,
            };
            match accepted {
                Ok((accepted, permit)) => self.seat(&hub, accepted, permit),
                Err(error) if is_of_one(&error) => {}
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        while let Some(accepted) = at_once(&socket).await {
            if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
                self.seat(&hub, accepted, permit);
            }
        }
        drop(socket);
        self.closed.notify_one();
    }

    /// A connection, once there is room for it: more wait in the kernel.
    async fn accept(&self, socket: &Socket) -> std::io::Result<(Accepted, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.room).acquire_owned().await;
        let permit = permit.map_err(|_| std::io::ErrorKind::Other)?;
        Ok((socket.accept().await?, permit))
    }

    /// Serves a connection, unless its address has as many as it may.
    fn seat(self: &Arc<Self>, hub: &Arc<Hub>, it: Accepted, permit: OwnedSemaphorePermit) {
        let Accepted { stream, peer } = it;
        {
            let mut by_address = lock(&self.by_address);
            let count = by_address.entry(key(peer)).or_default();
            if *count >= self.setup.bounds.connections_per_address {
                return;
            }
            *count += 1;
        }
        let seat = Seat {
            listener: Arc::clone(self),
            peer,
            _permit: permit,
        };
        let hub = Arc::clone(hub);
        match self.setup.serves {
            Serves::Requests => tokio::spawn(client::serve(hub, seat, stream)),
            Serves::Names => tokio::spawn(names::serve(hub, seat, stream)),
        };
    }
}

impl Seat {
    pub(super) fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }

    /// Where the client is; nowhere on a Unix socket.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut by_address = lock(&self.listener.by_address);
        let key = key(self.peer);
        if let Some(count) = by_address.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&key);
            }
        }
    }
}

/// What connections are counted by.
fn key(peer: Option<SocketAddr>) -> Option<IpAddr> {
    peer.map(|it| it.ip().to_canonical())
}

/// A connection that waits already.
async fn at_once(socket: &Socket) -> Option<Accepted> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match socket.poll_accept(cx) {
            Poll::Ready(Ok(accepted)) => Some(accepted),
            Poll::Ready(Err(_)) | Poll::Pending => None,
        })
    })
    .await
}

/// The error is of the connection that was about to be accepted.
fn is_of_one(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::Interrupted
    )
}
