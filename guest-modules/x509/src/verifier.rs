//! Judges chains against the anchors it holds.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::signatures::ALL;
use crate::{Rejection, Verdict};

/// Most anchors held. Browsers ship about 150.
pub const MAX_ANCHORS: usize = 1024;

/// Most certificates of a chain. Honest ones have 2 to 4.
pub const MAX_CHAIN_LENGTH: usize = 16;

/// Most bytes of a chain. Honest ones have 3 to 8 KiB.
pub const MAX_CHAIN_BYTES: usize = 128 * 1024;

/// The anchors, and nothing of any chain.
#[derive(Debug, Default)]
pub struct Verifier {
    anchors: Vec<TrustAnchor<'static>>,
}

impl Verifier {
    /// Replaces the anchors: certificates in DER. Those that cannot be used,
    /// and those beyond [`MAX_ANCHORS`], are skipped. Returns how many are held.
    pub fn set_anchors(&mut self, certificates: &[Vec<u8>]) -> usize {
        self.anchors = certificates
            .iter()
            .filter_map(|der| {
                let certificate = CertificateDer::from(der.as_slice());
                anchor_from_trusted_cert(&certificate)
                    .ok()
                    .map(|anchor| anchor.to_owned())
            })
            .take(MAX_ANCHORS)
            .collect();
        self.anchors.len()
    }

    /// Judges a chain, leaf first, for a name at a time (seconds since the
    /// Unix epoch).
    ///
    /// # Errors
    /// [`Rejection`].
    pub fn verify(
        &self,
        chain: &[Vec<u8>],
        server_name: &str,
        now: u64,
    ) -> Result<Verdict, Rejection> {
        if chain.len() > MAX_CHAIN_LENGTH
            || chain.iter().map(Vec::len).sum::<usize>() > MAX_CHAIN_BYTES
        {
            return Err(Rejection::Limit);
        }
        let name = ServerName::try_from(server_name)
            .map_err(|_| Rejection::Other("the name asked for is not a name".to_owned()))?;
        let certificates: Vec<CertificateDer<'_>> = chain
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let (leaf, intermediates) = certificates.split_first().ok_or(Rejection::Malformed)?;
        let leaf = EndEntityCert::try_from(leaf)?;
        leaf.verify_for_usage(
            &ALL,
            &self.anchors,
            intermediates,
            UnixTime::since_unix_epoch(Duration::from_secs(now)),
            KeyUsage::server_auth(),
            None,
            None,
        )?;
        leaf.verify_is_valid_for_subject_name(&name)?;
        Verdict::of_key_info(&leaf.subject_public_key_info())
    }

    /// The leaf's key without any verification.
    ///
    /// # Errors
    /// [`Rejection::Malformed`], [`Rejection::Limit`], or
    /// [`Rejection::Other`] for a key of no use.
    pub fn unverified_key(leaf: &[u8]) -> Result<Verdict, Rejection> {
        if leaf.len() > MAX_CHAIN_BYTES {
            return Err(Rejection::Limit);
        }
        let certificate = CertificateDer::from(leaf);
        let leaf = EndEntityCert::try_from(&certificate)?;
        Verdict::of_key_info(&leaf.subject_public_key_info())
    }
}
