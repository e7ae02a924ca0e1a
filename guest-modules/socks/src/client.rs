//! The role of who asks a proxy.

use std::net::Ipv4Addr;

use crate::address::{check_name, length_v5, read_v5};
use crate::wire::{
    CONNECT, LOGIN, LOGIN_VERSION, NO_LOGIN, NO_METHOD, V4, V4_GRANTED, V4_LAST_REPLY, V5,
    V5_LAST_REPLY,
};
use crate::{Address, Endpoint, Error, Violation};

/// Which protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// SOCKS 4: IPv4 addresses alone.
    V4,
    /// SOCKS 4a: names, too.
    V4a,
    /// SOCKS 5.
    V5,
}

/// How long name and password are, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// 1 to 255.
    pub name: u8,
    /// With version 4, 0.
    pub password: u8,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// In which protocol.
    pub version: Version,
    /// Where to.
    pub destination: Endpoint,
    /// Who asks.
    pub login: Option<Login>,
}

/// A piece of what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The user's name.
    Name,
    /// The user's password.
    Password,
}

/// What to send, and what then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// In order.
    pub send: Vec<Piece>,
    /// Afterwards.
    pub next: Next,
}

/// What must be seen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Exactly so many bytes, 1 to [`crate::MAX_WANTED`].
    Bytes(u16),
    /// Nothing: the tunnel stands.
    Connected(Endpoint),
}

/// A conversation with a proxy.
#[derive(Debug, Default)]
pub struct Client {
    state: State,
}

/// What is expected.
#[derive(Debug, Default)]
enum State {
    /// To be told what to ask.
    #[default]
    New,
    /// SOCKS 4's reply.
    V4Reply,
    /// The method that the proxy chose.
    Method(Request),
    /// What it says to name and password.
    LoginReply(Request),
    /// The reply's first five bytes.
    Reply,
    /// The rest of its address, of this type, and the first byte of that.
    Bound { kind: u8, first: u8 },
    /// Nothing more.
    Over,
}

