//! Who the peer is: the certificate's verdict, and the signature that goes with it.

use crate::signature::{self, Algorithm};
use crate::transcript::Witness;
use crate::{Fault, Group, PublicKey, Version};

/// Most transcript hashes remembered; a handshake computes about eight.
const MAX_WITNESSES: usize = 32;

/// A key exchange that was completed: what the peer's part of it was.
pub(crate) struct Completed {
    pub(crate) group: Group,
    pub(crate) peer_share: Vec<u8>,
}

/// How far the peer's authentication is.
pub(crate) enum Authentication {
    /// No verdict on a certificate yet.
    Nothing,
    /// A certificate was believed; nobody has proven to hold its key.
    Believed(PublicKey),
    /// Its holder signed this connection's key exchange.
    Proven {
        version: Version,
        /// The peer's key share that was signed.
        peer_share: Vec<u8>,
    },
}

impl Authentication {
    /// # Errors
    /// [`Fault::Repeated`] if there is a verdict already.
    pub(crate) fn believe(&mut self, key: PublicKey) -> Result<(), Fault> {
        match self {
            Authentication::Nothing => {
                *self = Authentication::Believed(key);
                Ok(())
            }
            Authentication::Believed(_) | Authentication::Proven { .. } => Err(Fault::Repeated),
        }
    }

    /// Whether keys of that version from that exchange may be given out.
    pub(crate) fn allows(&self, keys: Version, exchange: &Completed) -> bool {
        match self {
            Authentication::Proven {
                version,
                peer_share,
            } => *version == keys && *peer_share == exchange.peer_share,
            Authentication::Nothing | Authentication::Believed(_) => false,
        }
    }
}

/// What a handshake signature is made over, as far as the host knows it.
#[derive(Default)]
pub(crate) struct Evidence {
    /// The 32-byte random numbers given to the guest: one is the client's.
    pub(crate) randoms: Vec<[u8; 32]>,
    /// Completed key exchanges.
    pub(crate) exchanges: Vec<Completed>,
    witnesses: Vec<Witness>,
}

impl Evidence {
    pub(crate) fn add(&mut self, witness: Witness) {
        if self.witnesses.len() == MAX_WITNESSES {
            self.witnesses.remove(0);
        }
        self.witnesses.push(witness);
    }

    /// The completed exchange whose peer share stands in a ServerHello.
    pub(crate) fn exchange_in(&self, server_part: &[u8]) -> Option<usize> {
        self.exchanges.iter().position(|exchange| {
            let share = exchange.peer_share.as_slice();
            server_part
                .windows(share.len())
                .any(|window| window == share)
        })
    }

    /// The peer share that `message` vouches for, if it is a message of this
    /// connection that a server signs in that version.
    fn peer_share_in(&self, version: Version, message: &[u8]) -> Option<Vec<u8>> {
        match version {
            Version::Tls13 => self.in_certificate_verify(message),
            Version::Tls12 => self.in_key_exchange(message),
        }
    }

    /// RFC 8446 section 4.4.3.
    fn in_certificate_verify(&self, message: &[u8]) -> Option<Vec<u8>> {
        const SPACES: [u8; 64] = [b' '; 64];
        let hash = message
            .strip_prefix(SPACES.as_slice())?
            .strip_prefix(b"TLS 1.3, server CertificateVerify\0")?;
        let witness = self.witnesses.iter().find(|witness| witness.is_of(hash))?;
        Some(self.exchanges.get(witness.exchange)?.peer_share.clone())
    }

    /// RFC 8422 section 5.4: client_random, server_random, named_curve,
    /// point. The exchange is completed only afterwards, so what is returned
    /// is compared when its keys are asked for.
    fn in_key_exchange(&self, message: &[u8]) -> Option<Vec<u8>> {
        const NAMED_CURVE: u8 = 3;
        let (client_random, rest) = message.split_first_chunk::<32>()?;
        let (_server_random, rest) = rest.split_first_chunk::<32>()?;
        let ([kind, _, _, length], point) = rest.split_first_chunk::<4>()?;
        let ours = self.randoms.contains(client_random);
        let whole = *kind == NAMED_CURVE && usize::from(*length) == point.len();
        (ours && whole).then(|| point.to_vec())
    }
}

/// Verifies a handshake signature with the believed key. What is not this
/// connection's, in a scheme that does not suit the key, or wrong, is not
/// verified; only success changes anything.
pub(crate) fn prove(
    authentication: &mut Authentication,
    evidence: &Evidence,
    version: Version,
    scheme: u16,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Authentication::Believed(key) = authentication else {
        return false;
    };
    let Some(algorithm) = Algorithm::of_scheme(version, scheme, key.kind) else {
        return false;
    };
    let Some(peer_share) = evidence.peer_share_in(version, message) else {
        return false;
    };
    let valid = signature::verify(algorithm, &key.bytes, message, signature);
    if valid {
        *authentication = Authentication::Proven {
            version,
            peer_share,
        };
    }
    valid
}
