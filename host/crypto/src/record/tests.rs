//! The record layer against itself and against hostile records.
#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;

use super::*;
use crate::protection::Protection;
use crate::{Aead, Version};

const AEADS: [Aead; 3] = [Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305];
const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];

fn protection(version: Version, aead: Aead) -> Protection {
    let key = vec![7; aead.key_len()];
    let iv = vec![9; aead.fixed_iv_len(version)];
    Protection::new(version, aead, &key, &iv).unwrap()
}

fn pair(version: Version, aead: Aead) -> (Sealer, Inbound) {
    let sealer = Sealer::new(protection(version, aead), 0);
    let opener = Opener::new(protection(version, aead), 0);
    (sealer, Inbound::new(opener, &[]))
}

fn feed(inbound: &mut Inbound, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let space = inbound.space();
        let count = space.len().min(bytes.len());
        space[..count].copy_from_slice(&bytes[..count]);
        inbound.filled(count);
        bytes = &bytes[count..];
    }
}

/// A TLS 1.3 record with any inner plaintext.
fn raw13(sequence: u64, inner: &[u8]) -> Vec<u8> {
    let length = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
    let mut record = vec![23, 3, 3, length[0], length[1]];
    protection(Version::Tls13, Aead::Aes128Gcm)
        .seal(sequence, 23, [inner, &[]], &mut record)
        .unwrap();
    record
}

fn advance13(record: &[u8]) -> Result<Step, RecordError> {
    let (_, mut inbound) = pair(Version::Tls13, Aead::Aes128Gcm);
    feed(&mut inbound, record);
    inbound.advance()
}

#[test]
fn many_records_become_one_piece() {
    for version in VERSIONS {
        for aead in AEADS {
            let (mut sealer, mut inbound) = pair(version, aead);
            let data: Vec<u8> = (0..50_000_u32).map(|n| n.to_le_bytes()[0]).collect();
            let mut wire = Vec::new();
            assert_eq!(sealer.seal_data(&data, &mut wire), Ok(data.len()));
            feed(&mut inbound, &wire);
            assert_eq!(inbound.advance(), Ok(Step::Data));
            assert_eq!(inbound.plaintext(), data);
            inbound.consume(data.len());
            assert_eq!(inbound.advance(), Ok(Step::NeedsBytes));
            assert!(inbound.is_quiet());
        }
    }
}

#[test]
fn a_damaged_record_is_refused_and_what_came_before_is_kept() {
    for version in VERSIONS {
        let (mut sealer, mut inbound) = pair(version, Aead::Aes128Gcm);
        let mut wire = Vec::new();
        sealer.seal_data(b"good", &mut wire).unwrap();
        sealer.seal_data(b"bad", &mut wire).unwrap();
        *wire.last_mut().unwrap() ^= 1;
        feed(&mut inbound, &wire);
        assert_eq!(inbound.advance(), Err(RecordError::BadRecord));
        assert_eq!(inbound.plaintext(), b"good");
    }
}

#[test]
fn a_replayed_record_is_refused() {
    let (mut sealer, mut inbound) = pair(Version::Tls13, Aead::ChaCha20Poly1305);
    let mut wire = Vec::new();
    sealer.seal_data(b"once", &mut wire).unwrap();
    feed(&mut inbound, &[wire.clone(), wire].concat());
    assert_eq!(inbound.advance(), Err(RecordError::BadRecord));
}

#[test]
fn close_notify_ends_it_after_the_data() {
    for version in VERSIONS {
        let (mut sealer, mut inbound) = pair(version, Aead::Aes256Gcm);
        let mut wire = Vec::new();
        sealer.seal_data(b"last", &mut wire).unwrap();
        sealer.seal_alert(Alert::CLOSE_NOTIFY, &mut wire).unwrap();
        wire.extend_from_slice(b"whatever");
        feed(&mut inbound, &wire);
        assert_eq!(inbound.advance(), Ok(Step::Data));
        inbound.consume(4);
        assert_eq!(inbound.advance(), Ok(Step::Closed));
    }
}

#[test]
fn padding_and_nothing_but_padding() {
    let (_, mut inbound) = pair(Version::Tls13, Aead::Aes128Gcm);
    feed(&mut inbound, &raw13(0, b"x\x17\0\0\0\0"));
    assert_eq!(inbound.advance(), Ok(Step::Data));
    assert_eq!(inbound.plaintext(), b"x");
    assert_eq!(
        advance13(&raw13(0, &[0; 40])),
        Err(RecordError::UnexpectedType)
    );
}

#[test]
fn lengths_are_held_to() {
    let longest = [vec![1; MAX_CONTENT], vec![23]].concat();
    assert_eq!(advance13(&raw13(0, &longest)), Ok(Step::Data));
    let padded = [vec![1; 10], vec![23], vec![0; MAX_CONTENT]].concat();
    assert_eq!(advance13(&raw13(0, &padded)), Err(RecordError::TooLong));
    assert_eq!(
        advance13(&[23, 3, 3, 0xff, 0xff]),
        Err(RecordError::TooLong)
    );
    let (mut sealer, _) = pair(Version::Tls13, Aead::Aes128Gcm);
    let message = vec![0; MAX_CONTENT + 1];
    assert_eq!(
        sealer.seal_message(&message, &mut Vec::new()),
        Err(SealError::TooLong)
    );
}

