//! Answers an engine that wants tokens for a connection to a proxy: by whoever the
//! embedder named for that proxy, each connection on its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fumehood_control::{
    MAX_CHALLENGE_BYTES, MAX_TOKEN_BYTES, MAX_TOKEN_LEGS, MAX_TOKEN_REFUSAL_BYTES, ToEmbedder,
    ToEngine, TokenAnswer, TokenFault, TokenQuestion, TokenScheme, TokenStep,
};
use fumehood_policy::ProxyServer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::token::{TokenConversation, TokenError, Tokens};
use crate::error::ChannelError;
use crate::launch::EngineChannel;
use crate::proxies::Whom;
use crate::questions::{Parts, say};

/// How long whoever makes tokens has for one: a ticket may have to be fetched from
/// another network first.
const TOKEN_WITHIN: Duration = Duration::from_secs(20);

/// Longest pause between two tokens: what a proxy takes to answer. An engine gives up
/// after its time to connect, and says so; this is for one that did not come to it.
const SILENCE: Duration = Duration::from_secs(120);

/// Most conversations at once, of one engine: one for each connection that is being
/// made, of which there are 512 by default.
const MAX_CONVERSATIONS: usize = 1024;

/// Most sources remembered: one for each login that goes through a proxy. The one
/// that went least lately is forgotten.
const MAX_SOURCES: usize = 1024;

/// Whom to ask for tokens, for each proxy that requests were led to.
#[derive(Default)]
pub(super) struct Sources(Mutex<Known>);

#[derive(Default)]
struct Known {
    by_hop: HashMap<(ProxyServer, u64), (u64, Tokens)>,
    /// Counts what is led.
    led: u64,
}

impl Sources {
    /// Notes that a request is led through a proxy.
    pub(super) fn note(&self, server: &ProxyServer, partition: u64, tokens: &Tokens) {
        let mut known = self.lock();
        known.led += 1;
        let led = known.led;
        let key = (server.clone(), partition);
        if known.by_hop.len() >= MAX_SOURCES && !known.by_hop.contains_key(&key) {
            let oldest = known.by_hop.iter().min_by_key(|(_, (led, _))| *led);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                known.by_hop.remove(&oldest);
            }
        }
        known.by_hop.insert(key, (led, tokens.clone()));
    }

    fn find(&self, server: &ProxyServer, partition: u64) -> Option<Tokens> {
        let known = self.lock();
        let found = known.by_hop.get(&(server.clone(), partition));
        found.map(|(_, tokens)| tokens.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Conversations that are under way: where their next steps go.
type Running = Mutex<HashMap<u64, mpsc::Sender<(u64, TokenStep)>>>;

/// Takes one engine's questions in.
pub(crate) struct TokenDesk {
    whom: Arc<Whom>,
    channel: Arc<EngineChannel>,
    parts: Parts,
    running: Arc<Running>,
    room: Arc<Semaphore>,
}

impl TokenDesk {
    pub(crate) fn new(whom: &Arc<Whom>, channel: &Arc<EngineChannel>) -> Self {
        TokenDesk {
            whom: Arc::clone(whom),
            channel: Arc::clone(channel),
            parts: Parts::default(),
            running: Arc::default(),
            room: Arc::new(Semaphore::new(MAX_CONVERSATIONS)),
        }
    }

    /// Whether a message is for here.
    pub(crate) fn takes(message: &ToEmbedder) -> bool {
        matches!(
            message,
            ToEmbedder::TokenFragment { .. }
                | ToEmbedder::Token { .. }
                | ToEmbedder::TokenOver { .. }
        )
    }

    /// Takes a message that [`TokenDesk::takes`].
    ///
    /// # Errors
    /// [`ChannelError`] when the engine says what it cannot.
    pub(crate) fn take(&self, message: ToEmbedder) -> Result<(), ChannelError> {
        match message {
            ToEmbedder::TokenFragment { id, bytes } => self.parts.push(id, &bytes),
            ToEmbedder::Token { id, bytes } => {
                let question: Option<TokenQuestion> = self.parts.finish(id, &bytes);
                let asked = question.and_then(|question| self.pass_on(id, question));
                if asked.is_none() {
                    self.refuse(id);
                }
                Ok(())
            }
            ToEmbedder::TokenOver { conversation } => {
                lock(&self.running).remove(&conversation);
                Ok(())
            }
            _ => Err(ChannelError::OutOfOrder),
        }
    }

    /// Passes a question on to its conversation, which may begin with it. `None`
    /// where there is none that takes it.
    fn pass_on(&self, id: u64, question: TokenQuestion) -> Option<()> {
        let number = question.conversation;
        if question.step != TokenStep::Begin {
            let running = lock(&self.running);
            let steps = running.get(&number)?;
            return steps.try_send((id, question.step)).ok();
        }
        let shared = self.whom.get()?.upgrade()?;
        let sources = &shared.answers.sources;
        let tokens = sources.find(&question.server, question.partition)?;
        let room = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let (sender, steps) = mpsc::channel(1);
        sender.try_send((id, question.step)).ok()?;
        lock(&self.running).insert(number, sender);
        let conversation = Conversation {
            number,
            legs: 0,
            scheme: tokens.scheme,
            server: question.server.clone(),
            with: tokens.source.begin(&question.server, tokens.scheme),
            running: Arc::downgrade(&self.running),
            _room: room,
        };
        tokio::spawn(conversation.run(steps, Arc::clone(&self.channel)));
        Some(())
    }

    fn refuse(&self, id: u64) {
        let channel = Arc::clone(&self.channel);
        tokio::spawn(async move {
            tell(&channel, id, &Err(TokenFault::Nobody)).await;
        });
    }
}

/// One connection's.
struct Conversation {
    number: u64,
    /// How many tokens were asked for.
    legs: usize,
    scheme: TokenScheme,
    server: ProxyServer,
    with: Box<dyn TokenConversation>,
    running: Weak<Running>,
    _room: OwnedSemaphorePermit,
}

impl Conversation {
    /// To its end, or until nobody goes on with it.
    async fn run(mut self, mut steps: mpsc::Receiver<(u64, TokenStep)>, to: Arc<EngineChannel>) {
        while let Ok(Some((id, step))) = tokio::time::timeout(SILENCE, steps.recv()).await {
            let is_last = matches!(step, TokenStep::End(_));
            let answer = tokio::select! {
                answer = tokio::time::timeout(TOKEN_WITHIN, self.answer(step)) => {
                    answer.unwrap_or(Err(TokenFault::Late))
                }
                // Another question before the answer, or nobody waits for it.
                _early = steps.recv() => return,
            };
            if let Err(why) = &answer {
                tracing::warn!(proxy = %self.server, %why, "the proxy is not told who asks");
            }
            tell(&to, id, &answer).await;
            if is_last || answer.is_err() {
                return;
            }
        }
    }

    async fn answer(&mut self, step: TokenStep) -> TokenAnswer {
        let heard = match &step {
            TokenStep::Begin | TokenStep::End(None) => None,
            TokenStep::Challenge(text) | TokenStep::End(Some(text)) => {
                let fits = Some(text).filter(|it| it.len() <= MAX_CHALLENGE_BYTES);
                let decoded = fits.and_then(|it| STANDARD.decode(it).ok());
                Some(decoded.ok_or(TokenFault::Malformed)?)
            }
        };
        if let TokenStep::End(_) = step {
            self.with.end(heard.as_deref()).await.map_err(refused)?;
            return Ok(Vec::new());
        }
        self.legs += 1;
        if self.legs > MAX_TOKEN_LEGS {
            return Err(TokenFault::TooManyLegs);
        }
        let token = self.with.token(heard.as_deref()).await.map_err(refused)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenFault::TooLong);
        }
        let value = format!("{} {}", self.scheme.name(), STANDARD.encode(token));
        Ok(value.into_bytes())
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        if let Some(running) = self.running.upgrade() {
            lock(&running).remove(&self.number);
        }
    }
}

