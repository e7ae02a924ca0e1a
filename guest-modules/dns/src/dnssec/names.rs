//! Names as DNSSEC has them: canonical bytes and order (RFC 4034 section 6).

use std::cmp::Ordering;

use hickory_proto::rr::Name;

/// Labels, the root's not counted.
pub(crate) fn labels(name: &Name) -> usize {
    name.iter().count()
}

/// The last so many labels of a name.
pub(crate) fn tail(name: &Name, count: usize) -> Name {
    let mut tail = name.trim_to(count.min(labels(name)));
    tail.set_fqdn(true);
    tail
}

/// The name above; the root's is itself.
pub(crate) fn parent(name: &Name) -> Name {
    tail(name, labels(name).saturating_sub(1))
}

/// `*.` before a name; none where that is too long to be one.
pub(crate) fn wildcard(name: &Name) -> Option<Name> {
    let mut wildcard = Name::from_labels(["*".as_bytes()]).ok()?;
    wildcard.set_fqdn(false);
    wildcard.append_domain(name).ok()
}

/// Whether `name` is at `zone` or below it.
pub(crate) fn is_in(name: &Name, zone: &Name) -> bool {
    zone.zone_of(name)
}

/// Whether `name` is below `above`, and not the same.
pub(crate) fn is_below(name: &Name, above: &Name) -> bool {
    above.zone_of(name) && labels(name) > labels(above)
}

/// Uncompressed and in lower case (RFC 4034 section 6.2).
pub(crate) fn wire(name: &Name) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len());
    for label in name.iter() {
        // A label has 63 bytes at most.
        bytes.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        bytes.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    bytes.push(0);
    bytes
}

/// The canonical order (RFC 4034 section 6.1): by labels from the last one.
pub(crate) fn order(a: &Name, b: &Name) -> Ordering {
    let lower = |label: &[u8]| label.to_ascii_lowercase();
    a.iter().rev().map(lower).cmp(b.iter().rev().map(lower))
}

/// How many labels two names share at their ends.
pub(crate) fn shared(a: &Name, b: &Name) -> usize {
    let same = |(a, b): &(&[u8], &[u8])| a.eq_ignore_ascii_case(b);
    a.iter().rev().zip(b.iter().rev()).take_while(same).count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    #[test]
    fn names_sort_as_in_rfc_4034_section_6_1() {
        let sorted: [&[&[u8]]; 9] = [
            &[b"example"],
            &[b"a", b"example"],
            &[b"yljkjljk", b"a", b"example"],
            &[b"Z", b"a", b"example"],
            &[b"zABC", b"a", b"EXAMPLE"],
            &[b"z", b"example"],
            &[b"\x01", b"z", b"example"],
            &[b"*", b"z", b"example"],
            &[b"\xc8", b"z", b"example"],
        ];
        let names = sorted.map(|labels| Name::from_labels(labels.iter().copied()).unwrap());
        for pair in names.windows(2) {
            assert_eq!(order(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
        }
    }

    #[test]
    fn parts_of_names() {
        let it = name("a.b.example.");
        assert_eq!(parent(&it), name("b.example."));
        assert_eq!(tail(&it, 1), name("example."));
        assert_eq!(tail(&it, 0), Name::root());
        assert_eq!(parent(&Name::root()), Name::root());
        assert_eq!(wildcard(&it).unwrap(), name("*.a.b.example."));
        assert_eq!(shared(&it, &name("x.B.example.")), 2);
        assert_eq!(wire(&name("A.b.")), b"\x01a\x01b\0");
        assert!(is_in(&it, &Name::root()) && !is_below(&it, &it));
    }
}
