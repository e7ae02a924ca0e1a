//! The role of who is asked.

use std::net::Ipv4Addr;

use crate::address::{check_name, length_v5, read_v5};
use crate::wire::{
    ASSOCIATE, CONNECT, LOGIN, LOGIN_VERSION, NO_LOGIN, NO_METHOD, V4, V4_GRANTED, V4_REJECTED, V5,
    V5_COMMAND, V5_DOMAIN,
};
use crate::{Address, Endpoint, Error, MAX_NAME_BYTES, Violation};

/// What a client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Who it says it is; [`Server::admit`] must follow.
    Login(Credentials),
    /// It wants a tunnel; [`Server::reply`] must follow.
    Request(Endpoint),
    /// It wants to send datagrams (RFC 1928 section 7), and says where from, or
    /// zeros; [`Server::reply`] must follow, with where to.
    Associate(Endpoint),
}

/// Name and password, as sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// At most 255 bytes.
    pub name: Vec<u8>,
    /// The same; none in version 4.
    pub password: Vec<u8>,
}

/// Keeps them out of logs.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// How a request ended (RFC 1928 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The tunnel follows, or the association.
    Granted,
    /// Something else.
    Failure,
    /// By the rules here.
    NotAllowed,
    /// No route.
    NetworkUnreachable,
    /// No such host, or no way to it.
    HostUnreachable,
    /// By the destination.
    ConnectionRefused,
    /// It took too long.
    TimedOut,
    /// What is asked for is not done here.
    NotSupported,
}

/// What to send, what was said, and what must be seen next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerStep {
    /// To the client.
    pub send: Vec<u8>,
    /// Said by the client.
    pub event: Option<Event>,
    /// So many bytes, at most [`crate::MAX_WANTED`]; 0 where an answer is due.
    pub want: u16,
}

/// A conversation with a client.
#[derive(Debug, Default)]
pub struct Server {
    state: State,
    wants_login: bool,
    farewell: Vec<u8>,
}

/// What is expected.
#[derive(Debug, Default)]
enum State {
    /// To begin.
    #[default]
    New,
    /// The first two bytes: version, and command or number of methods.
    Greeting,
    /// So many methods.
    Methods,
    /// Version of the sub-negotiation, and the name's length.
    LoginHead,
    /// The name and the password's length.
    LoginName,
    /// The password.
    LoginPassword(Vec<u8>),
    /// The host to say whether that is right; of version 4 with its request.
    Admission(Option<Endpoint>),
    /// The first five bytes of a request.
    Head,
    /// The rest of its address, of this type, and the first byte of that.
    Destination {
        command: Command,
        kind: u8,
        first: u8,
    },
    /// Port and address of version 4.
    V4Head,
    /// A byte more of a user's name of version 4.
    V4User(Endpoint, Vec<u8>),
    /// A byte more of a destination's name of version 4a, and whose it is.
    V4Name(u16, Vec<u8>, Vec<u8>),
    /// The host to say how it went, in this version.
    Answer(u8),
    /// Nothing more.
    Over,
}

/// What a client of version 5 asks for.
#[derive(Clone, Copy, Debug)]
enum Command {
    Connect,
    Associate,
}

const WANTED: Error = Error::Misuse("not the wanted bytes");

impl Server {
    /// One that knows of no client.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins with a client that has said nothing.
    ///
    /// # Errors
    /// [`Error::Misuse`] at a second call.
    pub fn begin(&mut self, wants_login: bool) -> Result<ServerStep, Error> {
        if !matches!(self.state, State::New) {
            return Err(Error::Misuse("it has begun already"));
        }
        self.wants_login = wants_login;
        self.expect(State::Greeting, 2)
    }

