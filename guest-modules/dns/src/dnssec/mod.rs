//! DNSSEC: whether what servers say is what the zone's owner said (RFC 4033 to
//! 4035, RFC 5155).
//!
//! ```text
//! sets        a reply's records by name and type, as they were signed
//!   rdata       signatures, keys, delegations, denials
//!   names       the order of names, and their parts
//! signature   a set against the keys of its zone
//! denial      that a name or a record is not there
//! zones       what is known of zones, from the trust anchors down
//! proof       everything a reply claims, and what must be asked to believe it
//! ```
//!
//! Nothing here asks anybody: a proof names the next record it needs, and is
//! told of the reply. Signatures and digests are the host's work ([`Oracle`]).

mod denial;
mod flaw;
mod names;
mod proof;
mod rdata;
mod sets;
mod signature;
mod zones;

use crate::bounds::{MAX_PROOF_QUESTIONS, MAX_SIGNATURE_CHECKS};
use crate::types::Time;

pub(crate) use flaw::Flaw;
pub(crate) use proof::{Proof, Step};
pub(crate) use rdata::{Dnskey, Ds};
pub(crate) use sets::{Sets, read};
pub(crate) use zones::Zones;

/// Digests of DNSSEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// RFC 5155 section 11, RFC 4034 section 5.1.4.
    Sha1,
    /// RFC 4509.
    Sha256,
    /// RFC 6605.
    Sha384,
}

impl Digest {
    /// How long it is, in bytes.
    fn length(self) -> usize {
        match self {
            Digest::Sha1 => 20,
            Digest::Sha256 => 32,
            Digest::Sha384 => 48,
        }
    }
}

/// Algorithms that are checked. Others make a zone insecure, those with SHA-1
/// among them (RFC 9905).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// 8 (RFC 5702).
    RsaSha256,
    /// 10 (RFC 5702).
    RsaSha512,
    /// 13 (RFC 6605).
    EcdsaP256,
    /// 14 (RFC 6605).
    EcdsaP384,
    /// 15 (RFC 8080).
    Ed25519,
}

/// What the host does for a validator: it tells the date, and computes on
/// public data.
pub trait Oracle {
    /// Seconds since the Unix epoch.
    fn unix_time(&self) -> u64;

    /// The digest of these bytes.
    fn digest(&self, digest: Digest, bytes: &[u8]) -> Vec<u8>;

    /// Whether the signature is the key's. The key is an RSAPublicKey in DER
    /// (RFC 8017), an uncompressed point, or the 32 bytes of Ed25519; the
    /// signature as in a RRSIG record.
    fn verify(&self, algorithm: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool;
}

/// What a proof has at hand.
pub(crate) struct Tools<'a> {
    pub(crate) oracle: &'a dyn Oracle,
    /// Since some moment, for what is kept.
    pub(crate) now: Time,
    pub(crate) work: &'a mut Work,
}

impl Tools<'_> {
    /// The date in the arithmetic of signatures (RFC 4034 section 3.1.5).
    fn date(&self) -> u32 {
        let [.., a, b, c, d] = self.oracle.unix_time().to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

/// What one lookup has cost so far. Whoever sends a reply decides how much work
/// it is to check (CVE-2023-50387), so there is an end to it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    checks: u32,
    questions: u32,
}

impl Work {
    fn check(&mut self) -> Result<(), Flaw> {
        self.checks += 1;
        match self.checks <= MAX_SIGNATURE_CHECKS {
            true => Ok(()),
            false => Err(Flaw::TooMuchWork),
        }
    }

    fn question(&mut self) -> Result<(), Flaw> {
        self.questions += 1;
        match self.questions <= MAX_PROOF_QUESTIONS {
            true => Ok(()),
            false => Err(Flaw::TooMuchWork),
        }
    }
}
