//! Request heads as they come from a client (RFC 9112 section 3).

use std::mem::MaybeUninit;

use crate::bounds::{MAX_FIELDS, MAX_HEAD_BYTES, MAX_REQUEST_LINE_BYTES, MAX_TARGET_BYTES};
use crate::fields::{check_lines, lent, lists, refusal, values};
use crate::framing::{Persistence, of_request};
use crate::piece::Piece;
use crate::types::Lent;
use crate::{Error, Limit, Line, PayloadLength, Preferences, Request, RequestTarget, Violation};

use super::{hop, login};

/// A head, and what it says of the connection.
pub(super) struct Head<'a> {
    pub(super) request: Request<Lent<'a>>,
    pub(super) asked: Persistence,
}

/// Parses one head: a request line, fields, and the empty line.
pub(super) fn parse(data: &[u8], preferences: Preferences) -> Result<Head<'_>, Error> {
    let data = match Piece::to_empty_line(data, MAX_HEAD_BYTES)? {
        Piece::Whole(data) if data.len() <= preferences.max_head_bytes => data,
        Piece::Whole(_) | Piece::OverBound => return Err(Limit::HeadBytes.into()),
    };
    check_lines(data, 1, MAX_REQUEST_LINE_BYTES)?;
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let outcome = httparse::ParserConfig::default().parse_request_with_uninit_headers(
        &mut parsed,
        data,
        &mut headers[..preferences.max_fields],
    );
    match outcome {
        Ok(httparse::Status::Complete(end)) if end == data.len() => {}
        // It would see another end than the host did.
        Ok(_) => return Err(Violation::BadField.into()),
        Err(error) => return Err(refusal(data, error, Violation::BadRequestLine)),
    }
    let (Some(minor_version), Some(method), Some(target)) =
        (parsed.version, parsed.method, parsed.path)
    else {
        return Err(Violation::BadRequestLine.into());
    };
    // httparse skips what precedes a request line.
    if !data.starts_with(method.as_bytes()) {
        return Err(Violation::BadRequestLine.into());
    }
    let fields = lent(parsed.headers);
    let payload = of_request(&fields, minor_version)?;
    check_host(&fields, minor_version)?;
    let target = read_target(method, target, payload)?;
    Ok(Head {
        asked: asked(&fields, minor_version),
        request: Request {
            method: method.to_owned(),
            minor_version,
            target,
            upgrade: asks_for_websocket(&fields, minor_version),
            login: login::of(&fields),
            fields: forwarded(fields),
            payload,
        },
    })
}

/// Without `host`, which the target's own authority takes the place of
/// (RFC 9112 section 3.2.2).
fn forwarded(fields: Vec<Lent<'_>>) -> Vec<Lent<'_>> {
    let mut fields = hop::passed_on(fields);
    fields.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
    fields
}

/// What the client says of the connection (RFC 9112 section 9.3), in either of
/// the fields that clients of proxies use.
fn asked(fields: &[impl Line], minor_version: u8) -> Persistence {
    let option = |option| {
        ["connection", "proxy-connection"]
            .iter()
            .flat_map(|name| values(fields, name))
            .any(|value| lists(value, option))
    };
    if option("close") || (minor_version == 0 && !option("keep-alive")) {
        Persistence::Close
    } else {
        Persistence::Keep
    }
}

/// The one upgrade that is passed on. Others, such as h2c, would carry requests
/// that nobody judges.
fn asks_for_websocket(fields: &[impl Line], minor_version: u8) -> bool {
    let mut offers = values(fields, "upgrade");
    let sole = offers
        .next()
        .is_some_and(|offer| offer.eq_ignore_ascii_case(b"websocket"))
        && offers.next().is_none();
    sole && minor_version == 1 && values(fields, "connection").any(|value| lists(value, "upgrade"))
}

/// Exactly one `host`, and nothing in it that an authority cannot have; HTTP/1.0
/// may do without.
fn check_host(fields: &[impl Line], minor_version: u8) -> Result<(), Violation> {
    let mut hosts = values(fields, "host");
    let sound = |host: &[u8]| {
        host.iter()
            .all(|byte| byte.is_ascii_graphic() && !b"/?#@\\,".contains(byte))
    };
    match (hosts.next(), hosts.next()) {
        (None, _) if minor_version == 0 => Ok(()),
        (Some(host), None) if sound(host) => Ok(()),
        _ => Err(Violation::BadHost),
    }
}

/// The target, in the form that goes with the method.
fn read_target(method: &str, target: &str, payload: PayloadLength) -> Result<RequestTarget, Error> {
    if target.len() > MAX_TARGET_BYTES {
        return Err(Limit::LineBytes.into());
    }
    let visible = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !target.bytes().all(visible) {
        return Err(Violation::BadTarget.into());
    }
    if method == "CONNECT" {
        // Its content would have no meaning (RFC 9110 section 9.3.6).
        return match is_authority(target) && payload == PayloadLength::None {
            true => Ok(RequestTarget::Authority(target.to_owned())),
            false => Err(Violation::BadTarget.into()),
        };
    }
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok(RequestTarget::Local(target.to_owned()));
    }
    absolute(target).ok_or_else(|| Violation::BadTarget.into())
}

/// `host:port`, the port in digits.
fn is_authority(target: &str) -> bool {
    target.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && !host.bytes().any(|byte| b"/?@\\".contains(&byte))
            && (1..=5).contains(&port.len())
            && port.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Cuts an absolute-form in two. Userinfo is refused (RFC 9110 section 4.2.4).
fn absolute(target: &str) -> Option<RequestTarget> {
    let (scheme, rest) = target.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !is_scheme || authority.is_empty() || authority.contains(['@', '\\']) {
        return None;
    }
    let origin = &target[..target.len() - path.len()];
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some(RequestTarget::Absolute {
        origin: origin.to_owned(),
        path: [slash, path].concat(),
    })
}