    /// Shows the bytes that were wanted.
    ///
    /// # Errors
    /// When the client breaks the protocol, or wants what is not done.
    /// [`Server::farewell`] is then to be sent.
    pub fn receive(&mut self, data: &[u8]) -> Result<ServerStep, Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::New | State::Admission(_) | State::Answer(_) => {
                Err(Error::Misuse("an answer is due"))
            }
            State::Over => Err(Error::Misuse("it is over")),
            State::Greeting => self.greeting(*data.as_array().ok_or(WANTED)?),
            State::Methods => self.methods(data),
            State::LoginHead => self.login_head(*data.as_array().ok_or(WANTED)?),
            State::LoginName => self.login_name(data),
            State::LoginPassword(name) => {
                let password = data.to_vec();
                Ok(self.said_who(None, Credentials { name, password }))
            }
            State::Head => self.head(*data.as_array().ok_or(WANTED)?),
            State::Destination {
                command,
                kind,
                first,
            } => self.destination(command, (kind, first), data),
            State::V4Head => self.v4_head(*data.as_array().ok_or(WANTED)?),
            State::V4User(to, user) => self.v4_user(to, user, *data.as_array().ok_or(WANTED)?),
            State::V4Name(port, user, name) => {
                self.v4_name(port, user, name, *data.as_array().ok_or(WANTED)?)
            }
        }
    }

    /// Whether the client is who it says.
    ///
    /// # Errors
    /// [`Error::Login`] where it is not: [`Server::farewell`] tells it.
    pub fn admit(&mut self, admitted: bool) -> Result<ServerStep, Error> {
        let State::Admission(v4) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Error::Misuse("nobody has said who asks"));
        };
        match (v4, admitted) {
            (None, true) => {
                let mut step = self.expect(State::Head, 5)?;
                step.send = vec![LOGIN_VERSION, 0];
                Ok(step)
            }
            (None, false) => self.fail(vec![LOGIN_VERSION, 1], Error::Login),
            (Some(to), true) => Ok(self.asked(V4, Event::Request(to))),
            (Some(_), false) => self.fail(v4_reply(V4_REJECTED, None), Error::Login),
        }
    }

    /// The bytes that end the conversation.
    ///
    /// # Errors
    /// [`Error::Misuse`] where nothing was asked.
    pub fn reply(&mut self, outcome: Outcome, bound: Option<&Endpoint>) -> Result<Vec<u8>, Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Answer(V4) => Ok(match outcome {
                Outcome::Granted => v4_reply(V4_GRANTED, bound),
                _ => v4_reply(V4_REJECTED, None),
            }),
            State::Answer(_) => v5_reply(outcome.code(), bound),
            _ => Err(Error::Misuse("nothing was asked")),
        }
    }

    /// What to send before the connection ends after an error.
    #[must_use]
    pub fn farewell(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.farewell)
    }

    fn expect(&mut self, state: State, want: u16) -> Result<ServerStep, Error> {
        self.state = state;
        Ok(ServerStep {
            want,
            ..ServerStep::default()
        })
    }

    fn fail<T>(&mut self, farewell: Vec<u8>, error: impl Into<Error>) -> Result<T, Error> {
        self.farewell = farewell;
        Err(error.into())
    }

    fn asked(&mut self, version: u8, event: Event) -> ServerStep {
        self.state = State::Answer(version);
        ServerStep {
            event: Some(event),
            ..ServerStep::default()
        }
    }

    fn said_who(&mut self, v4: Option<Endpoint>, who: Credentials) -> ServerStep {
        self.state = State::Admission(v4);
        ServerStep {
            event: Some(Event::Login(who)),
            ..ServerStep::default()
        }
    }

    fn greeting(&mut self, [version, second]: [u8; 2]) -> Result<ServerStep, Error> {
        match (version, second) {
            (V5, 0) => Err(Violation::BadLength.into()),
            (V5, methods) => self.expect(State::Methods, methods.into()),
            (V4, CONNECT) => self.expect(State::V4Head, 6),
            (V4, _) => self.fail(v4_reply(V4_REJECTED, None), Error::Command),
            _ => Err(Violation::BadVersion.into()),
        }
    }

    fn methods(&mut self, offered: &[u8]) -> Result<ServerStep, Error> {
        let (method, state, want) = match self.wants_login {
            true => (LOGIN, State::LoginHead, 2),
            false => (NO_LOGIN, State::Head, 5),
        };
        if !offered.contains(&method) {
            return self.fail(vec![V5, NO_METHOD], Error::NoMethod);
        }
        let mut step = self.expect(state, want)?;
        step.send = vec![V5, method];
        Ok(step)
    }

    fn login_head(&mut self, [version, length]: [u8; 2]) -> Result<ServerStep, Error> {
        match (version, length) {
            (LOGIN_VERSION, 0) => Err(Violation::BadLength.into()),
            // The password's length comes with it.
            (LOGIN_VERSION, length) => self.expect(State::LoginName, u16::from(length) + 1),
            _ => Err(Violation::BadVersion.into()),
        }
    }

    fn login_name(&mut self, data: &[u8]) -> Result<ServerStep, Error> {
        let (length, name) = data.split_last().ok_or(WANTED)?;
        match length {
            0 => {
                let (name, password) = (name.to_vec(), Vec::new());
                Ok(self.said_who(None, Credentials { name, password }))
            }
            length => self.expect(State::LoginPassword(name.to_vec()), (*length).into()),
        }
    }

    fn head(&mut self, head: [u8; 5]) -> Result<ServerStep, Error> {
        let [version, command, reserved, kind, first] = head;
        if version != V5 {
            return Err(Violation::BadVersion.into());
        }
        if reserved != 0 {
            return Err(Violation::BadReserved.into());
        }
        let command = match command {
            CONNECT => Command::Connect,
            ASSOCIATE => Command::Associate,
            _ => {
                let told = v5_reply(V5_COMMAND, None)?;
                return self.fail(told, Error::Command);
            }
        };
        let state = State::Destination {
            command,
            kind,
            first,
        };
        match length_v5(kind, first) {
            Ok(length) => self.expect(state, length),
            Err(violation) => {
                let told = v5_reply(crate::wire::V5_LAST_REPLY, None)?;
                self.fail(told, violation)
            }
        }
    }

    fn destination(
        &mut self,
        command: Command,
        (kind, first): (u8, u8),
        data: &[u8],
    ) -> Result<ServerStep, Error> {
        if data.len() != usize::from(length_v5(kind, first)?) {
            return Err(WANTED);
        }
        let whole = match kind {
            V5_DOMAIN => data.to_vec(),
            _ => [&[first], data].concat(),
        };
        match read_v5(kind, &whole) {
            Ok(to) => Ok(match command {
                Command::Connect => self.asked(V5, Event::Request(to)),
                Command::Associate => self.asked(V5, Event::Associate(to)),
            }),
            Err(error) => {
                let told = v5_reply(Outcome::Failure.code(), None)?;
                self.fail(told, error)
            }
        }
    }

    fn v4_head(&mut self, [high, low, a, b, c, d]: [u8; 6]) -> Result<ServerStep, Error> {
        let to = Endpoint {
            address: Address::V4(Ipv4Addr::new(a, b, c, d)),
            port: u16::from_be_bytes([high, low]),
        };
        self.expect(State::V4User(to, Vec::new()), 1)
    }

    fn v4_user(
        &mut self,
        to: Endpoint,
        mut user: Vec<u8>,
        [byte]: [u8; 1],
    ) -> Result<ServerStep, Error> {
        if byte != 0 {
            if user.len() == MAX_NAME_BYTES {
                return self.fail(v4_reply(V4_REJECTED, None), Violation::BadLength);
            }
            user.push(byte);
            return self.expect(State::V4User(to, user), 1);
        }
        match to.address {
            // SOCKS 4a: a name follows.
            Address::V4(it) if matches!(it.octets(), [0, 0, 0, 1..=255]) => {
                self.expect(State::V4Name(to.port, user, Vec::new()), 1)
            }
            _ => Ok(self.v4_asked(to, user)),
        }
    }

    fn v4_name(
        &mut self,
        port: u16,
        user: Vec<u8>,
        mut name: Vec<u8>,
        [byte]: [u8; 1],
    ) -> Result<ServerStep, Error> {
        if byte != 0 {
            if name.len() == MAX_NAME_BYTES {
                return self.fail(v4_reply(V4_REJECTED, None), Violation::BadLength);
            }
            name.push(byte);
            return self.expect(State::V4Name(port, user, name), 1);
        }
        match check_name(&name) {
            Ok(name) => {
                let address = Address::Name(name);
                Ok(self.v4_asked(Endpoint { address, port }, user))
            }
            Err(violation) => self.fail(v4_reply(V4_REJECTED, None), violation),
        }
    }

    fn v4_asked(&mut self, to: Endpoint, name: Vec<u8>) -> ServerStep {
        match self.wants_login {
            false => self.asked(V4, Event::Request(to)),
            true => {
                let password = Vec::new();
                self.said_who(Some(to), Credentials { name, password })
            }
        }
    }
}

