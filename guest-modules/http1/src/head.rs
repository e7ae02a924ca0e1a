//! Response heads and trailer sections (RFC 9112 sections 4, 5 and 7.1.2).

use std::mem::MaybeUninit;

use crate::bounds::{MAX_FIELDS, MAX_HEAD_BYTES, MAX_LINE_BYTES};
use crate::piece::Piece;
use crate::types::Lent;
use crate::{Error, Limit, Preferences, ResponseHead, Violation, fields};

/// Where the reason phrase begins: after `HTTP/1.1 200 `.
const REASON_AT: usize = 13;

/// Fields that never may be trailers, in lower case (RFC 9110 section 6.5.1):
/// they frame or route the message, authenticate, or say how to read the
/// content that has already been read.
const FORBIDDEN_TRAILERS: [&str; 19] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "set-cookie2",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// Parses one head: a status line, fields, and the empty line.
pub(crate) fn response(
    data: &[u8],
    preferences: Preferences,
) -> Result<ResponseHead<Lent<'_>>, Error> {
    let Piece::Whole(data) = Piece::to_empty_line(data, preferences.max_head_bytes)? else {
        return Err(Limit::HeadBytes.into());
    };
    // httparse would skip empty lines in front.
    if !data.starts_with(b"HTTP/") {
        return Err(Violation::BadStatusLine.into());
    }
    fields::check_lines(data, 1, MAX_LINE_BYTES)?;

    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let outcome = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        data,
        &mut headers[..preferences.max_fields],
    );
    match outcome {
        Ok(httparse::Status::Complete(end)) if end == data.len() => {}
        // It would see another end than the host did.
        Ok(_) => return Err(Violation::BadField.into()),
        Err(error) => return Err(fields::refusal(data, error, Violation::BadStatusLine)),
    }
    let (Some(minor_version), Some(status)) = (parsed.version, parsed.code) else {
        return Err(Violation::BadStatusLine.into());
    };
    if !(100..=999).contains(&status) {
        return Err(Violation::BadStatusLine.into());
    }
    Ok(ResponseHead {
        minor_version,
        status,
        reason: reason(data).to_vec(),
        fields: fields::lent(parsed.headers),
    })
}

/// Parses a trailer section with its empty line, which may be all there is.
pub(crate) fn trailers(data: &[u8]) -> Result<Vec<Lent<'_>>, Error> {
    let Piece::Whole(data) = Piece::to_empty_line(data, MAX_HEAD_BYTES)? else {
        return Err(Limit::HeadBytes.into());
    };
    fields::check_lines(data, 0, MAX_LINE_BYTES)?;
    if data == b"\r\n" {
        return Ok(Vec::new());
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let trailers = match httparse::parse_headers(data, &mut headers) {
        Ok(httparse::Status::Complete((end, found))) if end == data.len() => fields::lent(found),
        Ok(_) => return Err(Violation::BadField.into()),
        Err(error) => return Err(fields::refusal(data, error, Violation::BadStatusLine)),
    };
    let forbidden = |(name, _): &Lent<'_>| {
        FORBIDDEN_TRAILERS
            .iter()
            .any(|it| name.eq_ignore_ascii_case(it))
    };
    if trailers.iter().any(forbidden) {
        return Err(Violation::ForbiddenTrailer.into());
    }
    Ok(trailers)
}

/// The reason phrase of a head that httparse accepted. Its own copy is empty
/// when there is obs-text in it.
fn reason(head: &[u8]) -> &[u8] {
    let line_end = memchr::memchr(b'\r', head).unwrap_or(0);
    head.get(REASON_AT..line_end).unwrap_or_default()
}