fn refused(TokenError(why): TokenError) -> TokenFault {
    // It is shown to people, on terminals and in logs.
    let mut why = why.replace(char::is_control, "?");
    why.truncate(why.floor_char_boundary(MAX_TOKEN_REFUSAL_BYTES));
    TokenFault::Refused(why)
}

async fn tell(channel: &EngineChannel, id: u64, answer: &TokenAnswer) {
    let messages: [fn(u64, Vec<u8>) -> ToEngine; 2] = [
        |id, bytes| ToEngine::TokenFragment { id, bytes },
        |id, bytes| ToEngine::Token { id, bytes },
    ];
    // An engine that is gone needs no answer.
    let _gone = say(channel, id, answer, messages).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;
    use crate::upstream::TokenFuture;

    /// Answers with what it hears; where that is nothing, with a no.
    struct Echo;

    impl TokenConversation for Echo {
        fn token<'a>(&'a mut self, challenge: Option<&'a [u8]>) -> TokenFuture<'a, Vec<u8>> {
            let heard = challenge.map(<[u8]>::to_vec);
            let no = || TokenError(format!("no\u{1b}[2J{}", "\u{e4}".repeat(400)));
            Box::pin(std::future::ready(heard.ok_or_else(no)))
        }
    }

    fn conversation() -> Conversation {
        Conversation {
            number: 0,
            legs: 0,
            scheme: TokenScheme::Ntlm,
            server: "http://proxy.test:3128".parse().unwrap(),
            with: Box::new(Echo),
            running: Weak::new(),
            _room: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
        }
    }

    fn challenge(bytes: usize) -> TokenStep {
        TokenStep::Challenge("A".repeat(bytes))
    }

    #[tokio::test]
    async fn an_engine_gets_no_more_tokens_than_a_connection_takes() {
        let mut conversation = conversation();
        for _ in 0..MAX_TOKEN_LEGS {
            let told = conversation.answer(challenge(4)).await;
            assert_eq!(told, Ok(b"NTLM AAAA".to_vec()));
        }
        let told = conversation.answer(challenge(4)).await;
        assert_eq!(told, Err(TokenFault::TooManyLegs));
    }

    #[tokio::test]
    async fn what_is_no_challenge_comes_to_nobody() {
        let mut conversation = conversation();
        let longest = challenge(MAX_CHALLENGE_BYTES);
        assert!(conversation.answer(longest).await.is_ok());
        let over = MAX_CHALLENGE_BYTES + 4;
        let end = TokenStep::End(Some("A".repeat(over)));
        for wrong in [challenge(over), challenge(1), challenge(5), end] {
            let told = conversation.answer(wrong).await;
            assert_eq!(told, Err(TokenFault::Malformed));
        }
    }

    #[tokio::test]
    async fn a_no_is_plain_text_and_bounded() {
        let told = conversation().answer(TokenStep::Begin).await;
        let Err(TokenFault::Refused(why)) = told else {
            panic!("{told:?}");
        };
        assert!(why.starts_with("no?[2J\u{e4}"), "{why}");
        assert!(why.len() <= MAX_TOKEN_REFUSAL_BYTES);
    }
}
