//! Settling with a proxy who asks before it is asked for something itself: by an
//! OPTIONS, which does nothing wherever it arrives (RFC 9110 section 9.3.7). So
//! content is sent once, to a proxy that takes it.
//!
//! It has no `max-forwards: 0`, by which it would go no further than to the proxy:
//! squid answers that with 501 and closes, before it looks at who asks.

use fumehood_control::{Hop, ProxyFault, TokenFault};

use super::Trip;
use super::errand::Errand;
use super::tokens::{self, Plea};
use crate::hub::Hub;
use crate::transport::Transport;

/// Asks, and reads the answer away. What the answer is does not matter, as long as
/// it is not the question who asks.
pub(super) async fn settle(
    hub: &Hub,
    hop: &Hop,
    trip: &Trip<'_>,
    transport: &mut Transport,
) -> Result<(), ProxyFault> {
    let mut errand = Errand::new(hub)?;
    let (url, host) = (format!("{}/", trip.target), trip.target.authority());
    let plea = Plea::new("OPTIONS", &url, &host, trip.fields());
    let answer = tokens::ask(hub, hop, &plea, &mut errand, transport).await?;
    if answer.status == 407 {
        return Err(errand.refused(&answer));
    }
    match errand.drain(transport).await? && !transport.has_bytes() {
        true => Ok(()),
        false => Err(ProxyFault::Token(TokenFault::Unbound)),
    }
}
