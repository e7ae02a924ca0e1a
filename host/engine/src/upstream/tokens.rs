//! Who asks, told to a proxy by tokens of the embedder's making, leg after leg over
//! one connection (RFC 4559). Nothing here knows what a token says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fumehood_control::{
    Challenge, Field, Hop, MAX_TOKEN_LEGS, ProxyFault, ResponseHead, ToEmbedder, TokenAnswer,
    TokenFault, TokenQuestion, TokenScheme, TokenStep,
};

use super::errand::Errand;
use crate::hub::Hub;
use crate::outbox::Outbox;
use crate::questions::{Questions, Unanswered};
use crate::transport::Transport;

/// How long the embedder has for a leg: longer than it gives whoever makes tokens.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// Questions to the embedder about tokens.
pub(crate) struct Tokens {
    questions: Questions<TokenAnswer>,
    conversations: AtomicU64,
}

impl Default for Tokens {
    fn default() -> Self {
        Tokens {
            questions: Questions::new(
                |id, bytes| ToEmbedder::TokenFragment { id, bytes },
                |id, bytes| ToEmbedder::Token { id, bytes },
            ),
            conversations: AtomicU64::new(0),
        }
    }
}

impl Tokens {
    /// Takes a piece of an answer.
    pub(crate) fn assemble(&self, id: u64, bytes: &[u8]) {
        self.questions.assemble(id, bytes);
    }

    /// Takes the last piece.
    pub(crate) fn answer(&self, id: u64, bytes: &[u8]) {
        self.questions.answer(id, bytes);
    }
}

/// What a proxy is asked, again with each token.
pub(super) struct Plea<'a> {
    method: &'a str,
    target: &'a str,
    fields: Vec<Field>,
}

impl<'a> Plea<'a> {
    pub(super) fn new(method: &'a str, target: &'a str, host: &str, more: &[Field]) -> Plea<'a> {
        let host = Field {
            name: "host".to_owned(),
            value: host.as_bytes().to_vec(),
        };
        Plea {
            method,
            target,
            fields: std::iter::once(host).chain(more.iter().cloned()).collect(),
        }
    }

    async fn make(
        &self,
        errand: &mut Errand,
        authorization: Option<&Field>,
        transport: &mut Transport,
    ) -> Result<ResponseHead, ProxyFault> {
        let fields: Vec<&Field> = self.fields.iter().chain(authorization).collect();
        let asked = (self.method, self.target);
        Ok(errand.ask(asked, &fields, transport).await?)
    }
}

/// Asks a proxy, with tokens where it learns by those who asks.
pub(super) async fn ask(
    hub: &Hub,
    hop: &Hop,
    plea: &Plea<'_>,
    errand: &mut Errand,
    transport: &mut Transport,
) -> Result<ResponseHead, ProxyFault> {
    let Some(scheme) = hop.tokens else {
        return plea.make(errand, None, transport).await;
    };
    let conversation = Conversation::begin(hub, hop);
    let mut step = TokenStep::Begin;
    for _ in 0..MAX_TOKEN_LEGS {
        let authorization = Field {
            name: "proxy-authorization".to_owned(),
            value: conversation.ask(step).await?,
        };
        let head = plea.make(errand, Some(&authorization), transport).await?;
        let challenges = errand.challenges(&head)?;
        let token = token(scheme, &challenges);
        if head.status != 407 {
            conversation.ask(TokenStep::End(token)).await?;
            return Ok(head);
        }
        let Some(token) = token else {
            let schemes: Vec<&str> = challenges.iter().map(|it| &*it.scheme).collect();
            return Err(ProxyFault::Token(TokenFault::Denied(schemes.join(", "))));
        };
        if !errand.drain(transport).await? {
            return Err(ProxyFault::Token(TokenFault::Unbound));
        }
        step = TokenStep::Challenge(token);
    }
    Err(ProxyFault::Token(TokenFault::TooManyLegs))
}

/// The proxy's own token, where it sent one.
fn token(scheme: TokenScheme, challenges: &[Challenge]) -> Option<String> {
    let mut all = challenges.iter();
    let of_scheme = |it: &&Challenge| it.scheme.eq_ignore_ascii_case(scheme.name());
    let found = all.find(|it| of_scheme(it) && !it.token.is_empty());
    found.map(|challenge| challenge.token.clone())
}

/// What is said to the embedder for one connection. It is over with this.
struct Conversation<'a> {
    tokens: &'a Tokens,
    outbox: &'a Outbox,
    hop: &'a Hop,
    number: u64,
}

impl<'a> Conversation<'a> {
    fn begin(hub: &'a Hub, hop: &'a Hop) -> Conversation<'a> {
        Conversation {
            tokens: &hub.tokens,
            outbox: &hub.outbox,
            hop,
            number: hub.tokens.conversations.fetch_add(1, Ordering::Relaxed),
        }
    }

    async fn ask(&self, step: TokenStep) -> Result<Vec<u8>, ProxyFault> {
        let question = TokenQuestion {
            conversation: self.number,
            server: self.hop.server.clone(),
            partition: self.hop.partition,
            step,
        };
        let asking = self
            .tokens
            .questions
            .ask(self.outbox, &question, TOLD_WITHIN);
        let answer = asking.await.unwrap_or_else(|why| {
            Err(match why {
                Unanswered::TooLong => TokenFault::TooLong,
                Unanswered::Late => TokenFault::Late,
            })
        });
        answer.map_err(ProxyFault::Token)
    }
}

impl Drop for Conversation<'_> {
    fn drop(&mut self) {
        // Where this is missed, the embedder ends it for its silence.
        self.outbox.try_send(ToEmbedder::TokenOver {
            conversation: self.number,
        });
    }
}
