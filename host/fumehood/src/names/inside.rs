//! Names for a confined program: what it asks at an address of its own network.
//!
//! Streams are served by the engine, as a proxy's clients are. An engine cannot
//! send a datagram to whom it likes, so these go through here: unread, each to
//! the engine and its reply back to where it came from.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fumehood_control::{
    Admission, GrantId, ListenerBounds, ListenerId, ListenerSetup, MAX_QUESTION_BYTES,
    MAX_REPLY_DATAGRAM_BYTES, Serves, StandingGrant, ToEmbedder, ToEngine,
};
use fumehood_policy::ClientName;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ENGINES;
use crate::error::ChannelError;
use crate::{Engine, Proxy, ProxyAddress, ProxyError};

/// Streams alive at once. Programs ask by datagrams first; more wait to be accepted.
const STREAMS: u32 = 32;

/// Between two questions of a stream, in milliseconds (RFC 7766 section 6.2.3 has
/// seconds in mind).
const IDLE_MS: u32 = 10_000;

/// From a question's first byte to its last on a stream, and for the reply to be
/// taken, in milliseconds.
const MESSAGE_MS: u32 = 5_000;

/// Datagrams that wait for their reply. More wait in the socket, or are lost there
/// as datagrams are.
const MAX_WAITING: usize = 64;

/// How long a reply is waited for: longer than the engine waits for servers.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long is waited after a socket would not give a datagram.
const PAUSE: Duration = Duration::from_millis(50);

/// How names are served to a confined program.
#[derive(Clone, Debug)]
pub struct NameOptions {
    /// A TCP socket that listens, and one for datagrams: of [`crate::Entered::names`].
    pub sockets: [Arc<OwnedFd>; 2],
    /// What the policy's rules know the program by.
    pub client: Option<ClientName>,
    /// Tell of every question: [`Proxy::records`].
    pub records: bool,
}

impl Engine {
    /// Answers what programs ask at these sockets: A and AAAA records of names that
    /// the policy of that moment lets them connect to on some port, with those of
    /// their addresses that it lets them connect to. Other names are refused, and
    /// nobody outside learns of them. Other types of such names have no records.
    ///
    /// The engine's own resolver finds them ([`crate::Dns`]), whoever finds what is
    /// dialled.
    ///
    /// # Errors
    /// [`ProxyError`]
    pub async fn serve_names(&self, options: NameOptions) -> Result<Proxy, ProxyError> {
        let id = ListenerId(self.shared.number());
        let setup = ListenerSetup {
            id,
            serves: Serves::Names,
            admission: Admission::Anyone(StandingGrant {
                id: GrantId(self.shared.number()),
                client: options.client,
            }),
            via: None,
            deadlines: self.deadlines(),
            bounds: ListenerBounds {
                connections: STREAMS,
                connections_per_address: STREAMS,
                head_ms: MESSAGE_MS,
                keep_alive_ms: IDLE_MS,
                tunnel_idle_ms: 0,
            },
            records: options.records,
            datagrams: false,
        };
        let [streams, datagrams] = options.sockets;
        let datagrams = adopt(&datagrams).map_err(|source| ProxyError::Listen {
            address: "the socket that was given".to_owned(),
            source,
        })?;
        let address = ProxyAddress::Socket(streams);
        let mut served = self.listen(setup, address, None, None).await?;
        let relay = Relay {
            engine: self.clone(),
            listener: id,
            socket: datagrams,
        };
        let relaying = tokio::spawn(Arc::new(relay).run());
        served.keep_beside(relaying.abort_handle());
        Ok(served)
    }
}

fn adopt(socket: &OwnedFd) -> std::io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::from(socket.try_clone()?);
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Between a socket for datagrams and the engine.
struct Relay {
    engine: Engine,
    listener: ListenerId,
    socket: UdpSocket,
}

