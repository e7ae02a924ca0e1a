//! What a guest in an attacker's hands may try, and what it gets for it.
#![allow(clippy::unwrap_used, reason = "a test")]

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use fumehood_crypto::{
    Aead, Connection, Direction, Error, Fault, Group, Handle, Hash, KeyExchange, KeyKind,
    MAX_SECRETS, PublicKey, Refusal, Transcript, Version,
};

const HASH: Hash = Hash::Sha256;
const ED25519: u16 = 0x0807;

/// A serialized HkdfLabel with a context of zeros.
fn info(label: &str, length: u16) -> Vec<u8> {
    let label = format!("tls13 {label}");
    let mut info = length.to_be_bytes().to_vec();
    info.push(u8::try_from(label.len()).unwrap());
    info.extend_from_slice(label.as_bytes());
    info.push(32);
    info.extend_from_slice(&[0; 32]);
    info
}

fn expand(keys: &mut Connection, prk: Handle, label: &str) -> Result<Handle, Fault> {
    keys.expand(HASH, prk, &info(label, 32), 32)
}

/// A TLS 1.3 key schedule from an exchange whose other side is the test.
struct Schedule {
    keys: Connection,
    share: Vec<u8>,
    random: Vec<u8>,
    handshake: Handle,
    master: Handle,
    outbound: Handle,
    inbound: Handle,
}

fn schedule() -> Schedule {
    let mut keys = Connection::new(None).unwrap();
    let random = keys.random(32).unwrap();
    let share = KeyExchange::new(Group::X25519)
        .unwrap()
        .public_key()
        .to_vec();
    let ours = KeyExchange::new(Group::X25519).unwrap();
    let shared = keys.complete(ours, Group::X25519, &share).unwrap();
    let early = keys.extract(HASH, None, None).unwrap();
    let derived = expand(&mut keys, early, "derived").unwrap();
    let handshake = keys.extract(HASH, Some(derived), Some(shared)).unwrap();
    let derived = expand(&mut keys, handshake, "derived").unwrap();
    let master = keys.extract(HASH, Some(derived), None).unwrap();
    let outbound = expand(&mut keys, master, "c ap traffic").unwrap();
    let inbound = expand(&mut keys, master, "s ap traffic").unwrap();
    Schedule {
        keys,
        share,
        random,
        handshake,
        master,
        outbound,
        inbound,
    }
}

