//! The one way out: what a guest's grant lets it ask the broker.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use fumehood_control::{Cause, DialFailure, GrantId, JourneyEvent, Outside};
use fumehood_policy::{Host, Lapse, Transport};

use super::bindings::wasi::sockets::network::ErrorCode;
use crate::allowance::Allowance;
use crate::dialer::Dialer;
use crate::dns::Names;

/// Most sockets a driver has at once, those under way among them. A transfer
/// takes one or two.
pub(super) const MAX_SOCKETS: usize = 64;

/// Most lookups a driver has under way or unread at once.
pub(super) const MAX_LOOKUPS: usize = 16;

/// Most connections that are told of; a driver that makes more makes a story
/// that nobody reads.
const MAX_TOLD: usize = 16;

/// A driver's leave, and what came of using it.
#[derive(Debug)]
pub(crate) struct Access {
    leave: Option<Leave>,
    most_sockets: usize,
    sockets: Count,
    lookups: Count,
    log: Arc<Log>,
}

#[derive(Debug)]
struct Leave {
    dialer: Arc<Dialer>,
    names: Arc<Names>,
    grant: GrantId,
    deadline: Duration,
}

/// What a driver did with its sockets; shared with them.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// How much they may still move, both ways together.
    allowance: Allowance,
    received: AtomicU64,
    sent: AtomicU64,
    inner: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// The latest failure of a socket or a lookup.
    trouble: Option<Cause>,
    /// Connections that were made.
    connected: Vec<JourneyEvent>,
}

impl Log {
    /// Moves up to `wanted` bytes, more than 0, by what says how many it moved.
    ///
    /// # Errors
    /// Its own, and `PermissionDenied` where nothing is left of the leave.
    pub(super) fn within_leave<T>(
        &self,
        wanted: usize,
        transfer: impl FnOnce(usize) -> io::Result<(usize, T)>,
    ) -> io::Result<T> {
        let reserved = self.allowance.reserve(wanted as u64);
        let reserved = reserved.map_err(|_spent| io::ErrorKind::PermissionDenied)?;
        // It is not more than was wanted.
        let moved = transfer(usize::try_from(reserved).unwrap_or(wanted));
        let count = moved.as_ref().map_or(0, |(count, _)| *count);
        let unused = reserved.saturating_sub(count as u64);
        self.allowance.give_back(unused);
        moved.map(|(_, value)| value)
    }

    /// Takes what a datagram moves out of the leave: all of it or nothing.
    ///
    /// # Errors
    /// `PermissionDenied` where the leave has less left.
    pub(super) fn take_leave(&self, bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.within_leave(bytes, |most| match most < bytes {
            true => Err(io::ErrorKind::PermissionDenied.into()),
            false => Ok((bytes, ())),
        })
    }

    /// Whether and how its leave came to an end.
    pub(super) fn lapsed(&self) -> Option<Cause> {
        let lapsed = |it: &Cause| matches!(it, Cause::Lapsed(_));
        self.trouble().filter(lapsed)
    }

    pub(super) fn note_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn note_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A socket or a lookup failed. The end of its leave stays the reason.
    pub(super) fn note_trouble(&self, cause: Cause) {
        let mut told = self.lock();
        if !matches!(told.trouble, Some(Cause::Lapsed(_))) {
            told.trouble = Some(cause);
        }
    }

    /// A socket failed by itself, or its leave is spent.
    pub(super) fn note_io(&self, error: &io::Error) {
        self.note_trouble(match (error.raw_os_error(), error.kind()) {
            (None, io::ErrorKind::PermissionDenied) => Cause::Lapsed(Lapse::Spent),
            (errno, _) => Cause::Socket {
                errno: errno.unwrap_or(0),
            },
        });
    }

    fn note_connected(&self, peer: SocketAddr, connect_us: u64) {
        let mut told = self.lock();
        if told.connected.len() < MAX_TOLD {
            told.connected.push(JourneyEvent::Connected {
                peer,
                refused: Vec::new(),
                attempts: Vec::new(),
                resolve_us: 0,
                connect_us,
            });
        }
    }

    /// Why the network failed the guest, as last seen.
    pub(super) fn trouble(&self) -> Option<Cause> {
        self.lock().trouble.clone()
    }

    /// Connections made since it was last asked.
    pub(super) fn take_connected(&self) -> Vec<JourneyEvent> {
        std::mem::take(&mut self.lock().connected)
    }

    /// Bytes that went through the guest's sockets, both ways together.
    pub(super) fn bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed) + self.sent.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Told> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many there are of something.
#[derive(Clone, Debug, Default)]
struct Count(Arc<AtomicUsize>);

/// One of them, while it lives.
#[derive(Debug)]
pub(super) struct Counted(Count);