impl Relay {
    /// Never returns; its end ends all that it does.
    async fn run(self: Arc<Self>) {
        let mut waiting = JoinSet::new();
        // One byte more, to find what is too long.
        let mut buffer = vec![0; MAX_QUESTION_BYTES + 1];
        loop {
            while waiting.len() >= MAX_WAITING {
                // How it went is between the program and the engine.
                let _ended = waiting.join_next().await;
            }
            while waiting.try_join_next().is_some() {}
            match self.socket.recv_from(&mut buffer).await {
                Ok((length, from)) if length <= MAX_QUESTION_BYTES => {
                    let bytes = buffer[..length].to_vec();
                    waiting.spawn(Arc::clone(&self).answer(bytes, from));
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn answer(self: Arc<Self>, bytes: Vec<u8>, from: SocketAddr) {
        let reply = timeout(PATIENCE, self.ask(&bytes)).await;
        // Without one, programs ask again.
        if let Ok(Ok(Some(reply))) = reply
            && !reply.is_empty()
        {
            // Whoever asked may have gone.
            let _gone = self.socket.send_to(&reply, from).await;
        }
    }

    /// Programs wait for seconds before they ask again, so this does it for them
    /// where an engine dies. Nothing where they all do.
    async fn ask(&self, bytes: &[u8]) -> Result<Option<Vec<u8>>, ProxyError> {
        for _ in 1..ENGINES {
            if let Some(reply) = self.ask_once(bytes).await? {
                return Ok(Some(reply));
            }
        }
        self.ask_once(bytes).await
    }

    /// Nothing if the engine died under it.
    async fn ask_once(&self, bytes: &[u8]) -> Result<Option<Vec<u8>>, ProxyError> {
        let shared = &self.engine.shared;
        let running = shared.running().await?;
        let id = shared.number();
        let Some(waiting) = running.engine.replies.open(id) else {
            return Ok(None);
        };
        let question = ToEngine::Question {
            id,
            listener: self.listener,
            bytes: bytes.to_vec(),
        };
        if let Err(error) = running.engine.channel.send(&question, &[]).await {
            running.engine.life.note(&error);
            let error = ChannelError::from(error);
            return match error.is_closed() {
                true => Ok(None),
                false => Err(error.into()),
            };
        }
        Ok(waiting.reply().await)
    }
}

/// One engine's replies that are waited for.
#[derive(Debug)]
pub(crate) struct Replies {
    /// None once the engine is gone.
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Vec<u8>>>>>,
}

/// A question that waits. Dropped, nobody wants its reply any more.
struct Waiting {
    id: u64,
    replies: Arc<Replies>,
    reply: oneshot::Receiver<Vec<u8>>,
}

impl Waiting {
    async fn reply(mut self) -> Option<Vec<u8>> {
        (&mut self.reply).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(waiting) = self.replies.lock().as_mut() {
            waiting.remove(&self.id);
        }
    }
}

impl Default for Replies {
    fn default() -> Self {
        Replies {
            waiting: Mutex::new(Some(HashMap::new())),
        }
    }
}

impl Replies {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Vec<u8>>>>> {
        // It is consistent between any two statements that can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(self: &Arc<Self>, id: u64) -> Option<Waiting> {
        let (sender, reply) = oneshot::channel();
        self.lock().as_mut()?.insert(id, sender);
        Some(Waiting {
            id,
            replies: Arc::clone(self),
            reply,
        })
    }

    /// Whether a message is for this place.
    pub(crate) fn takes(message: &ToEmbedder) -> bool {
        matches!(message, ToEmbedder::Replied { .. })
    }

    /// Takes one that [`Replies::takes`]. One to a question that was given up is
    /// passed over.
    ///
    /// # Errors
    /// [`ChannelError`] when it is longer than it may be.
    pub(crate) fn take(&self, message: ToEmbedder) -> Result<(), ChannelError> {
        match message {
            ToEmbedder::Replied { id, bytes } if bytes.len() <= MAX_REPLY_DATAGRAM_BYTES => {
                let waiting = self.lock().as_mut().and_then(|all| all.remove(&id));
                if let Some(waiting) = waiting {
                    // Whoever asked may have given up.
                    let _unheard = waiting.send(bytes);
                }
                Ok(())
            }
            _ => Err(ChannelError::OutOfOrder),
        }
    }

    /// The engine is gone: nobody waits any longer.
    pub(crate) fn close(&self) {
        *self.lock() = None;
    }
}
