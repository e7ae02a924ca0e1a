//! The table of a connection's secrets: bytes, what they are for, and where they come from.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::{Fault, Hash, Version};

/// Names a secret of one connection: a random tag of the connection in the
/// upper half, a serial number in the lower. It says nothing about the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle(pub u64);

/// Who sends what a key protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// What records a secret protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// TLS 1.3's encrypted part of the handshake.
    Handshake(Side),
    /// TLS 1.3's application data, after so many key updates.
    Application13(Side, u32),
    /// TLS 1.2's one pair of keys.
    Application12(Side),
}

impl Use {
    pub(crate) fn version(self) -> Version {
        match self {
            Use::Handshake(_) | Use::Application13(..) => Version::Tls13,
            Use::Application12(_) => Version::Tls12,
        }
    }

    pub(crate) fn side(self) -> Side {
        match self {
            Use::Handshake(side) | Use::Application13(side, _) | Use::Application12(side) => side,
        }
    }
}

/// What a secret is, which decides what may be made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The output of a key exchange.
    Shared,
    /// TLS 1.3's early secret.
    Early,
    /// TLS 1.3's handshake secret.
    Handshake,
    /// TLS 1.3's master secret.
    Master,
    /// `derived` from the early secret: salt of the handshake secret.
    DerivedEarly,
    /// `derived` from the handshake secret: salt of the master secret.
    DerivedHandshake,
    /// `c hs traffic`, `s hs traffic`.
    HandshakeTraffic(Side),
    /// `c ap traffic`, `s ap traffic`, after so many `traffic upd`.
    ApplicationTraffic(Side, u32),
    /// `exp master`. Nothing is exported yet; it goes to the key log.
    Exporter,
    /// `res master`.
    Resumption,
    /// A ticket's secret. Nothing is resumed yet.
    Psk,
    /// Key of a Finished message: its HMACs are public.
    Finished,
    /// Half a TLS 1.2 key block: a key, then its IV.
    WriteKeys12(Side),
    /// TLS 1.2's master secret.
    Master12,
}

impl Kind {
    /// What records it protects, if it does.
    pub(crate) fn protects(self) -> Option<Use> {
        match self {
            Kind::HandshakeTraffic(side) => Some(Use::Handshake(side)),
            Kind::ApplicationTraffic(side, updates) => Some(Use::Application13(side, updates)),
            Kind::WriteKeys12(side) => Some(Use::Application12(side)),
            _ => None,
        }
    }
}

/// A secret with its provenance.
pub(crate) struct Secret {
    pub(crate) kind: Kind,
    /// The hash of its key schedule; none before one is chosen.
    pub(crate) hash: Option<Hash>,
    /// The key exchange it descends from, as a position among the connection's.
    pub(crate) origin: Option<usize>,
    /// Erased when dropped.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// All secrets of one connection.
pub(crate) struct Table {
    tag: u32,
    serial: u32,
    most: usize,
    secrets: BTreeMap<Handle, Secret>,
}

impl Table {
    /// An empty table for at most `most` secrets at once.
    pub(crate) fn new(most: usize) -> Result<Self, Fault> {
        let mut tag = [0; 4];
        rand::fill(&mut tag).map_err(|_| Fault::Library)?;
        Ok(Table {
            tag: u32::from_le_bytes(tag),
            serial: 0,
            most,
            secrets: BTreeMap::new(),
        })
    }

    pub(crate) fn insert(&mut self, secret: Secret) -> Result<Handle, Fault> {
        if self.secrets.len() >= self.most {
            return Err(Fault::Exhausted);
        }
        self.serial = self.serial.checked_add(1).ok_or(Fault::Exhausted)?;
        let handle = Handle(u64::from(self.tag) << 32 | u64::from(self.serial));
        self.secrets.insert(handle, secret);
        Ok(handle)
    }

    pub(crate) fn get(&self, handle: Handle) -> Result<&Secret, Fault> {
        self.secrets.get(&handle).ok_or(Fault::UnknownHandle)
    }

    /// The first secret of a kind.
    pub(crate) fn find(&self, kind: Kind) -> Option<Handle> {
        let mut all = self.secrets.iter();
        all.find(|(_, secret)| secret.kind == kind)
            .map(|(handle, _)| *handle)
    }

    /// Erases all whose kind does not pass.
    pub(crate) fn retain(&mut self, keep: impl Fn(Kind) -> bool) {
        self.secrets.retain(|_, secret| keep(secret.kind));
    }

    pub(crate) fn len(&self) -> usize {
        self.secrets.len()
    }
}
