//! Asks the broker for connections.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fumehood_control::{
    Attempt, Cause, DialFailure, DialReply, DialRequest, FirstHop, GrantId, ListenerId,
};
use fumehood_policy::{Host, Method, Target, Transport};
use fumehood_sandbox::AsyncChannel;
use std::net::{IpAddr, SocketAddr};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
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
/// A message, and the descriptor that came with it.
type Reply = (DialReply, Option<OwnedFd>);
type Waiting = Mutex<HashMap<u64, Waiter>>;

/// Who waits for a reply.
#[derive(Debug)]
struct Waiter {
    answer: oneshot::Sender<Reply>,
    /// Told first where a client's datagrams are received.
    receiving: Option<oneshot::Sender<SocketAddr>>,
}

/// For whose datagrams a socket is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correspondent {
    pub grant: GrantId,
    pub listener: ListenerId,
    /// The address of the listener's that it came to.
    pub at: IpAddr,
    /// Where it is; port 0 is not known yet.
    pub client: SocketAddr,
}

/// The engine's end of the channel to the broker.
#[derive(Debug)]
pub(crate) struct Dialer {
    channel: Arc<AsyncChannel<DialRequest, DialReply>>,
    waiting: Waiting,
    next: AtomicU64,
}

impl Dialer {
    pub(crate) fn new(channel: AsyncChannel<DialRequest, DialReply>) -> Arc<Dialer> {
        Arc::new(Dialer {
            channel: Arc::new(channel),
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// Hands replies to those who wait, until the broker is gone.
    /// Listening sockets, which come unasked, are for `listen`.
    pub(crate) async fn route_replies(&self, listen: impl Fn(ListenerId, OwnedFd)) {
        while let Ok((reply, mut fds)) = self.channel.recv().await {
            let id = match &reply {
                DialReply::Listener { listener } => {
                    fds.pop().into_iter().for_each(|fd| listen(*listener, fd));
                    continue;
                }
                DialReply::Receiving { id, at } => {
                    let mut waiting = self.lock();
                    let waiter = waiting.get_mut(id);
                    if let Some(told) = waiter.and_then(|it| it.receiving.take()) {
                        // One that gave up drops its end.
                        let _ = told.send(*at);
                    }
                    continue;
                }
                DialReply::Connected { id, .. }
                | DialReply::Addresses { id, .. }
                | DialReply::Failed { id, .. } => *id,
            };
            if let Some(waiter) = self.lock().remove(&id) {
                // A waiter that gave up drops its end, and the socket with it.
                let _ = waiter.answer.send((reply, fds.pop()));
            }
        }
        self.lock().clear();
    }

    /// A connection to what the grant names; `found` is what the engine's own
    /// resolver says of its name.
    ///
    /// # Errors
    /// [`Cause::Dial`] with the broker's reason, or [`Cause::EngineDied`] when
    /// the broker is gone.
    pub(crate) async fn dial(
        &self,
        grant: GrantId,
        deadline: Duration,
        found: Option<Vec<IpAddr>>,
    ) -> Answer {
        let (reply, socket) = self
            .ask(deadline, |id, deadline_ms| DialRequest::Dial {
                id,
                grant,
                deadline_ms,
                found,
            })
            .await?;
        read_dialled(reply, socket)
    }

    /// A connection to what a listener's client asked for, or to the proxy that
    /// is first on the way there.
    ///
    /// # Errors
    /// As for [`Dialer::dial`].
    pub(crate) async fn dial_for(
        &self,
        grant: GrantId,
        target: &Target,
        method: Option<Method>,
        deadline: Duration,
        (proxy, found): (Option<FirstHop>, Option<Vec<IpAddr>>),
    ) -> Answer {
        let (reply, socket) = self
            .ask(deadline, |id, deadline_ms| DialRequest::DialFor {
                id,
                grant,
                target: target.clone(),
                method,
                found,
                deadline_ms,
                proxy,
            })
            .await?;
        read_dialled(reply, socket)
    }

    /// A UDP socket to what a listener's client sends a datagram to, and its address.
    ///
    /// # Errors
    /// As for [`Dialer::dial`].
    pub(crate) async fn datagrams_for(
        &self,
        grant: GrantId,
        target: &Target,
        deadline: Duration,
        found: Option<Vec<IpAddr>>,
    ) -> Result<(OwnedFd, SocketAddr), Cause> {
        let answer = self
            .ask(deadline, |id, deadline_ms| DialRequest::DialFor {
                id,
                grant,
                target: target.clone(),
                method: None,
                found,
                deadline_ms,
                proxy: None,
            })
            .await?;
        read_socket(answer)
    }

    /// A UDP socket to a listener's client, once that has sent a first datagram,
    /// and where it sent it from. `receiving` is told before to where.
    ///
    /// # Errors
    /// As for [`Dialer::dial`].
    pub(crate) async fn associate(
        &self,
        of: Correspondent,
        deadline: Duration,
        receiving: oneshot::Sender<SocketAddr>,
    ) -> Result<(OwnedFd, SocketAddr), Cause> {
        let request = |id, deadline_ms| DialRequest::Associate {
            id,
            grant: of.grant,
            listener: of.listener,
            at: of.at,
            client: of.client,
            deadline_ms,
        };
        let answer = self.ask_and_hear(deadline, Some(receiving), request);
        read_socket(answer.await?)
    }

    /// The addresses of what a listener's client asked for; at least one.
    ///
    /// # Errors
    /// As for [`Dialer::dial`].
    pub(crate) async fn look_up_for(
        &self,
        grant: GrantId,
        target: &Target,
        method: Option<Method>,
        deadline: Duration,
        found: Option<Vec<IpAddr>>,
    ) -> Result<Vec<IpAddr>, Cause> {
        let answer = self
            .ask(deadline, |id, deadline_ms| DialRequest::LookupFor {
                id,
                grant,
                target: target.clone(),
                method,
                found,
                deadline_ms,
            })
            .await?;
        read_addresses(answer)
    }

    /// A driver's socket to an address that its grant covers, and how long it
    /// took to connect, in microseconds.
    ///
    /// # Errors
    /// As for [`Dialer::dial`].
    pub(crate) async fn connect(
        &self,
        grant: GrantId,
        address: SocketAddr,
        transport: Transport,
        deadline: Duration,
    ) -> Result<(OwnedFd, u64), Cause> {
        let answer = self
            .ask(deadline, |id, deadline_ms| DialRequest::Connect {
                id,
                grant,
                address,
                transport,
                deadline_ms,
            })
            .await?;
        match answer {
            (DialReply::Connected { connect_us, .. }, Some(socket)) => Ok((socket, connect_us)),
            (DialReply::Failed { failure, .. }, _) => Err(Cause::Dial(failure)),
            _ => Err(Cause::EngineDied),
        }
    }

    /// The addresses of a name that a driver's grant covers; at least one.
    ///
    /// # Errors
    /// As for [`Dialer::dial`].
    pub(crate) async fn look_up(
        &self,
        grant: GrantId,
        host: Host,
        deadline: Duration,
        found: Option<Vec<IpAddr>>,
    ) -> Result<Vec<IpAddr>, Cause> {
        let answer = self
            .ask(deadline, |id, deadline_ms| DialRequest::Lookup {
                id,
                grant,
                host,
                deadline_ms,
                found,
            })
            .await?;
        read_addresses(answer)
    }

    async fn ask(
        &self,
        deadline: Duration,
        request: impl FnOnce(u64, u32) -> DialRequest,
    ) -> Result<Reply, Cause> {
        self.ask_and_hear(deadline, None, request).await
    }

    async fn ask_and_hear(
        &self,
        deadline: Duration,
        receiving: Option<oneshot::Sender<SocketAddr>>,
        request: impl FnOnce(u64, u32) -> DialRequest,
    ) -> Result<Reply, Cause> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, receiver) = oneshot::channel();
        self.lock().insert(id, Waiter { answer, receiving });
        let mut pending = Pending {
            dialer: self,
            id,
            answered: false,
        };
        let deadline_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
        self.channel
            .send(&request(id, deadline_ms), &[])
            .await
            .map_err(|_| Cause::EngineDied)?;
        let answer = tokio::time::timeout(deadline + BROKER_GRACE, receiver).await;
        pending.answered = matches!(answer, Ok(Ok(_)));
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Cause::EngineDied),
            Err(_) => Err(Cause::Dial(DialFailure::Timeout { resolving: true })),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Waiter>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A dial under way. Dropped before the answer, it is forgotten here and
/// cancelled there, where others wait for its place.
struct Pending<'a> {
    dialer: &'a Dialer,
    id: u64,
    answered: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        self.dialer.lock().remove(&self.id);
        // Without a runtime the engine is ending, and its dials with it.
        if let Ok(runtime) = Handle::try_current() {
            let (channel, id) = (Arc::clone(&self.dialer.channel), self.id);
            runtime.spawn(async move {
                // A broker that is gone dials no more.
                let _gone = channel.send(&DialRequest::Cancel { id }, &[]).await;
            });
        }
    }
}

