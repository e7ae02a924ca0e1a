//! Questions of the embedder's about scripts, and names that scripts wait for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fumehood_control::{
    Assembly, Cause, DialFailure, GrantId, MAX_PAC_NAMES, MAX_PAC_SCRIPT_BYTES, MAX_PAC_SCRIPTS,
    PacAnswer, PacFailure, PacFound, PacMoment, PacNames, PacQuestion, PacRemark, PacScriptId,
    PacSurroundings, PacTarget, ScriptActivity, ToEmbedder, fragments,
};
use fumehood_policy::Host;
use fumehood_sandbox::map_sealed;
use tokio::sync::Semaphore;

use super::convert::{self, Unfinished};
use super::module::PacModule;
use super::script::Script;
use super::state::Known;
use super::worker::Worker;
use crate::hub::{Hub, micros};
use crate::registry::Version;

/// Most names that a call is told, and so most times it is made again; the guest
/// keeps to as many.
const MAX_NAMES: usize = 20;

/// Most questions under way at once. The embedder waits for each answer, and
/// asks for no more than it has requests.
const MAX_QUESTIONS: usize = 512;

/// Where questions about scripts are taken in.
pub(crate) struct PacDesk {
    hub: Arc<Hub>,
    assembling: HashMap<u64, Assembly>,
    under_way: Arc<Semaphore>,
    scripts: Arc<Scripts>,
}

/// Scripts that are held, each on its thread, and what came of questions so far.
#[derive(Default)]
struct Scripts {
    by_id: Mutex<HashMap<PacScriptId, Held>>,
    answered: Mutex<ScriptActivity>,
}

type Held = Arc<Worker<Script>>;

impl Scripts {
    fn lock(&self) -> MutexGuard<'_, HashMap<PacScriptId, Held>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self) -> MutexGuard<'_, ScriptActivity> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an answer that took so long.
    fn count(&self, answer: &PacAnswer, took: Duration) {
        let mut answered = self.answered();
        match answer {
            PacAnswer::Loaded(Ok(())) => answered.loaded += 1,
            PacAnswer::Loaded(Err(_)) => answered.not_loaded += 1,
            PacAnswer::Found(found) => {
                answered.calls_us += micros(took);
                match found.outcome {
                    Ok(_) => answered.calls += 1,
                    Err(_) => answered.failed_calls += 1,
                }
            }
            PacAnswer::Linted(_) => {}
        }
    }

    /// A place for a script, at once, so that no more are loaded than may be held.
    fn hold(&self, id: PacScriptId, script: Script) -> Result<Held, PacFailure> {
        let mut scripts = self.lock();
        let room = scripts.len() < MAX_PAC_SCRIPTS;
        match scripts.entry(id) {
            Entry::Occupied(_) => Err(PacFailure::Busy),
            Entry::Vacant(_) if !room => Err(PacFailure::Busy),
            Entry::Vacant(place) => Ok(Arc::clone(place.insert(Arc::new(Worker::start(script)?)))),
        }
    }
}

impl PacDesk {
    pub(crate) fn new(hub: &Arc<Hub>) -> PacDesk {
        PacDesk {
            hub: Arc::clone(hub),
            assembling: HashMap::new(),
            under_way: Arc::new(Semaphore::new(MAX_QUESTIONS)),
            scripts: Arc::default(),
        }
    }

    /// What came of questions so far, and how many are under way.
    pub(crate) fn activity(&self) -> ScriptActivity {
        ScriptActivity {
            held: self.scripts.lock().len() as u64,
            under_way: (MAX_QUESTIONS - self.under_way.available_permits()) as u64,
            ..*self.scripts.answered()
        }
    }

    /// A piece of a question. One too many is dropped: an embedder that sends
    /// more than it may waits in vain.
    pub(crate) fn assemble(&mut self, id: u64, bytes: &[u8]) {
        if self.assembling.len() >= MAX_QUESTIONS && !self.assembling.contains_key(&id) {
            return;
        }
        if self.assembling.entry(id).or_default().push(bytes).is_err() {
            self.assembling.remove(&id);
        }
    }

    /// The last piece: answers it beside everything else.
    pub(crate) fn ask(&mut self, id: u64, bytes: &[u8], fds: Vec<OwnedFd>) {
        let assembly = self.assembling.remove(&id).unwrap_or_default();
        let Ok(question) = assembly.finish::<PacQuestion>(bytes) else {
            return;
        };
        let place = Arc::clone(&self.under_way).try_acquire_owned();
        let (hub, scripts) = (Arc::clone(&self.hub), Arc::clone(&self.scripts));
        tokio::spawn(async move {
            let began = Instant::now();
            let answer = match place {
                Ok(_place) => answer(&hub, &scripts, question, fds).await,
                Err(_) => refusal(&question, PacFailure::Busy),
            };
            scripts.count(&answer, began.elapsed());
            say(&hub, id, answer).await;
        });
    }

