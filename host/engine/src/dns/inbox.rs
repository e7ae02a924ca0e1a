//! Queries until they are answered, and what becomes of them at an instance's end.
//!
//! ```text
//!            take                 deliver
//! Waiting ─────────► With guest ───────────► answered
//!    ▲                   │ it ends
//!    │ another is        ▼
//!    │ convicted      Suspect ──► On probation ── it ends ──► convicted
//!    └───────────────────┴─────────────┘
//! ```
//!
//! Nobody knows which of the queries that an instance had was its end. So they
//! are given to the next instance one at a time, the latest first, since it is
//! likeliest to have just been worked at; new ones go on beside. The one on
//! probation at a second end is answered with that. Then the others are as new.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fumehood_control::{
    Cause, NameAnswer, NameCause, NameFailure, NameQuery, ResolverSetup, Unresolved,
};
use tokio::sync::{Notify, oneshot};

/// Most queries that wait at once: as many as the guest takes.
const MAX_QUERIES: usize = 1024;

/// Most tasks that the guest takes at once.
const MAX_TASKS: usize = 64;

/// What an answer is.
pub(super) type Outcome = Result<NameAnswer, Unresolved>;

/// What the guest is to do.
#[derive(Clone, Debug)]
pub(super) enum Task {
    Configure(Arc<ResolverSetup>),
    Resolve(u64, NameQuery),
    Cancel(u64),
}

/// The host's side of the resolver.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// There is something to do.
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    setup: Option<Arc<ResolverSetup>>,
    /// The instance has yet to be told of the setup.
    unconfigured: bool,
    tasks: VecDeque<Task>,
    queries: BTreeMap<u64, Pending>,
    /// Those that were with an instance when it ended, the next one last.
    suspects: Vec<u64>,
    on_probation: Option<u64>,
    next: u64,
}

#[derive(Debug)]
struct Pending {
    query: NameQuery,
    answer: oneshot::Sender<Outcome>,
    /// An instance has taken it.
    with_guest: bool,
}

/// What became of queries at an instance's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Burial {
    /// The next instance has them all.
    GoesOn,
    /// One of them was answered with the end.
    Convicted,
}

