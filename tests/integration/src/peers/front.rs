//! TLS in front of a proxy that speaks none: what it carries is kept, for
//! tests that ask what was inside.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use rustls::{ServerConfig, ServerConnection};

/// Loopback always has a free port.
const LISTENS: &str = "a free port on loopback";

/// A port of `127.0.0.1` where TLS ends, and what was inside goes on to another
/// address. No more is accepted after its drop.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    behind: SocketAddr,
    config: Arc<ServerConfig>,
    stopping: AtomicBool,
    heard: Mutex<Vec<u8>>,
}

impl TlsFront {
    /// Takes connections for whoever is `behind`.
    ///
    /// # Panics
    /// If there is no port to listen on.
    #[must_use]
    pub fn start(config: Arc<ServerConfig>, behind: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect(LISTENS);
        let address = listener.local_addr().expect(LISTENS);
        let shared = Arc::new(Shared {
            behind,
            config,
            stopping: AtomicBool::new(false),
            heard: Mutex::default(),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if theirs.stopping.load(Ordering::Acquire) {
                    break;
                }
                let shared = Arc::clone(&theirs);
                // A client that gives up is what some tests are about. It ends
                // with either of its sides.
                thread::spawn(move || shared.carry(socket));
            }
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    /// `https://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// What clients said inside their TLS, all together.
    #[must_use]
    pub fn heard(&self) -> Vec<u8> {
        self.shared.lock().clone()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _woken = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed already.
            let _joined = thread.join();
        }
    }
}

impl Shared {
    fn carry(&self, mut client: TcpStream) -> io::Result<()> {
        let mut server = TcpStream::connect(self.behind)?;
        let session = ServerConnection::new(self.config.clone());
        let mut session = session.map_err(io::Error::other)?;
        let mut buffer = [0; 16 * 1024];
        loop {
            while session.wants_write() {
                session.write_tls(&mut client)?;
            }
            let (client_speaks, server_speaks) = wait_for(&client, &server)?;
            if client_speaks {
                if session.read_tls(&mut client)? == 0 {
                    return Ok(());
                }
                if let Err(error) = session.process_new_packets() {
                    // The alert that says so.
                    session.write_tls(&mut client)?;
                    return Err(io::Error::other(error));
                }
                self.pass_on(&mut session, &mut server)?;
            }
            if server_speaks {
                let length = server.read(&mut buffer)?;
                if length == 0 {
                    session.send_close_notify();
                    session.write_tls(&mut client)?;
                    return Ok(());
                }
                session.writer().write_all(&buffer[..length])?;
            }
        }
    }

    /// All that has been opened.
    fn pass_on(&self, session: &mut ServerConnection, server: &mut TcpStream) -> io::Result<()> {
        let mut opened = Vec::new();
        match session.reader().read_to_end(&mut opened) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            // What was read up to there is what there is.
            _ => {}
        }
        self.lock().extend_from_slice(&opened);
        server.write_all(&opened)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until one of them has something to say, or has ended.
fn wait_for(client: &TcpStream, server: &TcpStream) -> io::Result<(bool, bool)> {
    let mut both = [
        PollFd::new(client, PollFlags::IN),
        PollFd::new(server, PollFlags::IN),
    ];
    poll(&mut both, None)?;
    let [client, server] = both.map(|it| !it.revents().is_empty());
    Ok((client, server))
}
