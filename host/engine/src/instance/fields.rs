//! Field lines in one piece, as they cross between the host and its codecs: what
//! is only passed on is never taken apart.

use std::fmt;

use fumehood_control::Field;
use serde::{Deserialize, Serialize};

use super::http1::exports::fumehood::http1::client as wire;
use super::words::Nonsense;

/// Most fields of a head or of trailers that a codec may tell; its own bound.
const MAX_FIELDS: usize = 256;

/// Field lines, in order.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fields {
    /// Name, value, name, value, …
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<u32>,
}

impl Fields {
    /// Room for some more.
    pub(crate) fn with_room(fields: usize, bytes: usize) -> Fields {
        Fields {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(2 * fields),
        }
    }

    /// What a codec told, as the embedder and another codec may rely on it: names
    /// and values that cannot break out of a text (RFC 9110 sections 5.1 and 5.5).
    pub(super) fn sound(told: wire::FieldsResult) -> Result<Fields, Nonsense> {
        let wire::FieldsResult { bytes, ends } = told;
        if ends.len() > 2 * MAX_FIELDS {
            return Err(Nonsense("more fields than its own bound"));
        }
        let mut rest = &bytes[..];
        let mut start = 0;
        let mut next = |end: u32| {
            let length = (end as usize).checked_sub(start)?;
            let (part, behind) = rest.split_at_checked(length)?;
            (rest, start) = (behind, end as usize);
            Some(part)
        };
        for pair in ends.chunks(2) {
            let &[name, value] = pair else {
                return Err(Nonsense("a field without a value"));
            };
            let (Some(name), Some(value)) = (next(name), next(value)) else {
                return Err(Nonsense("fields that lie outside of what it told"));
            };
            if !is_token(name) {
                return Err(Nonsense("a field name that is not a token"));
            }
            if !is_text(value) {
                return Err(Nonsense("control characters in a field value"));
            }
        }
        match rest {
            [] => Ok(Fields { bytes, ends }),
            _ => Err(Nonsense("bytes that belong to no field")),
        }
    }

    /// As a codec is told them.
    pub(crate) fn to_wire(&self) -> wire::FieldsParam<'_> {
        wire::FieldsParam {
            bytes: &self.bytes,
            ends: &self.ends,
        }
    }

    /// As a codec would tell them.
    pub(super) fn into_told(self) -> wire::FieldsResult {
        let Fields { bytes, ends } = self;
        wire::FieldsResult { bytes, ends }
    }

    /// Adds one. A codec refuses what is too long or is no field.
    pub(crate) fn push(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), value] {
            self.bytes.extend_from_slice(part);
            self.ends
                .push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        }
    }

    /// Adds these.
    pub(crate) fn append(&mut self, more: &Fields) {
        let before = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&more.bytes);
        self.ends
            .extend(more.ends.iter().map(|end| end.saturating_add(before)));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Bytes of names and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        let mut next = move |end: u32| {
            let part = self.bytes.get(start..end as usize).unwrap_or_default();
            start = end as usize;
            part
        };
        let pairs = self.ends.chunks_exact(2);
        pairs.map(move |pair| (next(pair[0]), next(pair[1])))
    }

    /// One by one, as the embedder is told them.
    pub(crate) fn to_list(&self) -> Vec<Field> {
        let field = |(name, value): (&[u8], &[u8])| Field {
            name: String::from_utf8_lossy(name).into_owned(),
            value: value.to_vec(),
        };
        self.iter().map(field).collect()
    }
}

impl<'a> FromIterator<&'a Field> for Fields {
    fn from_iter<T: IntoIterator<Item = &'a Field>>(all: T) -> Fields {
        let mut fields = Fields::default();
        for Field { name, value } in all {
            fields.push(name, value);
        }
        fields
    }
}

/// One by one, as the native codec shows them too.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.to_list()).finish()
    }
}

/// Whether it is a token (RFC 9110 section 5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|&byte| KINDS[byte as usize] == Kind::Token)
}

/// Whether all is `field-vchar`, SP, HTAB or `obs-text` (RFC 9110 section 5.5).
pub(super) fn is_text(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|&byte| KINDS[byte as usize] != Kind::Control)
}

/// What a byte can stand in: every head passes here, byte for byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// In neither.
    Control,
    /// In a value.
    Text,
    /// In a name too.
    Token,
}

static KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Text; 256];
    let mut byte = u8::MIN;
    loop {
        kinds[byte as usize] = match byte {
            b'\t' => Kind::Text,
            0..=0x1f | 0x7f => Kind::Control,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => Kind::Token,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~' => {
                Kind::Token
            }
            _ => Kind::Text,
        };
        if byte == u8::MAX {
            break kinds;
        }
        byte += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8], ends: &[u32]) -> wire::FieldsResult {
        wire::FieldsResult {
            bytes: bytes.to_vec(),
            ends: ends.to_vec(),
        }
    }

    #[test]
    fn what_is_told_comes_out_as_it_went_in() -> Result<(), Nonsense> {
        let mut fields = Fields::default();
        fields.push("host", b"a");
        let mut more = Fields::default();
        more.push("accept", b"");
        more.push("b", "caf\u{e9}\t c".as_bytes());
        fields.append(&more);
        assert_eq!((fields.len(), fields.bytes()), (3, 5 + 6 + 1 + 8));
        let list = fields.to_list();
        assert_eq!(list.iter().collect::<Fields>(), fields);
        assert_eq!(Fields::sound(fields.clone().into_told())?, fields);
        assert_eq!(format!("{fields:?}"), format!("{list:?}"));
        Ok(())
    }

    #[test]
    fn a_lying_guest_cannot_point_elsewhere() {
        for (bytes, ends) in [
            (&b"ab"[..], &[1][..]),
            (b"ab", &[1, 3]),
            (b"ab", &[1, u32::MAX]),
            (b"ab", &[2, 1]),
            (b"ab", &[1, 2, 1, 2]),
            (b"abc", &[1, 2]),
            (b"ab", &[]),
            (b"ab", &[0, 2]),
        ] {
            assert!(
                Fields::sound(told(bytes, ends)).is_err(),
                "{bytes:?} {ends:?}"
            );
        }
        let many: Vec<u32> = (1..)
            .flat_map(|n| [n; 2])
            .take(2 * MAX_FIELDS + 2)
            .collect();
        let names = vec![b'a'; MAX_FIELDS + 1];
        assert!(Fields::sound(told(&names, &many)).is_err());
        assert!(Fields::sound(told(&names[1..], &many[..2 * MAX_FIELDS])).is_ok());
        assert!(Fields::sound(told(b"", &[])).is_ok());
    }

    #[test]
    fn kinds_are_those_of_the_grammar() {
        for byte in 0..=u8::MAX {
            let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_token(&[byte]), token, "{byte}");
            let text = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
            assert_eq!(is_text(&[byte]), text, "{byte}");
        }
        assert!(!is_token(b"") && is_text(b""));
    }
}
