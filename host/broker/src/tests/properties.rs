//! For any host and any answer: what was judged is what is looked up and
//! dialled, byte for byte.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fumehood_control::MAX_CANDIDATES;
use fumehood_policy::{
    Decision, DnsName, Effect, Host, HostPattern, Policy, Rule, Scheme, Target, Terms,
};
use proptest::prelude::*;
use rustix::io::Errno;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::world::{Network, Peer};
use crate::dial::Dialler;
use crate::grants::Leave;
use crate::resolve::{Resolve, System, addresses};
use crate::servers::Source;

/// Hosts as people and attackers write them.
const HOSTS: &str = "\\PC{1,24}|[a-zA-Z0-9._\\-]{1,40}|[0-9a-fxX.]{1,20}|\\[[0-9a-f:.]{2,30}\\]|\
                     ([a-z]{1,9}\\.){0,3}(LocalHost|localhost|example\\.com|bücher)\\.?";

/// Addresses of every space, and some that embed others.
fn address() -> impl Strategy<Value = IpAddr> {
    let known = [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "169.254.169.254",
        "224.0.0.1",
        "93.184.216.34",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "fd00::1",
        "2606:2800:220:1::1",
    ];
    prop_oneof![
        proptest::sample::select(known.to_vec()).prop_map(|it| it.parse().unwrap()),
        any::<u32>().prop_map(|it| IpAddr::from(it.to_be_bytes())),
        any::<u128>().prop_map(|it| IpAddr::from(it.to_be_bytes())),
    ]
}

/// Any name has these addresses.
struct Always(Vec<IpAddr>);

impl Resolve for Always {
    async fn resolve(&self, _name: &DnsName) -> Result<Vec<IpAddr>, String> {
        Ok(self.0.clone())
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

proptest! {
    /// Whatever the host was written like, `getaddrinfo` is given the canonical
    /// name, and a rule about those very bytes is a rule about that host.
    #[test]
    fn the_resolver_is_given_the_bytes_that_were_judged(text in HOSTS) {
        let Ok(host) = Host::parse(&text) else { return Ok(()) };
        let asked = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&asked);
        let resolver = System::with_lookup(move |name| {
            to.lock().unwrap().push(name.to_owned());
            Ok(Vec::new())
        });
        run(addresses(&resolver, &host)).unwrap();
        let asked = asked.lock().unwrap().clone();
        match &host {
            Host::Name(name) if !name.is_localhost() => {
                prop_assert_eq!(&asked, &[name.as_str()]);
                let mut policy = Policy::default();
                let pattern: HostPattern = asked[0].parse().unwrap();
                policy.add_rule(Rule::new(Effect::Deny, pattern)).unwrap();
                let target = Target { scheme: Scheme::Http, host, port: 80 };
                let denied = matches!(policy.decide(&target, &Terms::default()), Decision::Deny(_));
                prop_assert!(denied, "{}", target);
            }
            // Neither literals nor this machine are anybody's to look up.
            _ => prop_assert_eq!(&asked, &[] as &[&str]),
        }
    }

    /// Of whatever addresses come back, those are dialled that the policy lets
    /// pass, each once, and no other.
    #[test]
    fn exactly_the_addresses_that_pass_are_dialled(
        text in HOSTS,
        answers in proptest::collection::vec(address(), 0..12),
        private in proptest::option::of(address()),
        port in prop_oneof![Just(80_u16), any::<u16>()],
    ) {
        let Ok(host) = Host::parse(&text) else { return Ok(()) };
        let target = Target { scheme: Scheme::Http, host, port };
        let terms = Terms::default();
        let mut policy = Policy::default();
        if let Some(address) = private {
            policy.allow_private(Host::from(address).to_string().parse().unwrap()).unwrap();
        }
        let started = run(async {
            let peers: Vec<_> = answers
                .iter()
                .chain(target.host.address().iter())
                .map(|it| (SocketAddr::new(*it, port).to_string(), Peer::Fails(0, Errno::CONNREFUSED)))
                .collect();
            let peers: Vec<_> = peers.iter().map(|(at, peer)| (at.as_str(), *peer)).collect();
            let dialler = Dialler {
                resolver: Always(answers.clone()),
                connector: Network::new(&peers),
                reports: mpsc::channel(1).0,
            };
            let leave = Leave { target: target.clone(), proxy: None, terms: terms.clone(), own: Vec::new() };
            let deadline = Instant::now() + Duration::from_secs(60);
            let failed = dialler.dial(&policy, &leave, Source::System, deadline).await;
            assert!(failed.is_err(), "nobody accepts");
            dialler.connector.started()
        });
        let mut started: Vec<SocketAddr> =
            started.iter().map(|(_, at)| at.parse().unwrap()).collect();
        let candidates = run(addresses(&Always(answers), &target.host)).unwrap();
        let passes = |it: &IpAddr| {
            matches!(policy.decide(&target, &terms), Decision::Allow(_))
                && matches!(policy.decide_address(&target, &terms, *it), Decision::Allow(_))
        };
        let candidates = candidates.into_iter().take(MAX_CANDIDATES).filter(passes);
        let mut expected: Vec<_> = candidates.map(|it| SocketAddr::new(it, port)).collect();
        started.sort_unstable();
        expected.sort_unstable();
        expected.dedup();
        prop_assert_eq!(started, expected);
    }
}