    /// Holds a script no longer. What it is answering now is still answered.
    pub(crate) fn forget(&self, script: PacScriptId) {
        self.scripts.lock().remove(&script);
    }
}

async fn answer(
    hub: &Hub,
    scripts: &Scripts,
    question: PacQuestion,
    fds: Vec<OwnedFd>,
) -> PacAnswer {
    match question {
        PacQuestion::Lint => PacAnswer::Linted(lint(hub, fds).await),
        PacQuestion::Load {
            script,
            surroundings,
            at,
            names,
        } => {
            let loaded = load(hub, scripts, (script, fds), &surroundings, at, names).await;
            if loaded.is_err() {
                scripts.lock().remove(&script);
            }
            PacAnswer::Loaded(loaded)
        }
        PacQuestion::Find {
            script,
            target,
            at,
            names,
            explain,
        } => {
            let held = scripts.lock().get(&script).cloned();
            let call = Find {
                target,
                at,
                explain,
            };
            PacAnswer::Found(match held {
                Some(held) => find(hub, &held, call, names).await,
                None => found(Err(PacFailure::NotLoaded)),
            })
        }
    }
}

/// A question that was not looked into.
fn refusal(question: &PacQuestion, why: PacFailure) -> PacAnswer {
    match question {
        PacQuestion::Lint => PacAnswer::Linted(Err(why)),
        PacQuestion::Load { .. } => PacAnswer::Loaded(Err(why)),
        PacQuestion::Find { .. } => PacAnswer::Found(found(Err(why))),
    }
}

fn found(outcome: Result<fumehood_control::PacFinding, PacFailure>) -> PacFound {
    PacFound {
        outcome,
        names: Vec::new(),
        steps: Vec::new(),
        earlier_steps: 0,
    }
}

fn current(hub: &Hub) -> Result<Arc<Version<PacModule>>, PacFailure> {
    let current = hub.registry.pac.current();
    current.map_err(|_| {
        let why = "no module called pac is loaded";
        PacFailure::NoModule(why.to_owned())
    })
}

/// The script that came with a question.
fn script(fds: Vec<OwnedFd>) -> Result<Vec<u8>, PacFailure> {
    let fd = fds.into_iter().next().ok_or(PacFailure::NotLoaded)?;
    // Of the embedder's making, so it is sealed, and only its length can be wrong.
    let mapped = map_sealed(fd, MAX_PAC_SCRIPT_BYTES).map_err(|_| PacFailure::TooLong)?;
    Ok(mapped.to_vec())
}

async fn lint(hub: &Hub, fds: Vec<OwnedFd>) -> Result<Vec<PacRemark>, PacFailure> {
    let (version, script) = (current(hub)?, script(fds)?);
    let worker = Worker::start(())?;
    let told = worker
        .run(move |()| {
            version
                .module
                .lint(&script)
                .map_err(|it| convert::ended(&it))
        })
        .await?;
    told.map(convert::remarks)
}

async fn load(
    hub: &Hub,
    scripts: &Scripts,
    (id, fds): (PacScriptId, Vec<OwnedFd>),
    place: &PacSurroundings,
    at: PacMoment,
    names: PacNames,
) -> Result<(), PacFailure> {
    let version = current(hub)?;
    let script = Script::new(script(fds)?, convert::surroundings(place));
    let held = scripts.hold(id, script)?;
    let mut book = Book::new(names);
    loop {
        let (version, known) = (Arc::clone(&version), Arc::clone(&book.known));
        let at = convert::moment(at);
        let loaded = held
            .run(move |script| script.load(&version, at, &known))
            .await?;
        match loaded.map_err(|fault| convert::ended(&fault))? {
            Ok(()) => return Ok(()),
            Err(error) => match convert::load_error(error) {
                Unfinished::Needs(name) => book.look_up(hub, name).await?,
                Unfinished::Failed(why) => return Err(why),
            },
        }
    }
}

struct Find {
    target: PacTarget,
    at: PacMoment,
    explain: bool,
}

async fn find(hub: &Hub, held: &Held, call: Find, names: PacNames) -> PacFound {
    let mut book = Book::new(names);
    let mut answer = found(Err(PacFailure::NotLoaded));
    loop {
        let unfinished = match ask_once(hub, held, &call, &book, &mut answer).await {
            Ok(asked) => {
                book.keep(&asked);
                break;
            }
            Err(unfinished) => unfinished,
        };
        let looked_up = match unfinished {
            Unfinished::Needs(name) => book.look_up(hub, name).await,
            Unfinished::Failed(why) => Err(why),
        };
        if let Err(why) = looked_up {
            answer.outcome = Err(why);
            break;
        }
    }
    answer.names = convert::names(&book.known);
    answer
}

