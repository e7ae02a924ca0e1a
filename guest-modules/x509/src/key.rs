//! The leaf's key, taken out of its SubjectPublicKeyInfo (RFC 5280 section 4.1).

use rustls_pki_types::{AlgorithmIdentifier, alg_id};

use crate::Rejection;

/// Kinds of public key that handshakes are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// RFC 8410.
    Ed25519,
    /// RFC 3279.
    Rsa,
}

/// A believed chain: the leaf's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Of which kind.
    pub kind: KeyKind,
    /// Content of the subjectPublicKey bit string.
    pub public_key: Vec<u8>,
}

const KINDS: [(AlgorithmIdentifier, KeyKind); 5] = [
    (alg_id::ECDSA_P256, KeyKind::P256),
    (alg_id::ECDSA_P384, KeyKind::P384),
    (alg_id::ECDSA_P521, KeyKind::P521),
    (alg_id::ED25519, KeyKind::Ed25519),
    (alg_id::RSA_ENCRYPTION, KeyKind::Rsa),
];

impl Verdict {
    /// Parses a SubjectPublicKeyInfo in DER.
    pub(crate) fn of_key_info(info: &[u8]) -> Result<Self, Rejection> {
        let (algorithm, public_key) = split(info).ok_or(Rejection::Malformed)?;
        let (_, kind) = KINDS
            .iter()
            .find(|(known, _)| known.as_ref() == algorithm)
            .ok_or_else(|| {
                Rejection::Other("its key is of a kind that TLS servers do not use".to_owned())
            })?;
        Ok(Verdict {
            kind: *kind,
            public_key: public_key.to_vec(),
        })
    }
}

/// The content of the algorithm identifier and of the bit string.
fn split(info: &[u8]) -> Option<(&[u8], &[u8])> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let (content, rest) = element(SEQUENCE, info)?;
    let (algorithm, key) = element(SEQUENCE, content)?;
    let (bits, after) = element(BIT_STRING, key)?;
    let (unused_bits, bits) = bits.split_first()?;
    (rest.is_empty() && after.is_empty() && *unused_bits == 0).then_some((algorithm, bits))
}

/// One DER element of the tag: its content, and what follows it. Lengths of
/// up to 2 bytes; a certificate's key is not longer.
fn element(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = input.split_first()?;
    if *found != tag {
        return None;
    }
    let (length, rest) = match rest {
        [length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [0x81, length @ 0x80..=0xff, rest @ ..] => (usize::from(*length), rest),
        [0x82, high @ 1..=0xff, low, rest @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
