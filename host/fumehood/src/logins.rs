//! Clients of a proxy that say who they are: asked by the engine, judged here.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use fumehood_control::{GrantId, ListenerId, Login, MAX_LOGINS, StandingGrant, ToBroker, ToEngine};
use fumehood_policy::ClientName;
use tokio::sync::{Semaphore, mpsc};

use crate::shared::Shared;
use crate::users::Users;

/// Hashes that are made at once: each keeps a processor for a tenth of a second,
/// and whoever guesses passwords is not to have them all.
const MAX_HASHING: usize = 2;

/// Where the engine that asked is answered, as long as it lives.
type Orders = mpsc::WeakUnboundedSender<ToEngine>;

/// Questions on their way to who judges them.
#[derive(Debug)]
pub(crate) struct Logins {
    sender: mpsc::Sender<Question>,
    questions: Mutex<Option<mpsc::Receiver<Question>>>,
}

/// Who is this?
#[derive(Debug)]
struct Question {
    id: u64,
    listener: ListenerId,
    login: Login,
    orders: Orders,
}

impl Logins {
    pub(crate) fn new() -> Logins {
        let (sender, questions) = mpsc::channel(MAX_LOGINS);
        Logins {
            sender,
            questions: Mutex::new(Some(questions)),
        }
    }

    /// Takes a question of the engine's. Where more wait than there is room for, as
    /// the engine gave up on some, it goes unanswered, and the client is told to
    /// try again.
    pub(crate) fn take(&self, (id, listener, login): (u64, ListenerId, Login), orders: Orders) {
        let question = Question {
            id,
            listener,
            login,
            orders,
        };
        let _full = self.sender.try_send(question);
    }

    /// All questions from now on; once.
    fn questions(&self) -> Option<mpsc::Receiver<Question>> {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        questions.take()
    }
}

/// Answers all questions, for as long as there is an engine.
pub(crate) async fn answer_all(shared: Weak<Shared>) {
    let questions = shared
        .upgrade()
        .and_then(|it| it.listeners.logins.questions());
    let Some(mut questions) = questions else {
        return;
    };
    let hashing = Arc::new(Semaphore::new(MAX_HASHING));
    let under_way = Arc::new(Semaphore::new(MAX_LOGINS));
    while let Some(question) = questions.recv().await {
        if question.orders.upgrade().is_none() {
            // Its engine is gone, and the client with it.
            continue;
        }
        let Ok(permit) = Arc::clone(&under_way).acquire_owned().await else {
            return;
        };
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let hashing = Arc::clone(&hashing);
        tokio::spawn(async move {
            let _permit = permit;
            let grant = leave(&shared, &question, &hashing).await;
            let id = question.id;
            if let Some(orders) = question.orders.upgrade() {
                // An engine that is gone needs no answer.
                let _gone = orders.send(ToEngine::Admitted { id, grant });
            }
        });
    }
}

/// What a client may dial by, if it is somebody.
async fn leave(shared: &Shared, question: &Question, hashing: &Semaphore) -> Option<StandingGrant> {
    let admitted = shared.listeners.admitted(question.listener)?;
    let leave = loop {
        let users = admitted.users()?;
        let user = judge(&users, &question.login, hashing).await?;
        let new = || StandingGrant {
            id: GrantId(shared.number()),
            client: Some(user.clone()),
        };
        // Where others took their place meanwhile, those say who it is.
        if let Some(leave) = admitted.leave_of(&users, &user, new) {
            break leave;
        }
    };
    // It is there before the engine knows of it, also where another login of the
    // user's is answered at this moment. A broker that is gone is given it with the
    // listener, when another takes its place.
    let broker = shared.as_it_is().await.broker;
    let told = ToBroker::StandingGrant(leave.clone());
    let _gone = broker.channel.send(&told, &[]).await;
    if !admitted.has(&leave) {
        // It was taken back before it was there.
        let back = ToBroker::Revoke(leave.id);
        let _gone = broker.channel.send(&back, &[]).await;
        return None;
    }
    Some(leave)
}

async fn judge(users: &Arc<Users>, login: &Login, hashing: &Semaphore) -> Option<ClientName> {
    if let Some(known) = users.known(login) {
        return Some(known);
    }
    let _turn = hashing.acquire().await.ok()?;
    // Many connections of one user ask at once where all are asked about again.
    if let Some(known) = users.known(login) {
        return Some(known);
    }
    let (users, login) = (Arc::clone(users), login.clone());
    let judging = tokio::task::spawn_blocking(move || users.judge(&login));
    judging.await.ok().flatten()
}
