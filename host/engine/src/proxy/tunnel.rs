//! Bytes both ways between two connections. No guest, no buffer while it idles,
//! unless one is to a proxy that is spoken to in TLS.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::patience::Patience;
use crate::transport::Transport;

/// Bytes read at a time: large enough that the system calls of a bulk transfer
/// cost little, small enough for a core's own cache. One buffer a thread.
const BUFFER_BYTES: usize = 128 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER_BYTES]);
}

/// One end.
struct End {
    socket: Transport,
    /// Read from the other end and not written here yet, from `written` on.
    pending: Vec<u8>,
    written: usize,
    /// Nothing more will be written here, and it has been told so.
    shut: bool,
    /// Bytes written here.
    moved: u64,
}

/// A tunnel that stands.
pub(super) struct Tunnel {
    client: End,
    server: End,
    idle: Duration,
    last_moved: Instant,
    /// For the guest of a connection that lies in TLS.
    _room: Option<OwnedSemaphorePermit>,
}

impl Tunnel {
    /// Between two connections, each with what was read from it already.
    pub(super) fn new(
        (client, from_client): (Transport, Vec<u8>),
        (server, from_server): (Transport, Vec<u8>),
        idle_ms: u32,
    ) -> Tunnel {
        let end = |socket, pending| End {
            socket,
            pending,
            written: 0,
            shut: false,
            moved: 0,
        };
        Tunnel {
            client: end(client, from_server),
            server: end(server, from_client),
            idle: Duration::from_millis(idle_ms.into()),
            last_moved: Instant::now(),
            _room: None,
        }
    }

    /// Holds room in the instance pool for as long as it stands, where a guest has
    /// a part in it.
    pub(super) fn with_room(mut self, room: Option<OwnedSemaphorePermit>) -> Tunnel {
        self._room = room.filter(|_| self.is_secured());
        self
    }

    /// Bytes from the client and to it.
    pub(super) fn moved(&self) -> (u64, u64) {
        (self.server.moved, self.client.moved)
    }

    /// Whether a guest has a part in it.
    pub(super) fn is_secured(&self) -> bool {
        matches!(self.server.socket, Transport::Tls(_))
    }

    /// Runs until both sides have ended, one of them breaks, or neither says
    /// anything for too long.
    pub(super) async fn run(&mut self) {
        let mut patience = Patience::new();
        std::future::poll_fn(|cx| self.poll(cx, &mut patience)).await;
        self.server.socket.farewell();
    }

    fn poll(&mut self, cx: &mut Context<'_>, patience: &mut Patience) -> Poll<()> {
        let before = self.moved();
        let up = poll_move(cx, &mut self.client, &mut self.server);
        let down = poll_move(cx, &mut self.server, &mut self.client);
        match (up, down) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => return Poll::Ready(()),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(()),
            _ => {}
        }
        if before != self.moved() {
            self.last_moved = Instant::now();
        }
        patience.poll(cx, self.last_moved + self.idle)
    }
}

/// Moves all there is; ready at the end of `from`.
fn poll_move(cx: &mut Context<'_>, from: &mut End, to: &mut End) -> Poll<io::Result<()>> {
    if to.shut {
        return Poll::Ready(Ok(()));
    }
    loop {
        ready!(to.poll_pending(cx))?;
        let ended = BUFFER.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            if Pin::new(&mut from.socket)
                .poll_read(cx, &mut read)?
                .is_pending()
            {
                // What a proxy is sent in TLS is not to wait for more.
                let _later = to.socket.poll_flush(cx)?;
                return Poll::Pending;
            }
            let bytes = read.filled();
            if bytes.is_empty() {
                return Poll::Ready(io::Result::Ok(true));
            }
            let written = match to.socket.poll_write(cx, bytes) {
                Poll::Ready(written) => written?,
                Poll::Pending => 0,
            };
            to.moved += written as u64;
            to.pending.extend_from_slice(&bytes[written..]);
            Poll::Ready(Ok(false))
        });
        if ready!(ended)? {
            ready!(to.socket.poll_end(cx))?;
            to.shut = true;
            return Poll::Ready(Ok(()));
        }
    }
}

impl End {
    /// Writes what was read before.
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.pending.len() {
            let rest = &self.pending[self.written..];
            match ready!(self.socket.poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => {
                    self.written += count;
                    self.moved += count as u64;
                }
            }
        }
        if self.written > 0 {
            // Gives the memory back.
            self.pending = Vec::new();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }
}
