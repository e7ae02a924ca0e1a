//! Where an association's datagrams go: for each header that the client writes a
//! target, and a socket that is connected to it and hears no other.
//!
//! A header's bytes mean the same each time, so only the first datagram of a flow is
//! read by the guest and judged by the policy.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fumehood_control::{AccessOutcome, Cause, DatagramTally};
use fumehood_policy::{Denial, Target};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::refusal::Refusal;
use super::told::Told;

/// Most flows of an association: a browser has fewer servers at once. For one more,
/// the one that was silent longest makes room.
pub(super) const MAX_FLOWS: usize = 32;

/// Silence after which a flow ends, as a translator's would (RFC 4787 section 4.3
/// recommends five minutes).
const FLOW_IDLE: Duration = Duration::from_secs(300);

/// Most sockets that are waited for at once, names that are looked up among them.
const MAX_DIALS: usize = 8;

/// Most datagrams of a flow that wait for its socket: what a program sends before it
/// has to hear something.
const MAX_WAITING: usize = 4;

/// How long what cannot be reached is not tried again.
const UNREACHED_FOR: Duration = Duration::from_secs(1);

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Passed,
    /// It is known later.
    Waits,
    Malformed,
    Fragment,
    Oversize,
    Stranger,
    Denied,
    Unreached,
    Overflow,
}

/// A flow that is over, for the log.
pub(super) struct Ended {
    pub(super) told: Told,
    pub(super) outcome: AccessOutcome,
}

/// A flow that is about to be.
pub(super) struct New<'a> {
    pub(super) header: &'a [u8],
    pub(super) target: Target,
    pub(super) told: Told,
    pub(super) now: Instant,
}

/// A socket for a flow, or why there is none.
pub(super) type Dialled = Result<(OwnedFd, SocketAddr), Cause>;

/// An association's flows.
#[derive(Default)]
pub(super) struct Flows {
    all: Vec<Flow>,
    next: u64,
    dials: JoinSet<(u64, Dialled)>,
    ended: Vec<Ended>,
    /// Datagrams that waited for a socket and were given up with it.
    lost: u64,
}

struct Flow {
    number: u64,
    /// What the client's datagrams begin with.
    header: Vec<u8>,
    target: Target,
    state: State,
    last: Instant,
    told: Told,
}

enum State {
    /// These wait for its socket.
    Dialling(VecDeque<Vec<u8>>),
    Open {
        socket: UdpSocket,
        /// What the target's datagrams begin with when the client gets them.
        header: Vec<u8>,
    },
    /// The policy says no.
    Denied,
    /// It was not reached, and has been told of.
    Unreached,
}

/// What came from a target.
pub(super) struct Arrived<'a> {
    /// What the client is to see before it.
    pub(super) header: &'a [u8],
    pub(super) length: usize,
    told: &'a mut Told,
}

impl Arrived<'_> {
    /// It was passed on.
    pub(super) fn note_passed(self) {
        self.told.sent += self.length as u64;
    }
}

impl Flows {
    /// Passes a datagram on, where its header is known.
    pub(super) fn pass(&mut self, datagram: &[u8], now: Instant) -> Option<Fate> {
        let of_header = |flow: &&mut Flow| datagram.starts_with(&flow.header);
        let flow = self.all.iter_mut().find(of_header)?;
        let payload = &datagram[flow.header.len()..];
        if let State::Dialling(_) | State::Open { .. } = flow.state {
            flow.last = now;
        }
        Some(match &mut flow.state {
            State::Denied => Fate::Denied,
            State::Unreached => Fate::Unreached,
            State::Dialling(waiting) if waiting.len() >= MAX_WAITING => Fate::Overflow,
            State::Dialling(waiting) => {
                waiting.push_back(payload.to_vec());
                Fate::Waits
            }
            State::Open { socket, .. } => send_to(socket, payload, &mut flow.told),
        })
    }

    /// Whether as many sockets are waited for as may be.
    pub(super) fn is_busy(&self) -> bool {
        self.dials.len() >= MAX_DIALS
    }

    /// Begins a flow with its first datagram; `dial` brings its socket.
    pub(super) fn begin(
        &mut self,
        flow: New<'_>,
        payload: &[u8],
        dial: impl Future<Output = Dialled> + Send + 'static,
    ) {
        let waiting = VecDeque::from([payload.to_vec()]);
        let number = self.add(flow, State::Dialling(waiting));
        self.dials.spawn(async move { (number, dial.await) });
    }

    /// Remembers where nothing may go, and tells of it once.
    pub(super) fn deny(&mut self, flow: New<'_>, denial: Denial) {
        let mut told = flow.told.clone();
        self.add(flow, State::Denied);
        let refusal = Refusal::denied(denial);
        self.ended.push(refused(&mut told, &refusal));
    }

