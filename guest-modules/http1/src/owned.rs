//! What was read, with copies of its fields: for who keeps it longer than the bytes.

use crate::types::Lent;
use crate::{Event, Field, Progress, Request, ResponseHead, ServerEvent, ServerProgress};

fn copied(lent: &[Lent<'_>]) -> Vec<Field> {
    let own = |(name, value): &Lent<'_>| Field {
        name: (*name).to_owned(),
        value: value.to_vec(),
    };
    lent.iter().map(own).collect()
}

impl ResponseHead<Lent<'_>> {
    fn owned(self) -> ResponseHead {
        ResponseHead {
            minor_version: self.minor_version,
            status: self.status,
            reason: self.reason,
            fields: copied(&self.fields),
        }
    }
}

impl Event<Lent<'_>> {
    fn owned(self) -> Event {
        match self {
            Event::Informational(head) => Event::Informational(head.owned()),
            Event::Head(head) => Event::Head(head.owned()),
            Event::Trailers(fields) => Event::Trailers(copied(&fields)),
            Event::Complete(completion) => Event::Complete(completion),
        }
    }
}

impl Progress<Lent<'_>> {
    /// Copies its fields.
    pub(crate) fn owned(self) -> Progress {
        Progress {
            events: self.events.into_iter().map(Event::owned).collect(),
            demand: self.demand,
            then: self.then,
        }
    }
}

impl Request<Lent<'_>> {
    fn owned(self) -> Request {
        Request {
            method: self.method,
            minor_version: self.minor_version,
            target: self.target,
            fields: copied(&self.fields),
            payload: self.payload,
            upgrade: self.upgrade,
            login: self.login,
        }
    }
}

impl ServerEvent<Lent<'_>> {
    fn owned(self) -> ServerEvent {
        match self {
            ServerEvent::Request(request) => ServerEvent::Request(request.owned()),
            ServerEvent::RequestEnd => ServerEvent::RequestEnd,
        }
    }
}

impl ServerProgress<Lent<'_>> {
    /// Copies its fields.
    pub(crate) fn owned(self) -> ServerProgress {
        ServerProgress {
            events: self.events.into_iter().map(ServerEvent::owned).collect(),
            demand: self.demand,
            then: self.then,
        }
    }
}
