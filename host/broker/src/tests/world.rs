//! A simulated network and resolver, on tokio's paused clock.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fumehood_policy::{DnsName, Policy, RequestUrl, Target, Terms};
use rustix::io::Errno;
use tokio::time::Instant;

use crate::connect::Connect;
use crate::grants::Leave;
use crate::resolve::Resolve;

/// What a simulated address does with an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer {
    /// Accepts after so many milliseconds.
    Accepts(u64),
    /// Fails after so many milliseconds.
    Fails(u64, Errno),
    /// Drops every packet.
    BlackHole,
}

/// Addresses and what they do; one that is not listed is a black hole.
#[derive(Clone, Debug)]
pub(super) struct Network {
    peers: Arc<HashMap<SocketAddr, Peer>>,
    seen: Arc<Mutex<Seen>>,
    begun: Instant,
}

/// What happened on the network.
#[derive(Debug, Default)]
struct Seen {
    started: Vec<(u64, SocketAddr)>,
    open: usize,
}

impl Network {
    pub(super) fn new(peers: &[(&str, Peer)]) -> Self {
        let peers = peers
            .iter()
            .map(|(address, peer)| (endpoint(address), *peer))
            .collect();
        Network {
            peers: Arc::new(peers),
            seen: Arc::default(),
            begun: Instant::now(),
        }
    }

    /// When attempts were started, in milliseconds, and to whom.
    pub(super) fn started(&self) -> Vec<(u64, String)> {
        let seen = self.seen.lock().unwrap();
        seen.started
            .iter()
            .map(|(at, address)| (*at, address.to_string()))
            .collect()
    }

    /// Attempts that are neither done nor closed.
    pub(super) fn open(&self) -> usize {
        self.seen.lock().unwrap().open
    }

    /// Milliseconds since it was made.
    pub(super) fn elapsed(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap()
    }
}

/// Counts an attempt as closed when it is dropped.
struct Open(Arc<Mutex<Seen>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().unwrap().open -= 1;
    }
}

impl Connect for Network {
    async fn connect(&self, address: SocketAddr) -> Result<OwnedFd, Errno> {
        let open = {
            let mut seen = self.seen.lock().unwrap();
            seen.started.push((self.elapsed(), address));
            seen.open += 1;
            Open(Arc::clone(&self.seen))
        };
        let wait = |ms| tokio::time::sleep(Duration::from_millis(ms));
        let ended = match self.peers.get(&address).copied().unwrap_or(Peer::BlackHole) {
            Peer::Accepts(ms) => {
                wait(ms).await;
                Ok(UnixStream::pair().unwrap().0.into())
            }
            Peer::Fails(ms, errno) => {
                wait(ms).await;
                Err(errno)
            }
            Peer::BlackHole => std::future::pending().await,
        };
        drop(open);
        ended
    }

    /// As a peer that accepts at once: nothing is sent.
    async fn associate(&self, address: SocketAddr) -> Result<OwnedFd, Errno> {
        let at = self.elapsed();
        self.seen.lock().unwrap().started.push((at, address));
        Ok(UnixStream::pair().unwrap().0.into())
    }
}

/// Answers of a resolver: the first lookup of a name gets the first, and so
/// on; the last is repeated.
#[derive(Debug, Default)]
pub(super) struct Names {
    answers: HashMap<String, Vec<Answer>>,
    asked: Mutex<Vec<String>>,
}

/// One answer.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Addresses(Vec<IpAddr>),
    Error(&'static str),
    /// After so many milliseconds.
    Late(u64, Vec<IpAddr>),
    Never,
}

impl Names {
    pub(super) fn new(answers: &[(&str, &[Answer])]) -> Self {
        let answers = answers
            .iter()
            .map(|(name, them)| ((*name).to_owned(), them.to_vec()));
        Names {
            answers: answers.collect(),
            asked: Mutex::default(),
        }
    }

    /// The names asked for, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// An answer of addresses.
pub(super) fn are(addresses: &[&str]) -> Answer {
    Answer::Addresses(addresses.iter().map(|it| it.parse().unwrap()).collect())
}

impl Resolve for Names {
    async fn resolve(&self, name: &DnsName) -> Result<Vec<IpAddr>, String> {
        let times = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(name.to_string());
            asked.iter().filter(|it| *it == name.as_str()).count()
        };
        let answers = &self.answers[name.as_str()];
        match answers[(times - 1).min(answers.len() - 1)].clone() {
            Answer::Addresses(addresses) => Ok(addresses),
            Answer::Error(why) => Err(why.to_owned()),
            Answer::Late(ms, addresses) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok(addresses)
            }
            Answer::Never => std::future::pending().await,
        }
    }
}

pub(super) fn endpoint(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn target(url: &str) -> Target {
    RequestUrl::parse(url).unwrap().target
}

/// Leave for it, whoever asks.
pub(super) fn leave(url: &str) -> Leave {
    Leave {
        target: target(url),
        proxy: None,
        terms: Terms::default(),
        own: Vec::new(),
    }
}

/// The default policy with these private hosts.
pub(super) fn allowing(private: &[&str]) -> Policy {
    let mut policy = Policy::default();
    for host in private {
        policy.allow_private(host.parse().unwrap()).unwrap();
    }
    policy
}
