//! TLS 1.3's key schedule as a table: which label makes what of which secret (RFC 8446 section 7.1).

use crate::secret::{Kind, Side};
use crate::{Fault, Hash};

/// A parsed HkdfLabel.
pub(crate) struct HkdfLabel<'a> {
    pub(crate) length: usize,
    pub(crate) label: &'a [u8],
}

impl<'a> HkdfLabel<'a> {
    /// Parses `length(2) ‖ label<7..255> ‖ context<0..255>` and nothing behind
    /// it. The label must begin with `tls13 `, which is left out.
    pub(crate) fn parse(info: &'a [u8]) -> Result<Self, Fault> {
        let (length, rest) = info.split_first_chunk::<2>().ok_or(Fault::BadLabel)?;
        let (label, rest) = vector(rest).ok_or(Fault::BadLabel)?;
        let (_context, rest) = vector(rest).ok_or(Fault::BadLabel)?;
        let label = label.strip_prefix(b"tls13 ").ok_or(Fault::BadLabel)?;
        if !rest.is_empty() {
            return Err(Fault::BadLabel);
        }
        Ok(HkdfLabel {
            length: usize::from(u16::from_be_bytes(*length)),
            label,
        })
    }

    /// What this label makes of a secret of the kind `from`.
    pub(crate) fn applied_to(&self, from: Kind, hash: Hash) -> Result<Kind, Fault> {
        let kind = match (from, self.label) {
            (Kind::Early, b"derived") => Kind::DerivedEarly,
            (Kind::Handshake, b"derived") => Kind::DerivedHandshake,
            (Kind::Handshake, b"c hs traffic") => Kind::HandshakeTraffic(Side::Client),
            (Kind::Handshake, b"s hs traffic") => Kind::HandshakeTraffic(Side::Server),
            (Kind::Master, b"c ap traffic") => Kind::ApplicationTraffic(Side::Client, 0),
            (Kind::Master, b"s ap traffic") => Kind::ApplicationTraffic(Side::Server, 0),
            (Kind::Master, b"exp master") => Kind::Exporter,
            (Kind::Master, b"res master") => Kind::Resumption,
            (Kind::Resumption, b"resumption") => Kind::Psk,
            (Kind::HandshakeTraffic(_), b"finished") => Kind::Finished,
            (Kind::ApplicationTraffic(side, n), b"traffic upd") => {
                Kind::ApplicationTraffic(side, n.checked_add(1).ok_or(Fault::Exhausted)?)
            }
            _ => return Err(Fault::BadLabel),
        };
        if self.length == hash.output_len() {
            Ok(kind)
        } else {
            Err(Fault::BadLength)
        }
    }
}

/// A vector with one byte of length, and what follows it.
fn vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}
