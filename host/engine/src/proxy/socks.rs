//! A client that speaks SOCKS: one conversation, by a guest of its own, and then a
//! tunnel without one, or an association (`associate.rs`).

use std::task::Poll;

use fumehood_control::{Cause, ClientProtocol, DialFailure, ProxyFault};
use rustix::io::Errno;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::client::{Client, Next};
use super::judge::Reader;
use super::onward::Unreached;
use super::patience::within;
use super::refusal::Refusal;
use super::told::Told;
use crate::instance::socks::{Asked, Endpoint, Outcome, ServerEnd, ServerStep, SocksGuest};

/// Most steps of a conversation: version 4 shows name and destination a byte at a
/// time, each at most 255 and their end.
const MAX_STEPS: usize = 2 * 256 + 8;

/// A conversation's guest, and its room in the pool.
pub(super) struct Guest {
    pub(super) codec: SocksGuest,
    _room: OwnedSemaphorePermit,
}

/// What a client is after.
enum Wish {
    Tunnel(Endpoint),
    /// To send datagrams, perhaps from there.
    Datagrams(Endpoint),
}

/// Why there is nothing to judge.
pub(super) enum End {
    /// The client left, or does not read.
    Gone,
    /// It is told this and no more.
    Refused { refusal: Refusal, farewell: Vec<u8> },
    /// Nothing can be said any more.
    Failed(Cause),
}

impl Client {
    /// The one request that a client of SOCKS has.
    pub(super) async fn socks(&mut self, protocol: ClientProtocol) -> Next {
        let mut told = Told::new(protocol);
        let milliseconds = self.seat.listener().setup.bounds.head_ms;
        let mut guest = match self.make_socks(milliseconds).await {
            Ok(guest) => guest,
            Err(cause) => return self.fail(told, &cause).await,
        };
        let to = match self.converse(&mut guest, within(milliseconds)).await {
            Ok(Wish::Tunnel(to)) => to,
            Ok(Wish::Datagrams(from)) => return self.associate(told, guest, &from).await,
            Err(end) => return self.end_socks(told, end).await,
        };
        told.method = "CONNECT".to_owned();
        let mut wanted = match Reader::tunnel(&to) {
            Ok(wanted) => wanted,
            Err(refusal) => {
                return self
                    .refuse_socks(told, guest, &refusal, Outcome::Failure)
                    .await;
            }
        };
        told.target = wanted.target.host_and_port();
        if let Err(refusal) = self.judge(&mut wanted, &mut told) {
            let outcome = match refusal.reason() {
                Some(_) => Outcome::NotAllowed,
                None => Outcome::Failure,
            };
            return self.refuse_socks(told, guest, &refusal, outcome).await;
        }
        let via = self.hub.proxy.routes.asks().then_some(&[][..]);
        let (peer, far) = match self.far(&wanted, via).await {
            Ok(far) => far,
            Err(Unreached { refusal, cause }) => {
                let outcome = match (refusal.reason(), &cause) {
                    (Some(_), _) => Outcome::NotAllowed,
                    (None, Some(cause)) => outcome_of(cause),
                    (None, None) => Outcome::Failure,
                };
                return self.refuse_socks(told, guest, &refusal, outcome).await;
            }
        };
        told.server = Some(peer);
        let reply = match guest.codec.reply(Outcome::Granted, None) {
            Ok(reply) => reply,
            Err(end) => return self.end_socks(told, of_guest(end)).await,
        };
        if !self.write(&reply).await {
            return self.tell_gone(told).await;
        }
        told.status = 200;
        self.stand(told, far)
    }

    async fn make_socks(&mut self, milliseconds: u32) -> Result<Guest, Cause> {
        let room = self.hub.reserve(0, milliseconds).await?;
        let version = self.hub.registry.socks.current()?;
        let codec = version.module.instantiate().map_err(|fault| {
            fault.settle(fumehood_control::Aftermath::Failed);
            Cause::from(fault)
        })?;
        Ok(Guest { codec, _room: room })
    }

    /// To what the client wants.
    async fn converse(&mut self, guest: &mut Guest, deadline: Instant) -> Result<Wish, End> {
        let setup = &self.seat.listener().setup;
        let wants_login = matches!(setup.admission, fumehood_control::Admission::Login);
        let mut step = guest.codec.serve(wants_login).map_err(of_guest)?;
        for _ in 0..MAX_STEPS {
            let ServerStep { send, asked } = step;
            if !send.is_empty() && !self.write(&send).await {
                return Err(End::Gone);
            }
            step = match asked {
                Asked::Tunnel(to) => return Ok(Wish::Tunnel(to)),
                Asked::Datagrams(from) => return Ok(Wish::Datagrams(from)),
                Asked::Nothing(count) => {
                    let data = self.exactly(count.into(), deadline).await?;
                    guest.codec.hear(&data).map_err(of_guest)?
                }
                Asked::Login(login) => {
                    let refused = self.admit(login, deadline).await.err();
                    let step = guest.codec.admit(refused.is_none());
                    step.map_err(|end| match (of_guest(end), refused) {
                        // Why is known better here.
                        (End::Refused { farewell, .. }, Some(refusal)) => {
                            End::Refused { refusal, farewell }
                        }
                        (end, _) => end,
                    })?
                }
            };
        }
        Err(End::Failed(Cause::Limit("socks-steps".to_owned())))
    }

