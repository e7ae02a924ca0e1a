//! Key exchange: the private keys are the host's.

use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};

use crate::handle;
use crate::imports::{Group, KeyExchange};

/// In order of preference.
pub(super) static ALL: [&dyn SupportedKxGroup; 4] = [
    &KxGroup {
        name: NamedGroup::X25519MLKEM768,
        group: Group::X25519Mlkem768,
    },
    &KxGroup {
        name: NamedGroup::X25519,
        group: Group::X25519,
    },
    &KxGroup {
        name: NamedGroup::secp256r1,
        group: Group::Secp256r1,
    },
    &KxGroup {
        name: NamedGroup::secp384r1,
        group: Group::Secp384r1,
    },
];

/// Length of the X25519 share that the hybrid's ends in, in bytes.
const X25519_SHARE: usize = 32;

#[derive(Debug)]
struct KxGroup {
    name: NamedGroup,
    group: Group,
}

impl SupportedKxGroup for KxGroup {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let exchange = KeyExchange::new(self.group);
        let public = exchange.public_key();
        Ok(Box::new(Active {
            exchange,
            public,
            name: self.name,
            group: self.group,
        }))
    }

    fn name(&self) -> NamedGroup {
        self.name
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        self.name != NamedGroup::X25519MLKEM768 || version == ProtocolVersion::TLSv1_3
    }
}

struct Active {
    exchange: KeyExchange,
    public: Vec<u8>,
    name: NamedGroup,
    group: Group,
}

impl Active {
    fn complete_in(self, group: Group, peer: &[u8]) -> Result<SharedSecret, Error> {
        KeyExchange::complete(self.exchange, group, peer)
            .map(|secret| SharedSecret::from(&handle::to_bytes(secret)[..]))
            .map_err(|_| PeerMisbehaved::InvalidKeyShare.into())
    }
}

impl ActiveKeyExchange for Active {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let group = self.group;
        self.complete_in(group, peer)
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        let start = self.public.len().checked_sub(X25519_SHARE)?;
        (self.name == NamedGroup::X25519MLKEM768)
            .then(|| (NamedGroup::X25519, &self.public[start..]))
    }

    fn complete_hybrid_component(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        self.complete_in(Group::X25519, peer)
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        self.name
    }
}