impl Schedule {
    fn release(&mut self) -> Result<(), Error> {
        let (outbound, inbound) = (self.outbound, self.inbound);
        self.keys
            .release(Version::Tls13, Aead::Aes128Gcm, outbound, inbound)
            .map(drop)
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

/// Both hellos, as far as the host looks at them.
fn transcript(random: &[u8], session_id: &[u8], server_part: &[u8]) -> Transcript {
    let client = [&[3, 3], random, &[0; 8]].concat();
    let length = u8::try_from(session_id.len()).unwrap();
    let server = [
        &[3, 3],
        [9; 32].as_slice(),
        &[length],
        session_id,
        server_part,
    ]
    .concat();
    let mut transcript = Transcript::new(HASH);
    transcript.update(&message(1, &client));
    transcript.update(&message(2, &server));
    transcript.update(&message(11, b"certificate"));
    transcript
}

fn certificate_verify(hash: &[u8]) -> Vec<u8> {
    [
        [b' '; 64].as_slice(),
        b"TLS 1.3, server CertificateVerify\0",
        hash,
    ]
    .concat()
}

/// A server's key, and the verdict that believes in it.
fn server(keys: &mut Connection) -> Ed25519KeyPair {
    let key = Ed25519KeyPair::generate().unwrap();
    let bytes = key.public_key().as_ref().to_vec();
    keys.record_verdict(PublicKey {
        kind: KeyKind::Ed25519,
        bytes,
    })
    .unwrap();
    key
}

/// Has the server sign the transcript's hash.
fn prove(schedule: &mut Schedule, transcript: &Transcript) -> bool {
    let key = server(&mut schedule.keys);
    let message = certificate_verify(&schedule.keys.current(transcript));
    let signature = key.sign(&message);
    schedule
        .keys
        .verify_signature(Version::Tls13, ED25519, &message, signature.as_ref())
}

#[test]
fn an_honest_handshake_gets_its_keys_once() {
    let mut schedule = schedule();
    let server_part = [b"suite".as_slice(), &schedule.share].concat();
    let transcript = transcript(&schedule.random, &[7; 32], &server_part);
    assert!(prove(&mut schedule, &transcript));
    assert_eq!(schedule.release(), Ok(()));
    assert_eq!(schedule.keys.group(), Some(Group::X25519));
    assert_eq!(schedule.release(), Err(Fault::Repeated.into()));
}

#[test]
fn there_are_no_keys_without_verdict_and_signature() {
    let refused = Err(Refusal::NotAuthenticated.into());
    let mut schedule = schedule();
    assert_eq!(schedule.release(), refused);
    server(&mut schedule.keys);
    assert_eq!(schedule.release(), refused);
    let opened = schedule.keys.open_guest_key(
        Version::Tls13,
        Aead::Aes128Gcm,
        Direction::Open,
        schedule.inbound,
    );
    assert_eq!(opened.map(drop), refused);
}

/// The attacker has the server sign a handshake of his own, in which the
/// client's session id, which a server echoes, is his key share.
#[test]
fn a_share_that_the_server_only_echoes_does_not_count() {
    let mut schedule = schedule();
    let transcript = transcript(
        &schedule.random,
        &schedule.share,
        b"suite and another share",
    );
    assert!(!prove(&mut schedule, &transcript));
    assert_eq!(schedule.release(), Err(Refusal::NotAuthenticated.into()));
}

#[test]
fn a_signature_from_another_connection_does_not_count() {
    let mut schedule = schedule();
    let server_part = schedule.share.clone();
    // An old handshake: the client's random number is not one of ours.
    assert!(!prove(
        &mut schedule,
        &transcript(&[5; 32], &[], &server_part)
    ));
    // A hash that no transcript of this connection had.
    let mut other = schedule_with_verdict();
    let message = certificate_verify(&[1; 32]);
    let signature = other.1.sign(&message);
    let keys = &mut other.0.keys;
    assert!(!keys.verify_signature(Version::Tls13, ED25519, &message, signature.as_ref()));
}

fn schedule_with_verdict() -> (Schedule, Ed25519KeyPair) {
    let mut schedule = schedule();
    let key = server(&mut schedule.keys);
    (schedule, key)
}

#[test]
fn a_verdict_is_given_once() {
    let mut schedule = schedule();
    server(&mut schedule.keys);
    let key = PublicKey {
        kind: KeyKind::Ed25519,
        bytes: vec![0; 32],
    };
    assert_eq!(schedule.keys.record_verdict(key), Err(Fault::Repeated));
}

/// HMAC under a secret would be HKDF-Expand with a public output.
#[test]
fn no_operation_gives_a_secret_away() {
    let mut schedule = schedule();
    let keys = &mut schedule.keys;
    for secret in [schedule.handshake, schedule.master, schedule.outbound] {
        assert_eq!(keys.hmac(HASH, secret, b"data"), Err(Fault::WrongKind));
    }
    let traffic = expand(keys, schedule.handshake, "c hs traffic").unwrap();
    let finished = expand(keys, traffic, "finished").unwrap();
    assert_eq!(
        keys.hmac(HASH, finished, b"data").map(|tag| tag.len()),
        Ok(32)
    );
    assert_eq!(
        keys.tls12_finished(HASH, schedule.master, b"client finished", &[0; 32]),
        Err(Fault::WrongKind)
    );
}

#[test]
fn labels_make_only_what_the_key_schedule_has() {
    let mut schedule = schedule();
    let keys = &mut schedule.keys;
    for (secret, label) in [
        (schedule.handshake, "c ap traffic"),
        (schedule.master, "c hs traffic"),
        (schedule.outbound, "key"),
        (schedule.outbound, "finished"),
        (schedule.outbound, "nonsense"),
    ] {
        assert_eq!(expand(keys, secret, label), Err(Fault::BadLabel), "{label}");
    }
    let master = schedule.master;
    let lie = info("c ap traffic", 16);
    assert_eq!(keys.expand(HASH, master, &lie, 32), Err(Fault::BadLength));
    assert_eq!(keys.expand(HASH, master, &lie, 16), Err(Fault::BadLength));
    for broken in [
        &b""[..],
        b"\0\x20",
        b"\0\x20\xfftls13 ",
        b"\0\x20\x0d tls13 derived\0",
    ] {
        assert_eq!(keys.expand(HASH, master, broken, 32), Err(Fault::BadLabel));
    }
    let trailing = [info("exp master", 32), vec![0]].concat();
    assert_eq!(
        keys.expand(HASH, master, &trailing, 32),
        Err(Fault::BadLabel)
    );
}

#[test]
fn handles_mean_nothing_elsewhere() {
    let ours = schedule();
    let mut theirs = schedule();
    assert_eq!(
        expand(&mut theirs.keys, ours.master, "exp master"),
        Err(Fault::UnknownHandle)
    );
    assert_eq!(
        expand(&mut theirs.keys, Handle(1), "exp master"),
        Err(Fault::UnknownHandle)
    );
}

#[test]
fn a_key_update_erases_the_key_before_it() {
    let mut schedule = schedule();
    let next = expand(&mut schedule.keys, schedule.inbound, "traffic upd").unwrap();
    let transcript = transcript(&schedule.random, &[], &schedule.share);
    assert!(prove(&mut schedule, &transcript));
    // Keys that are updated already are not those a connection begins with.
    let first = std::mem::replace(&mut schedule.inbound, next);
    assert_eq!(schedule.release(), Err(Fault::WrongKind.into()));
    schedule.inbound = first;
    schedule.release().unwrap();
    // Until they are taken, the keys before them are those in use.
    let keys = &mut schedule.keys;
    assert!(expand(keys, first, "traffic upd").is_ok());
    keys.next_opener(next).map(drop).unwrap();
    assert_eq!(
        expand(keys, first, "traffic upd"),
        Err(Fault::UnknownHandle)
    );
    assert_eq!(
        keys.next_opener(next).map(drop),
        Err(Fault::Repeated.into())
    );
}

#[test]
fn whoever_takes_over_gets_the_keys_in_use_and_no_others() {
    let mut schedule = schedule();
    assert_eq!(schedule.keys.in_use(), None);
    let transcript = transcript(&schedule.random, &[], &schedule.share);
    assert!(prove(&mut schedule, &transcript));
    schedule.release().unwrap();
    let (outbound, inbound) = (schedule.outbound, schedule.inbound);
    let keys = &mut schedule.keys;
    // What an instance derived before it ended is gone.
    let lost = expand(keys, inbound, "traffic upd").unwrap();
    assert_eq!(keys.in_use(), Some((outbound, inbound)));
    assert_eq!(
        keys.next_opener(lost).map(drop),
        Err(Fault::UnknownHandle.into())
    );
    let next = expand(keys, inbound, "traffic upd").unwrap();
    keys.next_opener(next).map(drop).unwrap();
    assert_eq!(keys.in_use(), Some((outbound, next)));
}

#[test]
fn an_update_is_taken_as_a_whole_or_not_at_all() {
    let mut schedule = schedule();
    let transcript = transcript(&schedule.random, &[], &schedule.share);
    assert!(prove(&mut schedule, &transcript));
    schedule.release().unwrap();
    let (outbound, inbound) = (schedule.outbound, schedule.inbound);
    let keys = &mut schedule.keys;
    let next = expand(keys, inbound, "traffic upd").unwrap();
    for wrong in [Handle(7), outbound, inbound, next] {
        assert!(keys.update(Some(next), Some(wrong)).is_err());
    }
    let renewed = expand(keys, outbound, "traffic upd").unwrap();
    assert!(keys.update(Some(Handle(7)), Some(renewed)).is_err());
    let (opener, sealer) = keys.update(Some(next), Some(renewed)).unwrap();
    assert!(opener.is_some() && sealer.is_some());
    assert_eq!(keys.in_use(), Some((renewed, next)));
    assert!(matches!(keys.update(None, None), Ok((None, None))));
}

#[test]
fn a_sealing_key_has_one_counter() {
    let mut schedule = schedule();
    let traffic = expand(&mut schedule.keys, schedule.handshake, "c hs traffic").unwrap();
    let mut open = |direction| {
        schedule
            .keys
            .open_guest_key(Version::Tls13, Aead::Aes128Gcm, direction, traffic)
    };
    let key = open(Direction::Seal).unwrap();
    assert_eq!(open(Direction::Seal).map(drop), Err(Fault::Repeated.into()));
    assert_eq!(
        open(Direction::Open).map(drop),
        Err(Fault::WrongKind.into())
    );
    assert!(key.seal(0, 22, b"once\x16").is_ok());
    for sequence in [0, 2, u64::MAX] {
        assert_eq!(
            key.seal(sequence, 22, b"again\x16"),
            Err(Refusal::OutOfSequence.into())
        );
    }
    assert_eq!(key.unseal(0, 23, vec![0; 40]), Err(Fault::WrongKind.into()));
}

#[test]
fn bounds_are_held_to() {
    let mut schedule = schedule();
    let mut last = Ok(schedule.master);
    for _ in 0..=MAX_SECRETS {
        last = expand(&mut schedule.keys, schedule.master, "exp master");
    }
    assert_eq!(last, Err(Fault::Exhausted));
    assert_eq!(schedule.keys.live_secrets(), MAX_SECRETS);
    assert_eq!(schedule.keys.random(0), Err(Fault::BadLength));
    assert_eq!(schedule.keys.random(257), Err(Fault::BadLength));
    let mut last = Ok(Vec::new());
    for _ in 0..100 {
        last = schedule.keys.random(32);
    }
    assert_eq!(last, Err(Fault::Exhausted));
}

#[test]
fn key_shares_have_one_form() {
    let invalid = Err(Refusal::InvalidKeyShare.into());
    for (group, length) in [
        (Group::X25519, 31),
        (Group::X25519, 33),
        // A compressed point, and one that is not on the curve.
        (Group::Secp256r1, 33),
        (Group::Secp256r1, 65),
        (Group::Secp384r1, 97),
        (Group::X25519MlKem768, 1087),
    ] {
        let mut keys = Connection::new(None).unwrap();
        let exchange = KeyExchange::new(group).unwrap();
        assert_eq!(
            keys.complete(exchange, group, &vec![2; length]).map(drop),
            invalid
        );
    }
    // X25519's result must not be zero (RFC 8446 section 7.4.2).
    let mut keys = Connection::new(None).unwrap();
    let exchange = KeyExchange::new(Group::X25519).unwrap();
    assert_eq!(
        keys.complete(exchange, Group::X25519, &[0; 32]).map(drop),
        invalid
    );
}
