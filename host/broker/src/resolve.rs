//! Names to addresses, by the system's resolver.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use fumehood_policy::{DnsName, Host};
use tokio::sync::Semaphore;

/// Most lookups under way at once, each on a thread: `getaddrinfo` blocks and
/// cannot be cancelled. Firefox and Chromium stop at 64 too.
pub const MAX_LOOKUPS: usize = 64;

/// How long a lookup's thread stays idle before it ends. A page's names come
/// within seconds of each other; a quiet broker should have no threads.
pub const IDLE_THREAD_LIFETIME: Duration = Duration::from_secs(10);

/// Longest text of a resolver's error that is passed on, in bytes. What the
/// C library says is under 100.
const MAX_ERROR_BYTES: usize = 256;

/// Resolves names; tests put a table in its place.
pub(crate) trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, best first, or the resolver's words.
    fn resolve(&self, name: &DnsName) -> impl Future<Output = Result<Vec<IpAddr>, String>> + Send;
}

/// The addresses that a host stands for: a literal for itself, `localhost`
/// for loopback (RFC 6761 section 6.3), both without asking anyone; any other
/// name for what the resolver says.
pub(crate) async fn addresses<R: Resolve>(
    resolver: &R,
    host: &Host,
) -> Result<Vec<IpAddr>, String> {
    match host {
        Host::V4(it) => Ok(vec![(*it).into()]),
        Host::V6(it) => Ok(vec![(*it).into()]),
        Host::Name(name) if name.is_localhost() => {
            Ok(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()])
        }
        Host::Name(name) => resolver.resolve(name).await,
    }
}

/// A call that blocks until it has the addresses of a name.
type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// `getaddrinfo` on threads of the runtime's.
pub(crate) struct System {
    lookup: Arc<Lookup>,
    /// Held by a thread for as long as it looks up, also after the dial that
    /// wanted it is gone, so that given-up lookups don't pile up in a queue.
    places: Arc<Semaphore>,
}

impl System {
    /// With the C library's `getaddrinfo`. It follows the system's
    /// configuration: `/etc/hosts`, and the search list for what is not found.
    pub(crate) fn new() -> Self {
        Self::with_lookup(|name| {
            let addresses = (name, 0).to_socket_addrs()?;
            Ok(addresses.map(|it| it.ip()).collect())
        })
    }

    /// With another call that blocks.
    pub(crate) fn with_lookup(
        lookup: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            lookup: Arc::new(lookup),
            places: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }
}

impl Resolve for System {
    async fn resolve(&self, name: &DnsName) -> Result<Vec<IpAddr>, String> {
        const ENDING: &str = "the broker is ending";
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| ENDING)?;
        let (lookup, name) = (Arc::clone(&self.lookup), name.as_str().to_owned());
        let looked_up = tokio::task::spawn_blocking(move || {
            let _place = place;
            lookup(&name)
        });
        match looked_up.await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(why)) => Err(bounded(why.to_string())),
            Err(_) => Err(ENDING.to_owned()),
        }
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System")
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_ERROR_BYTES));
    text
}
