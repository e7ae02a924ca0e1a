//! Between the library's types and the bindings'.

use super::wit;
use crate::body::bound;
use crate::types::Lent;
use crate::{
    Completion, Demand, Error, Event, Limit, Line, LineDemand, PayloadFrame, PayloadLength,
    Progress, RequestHead, ResponseHead, Truncation, Violation,
};

/// A head whose fields are lent.
pub(super) fn request_head(head: &wit::RequestHead) -> RequestHead<Lent<'_>> {
    RequestHead {
        method: head.method.clone(),
        target: head.target.clone(),
        fields: fields_of(&head.fields),
        payload: head.payload.into(),
        upgrade: head.upgrade,
    }
}

/// Field lines out of one piece. What is outside of it, or is no text, is read as
/// empty, which no name may be.
pub(super) fn fields_of(told: &wit::Fields) -> Vec<Lent<'_>> {
    let mut start = 0;
    let mut next = |end: u32| {
        let part = told.bytes.get(start..end as usize).unwrap_or_default();
        start = end as usize;
        part
    };
    let text = |name| str::from_utf8(name).unwrap_or_default();
    let pairs = told.ends.chunks_exact(2);
    pairs
        .map(|ends| (text(next(ends[0])), next(ends[1])))
        .collect()
}

/// Field lines in one piece.
pub(super) fn in_one_piece<F: Line>(fields: &[F]) -> wit::Fields {
    let length = |field: &F| field.name().len() + field.value().len();
    let mut bytes = Vec::with_capacity(fields.iter().map(length).sum());
    let mut ends = Vec::with_capacity(2 * fields.len());
    for field in fields {
        for part in [field.name().as_bytes(), field.value()] {
            bytes.extend_from_slice(part);
            ends.push(bound(bytes.len()));
        }
    }
    wit::Fields { bytes, ends }
}

impl From<wit::PayloadLength> for PayloadLength {
    fn from(length: wit::PayloadLength) -> Self {
        match length {
            wit::PayloadLength::None => Self::None,
            wit::PayloadLength::Known(length) => Self::Known(length),
            wit::PayloadLength::Unknown => Self::Unknown,
        }
    }
}

impl From<PayloadLength> for wit::PayloadLength {
    fn from(length: PayloadLength) -> Self {
        match length {
            PayloadLength::None => Self::None,
            PayloadLength::Known(length) => Self::Known(length),
            PayloadLength::Unknown => Self::Unknown,
        }
    }
}

impl From<PayloadFrame> for wit::PayloadFrame {
    fn from(frame: PayloadFrame) -> Self {
        Self {
            before: frame.before,
            after: frame.after,
        }
    }
}

pub(super) fn progress(
    progress: Progress<impl Line>,
    completes: Option<Completion>,
) -> wit::Progress {
    wit::Progress {
        events: progress.events.into_iter().map(Into::into).collect(),
        demand: progress.demand.into(),
        then: progress.then.map(wit::LineDemand::from),
        completes: completes.map(wit::Completion::from),
    }
}

impl From<Completion> for wit::Completion {
    fn from(Completion { reusable }: Completion) -> Self {
        Self { reusable }
    }
}

impl From<Demand> for wit::Demand {
    fn from(demand: Demand) -> Self {
        match demand {
            Demand::EmptyLine(at_most) => Self::EmptyLine(at_most),
            Demand::Lines(lines) => Self::Lines(lines.into()),
            Demand::Payload(length) => Self::Payload(length),
            Demand::PayloadUntilClose => Self::PayloadUntilClose,
            Demand::Nothing => Self::Nothing,
        }
    }
}

impl From<LineDemand> for wit::LineDemand {
    fn from(lines: LineDemand) -> Self {
        Self {
            count: lines.count,
            at_most: lines.at_most,
        }
    }
}

impl<F: Line> From<Event<F>> for wit::Event {
    fn from(event: Event<F>) -> Self {
        match event {
            Event::Informational(head) => Self::Informational(head.into()),
            Event::Head(head) => Self::Head(head.into()),
            Event::Trailers(fields) => Self::Trailers(in_one_piece(&fields)),
            Event::Complete(completion) => Self::Complete(completion.into()),
        }
    }
}

impl<F: Line> From<ResponseHead<F>> for wit::ResponseHead {
    fn from(head: ResponseHead<F>) -> Self {
        Self {
            minor_version: head.minor_version,
            status: head.status,
            reason: head.reason,
            fields: in_one_piece(&head.fields),
        }
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Peer(violation) => Self::Peer(violation.into()),
            Error::Limit(limit) => Self::Limit(limit.into()),
            Error::Truncated(truncation) => Self::Truncated(truncation.into()),
            Error::Misuse(misuse) => Self::Misuse(misuse.to_string()),
        }
    }
}

impl From<Violation> for wit::Violation {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::BadStatusLine => Self::BadStatusLine,
            Violation::BadVersion => Self::BadVersion,
            Violation::BadField => Self::BadField,
            Violation::BareLineEnding => Self::BareLineEnding,
            Violation::ObsoleteFolding => Self::ObsoleteFolding,
            Violation::Nul => Self::Nul,
            Violation::BadContentLength => Self::BadContentLength,
            Violation::AmbiguousLength => Self::AmbiguousLength,
            Violation::BadTransferEncoding => Self::BadTransferEncoding,
            Violation::BadChunk => Self::BadChunk,
            Violation::BadChunkEnd => Self::BadChunkEnd,
            Violation::ForbiddenTrailer => Self::ForbiddenTrailer,
            Violation::UnsolicitedUpgrade => Self::UnsolicitedUpgrade,
            Violation::UnsolicitedBytes => Self::UnsolicitedBytes,
            Violation::BadRequestLine => Self::BadRequestLine,
            Violation::BadTarget => Self::BadTarget,
            Violation::BadHost => Self::BadHost,
        }
    }
}

impl From<Limit> for wit::Limit {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::HeadBytes => Self::HeadBytes,
            Limit::FieldCount => Self::FieldCount,
            Limit::LineBytes => Self::LineBytes,
            Limit::InformationalCount => Self::InformationalCount,
        }
    }
}

impl From<Truncation> for wit::Truncation {
    fn from(truncation: Truncation) -> Self {
        match truncation {
            Truncation::BeforeHead => Self::BeforeHead,
            Truncation::InHead => Self::InHead,
            Truncation::InPayload => Self::InPayload,
        }
    }
}
