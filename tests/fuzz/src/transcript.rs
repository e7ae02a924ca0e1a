//! What the host reads of a handshake's transcript: the random number of the
//! last ClientHello, and the server's own part of the last ServerHello.
//!
//! An input is the transcript.

use fumehood_crypto::fuzz::hellos;
use fumehood_crypto::{Connection, Hash, Transcript};

/// Reads the transcript, and hashes it in two ways.
pub fn run(data: &[u8]) {
    let (random, server_part) = hellos(data);
    let (plain_random, plain_part) = plainly(data);
    assert_eq!(random.map(<[u8; 32]>::as_slice), plain_random);
    assert_eq!(server_part, plain_part);

    let mut connection = Connection::new(None).expect("randomness");
    let mut whole = Transcript::new(Hash::Sha256);
    whole.update(data);
    let mut cut = Transcript::new(Hash::Sha256);
    for piece in data.chunks(1 + data.len() / 7) {
        cut.update(piece);
    }
    assert_eq!(connection.current(&whole), connection.current(&cut));
}

/// The same by indices: header, version, random, session id.
fn plainly(data: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    let (mut random, mut part) = (None, None);
    let mut at = 0;
    while data.len() >= at + 4 {
        let length = data[at + 1..at + 4]
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let Some(body) = data.get(at + 4..at + 4 + length) else {
            break;
        };
        match data[at] {
            1 => random = body.get(2..34),
            2 => {
                let session = body.get(34).map(|length| usize::from(*length));
                part = session.and_then(|length| body.get(35 + length..));
            }
            254 => {}
            _ => break,
        }
        at += 4 + length;
    }
    (random, part)
}
