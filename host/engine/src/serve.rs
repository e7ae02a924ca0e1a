//! Messages from the embedder become exchanges; what they say goes back.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fumehood_control::{
    Assembly, Cause, Digest, Exchange, ExchangeId, Failure, RetrySafety, Summary, ToEmbedder,
    ToEngine, fragments,
};
use fumehood_sandbox::{AsyncChannel, ChannelError};
use tokio::sync::oneshot;

use crate::exchange::{Pipes, failure};
use crate::hub::Hub;
use crate::outbox::{self, Outgoing};
use crate::payload::Pipe;
use crate::registry::answer_load;

/// Time between two looks for idle connections that have waited too long.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Serves until the embedder closes its end.
///
/// # Errors
/// When the embedder sends what it must not; the engine ends then.
pub(crate) async fn serve(
    control: AsyncChannel<ToEmbedder, ToEngine>,
    hub: Arc<Hub>,
    outgoing: Outgoing,
    max_exchanges: usize,
) -> Result<(), ChannelError> {
    let control = Arc::new(control);
    let writing = Arc::clone(&control);
    tokio::spawn(async move { outbox::pump(outgoing, &writing).await });
    let dialling = Arc::clone(&hub.dialer);
    tokio::spawn(async move { dialling.route_replies().await });
    let swept = Arc::clone(&hub);
    tokio::spawn(async move { sweep(&swept).await });
    let reporting = Arc::clone(&hub);
    tokio::spawn(async move { reporting.registry.supervisor.relay(&reporting.outbox).await });
    let mut desk = Desk {
        hub,
        max_exchanges,
        assembling: HashMap::new(),
        running: Running::default(),
    };
    loop {
        let (message, fds) = control.recv().await?;
        desk.accept(message, fds).await;
    }
}

/// A `Running` map is shared with the tasks, which take themselves off it.
type Running = Arc<Mutex<HashMap<ExchangeId, oneshot::Sender<()>>>>;

/// Where exchanges are taken in.
struct Desk {
    hub: Arc<Hub>,
    max_exchanges: usize,
    assembling: HashMap<ExchangeId, Assembly>,
    running: Running,
}

impl Desk {
    async fn accept(&mut self, message: ToEngine, fds: Vec<OwnedFd>) {
        match message {
            ToEngine::ExchangeFragment { id, bytes } => self.assemble(id, &bytes).await,
            ToEngine::Exchange { id, bytes, .. } => {
                let assembly = self.assembling.remove(&id).unwrap_or_default();
                match assembly.finish(&bytes) {
                    Ok(exchange) => self.begin(id, exchange, fds).await,
                    Err(error) => self.refuse(id, Cause::BadRequest(error.to_string())).await,
                }
            }
            ToEngine::Cancel(id) => {
                self.assembling.remove(&id);
                // Dropping the sender wakes the exchange.
                self.lock().remove(&id);
            }
            ToEngine::CloseIdle => self.hub.idle.clear(),
            ToEngine::Module(header) => {
                let Some(code) = fds.into_iter().next() else {
                    return;
                };
                // It takes a millisecond at most: other tasks move aside.
                let answer =
                    tokio::task::block_in_place(|| answer_load(&self.hub.registry, header, code));
                self.say(answer).await;
            }
            ToEngine::Swap { name, digest } => {
                let answer = self.hub.registry.swap(&name, digest);
                self.swapped(name, digest, answer).await;
            }
            ToEngine::Rollback { name } => {
                let answer = self.hub.registry.rollback(&name);
                self.swapped(name, Digest::default(), answer).await;
            }
            ToEngine::Withdraw { name, digest } => {
                let answer = match self.hub.registry.withdraw(&name, digest) {
                    Ok(()) => ToEmbedder::ModuleWithdrawn { name, digest },
                    Err(why) => ToEmbedder::ModuleRefused { name, digest, why },
                };
                self.say(answer).await;
            }
            ToEngine::Inspect => self.inventory().await,
            ToEngine::Pressure { percent } => self.hub.feel(percent),
            // Offers end with `Start`; later ones are refused by being dropped.
            ToEngine::Hello { .. }
            | ToEngine::Anchors
            | ToEngine::Broker
            | ToEngine::KeyLog
            | ToEngine::Start => {}
        }
    }