impl Client {
    /// One that has said nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a tunnel.
    ///
    /// # Errors
    /// [`Error::Misuse`] where it cannot be said so, or at a second call.
    pub fn begin(&mut self, request: Request) -> Result<Step, Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::New => {}
            _ => return Err(Error::Misuse("it has begun already")),
        }
        if request.login.is_some_and(|login| login.name == 0) {
            return Err(Error::Misuse("a login has a name"));
        }
        match request.version {
            Version::V4 | Version::V4a => {
                let send = v4_request(&request)?;
                self.expect(State::V4Reply, send, 8)
            }
            Version::V5 => {
                // What cannot be asked is not begun.
                request.destination.write_v5(&mut Vec::new())?;
                let methods = match request.login {
                    None => vec![V5, 1, NO_LOGIN],
                    Some(_) => vec![V5, 2, NO_LOGIN, LOGIN],
                };
                self.expect(State::Method(request), vec![Piece::Bytes(methods)], 2)
            }
        }
    }

    /// Shows the bytes that were wanted.
    ///
    /// # Errors
    /// When the proxy says no or breaks the protocol. The conversation is over.
    pub fn receive(&mut self, data: &[u8]) -> Result<Step, Error> {
        const WANTED: Error = Error::Misuse("not the wanted bytes");
        match std::mem::replace(&mut self.state, State::Over) {
            State::New => Err(Error::Misuse("nothing was asked")),
            State::Over => Err(Error::Misuse("it is over")),
            State::V4Reply => v4_reply(*data.as_array::<8>().ok_or(WANTED)?),
            State::Method(request) => self.method(request, *data.as_array::<2>().ok_or(WANTED)?),
            State::LoginReply(request) => match *data.as_array::<2>().ok_or(WANTED)? {
                [LOGIN_VERSION, 0] => self.ask(&request),
                [LOGIN_VERSION, _] => Err(Error::Login),
                _ => Err(Violation::BadVersion.into()),
            },
            State::Reply => self.reply(*data.as_array::<5>().ok_or(WANTED)?),
            State::Bound { kind, first } => {
                if data.len() != usize::from(length_v5(kind, first)?) {
                    return Err(WANTED);
                }
                bound(kind, first, data)
            }
        }
    }

    fn expect(&mut self, state: State, send: Vec<Piece>, bytes: u16) -> Result<Step, Error> {
        self.state = state;
        Ok(Step {
            send,
            next: Next::Bytes(bytes),
        })
    }

    fn method(&mut self, request: Request, [version, method]: [u8; 2]) -> Result<Step, Error> {
        match (version, method, request.login) {
            (V5, NO_LOGIN, _) => self.ask(&request),
            (V5, LOGIN, Some(login)) => {
                let send = vec![
                    Piece::Bytes(vec![LOGIN_VERSION, login.name]),
                    Piece::Name,
                    Piece::Bytes(vec![login.password]),
                    Piece::Password,
                ];
                self.expect(State::LoginReply(request), send, 2)
            }
            (V5, NO_METHOD, _) => Err(Error::NoMethod),
            (V5, _, _) => Err(Violation::BadMethod.into()),
            _ => Err(Violation::BadVersion.into()),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Step, Error> {
        let mut bytes = vec![V5, CONNECT, 0];
        request.destination.write_v5(&mut bytes)?;
        self.expect(State::Reply, vec![Piece::Bytes(bytes)], 5)
    }

    fn reply(&mut self, [version, code, reserved, kind, first]: [u8; 5]) -> Result<Step, Error> {
        match (version, code) {
            (V5, 0) => {}
            (V5, 1..=V5_LAST_REPLY) => return Err(Error::Refused(code)),
            (V5, _) => return Err(Violation::BadReply.into()),
            _ => return Err(Violation::BadVersion.into()),
        }
        if reserved != 0 {
            return Err(Violation::BadReserved.into());
        }
        let length = length_v5(kind, first)?;
        self.expect(State::Bound { kind, first }, Vec::new(), length)
    }
}

/// `first` was read with what came before.
fn bound(kind: u8, first: u8, data: &[u8]) -> Result<Step, Error> {
    let is_name = kind == crate::wire::V5_DOMAIN;
    let whole = match is_name {
        true => data.to_vec(),
        false => [&[first], data].concat(),
    };
    let bound = read_v5(kind, &whole)?;
    Ok(connected(bound))
}

fn connected(bound: Endpoint) -> Step {
    Step {
        send: Vec::new(),
        next: Next::Connected(bound),
    }
}

fn v4_request(request: &Request) -> Result<Vec<Piece>, Error> {
    let Request {
        version,
        destination,
        login,
    } = request;
    if login.is_some_and(|login| login.password > 0) {
        return Err(Error::Misuse("SOCKS 4 has no password"));
    }
    let (address, name) = match &destination.address {
        Address::V4(address) => (*address, None),
        Address::Name(name) if *version == Version::V4a => {
            let name = check_name(name.as_bytes())?;
            // An address that nobody has says that a name follows.
            (Ipv4Addr::new(0, 0, 0, 1), Some(name))
        }
        Address::Name(_) => return Err(Error::Misuse("SOCKS 4 is told addresses alone")),
        Address::V6(_) => return Err(Error::Misuse("SOCKS 4 has no IPv6")),
    };
    let mut head = vec![V4, CONNECT];
    head.extend_from_slice(&destination.port.to_be_bytes());
    head.extend_from_slice(&address.octets());
    let mut send = vec![Piece::Bytes(head)];
    send.extend(login.map(|_| Piece::Name));
    let mut tail = vec![0];
    if let Some(name) = name {
        tail.extend_from_slice(name.as_bytes());
        tail.push(0);
    }
    send.push(Piece::Bytes(tail));
    Ok(send)
}

fn v4_reply([version, code, high, low, a, b, c, d]: [u8; 8]) -> Result<Step, Error> {
    if version != 0 {
        return Err(Violation::BadVersion.into());
    }
    match code {
        V4_GRANTED => Ok(connected(Endpoint {
            address: Address::V4(Ipv4Addr::new(a, b, c, d)),
            port: u16::from_be_bytes([high, low]),
        })),
        91..=V4_LAST_REPLY => Err(Error::Refused(code)),
        _ => Err(Violation::BadReply.into()),
    }
}
