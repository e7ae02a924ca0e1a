//! All ways out of a resolver, what happens to them, and what it did with them.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Error, ErrorCode, Task, types};

/// Bytes that a new connection takes before it has no more room.
pub const ROOM: usize = 64 << 10;

/// Something that happens to a resolver. A way out (a socket for a datagram, a
/// connection, an exchange of DNS over HTTPS) goes by its number, from 0 on, in the
/// order in which they were asked for, those that were refused among them.
#[derive(Clone, Debug)]
pub enum Happening {
    /// It is so late, since the clock's zero.
    Time(Duration),
    /// Something is in its inbox.
    Task(Task),
    /// The next socket that it asks for is refused, at that point and so.
    Refuse(Point, ErrorCode),
    /// A datagram comes, from there.
    Datagram(u32, SocketAddr, Vec<u8>),
    /// A socket for datagrams fails, when it has given what came to it.
    Unreachable(u32, ErrorCode),
    /// A connection stands; where it is of TLS, so does that.
    Connected(u32),
    /// A connection by TCP comes to nothing.
    Unconnected(u32, ErrorCode),
    /// A connection by TLS comes to nothing.
    Unsecured(u32, Error),
    /// Bytes come by a connection.
    Bytes(u32, Vec<u8>),
    /// A connection takes so many bytes from now on.
    Room(u32, usize),
    /// A connection ends.
    Ended(u32, End),
    /// An exchange is over.
    Posted(u32, Result<Vec<u8>, Error>),
    /// Something seems to have come, and has not.
    FalseAlarm(u32),
}

/// Where on the way to a socket it is refused. What only datagrams know is, for a
/// connection, where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Where it is made.
    Create,
    /// Where it is bound.
    Bind,
    /// Where it gets its peer.
    Stream,
    /// Where leave to send is asked for.
    CheckSend,
    /// The same, but what it is told is that it may send none.
    NoLeave,
    /// Where the question is sent.
    Send,
    /// The same, but what it is told is that none was sent.
    NoneSent,
}

/// How a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The server sends no more.
    Closed,
    /// The server takes no more.
    Deaf,
    /// Both ways, with that said.
    Broken(String),
}

/// What a resolver did.
#[derive(Debug)]
pub enum Deed {
    /// It sent a datagram there.
    Datagram(u32, SocketAddr, Vec<u8>),
    /// It was refused a socket.
    Refused(u32),
    /// It asked for a connection by TCP.
    Connect(u32, SocketAddr),
    /// It asked for one by TLS.
    Secure(u32, types::Server),
    /// It sent that by a connection.
    Wrote(u32, Vec<u8>),
    /// It began an exchange of DNS over HTTPS.
    Post(u32, types::Server, Vec<u8>),
    /// It let go of a way out.
    Closed(u32),
    /// It answered a query.
    Answered(u64, Result<types::Answer, types::Failure>),
}

/// What it did until it waited, and how it waits.
#[derive(Debug)]
pub struct Step {
    /// In order.
    pub deeds: Vec<Deed>,
    /// What it has open.
    pub open: Vec<u32>,
    /// When it wants to be woken at the latest, since the clock's zero.
    pub alarm: Option<Duration>,
}

/// The network as both its users have it.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Network>>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Network> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a way out.
    pub(super) fn open(&self, kind: Kind) -> Arc<Way> {
        let mut network = self.lock();
        let number = network.count;
        network.count += 1;
        network.ways.insert(number, kind);
        Arc::new(Way {
            network: self.clone(),
            number,
        })
    }
}

/// A way out. It is open as long as somebody has this.
pub(super) struct Way {
    pub(super) network: Shared,
    pub(super) number: u32,
}

impl Drop for Way {
    fn drop(&mut self) {
        let mut network = self.network.lock();
        if network.ways.remove(&self.number).is_some() {
            network.deeds.push(Deed::Closed(self.number));
        }
    }
}

impl Way {
    /// Whether it is refused there, and how. It is then no more.
    pub(super) fn refused(&self, points: &[Point]) -> Option<(Point, ErrorCode)> {
        let mut network = self.network.lock();
        let (point, code) = network.refusal.take_if(|it| points.contains(&it.0))?;
        network.ways.remove(&self.number);
        network.deeds.push(Deed::Refused(self.number));
        Some((point, code))
    }
}

