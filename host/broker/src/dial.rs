//! One dial: check the target, resolve, check every address, connect.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use fumehood_control::{Attempt, DialFailure, FirstHop, MAX_CANDIDATES};
use fumehood_policy::{Decision, Denial, Host, Policy, Scheme, Target, Terms, Transport};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::connect::Connect;
use crate::grants::Leave;
use crate::race::{interleaved, race};
use crate::resolve::{Resolve, addresses};
use crate::servers::Source;
use crate::sockets;

/// Longest time that a dial may take, whatever was asked for: the longest
/// deadline of an exchange's phase. It bounds how long a place is held.
pub const MAX_DEADLINE: Duration = Duration::from_secs(300);

/// How the world is reached.
#[derive(Debug)]
pub(crate) struct Dialler<R, C> {
    /// For names.
    pub(crate) resolver: R,
    /// For addresses.
    pub(crate) connector: C,
    /// Where would-be denials are told; what finds it full is not told.
    pub(crate) reports: mpsc::Sender<Denial>,
}

/// A connection and how it came about.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: SocketAddr,
    pub(crate) refused: Vec<SocketAddr>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) resolving: Duration,
    pub(crate) connecting: Duration,
}

/// A name's addresses, judged; each as it is then dialled.
struct Judged {
    passed: Vec<SocketAddr>,
    refused: Vec<SocketAddr>,
    first_denial: Option<Denial>,
    /// One of them is a listener of ours.
    circles: bool,
}

impl<R: Resolve, C: Connect> Dialler<R, C> {
    /// Connects to a target, or says why not, by `deadline`.
    pub(crate) async fn dial(
        &self,
        policy: &Policy,
        leave: &Leave,
        source: Source,
        deadline: Instant,
    ) -> Result<Connected, DialFailure> {
        let Leave {
            target,
            proxy,
            terms,
            own: _,
        } = leave;
        let host = match proxy {
            None => {
                permitted(policy.decide(target, terms))?;
                &target.host
            }
            Some(FirstHop {
                server,
                naming,
                unseen,
            }) => {
                permitted(match unseen {
                    true => policy.decide_unseen(target, terms),
                    false => policy.decide(target, terms),
                })?;
                permitted(policy.decide_proxy(server, *naming, terms))?;
                &server.host
            }
        };
        let begun = Instant::now();
        let candidates = self.look(host, source, deadline).await?;
        let resolving = if host.address().is_some() {
            Duration::ZERO
        } else {
            begun.elapsed()
        };

        let Judged {
            passed,
            refused,
            first_denial,
            circles,
        } = self.judge(policy, leave, &candidates);
        if passed.is_empty() {
            return Err(match first_denial {
                Some(denial) => DialFailure::Denied(denial),
                None if circles => DialFailure::Loop,
                None => no_address(),
            });
        }
        let begun = Instant::now();
        let mut attempts = Vec::new();
        let order = interleaved(&passed);
        // What was judged as datagrams is dialled as such, and nothing else is.
        let connecting = async {
            match (proxy, target.scheme) {
                (None, Scheme::Udp) => associate(&self.connector, &order, &mut attempts).await,
                _ => race(&self.connector, &order, &mut attempts).await,
            }
        };
        let won = timeout_at(deadline, connecting)
            .await
            .map_err(|_| DialFailure::Timeout { resolving: false })?;
        match won {
            Some((peer, socket)) => {
                let connecting = begun.elapsed();
                Ok(Connected {
                    socket,
                    peer,
                    refused,
                    attempts,
                    resolving,
                    connecting,
                })
            }
            None => Err(DialFailure::Connect(attempts)),
        }
    }

    /// The addresses of a host, not judged yet; the first [`MAX_CANDIDATES`].
    pub(crate) async fn look(
        &self,
        host: &Host,
        source: Source,
        deadline: Instant,
    ) -> Result<Vec<IpAddr>, DialFailure> {
        let mut candidates = match (host, source) {
            (Host::Name(name), Source::Engine(found)) if !name.is_localhost() => {
                found.ok_or_else(nobody_asked)?
            }
            _ => timeout_at(deadline, addresses(&self.resolver, host))
                .await
                .map_err(|_| DialFailure::Timeout { resolving: true })?
                .map_err(DialFailure::Resolve)?,
        };
        candidates.truncate(MAX_CANDIDATES);
        Ok(candidates)
    }

