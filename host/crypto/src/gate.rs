//! The gate: who the peer is, and which keys are given out for what.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::authentication::{self, Authentication, Completed};
use crate::protection::Protection;
use crate::record::{Opener, Sealer};
use crate::secret::{Kind, Side, Use};
use crate::{
    Aead, Connection, Direction, Error, Fault, Group, GuestKey, KeyPair, PublicKey, Refusal,
    Version,
};

impl Connection {
    /// Records the verdict on the peer's certificate: its key.
    ///
    /// # Errors
    /// [`Fault::Repeated`] if there is one already.
    pub fn record_verdict(&mut self, key: PublicKey) -> Result<(), Fault> {
        self.authentication.believe(key)
    }

    /// Verifies a handshake signature with the verdict's key. Only what is
    /// about this connection counts: in TLS 1.3 a CertificateVerify over a
    /// transcript hash that [`Connection::current`] gave, in TLS 1.2 a
    /// ServerKeyExchange with a client random that [`Connection::random`] gave.
    pub fn verify_signature(
        &mut self,
        version: Version,
        scheme: u16,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let Connection {
            authentication,
            evidence,
            ..
        } = self;
        authentication::prove(
            authentication,
            evidence,
            version,
            scheme,
            message,
            signature,
        )
    }

    /// A record key for the guest's use during the handshake.
    ///
    /// # Errors
    /// [`Refusal::NotAuthenticated`] for application keys before the peer is;
    /// faults for secrets that are not such a key, and for a second sealing key.
    pub fn open_guest_key(
        &mut self,
        version: Version,
        aead: Aead,
        direction: Direction,
        keys: KeyPair,
    ) -> Result<GuestKey, Error> {
        let purpose = self.purpose(version, direction, keys)?;
        let (opened, next) = match purpose {
            Use::Handshake(_) => (&mut self.opened.handshake, Arc::default()),
            Use::Application12(_) | Use::Application13(..) => {
                self.check_authenticated(version, keys)?;
                (&mut self.opened.application, Arc::clone(&self.guest_sealed))
            }
        };
        if direction == Direction::Seal && std::mem::replace(opened, true) {
            return Err(Fault::Repeated.into());
        }
        let protection = self.protection(version, aead, keys)?;
        Ok(GuestKey::new(protection, purpose, direction, next))
    }

    /// Gives the record layer its keys, and erases all secrets but those that
    /// key updates and tickets need. The gate: see the crate's text.
    ///
    /// # Errors
    /// [`Refusal::NotAuthenticated`] if the peer is not;
    /// [`Refusal::OutOfSequence`] if the guest sealed other records than its
    /// Finished message; faults for secrets that are not such keys.
    pub fn release(
        &mut self,
        version: Version,
        aead: Aead,
        outbound: KeyPair,
        inbound: KeyPair,
    ) -> Result<(Sealer, Opener), Error> {
        if self.released.is_some() {
            return Err(Fault::Repeated.into());
        }
        for (direction, keys) in [(Direction::Seal, outbound), (Direction::Open, inbound)] {
            if !is_first_application_key(self.purpose(version, direction, keys)?) {
                return Err(Fault::WrongKind.into());
            }
            self.check_authenticated(version, keys)?;
        }
        // In TLS 1.2 either side's Finished message was the first record.
        let first = match version {
            Version::Tls12 => 1,
            Version::Tls13 => 0,
        };
        if self.guest_sealed.swap(u64::MAX, Ordering::Relaxed) != first {
            return Err(Refusal::OutOfSequence.into());
        }
        let sealer = Sealer::new(self.protection(version, aead, outbound)?, first);
        let opener = Opener::new(self.protection(version, aead, inbound)?, first);
        self.released = Some((0, 0));
        self.suite = Some((version, aead));
        self.table.retain(outlives_the_handshake);
        Ok((sealer, opener))
    }

