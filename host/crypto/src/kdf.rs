//! Key derivation on bytes: HKDF (RFC 5869) and the TLS 1.2 PRF (RFC 5246 section 5).

use aws_lc_rs::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::{Fault, Hash};

/// HKDF-Extract; an absent input is a string of zeros as long as the hash.
pub(crate) fn extract(hash: Hash, salt: Option<&[u8]>, ikm: Option<&[u8]>) -> Zeroizing<Vec<u8>> {
    const ZEROS: [u8; 48] = [0; 48];
    let zeros = &ZEROS[..hash.output_len()];
    let key = hmac::Key::new(hash.hmac(), salt.unwrap_or(zeros));
    Zeroizing::new(hmac::sign(&key, ikm.unwrap_or(zeros)).as_ref().to_vec())
}

/// HKDF-Expand.
pub(crate) fn expand(
    hash: Hash,
    prk: &[u8],
    info: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut out = Zeroizing::new(vec![0; length]);
    hkdf::Prk::new_less_safe(hash.hkdf(), prk)
        .expand(&[info], Length(length))
        .and_then(|okm| okm.fill(&mut out))
        .map_err(|_| Fault::BadLength)?;
    Ok(out)
}

/// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1).
pub(crate) fn expand_label(
    hash: Hash,
    secret: &[u8],
    label: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    const PREFIX: &[u8] = b"tls13 ";
    let too_long = |_| Fault::BadLength;
    let mut info = Vec::with_capacity(4 + PREFIX.len() + label.len());
    info.extend_from_slice(&u16::try_from(length).map_err(too_long)?.to_be_bytes());
    info.push(u8::try_from(PREFIX.len() + label.len()).map_err(too_long)?);
    info.extend_from_slice(PREFIX);
    info.extend_from_slice(label);
    info.push(0);
    expand(hash, secret, &info, length)
}

/// HMAC.
pub(crate) fn hmac(hash: Hash, key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hash.hmac(), key), data)
        .as_ref()
        .to_vec()
}

/// The TLS 1.2 PRF: P_hash(secret, label ‖ seed).
pub(crate) fn prf(
    hash: Hash,
    secret: &[u8],
    label: &[u8],
    seed: &[u8],
    length: usize,
) -> Zeroizing<Vec<u8>> {
    let key = hmac::Key::new(hash.hmac(), secret);
    let sign = |parts: &[&[u8]]| {
        let mut context = hmac::Context::with_key(&key);
        parts.iter().for_each(|part| context.update(part));
        context.sign()
    };
    let mut out = Zeroizing::new(vec![0; length]);
    let mut a = sign(&[label, seed]);
    for piece in out.chunks_mut(hash.output_len()) {
        let block = Zeroizing::new(sign(&[a.as_ref(), label, seed]).as_ref().to_vec());
        piece.copy_from_slice(&block[..piece.len()]);
        a = sign(&[a.as_ref()]);
    }
    out
}

/// An output length, as aws-lc-rs wants it.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
