//! A tunnel by CONNECT (RFC 9110 section 9.3.6): the `http1` guest asks for it
//! and reads the answer's head.

use fumehood_control::{Cause, Field, Hop, ProxyFault};

use super::Destination;
use super::errand::Errand;
use super::tokens::{self, Plea};
use crate::hub::Hub;
use crate::transport::Transport;

/// Asks for a tunnel. Afterwards the transport is the tunnel.
pub(super) async fn connect(
    hub: &Hub,
    hop: &Hop,
    to: &Destination<'_>,
    fields: [&[Field]; 2],
    transport: &mut Transport,
) -> Result<(), ProxyFault> {
    let mut errand = Errand::new(hub)?;
    let authority = format!("{}:{}", to.host, to.port);
    let plea = Plea::new("CONNECT", &authority, &authority, &fields.concat());
    let answer = tokens::ask(hub, hop, &plea, &mut errand, transport).await?;
    if !(200..=299).contains(&answer.status) {
        return Err(errand.refused(&answer));
    }
    // Both TLS and HTTP begin with what we say: this is of the proxy's making.
    match transport.has_bytes() {
        false => Ok(()),
        true => Err(Cause::HttpViolation("bytes-before-tunnel".to_owned()).into()),
    }
}
