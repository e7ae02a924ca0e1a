//! Answers an engine that asks which way a request of a listener's client goes out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use fumehood_control::{
    Assembly, ClientWay, FirstHop, MAX_NO_WAY_BYTES, MAX_WAYS, RouteAnswer, RouteQuestion,
    ToEmbedder, ToEngine, fragments,
};
use fumehood_policy::{Naming, RequestUrl};
use tokio::sync::Semaphore;

use super::way_out::{Candidate, NoWayOut};
use crate::Engine;
use crate::error::ChannelError;
use crate::launch::EngineChannel;
use crate::shared::Shared;

/// Most questions under way at once: one for each client of an engine, which has
/// 16,384 descriptors for them. More go unanswered.
const MAX_QUESTIONS: usize = 16_384;

/// Most questions that came in part: those with URLs of over 15 KiB. The rest of
/// what comes beyond that is answered with a no.
const MAX_PARTS: usize = 256;

/// Whom to ask: known once there is somebody.
pub(crate) type Whom = OnceLock<Weak<Shared>>;

/// Takes one engine's questions in.
pub(crate) struct Guide {
    whom: Arc<Whom>,
    channel: Arc<EngineChannel>,
    parts: Mutex<HashMap<u64, Assembly>>,
    room: Arc<Semaphore>,
}

impl Guide {
    pub(crate) fn new(whom: &Arc<Whom>, channel: &Arc<EngineChannel>) -> Self {
        Guide {
            whom: Arc::clone(whom),
            channel: Arc::clone(channel),
            parts: Mutex::default(),
            room: Arc::new(Semaphore::new(MAX_QUESTIONS)),
        }
    }

    /// Whether a message is for here.
    pub(crate) fn takes(message: &ToEmbedder) -> bool {
        matches!(
            message,
            ToEmbedder::RouteFragment { .. } | ToEmbedder::Route { .. } | ToEmbedder::RouteTried(_)
        )
    }

    /// Takes a message that [`Guide::takes`].
    ///
    /// # Errors
    /// [`ChannelError`] when the engine says what it cannot.
    pub(crate) fn take(&self, message: ToEmbedder) -> Result<(), ChannelError> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        match message {
            ToEmbedder::RouteFragment { id, bytes } => {
                if parts.len() < MAX_PARTS || parts.contains_key(&id) {
                    parts.entry(id).or_default().push(&bytes)?;
                }
                Ok(())
            }
            ToEmbedder::Route { id, bytes } => {
                let question = parts.remove(&id).unwrap_or_default().finish(&bytes).ok();
                drop(parts);
                self.answer(id, question);
                Ok(())
            }
            ToEmbedder::RouteTried(tried) => {
                if let Some(shared) = self.shared() {
                    shared.way_out().tried(&tried);
                }
                Ok(())
            }
            _ => Err(ChannelError::OutOfOrder),
        }
    }

    fn shared(&self) -> Option<Arc<Shared>> {
        self.whom.get()?.upgrade()
    }

    /// Answers the engine that asked, beside everything else.
    fn answer(&self, id: u64, question: Option<RouteQuestion>) {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let (Some(shared), Ok(room)) = (self.shared(), room) else {
            return;
        };
        let channel = Arc::clone(&self.channel);
        tokio::spawn(async move {
            let engine = Engine { shared };
            let answer = match question {
                Some(question) => ways(&engine, question).await,
                None => Err("the question did not come whole".to_owned()),
            };
            let _room = room;
            // An engine that is gone needs no answer.
            let _gone = say(&channel, id, &answer).await;
        });
    }
}

async fn say(channel: &EngineChannel, id: u64, answer: &RouteAnswer) -> Result<(), ChannelError> {
    let mut pieces = fragments(answer)?;
    let last = pieces.pop().unwrap_or_default();
    for bytes in pieces {
        channel
            .send(&ToEngine::RouteFragment { id, bytes }, &[])
            .await?;
    }
    Ok(channel
        .send(&ToEngine::Route { id, bytes: last }, &[])
        .await?)
}

/// The ways to try.
async fn ways(engine: &Engine, question: RouteQuestion) -> RouteAnswer {
    let url = RequestUrl {
        target: question.target.clone(),
        path_and_query: match question.path.is_empty() {
            true => "/".to_owned(),
            false => question.path.clone(),
        },
        userinfo: None,
    };
    let way_out = engine.shared.way_out();
    let chosen = async {
        let candidates = way_out.candidates(engine, &url).await?;
        engine.shared.tell_leave().await;
        let ways = candidates.iter().take(MAX_WAYS);
        ways.map(|it| way(engine, &question, it)).collect()
    };
    let chosen: Result<Vec<ClientWay>, NoWayOut> = chosen.await;
    chosen.map_err(|why| {
        tracing::warn!(%why, target = %question.target, "there is no way out");
        let mut why = why.to_string();
        why.truncate(why.floor_char_boundary(MAX_NO_WAY_BYTES));
        why
    })
}

/// One of them, as the engine goes it.
fn way(
    engine: &Engine,
    question: &RouteQuestion,
    candidate: &Candidate,
) -> Result<ClientWay, NoWayOut> {
    let Some(way) = candidate.proxies.way_to(&question.target)? else {
        return Ok(ClientWay::straight());
    };
    let led = way.led(
        &question.method,
        (&question.target, &question.path, question.tunnel),
        engine.tls(),
        &engine.shared.answers,
    );
    Ok(ClientWay {
        naming: way
            .first()
            .map_or(Naming::User, |FirstHop { naming, .. }| naming),
        via: led.via,
        fields: led.fields,
    })
}