    async fn assemble(&mut self, id: ExchangeId, bytes: &[u8]) {
        if self.assembling.len() >= self.max_exchanges && !self.assembling.contains_key(&id) {
            return self.refuse(id, Cause::Busy).await;
        }
        if let Err(error) = self.assembling.entry(id).or_default().push(bytes) {
            self.assembling.remove(&id);
            self.refuse(id, Cause::BadRequest(error.to_string())).await;
        }
    }

    async fn begin(&mut self, id: ExchangeId, exchange: Exchange, fds: Vec<OwnedFd>) {
        let under_way = self.lock().len();
        // With nothing under way nothing more is given back: one must get through.
        if under_way >= self.max_exchanges || (under_way > 0 && self.hub.is_starved()) {
            return self.refuse(id, Cause::Busy).await;
        }
        let pipes = match open_pipes(fds) {
            Ok(pipes) => pipes,
            Err(cause) => return self.refuse(id, cause).await,
        };
        let (cancel, cancelled) = oneshot::channel();
        self.lock().insert(id, cancel);
        let hub = Arc::clone(&self.hub);
        let running = Arc::clone(&self.running);
        tokio::spawn(async move {
            let outcome = run(&hub, id, &exchange, pipes, cancelled).await;
            running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id);
            hub.outbox.finished(id, outcome).await;
        });
    }

    /// Answers a swap, and has idle connections follow it.
    async fn swapped(&self, name: String, digest: Digest, answer: Result<ToEmbedder, String>) {
        match answer {
            Ok(swapped) => {
                self.say(swapped).await;
                self.hub.follow_swap();
            }
            Err(why) => {
                self.say(ToEmbedder::ModuleRefused { name, digest, why })
                    .await;
            }
        }
    }

    async fn inventory(&self) {
        // Bounded by the number of versions; what does not fit is not there.
        let mut pieces = fragments(&self.hub.registry.inventory()).unwrap_or_default();
        let last = pieces.pop().unwrap_or_default();
        for bytes in pieces {
            self.say(ToEmbedder::InventoryFragment { bytes }).await;
        }
        self.say(ToEmbedder::Inventory { bytes: last }).await;
    }

    async fn say(&self, message: ToEmbedder) {
        // Nobody is left to tell when this fails.
        let _ = self.hub.outbox.send(message).await;
    }

    async fn refuse(&self, id: ExchangeId, cause: Cause) {
        self.hub
            .outbox
            .finished(id, Err(failure(cause, RetrySafety::NotSent)))
            .await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ExchangeId, oneshot::Sender<()>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An exchange, its cancellation, and its descriptors closed at the end.
async fn run(
    hub: &Hub,
    id: ExchangeId,
    exchange: &Exchange,
    pipes: Pipes,
    cancelled: oneshot::Receiver<()>,
) -> Result<Summary, Failure> {
    tokio::select! {
        outcome = hub.run(id, exchange, pipes) => outcome,
        _ = cancelled => Err(failure(Cause::Cancelled, RetrySafety::MaybeProcessed)),
    }
}

/// The sink, then the source if there is one.
fn open_pipes(fds: Vec<OwnedFd>) -> Result<Pipes, Cause> {
    let mut fds = fds.into_iter();
    let mut next = || {
        fds.next()
            .map(Pipe::new)
            .transpose()
            .map_err(|error| Cause::Sink {
                errno: error.raw_os_error().unwrap_or(0),
            })
    };
    match (next()?, next()?) {
        (Some(sink), source) => Ok(Pipes { sink, source }),
        (None, _) => Err(Cause::BadRequest(
            "an exchange came without a sink".to_owned(),
        )),
    }
}

async fn sweep(hub: &Hub) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        interval.tick().await;
        hub.idle.sweep(&hub.registry);
        hub.registry.rest();
    }
}
