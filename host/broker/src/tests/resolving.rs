//! The system's resolver: threads that hang hold up nothing but lookups.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use fumehood_control::DialFailure;
use fumehood_policy::{DnsName, Policy};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::world::{Network, Peer, leave};
use crate::dial::Dialler;
use crate::resolve::{MAX_LOOKUPS, System};
use crate::servers::Source;

/// A gate that lookups wait at.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<Inside>, Condvar)>);

#[derive(Default)]
struct Inside {
    open: bool,
    waiting: usize,
    most: usize,
}

impl Gate {
    fn pass(&self) {
        let (inside, changed) = &*self.0;
        let mut inside = inside.lock().unwrap();
        inside.waiting += 1;
        inside.most = inside.most.max(inside.waiting);
        let mut inside = changed.wait_while(inside, |it| !it.open).unwrap();
        inside.waiting -= 1;
    }

    fn waiting(&self) -> usize {
        self.0.0.lock().unwrap().waiting
    }

    fn open(&self) {
        self.0.0.lock().unwrap().open = true;
        self.0.1.notify_all();
    }
}

#[test]
fn black_holed_lookups_do_not_hold_up_a_literal() {
    let gate = Gate::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2 * MAX_LOOKUPS)
        .build()
        .unwrap();
    let at_gate = gate.clone();
    runtime.block_on(async {
        let resolver = System::with_lookup(move |_| {
            at_gate.pass();
            Ok(vec!["1.1.1.1".parse().unwrap()])
        });
        let connector = Network::new(&[("1.1.1.1:80", Peer::Accepts(0))]);
        let dialler = Arc::new(Dialler {
            resolver,
            connector,
            reports: mpsc::channel(1).0,
        });
        let dial = |url: &'static str, within: Duration| {
            let dialler = Arc::clone(&dialler);
            tokio::spawn(async move {
                let (policy, leave) = (Policy::default(), leave(url));
                dialler
                    .dial(&policy, &leave, Source::System, Instant::now() + within)
                    .await
                    .map(|it| it.peer)
            })
        };
        let long = Duration::from_secs(300);
        let hanging: Vec<_> = (0..MAX_LOOKUPS)
            .map(|_| dial("http://hole.example/", long))
            .collect();
        while gate.waiting() < MAX_LOOKUPS {
            tokio::task::yield_now().await;
        }

        let timeout = Err(DialFailure::Timeout { resolving: true });
        let one_more = dial("http://late.example/", Duration::from_millis(1));
        assert_eq!(
            one_more.await.unwrap(),
            timeout,
            "the wait for a place counts"
        );
        let literal = dial("http://1.1.1.1/", long).await.unwrap();
        assert_eq!(literal.unwrap().to_string(), "1.1.1.1:80");

        gate.open();
        for dial in hanging {
            assert!(dial.await.unwrap().is_ok());
        }
        let after = dial("http://after.example/", long).await.unwrap();
        assert!(after.is_ok(), "places are given back");
        assert_eq!(
            gate.0.0.lock().unwrap().most,
            MAX_LOOKUPS,
            "never more at once"
        );
    });
}

/// Threads of this process that look names up.
fn lookup_threads() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let named = threads.filter_map(|it| std::fs::read_to_string(it.ok()?.path().join("comm")).ok());
    named.filter(|it| it.trim_end() == "lookup").count()
}

#[test]
fn threads_that_have_nothing_to_do_end() {
    use crate::resolve::Resolve as _;

    let gate = Gate::default();
    let at_gate = gate.clone();
    let resolver = Arc::new(System::with_lookup(move |_| {
        at_gate.pass();
        Ok(vec!["1.1.1.1".parse().unwrap()])
    }));
    let runtime = crate::startup::runtime(Duration::from_millis(10)).unwrap();
    runtime.block_on(async {
        let lookups: Vec<_> = (0..MAX_LOOKUPS)
            .map(|_| {
                let resolver = Arc::clone(&resolver);
                let name = DnsName::try_from("any.example".to_owned()).unwrap();
                tokio::spawn(async move { resolver.resolve(&name).await })
            })
            .collect();
        while gate.waiting() < MAX_LOOKUPS {
            tokio::task::yield_now().await;
        }
        assert_eq!(lookup_threads(), MAX_LOOKUPS);
        gate.open();
        for lookup in lookups {
            assert!(lookup.await.unwrap().is_ok());
        }
        let begun = Instant::now();
        while lookup_threads() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "they stay");
            tokio::task::yield_now().await;
        }
    });
}

#[tokio::test]
async fn getaddrinfo_answers_and_fails_in_words() {
    use crate::resolve::Resolve as _;

    let system = System::new();
    let localhost = DnsName::try_from("localhost".to_owned()).unwrap();
    let addresses = system.resolve(&localhost).await.unwrap();
    assert!(
        addresses.iter().all(std::net::IpAddr::is_loopback),
        "{addresses:?}"
    );

    let failing = System::with_lookup(|_| Err(std::io::Error::other("é".repeat(1000))));
    let why = failing.resolve(&localhost).await.unwrap_err();
    assert!(why.len() <= 256 && why.starts_with('é'));
}
