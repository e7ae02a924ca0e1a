//! Responses as they go to a client: heads, framing, and the end of both.

use crate::bounds::{MAX_FIELDS, MAX_HEAD_BYTES};
use crate::fields::{is_text, is_token, is_value, values};
use crate::framing::Persistence;
use crate::{Answer, Field, Line, Misuse, PayloadFrame, PayloadLength, Request};

use super::hop;

/// What may be written beside the fields given: status line, framing,
/// `connection`, and [`CHALLENGE`].
const FIXED_BYTES: usize = 256;

/// What a client is to say who has to say who it is (RFC 7617 section 2).
const CHALLENGE: &[u8] = b"proxy-authenticate: Basic realm=\"fumehood\", charset=\"UTF-8\"\r\n";

/// A response in the making.
#[derive(Debug)]
pub(super) struct Response {
    to: To,
    persistence: Persistence,
    stage: Stage,
}

/// What matters of the request.
#[derive(Clone, Copy, Debug)]
struct To {
    minor_version: u8,
    /// It is HEAD: no content follows, whatever the fields say.
    head_only: bool,
    connect: bool,
    upgrade: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The final head is to come.
    Awaited,
    /// Its content ends by itself, or there is none.
    Plain,
    /// Its content is chunked.
    Chunked,
}

impl Response {
    /// The response to a request.
    pub(super) fn to<F>(request: &Request<F>, asked: Persistence) -> Self {
        Response {
            to: To {
                minor_version: request.minor_version,
                head_only: request.method == "HEAD",
                connect: request.method == "CONNECT",
                upgrade: request.upgrade,
            },
            persistence: asked,
            stage: Stage::Awaited,
        }
    }

    /// The response to what is not a request.
    pub(super) fn refusing() -> Self {
        Response {
            to: To {
                minor_version: 1,
                head_only: false,
                connect: false,
                upgrade: false,
            },
            persistence: Persistence::Close,
            stage: Stage::Awaited,
        }
    }

    /// The same, ending the connection.
    pub(super) fn closing(self) -> Self {
        Response {
            persistence: Persistence::Close,
            ..self
        }
    }

    /// Writes a head.
    pub(super) fn head<F: Line>(&mut self, answer: &Answer<F>) -> Result<Vec<u8>, Misuse> {
        if self.stage != Stage::Awaited || !(100..=999).contains(&answer.status) {
            return Err(Misuse::BadAnswer);
        }
        check_fields(&answer.fields)?;
        let length = |field: &F| field.name().len() + field.value().len() + b": \r\n".len();
        let bytes =
            FIXED_BYTES + answer.reason.len() + answer.fields.iter().map(length).sum::<usize>();
        if bytes > MAX_HEAD_BYTES {
            return Err(Misuse::LongHead);
        }
        let mut out = Vec::with_capacity(bytes);
        write_status_line(&mut out, answer);
        let own = self.settle(answer)?;
        write_fields(&mut out, answer, self.keeps_length(answer.status));
        if answer.challenge {
            out.extend_from_slice(CHALLENGE);
        }
        out.extend_from_slice(own.as_bytes());
        out.extend_from_slice(b"\r\n");
        Ok(out)
    }

    /// The final head is written, and its content ends by itself.
    pub(super) fn is_plain(&self) -> bool {
        self.stage == Stage::Plain
    }

    /// What to write around a piece of content.
    pub(super) fn frame(&mut self, length: u64) -> Result<PayloadFrame, Misuse> {
        match self.stage {
            Stage::Awaited => Err(Misuse::NoExchange),
            _ if length == 0 => Err(Misuse::EmptyPiece),
            Stage::Plain => Ok(PayloadFrame::default()),
            Stage::Chunked => Ok(PayloadFrame {
                before: format!("{length:x}\r\n").into_bytes(),
                after: b"\r\n".to_vec(),
            }),
        }
    }

    /// Ends the content.
    pub(super) fn end(self, trailers: &[Field]) -> Result<(Vec<u8>, Persistence), Misuse> {
        let mut out = Vec::new();
        match self.stage {
            Stage::Awaited => return Err(Misuse::NoExchange),
            Stage::Plain => {}
            Stage::Chunked => {
                check_fields(trailers)?;
                out.extend_from_slice(b"0\r\n");
                trailers
                    .iter()
                    .for_each(|field| write_field(&mut out, field));
                out.extend_from_slice(b"\r\n");
            }
        }
        Ok((out, self.persistence))
    }

