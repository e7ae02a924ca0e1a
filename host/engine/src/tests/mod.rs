//! Modules live: swaps, crashes, quarantine, bounds, with the real guests over sockets.
#![allow(clippy::unwrap_used, reason = "a test")]

pub(crate) mod exchange;
mod idle;
pub(crate) mod memory;
pub(crate) mod origin;
mod preferences;
pub(crate) mod rig;
mod uploads;

use std::future::Future as _;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use fumehood_control::{Cause, Field, JourneyEvent, ModuleState, SwapReason, ToEmbedder, ToEngine};
use fumehood_policy::Scheme;

use crate::registry::{Limits, fixtures};
use crate::{ReplayOutcome, replay};
use exchange::request;
use origin::{Origin, payload};
use rig::{LIMITS, PATIENCE, Rig};

/// The real codec, and the one that does what a response asks for.
const GOOD: &str = "http1";
const FAULTY: &str = "http1-faulty";

fn sealed(file: &str) -> std::os::fd::OwnedFd {
    fumehood_sandbox::sealed(file, &[&fixtures::native(file)]).unwrap()
}

#[test]
fn a_swap_leaves_exchanges_under_way_as_they_are() {
    let (mut rig, origin) = (Rig::new(LIMITS, &[(GOOD, 1)]), Origin::start());
    let running: Vec<_> = (0..4)
        .map(|_| rig.begin(&origin, "/gate/100000", true))
        .collect();
    for (started, _) in &running {
        rig.wait_for_head(*started);
    }
    let loaded = rig.offer("http1", &sealed(GOOD), 2);
    assert!(
        matches!(loaded, ToEmbedder::ModuleLoaded { .. }),
        "{loaded:?}"
    );
    assert_eq!(rig.version(2).state, ModuleState::Candidate);
    let swapped = rig.swap(2);
    let ToEmbedder::Swapped {
        from, to, reason, ..
    } = swapped
    else {
        panic!("{swapped:?}")
    };
    assert_eq!((from, to), (fixtures::digest(1), fixtures::digest(2)));
    assert_eq!(reason, SwapReason::Asked);
    assert_eq!(
        (rig.version(1).state, rig.version(1).live),
        (ModuleState::Draining, 4)
    );
    assert_eq!(rig.get(&origin, "/plain/10").made(), ["0.0.2"]);
    origin.open_gate();
    for (started, sink) in running {
        let done = rig.finish(started, sink);
        assert_eq!((done.made(), done.resumed()), (vec!["0.0.1"], vec![]));
        assert!(done.outcome.is_ok() && done.body == payload(100_000));
    }
    // Their connections are idle now; the next look moves them over.
    rig.swap(2);
    rig.wait_until_left(1);
    assert_eq!(rig.version(1).state, ModuleState::Candidate);
}