    fn add(&mut self, flow: New<'_>, state: State) -> u64 {
        if self.all.len() >= MAX_FLOWS {
            let silent = self.all.iter().enumerate().min_by_key(|(_, it)| it.last);
            if let Some((at, _)) = silent {
                self.end(at);
            }
        }
        self.next += 1;
        self.all.push(Flow {
            number: self.next,
            header: flow.header.to_vec(),
            target: flow.target,
            state,
            last: flow.now,
            told: flow.told,
        });
        self.next
    }

    /// The next flow whose socket has come, or will not; its number, and which.
    pub(super) fn poll_dialled(&mut self, cx: &mut Context<'_>) -> Poll<(u64, Dialled)> {
        loop {
            match ready!(self.dials.poll_join_next(cx)) {
                Some(Ok(dialled)) => return Poll::Ready(dialled),
                // It was given up.
                Some(Err(_)) => {}
                None => return Poll::Pending,
            }
        }
    }

    /// Opens a flow, and passes on what waits. What its datagrams are to begin with
    /// when the client gets them is `header`.
    pub(super) fn open(
        &mut self,
        number: u64,
        (socket, peer): (UdpSocket, SocketAddr),
        header: Vec<u8>,
        tally: &mut DatagramTally,
    ) {
        let Some(flow) = self.all.iter_mut().find(|it| it.number == number) else {
            return;
        };
        flow.told.server = Some(peer);
        flow.told.status = 200;
        if let State::Dialling(waiting) = &mut flow.state {
            for payload in std::mem::take(waiting) {
                let fate = send_to(&socket, &payload, &mut flow.told);
                fate.count(tally);
            }
        }
        flow.state = State::Open { socket, header };
    }

    /// A flow's target was not reached.
    pub(super) fn fail(&mut self, number: u64, cause: &Cause, tally: &mut DatagramTally) {
        let Some(flow) = self.all.iter_mut().find(|it| it.number == number) else {
            return;
        };
        let refusal = Refusal::failed(cause, &flow.target);
        let (state, fate) = match refusal.reason() {
            Some(_) => (State::Denied, Fate::Denied),
            None => (State::Unreached, Fate::Unreached),
        };
        if let State::Dialling(waiting) = std::mem::replace(&mut flow.state, state) {
            waiting.iter().for_each(|_| fate.count(tally));
        }
        flow.last = Instant::now();
        self.ended.push(refused(&mut flow.told, &refusal));
    }

    /// A datagram of some target, put into `room`. `None` where one sent an error in
    /// its place: a datagram of ours was not taken, and another may be.
    pub(super) fn poll_arrived<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
        now: Instant,
    ) -> Poll<Option<Arrived<'a>>> {
        for at in 0..self.all.len() {
            let State::Open { socket, .. } = &self.all[at].state else {
                continue;
            };
            if socket.poll_recv_ready(cx).is_pending() {
                continue;
            }
            let length = match socket.try_recv(room) {
                Ok(length) => length,
                Err(_) => return Poll::Ready(None),
            };
            // The others come first the next time.
            let flow = self.all.remove(at);
            self.all.push(flow);
            let Some(Flow {
                state: State::Open { header, .. },
                last,
                told,
                ..
            }) = self.all.last_mut()
            else {
                return Poll::Ready(None);
            };
            *last = now;
            return Poll::Ready(Some(Arrived {
                header,
                length,
                told,
            }));
        }
        Poll::Pending
    }

    /// Ends flows that have been silent for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(at) = self.all.iter().position(|it| it.ends() <= now) {
            self.end(at);
        }
    }

    /// When the next of them will have been.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.all.iter().map(Flow::ends).min()
    }

    /// Ends all.
    pub(super) fn end_all(&mut self) {
        while !self.all.is_empty() {
            self.end(self.all.len() - 1);
        }
        self.dials.abort_all();
    }

    fn end(&mut self, at: usize) {
        let flow = self.all.remove(at);
        match flow.state {
            State::Open { .. } => self.ended.push(Ended {
                told: flow.told,
                outcome: AccessOutcome::Tunnelled,
            }),
            // It was silent longest, or is given up with all others: what comes of
            // its dial is closed.
            State::Dialling(waiting) => {
                self.lost += waiting.len() as u64;
                self.ended.push(Ended {
                    told: flow.told,
                    outcome: AccessOutcome::Failed("client_gone".to_owned()),
                });
            }
            State::Denied | State::Unreached => {}
        }
    }

    /// How many datagrams were given up since this was asked.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Those that are over and not told of.
    pub(super) fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    /// Whether there are such.
    pub(super) fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }
}

