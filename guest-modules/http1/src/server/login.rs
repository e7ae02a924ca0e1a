//! Who a client says it is: `proxy-authorization` of the Basic scheme (RFC 7617).

use crate::fields::values;
use crate::{Line, Login};

/// Longest value that is looked at, in bytes: the base64 of two texts of 255
/// bytes and a colon, and the scheme before it.
const MAX_VALUE_BYTES: usize = 4 * (511_usize).div_ceil(3) + "basic ".len();

/// What the one such field says; nothing where there are two, or what it says is
/// of another scheme or broken.
pub(super) fn of(fields: &[impl Line]) -> Option<Login> {
    let mut all = values(fields, "proxy-authorization");
    let value = all.next()?;
    if all.next().is_some() || value.len() > MAX_VALUE_BYTES {
        return None;
    }
    let (scheme, rest) = value.split_at_checked("basic".len())?;
    let token = rest.trim_ascii_start();
    if !scheme.eq_ignore_ascii_case(b"basic") || token.len() == rest.len() {
        return None;
    }
    let plain = decoded(token)?;
    // The name has no colon, the password may.
    let colon = plain.iter().position(|byte| *byte == b':')?;
    Some(Login {
        name: plain[..colon].to_vec(),
        password: plain[colon + 1..].to_vec(),
    })
}

/// Of base64 with its padding (RFC 4648 section 4), of which each text has one
/// form: bits that mean nothing are zero.
fn decoded(token: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(token.len() / 4 * 3);
    let (groups, []) = token.as_chunks::<4>() else {
        return None;
    };
    for (at, group) in groups.iter().enumerate() {
        let padding = group.iter().rev().take_while(|it| **it == b'=').count();
        if padding > 2 || (padding > 0 && at + 1 != groups.len()) {
            return None;
        }
        let mut bits: u32 = 0;
        for digit in &group[..4 - padding] {
            bits = bits << 6 | u32::from(value_of(*digit)?);
        }
        let [_, bytes @ ..] = (bits << (6 * padding)).to_be_bytes();
        let (whole, rest) = bytes.split_at(3 - padding);
        if rest.iter().any(|it| *it != 0) {
            return None;
        }
        plain.extend_from_slice(whole);
    }
    Some(plain)
}

fn value_of(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}
