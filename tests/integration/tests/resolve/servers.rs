//! Servers that do as they please, and one that is not there.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;

use fumehood_tests::dns;
use fumehood_tests::temp::TempDir;

use crate::{at, data, found, steps};

/// What a good server says.
const GOOD: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 14);

/// What a server sends for a question: a datagram each.
type Answer = fn(&[u8]) -> Vec<Vec<u8>>;

/// Answers one question after another, as long as there are answers.
fn server(answers: Vec<Answer>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut question = [0; 512];
        for answer in answers {
            let (length, from) = socket.recv_from(&mut question).unwrap();
            for reply in answer(&question[..length]) {
                socket.send_to(&reply, from).unwrap();
            }
        }
    });
    address
}

/// The reply to a question for an A record: this address.
fn reply(question: &[u8], address: Ipv4Addr) -> Vec<u8> {
    dns::reply(question, &[address]).1
}

fn good(question: &[u8]) -> Vec<Vec<u8>> {
    vec![reply(question, GOOD)]
}

#[test]
fn a_reply_that_is_not_the_questions_is_passed_over() {
    let forged = |question: &[u8]| {
        let evil = |change: fn(&mut Vec<u8>)| {
            let mut forged = reply(question, Ipv4Addr::new(6, 6, 6, 6));
            change(&mut forged);
            forged
        };
        vec![
            evil(|it| it[0] ^= 1),
            evil(|it| it[2] &= 0x7f),
            evil(|it| it[13] = b'z'),
            evil(|it| it.truncate(7)),
            reply(question, GOOD),
        ]
    };
    let address = server(vec![forged]);
    let report = found(&at(address).args(["--json", "www.example", "a"]).run());
    assert_eq!(data(&report), ["93.184.215.14"]);
    assert!(steps(&report).contains(&"ignored".to_owned()), "{report}");
}

#[test]
fn the_next_server_is_asked_where_one_is_silent_or_gone() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let folder = TempDir::new().unwrap();
    let conf = folder.write("resolv.conf", "options timeout:2 attempts:1\n");
    // Taken, for a peer that says nothing: what others send is refused.
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
    gone.connect("127.0.0.1:9").unwrap();
    let finished = at(gone.local_addr().unwrap())
        .arg("--server")
        .arg(silent.local_addr().unwrap().to_string())
        .arg("--server")
        .arg(server(vec![good]).to_string())
        .env("FUMEHOOD_DNS_RESOLV_CONF", conf.unwrap())
        .args(["--json", "www.example", "a"])
        .run();
    let report = found(&finished);
    assert_eq!(data(&report), ["93.184.215.14"]);
    let steps = steps(&report);
    assert!(
        steps.contains(&"broken".to_owned()) && steps.contains(&"timed-out".to_owned()),
        "{report}"
    );
}

#[test]
fn a_server_that_never_answers_ends_by_deadline() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let finished = at(silent.local_addr().unwrap())
        .args(["--json", "--max-time", "0.2", "www.example", "a"])
        .run();
    let report = finished.report();
    assert_eq!((finished.code(), &report["cause"]), (28, &"timeout".into()));
}
