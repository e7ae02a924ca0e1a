//! Leave for the engine's resolver: exactly the servers that it was set up with.
//!
//! The policy is not asked about them, no more than about those that
//! `getaddrinfo` asks in this very process: they are the user's own choice.
//! What the resolver finds is a stranger's word as any other, and every address
//! of it is judged before it is dialled.

use std::net::{IpAddr, SocketAddr};

use fumehood_control::{DialFailure, GrantId, MAX_RESOLVER_PLACES, Outside, ResolverGrant};
use fumehood_policy::Transport;

/// The resolver's leave, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    grant: Option<ResolverGrant>,
}

/// Who says what a name's addresses are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The system's resolver, in this process.
    System,
    /// The engine's. None if it does not say.
    Engine(Option<Vec<IpAddr>>),
}

impl Servers {
    /// Takes leave in, in place of any other. One with too many places is none.
    pub(crate) fn replace(&mut self, grant: ResolverGrant) {
        self.grant = (grant.places.len() <= MAX_RESOLVER_PLACES).then_some(grant);
    }

    /// Takes leave back.
    pub(crate) fn revoke(&mut self, id: GrantId) {
        self.grant.take_if(|grant| grant.id == id);
    }

    /// Whether a socket may be connected to this address; none if the grant is
    /// not the resolver's.
    pub(crate) fn connect(
        &self,
        id: GrantId,
        address: SocketAddr,
        transport: Transport,
    ) -> Option<Result<(), DialFailure>> {
        let grant = self.grant.as_ref().filter(|grant| grant.id == id)?;
        Some(match grant.places.contains(&(address, transport)) {
            true => Ok(()),
            false => Err(DialFailure::Outside(Outside::Address(address, transport))),
        })
    }

    /// Who says what the addresses of a name are that is to be dialled.
    pub(crate) fn source(&self, found: Option<Vec<IpAddr>>) -> Source {
        match &self.grant {
            Some(grant) if grant.dials => Source::Engine(found),
            _ => Source::System,
        }
    }
}