    /// Takes up what a head means for what follows; returns the fields that are
    /// this connection's own.
    fn settle(&mut self, answer: &Answer<impl Line>) -> Result<String, Misuse> {
        let empty = answer.payload == PayloadLength::None;
        match answer.status {
            101 if self.to.upgrade && empty => {
                self.stage = Stage::Plain;
                self.persistence = Persistence::Close;
                return Ok("connection: upgrade\r\nupgrade: websocket\r\n".to_owned());
            }
            101 => return Err(Misuse::BadAnswer),
            100..=199 if empty => return Ok(String::new()),
            200..=299 if self.to.connect && empty => {
                self.stage = Stage::Plain;
                self.persistence = Persistence::Close;
                return Ok(String::new());
            }
            100..=199 => return Err(Misuse::BadAnswer),
            _ => {}
        }
        if answer.last {
            self.persistence = Persistence::Close;
        }
        let bodiless = self.to.head_only || matches!(answer.status, 204 | 304);
        if bodiless && !empty {
            return Err(Misuse::BadAnswer);
        }
        self.stage = Stage::Plain;
        let mut own = match answer.payload {
            _ if bodiless => String::new(),
            PayloadLength::None => "content-length: 0\r\n".to_owned(),
            PayloadLength::Known(length) => format!("content-length: {length}\r\n"),
            PayloadLength::Unknown if self.to.minor_version == 0 => {
                self.persistence = Persistence::Close;
                String::new()
            }
            PayloadLength::Unknown => {
                self.stage = Stage::Chunked;
                "transfer-encoding: chunked\r\n".to_owned()
            }
        };
        match (self.persistence, self.to.minor_version) {
            (Persistence::Close, _) => own.push_str("connection: close\r\n"),
            (Persistence::Keep, 0) => own.push_str("connection: keep-alive\r\n"),
            (Persistence::Keep, _) => {}
        }
        Ok(own)
    }

    /// The server's `content-length` tells of content that does not follow.
    fn keeps_length(&self, status: u16) -> bool {
        status == 304 || (self.to.head_only && status >= 200 && status != 204)
    }
}

fn write_status_line(out: &mut Vec<u8>, answer: &Answer<impl Line>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    let digit = |place| b"0123456789"[usize::from(answer.status / place % 10)];
    out.extend([100, 10, 1].map(digit));
    out.push(b' ');
    if answer.reason.iter().copied().all(is_text) {
        out.extend_from_slice(&answer.reason);
    }
    out.extend_from_slice(b"\r\n");
}

/// The fields that are passed on.
fn write_fields(out: &mut Vec<u8>, answer: &Answer<impl Line>, keeps_length: bool) {
    let named: Vec<&[u8]> = values(&answer.fields, "connection").collect();
    let mut lengths = values(&answer.fields, "content-length");
    let length = match (lengths.next(), lengths.next()) {
        (Some(length), None) if keeps_length => Some(length),
        _ => None,
    };
    for field in &answer.fields {
        if !hop::is_of_hop(field.name(), &named) {
            write_field(out, field);
        }
    }
    if let Some(length) = length.filter(|length| length.iter().all(u8::is_ascii_digit)) {
        out.extend_from_slice(b"content-length: ");
        out.extend_from_slice(length);
        out.extend_from_slice(b"\r\n");
    }
}

fn write_field(out: &mut Vec<u8>, field: &impl Line) {
    out.extend_from_slice(field.name().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(field.value());
    out.extend_from_slice(b"\r\n");
}

fn check_fields(fields: &[impl Line]) -> Result<(), Misuse> {
    if fields.len() > MAX_FIELDS {
        return Err(Misuse::ManyFields);
    }
    for (index, field) in fields.iter().enumerate() {
        if !is_token(field.name()) {
            return Err(Misuse::BadFieldName(index + 1));
        }
        if !is_value(field.value()) {
            return Err(Misuse::BadFieldValue(index + 1));
        }
    }
    Ok(())
}
