//! How content is framed (RFC 9112 section 6.3) and whether the connection
//! outlives it (section 9.3).

use crate::fields::{lists, values};
use crate::{Error, Line, PayloadLength, ResponseHead, Violation};

/// Where the content of a response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Empty,
    /// After so many bytes, above 0.
    Length(u64),
    /// With the last chunk and its trailers.
    Chunked,
    /// Where the peer closes.
    UntilClose,
}

/// Whether the connection can outlive the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// It stays open.
    Keep,
    /// It ends with the exchange.
    Close,
}

impl Framing {
    /// Tells the framing of a final response; `head_only` when it answers HEAD.
    pub(crate) fn of(head: &ResponseHead<impl Line>, head_only: bool) -> Result<Self, Error> {
        let length = content_length(head)?;
        let chunked = is_chunked(head, length)?;
        if head_only || matches!(head.status, 204 | 304) {
            return Ok(Self::Empty);
        }
        Ok(match length {
            _ if chunked => Self::Chunked,
            Some(0) => Self::Empty,
            Some(length) => Self::Length(length),
            None => Self::UntilClose,
        })
    }
}

impl Persistence {
    /// Tells it from a final response's head and framing.
    pub(crate) fn of(head: &ResponseHead<impl Line>, framing: Framing) -> Self {
        let option = |name| values(&head.fields, "connection").any(|value| lists(value, name));
        // A 204 cannot have content. One that claims some comes from a server
        // that may go on to send it, where the next response should be.
        let confused = head.status == 204
            && values(&head.fields, "content-length").any(|value| value.iter().any(|b| *b != b'0'));
        if framing == Framing::UntilClose || option("close") || confused {
            return Self::Close;
        }
        if head.minor_version >= 1 || option("keep-alive") {
            Self::Keep
        } else {
            Self::Close
        }
    }
}

/// Tells the length of a request's content. Stricter than for a response: what
/// an intermediary reads and what the next server reads must be one thing, so
/// even a repeated `content-length` of one value is refused.
pub(crate) fn of_request(
    fields: &[impl Line],
    minor_version: u8,
) -> Result<PayloadLength, Violation> {
    let mut lengths = values(fields, "content-length");
    let length = lengths.next();
    let mut codings = values(fields, "transfer-encoding");
    match (length, codings.next()) {
        (None, None) => Ok(PayloadLength::None),
        (Some(_), Some(_)) => Err(Violation::AmbiguousLength),
        (Some(length), None) => match (decimal(length), lengths.next()) {
            (Some(0), None) => Ok(PayloadLength::None),
            (Some(length), None) => Ok(PayloadLength::Known(length)),
            _ => Err(Violation::BadContentLength),
        },
        (None, Some(_)) if minor_version == 0 => Err(Violation::AmbiguousLength),
        (None, Some(coding)) => {
            let sole = codings.next().is_none() && coding.eq_ignore_ascii_case(b"chunked");
            sole.then_some(PayloadLength::Unknown)
                .ok_or(Violation::BadTransferEncoding)
        }
    }
}

/// Checks the framing fields of a 1xx response, which can have no content.
pub(crate) fn check_informational(head: &ResponseHead<impl Line>) -> Result<(), Violation> {
    let length = content_length(head)?;
    is_chunked(head, length).map(|_| ())
}

/// The one value of all `content-length` fields and their list members.
fn content_length(head: &ResponseHead<impl Line>) -> Result<Option<u64>, Violation> {
    let mut length = None;
    for value in values(&head.fields, "content-length") {
        for member in value.split(|byte| *byte == b',') {
            let number = decimal(member.trim_ascii()).ok_or(Violation::BadContentLength)?;
            if length.is_some_and(|length| length != number) {
                return Err(Violation::BadContentLength);
            }
            length = Some(number);
        }
    }
    Ok(length)
}

/// Whether `transfer-encoding` is there, and exactly `chunked`, and allowed.
fn is_chunked(head: &ResponseHead<impl Line>, length: Option<u64>) -> Result<bool, Violation> {
    let mut codings = values(&head.fields, "transfer-encoding");
    let Some(coding) = codings.next() else {
        return Ok(false);
    };
    let can_have_none = head.status < 200 || head.status == 204;
    if length.is_some() || head.minor_version == 0 || can_have_none {
        return Err(Violation::AmbiguousLength);
    }
    if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
        return Err(Violation::BadTransferEncoding);
    }
    Ok(true)
}

/// `1*DIGIT` that fits. Rust's own parser would take a sign.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
