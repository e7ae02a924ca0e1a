//! Every committed input, run natively and behind glass, as part of the tests.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fumehood_fuzz::glass::{Guests, take_end};
use fumehood_fuzz::pac::kind;
use fumehood_fuzz::replay::{Outcome, caught, replay};
use fumehood_fuzz::tls::item;
use fumehood_fuzz::{
    TARGETS, Target, control, dns, http1, pac, pieces, questions, socks, target, tls, x509,
};
use fumehood_guest_dns::Security;

/// All committed inputs of one target together may take so long. They take
/// about a second; a target that became a hundred times slower is broken.
const LIMIT: Duration = Duration::from_secs(120);

/// Largest committed corpus, in bytes: a seed shows a form, not a body.
const MAX_CORPUS_BYTES: u64 = 32 * 1024;

fn folder(kind: &str, corpus: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(kind)
        .join(corpus)
}

/// The inputs in a folder, which need not be there.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Runs what is committed for a target.
fn run(name: &str) {
    let target: &Target = target(name).unwrap();
    let began = Instant::now();
    let corpus = inputs(&folder("corpus", target.corpus));
    assert!(!corpus.is_empty(), "{name} has no seed to start from");
    for path in corpus
        .iter()
        .chain(&inputs(&folder("regressions", target.corpus)))
    {
        let outcome = replay(target, &fs::read(path).unwrap());
        assert_eq!(outcome, Outcome::Survived, "{}", path.display());
        assert!(began.elapsed() < LIMIT, "{name} has become slow");
    }
}

#[test]
fn http1() {
    run("http1");
}

#[test]
fn http1_beside_httparse() {
    run("http1-httparse");
}

#[test]
fn http1_beside_hyper() {
    run("http1-hyper");
}

#[test]
fn http1_server_beside_hyper() {
    run("http1-server-hyper");
}

#[test]
fn socks() {
    run("socks");
}

#[test]
fn pac() {
    run("pac");
}

#[test]
fn tls() {
    run("tls");
}

#[test]
fn x509() {
    run("x509");
}

#[test]
fn dns() {
    run("dns");
}

#[test]
fn dns_questions() {
    run("dns-questions");
}

#[test]
fn control() {
    run("control");
}

#[test]
fn policy() {
    run("policy");
}

#[test]
fn record() {
    run("record");
}

#[test]
fn transcript() {
    run("transcript");
}

#[test]
fn demand() {
    run("demand");
}

#[test]
fn corpora_are_small_and_every_one_belongs_to_a_target() {
    for kind in ["corpus", "regressions"] {
        for path in inputs(&folder(kind, "")) {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(
                TARGETS.iter().any(|target| target.corpus == name),
                "{kind}/{name} belongs to no target"
            );
            let sizes = inputs(&path)
                .into_iter()
                .map(|it| it.metadata().unwrap().len());
            assert!(sizes.sum::<u64>() <= MAX_CORPUS_BYTES, "{kind}/{name}");
        }
    }
}

/// The seeds of `tls` are whole handshakes: keys come out of them.
#[test]
fn seeds_of_tls_reach_the_end_of_the_handshake() {
    for name in [
        "tls12",
        "tls13-aes128",
        "tls13-aes128-adopted",
        "tls13-aes256",
        "tls13-aes256-adopted",
        "tls13-hybrid",
    ] {
        let input = fs::read(folder("corpus", "tls").join(name)).unwrap();
        assert!(tls::establishes(&input), "{name}");
    }
}

/// Those of `control` are of all types, and of the encoding that is in force.
#[test]
fn seeds_of_control_decode_and_are_of_all_types() {
    let mut kinds = vec![false; control::KINDS.len()];
    for path in inputs(&folder("corpus", "control")) {
        let seed = fs::read(&path).unwrap();
        assert!(control::decodes(&seed), "{}", path.display());
        kinds[usize::from(seed[0])] = true;
    }
    let missing = kinds.iter().position(|it| !it);
    assert_eq!(missing, None, "a type without a seed");
}

/// Seeds of `x509` are believed, so that what lies behind is reached.
#[test]
fn seeds_of_x509_are_believed() {
    for name in ["two-steps", "wildcard", "name-constraints", "address"] {
        let input = fs::read(folder("corpus", "x509").join(name)).unwrap();
        assert!(x509::believes(&input), "{name}");
    }
}

/// Those of `pac` that are scripts are run, but for what is only looked over.
#[test]
fn seeds_of_pac_are_run() {
    for (name, expected) in [
        ("script-of-rules", true),
        ("script-of-tables", true),
        ("script-that-throws", true),
        ("script-without-end", true),
        ("script-with-faults", false),
    ] {
        let input = fs::read(folder("corpus", "pac").join(name)).unwrap();
        assert_eq!(pac::is_run(&input), expected, "{name}");
    }
}

