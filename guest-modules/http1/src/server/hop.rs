//! What concerns one connection alone and is not passed on (RFC 9110 section 7.6.1).

use crate::fields::lists;
use crate::types::Lent;

/// Fields that are never passed on, in lower case: those of one connection, of
/// this proxy, and of framing, which is made anew.
const OF_ONE_HOP: [&str; 11] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The fields that go on to the next hop, in order: not those of one
/// connection, and none that `connection` names.
pub(super) fn passed_on(mut fields: Vec<Lent<'_>>) -> Vec<Lent<'_>> {
    let options = fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
    let named: Vec<&[u8]> = options.map(|(_, value)| *value).collect();
    fields.retain(|(name, _)| !is_of_hop(name, &named));
    fields
}

/// Whether a field stays behind, where `connection` has these values.
pub(super) fn is_of_hop(name: &str, named: &[&[u8]]) -> bool {
    OF_ONE_HOP.iter().any(|it| name.eq_ignore_ascii_case(it))
        || named.iter().any(|value| lists(value, name))
}
