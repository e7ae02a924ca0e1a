//! Which exchange a message of the engine belongs to, and what it may say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fumehood_control::{
    Assembly, ExchangeId, Field, GrantId, JourneyEvent, ResponseHead, RetrySafety, Summary,
    ToEmbedder,
};
use fumehood_policy::Target;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use crate::Error;
use crate::error::ChannelError;
use crate::traffic::Counters;

/// Most messages of one exchange, progress and fragments aside. An honest one
/// has under 40: 16 informational heads and the steps of two connections.
const MAX_EVENTS: u32 = 128;

/// Something an exchange had to tell, in the order it happened.
#[derive(Debug)]
pub enum Event {
    /// A step on the way.
    Journey(JourneyEvent),
    /// An informational head (1xx).
    Informational(ResponseHead),
    /// The final head; content flows to the sink from now on.
    Head(ResponseHead),
    /// Trailer fields. They come before the end, and need not be of use.
    Trailers(Vec<Field>),
    /// How far it is.
    Progress(Progress),
    /// It is over. Only after `Ok` is what the sink holds whole.
    Finished(Result<Summary, Error>),
}

/// How much content has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Of the response, in bytes.
    pub received: u64,
    /// Of the request, in bytes.
    pub sent: u64,
}

/// The receiving ends of a route.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    pub(crate) progress: watch::Receiver<Progress>,
}

/// The exchanges under way on one engine.
pub(crate) struct Routes {
    table: Mutex<Table>,
    counters: Arc<Counters>,
}

struct Table {
    routes: HashMap<ExchangeId, Route>,
    /// False once the engine is gone: nothing is added any more.
    open: bool,
}

struct Route {
    target: Target,
    /// Bounded by [`MAX_EVENTS`], so it need not block the reader of the channel.
    events: mpsc::UnboundedSender<Event>,
    progress: watch::Sender<Progress>,
    assembly: Assembly,
    taken: u32,
    answered: bool,
    /// Both held until the engine is done with the exchange.
    _permit: OwnedSemaphorePermit,
    _leave: Leave,
}

/// Leave for one exchange to dial. The broker takes it back when this is dropped.
#[derive(Debug)]
pub(crate) struct Leave {
    grant: GrantId,
    /// Weak, so that an exchange keeps no broker alive.
    over: mpsc::WeakUnboundedSender<GrantId>,
}

impl Leave {
    pub(crate) fn new(grant: GrantId, over: &mpsc::UnboundedSender<GrantId>) -> Leave {
        Leave {
            grant,
            over: over.downgrade(),
        }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if let Some(over) = self.over.upgrade() {
            // A broker that is gone has nothing to take back.
            let _gone = over.send(self.grant);
        }
    }
}

impl Routes {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Routes {
            table: Mutex::new(Table {
                routes: HashMap::new(),
                open: true,
            }),
            counters,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table is consistent between any two statements that can panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a route; `None` when the engine is gone.
    pub(crate) fn open(
        &self,
        id: ExchangeId,
        target: Target,
        permit: OwnedSemaphorePermit,
        leave: Leave,
    ) -> Option<Inbox> {
        let (events, inbox) = mpsc::unbounded_channel();
        let (progress, watcher) = watch::channel(Progress::default());
        let route = Route {
            target,
            events,
            progress,
            assembly: Assembly::default(),
            taken: 0,
            answered: false,
            _permit: permit,
            _leave: leave,
        };
        let mut table = self.table();
        if !table.open {
            return None;
        }
        table.routes.insert(id, route);
        self.counters.begun();
        Some(Inbox {
            events: inbox,
            progress: watcher,
        })
    }

    /// Closes a route whose exchange was never sent.
    pub(crate) fn forget(&self, id: ExchangeId) {
        if self.table().routes.remove(&id).is_some() {
            self.counters.not_begun();
        }
    }

