//! Asking whoever answers for the embedder, where a rule wants it.

use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fumehood_policy::{ClientName, Host, Method, Question};

/// Most hosts that a yes is remembered for; after that it is forgotten for all.
const MAX_REMEMBERED: usize = 1024;

/// What is to be allowed, as whoever answers should be told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The target, and the rule that wants it asked.
    pub question: Question,
    /// The request's method.
    pub method: Option<Method>,
    /// Who asks, if it said.
    pub client: Option<ClientName>,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// For this request.
    AllowOnce,
    /// For this host and client, whatever the port and method, until the
    /// policy changes or the engine is dropped.
    AllowHost,
    /// No.
    Deny,
}

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Who is asked, and for how long.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) ask: Arc<dyn Fn(Asked) -> Answering + Send + Sync>,
    pub(crate) deadline: Duration,
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// What was answered for hosts.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    hosts: Mutex<HashSet<(Host, Option<ClientName>)>>,
}

impl Remembered {
    /// Whether the answer is yes. Silence past the deadline is no.
    pub(crate) async fn is_allowed(&self, asker: Option<&Asker>, asked: &Asked) -> bool {
        let key = (asked.question.target.host.clone(), asked.client.clone());
        if self.lock().contains(&key) {
            return true;
        }
        let Some(asker) = asker else {
            return false;
        };
        let answering = (asker.ask)(asked.clone());
        match tokio::time::timeout(asker.deadline, answering).await {
            Ok(Answer::AllowOnce) => true,
            Ok(Answer::AllowHost) => {
                let mut hosts = self.lock();
                if hosts.len() >= MAX_REMEMBERED {
                    hosts.clear();
                }
                hosts.insert(key);
                true
            }
            Ok(Answer::Deny) | Err(_) => false,
        }
    }

    /// Another policy may ask another question.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<(Host, Option<ClientName>)>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