    /// The sealer for the client's next key, after a key update (RFC 8446 section 4.6.3).
    ///
    /// # Errors
    /// Faults if the keys are not the very next ones.
    pub fn next_sealer(&mut self, keys: KeyPair) -> Result<Sealer, Error> {
        let protection = self.updated(Direction::Seal, keys)?;
        Ok(Sealer::new(protection, 0))
    }

    /// The opener for the server's next key.
    ///
    /// # Errors
    /// Faults if the keys are not the very next ones.
    pub fn next_opener(&mut self, keys: KeyPair) -> Result<Opener, Error> {
        let protection = self.updated(Direction::Open, keys)?;
        Ok(Opener::new(protection, 0))
    }

    fn updated(&mut self, direction: Direction, keys: KeyPair) -> Result<Protection, Error> {
        let (Some((sealing, opening)), Some((version, aead))) = (self.released, self.suite) else {
            return Err(Fault::WrongKind.into());
        };
        let before = if direction == Direction::Seal {
            sealing
        } else {
            opening
        };
        let Use::Application13(_, number) = self.purpose(version, direction, keys)? else {
            return Err(Fault::WrongKind.into());
        };
        // Strictly the next: an earlier key again would repeat its nonces.
        if Some(number) != before.checked_add(1) {
            return Err(Fault::Repeated.into());
        }
        let protection = self.protection(version, aead, keys)?;
        self.released = Some(match direction {
            Direction::Seal => (number, opening),
            Direction::Open => (sealing, number),
        });
        self.table.remove(keys.key);
        self.table.remove(keys.iv);
        Ok(protection)
    }

    /// What a pair of secrets is for, if it is a pair and fits the direction.
    fn purpose(&self, version: Version, direction: Direction, keys: KeyPair) -> Result<Use, Fault> {
        let (key, iv) = (self.table.get(keys.key)?, self.table.get(keys.iv)?);
        let (Kind::Key(purpose), Kind::Iv(of_iv)) = (key.kind, iv.kind) else {
            return Err(Fault::WrongKind);
        };
        let (spoken, side) = match purpose {
            Use::Handshake(side) | Use::Application13(side, _) => (Version::Tls13, side),
            Use::Application12(side) => (Version::Tls12, side),
        };
        let right_way = match direction {
            Direction::Seal => side == Side::Client,
            Direction::Open => side == Side::Server,
        };
        let fits = purpose == of_iv && key.origin == iv.origin && spoken == version && right_way;
        if fits {
            Ok(purpose)
        } else {
            Err(Fault::WrongKind)
        }
    }

    fn check_authenticated(&self, version: Version, keys: KeyPair) -> Result<(), Error> {
        let origin = self.table.get(keys.key)?.origin.ok_or(Fault::WrongKind)?;
        let exchange = self
            .evidence
            .exchanges
            .get(origin)
            .ok_or(Fault::WrongKind)?;
        if self.authentication.allows(version, exchange) {
            Ok(())
        } else {
            Err(Refusal::NotAuthenticated.into())
        }
    }

    fn protection(&self, version: Version, aead: Aead, keys: KeyPair) -> Result<Protection, Fault> {
        let (key, iv) = (self.table.get(keys.key)?, self.table.get(keys.iv)?);
        Protection::new(version, aead, &key.bytes, &iv.bytes)
    }

    /// The group of the key exchange that the released keys come from.
    #[must_use]
    pub fn group(&self) -> Option<Group> {
        let Authentication::Proven { peer_share, .. } = &self.authentication else {
            return None;
        };
        let of = |exchange: &&Completed| exchange.peer_share == *peer_share;
        self.evidence
            .exchanges
            .iter()
            .find(of)
            .map(|exchange| exchange.group)
    }
}

fn is_first_application_key(purpose: Use) -> bool {
    matches!(purpose, Use::Application12(_) | Use::Application13(_, 0))
}

/// Key updates start from the traffic secrets, tickets from the resumption
/// secret; in TLS 1.2 there is nothing left to do.
fn outlives_the_handshake(kind: Kind) -> bool {
    matches!(kind, Kind::ApplicationTraffic(..) | Kind::Resumption)
}