    /// The next bytes, so many.
    async fn exactly(&mut self, count: usize, deadline: Instant) -> Result<Vec<u8>, End> {
        let mut data = Vec::with_capacity(count);
        let (transport, patience) = (&mut self.transport, &mut self.patience);
        std::future::poll_fn(|cx| {
            while data.len() < count {
                let Poll::Ready(read) = transport.poll_bytes(cx) else {
                    let late = patience.poll(cx, deadline);
                    return late.map(|()| Err(slow()));
                };
                let Ok(bytes @ [_, ..]) = read else {
                    return Poll::Ready(Err(End::Gone));
                };
                let taken = bytes.len().min(count - data.len());
                data.extend_from_slice(&bytes[..taken]);
                transport.consume(taken);
            }
            Poll::Ready(Ok(()))
        })
        .await?;
        Ok(data)
    }

    /// Tells the client that it gets nothing, and the embedder why.
    pub(super) async fn refuse_socks(
        &mut self,
        told: Told,
        mut guest: Guest,
        refusal: &Refusal,
        outcome: Outcome,
    ) -> Next {
        match guest.codec.reply(outcome, None) {
            Ok(reply) => self.close_socks(told, refusal, &reply).await,
            Err(end) => self.end_socks(told, of_guest(end)).await,
        }
    }

    pub(super) async fn end_socks(&mut self, told: Told, end: End) -> Next {
        match end {
            End::Gone => self.tell_gone(told).await,
            End::Refused { refusal, farewell } => self.close_socks(told, &refusal, &farewell).await,
            End::Failed(cause) => {
                self.hub.registry.enforce();
                self.fail(told, &cause).await
            }
        }
    }

    async fn close_socks(&mut self, mut told: Told, refusal: &Refusal, bytes: &[u8]) -> Next {
        told.status = refusal.status();
        told.denied = refusal.reason();
        let written = self.write(bytes).await;
        self.tell(told, refusal.outcome()).await;
        match written {
            true => Next::Close,
            false => Next::Drop,
        }
    }
}

/// SOCKS has no word for it.
fn slow() -> End {
    let detail = "the conversation took too long".to_owned();
    End::Refused {
        refusal: Refusal::new(408, "http_request_error", detail),
        farewell: Vec::new(),
    }
}

pub(super) fn of_guest(end: ServerEnd) -> End {
    match end {
        ServerEnd::Guest(cause) => End::Failed(cause),
        ServerEnd::Login { farewell } => End::Refused {
            refusal: Refusal::nobody(),
            farewell,
        },
        ServerEnd::Client { rule, farewell } => {
            let status = match rule {
                "another-command" => 501,
                _ => 400,
            };
            let detail = format!("the request breaks SOCKS: {rule}");
            End::Refused {
                refusal: Refusal::new(status, "http_request_error", detail),
                farewell,
            }
        }
    }
}

/// The reply that says most of why there is no connection (RFC 1928 section 6).
fn outcome_of(cause: &Cause) -> Outcome {
    match cause {
        Cause::Dial(DialFailure::Outside(_)) => Outcome::NotAllowed,
        Cause::Dial(DialFailure::Resolve(_)) => Outcome::HostUnreachable,
        Cause::Dial(DialFailure::Timeout { .. }) => Outcome::TimedOut,
        Cause::Dial(DialFailure::Connect(attempts)) => {
            let last = attempts.iter().filter_map(|it| it.errno).next_back();
            match last.map(Errno::from_raw_os_error) {
                Some(Errno::CONNREFUSED) => Outcome::ConnectionRefused,
                Some(Errno::NETUNREACH) => Outcome::NetworkUnreachable,
                Some(Errno::HOSTUNREACH) => Outcome::HostUnreachable,
                Some(Errno::TIMEDOUT) => Outcome::TimedOut,
                _ => Outcome::Failure,
            }
        }
        Cause::Proxy { fault, .. } => match &**fault {
            ProxyFault::Cause(cause) => outcome_of(cause),
            _ => Outcome::Failure,
        },
        _ => Outcome::Failure,
    }
}
