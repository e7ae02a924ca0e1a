//! A network for the native resolver that says what the scripted one behind glass does.
//!
//! It is written from what `Action` and `Event` promise: nothing more is heard of what
//! was let go, and what is sent on a channel whose end is yet to be told is lost with it.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;

use fumehood_engine::fuzz::resolver::{Deed, Error, ErrorCode, Happening, Point};
use fumehood_guest_dns::{Action, Channel, Event, ExchangeId, Network, Server, Time, Transport};

use super::line::{Line, Standing};
use super::words;

/// Datagrams that are taken at once.
const DATAGRAMS: usize = 8;

/// What the resolver did, answers among it.
type Deeds = Rc<RefCell<Vec<Deed>>>;

/// All sockets, and what is to be heard from them.
pub(super) struct Model {
    pub(super) now: Time,
    datagrams: BTreeMap<ExchangeId, Datagrams>,
    pub(super) posts: BTreeMap<ExchangeId, Post>,
    pub(super) lines: BTreeMap<Channel, Line>,
    /// Questions that have gone out, each with the number of its way.
    pub(super) asked: VecDeque<(u32, Vec<u8>)>,
    pub(super) deeds: Deeds,
    events: VecDeque<Event>,
    refusal: Option<(Point, ErrorCode)>,
    count: u32,
}

/// A socket for one question.
struct Datagrams {
    number: u32,
    server: SocketAddr,
    inbound: VecDeque<(SocketAddr, Vec<u8>)>,
    failed: Option<ErrorCode>,
    false_alarm: bool,
}

/// An exchange of DNS over HTTPS.
pub(super) struct Post {
    pub(super) number: u32,
    outcome: Option<Result<Vec<u8>, Error>>,
    false_alarm: bool,
}

/// What something that is ready belongs to.
#[derive(Clone, Copy)]
enum Place {
    Datagram(ExchangeId),
    Post(ExchangeId),
    Line(Channel),
}