    /// Takes one message of the engine.
    ///
    /// # Errors
    /// [`ChannelError`] when the engine says what it cannot: it is not to be
    /// listened to any more.
    pub(crate) fn take(&self, message: ToEmbedder) -> Result<(), ChannelError> {
        let mut table = self.table();
        match message {
            ToEmbedder::Ready { .. }
            | ToEmbedder::Refused { .. }
            // The proxies'.
            | ToEmbedder::Access(_)
            | ToEmbedder::Login { .. }
            | ToEmbedder::ProxyTally(_)
            | ToEmbedder::Drained(_)
            | ToEmbedder::Reported(_)
            // The desk's.
            | ToEmbedder::ModuleLoaded { .. }
            | ToEmbedder::ModuleRefused { .. }
            | ToEmbedder::ModuleWithdrawn { .. }
            | ToEmbedder::Swapped { .. }
            | ToEmbedder::InventoryFragment { .. }
            | ToEmbedder::Inventory { .. }
            | ToEmbedder::ReportFragment { .. }
            | ToEmbedder::Report { .. }
            // The book's.
            | ToEmbedder::PacFragment { .. }
            | ToEmbedder::Pac { .. }
            // Of names.
            | ToEmbedder::ResolvedFragment { .. }
            | ToEmbedder::Resolved { .. }
            // The guide's.
            | ToEmbedder::RouteFragment { .. }
            | ToEmbedder::Route { .. }
            | ToEmbedder::RouteTried(_)
            | ToEmbedder::Replied { .. }
            // Of tokens.
            | ToEmbedder::TokenFragment { .. }
            | ToEmbedder::Token { .. }
            | ToEmbedder::TokenOver { .. } => Err(ChannelError::OutOfOrder),
            ToEmbedder::Journey { id, event } => table.route(id)?.tell(Event::Journey(event)),
            ToEmbedder::HeadFragment { id, bytes } => Ok(table.route(id)?.assembly.push(&bytes)?),
            ToEmbedder::Informational { id, bytes } => {
                let route = table.route(id)?;
                let head = std::mem::take(&mut route.assembly).finish(&bytes)?;
                route.tell(Event::Informational(head))
            }
            ToEmbedder::Head { id, bytes } => {
                let route = table.route(id)?;
                if std::mem::replace(&mut route.answered, true) {
                    return Err(ChannelError::OutOfOrder);
                }
                let head: ResponseHead = std::mem::take(&mut route.assembly).finish(&bytes)?;
                self.counters.answered(head.status);
                route.tell(Event::Head(head))
            }
            ToEmbedder::Trailers { id, bytes } => {
                let route = table.route(id)?;
                let fields = std::mem::take(&mut route.assembly).finish(&bytes)?;
                route.tell(Event::Trailers(fields))
            }
            ToEmbedder::Progress { id, received, sent } => {
                table
                    .route(id)?
                    .progress
                    .send_replace(Progress { received, sent });
                Ok(())
            }
            ToEmbedder::Finished { id, outcome } => {
                let route = table.routes.remove(&id).ok_or(ChannelError::OutOfOrder)?;
                let outcome = match outcome {
                    Ok(_) if !route.answered => return Err(ChannelError::OutOfOrder),
                    Ok(summary) => Ok(summary),
                    Err(failure) => Err(Error::of_failure(route.target, failure)),
                };
                self.counters.finished(&outcome);
                // Nobody may listen any more.
                let _unheard = route.events.send(Event::Finished(outcome));
                Ok(())
            }
        }
    }

    /// The engine is gone: every exchange under way ends with that.
    pub(crate) fn close(&self) {
        let mut table = self.table();
        table.open = false;
        for (_, route) in table.routes.drain() {
            let retry = match route.answered {
                true => RetrySafety::Answered,
                false => RetrySafety::MaybeProcessed,
            };
            let died = Err(Error::engine_died(route.target, retry));
            self.counters.finished(&died);
            // Nobody may listen any more.
            let _unheard = route.events.send(Event::Finished(died));
        }
    }
}

impl Table {
    fn route(&mut self, id: ExchangeId) -> Result<&mut Route, ChannelError> {
        self.routes.get_mut(&id).ok_or(ChannelError::OutOfOrder)
    }
}

impl Route {
    fn tell(&mut self, event: Event) -> Result<(), ChannelError> {
        self.taken += 1;
        if self.taken > MAX_EVENTS {
            return Err(ChannelError::OutOfOrder);
        }
        // Nobody may listen any more: the exchange is then being cancelled.
        let _unheard = self.events.send(event);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