impl Flow {
    fn ends(&self) -> Instant {
        match self.state {
            State::Unreached => self.last + UNREACHED_FOR,
            State::Dialling(_) | State::Open { .. } | State::Denied => self.last + FLOW_IDLE,
        }
    }
}

impl Fate {
    /// Counts it; what waits is counted when it goes.
    pub(super) fn count(self, tally: &mut DatagramTally) {
        let counter = match self {
            Fate::Waits => return,
            Fate::Passed => &mut tally.received,
            Fate::Malformed => &mut tally.malformed,
            Fate::Fragment => &mut tally.fragments,
            Fate::Oversize => &mut tally.oversize,
            Fate::Stranger => &mut tally.strangers,
            Fate::Denied => &mut tally.denied,
            Fate::Unreached => &mut tally.unreached,
            Fate::Overflow => &mut tally.overflow,
        };
        *counter += 1;
    }
}

/// How it ended, where nothing went.
fn refused(told: &mut Told, refusal: &Refusal) -> Ended {
    told.status = refusal.status();
    told.denied = refusal.reason();
    Ended {
        told: told.clone(),
        outcome: refusal.outcome(),
    }
}

/// Sends a client's datagram to its target.
fn send_to(socket: &UdpSocket, payload: &[u8], told: &mut Told) -> Fate {
    let fate = datagram(socket, payload);
    if fate == Fate::Passed {
        told.received += payload.len() as u64;
    }
    fate
}

/// Gives the kernel a datagram. It takes it at once or never.
pub(super) fn datagram(socket: &impl AsFd, bytes: &[u8]) -> Fate {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let mut sent = send(socket, bytes, flags);
    if sent == Err(Errno::CONNREFUSED) {
        // That was said of one before, and is forgotten now.
        sent = send(socket, bytes, flags);
    }
    match sent {
        Ok(_) => Fate::Passed,
        Err(Errno::AGAIN | Errno::NOBUFS) => Fate::Overflow,
        Err(Errno::MSGSIZE) => Fate::Oversize,
        Err(_) => Fate::Unreached,
    }
}

#[cfg(test)]
mod tests {
    use fumehood_control::ClientProtocol;

    use super::*;

    fn new(header: &[u8], now: Instant) -> New<'_> {
        New {
            header,
            target: Target::datagrams(([127, 0, 0, 1], 9).into()),
            told: Told::new(ClientProtocol::Socks5),
            now,
        }
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_what_is_given_up_is_counted() {
        let (mut flows, now) = (Flows::default(), Instant::now());
        for number in 0..MAX_DIALS {
            assert!(!flows.is_busy());
            flows.begin(
                new(&number.to_be_bytes(), now),
                b"x",
                std::future::pending(),
            );
        }
        assert!(flows.is_busy());
        let first = 0_usize.to_be_bytes();
        for _ in 1..MAX_WAITING {
            assert_eq!(flows.pass(&first, now), Some(Fate::Waits));
        }
        assert_eq!(flows.pass(&first, now), Some(Fate::Overflow));
        assert_eq!(flows.take_lost(), 0);
        flows.expire(now + FLOW_IDLE);
        assert_eq!(flows.pass(&first, now), None);
        assert_eq!(flows.take_lost(), (MAX_DIALS + MAX_WAITING - 1) as u64);
        assert_eq!(flows.take_ended().len(), MAX_DIALS);
    }

    #[tokio::test]
    async fn what_was_not_reached_is_tried_again_later() {
        let (mut flows, now) = (Flows::default(), Instant::now());
        let mut tally = DatagramTally::default();
        flows.begin(new(b"a", now), b"x", std::future::pending());
        flows.fail(1, &Cause::Busy, &mut tally);
        assert_eq!(tally.unreached, 1);
        assert_eq!(flows.pass(b"a", now), Some(Fate::Unreached));
        flows.expire(Instant::now() + UNREACHED_FOR);
        assert_eq!(flows.pass(b"a", now), None);
        assert_eq!(flows.take_lost(), 0);
    }

    #[tokio::test]
    async fn who_was_silent_longest_makes_room() {
        let (mut flows, now) = (Flows::default(), Instant::now());
        let denial = || Denial {
            target: Target::datagrams(([127, 0, 0, 1], 9).into()),
            reason: fumehood_policy::Reason::NotAllowed,
        };
        let header = |number: usize| number.to_be_bytes();
        for number in 0..=MAX_FLOWS {
            let later = now + Duration::from_millis(number as u64);
            flows.deny(new(&header(number), later), denial());
        }
        assert_eq!(flows.pass(&header(0), now), None);
        assert_eq!(flows.pass(&header(1), now), Some(Fate::Denied));
        assert_eq!(flows.all.len(), MAX_FLOWS);
    }
}
