//! What a server sends in TLS: whole flights, records, transcripts.

use fumehood_crypto::fuzz::TOY_MAC;
use fumehood_fuzz::pieces::join;
use fumehood_fuzz::tls::item;

use crate::seed;

const X25519: u16 = 0x001d;
const X25519MLKEM768: u16 = 0x11ec;
const P256: u16 = 0x0017;

pub(crate) fn write() {
    tls13();
    tls12();
    records();
    transcripts();
}

fn tls13() {
    let tickets = [
        item(item::LATER, 4, &ticket()),
        item(item::LATER, 24, &[1]),
        vec![item::RENEW],
    ];
    for (name, suite, mac) in [("aes128", 0x1301, 32), ("aes256", 0x1302, 48)] {
        let mut flight = vec![
            vec![0],
            item(
                item::MESSAGE,
                2,
                &server_hello13(suite, &[4; 32], X25519, 32),
            ),
            vec![item::RECORD, 20, 1],
            item(item::PROTECTED, 8, &vector16(&alpn())),
            item(item::PROTECTED | item::JOINED, 11, &certificate13()),
            item(item::PROTECTED | item::CUT, 15, &signature()),
            item(item::PROTECTED, 20, &vec![TOY_MAC; mac]),
        ];
        let mut adopted = flight.clone();
        flight.extend(tickets.clone());
        seed("tls", &format!("tls13-{name}"), &join(&flight));
        adopted.extend([item(item::LATER, 24, &[0]), vec![item::ADOPT]]);
        adopted.extend(tickets.clone());
        seed("tls", &format!("tls13-{name}-adopted"), &join(&adopted));
    }
    let hybrid = [
        vec![0],
        item(
            item::MESSAGE,
            2,
            &server_hello13(0x1303, &[4; 32], X25519MLKEM768, 1120),
        ),
        item(item::PROTECTED, 8, &vector16(&[])),
        item(item::PROTECTED, 11, &certificate13()),
        item(item::PROTECTED, 15, &signature()),
        item(item::PROTECTED, 20, &[TOY_MAC; 32]),
    ];
    seed("tls", "tls13-hybrid", &join(&hybrid));
    // SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3).
    let retry: [u8; 32] = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8,
        0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8,
        0x33, 0x9c,
    ];
    let retried = [
        vec![0],
        item(
            item::MESSAGE,
            2,
            &hello(
                0x1301,
                &retry,
                &[supported13(), extension(51, &P256.to_be_bytes())],
            ),
        ),
        item(
            item::MESSAGE,
            2,
            &server_hello13(0x1301, &[4; 32], P256, 65),
        ),
        item(item::PROTECTED, 8, &vector16(&[])),
    ];
    seed("tls", "tls13-retry", &join(&retried));
    let alert = [vec![0], vec![item::RECORD, 21, 2, 40]];
    seed("tls", "alert", &join(&alert));
}

fn tls12() {
    let extended = [
        extension(23, &[]),
        extension(0xff01, &[0]),
        extension(16, &alpn_list()),
    ];
    let mut exchange = vec![3, 0, 29, 32];
    exchange.extend([4; 32]);
    exchange.extend(signature());
    let flight = [
        vec![1],
        item(
            item::MESSAGE | item::JOINED,
            2,
            &hello(0xc02b, &[7; 32], &extended),
        ),
        item(item::MESSAGE, 11, &vector24(&vector24(&certificate()))),
        item(item::MESSAGE, 12, &exchange),
        item(item::MESSAGE, 14, &[]),
        vec![item::RECORD, 20, 1],
        item(item::PROTECTED_12, 20, &[TOY_MAC; 12]),
    ];
    seed("tls", "tls12", &join(&flight));
}

fn records() {
    let how = |records: &[&[u8]], options: u8| {
        let mut all: Vec<&[u8]> = Vec::new();
        let options = [options, 30];
        all.push(&options);
        all.extend(records);
        join(&all)
    };
    seed(
        "record",
        "tls13-data",
        &how(&[b"\x00hello", b"\x04padded"], 0),
    );
    seed(
        "record",
        "tls13-ticket",
        &how(&[b"\x01\x04\0\0\x02ab", b"\x00data", b"\x02\x01\0"], 2),
    );
    seed(
        "record",
        "tls13-message-in-two",
        &how(&[b"\x01\x18\0\0", b"\x01\x01\0", b"\x00x"], 4),
    );
    seed(
        "record",
        "tls12-data",
        &how(&[b"\x00hello", b"\x02\x01\0"], 1),
    );
    seed(
        "record",
        "tls12-damaged",
        &how(&[b"\x00good", b"\x80bad"], 5),
    );
    seed(
        "record",
        "raw",
        &how(&[b"\x0c\x17\x03\x03\0\x05abcde", b"\x08inner\x17\0\0"], 0),
    );
}

fn transcripts() {
    let mut client = vec![3, 3];
    client.extend([9; 32]);
    client.push(0);
    let server = server_hello13(0x1301, &[4; 32], X25519, 32);
    let client = message(1, &client);
    seed(
        "transcript",
        "both-hellos",
        &[client.clone(), message(2, &server)].concat(),
    );
    let retried = [
        message(254, &[1; 32]),
        message(2, &server),
        client,
        message(2, &server),
    ];
    seed("transcript", "retried", &retried.concat());
    seed("transcript", "cut-short", &message(2, &server)[..50]);
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], vector24(body).as_slice()].concat()
}

fn item(how: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    [&[how, kind], body].concat()
}

fn server_hello13(suite: u16, random: &[u8; 32], group: u16, share: usize) -> Vec<u8> {
    let share = [&group.to_be_bytes()[..], &vector16(&vec![4; share])].concat();
    hello(suite, random, &[supported13(), extension(51, &share)])
}

/// A ServerHello that echoes the session id of the guest's toy host.
fn hello(suite: u16, random: &[u8; 32], extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend(random);
    body.extend(session_id());
    body.extend(suite.to_be_bytes());
    body.push(0);
    body.extend(vector16(&extensions.concat()));
    body
}

/// As the client sends it, so that the server may echo it.
fn session_id() -> Vec<u8> {
    let hello = fumehood_fuzz::tls::client_hello();
    // Record and message header, version and random number.
    let id = &hello[5 + 4 + 2 + 32..];
    id[..=usize::from(id[0])].to_vec()
}

fn supported13() -> Vec<u8> {
    extension(43, &[3, 4])
}

fn alpn() -> Vec<u8> {
    extension(16, &alpn_list())
}

fn alpn_list() -> Vec<u8> {
    vector16(b"\x08http/1.1")
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector16(content)].concat()
}

fn certificate() -> Vec<u8> {
    vector24(b"\x30a certificate")
}

fn certificate13() -> Vec<u8> {
    let entry = [certificate(), vec![0, 0]].concat();
    [vec![0], vector24(&entry)].concat()
}

/// ECDSA with P-256 and SHA-256, of a toy's making.
fn signature() -> Vec<u8> {
    [&[4, 3][..], &vector16(b"signature")].concat()
}

fn ticket() -> Vec<u8> {
    let mut ticket = vec![0, 0, 0x0e, 0x10, 1, 2, 3, 4, 1, 0];
    ticket.extend(vector16(b"ticket"));
    ticket.extend([0, 0]);
    ticket
}

fn vector16(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&length[..], content].concat()
}

fn vector24(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], content].concat()
}
