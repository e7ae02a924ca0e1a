//! The guest in the server's role, which has a shadow do the same.

use fumehood_engine::fuzz::ServerCodec;
use fumehood_guest_http1::{
    Answer, Demand, Error, Field, PayloadLength, Request, RequestTarget, Server, ServerEvent,
    ServerProgress,
};

use crate::glass::Shadow;

/// The status of all responses.
const STATUS: u16 = 200;

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

    /// A response without content; tells whether another request may follow.
    pub(super) fn respond(&mut self) -> bool {
        self.shadow.ask(|it| it.respond(STATUS));
        let answer: Answer<Field> = Answer {
            status: STATUS,
            reason: Vec::new(),
            fields: Vec::new(),
            payload: PayloadLength::None,
            last: false,
            challenge: false,
        };
        let mut bytes = self.server.encode_head(&answer).expect("an answer");
        let ending = self.server.end_payload(&[]).expect("its end");
        bytes.extend(ending.bytes);
        self.shadow
            .compare(|| format!("{bytes:?} {}", ending.persists));
        ending.persists
    }

    fn told(&self, step: Step) -> Step {
        self.shadow.compare(|| match &step {
            Ok(progress) => text(progress),
            Err(Error::Misuse(misuse)) => format!("Misuse({:?})", misuse.to_string()),
            Err(error) => format!("{error:?}"),
        });
        step
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