impl Count {
    fn one_more(&self, most: usize) -> Result<Counted, ErrorCode> {
        let taken = self.0.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(self.clone());
        if taken < most {
            Ok(counted)
        } else {
            Err(ErrorCode::NewSocketLimit)
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Work of the broker's, asked for when it is made and given up when it is dropped.
pub(crate) enum Work<T> {
    Running(Pin<Box<dyn Future<Output = T> + Send>>),
    Done(T),
}

impl<T> Work<T> {
    pub(crate) fn begin(work: impl Future<Output = T> + Send + 'static) -> Work<T> {
        let mut work = Work::Running(Box::pin(work));
        // The message goes out now, whether or not the guest waits.
        let _ = work.poll(&mut Context::from_waker(Waker::noop()));
        work
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Work::Running(work) = self {
            match work.as_mut().poll(cx) {
                Poll::Ready(done) => *self = Work::Done(done),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Its result, if it is there.
    pub(crate) fn now(&mut self) -> Option<&mut T> {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(()) => match self {
                Work::Done(done) => Some(done),
                Work::Running(_) => None,
            },
            Poll::Pending => None,
        }
    }

    /// Its result, if it is known to be there.
    pub(crate) fn into_done(self) -> Option<T> {
        match self {
            Work::Done(done) => Some(done),
            Work::Running(_) => None,
        }
    }
}

impl<T> std::fmt::Debug for Work<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Work::Running(_) => "Running",
            Work::Done(_) => "Done",
        })
    }
}

/// A connected descriptor, or what the guest is told.
pub(super) type Connecting = Work<Result<OwnedFd, ErrorCode>>;

/// A name's addresses, or what the guest is told.
pub(super) type LookingUp = Work<Result<Vec<IpAddr>, ErrorCode>>;

impl Access {
    /// Under a grant; each connect and each lookup within so much time. `names`
    /// is the engine's own resolver, where names are to go by it.
    pub(crate) fn new(
        dialer: Arc<Dialer>,
        names: Arc<Names>,
        grant: GrantId,
        deadline: Duration,
    ) -> Access {
        Access {
            leave: Some(Leave {
                dialer,
                names,
                grant,
                deadline,
            }),
            ..Access::none()
        }
    }

    /// To nothing at all.
    pub(crate) fn none() -> Access {
        Access {
            leave: None,
            most_sockets: MAX_SOCKETS,
            sockets: Count::default(),
            lookups: Count::default(),
            log: Arc::default(),
        }
    }

    /// With so many sockets at once, in place of a transfer's.
    pub(crate) fn with_sockets(mut self, most: usize) -> Access {
        self.most_sockets = most;
        self
    }

    /// With so much that its sockets may move, in place of as much as there is.
    pub(crate) fn with_allowance(mut self, allowance: Allowance) -> Access {
        self.log = Arc::new(Log {
            allowance,
            ..Log::default()
        });
        self
    }

    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// A place for one more socket.
    pub(super) fn socket(&self) -> Result<Counted, ErrorCode> {
        self.sockets.one_more(self.most_sockets)
    }

    /// A place for one more lookup.
    pub(super) fn lookup(&self) -> Result<Counted, ErrorCode> {
        self.lookups.one_more(MAX_LOOKUPS)
    }

    /// Begins to connect.
    pub(super) fn connect(&self, address: SocketAddr, transport: Transport) -> Connecting {
        let Some(leave) = &self.leave else {
            let outside = Outside::Address(address, transport);
            return Work::Done(Err(self.refuse(outside)));
        };
        let (dialer, grant, deadline) = (Arc::clone(&leave.dialer), leave.grant, leave.deadline);
        let log = Arc::clone(&self.log);
        Work::begin(async move {
            match dialer.connect(grant, address, transport, deadline).await {
                Ok((socket, connect_us)) => {
                    log.note_connected(address, connect_us);
                    Ok(socket)
                }
                Err(cause) => Err(told(&log, cause)),
            }
        })
    }

    /// Begins to look a name up.
    pub(super) fn look_up(&self, host: Host) -> LookingUp {
        let Some(leave) = &self.leave else {
            return Work::Done(Err(self.refuse(Outside::Host(host))));
        };
        let (dialer, grant, deadline) = (Arc::clone(&leave.dialer), leave.grant, leave.deadline);
        let (names, log) = (Arc::clone(&leave.names), Arc::clone(&self.log));
        Work::begin(async move {
            let looking = Instant::now();
            let found = names.found_under(&dialer, grant, &host, deadline);
            let looked_up = match found.await {
                Ok(found) => {
                    let left = deadline.saturating_sub(looking.elapsed());
                    dialer.look_up(grant, host, left, found).await
                }
                Err(cause) => Err(cause),
            };
            looked_up.map_err(|cause| told(&log, cause))
        })
    }

    fn refuse(&self, outside: Outside) -> ErrorCode {
        told(&self.log, Cause::Dial(DialFailure::Outside(outside)))
    }
}

/// What the guest is told of a cause, which is kept.
fn told(log: &Log, cause: Cause) -> ErrorCode {
    let code = super::errors::of_cause(&cause);
    log.note_trouble(cause);
    code
}
