//! What the faulty guests have in common: how a guest goes wrong, and how a
//! peer asks for it.

use std::hint::black_box;

/// What a peer's bytes hold where they ask for a fault; its name follows.
pub const MARKER: &[u8] = b"fumehood-fault-";

/// How much memory is taken at a time, in bytes.
const GULP_BYTES: usize = 1024 * 1024;

/// The name of the fault that is asked for anywhere in these bytes: letters,
/// digits and colons behind the marker.
#[must_use]
pub fn asked_for(bytes: &[u8]) -> Option<&str> {
    let at = bytes
        .windows(MARKER.len())
        .position(|window| window == MARKER)?;
    let name = &bytes[at + MARKER.len()..];
    let end = name
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b':')
        .unwrap_or(name.len());
    std::str::from_utf8(&name[..end]).ok()
}

/// Ends the guest, if the fault is one that every guest can have.
pub fn strike(fault: &str) {
    match fault {
        "trap" => panic!("the peer asked this guest to trap"),
        "hang" => loop {
            black_box(());
        },
        "memory" => take_memory(),
        _ => {}
    }
}

/// Takes and touches memory until there is none.
fn take_memory() -> ! {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(vec![1; GULP_BYTES]);
        black_box(&taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_where_its_letters_do() {
        assert_eq!(asked_for(b"x fumehood-fault-skip:7\0\0"), Some("skip:7"));
        assert_eq!(asked_for(b"fumehood-fault-trap"), Some("trap"));
        assert_eq!(asked_for(b"fumehood-fault-"), Some(""));
        assert_eq!(asked_for(b"fumehood-fault"), None);
        assert_eq!(asked_for(b""), None);
    }
}