impl Outcome {
    fn code(self) -> u8 {
        match self {
            Outcome::Granted => 0,
            Outcome::Failure => 1,
            Outcome::NotAllowed => 2,
            Outcome::NetworkUnreachable => 3,
            Outcome::HostUnreachable => 4,
            Outcome::ConnectionRefused => 5,
            Outcome::TimedOut => 6,
            Outcome::NotSupported => V5_COMMAND,
        }
    }
}

/// Where the bound address is not told, it is zeros.
fn v5_reply(code: u8, bound: Option<&Endpoint>) -> Result<Vec<u8>, Error> {
    let nowhere = Endpoint {
        address: Address::V4(Ipv4Addr::UNSPECIFIED),
        port: 0,
    };
    let mut bytes = vec![V5, code, 0];
    bound.unwrap_or(&nowhere).write_v5(&mut bytes)?;
    Ok(bytes)
}

fn v4_reply(code: u8, bound: Option<&Endpoint>) -> Vec<u8> {
    let (address, port) = match bound {
        Some(Endpoint {
            address: Address::V4(address),
            port,
        }) => (*address, *port),
        _ => (Ipv4Addr::UNSPECIFIED, 0),
    };
    let mut bytes = vec![0, code];
    bytes.extend_from_slice(&port.to_be_bytes());
    bytes.extend_from_slice(&address.octets());
    bytes
}
