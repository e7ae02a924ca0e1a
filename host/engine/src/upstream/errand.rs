//! A request of our own to a proxy: a head without content, the answer's head, and
//! what comes behind that read away.

use std::future::poll_fn;

use fumehood_control::{
    Cause, Challenge, Field, MAX_CHALLENGE_BYTES, MAX_CHALLENGES, MAX_PROXY_STATUS_BYTES,
    PayloadLength, ProxyFault, ResponseHead,
};
use tokio::io::AsyncWriteExt as _;

use crate::exchange::{cause_of, socket};
use crate::hub::Hub;
use crate::instance::{Event, Progress, RequestHead};
use crate::proxy::{Found, Inbound};
use crate::resume::SteadyCodec;
use crate::transport::Transport;

/// Most bytes of a refusal's content that are read away to go on with its
/// connection: a page for people, its pictures elsewhere.
const MAX_REFUSAL_BYTES: usize = 256 * 1024;

/// One who goes, again and again over one connection.
pub(super) struct Errand {
    codec: SteadyCodec,
    /// What is left of the last answer.
    rest: Rest,
}

enum Rest {
    /// Nothing; whether the connection takes another request.
    Over { reusable: bool },
    /// Content, and whether the connection takes another request behind it, where
    /// that is known.
    Content(Inbound, Option<bool>),
}

impl Rest {
    fn of(progress: &Progress) -> Rest {
        let over = progress.events.iter().find_map(|event| match event {
            Event::Complete { reusable } => Some(*reusable),
            _ => None,
        });
        match over {
            Some(reusable) => Rest::Over { reusable },
            None => {
                let inbound = Inbound::new(&progress.demand, progress.then);
                Rest::Content(inbound, progress.completes)
            }
        }
    }
}

impl Errand {
    pub(super) fn new(hub: &Hub) -> Result<Errand, Cause> {
        Ok(Errand {
            codec: SteadyCodec::new(&hub.registry)?,
            rest: Rest::Over { reusable: true },
        })
    }

    /// Asks, and reads the final head of the answer.
    pub(super) async fn ask(
        &mut self,
        (method, target): (&str, &str),
        fields: &[&Field],
        transport: &mut Transport,
    ) -> Result<ResponseHead, Cause> {
        let opening = self.codec.encode_head(RequestHead {
            method: method.to_owned(),
            target: target.to_owned(),
            fields: fields.iter().copied().collect(),
            payload: PayloadLength::None,
            upgrade: false,
        });
        let opening = opening.map_err(cause_of)?;
        let sending = async {
            transport.write_all(&opening.bytes).await?;
            transport.flush().await
        };
        sending.await.map_err(|error| socket(&error))?;
        let demand = self.codec.demand().map_err(cause_of)?;
        let mut inbound = Inbound::new(&demand, None);
        loop {
            let progress = self.step(&mut inbound, transport).await?;
            let rest = Rest::of(&progress);
            for event in progress.events {
                if let Event::Head(head) = event {
                    self.rest = rest;
                    return Ok(head.into());
                }
            }
            match rest {
                Rest::Content(next, _) => inbound = next,
                Rest::Over { .. } => return Err(no_head()),
            }
        }
    }

    /// One piece of a head.
    async fn step(
        &mut self,
        inbound: &mut Inbound,
        transport: &mut Transport,
    ) -> Result<Progress, Cause> {
        if inbound.is_over() {
            return Err(no_head());
        }
        let found = poll_fn(|cx| inbound.poll(cx, transport)).await;
        let progress = match found.map_err(|error| socket(&error))? {
            Found::Piece => self.codec.receive(inbound.piece()),
            Found::Cut(pending) => self.codec.end_of_stream(pending),
            Found::Payload(_) => return Err(no_head()),
        };
        progress.map_err(cause_of)
    }

    /// Reads away what is left of the answer. Whether the connection takes another
    /// request then; one with too much on it does not.
    pub(super) async fn drain(&mut self, transport: &mut Transport) -> Result<bool, Cause> {
        let mut left = MAX_REFUSAL_BYTES;
        loop {
            let (inbound, completes) = match &mut self.rest {
                Rest::Over { reusable } => return Ok(*reusable),
                Rest::Content(inbound, completes) => (inbound, *completes),
            };
            if inbound.is_over() {
                return Ok(false);
            }
            let found = poll_fn(|cx| inbound.poll(cx, transport)).await;
            let progress = match found.map_err(|error| socket(&error))? {
                Found::Piece => self.codec.receive(inbound.piece()),
                Found::Cut(pending) => self.codec.end_of_stream(pending),
                Found::Payload(length) => {
                    let Some(fewer) = left.checked_sub(length) else {
                        return Ok(false);
                    };
                    left = fewer;
                    transport.consume(length);
                    match (inbound.moved(length as u64), completes) {
                        (None, _) => continue,
                        (Some(_), Some(reusable)) => return Ok(reusable),
                        (Some(demanded), None) => self.codec.payload_moved(demanded),
                    }
                }
            };
            self.rest = Rest::of(&progress.map_err(cause_of)?);
        }
    }

    /// What a head says of how the proxy wants to be told who asks.
    pub(super) fn challenges(&mut self, head: &ResponseHead) -> Result<Vec<Challenge>, Cause> {
        challenges(&mut self.codec, head)
    }

    /// What the embedder is told of an answer that is a no.
    pub(super) fn refused(&mut self, head: &ResponseHead) -> ProxyFault {
        refused(&mut self.codec, head)
    }
}

fn no_head() -> Cause {
    Cause::HttpViolation("no-final-head".to_owned())
}

/// What the embedder is told of an answer that is a no. The guest that read it
/// reads its challenges, too.
pub(crate) fn refused(codec: &mut SteadyCodec, head: &ResponseHead) -> ProxyFault {
    let challenges = match challenges(codec, head) {
        Ok(challenges) => challenges,
        Err(cause) => return cause.into(),
    };
    let status = named(head, "proxy-status").next();
    let mut proxy_status = status.map(|field| field.value.clone()).unwrap_or_default();
    proxy_status.truncate(MAX_PROXY_STATUS_BYTES);
    ProxyFault::Refused {
        status: head.status,
        challenges,
        proxy_status,
    }
}

/// As many as one message can tell: all of one, or nothing of it.
fn challenges(codec: &mut SteadyCodec, head: &ResponseHead) -> Result<Vec<Challenge>, Cause> {
    let mut challenges = Vec::new();
    let mut bytes_left = MAX_CHALLENGE_BYTES;
    for field in named(head, "proxy-authenticate") {
        if field.value.len() > MAX_CHALLENGE_BYTES {
            break;
        }
        for challenge in codec.challenges(&field.value).map_err(cause_of)? {
            let rest = bytes_left.checked_sub(challenge.text_bytes());
            let Some(rest) = rest.filter(|_| challenges.len() < MAX_CHALLENGES) else {
                return Ok(challenges);
            };
            bytes_left = rest;
            challenges.push(challenge);
        }
    }
    Ok(challenges)
}

fn named<'a>(head: &'a ResponseHead, name: &'static str) -> impl Iterator<Item = &'a Field> {
    let fields = head.fields.iter();
    fields.filter(move |field| field.name.eq_ignore_ascii_case(name))
}
