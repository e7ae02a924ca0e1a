//! Who finds addresses for a script, and what it may say.

use std::net::IpAddr;

/// Why there is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// The name has none, or may not be asked for. The script goes on.
    NotFound,
    /// Not known yet. The call ends with `Needs`, and can be made again
    /// when it is.
    Later,
}

/// Finds addresses. May block: nothing else of the script runs meanwhile.
///
/// The evaluator asks for a name once a call, at most
/// [`MAX_NAMES`](crate::bounds::MAX_NAMES) names, never for an IP literal.
pub trait Resolve {
    /// The addresses of `name`, in the order they are to be used.
    ///
    /// # Errors
    /// [`Unresolved`].
    fn resolve(&mut self, name: &str) -> Result<Vec<IpAddr>, Unresolved>;
}
