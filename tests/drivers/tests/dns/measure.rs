//! How long it takes: `cargo test --release -p fumehood-tests-drivers -- --ignored --nocapture`.
#![allow(clippy::print_stdout, reason = "figures are what this is for")]

use std::time::{Duration, Instant};

use fumehood_tests::peers::Unbound;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use crate::component::config;
use crate::host::{Resolver, types};
use types::{RecordType, Wanted};

/// Names that an uncached lookup is taken of, one after another.
const LOOKUPS: usize = 2000;

/// Cached lookups.
const HITS: usize = 20_000;

const NAME: &str = "www.fumehood.test";

/// Median, and the 99th percentile.
fn summary(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100];
    format!("median {:?}, p99 {:?}", at(50), at(99))
}

#[tokio::test]
#[ignore = "measures; says nothing on a busy machine"]
async fn cached_and_uncached_next_to_native_hickory() {
    let unbound = Unbound::start().unwrap();
    let resolver = Resolver::start(config(&unbound));
    let one = async |cached| {
        let begin = Instant::now();
        let answer = resolver.ask(NAME, Wanted::Records(RecordType::A), cached);
        answer.await.unwrap().unwrap();
        begin.elapsed()
    };
    let mut uncached = Vec::new();
    for _ in 0..LOOKUPS {
        uncached.push(one(false).await);
    }
    let mut cached = Vec::new();
    for _ in 0..HITS {
        cached.push(one(true).await);
    }
    println!("guest: cached {}", summary(cached));
    println!("guest: uncached {}", summary(uncached));

    let mut connection = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for it in &mut connection {
        it.port = unbound.address().port();
    }
    let server = NameServerConfig::new(unbound.address().ip(), true, connection.into());
    let native = |cache: u64| {
        let mut options = ResolverOpts::default();
        options.cache_size = cache;
        let servers = ResolverConfig::from_parts(None, Vec::new(), vec![server.clone()]);
        TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .unwrap()
    };
    for (what, cache, count) in [("cached", 1600, HITS), ("uncached", 0, LOOKUPS)] {
        let hickory = native(cache);
        let mut times = Vec::new();
        for _ in 0..count {
            let begin = Instant::now();
            hickory.ipv4_lookup(format!("{NAME}.")).await.unwrap();
            times.push(begin.elapsed());
        }
        println!("native hickory-resolver: {what} {}", summary(times));
    }
    resolver.drain().await;
}
