//! What was recorded of a guest of TLS comes to the same end again, with no
//! network and no keys; and no key is in it.

use std::sync::Arc;

use fumehood_control::FaultReport;
use rustls::ServerConfig;

use super::faults::get;
use super::server::{Authority, Log, Origin, TLS12};
use crate::registry::{Limits, fixtures};
use crate::tests::rig::{LIMITS, Rig};
use crate::{Divergence, ReplayError, ReplayOutcome};

const RECORDING: Limits = Limits {
    record: true,
    ..LIMITS
};

/// The reports of an exchange with a server that asks the `tls` guest for a fault.
fn recorded(authority: &Authority, server: ServerConfig, count: usize) -> Vec<FaultReport> {
    let all = [
        ("http1", "http1", 1),
        ("tls", "tls-faulty", 21),
        ("x509", "x509", 30),
    ];
    let mut rig = Rig::with(RECORDING, &[authority.der()], &all);
    let origin = Origin::start(vec![(vec![], server)]);
    let _end = get(&mut rig, &origin).outcome;
    (0..count).map(|_| rig.report()).collect()
}

fn play(file: &str, report: &FaultReport) -> Result<ReplayOutcome, ReplayError> {
    let code = fumehood_sandbox::sealed(file, &[&fixtures::native(file)]).unwrap();
    crate::replay(&report.header, code, &report.recording)
}

/// Twice, to be sure that it is no luck.
fn ends_the_same(report: &FaultReport) {
    for _ in 0..2 {
        let outcome = play("tls-faulty", report);
        let Ok(ReplayOutcome::Fault(again)) = outcome else {
            panic!("{report:?}: {outcome:?}")
        };
        assert_eq!((&again.kind, &again.detail), (&report.kind, &report.detail));
        assert_eq!(again.backtrace, report.backtrace);
    }
}

#[test]
fn a_handshakes_recording_comes_to_the_same_end_again() {
    let authority = Authority::new();
    for (fault, kind) in [
        ("trap", "trap"),
        ("hang", "hang"),
        ("memory", "memory"),
        ("handles", "handles"),
        ("transfer", "transfer"),
        // An import ends the guest.
        ("skip:1", "trap"),
        // The host ends it, for what it answered.
        ("garbage", "trap"),
        ("swapped", "trap"),
        // When all of the handshake has been.
        ("end", "trap"),
    ] {
        for report in recorded(&authority, authority.asking(fault), 2) {
            assert_eq!(report.kind, kind);
            ends_the_same(&report);
        }
    }
    let old = authority.asking_in("end", TLS12);
    for report in recorded(&authority, old, 2) {
        let of_old = |call: &fumehood_control::RecordedCall| call.function == "keys/tls12-finished";
        assert!(report.recording.iter().any(of_old));
        ends_the_same(&report);
    }
}

#[test]
fn so_does_one_of_what_came_behind_the_handshake() {
    let authority = Authority::new();
    for fault in ["trap", "update", "garbage"] {
        let reports = recorded(&authority, authority.ticketing(fault), 2);
        let first = |report: &FaultReport| report.recording[0].function.clone();
        // One that shook hands, and one that took over.
        assert_eq!(
            (&*first(&reports[0]), &*first(&reports[1])),
            ("start", "adopt")
        );
        reports.iter().for_each(ends_the_same);
    }
}

#[test]
fn the_real_guest_does_not_come_to_that_end() {
    let authority = Authority::new();
    for fault in ["trap", "garbage", "end"] {
        let report = &recorded(&authority, authority.asking(fault), 1)[0];
        let outcome = play("tls", report);
        assert!(
            matches!(outcome, Ok(ReplayOutcome::Survived)),
            "{fault}: {outcome:?}"
        );
    }
    // What it would have been told, had it asked, nobody knows.
    let report = &recorded(&authority, authority.asking("skip:1"), 1)[0];
    let Err(ReplayError::Diverged(Divergence { recorded, did, .. })) = play("tls", report) else {
        panic!("it did not part")
    };
    assert_eq!((&*recorded, &*did), ("asking for keys/extract", "answers"));
}

