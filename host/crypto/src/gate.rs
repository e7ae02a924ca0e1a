//! The gate: who the peer is, and which keys are given out for what.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::authentication::{self, Authentication, Completed};
use crate::connection::Released;
use crate::protection::Protection;
use crate::record::{Opener, Sealer};
use crate::secret::{Kind, Side, Use};
use crate::{
    Aead, Connection, Direction, Error, Fault, Group, GuestKey, Handle, PublicKey, Refusal,
    Version, kdf,
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
    /// faults for secrets that protect no records, and for a second sealing key.
    pub fn open_guest_key(
        &mut self,
        version: Version,
        aead: Aead,
        direction: Direction,
        traffic: Handle,
    ) -> Result<GuestKey, Error> {
        let purpose = self.purpose(version, direction, traffic)?;
        let opened = match purpose {
            Use::Handshake(_) => &mut self.opened.handshake,
            Use::Application12(_) | Use::Application13(..) => {
                self.check_authenticated(version, traffic)?;
                &mut self.opened.application
            }
        };
        if direction == Direction::Seal && std::mem::replace(opened, true) {
            return Err(Fault::Repeated.into());
        }
        Ok(match purpose {
            Use::Handshake(_) => GuestKey::handshake(self.protection(aead, traffic)?, direction),
            Use::Application12(_) => {
                let sealed = Arc::clone(&self.guest_sealed);
                GuestKey::finished12(self.protection(aead, traffic)?, direction, sealed)
            }
            Use::Application13(..) => GuestKey::useless(),
        })
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
        outbound: Handle,
        inbound: Handle,
    ) -> Result<(Sealer, Opener), Error> {
        if self.released.is_some() {
            return Err(Fault::Repeated.into());
        }
        for (direction, traffic) in [(Direction::Seal, outbound), (Direction::Open, inbound)] {
            if !is_first_application_key(self.purpose(version, direction, traffic)?) {
                return Err(Fault::WrongKind.into());
            }
            self.check_authenticated(version, traffic)?;
        }
        // In TLS 1.2 either side's Finished message was the first record.
        let first = match version {
            Version::Tls12 => 1,
            Version::Tls13 => 0,
        };
        if self.guest_sealed.swap(u64::MAX, Ordering::Relaxed) != first {
            return Err(Refusal::OutOfSequence.into());
        }
        let sealer = Sealer::new(self.protection(aead, outbound)?, first);
        let opener = Opener::new(self.protection(aead, inbound)?, first);
        self.released = Some(Released {
            aead,
            sealing: 0,
            opening: 0,
        });
        self.table.retain(outlives_the_handshake);
        Ok((sealer, opener))
    }

    /// The sealer for the client's next key, after a key update (RFC 8446 section 4.6.3).
    ///
    /// # Errors
    /// Faults if the keys are not the very next ones.
    pub fn next_sealer(&mut self, traffic: Handle) -> Result<Sealer, Error> {
        Ok(Sealer::new(self.updated(Direction::Seal, traffic)?, 0))
    }

    /// The opener for the server's next key.
    ///
    /// # Errors
    /// Faults if the keys are not the very next ones.
    pub fn next_opener(&mut self, traffic: Handle) -> Result<Opener, Error> {
        Ok(Opener::new(self.updated(Direction::Open, traffic)?, 0))
    }

    /// Both of [`Connection::next_opener`] and [`Connection::next_sealer`], as
    /// far as they are named, or neither.
    ///
    /// # Errors
    /// Theirs.
    pub fn update(
        &mut self,
        inbound: Option<Handle>,
        outbound: Option<Handle>,
    ) -> Result<(Option<Opener>, Option<Sealer>), Error> {
        if let Some(traffic) = outbound {
            self.next_number(Direction::Seal, traffic)?;
        }
        let opener = inbound.map(|traffic| self.next_opener(traffic));
        let opener = opener.transpose()?;
        let sealer = outbound.map(|traffic| self.next_sealer(traffic));
        Ok((opener, sealer.transpose()?))
    }

    /// What names the secrets of the keys in use, outbound and inbound, for a
    /// guest that goes on in the place of one that ended. Whatever else that
    /// one derived behind the handshake is erased. `None` where no key can
    /// follow: in TLS 1.2, and before [`Connection::release`].
    pub fn in_use(&mut self) -> Option<(Handle, Handle)> {
        let released = self.released.as_ref()?;
        let outbound = Kind::ApplicationTraffic(Side::Client, released.sealing);
        let inbound = Kind::ApplicationTraffic(Side::Server, released.opening);
        self.table
            .retain(|kind| [outbound, inbound, Kind::Resumption].contains(&kind));
        self.table.find(outbound).zip(self.table.find(inbound))
    }

    fn updated(&mut self, direction: Direction, traffic: Handle) -> Result<Protection, Error> {
        let number = self.next_number(direction, traffic)?;
        let released = self.released.as_mut().ok_or(Fault::WrongKind)?;
        let aead = released.aead;
        match direction {
            Direction::Seal => released.sealing = number,
            Direction::Open => released.opening = number,
        }
        let protection = self.protection(aead, traffic)?;
        // What the peer sent under the keys before stays unreadable.
        self.table.retain(|kind| match (kind, direction) {
            (Kind::ApplicationTraffic(Side::Client, of), Direction::Seal)
            | (Kind::ApplicationTraffic(Side::Server, of), Direction::Open) => of >= number,
            _ => true,
        });
        Ok(protection)
    }

    /// How many updates lead to these keys, if they are the very next ones.
    fn next_number(&self, direction: Direction, traffic: Handle) -> Result<u32, Error> {
        let Use::Application13(_, number) = self.purpose(Version::Tls13, direction, traffic)?
        else {
            return Err(Fault::WrongKind.into());
        };
        let released = self.released.as_ref().ok_or(Fault::WrongKind)?;
        let before = match direction {
            Direction::Seal => released.sealing,
            Direction::Open => released.opening,
        };
        // Strictly the next: an earlier key again would repeat its nonces.
        if Some(number) == before.checked_add(1) {
            Ok(number)
        } else {
            Err(Fault::Repeated.into())
        }
    }

    /// What records a secret protects, if it is of that version and direction.
    fn purpose(
        &self,
        version: Version,
        direction: Direction,
        traffic: Handle,
    ) -> Result<Use, Fault> {
        let purpose = self
            .table
            .get(traffic)?
            .kind
            .protects()
            .ok_or(Fault::WrongKind)?;
        let side = match direction {
            Direction::Seal => Side::Client,
            Direction::Open => Side::Server,
        };
        if purpose.version() == version && purpose.side() == side {
            Ok(purpose)
        } else {
            Err(Fault::WrongKind)
        }
    }

    fn check_authenticated(&self, version: Version, traffic: Handle) -> Result<(), Error> {
        let origin = self.table.get(traffic)?.origin.ok_or(Fault::WrongKind)?;
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

    /// The key and IV of a traffic secret (RFC 8446 section 7.3) or of half a
    /// key block.
    fn protection(&self, aead: Aead, traffic: Handle) -> Result<Protection, Fault> {
        let secret = self.table.get(traffic)?;
        let (purpose, hash) = secret
            .kind
            .protects()
            .zip(secret.hash)
            .ok_or(Fault::WrongKind)?;
        match purpose.version() {
            Version::Tls13 => {
                let key = kdf::expand_label(hash, &secret.bytes, b"key", aead.key_len())?;
                let iv_length = aead.fixed_iv_len(Version::Tls13);
                let iv = kdf::expand_label(hash, &secret.bytes, b"iv", iv_length)?;
                Protection::new(Version::Tls13, aead, &key, &iv)
            }
            Version::Tls12 => {
                let (key, iv) = secret
                    .bytes
                    .split_at_checked(aead.key_len())
                    .ok_or(Fault::BadLength)?;
                Protection::new(Version::Tls12, aead, key, iv)
            }
        }
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
