//! Request heads: what may be sent, and how it is written (RFC 9112 section 3).

use crate::bounds::{MAX_FIELDS, MAX_HEAD_BYTES, MAX_TARGET_BYTES};
use crate::fields::{is_token, is_value, lists, values};
use crate::framing::Persistence;
use crate::{Line, Misuse, PayloadLength, RequestHead};

/// Methods that define a meaning for content, so that its absence is said
/// (RFC 9110 section 8.6).
const CONTENT_METHODS: [&str; 3] = ["PATCH", "POST", "PUT"];

/// What the fixed parts of the longest head may take: the version, the CRLFs,
/// the framing field with a 20-digit number and the offer of an upgrade.
const FIXED_BYTES: usize = 128;

/// The offer to go on as a WebSocket.
const UPGRADE_LINES: &[u8] = b"connection: upgrade\r\nupgrade: websocket\r\n";

/// Writes a head, or says why it cannot be sent.
pub(crate) fn encode<F: Line>(head: &RequestHead<F>) -> Result<Vec<u8>, Misuse> {
    check_method(head)?;
    match head.method.as_str() {
        "CONNECT" => check_authority(&head.target)?,
        _ => check_target(&head.target)?,
    }
    check_fields(&head.fields)?;
    let line = |field: &F| field.name().len() + field.value().len() + b": \r\n".len();
    let bytes = FIXED_BYTES
        + head.method.len()
        + head.target.len()
        + head.fields.iter().map(line).sum::<usize>();
    if bytes > MAX_HEAD_BYTES {
        return Err(Misuse::LongHead);
    }

    let mut out = Vec::with_capacity(bytes);
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for field in &head.fields {
        out.extend_from_slice(field.name().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(framing_line(head).as_bytes());
    if head.upgrade {
        out.extend_from_slice(UPGRADE_LINES);
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// Whether the request asks for the connection to be closed after it
/// (RFC 9112 section 9.6).
pub(crate) fn persistence(head: &RequestHead<impl Line>) -> Persistence {
    if values(&head.fields, "connection").any(|value| lists(value, "close")) {
        Persistence::Close
    } else {
        Persistence::Keep
    }
}

fn framing_line(head: &RequestHead<impl Line>) -> String {
    match head.payload {
        PayloadLength::None if CONTENT_METHODS.contains(&head.method.as_str()) => {
            "content-length: 0\r\n".to_owned()
        }
        PayloadLength::None => String::new(),
        PayloadLength::Known(length) => format!("content-length: {length}\r\n"),
        PayloadLength::Unknown => "transfer-encoding: chunked\r\n".to_owned(),
    }
}

fn check_method(head: &RequestHead<impl Line>) -> Result<(), Misuse> {
    match head.method.as_str() {
        "CONNECT" if head.payload != PayloadLength::None => Err(Misuse::Connect),
        "TRACE" if head.payload != PayloadLength::None => Err(Misuse::TraceContent),
        method if is_token(method) => Ok(()),
        _ => Err(Misuse::BadMethod),
    }
}

/// Origin-form or absolute-form. A fragment is never sent (RFC 9110 section 7.1).
fn check_target(target: &str) -> Result<(), Misuse> {
    if target.len() > MAX_TARGET_BYTES {
        return Err(Misuse::LongTarget);
    }
    let visible = target
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let absolute = target.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && !rest.is_empty()
    });
    if visible && (target.starts_with('/') || absolute) {
        Ok(())
    } else {
        Err(Misuse::BadTarget)
    }
}

/// Authority-form: a host, IPv6 in brackets, and a port, both there.
fn check_authority(target: &str) -> Result<(), Misuse> {
    if target.len() > MAX_TARGET_BYTES {
        return Err(Misuse::LongTarget);
    }
    let (host, port) = target.rsplit_once(':').ok_or(Misuse::Connect)?;
    let inside = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let allowed = |byte: u8| match inside {
        Some(_) => byte.is_ascii_hexdigit() || b":.".contains(&byte),
        None => byte.is_ascii_alphanumeric() || b"-._".contains(&byte),
    };
    let name = inside.unwrap_or(host);
    let host_is_good = !name.is_empty() && name.bytes().all(allowed);
    let port_is_good =
        (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    match host_is_good && port_is_good {
        true => Ok(()),
        false => Err(Misuse::Connect),
    }
}

fn check_fields(fields: &[impl Line]) -> Result<(), Misuse> {
    if fields.len() > MAX_FIELDS {
        return Err(Misuse::ManyFields);
    }
    for (index, field) in fields.iter().enumerate() {
        check_field(field, index + 1)?;
    }
    match values(fields, "host").count() {
        1 => Ok(()),
        _ => Err(Misuse::NotOneHost),
    }
}

fn check_field(field: &impl Line, number: usize) -> Result<(), Misuse> {
    if !is_token(field.name()) {
        return Err(Misuse::BadFieldName(number));
    }
    if !is_value(field.value()) {
        return Err(Misuse::BadFieldValue(number));
    }
    let named = |name: &str| field.name().eq_ignore_ascii_case(name);
    if named("content-length") || named("transfer-encoding") {
        return Err(Misuse::FramingField(number));
    }
    let codings = named("te") && !field.value().eq_ignore_ascii_case(b"trailers");
    if codings || named("trailer") || named("upgrade") {
        return Err(Misuse::UnsupportedOffer(number));
    }
    Ok(())
}
