//! TLS records behind the handshake: opened the same however they arrive, and
//! what is given out is what was sealed.
//!
//! An input is a list ([`crate::pieces`]): a byte for version and algorithm and one
//! for the cuts; then records, each a byte that says how it is made, and its content.

use fumehood_crypto::fuzz::Records;
use fumehood_crypto::record::{ContentType, Inbound, RecordError, Step};
use fumehood_crypto::{Aead, Version};

use crate::pieces;

/// What a stream of records came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Opened {
    plaintext: Vec<u8>,
    messages: Vec<Vec<u8>>,
    closed: bool,
    /// Nothing is left that waits for more.
    quiet: bool,
    error: Option<RecordError>,
}

/// Opens the records whole and in pieces.
pub fn run(data: &[u8]) {
    let pieces = pieces::split(data);
    let Some((&[how, cuts, ..], records)) = pieces.split_first() else {
        return;
    };
    let version = if how & 1 == 0 {
        Version::Tls13
    } else {
        Version::Tls12
    };
    let aead = match how >> 1 & 3 {
        0 => Aead::Aes128Gcm,
        1 => Aead::Aes256Gcm,
        _ => Aead::ChaCha20Poly1305,
    };
    let (wire, plaintext) = seal(version, aead, records);
    let whole = open(version, aead, &wire, wire.len().max(1));
    let cut = open(version, aead, &wire, 1 + usize::from(*cuts));
    assert_eq!(whole, cut, "what records hold depends on how they arrive");
    assert!(
        plaintext.starts_with(&whole.plaintext),
        "plaintext that nobody sealed"
    );
    // What is not sealed may announce a record that takes in what follows.
    if whole.quiet {
        assert_eq!(whole.plaintext, plaintext, "plaintext was lost");
    }
    guest_key(version, aead, &wire);
}

/// The records on the wire, and the application data sealed in them.
fn seal(version: Version, aead: Aead, records: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
    let mut keys = Records::new(version, aead);
    let (mut wire, mut plaintext) = (Vec::new(), Vec::new());
    for record in records {
        let Some((how, content)) = record.split_first() else {
            continue;
        };
        let kind = match how & 3 {
            0 => ContentType::ApplicationData,
            1 => ContentType::Handshake,
            2 => ContentType::Alert,
            _ => ContentType::ChangeCipherSpec,
        };
        let start = wire.len();
        let sealed = match (version, how >> 2 & 3) {
            // Whatever the fuzzer writes, sealed or not.
            (_, 3) => {
                wire.extend_from_slice(content);
                Ok(())
            }
            (_, 2) => keys.seal(kind, content, &mut wire),
            (Version::Tls12, _) => keys.seal(kind, content, &mut wire),
            (Version::Tls13, padding) => {
                let inner = [
                    content,
                    &[kind.code_point()],
                    &[0; 9][..usize::from(padding) * 9],
                ];
                keys.seal(ContentType::ApplicationData, &inner.concat(), &mut wire)
            }
        };
        if sealed.is_err() {
            wire.truncate(start);
            continue;
        }
        if how & 0x80 != 0
            && let Some(last) = wire[start..].last_mut()
        {
            *last ^= 1;
        } else {
            plaintext.extend(data_in(version, *how, kind, content));
        }
    }
    (wire, plaintext)
}

/// The application data of a record made like this.
fn data_in(version: Version, how: u8, kind: ContentType, content: &[u8]) -> Vec<u8> {
    let (how, is_data) = (how >> 2 & 3, kind == ContentType::ApplicationData);
    match (version, how) {
        // A whole inner plaintext: content, type, zeros.
        (Version::Tls13, 2) if is_data => {
            let end = content.iter().rposition(|byte| *byte != 0);
            match end {
                Some(end) if content[end] == 23 => content[..end].to_vec(),
                _ => Vec::new(),
            }
        }
        (Version::Tls12, 0..=2) | (Version::Tls13, 0 | 1) if is_data => content.to_vec(),
        _ => Vec::new(),
    }
}

fn open(version: Version, aead: Aead, wire: &[u8], size: usize) -> Opened {
    let opener = Records::new(version, aead).opener();
    let mut inbound = Inbound::new(opener.expect("the keys have the right length"), &[]);
    let mut opened = Opened::default();
    let mut rest = wire;
    loop {
        match inbound.advance() {
            Ok(Step::Data) => take(&mut inbound, &mut opened),
            Ok(Step::Message(message)) => opened.messages.push(message),
            Ok(Step::Closed) => {
                opened.closed = true;
                return opened;
            }
            Ok(Step::NeedsBytes) if rest.is_empty() => {
                opened.quiet = inbound.is_quiet();
                return opened;
            }
            Ok(Step::NeedsBytes) => {
                let space = inbound.space();
                let count = space.len().min(rest.len()).min(size);
                space[..count].copy_from_slice(&rest[..count]);
                inbound.filled(count);
                rest = &rest[count..];
            }
            Err(error) => {
                // What was opened before it is still good.
                take(&mut inbound, &mut opened);
                opened.error = Some(error);
                return opened;
            }
        }
    }
}

fn take(inbound: &mut Inbound, opened: &mut Opened) {
    opened.plaintext.extend_from_slice(inbound.plaintext());
    inbound.consume(inbound.plaintext().len());
}

/// The same bytes as records of a handshake.
fn guest_key(version: Version, aead: Aead, wire: &[u8]) {
    let key = Records::new(version, aead).guest_key();
    let key = key.expect("the keys have the right length");
    // Refusals and faults are answers; a panic is not.
    let _ = key.unseal(0, 23, wire.to_vec());
    let _ = key.unseal(u64::MAX, 22, wire.get(5..).unwrap_or_default().to_vec());
}