impl Network for Model {
    fn perform(&mut self, action: Action) {
        match action {
            Action::Datagram {
                exchange,
                server,
                message,
            } => self.send(exchange, &server, message),
            Action::Stream {
                channel,
                server,
                message,
            } => self.stream(channel, server, &message),
            Action::Post {
                exchange,
                server,
                message,
            } => {
                let number = self.number();
                self.asked.push_back((number, message.clone()));
                let post = Deed::Post(number, words::server(&server), message);
                self.did(post);
                let post = Post {
                    number,
                    outcome: None,
                    false_alarm: false,
                };
                self.posts.insert(exchange, post);
            }
            Action::Forget(exchange) => {
                let datagrams = self.datagrams.remove(&exchange).map(|it| it.number);
                let post = self.posts.remove(&exchange).map(|it| it.number);
                if let Some(number) = datagrams.or(post) {
                    self.did(Deed::Closed(number));
                }
            }
            Action::HangUp(channel) => {
                self.events.retain(|it| channel_of(it) != Some(channel));
                self.close(channel);
            }
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

impl Model {
    /// Where nothing is open yet.
    pub(super) fn new(now: Time) -> Model {
        Model {
            now,
            datagrams: BTreeMap::new(),
            posts: BTreeMap::new(),
            lines: BTreeMap::new(),
            asked: VecDeque::new(),
            deeds: Deeds::default(),
            events: VecDeque::new(),
            refusal: None,
            count: 0,
        }
    }

    fn did(&self, deed: Deed) {
        self.deeds.borrow_mut().push(deed);
    }

    fn number(&mut self) -> u32 {
        self.count += 1;
        self.count - 1
    }

    /// What is open.
    pub(super) fn open(&self) -> Vec<u32> {
        let datagrams = self.datagrams.values().map(|it| it.number);
        let posts = self.posts.values().map(|it| it.number);
        let lines = self.lines.values().map(|it| it.number);
        let mut open: Vec<u32> = datagrams.chain(posts).chain(lines).collect();
        open.sort_unstable();
        open
    }

    fn send(&mut self, exchange: ExchangeId, server: &Server, message: Vec<u8>) {
        let number = self.number();
        if let Some((point, code)) = self.refusal.take() {
            let code = match point {
                Point::NoLeave | Point::NoneSent => ErrorCode::WouldBlock,
                _ => code,
            };
            let why = words::describe(code);
            self.did(Deed::Refused(number));
            return self.events.push_back(Event::Failed { exchange, why });
        }
        self.asked.push_back((number, message.clone()));
        let sent = Deed::Datagram(number, server.address, message);
        self.did(sent);
        let datagrams = Datagrams {
            number,
            server: server.address,
            inbound: VecDeque::new(),
            failed: None,
            false_alarm: false,
        };
        self.datagrams.insert(exchange, datagrams);
    }

    fn stream(&mut self, channel: Channel, server: Server, message: &[u8]) {
        let is_end = |it: &Event| matches!(it, Event::Closed { channel: of, .. } if *of == channel);
        if self.events.iter().any(is_end) {
            return;
        }
        if !self.lines.contains_key(&channel) {
            let number = self.number();
            let is_tls = channel.transport == Transport::Tls;
            let asked = match is_tls {
                true => Deed::Secure(number, words::server(&server)),
                false => {
                    if let Some((_, code)) = self.refusal.take() {
                        let why = words::describe(code);
                        self.did(Deed::Refused(number));
                        return self.events.push_back(Event::Closed { channel, why });
                    }
                    Deed::Connect(number, server.address)
                }
            };
            self.did(asked);
            self.lines.insert(channel, Line::new(number, is_tls));
        }
        if let Some(line) = self.lines.get_mut(&channel) {
            line.send(message);
        }
        self.advance(channel);
    }

    fn close(&mut self, channel: Channel) {
        if let Some(line) = self.lines.remove(&channel) {
            self.did(Deed::Closed(line.number));
        }
    }

    fn advance(&mut self, channel: Channel) {
        let Some(line) = self.lines.get_mut(&channel) else {
            return;
        };
        let ended = line.advance(&mut self.deeds.borrow_mut()).err();
        while let Some(message) = line.next_message() {
            self.events.push_back(Event::Stream { channel, message });
        }
        while let Some(question) = line.next_question() {
            self.asked.push_back((line.number, question));
        }
        if let Some(why) = ended {
            self.close(channel);
            self.events.push_back(Event::Closed { channel, why });
        }
    }

    /// Makes events of all that is there, the oldest first. False where nothing is.
    pub(super) fn look(&mut self) -> bool {
        let ready =
            |it: &Datagrams| it.false_alarm || it.failed.is_some() || !it.inbound.is_empty();
        let datagrams = self.datagrams.iter().filter(|(_, it)| ready(it));
        let settled = |it: &Post| it.false_alarm || it.outcome.is_some();
        let posts = self.posts.iter().filter(|(_, it)| settled(it));
        let lines = self.lines.iter();
        let places: Vec<Place> = datagrams
            .map(|(exchange, _)| Place::Datagram(*exchange))
            .chain(posts.map(|(exchange, _)| Place::Post(*exchange)))
            .chain(lines.flat_map(|(at, it)| vec![Place::Line(*at); it.ready()]))
            .collect();
        for place in &places {
            match *place {
                Place::Datagram(exchange) => self.receive(exchange),
                Place::Post(exchange) => self.finish(exchange),
                Place::Line(channel) => self.advance(channel),
            }
        }
        !places.is_empty()
    }

    fn receive(&mut self, exchange: ExchangeId) {
        let Some(socket) = self.datagrams.get_mut(&exchange) else {
            return;
        };
        socket.false_alarm = false;
        if socket.inbound.is_empty()
            && let Some(code) = socket.failed
        {
            let number = socket.number;
            self.datagrams.remove(&exchange);
            self.did(Deed::Closed(number));
            let why = words::describe(code);
            return self.events.push_back(Event::Failed { exchange, why });
        }
        let count = socket.inbound.len().min(DATAGRAMS);
        let received = socket.inbound.drain(..count);
        self.events
            .extend(received.map(|(from, message)| Event::Datagram {
                exchange,
                from,
                message,
            }));
    }

    fn finish(&mut self, exchange: ExchangeId) {
        let Some(post) = self.posts.get_mut(&exchange) else {
            return;
        };
        post.false_alarm = false;
        let Some(outcome) = post.outcome.take() else {
            return;
        };
        let number = post.number;
        self.posts.remove(&exchange);
        self.did(Deed::Closed(number));
        self.events.push_back(match outcome {
            Ok(message) => Event::Posted { exchange, message },
            Err(error) => Event::Failed {
                exchange,
                why: words::describe_secure(error),
            },
        });
    }
}

/// What happens.
impl Model {
    /// As it does behind glass.
    pub(super) fn happen(&mut self, happening: &Happening) {
        match happening.clone() {
            Happening::Time(now) => self.now = now,
            Happening::Task(_) => {}
            Happening::Refuse(point, code) => self.refusal = Some((point, code)),
            Happening::Datagram(number, from, bytes) => {
                if let Some(it) = self.datagrams_by(number) {
                    it.inbound.push_back((from, bytes));
                }
            }
            Happening::Unreachable(number, code) => {
                if let Some(it) = self.datagrams_by(number) {
                    it.failed = Some(code);
                }
            }
            Happening::Posted(number, outcome) => {
                if let Some(it) = self.post(number) {
                    it.outcome = Some(outcome);
                }
            }
            Happening::FalseAlarm(number) => self.false_alarm(number),
            Happening::Connected(number) => self.stand(number, Standing::Stands),
            Happening::Unconnected(number, code) => {
                self.stand(number, Standing::Failed(words::describe(code)));
            }
            Happening::Unsecured(number, error) => {
                self.stand(number, Standing::Failed(words::describe_secure(error)));
            }
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

    fn stand(&mut self, number: u32, standing: Standing) {
        if let Some(it) = self.line(number)
            && it.is_asked()
        {
            it.standing = standing;
        }
    }

    fn false_alarm(&mut self, number: u32) {
        if let Some(it) = self.datagrams_by(number) {
            it.false_alarm = true;
        }
        if let Some(it) = self.post(number) {
            it.false_alarm = true;
        }
        if let Some(it) = self.line(number) {
            it.false_alarm = true;
        }
    }

    /// Whom a datagram's socket is for.
    pub(super) fn server(&mut self, number: u32) -> Option<SocketAddr> {
        self.datagrams_by(number).map(|it| it.server)
    }

    /// The sockets for datagrams.
    pub(super) fn sockets(&self) -> Vec<u32> {
        self.datagrams.values().map(|it| it.number).collect()
    }

    fn datagrams_by(&mut self, number: u32) -> Option<&mut Datagrams> {
        self.datagrams.values_mut().find(|it| it.number == number)
    }

    fn post(&mut self, number: u32) -> Option<&mut Post> {
        self.posts.values_mut().find(|it| it.number == number)
    }

    pub(super) fn line(&mut self, number: u32) -> Option<&mut Line> {
        self.lines.values_mut().find(|it| it.number == number)
    }
}

fn channel_of(event: &Event) -> Option<Channel> {
    match event {
        Event::Stream { channel, .. } | Event::Closed { channel, .. } => Some(*channel),
        Event::Datagram { .. } | Event::Posted { .. } | Event::Failed { .. } => None,
    }
}
