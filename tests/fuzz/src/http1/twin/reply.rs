//! What a server's role answers, by an input's options.

use fumehood_guest_http1::{Answer, Field, PayloadLength};

/// Which of the final responses, in three bits.
const FINAL: u8 = 2;

/// An informational one comes before it.
const INFORMATIONAL: u8 = 16;

/// With a field that is none.
const BAD_FIELD: u8 = 32;

/// Bytes of content, where there is any.
const LENGTH: u64 = 5;

/// A response, and what may come before it.
pub(super) struct Reply {
    /// The last is the final one.
    pub(super) heads: Vec<Answer<Field>>,
    /// Bytes.
    pub(super) content: u64,
    pub(super) trailers: Vec<Field>,
}

impl Reply {
    pub(super) fn of(options: u8) -> Reply {
        let mut last = head(200, PayloadLength::None);
        match options / FINAL % 8 {
            0 => {}
            1 => last.payload = PayloadLength::Known(LENGTH),
            2 => last.payload = PayloadLength::Unknown,
            3 => {
                last = head(407, PayloadLength::None);
                last.challenge = true;
            }
            4 => last = head(304, PayloadLength::None),
            5 => last = head(101, PayloadLength::None),
            6 => {
                last = head(502, PayloadLength::Known(LENGTH));
                last.last = true;
            }
            _ => last = head(42, PayloadLength::None),
        }
        last.fields = vec![
            field("content-length", "7"),
            field("connection", "x-hop"),
            field("X-Hop", "a"),
            field("etag", "\"\u{e9}\""),
        ];
        if options & BAD_FIELD != 0 {
            last.fields.push(field("x y", "a"));
        }
        let content = match last.payload {
            PayloadLength::None => 0,
            PayloadLength::Known(_) | PayloadLength::Unknown => LENGTH,
        };
        let mut heads = vec![last];
        if options & INFORMATIONAL != 0 {
            heads.insert(0, head(103, PayloadLength::None));
        }
        Reply {
            heads,
            content,
            trailers: vec![field("x-sum", "1")],
        }
    }
}

fn head(status: u16, payload: PayloadLength) -> Answer<Field> {
    Answer {
        status,
        reason: b"Why".to_vec(),
        fields: vec![field("link", "</a>")],
        payload,
        last: false,
        challenge: false,
    }
}

fn field(name: &str, value: &str) -> Field {
    Field {
        name: name.to_owned(),
        value: value.as_bytes().to_vec(),
    }
}