#[test]
fn what_has_no_place_is_refused() {
    assert_eq!(
        advance13(&[20, 3, 3, 0, 1, 1]),
        Err(RecordError::UnexpectedType)
    );
    assert_eq!(
        advance13(&[22, 3, 3, 0, 4, 0, 0, 0, 0]),
        Err(RecordError::UnexpectedType)
    );
    assert_eq!(
        advance13(b"HTTP/1.1 400 Bad Request"),
        Err(RecordError::UnknownType)
    );
    assert_eq!(
        advance13(&raw13(0, b"\x01\x14")),
        Err(RecordError::UnexpectedType)
    );
    assert_eq!(
        advance13(&raw13(0, b"\x16")),
        Err(RecordError::UnexpectedType)
    );
    assert_eq!(
        advance13(&raw13(0, b"\x02\x28\x15")),
        Err(RecordError::PeerAlert(Alert(40)))
    );
    assert_eq!(
        advance13(&raw13(0, b"\x02\x15")),
        Err(RecordError::BadAlert)
    );
    // A second handshake.
    let (mut sealer, mut inbound) = pair(Version::Tls12, Aead::Aes128Gcm);
    let mut wire = Vec::new();
    sealer.seal_message(&[0, 0, 0, 0], &mut wire).unwrap();
    feed(&mut inbound, &wire);
    assert_eq!(inbound.advance(), Err(RecordError::Renegotiation));
}

#[test]
fn messages_come_whole_and_alone() {
    let message = [vec![4, 0, 0x75, 0x30], vec![5; 30_000]].concat();
    let (mut sealer, mut inbound) = pair(Version::Tls13, Aead::Aes128Gcm);
    let mut wire = Vec::new();
    for piece in message.chunks(10_000) {
        sealer.seal_message(piece, &mut wire).unwrap();
    }
    feed(&mut inbound, &wire);
    assert_eq!(inbound.advance(), Ok(Step::Message(message.clone())));

    let (mut sealer, mut inbound) = pair(Version::Tls13, Aead::Aes128Gcm);
    let mut wire = Vec::new();
    sealer.seal_message(&message[..100], &mut wire).unwrap();
    sealer.seal_data(b"in between", &mut wire).unwrap();
    feed(&mut inbound, &wire);
    assert_eq!(inbound.advance(), Err(RecordError::Interleaved));

    assert_eq!(
        advance13(&raw13(0, b"\x04\xff\xff\xff\x16")),
        Err(RecordError::MessageTooLong)
    );
}

#[test]
fn keys_do_not_change_inside_a_message() {
    let (mut sealer, mut inbound) = pair(Version::Tls13, Aead::Aes128Gcm);
    let mut wire = Vec::new();
    sealer
        .seal_message(&[24, 0, 0, 1, 0, 24], &mut wire)
        .unwrap();
    feed(&mut inbound, &wire);
    assert_eq!(inbound.advance(), Ok(Step::Message(vec![24, 0, 0, 1, 0])));
    let next = Opener::new(protection(Version::Tls13, Aead::Aes128Gcm), 0);
    assert_eq!(inbound.replace(next), Err(RecordError::Interleaved));
}

#[test]
fn a_peer_that_only_makes_work_is_cut_off() {
    let (mut sealer, mut inbound) = pair(Version::Tls13, Aead::Aes128Gcm);
    let mut outcome = Ok(Step::NeedsBytes);
    for _ in 0..100 {
        let mut wire = Vec::new();
        sealer.seal_nothing(&mut wire).unwrap();
        feed(&mut inbound, &wire);
        outcome = inbound.advance();
        if outcome.is_err() {
            break;
        }
    }
    assert_eq!(outcome, Err(RecordError::Idle));
}

#[test]
fn a_key_is_not_used_beyond_its_limit() {
    let (mut sealer, _) = pair(Version::Tls13, Aead::Aes128Gcm);
    sealer.skip_to((1 << 24) - 9);
    let mut wire = Vec::new();
    let data = vec![0; 2 * MAX_CONTENT];
    assert_eq!(sealer.seal_data(&data, &mut wire), Ok(MAX_CONTENT));
    assert_eq!(sealer.seal_data(&data, &mut wire), Err(SealError::KeyLimit));
    // The key update that is due can still be said.
    assert_eq!(sealer.seal_message(&[24, 0, 0, 1, 0], &mut wire), Ok(()));
    let (mut sealer, _) = pair(Version::Tls13, Aead::ChaCha20Poly1305);
    sealer.skip_to(1 << 25);
    assert_eq!(sealer.seal_data(b"x", &mut wire), Ok(1));
}

proptest! {
    /// Whatever is sent arrives, however the network cuts it up.
    #[test]
    fn data_survives_any_segmentation(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40_000), 1..6),
        cuts in prop::collection::vec(1..60_000_usize, 1..20),
        tls13 in any::<bool>(),
    ) {
        let version = if tls13 { Version::Tls13 } else { Version::Tls12 };
        let (mut sealer, mut inbound) = pair(version, Aead::Aes128Gcm);
        let mut wire = Vec::new();
        for piece in &pieces {
            sealer.seal_data(piece, &mut wire).unwrap();
        }
        let mut got = Vec::new();
        let mut cuts = cuts.iter().cycle();
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            let space = inbound.space();
            let count = space.len().min(rest.len()).min(*cuts.next().unwrap());
            space[..count].copy_from_slice(&rest[..count]);
            inbound.filled(count);
            rest = &rest[count..];
            if inbound.advance().unwrap() == Step::Data {
                got.extend_from_slice(inbound.plaintext());
                let length = inbound.plaintext().len();
                inbound.consume(length);
            }
        }
        prop_assert_eq!(got, pieces.concat());
        prop_assert!(inbound.is_quiet());
    }

    /// Noise is refused or waited for; it is never data and never a panic.
    #[test]
    fn noise_is_never_data(bytes in prop::collection::vec(any::<u8>(), 0..20_000)) {
        let outcome = advance13(&bytes);
        prop_assert!(matches!(outcome, Ok(Step::NeedsBytes) | Err(_)));
    }
}
