//! The codec's words in the embedder's types, once they make sense.

use fumehood_control as control;
use fumehood_control::{
    Cause, Challenge, MAX_CHALLENGE_BYTES, MAX_CHALLENGE_PARAMETERS, MAX_CHALLENGES,
};

use super::fields::{Fields, is_text};

use super::bounded;
use super::http1::exports::fumehood::http1::client as wire;
use wire::{Demand, Error as ProtocolError, Limit, LineDemand, Truncation, Violation};

/// Longest piece of the stream, in bytes, that a codec may demand: the longest
/// head. The host holds it while it comes in, so a guest in the peer's hand is
/// not to ask for more.
const MAX_PIECE_BYTES: u32 = 256 * 1024;

/// What a codec said that no sound codec says. The peer may have taken the
/// guest over, so its words are held to what the embedder relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonsense(pub &'static str);

/// A response's head, sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    /// 0 or 1.
    pub minor_version: u8,
    /// 100–999.
    pub status: u16,
    pub reason: Vec<u8>,
    pub fields: Fields,
}

/// As the embedder is told it.
impl From<ResponseHead> for control::ResponseHead {
    fn from(head: ResponseHead) -> control::ResponseHead {
        control::ResponseHead {
            minor_version: head.minor_version,
            status: head.status,
            reason: head.reason,
            fields: head.fields.to_list(),
        }
    }
}

/// What a codec said, sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A 1xx head.
    Informational(ResponseHead),
    /// The final head.
    Head(ResponseHead),
    /// Fields behind chunked content.
    Trailers(Fields),
    /// The exchange is over.
    Complete {
        /// The connection can carry another request.
        reusable: bool,
    },
}

/// The outcome of a step.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub events: Vec<Event>,
    pub demand: Demand,
    /// With a demand for payload: what to collect once that is moved.
    pub then: Option<LineDemand>,
    /// The same: the exchange is over once it is moved, whether that is told or
    /// not, and the connection can carry another request or not.
    pub completes: Option<bool>,
}

/// A step's outcome, if all of it makes sense.
pub(super) fn progress(told: wire::Progress) -> Result<Progress, Nonsense> {
    let event = |event| {
        Ok(match event {
            wire::Event::Informational(told) => Event::Informational(head(told)?),
            wire::Event::Head(told) => Event::Head(head(told)?),
            wire::Event::Trailers(told) => Event::Trailers(Fields::sound(told)?),
            wire::Event::Complete(completion) => Event::Complete {
                reusable: completion.reusable,
            },
        })
    };
    let events = told
        .events
        .into_iter()
        .map(event)
        .collect::<Result<_, _>>()?;
    let (demand, then) = demands(told.demand, told.then)?;
    if told.completes.is_some() && (then.is_some() || !matches!(demand, Demand::Payload(_))) {
        return Err(Nonsense("an end that follows no payload"));
    }
    Ok(Progress {
        events,
        demand,
        then,
        completes: told.completes.map(|it| it.reusable),
    })
}

/// Challenges, if they are within bounds.
pub(super) fn challenges(told: Vec<wire::Challenge>) -> Result<Vec<Challenge>, Nonsense> {
    let challenge = |it: wire::Challenge| Challenge {
        scheme: it.scheme,
        token: it.token,
        parameters: it.parameters,
    };
    let told: Vec<Challenge> = told.into_iter().map(challenge).collect();
    let bytes: usize = told.iter().map(Challenge::text_bytes).sum();
    let wide = |it: &Challenge| it.parameters.len() > MAX_CHALLENGE_PARAMETERS;
    if told.len() > MAX_CHALLENGES || told.iter().any(wide) || bytes > MAX_CHALLENGE_BYTES {
        return Err(Nonsense("more challenges than there can be"));
    }
    Ok(told)
}

/// A demand and what follows it, if the host can meet both.
pub(super) fn demands(
    told: Demand,
    then: Option<LineDemand>,
) -> Result<(Demand, Option<LineDemand>), Nonsense> {
    if then.is_some() && !matches!(told, Demand::Payload(_)) {
        return Err(Nonsense("lines that follow a payload, and no payload"));
    }
    then.as_ref().map_or(Ok(()), bounded_lines)?;
    Ok((demand(told)?, then))
}

/// A demand, if the host can meet it.
pub(super) fn demand(told: Demand) -> Result<Demand, Nonsense> {
    match &told {
        Demand::EmptyLine(at_most) => bounded_piece(*at_most)?,
        Demand::Lines(lines) => bounded_lines(lines)?,
        Demand::Payload(0) => return Err(Nonsense("a payload of no bytes")),
        _ => {}
    }
    Ok(told)
}

fn bounded_lines(lines: &LineDemand) -> Result<(), Nonsense> {
    if lines.count == 0 {
        return Err(Nonsense("a piece of no lines"));
    }
    bounded_piece(lines.at_most)
}

fn bounded_piece(at_most: u32) -> Result<(), Nonsense> {
    match at_most {
        1..=MAX_PIECE_BYTES => Ok(()),
        _ => Err(Nonsense("a piece of no bytes, or of more than a head has")),
    }
}

