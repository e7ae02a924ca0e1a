//! Asks the broker for connections.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fumehood_control::{Attempt, Cause, DialFailure, DialReply, DialRequest, GrantId};
use fumehood_sandbox::AsyncChannel;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// Added to a dial's deadline before the broker itself is given up on, so
/// that its own, more precise, answer wins.
const BROKER_GRACE: Duration = Duration::from_millis(500);

/// A connection as the broker made it.
#[derive(Debug)]
pub(crate) struct Dialled {
    pub stream: TcpStream,
    pub peer: SocketAddr,
    pub refused: Vec<SocketAddr>,
    pub attempts: Vec<Attempt>,
    pub resolve_us: u64,
    pub connect_us: u64,
}

type Answer = Result<Dialled, Cause>;
type Waiting = Mutex<HashMap<u64, oneshot::Sender<Answer>>>;

/// The engine's end of the channel to the broker.
#[derive(Debug)]
pub(crate) struct Dialer {
    channel: AsyncChannel<DialRequest, DialReply>,
    waiting: Waiting,
    next: AtomicU64,
}

impl Dialer {
    pub(crate) fn new(channel: AsyncChannel<DialRequest, DialReply>) -> Arc<Dialer> {
        Arc::new(Dialer {
            channel,
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// Hands replies to those who wait, until the broker is gone.
    pub(crate) async fn route_replies(&self) {
        while let Ok((reply, mut fds)) = self.channel.recv().await {
            let (id, answer) = read_reply(reply, fds.pop());
            if let Some(waiter) = self.lock().remove(&id) {
                // A waiter that gave up drops its end, and the socket with it.
                let _ = waiter.send(answer);
            }
        }
        self.lock().clear();
    }

    /// A connection to what the grant names.
    ///
    /// # Errors
    /// [`Cause::Dial`] with the broker's reason, or [`Cause::EngineDied`] when
    /// the broker is gone.
    pub(crate) async fn dial(&self, grant: GrantId, deadline: Duration) -> Answer {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(id, sender);
        let mut pending = Pending {
            dialer: self,
            id,
            answered: false,
        };
        let deadline_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
        self.channel
            .send(
                &DialRequest::Dial {
                    id,
                    grant,
                    deadline_ms,
                },
                &[],
            )
            .await
            .map_err(|_| Cause::EngineDied)?;
        let answer = tokio::time::timeout(deadline + BROKER_GRACE, receiver).await;
        pending.answered = matches!(answer, Ok(Ok(_)));
        match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Cause::EngineDied),
            Err(_) => Err(Cause::Dial(DialFailure::Timeout { resolving: true })),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A dial under way; dropping it before the answer forgets the waiter. The
/// broker's own deadline ends the attempt there.
struct Pending<'a> {
    dialer: &'a Dialer,
    id: u64,
    answered: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.dialer.lock().remove(&self.id);
        }
    }
}

fn read_reply(reply: DialReply, fd: Option<OwnedFd>) -> (u64, Answer) {
    match (reply, fd) {
        (DialReply::Failed { id, failure }, _) => (id, Err(Cause::Dial(failure))),
        (
            DialReply::Connected {
                id,
                peer,
                refused,
                attempts,
                resolve_us,
                connect_us,
            },
            Some(fd),
        ) => {
            let stream = TcpStream::from_std(std::net::TcpStream::from(fd));
            let answer = stream
                .map(|stream| Dialled {
                    stream,
                    peer,
                    refused,
                    attempts,
                    resolve_us,
                    connect_us,
                })
                .map_err(|error| Cause::Socket {
                    errno: error.raw_os_error().unwrap_or(0),
                });
            (id, answer)
        }
        // The codec holds the number of descriptors to the type's.
        (DialReply::Connected { id, .. }, None) => (id, Err(Cause::EngineDied)),
    }
}