    /// Judges addresses, each once.
    fn judge(&self, policy: &Policy, leave: &Leave, candidates: &[IpAddr]) -> Judged {
        let Leave {
            target,
            proxy,
            terms,
            own,
        } = leave;
        let port = proxy.as_ref().map_or(target.port, |it| it.server.port);
        let decide = |address| match proxy {
            None => policy.decide_address(target, terms, address),
            Some(FirstHop { server, naming, .. }) => {
                policy.decide_proxy_address(server, *naming, terms, address)
            }
        };
        let mut judged = Judged {
            passed: Vec::new(),
            refused: Vec::new(),
            first_denial: None,
            circles: false,
        };
        for (at, address) in candidates.iter().enumerate() {
            if candidates[..at].contains(address) {
                continue;
            }
            let endpoint = SocketAddr::new(*address, port);
            if proxy.is_some() && own.iter().any(|it| listens_at(*it, endpoint)) {
                judged.refused.push(endpoint);
                judged.circles = true;
                continue;
            }
            match decide(*address) {
                Decision::Allow(_) => judged.passed.push(endpoint),
                Decision::Report(denial) => {
                    judged.passed.push(endpoint);
                    // The embedder told of what is known without an address.
                    if !matches!(policy.decide(target, terms), Decision::Report(_)) {
                        let _full = self.reports.try_send(denial);
                    }
                }
                Decision::Deny(denial) => {
                    judged.refused.push(endpoint);
                    judged.first_denial.get_or_insert(denial);
                }
                Decision::Ask(question) => {
                    judged.refused.push(endpoint);
                    judged.first_denial.get_or_insert(question.unanswered());
                }
            }
        }
        judged
    }

    /// The addresses of a driver's host that pass as one of the targets.
    pub(crate) async fn look_up(
        &self,
        policy: &Policy,
        host: &Host,
        (targets, terms): (&[Target], &Terms),
        source: Source,
        deadline: Instant,
    ) -> Result<Vec<IpAddr>, DialFailure> {
        let candidates = self.look(host, source, deadline).await?;
        let judged = sockets::judge(policy, terms, targets, &candidates)?;
        for denial in judged.reported {
            let _full = self.reports.try_send(denial);
        }
        Ok(judged.passed)
    }

    /// A driver's socket, connected to an address that passed.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
        transport: Transport,
        deadline: Instant,
    ) -> Result<Connected, DialFailure> {
        let begun = Instant::now();
        let connecting = async {
            match transport {
                Transport::Tcp => self.connector.connect(address).await,
                Transport::Udp => self.connector.associate(address).await,
            }
        };
        let socket = timeout_at(deadline, connecting)
            .await
            .map_err(|_| DialFailure::Timeout { resolving: false })?
            .map_err(|errno| {
                DialFailure::Connect(vec![Attempt {
                    address,
                    errno: Some(errno.raw_os_error()),
                }])
            })?;
        Ok(Connected {
            connecting: begun.elapsed(),
            ..Connected::at_once(socket, address)
        })
    }
}

impl Connected {
    /// Without an attempt that failed.
    pub(crate) fn at_once(socket: OwnedFd, peer: SocketAddr) -> Self {
        Connected {
            socket,
            peer,
            refused: Vec::new(),
            attempts: Vec::new(),
            resolving: Duration::ZERO,
            connecting: Duration::ZERO,
        }
    }
}

/// A UDP socket to the first of the addresses that there is a way to: nobody there
/// has to answer for that.
async fn associate<C: Connect>(
    connector: &C,
    addresses: &[SocketAddr],
    attempts: &mut Vec<Attempt>,
) -> Option<(SocketAddr, OwnedFd)> {
    for address in addresses {
        match connector.associate(*address).await {
            Ok(socket) => return Some((*address, socket)),
            Err(errno) => attempts.push(Attempt {
                address: *address,
                errno: Some(errno.raw_os_error()),
            }),
        }
    }
    None
}

/// An engine that does as it is told has asked its resolver first.
fn nobody_asked() -> DialFailure {
    DialFailure::Resolve("the engine did not ask its resolver".to_owned())
}

/// The embedder has told of what is only reported.
fn permitted(decision: Decision) -> Result<(), DialFailure> {
    match decision {
        Decision::Allow(_) | Decision::Report(_) => Ok(()),
        Decision::Deny(denial) => Err(DialFailure::Denied(denial)),
        Decision::Ask(question) => Err(DialFailure::Denied(question.unanswered())),
    }
}

/// Whether a listener of this machine is what answers there. One that listens on
/// every address is known by those of loopback alone.
fn listens_at(listener: SocketAddr, endpoint: SocketAddr) -> bool {
    let (own, there) = (listener.ip().to_canonical(), endpoint.ip().to_canonical());
    let same = own == there || own.is_unspecified() && there.is_loopback();
    listener.port() == endpoint.port() && same
}

pub(crate) fn no_address() -> DialFailure {
    DialFailure::Resolve("the name exists but has no address".to_owned())
}