#[derive(Default)]
pub(super) struct Network {
    pub(super) now: Duration,
    /// What the guest waits for of the clock.
    pub(super) alarms: Vec<Duration>,
    pub(super) tasks: VecDeque<Task>,
    pub(super) deeds: Vec<Deed>,
    refusal: Option<(Point, ErrorCode)>,
    ways: BTreeMap<u32, Kind>,
    count: u32,
}

pub(super) enum Kind {
    Datagrams(Datagrams),
    Line(Line),
    Post(Post),
}

#[derive(Default)]
pub(super) struct Datagrams {
    pub(super) inbound: VecDeque<(SocketAddr, Vec<u8>)>,
    pub(super) failed: Option<ErrorCode>,
    pub(super) false_alarm: bool,
}

#[derive(Default)]
pub(super) struct Post {
    pub(super) outcome: Option<Result<Vec<u8>, Error>>,
    pub(super) false_alarm: bool,
}

pub(super) struct Line {
    pub(super) standing: Standing,
    pub(super) inbound: Vec<u8>,
    pub(super) room: usize,
    pub(super) end: Option<End>,
    pub(super) false_alarm: bool,
}

/// Where a connection stands.
pub(super) enum Standing {
    Asked,
    Unconnected(ErrorCode),
    Unsecured(Error),
    Stands,
    /// Its streams, or the reason why there are none, are the guest's.
    Told,
}

impl Default for Line {
    fn default() -> Line {
        Line {
            standing: Standing::Asked,
            inbound: Vec::new(),
            room: ROOM,
            end: None,
            false_alarm: false,
        }
    }
}

impl Network {
    pub(super) fn happen(&mut self, happening: &Happening) {
        match happening.clone() {
            Happening::Time(now) => self.now = now,
            Happening::Task(task) => self.tasks.push_back(task),
            Happening::Refuse(point, code) => self.refusal = Some((point, code)),
            Happening::Datagram(number, from, bytes) => {
                if let Some(it) = self.datagrams(number) {
                    it.inbound.push_back((from, bytes));
                }
            }
            Happening::Unreachable(number, code) => {
                if let Some(it) = self.datagrams(number) {
                    it.failed = Some(code);
                }
            }
            Happening::Posted(number, outcome) => {
                if let Some(Kind::Post(it)) = self.ways.get_mut(&number) {
                    it.outcome = Some(outcome);
                }
            }
            Happening::FalseAlarm(number) => match self.ways.get_mut(&number) {
                Some(Kind::Datagrams(it)) => it.false_alarm = true,
                Some(Kind::Line(it)) => it.false_alarm = true,
                Some(Kind::Post(it)) => it.false_alarm = true,
                None => {}
            },
            Happening::Connected(number) => self.stand(number, Standing::Stands),
            Happening::Unconnected(number, code) => self.stand(number, Standing::Unconnected(code)),
            Happening::Unsecured(number, error) => self.stand(number, Standing::Unsecured(error)),
            Happening::Bytes(number, bytes) => {
                if let Some(it) = self.line(number) {
                    it.inbound.extend(bytes);
                }
            }
            Happening::Room(number, bytes) => {
                if let Some(it) = self.line(number) {
                    it.room = bytes;
                }
            }
            Happening::Ended(number, end) => {
                if let Some(it) = self.line(number) {
                    it.end = Some(end);
                }
            }
        }
    }

    /// One that is being made comes to that.
    fn stand(&mut self, number: u32, standing: Standing) {
        if let Some(it) = self.line(number)
            && matches!(it.standing, Standing::Asked)
        {
            it.standing = standing;
        }
    }

    pub(super) fn step(&mut self) -> Step {
        Step {
            deeds: std::mem::take(&mut self.deeds),
            open: self.ways.keys().copied().collect(),
            alarm: self.alarms.iter().min().copied(),
        }
    }

    pub(super) fn datagrams(&mut self, number: u32) -> Option<&mut Datagrams> {
        match self.ways.get_mut(&number) {
            Some(Kind::Datagrams(it)) => Some(it),
            _ => None,
        }
    }

    pub(super) fn line(&mut self, number: u32) -> Option<&mut Line> {
        match self.ways.get_mut(&number) {
            Some(Kind::Line(it)) => Some(it),
            _ => None,
        }
    }

    pub(super) fn post(&mut self, number: u32) -> Option<&mut Post> {
        match self.ways.get_mut(&number) {
            Some(Kind::Post(it)) => Some(it),
            _ => None,
        }
    }
}