#[test]
fn a_recording_that_was_changed_is_refused_in_words() {
    let authority = Authority::new();
    let report = recorded(&authority, authority.asking("end"), 1).remove(0);
    let at = |function: &str| {
        let is = |call: &fumehood_control::RecordedCall| call.function == function;
        report.recording.iter().position(is).unwrap()
    };
    let changed = |change: &dyn Fn(&mut FaultReport)| {
        let mut other = report.clone();
        change(&mut other);
        play("tls-faulty", &other).unwrap_err().to_string()
    };
    let expand = at("keys/expand");
    let before = &report.recording[expand - 1].function;
    assert_ne!(before, "keys/expand");
    let said = changed(&|it| drop(it.recording.remove(expand - 1)));
    let expected = format!(
        "at step {} the guest asks for {before}, where asking for keys/expand was recorded: the recording is of another version, or damaged",
        expand - 1
    );
    assert_eq!(said, expected);
    // An answer that leads the guest elsewhere, and one that is none.
    let random = at("keys/random");
    let said = changed(&|it| *it.recording[random].arguments.last_mut().unwrap() ^= 1);
    assert!(said.contains("about something else"), "{said}");
    let said = changed(&|it| it.recording[random].arguments.truncate(9));
    assert_eq!(
        said,
        format!("call {random} of the recording does not decode")
    );
    let said = changed(&|it| it.recording[0].function = "begin".to_owned());
    assert_eq!(said, "call 0 of the recording does not decode");
    let said = changed(&|it| it.header.name = "dns".to_owned());
    assert!(said.contains("cannot be replayed"), "{said}");
}

#[test]
fn no_secret_of_a_connection_is_in_its_recording() {
    let authority = Authority::new();
    for versions in [super::server::TLS13, TLS12] {
        let log = Arc::new(Log::default());
        let mut server = authority.asking_in("end", versions);
        server.key_log = Arc::clone(&log) as Arc<dyn rustls::KeyLog>;
        let reports = recorded(&authority, server, 2);
        let held: Vec<u8> = reports
            .iter()
            .flat_map(|report| &report.recording)
            .flat_map(|call| call.arguments.clone())
            .collect();
        let holds = |bytes: &[u8]| held.windows(bytes.len()).any(|window| window == bytes);
        let lines = log.0.lock().unwrap();
        assert!(!lines.is_empty());
        for line in lines.iter() {
            let mut words = line.split(' ').skip(1).map(from_hex);
            // The client's random is there, so that a secret would be found.
            assert!(holds(&words.next().unwrap()));
            assert!(!holds(&words.next().unwrap()), "{line}");
        }
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn a_chains_recording_comes_to_the_same_end_again() {
    let authority = Authority::new();
    let all = [
        ("http1", "http1", 1),
        ("tls", "tls", 20),
        ("x509", "x509-faulty", 31),
    ];
    let mut rig = Rig::with(RECORDING, &[authority.der()], &all);
    let origin = Origin::start(vec![(vec![], authority.named("trap"))]);
    assert_eq!(get(&mut rig, &origin).guest_fault().0, "trap");
    let report = rig.report();
    let ReplayOutcome::Fault(again) = play("x509-faulty", &report).unwrap() else {
        panic!("it did not trap")
    };
    assert_eq!((&again.kind, &again.detail), (&report.kind, &report.detail));
    assert_eq!(again.backtrace, report.backtrace);
    // The real verifier believes it, and nothing without its anchors.
    let sound = play("x509", &report).unwrap();
    assert!(matches!(sound, ReplayOutcome::Survived));
    let mut other = report.clone();
    other.recording[0].arguments = postcard::to_stdvec(&[Authority::new().der()][..]).unwrap();
    let refused = play("x509", &other).unwrap();
    assert!(matches!(refused, ReplayOutcome::Refused(_)));
    other.recording.truncate(1);
    assert!(matches!(play("x509", &other), Err(ReplayError::Call(1))));
}