/// Makes a call with the names that are known so far; gives those it asked for.
async fn ask_once(
    hub: &Hub,
    held: &Held,
    call: &Find,
    book: &Book,
    answer: &mut PacFound,
) -> Result<Vec<String>, Unfinished> {
    let version = current(hub).map_err(Unfinished::Failed)?;
    let (target, at) = (
        convert::target(call.target.clone()),
        convert::moment(call.at),
    );
    let (known, explain) = (Arc::clone(&book.known), call.explain);
    let told = held.run(move |script| match explain {
        true => script
            .explain(&version, &target, at, &known)
            .map(|it| (it.outcome, it.steps, it.earlier_steps)),
        false => script
            .find(&version, &target, at, &known)
            .map(|outcome| (outcome, Vec::new(), 0)),
    });
    let told = told.await.map_err(Unfinished::Failed)?;
    let told = told.map_err(|fault| Unfinished::Failed(convert::ended(&fault)))?;
    let (outcome, steps, earlier_steps) = told;
    answer.steps = convert::steps(steps);
    answer.earlier_steps = earlier_steps;
    let mut found = outcome.map_err(convert::call_error)?;
    let asked = std::mem::take(&mut found.names);
    answer.outcome = convert::finding(found);
    Ok(asked)
}

/// What is known of names in one call, and who is asked for more.
struct Book {
    known: Arc<Known>,
    broker: Option<(GrantId, Duration)>,
}

impl Book {
    fn new(names: PacNames) -> Book {
        match names {
            PacNames::Broker { grant, deadline_ms } => Book {
                known: Arc::default(),
                broker: Some((grant, Duration::from_millis(deadline_ms.into()))),
            },
            PacNames::Listed(list) => {
                let listed = list.into_iter().take(MAX_PAC_NAMES);
                let known = listed.map(|(name, found)| (name.as_str().to_owned(), Ok(found)));
                Book {
                    known: Arc::new(known.collect()),
                    broker: None,
                }
            }
        }
    }

    /// Forgets names that were not asked for.
    fn keep(&mut self, asked: &[String]) {
        Arc::make_mut(&mut self.known).retain(|name, _| asked.contains(name));
    }

    /// Has a name found. One that is denied, or is not found in time, has no
    /// address as far as the script is concerned.
    async fn look_up(&mut self, hub: &Hub, name: String) -> Result<(), PacFailure> {
        let found = match (&self.broker, Host::parse(&name)) {
            (None, _) => Err("it is not in the list".to_owned()),
            (Some(_), Err(why)) => Err(why.to_string()),
            (Some((grant, deadline)), Ok(host)) => {
                if self.known.len() >= MAX_NAMES {
                    return Err(PacFailure::Limit("it asks for too many names".to_owned()));
                }
                self.ask_broker(hub, *grant, host, *deadline).await
            }
        };
        Arc::make_mut(&mut self.known).insert(name, found);
        Ok(())
    }

    async fn ask_broker(
        &self,
        hub: &Hub,
        grant: GrantId,
        host: Host,
        deadline: Duration,
    ) -> Result<Vec<IpAddr>, String> {
        let looking = Instant::now();
        let looked_up = async {
            let found = hub.names.found_under(&hub.dialer, grant, &host, deadline);
            let found = found.await?;
            let left = deadline.saturating_sub(looking.elapsed());
            hub.dialer.look_up(grant, host, left, found).await
        };
        looked_up.await.map_err(|cause| match cause {
            Cause::Dial(DialFailure::Denied(denial)) => format!("the policy denies it: {denial}"),
            Cause::Dial(DialFailure::Resolve(why)) => why,
            Cause::Dial(DialFailure::Timeout { .. }) => "no answer came in time".to_owned(),
            _ => "it cannot be looked up now".to_owned(),
        })
    }
}

/// Sends an answer. What does not fit goes without its steps.
async fn say(hub: &Hub, id: u64, mut answer: PacAnswer) {
    let mut pieces = fragments(&answer);
    if let (Err(_), PacAnswer::Found(found)) = (&pieces, &mut answer) {
        let left_out = u32::try_from(found.steps.len()).unwrap_or(u32::MAX);
        found.earlier_steps = found.earlier_steps.saturating_add(left_out);
        found.steps.clear();
        pieces = fragments(&answer);
    }
    let mut pieces = pieces.unwrap_or_default();
    let Some(last) = pieces.pop() else { return };
    for bytes in pieces {
        if hub
            .outbox
            .send(ToEmbedder::PacFragment { id, bytes })
            .await
            .is_err()
        {
            return;
        }
    }
    // Nobody is left to tell when this fails.
    let _ = hub.outbox.send(ToEmbedder::Pac { id, bytes: last }).await;
}
