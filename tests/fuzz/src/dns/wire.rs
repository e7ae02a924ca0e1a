//! Names, as bytes and as text, read in the plainest way: what the guest's reading is
//! compared with.

use std::cmp::Ordering;

/// A name uncompressed and in lower case.
pub(super) type Wire = Vec<u8>;

/// Most bytes of a name (RFC 1035 section 2.3.4).
pub(super) const MAX_NAME: usize = 255;

/// The name that bytes begin with, without compression, and what follows it.
pub(super) fn name(bytes: &[u8]) -> Option<(Wire, &[u8])> {
    let (mut name, mut rest) = (Wire::new(), bytes);
    loop {
        let (length, after) = rest.split_first()?;
        if *length > 63 {
            return None;
        }
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        name.push(*length);
        name.extend(label.to_ascii_lowercase());
        rest = after;
        if label.is_empty() {
            return (name.len() <= MAX_NAME).then_some((name, rest));
        }
    }
}

/// The labels of a name, the root's not among them.
pub(super) fn labels(name: &[u8]) -> Vec<&[u8]> {
    let (mut labels, mut rest) = (Vec::new(), name);
    while let Some((length, after)) = rest.split_first() {
        let (label, after) = after.split_at(usize::from(*length));
        if label.is_empty() {
            break;
        }
        labels.push(label);
        rest = after;
    }
    labels
}

/// A name of these labels.
pub(super) fn of(labels: &[&[u8]]) -> Wire {
    let mut name = Wire::new();
    for label in labels {
        name.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        name.extend(*label);
    }
    name.push(0);
    name
}

/// The last so many labels.
pub(super) fn tail(name: &[u8], count: usize) -> Wire {
    let labels = labels(name);
    of(&labels[labels.len() - count.min(labels.len())..])
}

/// Whether a name is at another or below it.
pub(super) fn is_in(name: &[u8], zone: &[u8]) -> bool {
    labels(name).ends_with(&labels(zone))
}

pub(super) fn is_below(name: &[u8], above: &[u8]) -> bool {
    is_in(name, above) && name != above
}

/// How many labels two names end in alike.
pub(super) fn shared(a: &[u8], b: &[u8]) -> usize {
    let (a, b) = (labels(a), labels(b));
    let pairs = a.iter().rev().zip(b.iter().rev());
    pairs.take_while(|(a, b)| a == b).count()
}

/// The order of RFC 4034 section 6.1.
pub(super) fn order(a: &[u8], b: &[u8]) -> Ordering {
    labels(a).into_iter().rev().cmp(labels(b).into_iter().rev())
}

/// `*.` before a name; none where that would be too long.
pub(super) fn wildcard(name: &[u8]) -> Option<Wire> {
    let wild = [b"\x01*", name].concat();
    (wild.len() <= MAX_NAME).then_some(wild)
}

/// Reads the text of a name (RFC 1035 section 5.1), of which there is only one.
///
/// # Panics
/// If the text is not as it should be.
pub(super) fn from_text(text: &str) -> Wire {
    let (mut labels, mut label) = (Vec::new(), Vec::new());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'.' => labels.push(std::mem::take(&mut label)),
            b'\\' => label.push(escaped(&mut bytes)),
            it => {
                assert!(it.is_ascii_graphic(), "{text:?} is not printable");
                label.push(it);
            }
        }
    }
    if text != "." {
        labels.push(label);
    } else {
        labels.clear();
    }
    let fits = |label: &Vec<u8>| (1..=63).contains(&label.len());
    assert!(labels.iter().all(fits), "{text:?} has a label that is none");
    let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
    let name = of(&labels);
    assert!(name.len() <= MAX_NAME, "{text:?} is too long");
    assert_eq!(name, name.to_ascii_lowercase(), "{text:?} has capitals");
    assert_eq!(to_text(&name), text, "it is written in another way");
    name
}

fn escaped(bytes: &mut impl Iterator<Item = u8>) -> u8 {
    let mut next = || bytes.next().unwrap_or_default();
    let first = next();
    if !first.is_ascii_digit() {
        return first;
    }
    let digits = [first, next(), next()].map(|it| u16::from(it.wrapping_sub(b'0')));
    let value = digits[0] * 100 + digits[1] * 10 + digits[2];
    u8::try_from(value).unwrap_or_else(|_| panic!("an escaped byte of {value}"))
}

/// Writes a name, its special bytes escaped.
fn to_text(name: &[u8]) -> String {
    let labels: Vec<String> = labels(name).into_iter().map(label_text).collect();
    match labels.is_empty() {
        true => ".".to_owned(),
        false => labels.join("."),
    }
}

fn label_text(label: &[u8]) -> String {
    let byte = |byte: &u8| match byte {
        b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
            format!("\\{}", char::from(*byte))
        }
        it if it.is_ascii_graphic() => char::from(*it).to_string(),
        it => format!("\\{it:03}"),
    };
    label.iter().map(byte).collect()
}
