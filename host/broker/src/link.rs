//! One engine's channel and the dials it asked for.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use fumehood_control::{Attempt, DialFailure, DialReply, DialRequest, GrantId, ListenerId};
use fumehood_policy::{Host, Policy, Transport};
use fumehood_sandbox::{AsyncChannel, Channel, ChannelError};
use rustix::io::Errno;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::associate::Association;
use crate::connect::Connect;
use crate::dial::{Connected, Dialler, MAX_DEADLINE};
use crate::grants::Leave;
use crate::resolve::Resolve;
use crate::servers::Source;
use crate::sockets::{LookupLeave, Use};

/// Most dials under way at once: as many as the engine has connections, 512.
/// One more is answered with `Busy`.
pub const MAX_DIALS: usize = 512;

/// Most replies not yet sent, beside those of dials. When an engine does not
/// read them, its requests are not read either.
pub const MAX_REPLIES: usize = 64;

type EngineChannel = AsyncChannel<DialReply, DialRequest>;

/// An engine. Dropping it closes its channel and ends its dials.
#[derive(Debug)]
pub(crate) struct Link {
    channel: Arc<EngineChannel>,
    /// By the engine's number for them.
    dials: HashMap<u64, Dial>,
    /// Dials and replies; each ends when its reply is sent.
    tasks: JoinSet<Option<u64>>,
}

#[derive(Debug)]
struct Dial {
    grant: GrantId,
    stop: oneshot::Sender<Stop>,
}

/// Why a dial is given up.
#[derive(Debug)]
enum Stop {
    /// The engine wants no reply.
    Cancelled,
    /// The leave was taken back.
    Revoked,
}

impl Link {
    /// Takes an engine's channel over.
    pub(crate) fn new(fd: OwnedFd) -> Result<Self, ChannelError> {
        let channel = Channel::from_fd(fd)?.into_async()?;
        Ok(Self {
            channel: Arc::new(channel),
            dials: HashMap::new(),
            tasks: JoinSet::new(),
        })
    }

    /// Waits for a request, and clears up after dials meanwhile. Dials that are
    /// done with come first, so that their places are free. Safe to cancel.
    pub(crate) async fn request(&mut self) -> Result<DialRequest, ChannelError> {
        loop {
            // With too many replies unsent, only their end is waited for.
            let has_room = self.tasks.len() < MAX_DIALS + MAX_REPLIES;
            tokio::select! {
                biased;
                Some(done) = self.tasks.join_next() => {
                    if let Ok(Some(id)) = done {
                        self.dials.remove(&id);
                    }
                }
                received = self.channel.recv(), if has_room => {
                    let (request, _no_descriptors) = received?;
                    return Ok(request);
                }
            }
        }
    }

    /// Whether a dial of this number is under way.
    pub(crate) fn is_dialling(&self, id: u64) -> bool {
        self.dials.contains_key(&id)
    }

    /// Whether there is no place for another dial.
    pub(crate) fn is_full(&self) -> bool {
        self.dials.len() >= MAX_DIALS
    }

    /// Starts a dial; its reply follows when it ends.
    pub(crate) fn start<R: Resolve, C: Connect>(
        &mut self,
        request: Start,
        dialler: Arc<Dialler<R, C>>,
        policy: Arc<Policy>,
    ) {
        let Start {
            id,
            grant,
            leave,
            source,
            deadline_ms,
        } = request;
        let deadline = deadline(deadline_ms);
        self.begin(id, grant, async move {
            connected(id, dialler.dial(&policy, &leave, source, deadline).await)
        });
    }

    /// Connects a driver's socket.
    pub(crate) fn connect<R: Resolve, C: Connect>(
        &mut self,
        request: StartSocket<SocketAddr>,
        (transport, leave): (Transport, Option<Use>),
        dialler: Arc<Dialler<R, C>>,
    ) {
        let StartSocket {
            id,
            grant,
            to,
            deadline_ms,
        } = request;
        let deadline = deadline(deadline_ms);
        self.begin(id, grant, async move {
            let outcome = dialler.connect(to, transport, deadline).await;
            if let (Ok(_), Some(leave)) = (&outcome, leave) {
                leave.spend();
            }
            connected(id, outcome)
        });
    }

    /// Receives the datagrams of a listener's client.
    pub(crate) fn associate(&mut self, request: StartSocket<(IpAddr, SocketAddr)>) {
        let StartSocket {
            id,
            grant,
            to: (at, client),
            deadline_ms,
        } = request;
        let deadline = deadline(deadline_ms);
        let channel = Arc::clone(&self.channel);
        self.begin(id, grant, async move {
            let failed = |errno: Errno| {
                DialFailure::Connect(vec![Attempt {
                    address: client,
                    errno: Some(errno.raw_os_error()),
                }])
            };
            let receiving = async {
                let association = Association::bind(at, client).await.map_err(failed)?;
                let at = association.address().map_err(failed)?;
                reply(&channel, (DialReply::Receiving { id, at }, None)).await;
                association.connected().await.map_err(failed)
            };
            let late = || Err(DialFailure::Timeout { resolving: false });
            let received = timeout_at(deadline, receiving).await;
            let received = received.unwrap_or_else(|_| late());
            connected(
                id,
                received.map(|(peer, socket)| Connected::at_once(socket, peer)),
            )
        });
    }

