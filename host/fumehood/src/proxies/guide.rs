//! Answers an engine that asks which way a request of a listener's client goes out.

use std::sync::{Arc, OnceLock, Weak};

use fumehood_control::{
    Challenged, ClientWay, FirstHop, MAX_NO_WAY_BYTES, MAX_WAYS, RouteAnswer, RouteQuestion,
    ToEmbedder, ToEngine,
};
use fumehood_policy::{Naming, RequestUrl, Target};
use tokio::sync::Semaphore;

use super::way_out::{Candidate, NoWayOut};
use crate::Engine;
use crate::error::ChannelError;
use crate::launch::EngineChannel;
use crate::questions::{Parts, say};
use crate::shared::Shared;
use crate::upstream::Sought;

/// Most questions under way at once: one for each client of an engine, which has
/// 16,384 descriptors for them. More go unanswered.
const MAX_QUESTIONS: usize = 16_384;

/// Whom to ask: known once there is somebody.
pub(crate) type Whom = OnceLock<Weak<Shared>>;

/// Takes one engine's questions in.
pub(crate) struct Guide {
    whom: Arc<Whom>,
    channel: Arc<EngineChannel>,
    parts: Parts,
    room: Arc<Semaphore>,
}

impl Guide {
    pub(crate) fn new(whom: &Arc<Whom>, channel: &Arc<EngineChannel>) -> Self {
        Guide {
            whom: Arc::clone(whom),
            channel: Arc::clone(channel),
            parts: Parts::default(),
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
        match message {
            ToEmbedder::RouteFragment { id, bytes } => self.parts.push(id, &bytes),
            ToEmbedder::Route { id, bytes } => {
                self.answer(id, self.parts.finish(id, &bytes));
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
            let messages: [fn(u64, Vec<u8>) -> ToEngine; 2] = [
                |id, bytes| ToEngine::RouteFragment { id, bytes },
                |id, bytes| ToEngine::Route { id, bytes },
            ];
            // An engine that is gone needs no answer.
            let _gone = say(&channel, id, &answer, messages).await;
        });
    }
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
        let learns = |said| {
            candidates
                .iter()
                .any(|it| learns(engine, &question.target, it, said))
        };
        if question
            .challenge
            .as_ref()
            .is_some_and(|said| !learns(said))
        {
            return Ok(Vec::new());
        }
        engine.shared.tell_leave().await;
        let ways = candidates.iter().take(MAX_WAYS);
        ways.map(|it| way(engine, &question, it)).collect()
    };
    let chosen: Result<Vec<ClientWay>, NoWayOut> = chosen.await;
    match chosen {
        Ok(ways) if ways.is_empty() => Err("a proxy wants proof that cannot be given".to_owned()),
        Ok(ways) => Ok(ways),
        Err(why) => {
            tracing::warn!(%why, target = %question.target, "there is no way out");
            let mut why = why.to_string();
            why.truncate(why.floor_char_boundary(MAX_NO_WAY_BYTES));
            Err(why)
        }
    }
}

/// Whether what a proxy wants can be proven to it, on this way.
fn learns(engine: &Engine, target: &Target, candidate: &Candidate, said: &Challenged) -> bool {
    let way = candidate.proxies.way_to(target).ok().flatten();
    let told = (&said.challenges[..], said.round);
    way.is_some_and(|way| way.learn(&said.server, told, &engine.shared.answers))
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
    let sought = Sought {
        method: &question.method,
        target: &question.target,
        path: &question.path,
        tunnel: question.tunnel,
        content: question.content,
        spent: question.challenge.as_ref().is_some_and(|it| it.spent),
    };
    let led = way.led(&sought, engine.tls(), &engine.shared.answers);
    Ok(ClientWay {
        naming: way
            .first()
            .map_or(Naming::User, |FirstHop { naming, .. }| naming),
        via: led.via,
        fields: led.fields,
    })
}