/// A head as the embedder may rely on it: a status it can classify, and
/// fields that cannot break out of a text (RFC 9110 sections 5.1 and 5.5).
fn head(head: wire::ResponseHead) -> Result<ResponseHead, Nonsense> {
    let wire::ResponseHead {
        minor_version,
        status,
        reason,
        fields: told,
    } = head;
    if minor_version > 1 {
        return Err(Nonsense("a version of HTTP/1 other than 0 and 1"));
    }
    if !(100..=999).contains(&status) {
        return Err(Nonsense("a status that has not three digits"));
    }
    if !is_text(&reason) {
        return Err(Nonsense("control characters in a reason phrase"));
    }
    Ok(ResponseHead {
        minor_version,
        status,
        reason,
        fields: Fields::sound(told)?,
    })
}

/// A driver's final head, held to the same.
pub(crate) fn sound_head(
    status: u16,
    fields: impl Iterator<Item = (String, Vec<u8>)>,
) -> Result<control::ResponseHead, &'static str> {
    if status < 200 {
        return Err("a final status below 200");
    }
    let mut all = Fields::default();
    for (name, value) in fields {
        all.push(&name, &value);
    }
    let told = wire::ResponseHead {
        minor_version: 1,
        status,
        reason: Vec::new(),
        fields: all.into_told(),
    };
    head(told)
        .map(control::ResponseHead::from)
        .map_err(|Nonsense(what)| what)
}

/// The cause for a protocol error that the guest found.
pub(crate) fn cause_of_protocol(error: ProtocolError) -> Cause {
    match error {
        ProtocolError::Peer(violation) => {
            Cause::HttpViolation(violation_name(violation).to_owned())
        }
        ProtocolError::Limit(limit) => Cause::Limit(limit_name(limit).to_owned()),
        ProtocolError::Truncated(truncation) => Cause::Truncated {
            place: truncation_name(truncation).to_owned(),
        },
        ProtocolError::Misuse(what) => Cause::BadRequest(bounded(&what)),
    }
}

/// As in `wit/http1`.
fn violation_name(violation: Violation) -> &'static str {
    match violation {
        Violation::BadStatusLine => "bad-status-line",
        Violation::BadVersion => "bad-version",
        Violation::BadField => "bad-field",
        Violation::BareLineEnding => "bare-line-ending",
        Violation::ObsoleteFolding => "obsolete-folding",
        Violation::Nul => "nul",
        Violation::BadContentLength => "bad-content-length",
        Violation::AmbiguousLength => "ambiguous-length",
        Violation::BadTransferEncoding => "bad-transfer-encoding",
        Violation::BadChunk => "bad-chunk",
        Violation::BadChunkEnd => "bad-chunk-end",
        Violation::ForbiddenTrailer => "forbidden-trailer",
        Violation::UnsolicitedUpgrade => "unsolicited-upgrade",
        Violation::UnsolicitedBytes => "unsolicited-bytes",
        Violation::BadRequestLine => "bad-request-line",
        Violation::BadTarget => "bad-target",
        Violation::BadHost => "bad-host",
    }
}

fn limit_name(limit: Limit) -> &'static str {
    match limit {
        Limit::HeadBytes => "head-bytes",
        Limit::FieldCount => "field-count",
        Limit::LineBytes => "line-bytes",
        Limit::InformationalCount => "informational-count",
    }
}

fn truncation_name(truncation: Truncation) -> &'static str {
    match truncation {
        Truncation::BeforeHead => "before-head",
        Truncation::InHead => "in-head",
        Truncation::InPayload => "in-payload",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, name: &str, value: &[u8]) -> Result<ResponseHead, Nonsense> {
        let mut fields = Fields::default();
        fields.push(name, value);
        head(wire::ResponseHead {
            minor_version: 1,
            status,
            reason: Vec::new(),
            fields: fields.into_told(),
        })
    }

    #[test]
    fn a_sound_head_passes() {
        let head = told(200, "x-a", "caf\u{e9}\t b".as_bytes()).expect("sound");
        assert_eq!((head.status, head.fields.len()), (200, 1));
    }

    #[test]
    fn no_piece_is_longer_than_a_head() {
        let lines = |at_most| LineDemand { count: 1, at_most };
        for at_most in [0, MAX_PIECE_BYTES + 1, u32::MAX] {
            assert!(demand(Demand::EmptyLine(at_most)).is_err(), "{at_most}");
            let then = wire::Progress {
                events: Vec::new(),
                demand: Demand::Payload(1),
                then: Some(lines(at_most)),
                completes: None,
            };
            assert!(progress(then).is_err(), "{at_most}");
        }
        // What takes nothing could be asked for without end.
        let none = LineDemand {
            count: 0,
            at_most: 1,
        };
        assert!(demand(Demand::Lines(none)).is_err());
        assert!(demands(Demand::Payload(1), Some(none)).is_err());
        assert!(demand(Demand::Payload(0)).is_err());
        assert!(demand(Demand::EmptyLine(MAX_PIECE_BYTES)).is_ok());
        assert!(demand(Demand::Lines(lines(1))).is_ok());
    }

    #[test]
    fn a_lying_guest_cannot_break_out_of_a_text() {
        for (status, name, value) in [
            (99, "a", &b"b"[..]),
            (65535, "a", b"b"),
            (200, "", b"b"),
            (200, "a b", b"c"),
            (200, "a:", b"c"),
            (200, "a\r\nset-cookie", b"c"),
            (200, "a", b"b\r\nset-cookie: c"),
            (200, "a", b"b\0"),
            (200, "a", b"\x1b[31m"),
        ] {
            assert!(
                told(status, name, value).is_err(),
                "{status} {name:?} {value:?}"
            );
        }
    }
}