/// Those of `dns` lead to what DNSSEC can say of an answer, so that all that checks it
/// is reached.
#[test]
fn seeds_of_dns_are_believed() {
    for (name, expected) in [
        ("chain", Security::Secure),
        ("alias", Security::Secure),
        ("wildcard-of-names", Security::Secure),
        ("wildcard-of-hashes", Security::Secure),
        ("no-name-by-names", Security::Secure),
        ("no-name-by-hashes", Security::Secure),
        ("no-record-by-names", Security::Secure),
        ("no-record-by-hashes", Security::Secure),
        ("delegation-left-out", Security::Insecure),
        ("unsigned", Security::Insecure),
        ("costly", Security::Insecure),
        ("no-anchor", Security::Indeterminate),
    ] {
        let input = fs::read(folder("corpus", "dns").join(name)).unwrap();
        assert_eq!(dns::security(&input), Some(expected), "{name}");
    }
}

/// A guest that its input breaks ends, and its comparison with the sound one
/// tells how: so a replayed crash is told from a guest that lives.
#[test]
fn an_end_behind_glass_is_seen_and_told() {
    type Run = fn(&[u8], &Guests);
    type Input = fn(&str) -> Vec<u8>;
    let faulty = Guests::load(&["http1", "socks", "dns", "tls", "x509"]);
    let targets: [(Run, Input); 8] = [
        (http1::run_beside, faulty_response),
        (http1::twin::server::run_beside, faulty_request),
        (tls::run_beside, faulty_hello),
        (x509::run_beside, faulty_chain),
        (socks::run_beside, faulty_tunnel),
        (socks::run_beside, faulty_datagram),
        (questions::run_beside, faulty_question),
        (dns::twin::run_beside, faulty_query),
    ];
    for (run, input) in targets {
        let said = |fault: &str| {
            let words = caught(|data| run(data, &faulty), &input(fault));
            (words, take_end())
        };
        for kind in ["trap", "hang", "memory"] {
            let (words, end) = said(kind);
            assert_eq!(end.unwrap().kind, kind);
            assert!(words.unwrap().contains("ended behind glass"));
        }
        assert_eq!(said("none"), (None, None));
    }
}

/// The same of `pac`, whose guest has no faulty twin: but its stack ends at brackets
/// within brackets, and what is on record is of another thread.
#[test]
fn an_end_of_a_script_behind_glass_is_seen_and_told() {
    let run = |depth: usize| {
        let script = format!("x = {}1{}", "(".repeat(depth), ")".repeat(depth));
        let input = pieces::join(&[&[kind::SCRIPT][..], script.as_bytes()]);
        let words = caught(|data| pac::run_beside(data, Guests::get(), depth), &input);
        (words, take_end())
    };
    let (words, end) = run(1000);
    assert_eq!(end.unwrap().kind, "trap");
    assert!(words.unwrap().contains("ended behind glass"));
    assert_eq!(run(100), (None, None));
}

fn faulty_response(fault: &str) -> Vec<u8> {
    format!("\0\x05HTTP/1.1 200 OK\r\nx-fumehood-fault: {fault}\r\ncontent-length: 0\r\n\r\n")
        .into()
}

fn faulty_request(fault: &str) -> Vec<u8> {
    format!("\0GET http://a/ HTTP/1.1\r\nhost: a\r\nx-fumehood-fault: {fault}\r\n\r\n").into()
}

fn faulty_hello(fault: &str) -> Vec<u8> {
    let hello = format!("\u{2}fumehood-fault-{fault}");
    pieces::join(&[&[0][..], &[&[item::MESSAGE], hello.as_bytes()].concat()])
}

fn faulty_chain(fault: &str) -> Vec<u8> {
    let leaf = format!("fumehood-fault-{fault}");
    pieces::join(&[b"\0\0", &b"a.test"[..], b"", leaf.as_bytes()])
}

/// A domain in SOCKS 5, behind its length.
fn faulty_name(fault: &str) -> Vec<u8> {
    let name = format!("fumehood-fault-{fault}");
    [
        &[u8::try_from(name.len()).unwrap()],
        name.as_bytes(),
        b"\0\x50",
    ]
    .concat()
}

fn faulty_tunnel(fault: &str) -> Vec<u8> {
    [&[2, 5, 1, 0, 5, 1, 0, 3][..], &faulty_name(fault)].concat()
}

fn faulty_datagram(fault: &str) -> Vec<u8> {
    [&[8, 0, 0, 0, 3][..], &faulty_name(fault)].concat()
}

fn faulty_question(fault: &str) -> Vec<u8> {
    let name = format!("question-fumehood-fault-{fault}");
    let header = [0, 0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let length = u8::try_from(name.len()).unwrap();
    [&header[..], &[length], name.as_bytes(), &[0, 0, 1, 0, 1]].concat()
}

/// A name to be resolved, without DNSSEC.
fn faulty_query(fault: &str) -> Vec<u8> {
    let name = format!("fumehood-fault-{fault}.test");
    pieces::join(&[&[1, 0][..], b".", &[0; 4], name.as_bytes()])
}

/// What a fuzzer would call a finding is shown as one, with its words.
#[test]
fn a_planted_fault_is_a_finding() {
    let drill = target("drill").unwrap();
    assert_eq!(replay(drill, b"smoke"), Outcome::Survived);
    let Outcome::Panicked { native } = replay(drill, b"a FIRE") else {
        panic!("it was not found")
    };
    assert!(native.contains("this is a drill"), "{native}");
}
