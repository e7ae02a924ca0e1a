//! The component against unbound.

use std::time::Duration;

use fumehood_tests::peers::Unbound;
use tokio::time::timeout;

use crate::host::{Network, Outcome, Resolver, types};
use types::{Cause, Config, Protocol, RecordData, RecordType, Server, Source, Wanted};

/// Long enough for any machine; reached only by a test that fails.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn config(unbound: &Unbound) -> Config {
    Config {
        servers: vec![Server {
            address: types::IpAddress::Ipv4((127, 0, 0, 1)),
            port: unbound.address().port(),
            protocol: Protocol::Plain,
        }],
        search: vec!["fumehood.test".into()],
        ndots: 1,
        timeout_ms: 20_000,
        attempts: 1,
        rotate: false,
        edns: true,
        trust_authentic: false,
        dnssec: None,
        hosts: Vec::new(),
    }
}

async fn resolved(resolver: &Resolver, name: &str, wanted: Wanted) -> Outcome {
    let answer = resolver.ask(name, wanted, true);
    timeout(LIMIT, answer).await.expect("no answer").unwrap()
}

#[tokio::test]
async fn every_type_comes_from_unbound() {
    let unbound = Unbound::start().unwrap();
    let resolver = Resolver::start(config(&unbound));
    let www = RecordData::A((192, 0, 2, 10));
    let cases: [(&str, Wanted, usize); 10] = [
        ("www", Wanted::Addresses, 2),
        ("ALIAS.fumehood.test", Wanted::Records(RecordType::A), 1),
        ("fumehood.test", Wanted::Records(RecordType::Soa), 1),
        ("fumehood.test", Wanted::Records(RecordType::Ns), 1),
        ("fumehood.test", Wanted::Records(RecordType::Mx), 1),
        ("fumehood.test", Wanted::Records(RecordType::Caa), 1),
        (
            "_http._tcp.fumehood.test",
            Wanted::Records(RecordType::Srv),
            1,
        ),
        ("svc.fumehood.test", Wanted::Records(RecordType::Https), 1),
        (
            "10.2.0.192.in-addr.arpa",
            Wanted::Records(RecordType::Ptr),
            1,
        ),
        // Over what UDP carries: by TCP.
        ("big.fumehood.test", Wanted::Records(RecordType::Txt), 1),
    ];
    for (name, wanted, count) in cases {
        let answer = resolved(&resolver, name, wanted).await.unwrap();
        assert_eq!(answer.records.len(), count, "{name}");
        assert!(matches!(answer.source, Source::Server(0)), "{name}");
        let again = resolved(&resolver, name, wanted).await.unwrap();
        assert!(matches!(again.source, Source::Cache), "{name}");
        assert_eq!(
            format!("{:?}", again.records),
            format!("{:?}", answer.records)
        );
        if let Wanted::Records(RecordType::A) = wanted {
            assert_eq!(format!("{:?}", answer.records[0]), format!("{www:?}"));
        }
    }
    let binding = resolved(
        &resolver,
        "svc.fumehood.test",
        Wanted::Records(RecordType::Https),
    );
    let text = format!("{:?}", binding.await.unwrap().records);
    assert!(
        text.contains("\"h2\", \"h3\"") && text.contains("8443"),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let unbound = Unbound::start().unwrap();
    let resolver = Resolver::start(config(&unbound));
    let failure = |name: &'static str, kind| {
        let outcome = resolved(&resolver, name, Wanted::Records(kind));
        async { outcome.await.unwrap_err() }
    };
    let it = failure("nobody.fumehood.test", RecordType::A).await;
    assert!(matches!(it.cause, Cause::NoSuchName), "{it:?}");
    assert_eq!(it.ttl_s, 45);
    let it = failure("www.fumehood.test", RecordType::Mx).await;
    assert!(matches!(it.cause, Cause::NoSuchRecord), "{it:?}");
    let it = failure("private.fumehood.test", RecordType::A).await;
    assert!(matches!(it.cause, Cause::PrivateAddress(_)), "{it:?}");
    let it = failure("a.onion", RecordType::A).await;
    assert!(matches!(it.cause, Cause::SpecialName(_)), "{it:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_and_encryption_without_a_host_fail_with_words() {
    let unbound = Unbound::start().unwrap();
    for protocol in [
        Protocol::Tls("dns.test".into()),
        Protocol::Https("https://dns.test/dns-query".into()),
    ] {
        let mut config = config(&unbound);
        config.servers[0].protocol = protocol;
        let resolver = Resolver::start(config);
        let it = resolved(&resolver, "www.fumehood.test", Wanted::Addresses)
            .await
            .unwrap_err();
        let Cause::Unreachable(why) = &it.cause else {
            panic!("{it:?}")
        };
        assert_eq!(why, "the host offers no encrypted transport");
    }
    let config = config(&unbound);
    drop(unbound);
    let resolver = Resolver::start(config);
    let it = resolved(&resolver, "www.fumehood.test", Wanted::Addresses)
        .await
        .unwrap_err();
    assert!(
        matches!(&it.cause, Cause::Unreachable(why) if why == "connection refused"),
        "{it:?}"
    );
}

#[tokio::test]
async fn what_the_grant_does_not_cover_is_not_reached() {
    let unbound = Unbound::start().unwrap();
    let resolver = Resolver::start_within(config(&unbound), Network::Nothing);
    let outcome = resolved(&resolver, "www.fumehood.test", Wanted::Addresses).await;
    let Cause::Unreachable(why) = outcome.unwrap_err().cause else {
        panic!("it was reached")
    };
    assert_eq!(why, "the grant does not cover this server");
}

#[tokio::test]
async fn a_death_loses_no_query_and_answers_none_twice() {
    let unbound = Unbound::start().unwrap();
    let resolver = Resolver::start(config(&unbound));
    resolved(&resolver, "www.fumehood.test", Wanted::Addresses)
        .await
        .unwrap();
    let mut waiting = Vec::new();
    for round in 0..5 {
        for number in 0..40 {
            let name = format!("n{number}-{round}.fumehood.test");
            waiting.push(resolver.ask(&name, Wanted::Addresses, true));
            waiting.push(resolver.ask(
                "big.fumehood.test",
                Wanted::Records(RecordType::Txt),
                false,
            ));
        }
        resolver.poison();
        tokio::task::yield_now().await;
    }
    for (index, answer) in waiting.into_iter().enumerate() {
        let outcome = timeout(LIMIT, answer).await.expect("no answer").unwrap();
        match (index % 2, outcome) {
            (0, Err(failure)) => assert!(matches!(failure.cause, Cause::NoSuchName)),
            (_, outcome) => assert_eq!(outcome.unwrap().records.len(), 1),
        }
    }
    assert!(resolver.deaths() > 0);
    assert_eq!(resolver.strays(), 0);
}
