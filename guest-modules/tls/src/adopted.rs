//! A connection behind its handshake, taken over from an instance that ended, or
//! that is of another version.

use crate::imports::{self, HashAlgorithm, ProtocolVersion, Secret};
use crate::messages::{KEY_UPDATE_NOT_REQUESTED, Message};
use crate::{Established, Failure, Update};

/// HkdfLabel of the next traffic secret (RFC 8446 sections 7.1 and 7.2),
/// behind its two bytes of length: label and an empty context.
const TRAFFIC_UPDATE: &[u8] = b"\x11tls13 traffic upd\0";

/// What key updates need, and nothing of the handshake. Tickets are let pass:
/// none is used, and the message that ended one instance may be a ticket.
#[derive(Debug)]
pub(crate) struct Adopted {
    hash: HashAlgorithm,
    inbound: Secret,
    outbound: Secret,
}

impl Adopted {
    /// Goes on with the keys in force.
    pub(crate) fn new(established: &Established) -> Result<Self, Failure> {
        // The suites of `provider::suites`, RFC 8446 appendix B.4.
        let hash = match (established.version, established.cipher_suite) {
            (ProtocolVersion::Tls13, 0x1301 | 0x1303) => HashAlgorithm::Sha256,
            (ProtocolVersion::Tls13, 0x1302) => HashAlgorithm::Sha384,
            _ => return Err(Failure::misuse("there is nothing left to take over")),
        };
        Ok(Adopted {
            hash,
            inbound: established.inbound,
            outbound: established.outbound,
        })
    }

    pub(crate) fn post_handshake(&mut self, message: &[u8]) -> Result<Update, Failure> {
        match Message::parse(message)? {
            Message::NewSessionTicket(_) => Ok(Update::default()),
            Message::KeyUpdate { requested } => {
                self.inbound = self.after(self.inbound);
                let mut update = if requested {
                    self.renew_outbound()
                } else {
                    Update::default()
                };
                update.inbound = Some(self.inbound);
                Ok(update)
            }
        }
    }

    pub(crate) fn renew_outbound(&mut self) -> Update {
        self.outbound = self.after(self.outbound);
        Update {
            inbound: None,
            reply: Some(KEY_UPDATE_NOT_REQUESTED.to_vec()),
            outbound: Some(self.outbound),
        }
    }

    fn after(&self, secret: Secret) -> Secret {
        let length: u16 = match self.hash {
            HashAlgorithm::Sha256 => 32,
            HashAlgorithm::Sha384 => 48,
        };
        let info = [&length.to_be_bytes(), TRAFFIC_UPDATE].concat();
        imports::expand(self.hash, secret, &info, length.into())
    }
}
