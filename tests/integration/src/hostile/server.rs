//! Listeners that play scripts, and one that only counts.

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::watch;

use super::played::play;
use super::wire::Wire;
use super::{Request, Script};

/// Loopback always has a free port, and a test without a server has nothing to test.
const LISTENS: &str = "a free port on loopback";

/// Longest that a test waits for connections to come or to go.
const LIMIT: Duration = Duration::from_secs(30);

/// A running server on `127.0.0.1`. Ends, with all its threads, on drop.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    scripts: Vec<Script>,
    config: Option<Arc<ServerConfig>>,
    stopping: AtomicBool,
    kept: Mutex<Kept>,
    /// A connection came or ended.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Kept {
    /// One list for each connection, in the order they came.
    requests: Vec<Vec<Request>>,
    /// To end what is under way.
    sockets: Vec<Option<TcpStream>>,
}

impl Server {
    /// Plays the n-th script on the n-th connection, and the last one on all
    /// that follow.
    ///
    /// # Panics
    /// If there is no script, or no port to listen on.
    #[must_use]
    pub fn start(scripts: Vec<Script>) -> Self {
        Self::listen("http", scripts, None)
    }

    /// The same inside TLS.
    ///
    /// # Panics
    /// As [`Server::start`].
    #[must_use]
    pub fn start_tls(config: Arc<ServerConfig>, scripts: Vec<Script>) -> Self {
        Self::listen("https", scripts, Some(config))
    }

    /// Plays in the clear, and yet gives out `https` URLs: for bytes of TLS
    /// made by hand, and for HTTP where TLS should be.
    ///
    /// # Panics
    /// As [`Server::start`].
    #[must_use]
    pub fn start_raw_https(scripts: Vec<Script>) -> Self {
        Self::listen("https", scripts, None)
    }

    fn listen(
        scheme: &'static str,
        scripts: Vec<Script>,
        config: Option<Arc<ServerConfig>>,
    ) -> Self {
        assert!(!scripts.is_empty(), "a server needs a script");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect(LISTENS);
        let address = listener.local_addr().expect(LISTENS);
        let shared = Arc::new(Shared {
            scripts,
            config,
            stopping: AtomicBool::new(false),
            kept: Mutex::default(),
            changed: watch::Sender::new(()),
        });
        let theirs = shared.clone();
        let thread = thread::spawn(move || accept_all(&listener, &theirs));
        Self {
            address,
            scheme,
            shared,
            thread: Some(thread),
        }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A URL on it, by address; `path` begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// A URL on it under another name of this machine, such as `localhost`.
    #[must_use]
    pub fn url_at(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.port())
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().requests.len()
    }

    /// How many of them are still open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.lock().open()
    }

    /// Waits until a connection has come.
    ///
    /// # Panics
    /// If none has after half a minute.
    pub async fn wait_for_connection(&self) {
        let came = |kept: &Kept| !kept.requests.is_empty();
        assert!(self.shared.comes_to(came).await, "no connection came");
    }

    /// Waits until no connection is open.
    ///
    /// # Panics
    /// If one still is after half a minute.
    pub async fn wait_until_closed(&self) {
        let closed = |kept: &Kept| kept.open() == 0;
        assert!(self.shared.comes_to(closed).await, "one stays open");
    }

    /// The requests of every connection so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Vec<Request>> {
        self.shared.lock().requests.clone()
    }

    /// The one request that came.
    ///
    /// # Panics
    /// If there were none, or more.
    #[must_use]
    pub fn only_request(&self) -> Request {
        let mut all: Vec<Request> = self.requests().into_iter().flatten().collect();
        assert_eq!(all.len(), 1, "not one request: {all:?}");
        all.remove(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        for socket in self.shared.lock().sockets.iter().flatten() {
            // Its peer may have ended it already.
            let _ended = socket.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _woken = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed already.
            let _joined = thread.join();
        }
    }
}

impl Kept {
    fn open(&self) -> usize {
        self.sockets.iter().flatten().count()
    }
}

impl Shared {
    /// Whether it holds at last.
    async fn comes_to(&self, holds: impl Fn(&Kept) -> bool) -> bool {
        let mut changed = self.changed.subscribe();
        let waiting = changed.wait_for(|()| holds(&self.lock()));
        tokio::time::timeout(LIMIT, waiting).await.is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

fn accept_all(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    while let Ok((socket, _)) = listener.accept() {
        // Under the lock, so that a stop misses no socket.
        let mut kept = shared.lock();
        if shared.is_stopping() {
            break;
        }
        let number = kept.requests.len();
        let Ok(handle) = socket.try_clone() else {
            break;
        };
        kept.requests.push(Vec::new());
        kept.sockets.push(Some(handle));
        drop(kept);
        shared.changed.send_replace(());
        let shared = shared.clone();
        threads.push(thread::spawn(move || serve(socket, number, &shared)));
    }
    for thread in threads {
        // A panic in it has been printed already.
        let _joined = thread.join();
    }
}

fn serve(socket: TcpStream, number: usize, shared: &Shared) {
    let last = shared.scripts.len() - 1;
    let script = &shared.scripts[number.min(last)];
    let mut keep = |request| shared.lock().requests[number].push(request);
    let played = socket
        .set_nodelay(true)
        .and_then(|()| Wire::new(socket, shared.config.as_ref()))
        .and_then(|wire| play(wire, script, &mut keep));
    // The handle kept for the end would hold the connection open.
    shared.lock().sockets[number] = None;
    shared.changed.send_replace(());
    // What went wrong, if anything, is the peer's doing; the test sees it there.
    drop(played);
}

/// A listener that nobody may reach. It accepts nothing, and counts.
#[derive(Debug)]
pub struct Canary {
    listener: TcpListener,
}

impl Canary {
    /// Listens on `127.0.0.1`.
    ///
    /// # Panics
    /// If there is no port to listen on.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect(LISTENS);
        listener.set_nonblocking(true).expect(LISTENS);
        Self { listener }
    }

    /// Its port.
    ///
    /// # Panics
    /// Never: it is bound.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect(LISTENS).port()
    }

    /// Connections made since the last look, whether they still stand or not.
    #[must_use]
    pub fn connections(&self) -> usize {
        std::iter::from_fn(|| self.listener.accept().ok()).count()
    }

    /// Connects by itself, to show that silence means something.
    ///
    /// # Panics
    /// If it is deaf.
    pub fn assert_alive(&self) {
        let own = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port()));
        assert!(own.is_ok(), "the canary does not listen: {own:?}");
        assert_eq!(self.connections(), 1, "the canary does not count");
    }
}
