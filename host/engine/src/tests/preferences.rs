//! Each guest is told its own preferences, from its next message on.

use fumehood_control::{
    Cause, DnsPreferences, GrantId, GuestPreferences, Http1Preferences, NameQuery, ResolverSetup,
    ToEngine, Wanted,
};

use super::memory::guests_that_hold;
use super::origin::Origin;
use super::rig::{Done, LIMITS, Rig};

/// Fields that an answer of `/fields/COUNT` has beside those.
const OTHER_FIELDS: u32 = 1;

fn fields(most: u32) -> ToEngine {
    ToEngine::Preferences(GuestPreferences {
        http1: Http1Preferences {
            max_fields: most,
            ..Http1Preferences::default()
        },
        ..GuestPreferences::default()
    })
}

fn is_over_a_bound(done: &Done) -> bool {
    let Err(failure) = &done.outcome else {
        return false;
    };
    matches!(&failure.cause, Cause::Limit(name) if name == "field-count")
}

#[test]
fn a_tighter_bound_holds_from_the_next_message_on() {
    let (mut rig, origin) = (Rig::new(LIMITS, &[("http1", 1)]), Origin::start());
    assert!(rig.get(&origin, "/fields/20").outcome.is_ok());
    // Its request is with the server, its head is not here.
    let (under_way, sink) = rig.begin(&origin, "/held/none/20", true);
    rig.wait_for_informational(under_way);
    rig.tell(&fields(20));
    // The same connection, and the same instance.
    assert!(is_over_a_bound(&rig.get(&origin, "/fields/20")));
    let most = 20 - OTHER_FIELDS;
    assert!(rig.get(&origin, &format!("/fields/{most}")).outcome.is_ok());
    origin.open_gate();
    let done = rig.finish(under_way, sink);
    assert_eq!(done.head.unwrap().fields.len(), 22);
    assert!(done.outcome.is_ok());
    rig.tell(&fields(256));
    assert!(rig.get(&origin, "/fields/20").outcome.is_ok());
}

#[test]
fn an_instance_that_takes_over_is_told_what_the_one_before_was() {
    let versions = [("http1", 1), ("http1-faulty", 2)];
    let (mut rig, origin) = (Rig::new(LIMITS, &versions), Origin::start());
    let (under_way, sink) = rig.begin(&origin, "/held/trap/20", true);
    rig.wait_for_informational(under_way);
    rig.tell(&fields(16));
    assert!(is_over_a_bound(&rig.get(&origin, "/fields/20")));
    origin.open_gate();
    let done = rig.finish(under_way, sink);
    assert_eq!(done.resumed(), ["0.0.1"]);
    assert!(done.outcome.is_ok(), "{:?}", done.outcome);
}

/// Numbers that stand nowhere else, as they lie in a guest's memory: in one
/// order or the other.
fn holders(first: u32, second: u32) -> usize {
    let pair = |a: u32, b: u32| [a.to_le_bytes(), b.to_le_bytes()].concat();
    guests_that_hold(&pair(first, second)) + guests_that_hold(&pair(second, first))
}

#[test]
fn no_guest_holds_what_another_is_told() {
    let (http1, dns) = (
        Http1Preferences {
            max_head_bytes: 201_337,
            max_fields: 173,
        },
        DnsPreferences {
            cache_entries: 1427,
            max_ttl_s: 76_543,
        },
    );
    let all = [
        ("http1", "http1", 1),
        ("tls", "tls", 20),
        ("x509", "x509", 30),
        ("dns", "dns", 40),
    ];
    let (mut rig, origin) = (Rig::with(LIMITS, &[], &all), Origin::start());
    rig.tell(&ToEngine::Preferences(GuestPreferences { http1, dns }));
    // Both live on: the one with its idle connection, the other with the engine.
    let done = rig.get(&origin, "/plain/10");
    assert!(done.outcome.unwrap().connection_kept);
    let setup = ResolverSetup {
        grant: GrantId(1),
        dials: false,
        servers: Vec::new(),
        search: Vec::new(),
        ndots: 1,
        timeout_ms: 1000,
        attempts: 1,
        rotate: false,
        trust_authentic: false,
        hosts: Vec::new(),
        dnssec: None,
    };
    let query = NameQuery {
        name: "localhost".to_owned(),
        wanted: Wanted::Addresses,
        cached: true,
        traced: false,
        private: true,
        deadline_ms: 30_000,
    };
    rig.resolve(setup, query).unwrap();
    // Each pair is in one guest of four, and that guest cannot ask for the other's:
    // its world has no such function.
    assert_eq!(holders(http1.max_head_bytes, http1.max_fields), 1);
    assert_eq!(holders(dns.cache_entries, dns.max_ttl_s), 1);
}
