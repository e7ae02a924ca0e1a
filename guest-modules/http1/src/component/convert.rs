//! Between the library's types and the bindings'. Contents are moved, not copied.

use super::wit;
use crate::{
    Completion, Demand, Error, Event, Field, Limit, LineDemand, PayloadFrame, PayloadLength,
    Progress, RequestHead, ResponseHead, Truncation, Violation,
};

impl From<wit::RequestHead> for RequestHead {
    fn from(head: wit::RequestHead) -> Self {
        Self {
            method: head.method,
            target: head.target,
            fields: head.fields.into_iter().map(Field::from).collect(),
            payload: head.payload.into(),
            upgrade: head.upgrade,
        }
    }
}

impl From<wit::Field> for Field {
    fn from(field: wit::Field) -> Self {
        Self {
            name: field.name,
            value: field.value,
        }
    }
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

impl From<Progress> for wit::Progress {
    fn from(progress: Progress) -> Self {
        Self {
            events: progress.events.into_iter().map(Into::into).collect(),
            demand: progress.demand.into(),
            then: progress.then.map(wit::LineDemand::from),
        }
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

impl From<Event> for wit::Event {
    fn from(event: Event) -> Self {
        match event {
            Event::Informational(head) => Self::Informational(head.into()),
            Event::Head(head) => Self::Head(head.into()),
            Event::Trailers(fields) => Self::Trailers(into_fields(fields)),
            Event::Complete(Completion { reusable }) => {
                Self::Complete(wit::Completion { reusable })
            }
        }
    }
}

impl From<ResponseHead> for wit::ResponseHead {
    fn from(head: ResponseHead) -> Self {
        Self {
            minor_version: head.minor_version,
            status: head.status,
            reason: head.reason,
            fields: into_fields(head.fields),
        }
    }
}

pub(super) fn into_fields(fields: Vec<Field>) -> Vec<wit::Field> {
    let field = |field: Field| wit::Field {
        name: field.name,
        value: field.value,
    };
    fields.into_iter().map(field).collect()
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
