//! What an input can choose to happen.
//!
//! A choice is a byte: the lower four bits say what, the upper ones to which of those that
//! there are; where more is to be said, the next byte does.

use std::time::Duration;

use fumehood_engine::fuzz::resolver::{End, Error, ErrorCode, Happening, Point, Task};
use fumehood_guest_dns::{Query, Time, Wanted, frame};

use super::{MAX_WAITING, Twin};
use crate::dns::TYPES;

/// What is usual.
pub const USUAL: u8 = 0;
/// Something seems to have come, and has not.
pub const FALSE_ALARM: u8 = 1;
/// A socket for datagrams fails.
pub const UNREACHABLE: u8 = 2;
/// The next reply comes so often.
pub const AGAIN: u8 = 3;
/// Of the next reply so many bytes come, for now or for ever.
pub const CUT: u8 = 4;
/// A connection ends.
pub const END: u8 = 5;
/// A connection takes so many bytes.
pub const ROOM: u8 = 6;
/// A connection that is being made comes to nothing.
pub const UNCONNECTED: u8 = 7;
/// The next socket is refused.
pub const REFUSE: u8 = 8;
/// Time passes, in `TENTH`s; 255 is all there is.
pub const TIME: u8 = 9;
/// Another query, for records of this type.
pub const QUERY: u8 = 10;
/// A query is cancelled.
pub const CANCEL: u8 = 11;
/// The settings are made again.
pub const CONFIGURE: u8 = 12;
/// An exchange of DNS over HTTPS fails.
pub const POST_FAILS: u8 = 13;
/// A reply comes unasked and without its length.
pub const RAW: u8 = 14;
/// The next two choices at once.
pub const TOGETHER: u8 = 15;

/// The bits that say what.
pub(super) const WHAT: u8 = 15;

/// Most queries in one run.
const MAX_QUERIES: u64 = 4;

/// What time passes in.
const TENTH: Duration = Duration::from_millis(100);

const CODES: [ErrorCode; 7] = [
    ErrorCode::ConnectionRefused,
    ErrorCode::AccessDenied,
    ErrorCode::ConnectionReset,
    ErrorCode::RemoteUnreachable,
    ErrorCode::Timeout,
    ErrorCode::NewSocketLimit,
    ErrorCode::Unknown,
];

const POINTS: [Point; 7] = [
    Point::Create,
    Point::Bind,
    Point::Stream,
    Point::CheckSend,
    Point::NoLeave,
    Point::Send,
    Point::NoneSent,
];

/// What is chosen.
impl Twin<'_> {
    pub(super) fn choose(&mut self, chosen: u8) {
        let which = usize::from(chosen >> 4);
        match chosen & WHAT {
            FALSE_ALARM => {
                let open = self.native.network.open();
                self.at(which, &open, Happening::FalseAlarm);
            }
            UNREACHABLE => {
                let sockets = self.native.network.sockets();
                let code = self.code();
                self.at(which, &sockets, |it| Happening::Unreachable(it, code));
            }
            AGAIN => self.again(),
            CUT => self.cut(),
            END => self.end(which),
            ROOM => {
                let lines = self.lines();
                let room = self.next().into();
                self.at(which, &lines, |it| Happening::Room(it, room));
            }
            UNCONNECTED => self.unconnected(which),
            REFUSE => {
                let code = self.code();
                self.happen(Happening::Refuse(POINTS[which % POINTS.len()], code));
            }
            TIME => self.pass(),
            QUERY => self.query(which),
            CANCEL => {
                let id = which as u64 % (self.queries + 1);
                self.native.cancel(id);
                self.happen(Happening::Task(Task::Cancel(id)));
            }
            CONFIGURE => self.configure(),
            POST_FAILS => {
                let posts = self.native.network.posts.values();
                let posts: Vec<u32> = posts.map(|it| it.number).collect();
                let error = self.error();
                self.at(which, &posts, |it| Happening::Posted(it, Err(error)));
            }
            RAW => self.raw(which),
            _ => {
                self.usual();
            }
        }
    }

    /// It happens to one of those, if there is any.
    fn at(&mut self, which: usize, them: &[u32], happening: impl FnOnce(u32) -> Happening) {
        if let Some(number) = which.checked_rem(them.len()).map(|at| them[at]) {
            self.happen(happening(number));
        }
    }

    fn code(&mut self) -> ErrorCode {
        CODES[usize::from(self.next()) % CODES.len()]
    }

    fn error(&mut self) -> Error {
        match self.next() % 5 {
            0 => Error::Connect("no route".to_owned()),
            1 => Error::Tls("another name".to_owned()),
            2 => Error::Http("the server answered 404".to_owned()),
            3 => Error::Denied,
            _ => Error::Unsupported,
        }
    }

    fn lines(&self) -> Vec<u32> {
        let lines = self.native.network.lines.values();
        lines.map(|it| it.number).collect()
    }

    fn again(&mut self) {
        let times = self.next() % 20;
        if let Some((number, how, reply)) = self.next_reply() {
            for _ in 0..=times {
                self.deliver(number, how, reply.clone());
            }
        }
    }

    fn cut(&mut self) {
        let most = self.next().into();
        let Some((number, how, mut reply)) = self.next_reply() else {
            return;
        };
        if self.native.network.line(number).is_some() {
            self.send(number, frame(&reply), most);
        } else {
            reply.truncate(most);
            self.deliver(number, how, reply);
        }
    }

    fn end(&mut self, which: usize) {
        let lines = self.lines();
        let end = match self.next() % 3 {
            0 => End::Closed,
            1 => End::Deaf,
            _ => End::Broken("connection reset".to_owned()),
        };
        self.at(which, &lines, |it| Happening::Ended(it, end));
    }

    fn unconnected(&mut self, which: usize) {
        let lines = self.native.network.lines.values();
        let asked = lines.filter(|it| it.is_asked());
        let asked: Vec<(u32, bool)> = asked.map(|it| (it.number, it.is_tls)).collect();
        let Some((number, is_tls)) = which.checked_rem(asked.len()).map(|at| asked[at]) else {
            return;
        };
        let happening = match is_tls {
            true => Happening::Unsecured(number, self.error()),
            false => Happening::Unconnected(number, self.code()),
        };
        self.happen(happening);
    }

    fn pass(&mut self) {
        let now = self.native.network.now;
        let at: Option<Time> = match self.next() {
            255 => self.native.resolver.next_timeout(),
            tenths => Some(now + TENTH * tenths.into()),
        };
        self.happen(Happening::Time(at.map_or(now, |at| at.max(now))));
    }

    fn query(&mut self, which: usize) {
        let kind = TYPES[usize::from(self.next()) % TYPES.len()];
        if self.queries < MAX_QUERIES {
            self.ask(Query {
                wanted: Wanted::Records(kind),
                cached: which.is_multiple_of(2),
                ..self.query.clone()
            });
        }
    }

    fn raw(&mut self, which: usize) {
        let reply = self.next().into();
        let reply = self.servers.raw(reply);
        let open = self.native.network.open();
        let Some((number, reply)) = which.checked_rem(open.len()).map(|at| open[at]).zip(reply)
        else {
            return;
        };
        if self.native.network.line(number).is_some() {
            self.send(number, reply.to_vec(), MAX_WAITING);
        } else {
            self.deliver(number, 0, reply.to_vec());
        }
    }
}