/// A query that waits. Dropped, nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    inbox: &'a Inbox,
    id: u64,
    pub(super) answer: oneshot::Receiver<Outcome>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.inbox.cancel(self.id);
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        // It is consistent between any two statements that can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a setup, in place of the one before.
    pub(super) fn set_up(&self, setup: ResolverSetup) {
        let mut state = self.lock();
        state.setup = Some(Arc::new(setup));
        state.unconfigured = true;
        drop(state);
        self.wake.notify_one();
    }

    /// The setup that holds.
    pub(super) fn setup(&self) -> Option<Arc<ResolverSetup>> {
        self.lock().setup.clone()
    }

    /// Puts a query in.
    ///
    /// # Errors
    /// Where there is no setup, or as many wait as may.
    pub(super) fn ask(&self, query: NameQuery) -> Result<Waiting<'_>, Unresolved> {
        let mut state = self.lock();
        let refusal = match &state.setup {
            None => Some(NameCause::NoServers),
            Some(_) if state.queries.len() >= MAX_QUERIES => Some(NameCause::Busy),
            Some(_) => None,
        };
        if let Some(cause) = refusal {
            return Err(failure(query.name, cause));
        }
        let id = state.next;
        state.next += 1;
        let (answer, receiver) = oneshot::channel();
        state.tasks.push_back(Task::Resolve(id, query.clone()));
        let pending = Pending {
            query,
            answer,
            with_guest: false,
        };
        state.queries.insert(id, pending);
        drop(state);
        self.wake.notify_one();
        Ok(Waiting {
            inbox: self,
            id,
            answer: receiver,
        })
    }

    /// How many queries wait for an answer.
    pub(super) fn waiting(&self) -> usize {
        self.lock().queries.len()
    }

    fn cancel(&self, id: u64) {
        let mut state = self.lock();
        let Some(pending) = state.queries.remove(&id) else {
            return;
        };
        state.suspects.retain(|suspect| *suspect != id);
        if pending.with_guest {
            state.tasks.push_back(Task::Cancel(id));
        } else {
            let theirs = |task: &Task| matches!(task, Task::Resolve(it, _) if *it == id);
            state.tasks.retain(|task| !theirs(task));
        }
        state.release(id);
        drop(state);
        self.wake.notify_one();
    }

    /// Waits until there is something to do for an instance that lives.
    pub(super) async fn has_task(&self) {
        loop {
            let woken = self.wake.notified();
            {
                let state = self.lock();
                if state.unconfigured || !state.tasks.is_empty() {
                    return;
                }
            }
            woken.await;
        }
    }

    /// Waits until somebody waits for an answer.
    pub(super) async fn has_query(&self) {
        loop {
            let woken = self.wake.notified();
            if !self.lock().queries.is_empty() {
                return;
            }
            woken.await;
        }
    }

    /// The next tasks, for the guest.
    pub(super) fn take(&self) -> Vec<Task> {
        let mut state = self.lock();
        let mut tasks = Vec::new();
        if std::mem::take(&mut state.unconfigured) {
            tasks.extend(state.setup.clone().map(Task::Configure));
        }
        while tasks.len() < MAX_TASKS
            && let Some(task) = state.tasks.pop_front()
        {
            if let Task::Resolve(id, _) = &task
                && let Some(pending) = state.queries.get_mut(id)
            {
                pending.with_guest = true;
            }
            tasks.push(task);
        }
        tasks
    }

    /// Answers a query that an instance was given. One that is not there was
    /// cancelled meanwhile.
    pub(super) fn deliver(&self, id: u64, outcome: Outcome) {
        let mut state = self.lock();
        let given = |pending: &Pending| pending.with_guest;
        if !state.queries.get(&id).is_some_and(given) {
            return;
        }
        if let Some(pending) = state.queries.remove(&id) {
            // Who has gone away needs no answer.
            let _unheard = pending.answer.send(outcome);
        }
        if state.release(id) {
            drop(state);
            self.wake.notify_one();
        }
    }

    /// An instance ended by a fault.
    pub(super) fn bury(&self, cause: &Cause) -> Burial {
        let mut state = self.lock();
        let given = |id: &u64| state.queries.get(id).is_some_and(|it| it.with_guest);
        let convicted = state.on_probation.filter(given);
        if let Some(pending) = convicted.and_then(|id| state.queries.remove(&id)) {
            let told = Unresolved::Guest(cause.clone());
            // Who has gone away needs no answer.
            let _unheard = pending.answer.send(Err(told));
            state.begin_anew();
            return Burial::Convicted;
        }
        let with_guest = state.queries.iter().filter(|(_, it)| it.with_guest);
        let suspects: Vec<u64> = with_guest.map(|(id, _)| *id).collect();
        // One may be on probation that no instance took; others still wait for it.
        state.suspects.extend(suspects);
        state.forget_instance();
        state.next_on_probation();
        Burial::GoesOn
    }

    /// An instance was ended that did nothing wrong: the next one has its work.
    pub(super) fn replace(&self) {
        let mut state = self.lock();
        state.begin_anew();
    }

    /// There is no instance to be had: all that wait are told so.
    pub(super) fn fail_all(&self, cause: &Cause) {
        let mut state = self.lock();
        state.tasks.clear();
        state.suspects.clear();
        state.on_probation = None;
        for (_, pending) in std::mem::take(&mut state.queries) {
            let told = Unresolved::Guest(cause.clone());
            // Who has gone away needs no answer.
            let _unheard = pending.answer.send(Err(told));
        }
    }
}

impl State {
    /// What an instance knew is gone with it: the next begins with the setup.
    fn forget_instance(&mut self) {
        self.unconfigured = true;
        self.tasks.retain(|task| matches!(task, Task::Resolve(..)));
        for pending in self.queries.values_mut() {
            pending.with_guest = false;
        }
    }

    /// All queries are as new.
    fn begin_anew(&mut self) {
        self.suspects.clear();
        self.on_probation = None;
        self.forget_instance();
        let all = self.queries.iter();
        self.tasks = all
            .map(|(id, pending)| Task::Resolve(*id, pending.query.clone()))
            .collect();
    }

    /// Gives the next suspect to the guest, if none is with it.
    fn next_on_probation(&mut self) {
        if self.on_probation.is_some() {
            return;
        }
        while let Some(id) = self.suspects.pop() {
            if let Some(pending) = self.queries.get(&id) {
                let task = Task::Resolve(id, pending.query.clone());
                self.tasks.push_back(task);
                self.on_probation = Some(id);
                return;
            }
        }
    }

    /// A query is over. True if another takes its place on probation.
    fn release(&mut self, id: u64) -> bool {
        if self.on_probation != Some(id) {
            return false;
        }
        self.on_probation = None;
        self.next_on_probation();
        self.on_probation.is_some()
    }
}

/// As the resolver would say it.
pub(crate) fn failure(name: String, cause: NameCause) -> Unresolved {
    Unresolved::Failure(NameFailure {
        name,
        cause,
        ttl_s: 0,
        security: None,
        steps: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
