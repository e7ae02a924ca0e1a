//! Happy Eyeballs on a simulated clock.

use fumehood_control::Attempt;
use rustix::io::Errno;

use super::world::{Network, Peer, endpoint};
use crate::race::{interleaved, race};

const A: &str = "[2606:4700::1]:443";
const B: &str = "1.1.1.1:443";
const C: &str = "[2606:4700::2]:443";
const D: &str = "8.8.8.8:443";

/// Races these in order; gives the winner and the attempts that did not win.
async fn raced(network: &Network, order: &[&str]) -> (Option<String>, Vec<Attempt>) {
    let order: Vec<_> = order.iter().map(|it| endpoint(it)).collect();
    let mut attempts = Vec::new();
    let won = race(network, &order, &mut attempts).await;
    (won.map(|(winner, _)| winner.to_string()), attempts)
}

fn tried(address: &str, errno: Option<Errno>) -> Attempt {
    Attempt {
        address: endpoint(address),
        errno: errno.map(Errno::raw_os_error),
    }
}

fn at(times: &[(u64, &str)]) -> Vec<(u64, String)> {
    times
        .iter()
        .map(|(ms, address)| (*ms, (*address).to_owned()))
        .collect()
}

#[test]
fn families_alternate_and_keep_their_order() {
    for (from, to) in [
        (vec![], vec![]),
        (vec![A], vec![A]),
        (vec![A, C, B, D], vec![A, B, C, D]),
        (vec![B, D, A, C], vec![B, A, D, C]),
        (vec![A, C, B], vec![A, B, C]),
        (vec![A, B, D], vec![A, B, D]),
        (vec![B, A, D, C], vec![B, A, D, C]),
    ] {
        let parse = |them: Vec<&str>| them.into_iter().map(endpoint).collect::<Vec<_>>();
        assert_eq!(interleaved(&parse(from)), parse(to));
    }
}

#[tokio::test(start_paused = true)]
async fn a_quick_first_address_is_the_only_one_tried() {
    let network = Network::new(&[(A, Peer::Accepts(249)), (B, Peer::Accepts(0))]);
    let (won, attempts) = raced(&network, &[A, B]).await;
    assert_eq!((won.as_deref(), attempts), (Some(A), vec![]));
    assert_eq!(network.started(), at(&[(0, A)]));
}

#[tokio::test(start_paused = true)]
async fn a_slow_address_is_overtaken_and_closed() {
    let network = Network::new(&[(B, Peer::Accepts(20))]);
    let (won, attempts) = raced(&network, &[A, B, C]).await;
    assert_eq!((won.as_deref(), attempts), (Some(B), vec![tried(A, None)]));
    assert_eq!(network.started(), at(&[(0, A), (250, B)]));
    assert_eq!(network.elapsed(), 270);
    assert_eq!(network.open(), 0, "the loser is closed");
}

#[tokio::test(start_paused = true)]
async fn a_slow_address_may_still_win() {
    let network = Network::new(&[(A, Peer::Accepts(300)), (B, Peer::Accepts(100))]);
    let (won, attempts) = raced(&network, &[A, B]).await;
    assert_eq!((won.as_deref(), attempts), (Some(A), vec![tried(B, None)]));
    assert_eq!((network.elapsed(), network.open()), (300, 0));
}

#[tokio::test(start_paused = true)]
async fn a_failure_starts_the_next_at_once() {
    let network = Network::new(&[
        (A, Peer::Fails(10, Errno::NETUNREACH)),
        (B, Peer::Fails(5, Errno::CONNREFUSED)),
        (C, Peer::Accepts(1)),
    ]);
    let (won, attempts) = raced(&network, &[A, B, C, D]).await;
    assert_eq!(won.as_deref(), Some(C));
    let failed = [(A, Errno::NETUNREACH), (B, Errno::CONNREFUSED)];
    assert_eq!(
        attempts,
        failed.map(|(address, why)| tried(address, Some(why)))
    );
    assert_eq!(network.started(), at(&[(0, A), (10, B), (15, C)]));
}

#[tokio::test(start_paused = true)]
async fn the_delay_counts_from_the_last_attempt() {
    let network = Network::new(&[
        (A, Peer::Fails(100, Errno::CONNREFUSED)),
        (D, Peer::Accepts(0)),
    ]);
    let (won, _) = raced(&network, &[A, B, C, D]).await;
    assert_eq!(won.as_deref(), Some(D));
    assert_eq!(
        network.started(),
        at(&[(0, A), (100, B), (350, C), (600, D)])
    );
}

#[tokio::test(start_paused = true)]
async fn all_fail_with_what_each_said() {
    let network = Network::new(&[
        (A, Peer::Fails(400, Errno::TIMEDOUT)),
        (B, Peer::Fails(0, Errno::CONNREFUSED)),
    ]);
    let (won, attempts) = raced(&network, &[A, B]).await;
    assert_eq!(won, None);
    let failed = [(A, Errno::TIMEDOUT), (B, Errno::CONNREFUSED)];
    assert_eq!(
        attempts,
        failed.map(|(address, why)| tried(address, Some(why)))
    );
    assert_eq!(network.elapsed(), 400);
}

#[tokio::test(start_paused = true)]
async fn no_address_is_no_winner() {
    let (won, attempts) = raced(&Network::new(&[]), &[]).await;
    assert_eq!((won, attempts), (None, vec![]));
}
