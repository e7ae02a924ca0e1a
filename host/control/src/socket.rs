//! Leave for a driver guest: where its sockets may go.

use std::ops::RangeInclusive;

use fumehood_policy::{HostPattern, Scheme, Terms, Transport};
use serde::{Deserialize, Serialize};

use crate::GrantId;

/// Most places of one grant. A resolver's driver has a handful of servers, each
/// over TCP and UDP; a transfer's has one.
pub const MAX_PLACES: usize = 16;

/// Hosts, ports and a transport that go together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Names that may be looked up and whose addresses may then be connected
    /// to, or a range of addresses.
    pub host: HostPattern,
    /// Ports.
    pub ports: RangeInclusive<u16>,
    /// Over what.
    pub transport: Transport,
}

/// Leave to look up names and to connect sockets. It says what a driver may
/// ask for; the policy is asked besides, about every name and every address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketGrant {
    /// By which the engine refers to it.
    pub id: GrantId,
    /// On whose behalf: what the policy's rules know it by.
    pub scheme: Scheme,
    /// Who asks, how, and how far.
    pub terms: Terms,
    /// Where to, at most [`MAX_PLACES`].
    pub places: Vec<Place>,
    /// How many sockets may be connected; none where names are to be looked up
    /// and nothing else. An attempt that fails does not count, but attempts are
    /// bounded too.
    pub uses: u32,
    /// How long it holds, in milliseconds from when the broker reads it.
    pub lifetime_ms: u32,
}
