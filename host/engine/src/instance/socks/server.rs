//! The guest in the role of who is asked: a client's conversation with the proxy.

use std::net::SocketAddr;

use fumehood_control::{Aftermath, Cause, Login};

use super::bindings::exports::fumehood::socks::server as wire;
use super::{Endpoint, MAX_SENT, MAX_WANTED, SocksGuest, endpoint_of, types};
use crate::instance::Fault;
use crate::instance::server::login;

pub(crate) use wire::Outcome;

/// What to send, and what then.
#[derive(Debug)]
pub(crate) struct ServerStep {
    pub send: Vec<u8>,
    pub asked: Asked,
}

/// What the client said, or what must be seen until it has.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Who it says it is; nobody can be who says it at more length than there is.
    /// [`SocksGuest::admit`] must follow.
    Login(Option<Login>),
    /// It wants a tunnel; [`SocksGuest::reply`] must follow.
    Tunnel(Endpoint),
    /// It wants to send datagrams, perhaps from there; [`SocksGuest::reply`] must
    /// follow.
    Datagrams(Endpoint),
    /// Exactly so many bytes must be seen, at least 1.
    Nothing(u16),
}

/// Why a conversation cannot go on.
#[derive(Debug)]
pub(crate) enum ServerEnd {
    /// The client broke a rule, or wants what is not done. It is to be sent this.
    Client {
        rule: &'static str,
        farewell: Vec<u8>,
    },
    /// It did not say who it is, or somebody else. It is to be sent this.
    Login { farewell: Vec<u8> },
    /// The guest ended.
    Guest(Cause),
}

type Told<T> = wasmtime::Result<Result<T, types::Error>>;

impl SocksGuest {
    /// Begins with a client that has said nothing.
    pub(crate) fn serve(&mut self, wants_login: bool) -> Result<ServerStep, ServerEnd> {
        self.enter("begin", 0);
        let server = self.guest.fumehood_socks_server();
        let told = server.call_begin(&mut self.store, wants_login);
        self.step(told)
    }

    /// Shows what was wanted.
    pub(crate) fn hear(&mut self, data: &[u8]) -> Result<ServerStep, ServerEnd> {
        self.enter("receive", data.len());
        let server = self.guest.fumehood_socks_server();
        let told = server.call_receive(&mut self.store, data);
        self.step(told)
    }

    /// Says whether the client is who it says.
    pub(crate) fn admit(&mut self, admitted: bool) -> Result<ServerStep, ServerEnd> {
        self.enter("admit", 0);
        let server = self.guest.fumehood_socks_server();
        let told = server.call_admit(&mut self.store, admitted);
        self.step(told)
    }

    /// What ends the conversation. The address of the proxy's own end is nobody's
    /// business, so it is zeros, but where datagrams are to be sent there.
    pub(crate) fn reply(
        &mut self,
        outcome: Outcome,
        receiving: Option<SocketAddr>,
    ) -> Result<Vec<u8>, ServerEnd> {
        self.enter("reply", 0);
        let bound = receiving.map(endpoint_of);
        let server = self.guest.fumehood_socks_server();
        let told = server.call_reply(&mut self.store, outcome, bound.as_ref());
        let bytes = self.read(told)?;
        match bytes.len() <= MAX_SENT {
            true => Ok(bytes),
            false => Err(self.nonsense("a reply that no sound codec makes")),
        }
    }

    fn step(&mut self, told: Told<wire::Step>) -> Result<ServerStep, ServerEnd> {
        let wire::Step { send, event, want } = self.read(told)?;
        let asked = match event {
            Some(wire::Event::Login(it)) if want == 0 => Asked::Login(login(it.name, it.password)),
            Some(wire::Event::Request(to)) if want == 0 => Asked::Tunnel(to),
            Some(wire::Event::Associate(from)) if want == 0 => Asked::Datagrams(from),
            None if (1..=MAX_WANTED).contains(&want) => Asked::Nothing(want),
            _ => return Err(self.nonsense("a step that no sound codec takes")),
        };
        match send.len() <= MAX_SENT {
            true => Ok(ServerStep { send, asked }),
            false => Err(self.nonsense("more to send than a sound codec has")),
        }
    }

    fn read<T>(&mut self, told: Told<T>) -> Result<T, ServerEnd> {
        let error = match told {
            Ok(Ok(told)) => return Ok(told),
            Ok(Err(error)) => error,
            Err(error) => return Err(ended(Fault::of_call(self.store.data(), &error))),
        };
        let rule = match error {
            types::Error::Peer(violation) => super::rule_of(violation),
            types::Error::Command => "another-command",
            types::Error::NoMethod | types::Error::Login => {
                let farewell = self.farewell()?;
                return Err(ServerEnd::Login { farewell });
            }
            types::Error::Refused(_) | types::Error::Misuse(_) => {
                return Err(self.nonsense("an error that a sound codec has no reason for"));
            }
        };
        let farewell = self.farewell()?;
        Err(ServerEnd::Client { rule, farewell })
    }

    fn farewell(&mut self) -> Result<Vec<u8>, ServerEnd> {
        self.enter("farewell", 0);
        let server = self.guest.fumehood_socks_server();
        match server.call_farewell(&mut self.store) {
            Ok(bytes) if bytes.len() <= MAX_SENT => Ok(bytes),
            Ok(_) => Err(self.nonsense("a farewell that no sound codec says")),
            Err(error) => Err(ended(Fault::of_call(self.store.data(), &error))),
        }
    }

    fn nonsense(&self, what: &str) -> ServerEnd {
        let detail = format!("the guest told {what}");
        ended(Fault::of_words(self.store.data(), "nonsense", detail))
    }
}

/// A guest's end is its conversation's.
fn ended(fault: Fault) -> ServerEnd {
    fault.settle(Aftermath::Failed);
    ServerEnd::Guest(fault.into())
}