    /// Looks a driver's host up.
    pub(crate) fn look_up<R: Resolve, C: Connect>(
        &mut self,
        request: StartSocket<(Host, Source)>,
        leave: LookupLeave,
        dialler: Arc<Dialler<R, C>>,
        policy: Arc<Policy>,
    ) {
        let StartSocket {
            id,
            grant,
            to: (host, source),
            deadline_ms,
        } = request;
        let deadline = deadline(deadline_ms);
        self.begin(id, grant, async move {
            let LookupLeave {
                targets,
                terms,
                known,
            } = leave;
            let places = (&targets[..], &terms);
            match dialler
                .look_up(&policy, &host, places, source, deadline)
                .await
            {
                Ok(addresses) => {
                    known.learn(&host, &addresses);
                    (DialReply::Addresses { id, addresses }, None)
                }
                Err(failure) => (DialReply::Failed { id, failure }, None),
            }
        });
    }

    /// Starts a piece of work whose outcome is one reply.
    fn begin(
        &mut self,
        id: u64,
        grant: GrantId,
        work: impl Future<Output = Reply> + Send + 'static,
    ) {
        let (stop, stopped) = oneshot::channel();
        self.dials.insert(id, Dial { grant, stop });
        let channel = Arc::clone(&self.channel);
        self.tasks.spawn(async move {
            let answer = tokio::select! {
                biased;
                Ok(stop) = stopped => match stop {
                    Stop::Cancelled => return Some(id),
                    Stop::Revoked => connected(id, Err(DialFailure::NoGrant)),
                },
                answer = work => answer,
            };
            reply(&channel, answer).await;
            Some(id)
        });
    }

    /// Passes a duplicate of a listening socket.
    pub(crate) fn pass(&mut self, listener: ListenerId, socket: Arc<OwnedFd>) {
        let channel = Arc::clone(&self.channel);
        self.tasks.spawn(async move {
            let message = DialReply::Listener { listener };
            // An engine that is gone is noticed elsewhere.
            let _gone = channel.send(&message, &[socket.as_fd()]).await;
            None
        });
    }

    /// Answers at once that a dial will not be.
    pub(crate) fn refuse(&mut self, id: u64, failure: DialFailure) {
        let channel = Arc::clone(&self.channel);
        self.tasks.spawn(async move {
            reply(&channel, connected(id, Err(failure))).await;
            None
        });
    }

    /// Gives up on a dial, without a reply if it comes in time.
    pub(crate) fn cancel(&mut self, id: u64) {
        if let Some(dial) = self.dials.remove(&id) {
            // It may have ended this moment; then its reply is on the way.
            let _ = dial.stop.send(Stop::Cancelled);
        }
    }

    /// Gives up on the dials of a grant that was taken back.
    pub(crate) fn revoke(&mut self, grant: GrantId) {
        let of_grant = self.dials.extract_if(|_, dial| dial.grant == grant);
        for (_, dial) in of_grant {
            let _ = dial.stop.send(Stop::Revoked);
        }
    }
}

/// A dial that has leave to start.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) id: u64,
    pub(crate) grant: GrantId,
    pub(crate) leave: Leave,
    pub(crate) source: Source,
    pub(crate) deadline_ms: u32,
}

/// A driver's request, or an association's, that has leave to start.
#[derive(Debug)]
pub(crate) struct StartSocket<T> {
    pub(crate) id: u64,
    pub(crate) grant: GrantId,
    pub(crate) to: T,
    pub(crate) deadline_ms: u32,
}

/// A message and the descriptor that goes with it.
type Reply = (DialReply, Option<OwnedFd>);

fn deadline(milliseconds: u32) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds.into()).min(MAX_DEADLINE)
}

/// What is said of a dial.
fn connected(id: u64, outcome: Result<Connected, DialFailure>) -> Reply {
    match outcome {
        Ok(it) => {
            let reply = DialReply::Connected {
                id,
                peer: it.peer,
                refused: it.refused,
                attempts: it.attempts,
                resolve_us: microseconds(it.resolving),
                connect_us: microseconds(it.connecting),
            };
            (reply, Some(it.socket))
        }
        Err(failure) => (DialReply::Failed { id, failure }, None),
    }
}

/// Sends the one reply. An engine that is gone is noticed by whoever waits for
/// its requests.
async fn reply(channel: &EngineChannel, (reply, socket): Reply) {
    let sockets: Vec<BorrowedFd<'_>> = socket.iter().map(AsFd::as_fd).collect();
    let _ = channel.send(&reply, &sockets).await;
}

fn microseconds(it: Duration) -> u64 {
    u64::try_from(it.as_micros()).unwrap_or(u64::MAX)
}
