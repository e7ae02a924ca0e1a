//! The guest in the server's role, which has a shadow do the same.

use fumehood_engine::fuzz::{ServerCodec, ServerHead};
use fumehood_guest_http1::{
    Answer, Demand, Error, Field, Request, RequestTarget, Server, ServerEvent, ServerProgress,
};

use super::super::host::{told_fields, told_payload};
use super::reply::Reply;
use crate::glass::Shadow;

pub(super) struct Guest {
    server: Server,
    shadow: Shadow<ServerCodec>,
}

type Step = Result<ServerProgress, Error>;

impl Guest {
    pub(super) fn new(shadow: Shadow<ServerCodec>) -> Guest {
        Guest {
            server: Server::new(),
            shadow,
        }
    }

    pub(super) fn demand(&mut self) -> Demand {
        self.shadow.ask(ServerCodec::demand);
        let demand = self.server.demand();
        self.shadow.compare(|| format!("{demand:?}"));
        demand
    }

    pub(super) fn receive(&mut self, data: &[u8]) -> Step {
        self.shadow.ask(|it| it.receive(data));
        let step = self.server.receive(data);
        self.told(step)
    }

    pub(super) fn payload_moved(&mut self, count: u64) -> Step {
        self.shadow.ask(|it| it.payload_moved(count));
        let step = self.server.payload_moved(count);
        self.told(step)
    }

    pub(super) fn end_of_stream(&mut self, pending: u64) -> Step {
        self.shadow.ask(|it| it.end_of_stream(pending));
        let step = self.server.end_of_stream(pending);
        self.told(step)
    }

    /// Writes a response; tells whether another request may follow.
    pub(super) fn respond(&mut self, reply: &Reply) -> bool {
        for head in &reply.heads {
            match self.encode_head(head) {
                Ok(None) => {}
                Ok(Some(persists)) => return persists,
                Err(_) => return false,
            }
        }
        if reply.content > 0 {
            self.shadow.ask(|it| it.frame_payload(reply.content));
            let frame = self.server.frame_payload(reply.content);
            self.shadow.compare(|| text_of(&frame));
        }
        self.shadow
            .ask(|it| it.end_payload(&told_fields(&reply.trailers)));
        let ending = self.server.end_payload(&reply.trailers);
        self.shadow.compare(|| text_of(&ending));
        ending.is_ok_and(|it| it.persists)
    }

    /// As the component does: a response that is framed ends with its head, and whether
    /// another request may follow is said there.
    fn encode_head(&mut self, head: &Answer<Field>) -> Result<Option<bool>, Error> {
        self.shadow.ask(|it| it.encode_head(&told_head(head)));
        let bytes = self.server.encode_head(head);
        let opening = bytes.and_then(|bytes| {
            let ending = match self.server.is_framed() {
                true => Some(self.server.end_payload(&[])?),
                false => None,
            };
            Ok((bytes, ending.map(|it| it.persists)))
        });
        self.shadow.compare(|| match &opening {
            Ok((bytes, persists)) => format!("{bytes:?} {persists:?}"),
            Err(error) => text_of_error(*error),
        });
        opening.map(|(_, persists)| persists)
    }

    fn told(&self, step: Step) -> Step {
        self.shadow.compare(|| match &step {
            Ok(progress) => text(progress),
            Err(error) => text_of_error(*error),
        });
        step
    }
}

fn text_of<T: std::fmt::Debug>(told: &Result<T, Error>) -> String {
    match told {
        Ok(told) => format!("{told:?}"),
        Err(error) => text_of_error(*error),
    }
}

fn text_of_error(error: Error) -> String {
    match error {
        Error::Misuse(misuse) => format!("Misuse({:?})", misuse.to_string()),
        error => format!("{error:?}"),
    }
}

fn told_head(head: &Answer<Field>) -> ServerHead {
    ServerHead {
        status: head.status,
        reason: head.reason.clone(),
        fields: told_fields(&head.fields),
        payload: told_payload(head.payload),
        last: head.last,
        challenge: head.challenge,
    }
}

/// A step as the guest behind glass tells it.
fn text(progress: &ServerProgress) -> String {
    let events: Vec<String> = progress
        .events
        .iter()
        .map(|event| match event {
            ServerEvent::Request(request) => self::request(request),
            ServerEvent::RequestEnd => "RequestEnd".to_owned(),
        })
        .collect();
    let (events, demand, then) = (events.join(", "), progress.demand, progress.then);
    format!("Progress {{ events: [{events}], demand: {demand:?}, then: {then:?} }}")
}

fn request(head: &Request) -> String {
    let target = match &head.target {
        RequestTarget::Authority(text) => format!("Authority({text:?})"),
        RequestTarget::Absolute { origin, path } => format!("Absolute({origin:?}, {path:?})"),
        RequestTarget::Local(text) => format!("Local({text:?})"),
    };
    let parts = |field: &'_ Field| [field.name.clone().into_bytes(), field.value.clone()];
    let fields: Vec<Vec<u8>> = head.fields.iter().flat_map(parts).collect();
    let login = head.login.as_ref().map(|it| (&it.name, &it.password));
    format!(
        "Request({:?}, {}, {target}, {fields:?}, {:?}, {}, {login:?})",
        head.method, head.minor_version, head.payload, head.upgrade
    )
}