/// The deadline of a drain is when what is idle goes, and no end of an exchange.
#[test]
fn an_exchange_under_way_outlives_the_drain() {
    let limits = Limits {
        drain: Duration::from_millis(50),
        ..LIMITS
    };
    let (mut rig, origin) = (Rig::new(limits, &[(GOOD, 1)]), Origin::start());
    let (started, sink) = rig.begin(&origin, "/gate/100000", true);
    rig.wait_for_head(started);
    rig.offer("http1", &sealed(GOOD), 2);
    rig.swap(2);
    rig.wait_until(1, ModuleState::Candidate);
    assert_eq!(rig.version(1).live, 1);
    origin.open_gate();
    let done = rig.finish(started, sink);
    assert_eq!((done.made(), done.resumed()), (vec!["0.0.1"], vec![]));
    assert!(done.outcome.is_ok() && done.body == payload(100_000));
    // Its connection is as good as any, under another guest.
    assert!(rig.get(&origin, "/plain/10").outcome.is_ok());
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_idle_connection_moves_to_the_new_version_on_its_socket() {
    let (mut rig, origin) = (Rig::new(LIMITS, &[(GOOD, 1)]), Origin::start());
    assert!(
        rig.get(&origin, "/plain/10")
            .outcome
            .unwrap()
            .connection_kept
    );
    assert_eq!(rig.version(1).live, 1);
    rig.offer("http1", &sealed(GOOD), 2);
    rig.swap(2);
    rig.wait_for_idle(1, 2, 1);
    assert_eq!(rig.version(1).live, 0);
    let done = rig.get(&origin, "/plain/20");
    assert!(done.outcome.is_ok() && done.body == payload(20));
    assert!(matches!(done.journey[0], JourneyEvent::Reused { .. }));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn connections_move_over_one_by_one_and_serve_requests_meanwhile() {
    let (mut rig, origin) = (Rig::new(LIMITS, &[(GOOD, 1)]), Origin::start());
    let begun: Vec<_> = (0..3)
        .map(|_| rig.begin(&origin, "/gate/10", true))
        .collect();
    for (started, _) in &begun {
        rig.wait_for_head(*started);
    }
    origin.open_gate();
    for (started, sink) in begun {
        assert!(rig.finish(started, sink).outcome.unwrap().connection_kept);
    }
    rig.offer("http1", &sealed(GOOD), 2);
    // Nobody is told, so the sweep is the test's alone.
    let hub = Arc::clone(&rig.hub);
    hub.registry.swap("http1", fixtures::digest(2)).unwrap();
    let mut sweep = Box::pin(hub.idle.sweep());
    let mut context = Context::from_waker(Waker::noop());
    assert!(sweep.as_mut().poll(&mut context).is_pending());
    let live = (rig.version(1).live, rig.version(2).live);
    assert_eq!((live, hub.idle.count()), ((2, 1), 3));
    // A request takes one of those that are still to be moved, and moves it.
    let done = rig.get(&origin, "/plain/20");
    assert!(done.outcome.is_ok() && origin.connections() == 3);
    assert_eq!((rig.version(1).live, hub.idle.count()), (1, 3));
    assert!(sweep.as_mut().poll(&mut context).is_pending());
    assert!(sweep.as_mut().poll(&mut context).is_ready());
    assert_eq!((rig.version(2).live, hub.idle.count()), (3, 3));
}

/// In bulk fewer bytes than a good part of a buffer are not told of at once; a peer that
/// waits for us gets on all the same.
#[test]
fn what_comes_before_a_pause_in_bulk_is_in_the_sink_before_it_ends() {
    let (mut rig, origin) = (Rig::new(LIMITS, &[(GOOD, 1)]), Origin::start());
    let (started, sink) = rig.begin(&origin, "/gate/4000003", false);
    let begun = std::time::Instant::now();
    while sink.metadata().unwrap().len() < 2_000_001 {
        assert!(begun.elapsed() < PATIENCE, "some of it stays behind");
    }
    origin.open_gate();
    let done = rig.finish(started, sink);
    assert!(done.outcome.unwrap().connection_kept && done.body == payload(4_000_003));
}

#[test]
fn a_crash_is_resumed_where_it_was_on_the_same_socket() {
    let versions = [(GOOD, 1), (FAULTY, 2)];
    let (mut rig, origin) = (Rig::new(LIMITS, &versions), Origin::start());
    for path in [
        "/fault/trap/5000",
        "/fault/garbage/5000",
        "/chunks/later/100/50",
        "/fault/memory/5000",
    ] {
        let done = rig.get_with(&origin, path, true);
        assert!(done.outcome.is_ok(), "{path}: {:?}", done.outcome);
        assert!(done.body == payload(5000), "{path}");
        assert_eq!(done.resumed(), ["0.0.1"], "{path}");
        assert_eq!(done.head.unwrap().status, 200);
        assert_eq!(
            done.trailers.len(),
            usize::from(path.starts_with("/chunks"))
        );
    }
    assert_eq!(origin.connections(), 4);
    // The current version was tried once more each time.
    assert_eq!((rig.version(2).faults, rig.version(2).resumed), (8, 8));
}

#[test]
fn a_hang_is_resumed_too() {
    let versions = [(GOOD, 1), (FAULTY, 2)];
    let (mut rig, origin) = (Rig::new(LIMITS, &versions), Origin::start());
    let done = rig.get(&origin, "/fault/hang/300");
    assert!(done.outcome.is_ok() && done.body == payload(300));
    assert_eq!(done.resumed(), ["0.0.1"]);
    assert_eq!(rig.report().kind, "hang");
}

#[test]
fn poison_for_every_version_ends_its_exchange_and_no_other() {
    let versions = [(FAULTY, 1), (FAULTY, 2)];
    let (mut rig, origin) = (Rig::new(LIMITS, &versions), Origin::start());
    for (path, kind) in [
        ("/fault/trap/9", "trap"),
        ("/fault/garbage/9", "nonsense"),
        ("/fault/memory/9", "memory"),
    ] {
        let done = rig.get(&origin, path);
        let (told, detail) = done.guest_fault();
        assert_eq!(told, kind);
        assert!(
            detail.contains("other instances ended at the same place"),
            "{detail}"
        );
        assert!(done.head.is_none() && done.body.is_empty() && done.resumed().is_empty());
        // The current version twice, and the one before.
        let kinds: Vec<String> = (0..3).map(|_| rig.report().kind).collect();
        assert_eq!(kinds, [kind; 3]);
    }
    assert_eq!((rig.version(1).faults, rig.version(2).faults), (3, 6));
    assert!(rig.get(&origin, "/plain/9").outcome.is_ok());
}

#[test]
fn a_version_that_keeps_trapping_is_quarantined() {
    let limits = Limits {
        quarantine_faults: 2,
        ..LIMITS
    };
    let versions = [(GOOD, 1), (FAULTY, 2)];
    let (mut rig, origin) = (Rig::new(limits, &versions), Origin::start());
    assert_eq!(rig.get(&origin, "/fault/trap/9").resumed(), ["0.0.1"]);
    let swapped = rig.wait_for_swap();
    let ToEmbedder::Swapped {
        from, to, reason, ..
    } = swapped
    else {
        panic!("{swapped:?}")
    };
    assert_eq!((from, to), (fixtures::digest(2), fixtures::digest(1)));
    assert_eq!(reason, SwapReason::Quarantine);
    assert_eq!(rig.version(2).state, ModuleState::Quarantined);
    assert_eq!(
        (rig.report().quarantined, rig.report().quarantined),
        (false, true)
    );
    let done = rig.get_with(&origin, "/fault/trap/9", true);
    assert_eq!((done.made(), done.resumed()), (vec!["0.0.1"], vec![]));
    // There is no way back to it but by name.
    rig.tell(&ToEngine::Rollback {
        name: "http1".to_owned(),
    });
    let refused = rig.wait_for_swap();
    assert!(
        matches!(&refused, ToEmbedder::ModuleRefused { why, .. } if why.contains("no good version"))
    );
    rig.swap(2);
    assert_eq!(rig.version(2).state, ModuleState::Current);
}

#[test]
fn when_no_version_is_left_nothing_takes_its_place() {
    let limits = Limits {
        quarantine_faults: 1,
        ..LIMITS
    };
    let (mut rig, origin) = (Rig::new(limits, &[(FAULTY, 1)]), Origin::start());
    assert_eq!(rig.get(&origin, "/fault/trap/9").guest_fault().0, "trap");
    let done = rig.get(&origin, "/plain/9");
    let (kind, detail) = done.guest_fault();
    assert_eq!(kind, "no-instance");
    assert!(detail.contains("every version of http1"), "{detail}");
    rig.swap(1);
    assert!(rig.get(&origin, "/plain/9").outcome.is_ok());
}

#[test]
fn rollback_goes_to_the_version_before() {
    let versions = [(GOOD, 1), (GOOD, 2)];
    let (mut rig, origin) = (Rig::new(LIMITS, &versions), Origin::start());
    rig.tell(&ToEngine::Rollback {
        name: "http1".to_owned(),
    });
    let swapped = rig.wait_for_swap();
    assert!(matches!(swapped, ToEmbedder::Swapped { to, .. } if to == fixtures::digest(1)));
    assert_eq!(rig.get(&origin, "/plain/9").made(), ["0.0.1"]);
}

#[test]
fn what_is_no_such_module_is_refused_by_name() {
    let mut rig = Rig::new(LIMITS, &[(GOOD, 1)]);
    let unsealed = rustix::fs::memfd_create("m", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    for (name, code, why) in [
        (
            "http1",
            sealed("tls"),
            "it imports fumehood:crypto/keys@0.1.0",
        ),
        (
            "tls",
            sealed("socks"),
            "it does not export fumehood:tls/client@0.1.0",
        ),
        (
            "smtp",
            sealed("socks"),
            "it does not export fumehood:driver/client@0.1.0, so it is no driver",
        ),
        (
            "smtp",
            sealed(GOOD),
            "it imports fumehood:http1/preferences@0.1.0, which no driver guest may have",
        ),
        (
            "http1",
            fumehood_sandbox::sealed("m", &[b"\0asm"]).unwrap(),
            "not of this build's",
        ),
        ("http1", unsealed, "not sealed"),
    ] {
        let answer = rig.offer(name, &code, 9);
        let ToEmbedder::ModuleRefused { why: told, .. } = &answer else {
            panic!("{answer:?}")
        };
        assert!(told.contains(why), "{told}");
    }
    rig.tell(&ToEngine::Swap {
        name: "http1".to_owned(),
        digest: fixtures::digest(9),
    });
    assert!(matches!(
        rig.wait_for_swap(),
        ToEmbedder::ModuleRefused { .. }
    ));
    assert_eq!(rig.inventory().len(), 1);
}

#[test]
fn a_report_tells_where_it_was_and_none_of_the_content() {
    let (mut rig, origin) = (Rig::new(LIMITS, &[(FAULTY, 1)]), Origin::start());
    rig.get(&origin, "/fault/trap/9");
    let report = rig.report();
    assert_eq!(report.detail, "the peer asked this guest to trap");
    assert!(report.location.contains("fault.rs"), "{}", report.location);
    let names: Vec<&str> = report
        .backtrace
        .iter()
        .map(|frame| frame.function.as_str())
        .collect();
    assert!(
        names.last().unwrap().ends_with("client@0.1.0#receive"),
        "{names:?}"
    );
    assert!(names.contains(&"core::panicking::panic_fmt"), "{names:?}");
    let trail: Vec<&str> = report.trail.iter().map(|step| step.what.as_str()).collect();
    assert!(trail.last().unwrap().starts_with("receive "), "{trail:?}");
    assert!(!format!("{report:?}").contains("x-fumehood-fault"));
    assert!(report.recording.is_empty());
}

#[test]
fn a_recording_comes_to_the_same_end_again() {
    let limits = Limits {
        record: true,
        ..LIMITS
    };
    let (mut rig, origin) = (Rig::new(limits, &[(FAULTY, 1)]), Origin::start());
    rig.get(&origin, "/plain/9");
    rig.get(&origin, "/chunks/later/10/100");
    let report = rig.report();
    let replay = |file| replay(&report.header, sealed(file), &report.recording);
    let ReplayOutcome::Fault(again) = replay(FAULTY).unwrap() else {
        panic!("it did not trap")
    };
    assert_eq!((&again.kind, &again.detail), (&report.kind, &report.detail));
    assert_eq!(again.backtrace, report.backtrace);
    assert!(matches!(replay(GOOD).unwrap(), ReplayOutcome::Survived));
}

#[test]
fn scarce_memory_sheds_idle_connections_then_refuses() {
    let (mut rig, origin) = (Rig::new(LIMITS, &[(GOOD, 1)]), Origin::start());
    let running: Vec<_> = (0..3)
        .map(|_| rig.begin(&origin, "/gate/10", true))
        .collect();
    for (started, _) in &running {
        rig.wait_for_head(*started);
    }
    origin.open_gate();
    for (started, sink) in running {
        assert!(rig.finish(started, sink).outcome.unwrap().connection_kept);
    }
    for (percent, left) in [(80, 3), (81, 1), (81, 0), (81, 0)] {
        rig.tell(&ToEngine::Pressure { percent });
        rig.inventory();
        assert_eq!(rig.hub.idle.count(), left, "{percent}");
    }
    rig.tell(&ToEngine::Pressure { percent: 101 });
    // What pools keep counts as used, so one at a time is taken all the same, and its
    // connection is not kept: nothing would close that before its time.
    let alone = rig.get(&origin, "/plain/1").outcome.unwrap();
    assert_eq!((alone.connection_kept, rig.hub.idle.count()), (false, 0));
    let closed = Origin::start();
    let (started, sink) = rig.begin(&closed, "/gate/10", true);
    rig.wait_for_head(started);
    assert_eq!(
        rig.get(&origin, "/plain/1").outcome.unwrap_err().cause,
        Cause::Busy
    );
    rig.tell(&ToEngine::Pressure { percent: 100 });
    assert!(
        rig.get(&origin, "/plain/1")
            .outcome
            .unwrap()
            .connection_kept
    );
    closed.open_gate();
    assert!(rig.finish(started, sink).outcome.is_ok());
}

/// Bytes ahead of a marker. A guest's allocator writes into what is freed, at
/// its beginning first.
const AHEAD: usize = 4000;

/// What a connection carries both ways: path, cookie, and a field of the answer.
fn marked(origin: &Origin, name: &str) -> (fumehood_control::Exchange, [String; 3]) {
    let path = format!("the-path-of-{name}");
    let cookie = format!("the-cookie-of-{name}");
    let ahead = "x".repeat(AHEAD);
    let target = format!("/mark/{ahead}{path}");
    let mut request = request(Scheme::Http, origin.address, &target, true);
    request.fields.push(Field {
        name: "cookie".to_owned(),
        value: format!("{ahead}{cookie}").into_bytes(),
    });
    let answer = path.to_uppercase();
    (request, [path, cookie, answer])
}

#[test]
fn what_one_connection_carries_is_in_no_other_guest() {
    let (mut rig, origin) = (Rig::new(LIMITS, &[(GOOD, 1)]), Origin::start());
    let holders = |marks: &[String; 3]| {
        marks
            .each_ref()
            .map(|mark| memory::guests_that_hold(mark.as_bytes()))
    };
    let carry = |rig: &mut Rig, name| {
        let (request, marks) = marked(&origin, name);
        let (started, sink) = rig.ask(&request);
        assert!(rig.finish(started, sink).outcome.unwrap().connection_kept);
        marks
    };
    let first = carry(&mut rig, "one");
    assert_eq!(holders(&first), [1; 3], "the search finds what is there");
    // Another lives beside it, and others come and go.
    let second = carry(&mut rig, "two");
    assert_eq!(rig.version(1).live, 2);
    for _ in 0..8 {
        assert!(rig.get_with(&origin, "/plain/9", true).outcome.is_ok());
    }
    assert_eq!((holders(&first), holders(&second)), ([1; 3], [1; 3]));
    // Their slots are used again, and again.
    rig.tell(&ToEngine::CloseIdle);
    for _ in 0..2 * LIMITS.instances {
        assert!(rig.get_with(&origin, "/plain/9", true).outcome.is_ok());
        rig.tell(&ToEngine::CloseIdle);
    }
    assert_eq!((holders(&first), holders(&second)), ([0; 3], [0; 3]));
}

#[test]
fn faults_long_past_do_not_count() {
    let limits = Limits {
        quarantine_faults: 3,
        quarantine_window: Duration::ZERO,
        ..LIMITS
    };
    let versions = [(GOOD, 1), (FAULTY, 2)];
    let (mut rig, origin) = (Rig::new(limits, &versions), Origin::start());
    for _ in 0..3 {
        assert!(rig.get_with(&origin, "/fault/trap/9", true).outcome.is_ok());
    }
    assert_eq!(rig.version(2).state, ModuleState::Current);
}
