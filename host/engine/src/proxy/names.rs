//! A program that asks for names, over a stream or by datagrams that the embedder
//! hands on: what it asks is read by a guest, judged here, and resolved by another
//! instance of that guest.
//!
//! A question can tell things to whoever is asked, so one is passed on only where
//! a connection to that name may be had. Nothing is dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use fumehood_control::{
    AccessOutcome, Admission, Aftermath, ClientProtocol, ListenerId, MAX_ACCESS_TARGET_BYTES,
    MAX_QUESTION_BYTES, NameAnswer, NameCause, NameQuery, RecordData, RecordType, ToEmbedder,
    Unresolved, Wanted,
};
use fumehood_policy::{ClientName, Decision, Denial, Host, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::listener::{Listener, Seat};
use super::told::{Told, tell_of};
use crate::dns::questions::{Asked, Carrier, Found, Questions, Reading, Sought, Verdict, address};
use crate::hub::Hub;
use crate::instance::{Fault, bounded};

/// How long a name may take. Programs ask again after five seconds and give up
/// after ten or more.
const PATIENCE_MS: u32 = 10_000;

/// Serves a connection that was accepted: one question after another, each with
/// its answer before the next is read (RFC 7766 section 6.2.1.1 leaves that open).
pub(super) async fn serve(hub: Arc<Hub>, seat: Seat, mut stream: TcpStream) {
    let listener = Arc::clone(seat.listener());
    let bounds = listener.setup.bounds;
    let (idle, whole) = (millis(bounds.keep_alive_ms), millis(bounds.head_ms));
    let mut draining = listener.draining();
    loop {
        // Whoever is silent for long, or slow, asks anew when it has something to ask.
        let begun = tokio::select! {
            biased;
            begun = timeout(idle, stream.readable()) => matches!(begun, Ok(Ok(()))),
            _ = draining.wait_for(|it| *it) => false,
        };
        if !begun {
            return;
        }
        let Ok(Some(message)) = timeout(whole, next_message(&hub, &mut stream)).await else {
            return;
        };
        let asking = Asking::new(&hub, &listener, Some(&seat));
        let Some(reply) = asking.answer(&message, Carrier::Stream).await else {
            return;
        };
        if !matches!(timeout(whole, stream.write_all(&reply)).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// Answers a datagram, be it with nothing.
pub(crate) async fn datagram(hub: &Arc<Hub>, id: u64, listener: ListenerId, message: &[u8]) {
    let listener = timeout(millis(PATIENCE_MS), hub.proxy.listener_to_be(listener));
    let bytes = match listener.await.ok().flatten() {
        Some(listener) if message.len() <= MAX_QUESTION_BYTES => {
            let asking = Asking::new(hub, &listener, None);
            let reply = asking.answer(message, Carrier::Datagram).await;
            reply.unwrap_or_default()
        }
        _ => Vec::new(),
    };
    // Nobody is left to tell when this fails.
    let _gone = hub.outbox.send(ToEmbedder::Replied { id, bytes }).await;
}

/// The next message of a stream, as long as a guest says that it is.
async fn next_message(hub: &Hub, stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let missing = consult(hub, |guest| guest.missing(&message)).await?;
        if missing == 0 {
            return Some(message);
        }
        let (seen, whole) = (message.len(), message.len().checked_add(missing)?);
        if whole > MAX_QUESTION_BYTES {
            return None;
        }
        message.resize(whole, 0);
        stream.read_exact(&mut message[seen..]).await.ok()?;
    }
}

/// Makes a call of the guest, with room for its instance. What ends the guest ends
/// what it was asked for, and counts against its version.
async fn consult<T>(hub: &Hub, call: impl FnOnce(&Questions) -> Result<T, Fault>) -> Option<T> {
    let _room = hub.reserve(0, PATIENCE_MS).await.ok()?;
    let version = hub.registry.dns.current().ok()?;
    let _active = hub.ticker.activate();
    let called = call(version.module.questions());
    called
        .inspect_err(|fault| {
            fault.settle(Aftermath::Failed);
            hub.registry.enforce();
        })
        .ok()
}

/// One question, and who asks.
struct Asking<'a> {
    hub: &'a Hub,
    listener: &'a Listener,
    /// Of a stream.
    seat: Option<&'a Seat>,
    client: Option<&'a ClientName>,
}

/// What becomes of a question, and how that is told.
struct Settled {
    verdict: Verdict,
    outcome: AccessOutcome,
    denial: Option<Denial>,
}

impl<'a> Asking<'a> {
    fn new(hub: &'a Hub, listener: &'a Listener, seat: Option<&'a Seat>) -> Self {
        let client = match &listener.setup.admission {
            Admission::Anyone(leave) => leave.client.as_ref(),
            Admission::Login => None,
        };
        Asking {
            hub,
            listener,
            seat,
            client,
        }
    }

    /// What is to be sent; nothing where the message is no question, or no guest is
    /// left that can read it.
    async fn answer(&self, message: &[u8], carrier: Carrier) -> Option<Vec<u8>> {
        let asked = match consult(self.hub, |guest| guest.read(message, carrier)).await? {
            Reading::Nothing => return None,
            Reading::Reply(bytes) => return Some(bytes),
            Reading::Question(asked) => asked,
        };
        let mut told = Told::new(ClientProtocol::Dns);
        told.user = self.client.cloned();
        told.method = type_of(asked.sought).to_owned();
        told.target = bounded(&asked.name);
        told.target
            .truncate(told.target.floor_char_boundary(MAX_ACCESS_TARGET_BYTES));
        told.received = message.len() as u64;
        let Settled {
            verdict,
            outcome,
            denial,
        } = self.settle(&asked).await;
        let reply = consult(self.hub, |guest| guest.answer(message, carrier, &verdict)).await;
        told.sent = reply.as_ref().map_or(0, |reply| reply.len() as u64);
        told.denied = denial.map(|it| it.reason);
        let peer = self.seat.and_then(Seat::peer);
        tell_of(self.hub, &self.listener.setup, peer, told, outcome).await;
        reply
    }

    async fn settle(&self, asked: &Asked) -> Settled {
        // Without a policy nothing is served, and there is none for a moment only.
        let Some(policy) = self.hub.proxy.policy() else {
            return Settled::failed();
        };
        let Ok(host @ Host::Name(_)) = Host::parse(&asked.name) else {
            return Settled::no_host();
        };
        if host.is_localhost() {
            return Settled::loopback(asked.sought);
        }
        if let Err(denial) = self.pass(policy.decide_lookup(&host, self.client)).await {
            return Settled::denied(denial);
        }
        // Then proxies resolve names, and a question goes past none of them.
        if self.hub.proxy.routes.asks() {
            return Settled::served(Verdict::NoSuchRecord);
        }
        let kind = match asked.sought {
            Sought::Ipv4 => RecordType::A,
            Sought::Ipv6 => RecordType::Aaaa,
            // Connections take addresses and nothing else.
            Sought::Other => return Settled::served(Verdict::NoSuchRecord),
        };
        let query = NameQuery {
            // As it stands: search domains are the program's own business.
            name: format!("{host}."),
            wanted: Wanted::Records(kind),
            cached: true,
            traced: false,
            // Which of them may be known is for the policy to say.
            private: true,
            deadline_ms: PATIENCE_MS,
        };
        match self.hub.names.ask(query).await {
            Ok(answer) => self.found(&policy, &host, answer).await,
            Err(Unresolved::Failure(failure)) => Settled::unresolved(&failure.cause),
            // It was settled where it ended.
            Err(Unresolved::Guest(_)) => Settled::failed(),
        }
    }

    /// Leaves out what could not be connected to.
    async fn found(&self, policy: &Policy, host: &Host, answer: NameAnswer) -> Settled {
        let found: Vec<IpAddr> = answer
            .records
            .iter()
            .filter_map(RecordData::address)
            .collect();
        let (mut addresses, mut refused) = (Vec::new(), None);
        for it in &found {
            let decision = policy.decide_found(host, self.client, *it);
            match self.pass(decision).await {
                Ok(()) => addresses.push(address(*it)),
                Err(denial) => refused = refused.or(Some(denial)),
            }
        }
        match refused {
            Some(denial) if addresses.is_empty() => Settled::denied(denial),
            _ if addresses.is_empty() => Settled::served(Verdict::NoSuchRecord),
            _ => Settled::served(Verdict::Found(Found {
                aliases: answer.aliases,
                addresses,
                ttl_s: answer.ttl_s,
            })),
        }
    }

    /// Tells of what is only reported.
    async fn pass(&self, decision: Decision) -> Result<(), Denial> {
        match decision {
            Decision::Allow(_) => Ok(()),
            Decision::Report(denial) => {
                // Nobody is left to tell when this fails.
                let _gone = self.hub.outbox.send(ToEmbedder::Reported(denial)).await;
                Ok(())
            }
            Decision::Deny(denial) => Err(denial),
            Decision::Ask(question) => Err(question.unanswered()),
        }
    }
}

impl Settled {
    fn served(verdict: Verdict) -> Settled {
        Settled {
            verdict,
            outcome: AccessOutcome::Served,
            denial: None,
        }
    }

    /// Nothing came of it (RFC 9209 section 2.3.2).
    fn failed() -> Settled {
        Settled {
            outcome: AccessOutcome::Failed("dns_error".to_owned()),
            ..Settled::served(Verdict::Failed)
        }
    }

    fn denied(denial: Denial) -> Settled {
        let reason = denial.reason.name().to_owned();
        Settled {
            verdict: Verdict::Refused(reason.clone()),
            outcome: AccessOutcome::Denied(reason),
            denial: Some(denial),
        }
    }

    /// No rule can speak of such a name.
    fn no_host() -> Settled {
        let reason = "no-host-name".to_owned();
        Settled {
            verdict: Verdict::Refused(reason.clone()),
            outcome: AccessOutcome::Denied(reason),
            denial: None,
        }
    }

    /// The program's own loopback (RFC 6761 section 6.3).
    fn loopback(sought: Sought) -> Settled {
        let itself: IpAddr = match sought {
            Sought::Ipv4 => Ipv4Addr::LOCALHOST.into(),
            Sought::Ipv6 => Ipv6Addr::LOCALHOST.into(),
            Sought::Other => return Settled::served(Verdict::NoSuchRecord),
        };
        Settled::served(Verdict::Found(Found {
            aliases: Vec::new(),
            addresses: vec![address(itself)],
            ttl_s: 0,
        }))
    }

    fn unresolved(cause: &NameCause) -> Settled {
        match cause {
            NameCause::NoSuchName | NameCause::SpecialName(_) | NameCause::BadName(_) => {
                Settled::served(Verdict::NoSuchName)
            }
            NameCause::NoSuchRecord => Settled::served(Verdict::NoSuchRecord),
            _ => Settled::failed(),
        }
    }
}

fn type_of(sought: Sought) -> &'static str {
    match sought {
        Sought::Ipv4 => "A",
        Sought::Ipv6 => "AAAA",
        Sought::Other => "other",
    }
}

fn millis(milliseconds: u32) -> Duration {
    Duration::from_millis(milliseconds.into())
}
