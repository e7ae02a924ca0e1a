//! Replies of a name server that does as a test says.

use std::net::Ipv4Addr;

/// Bytes of a message before its first question (RFC 1035 section 4.1.1).
const HEADER: usize = 12;

/// The name that a question is about, in lower case, and a reply: an A record for each
/// of these addresses where such are wanted, with a minute to live, and nothing else.
///
/// # Panics
/// If it is no question, or there are more than 255 addresses.
#[must_use]
pub fn reply(question: &[u8], addresses: &[Ipv4Addr]) -> (String, Vec<u8>) {
    let (mut labels, mut at) = (Vec::new(), HEADER);
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_lowercase());
        at = end;
    }
    // The root's label, type and class.
    let end = at + 5;
    let wants_addresses = question[end - 4..end] == [0, 1, 0, 1];
    let addresses = if wants_addresses { addresses } else { &[] };
    let count = u8::try_from(addresses.len()).expect("not so many addresses");
    let mut reply = question[..end].to_vec();
    reply[2..HEADER].copy_from_slice(&[0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0]);
    for address in addresses {
        // The question's name, A, IN, the time to live, and four bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(address.octets());
    }
    (labels.join("."), reply)
}
