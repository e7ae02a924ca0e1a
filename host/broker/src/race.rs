//! Happy Eyeballs (RFC 8305): the first address that answers wins.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use fumehood_control::Attempt;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::connect::Connect;

/// How long an attempt has to itself before the next one starts beside it
/// (RFC 8305 section 5 recommends 250 ms; Firefox uses the same).
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Alternates the address families, beginning with that of the first address
/// and keeping the resolver's order within each (RFC 8305 section 4).
pub(crate) fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else {
        return Vec::new();
    };
    let (own, other): (Vec<_>, Vec<_>) = addresses
        .iter()
        .copied()
        .partition(|it| it.is_ipv4() == first.is_ipv4());
    let mut other = other.into_iter();
    let mut order = Vec::with_capacity(addresses.len());
    for address in own {
        order.push(address);
        order.extend(other.next());
    }
    order.extend(other);
    order
}

/// Connects to one of the addresses, tried in this order: the next one starts
/// [`ATTEMPT_DELAY`] after the last, or at once when an attempt fails. The
/// winner takes all; the others are closed. `None` when all failed.
///
/// `attempts` gets one entry for each attempt that was started and did not
/// win, also where the caller drops this future.
pub(crate) async fn race<C: Connect>(
    connector: &C,
    addresses: &[SocketAddr],
    attempts: &mut Vec<Attempt>,
) -> Option<(SocketAddr, OwnedFd)> {
    let mut waiting = addresses.iter().copied();
    let mut running = FuturesUnordered::new();
    loop {
        if let Some(address) = waiting.next() {
            attempts.push(Attempt {
                address,
                errno: None,
            });
            running.push(async move { (address, connector.connect(address).await) });
        }
        tokio::select! {
            biased;
            ended = running.next() => match ended {
                Some((winner, Ok(socket))) => {
                    attempts.retain(|it| it.address != winner);
                    return Some((winner, socket));
                }
                Some((loser, Err(errno))) => {
                    let of_loser = attempts.iter_mut().find(|it| it.address == loser);
                    if let Some(attempt) = of_loser {
                        attempt.errno = Some(errno.raw_os_error());
                    }
                }
                None => return None,
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if waiting.len() > 0 => {}
        }
    }
}