fn read_socket(answer: Reply) -> Result<(OwnedFd, SocketAddr), Cause> {
    match answer {
        (DialReply::Connected { peer, .. }, Some(socket)) => Ok((socket, peer)),
        (DialReply::Failed { failure, .. }, _) => Err(Cause::Dial(failure)),
        _ => Err(Cause::EngineDied),
    }
}

fn read_addresses((reply, _none): Reply) -> Result<Vec<IpAddr>, Cause> {
    match reply {
        DialReply::Addresses { addresses, .. } => Ok(addresses),
        DialReply::Failed { failure, .. } => Err(Cause::Dial(failure)),
        _ => Err(Cause::EngineDied),
    }
}

fn read_dialled(reply: DialReply, fd: Option<OwnedFd>) -> Answer {
    match (reply, fd) {
        (DialReply::Failed { failure, .. }, _) => Err(Cause::Dial(failure)),
        (
            DialReply::Connected {
                id: _,
                peer,
                refused,
                attempts,
                resolve_us,
                connect_us,
            },
            Some(fd),
        ) => TcpStream::from_std(std::net::TcpStream::from(fd))
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
            }),
        // The codec holds the number of descriptors to the type's; and nobody
        // was asked for addresses.
        (
            DialReply::Connected { .. }
            | DialReply::Addresses { .. }
            | DialReply::Listener { .. }
            | DialReply::Receiving { .. },
            _,
        ) => Err(Cause::EngineDied),
    }
}

#[cfg(test)]
mod tests {
    use fumehood_sandbox::Channel;

    use super::*;

    #[tokio::test]
    async fn a_dial_that_nobody_waits_for_is_cancelled() {
        let (ours, brokers) = Channel::pair().expect("a pair");
        let dialer = Dialer::new(ours.into_async().expect("a channel"));
        let broker: AsyncChannel<DialReply, DialRequest> = brokers.into_async().expect("a channel");
        let dial = dialer.dial(GrantId(7), Duration::from_secs(60), None);
        let asked = tokio::select! {
            _answered = dial => None,
            asked = broker.recv() => asked.ok(),
        };
        let Some((DialRequest::Dial { id, .. }, _)) = asked else {
            panic!("asked something else: {asked:?}");
        };
        let (then, _) = broker.recv().await.expect("a message");
        assert_eq!(then, DialRequest::Cancel { id });
    }
}
