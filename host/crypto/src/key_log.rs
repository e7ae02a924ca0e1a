//! Lines in the format of `SSLKEYLOGFILE`, for those who asked for them.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::secret::{Kind, Side};

/// Takes one line, without a line ending.
pub type KeyLog = Arc<dyn Fn(&str) + Send + Sync>;

/// The label for a secret, where the format has one
/// (draft-ietf-tls-keylogfile section 2.1).
pub(crate) fn label(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::HandshakeTraffic(Side::Client) => "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        Kind::HandshakeTraffic(Side::Server) => "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        Kind::ApplicationTraffic(Side::Client, 0) => "CLIENT_TRAFFIC_SECRET_0",
        Kind::ApplicationTraffic(Side::Server, 0) => "SERVER_TRAFFIC_SECRET_0",
        Kind::Exporter => "EXPORTER_SECRET",
        Kind::Master12 => "CLIENT_RANDOM",
        _ => return None,
    })
}

/// `label client_random secret`, the two in hexadecimal.
pub(crate) fn line(label: &str, client_random: &[u8], secret: &[u8]) -> String {
    let mut line =
        String::with_capacity(label.len() + 2 + 2 * (client_random.len() + secret.len()));
    line.push_str(label);
    for bytes in [client_random, secret] {
        line.push(' ');
        for byte in bytes {
            // Writing to a String cannot fail.
            let _ = write!(line, "{byte:02x}");
        }
    }
    line
}
