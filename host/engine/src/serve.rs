//! Messages from the embedder become exchanges; what they say goes back.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fumehood_control::{
    Assembly, Cause, Digest, Exchange, ExchangeId, Failure, Inventory, RetrySafety, Summary,
    ToEmbedder, ToEngine, fragments,
};
use fumehood_policy::Lapse;
use fumehood_sandbox::{AsyncChannel, ChannelError};
use tokio::sync::oneshot;

use crate::allowance::{Allowance, Leaves};
use crate::answering::Answering;
use crate::exchange::{Pipes, failure};
use crate::hub::Hub;
use crate::outbox::{self, Outgoing};
use crate::pac::PacDesk;
use crate::payload::Pipe;
use crate::proxy;
use crate::registry::{answer_load, introduced};

/// Time between two looks for idle connections that have waited too long.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Serves until the embedder closes its end.
///
/// # Errors
/// When the embedder sends what it must not, or cannot be told something; the
/// engine ends then.
pub(crate) async fn serve(
    control: AsyncChannel<ToEmbedder, ToEngine>,
    hub: Arc<Hub>,
    outgoing: Outgoing,
    max_exchanges: usize,
) -> Result<(), ChannelError> {
    let control = Arc::new(control);
    let writing = Arc::clone(&control);
    let mut telling_all = tokio::spawn(async move { outbox::pump(outgoing, &writing).await });
    let dialling = Arc::clone(&hub.dialer);
    let listening = Arc::clone(&hub);
    tokio::spawn(async move {
        dialling
            .route_replies(|listener, socket| proxy::listen(&listening, listener, socket))
            .await;
    });
    let telling = Arc::clone(&hub);
    tokio::spawn(async move { proxy::tell(&telling).await });
    let swept = Arc::clone(&hub);
    tokio::spawn(async move { sweep(&swept).await });
    let reporting = Arc::clone(&hub);
    tokio::spawn(async move { reporting.registry.supervisor.relay(&reporting.outbox).await });
    let naming = Arc::clone(&hub);
    tokio::spawn(async move { naming.serve_names().await });
    let mut desk = Desk {
        pac: PacDesk::new(&hub),
        hub,
        max_exchanges,
        assembling: HashMap::new(),
        running: Running::default(),
        leaves: Leaves::default(),
        policy: Assembly::of_policy(),
        answering: Answering::default(),
    };
    loop {
        let (message, fds) = tokio::select! {
            received = control.recv() => received?,
            // An engine that cannot speak is none: its end tells all who wait.
            ended = &mut telling_all => return ended.unwrap_or(Ok(())),
        };
        desk.accept(message, fds).await;
    }
}

/// A `Running` map is shared with the tasks, which take themselves off it.
type Running = Arc<Mutex<HashMap<ExchangeId, Held>>>;

/// By which an exchange under way is ended.
struct Held {
    leave: Option<u64>,
    /// Dropped without a word, it is a cancellation.
    stop: oneshot::Sender<Cause>,
}

/// Where exchanges are taken in.
struct Desk {
    hub: Arc<Hub>,
    max_exchanges: usize,
    assembling: HashMap<ExchangeId, Assembly>,
    running: Running,
    leaves: Leaves,
    /// Pieces of the next policy.
    policy: Assembly,
    pac: PacDesk,
    answering: Answering,
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
            ToEngine::Revoke { leave } => self.revoke(leave),
            ToEngine::CloseIdle => self.hub.idle.retire(),
            ToEngine::Module(header) => {
                let Some(code) = fds.into_iter().next() else {
                    return;
                };
                // Here, so that what comes next finds it loaded. It takes a millisecond,
                // or seconds where memory is short, for which no message is taken; other
                // tasks move aside. A module that never comes back from its start is
                // ended like any guest.
                let _active = self.hub.ticker.activate();
                let answer =
                    tokio::task::block_in_place(|| answer_load(&self.hub.registry, header, code));
                // A driver runs to say what it serves; nobody waits for it here.
                let hub = Arc::clone(&self.hub);
                tokio::spawn(async move {
                    let _active = hub.ticker.activate();
                    let answer = introduced(&hub.registry, answer).await;
                    // Nobody is left to tell when this fails.
                    let _ = hub.outbox.send(answer).await;
                });
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
            ToEngine::Resolver => self.answering.set_up(&self.hub, &fds),
            ToEngine::Resolve { id, query } => self.answering.begin(&self.hub, id, query),
            ToEngine::Unresolve { id } => self.answering.forget(id),
            ToEngine::Pressure { percent } => self.hub.feel(percent),
            ToEngine::Preferences(values) => self.hub.registry.supervisor.prefer(values),
            ToEngine::PolicyFragment { bytes } => {
                // What was left out does not decode: then nothing is served.
                let _too_long = self.policy.push(&bytes);
            }
            ToEngine::Policy { bytes } => {
                let pieces = std::mem::replace(&mut self.policy, Assembly::of_policy());
                self.hub.proxy.take_policy(pieces, &bytes);
            }
            ToEngine::Listener(setup) => proxy::set_up(&self.hub, setup),
            ToEngine::Routed(asks) => self.hub.proxy.routed(asks),
            ToEngine::RouteFragment { id, bytes } => self.hub.proxy.assemble_route(id, &bytes),
            ToEngine::Route { id, bytes } => self.hub.proxy.take_route(id, &bytes),
            ToEngine::TokenFragment { id, bytes } => self.hub.tokens.assemble(id, &bytes),
            ToEngine::Token { id, bytes } => self.hub.tokens.answer(id, &bytes),
            ToEngine::DrainListener(listener) => proxy::drain(&self.hub, listener),
            ToEngine::Users(listener) => proxy::ask_anew(&self.hub, listener),
            ToEngine::Admitted { id, grant } => self.hub.proxy.admitted(id, grant),
            ToEngine::PacFragment { id, bytes } => self.pac.assemble(id, &bytes),
            ToEngine::Pac { id, bytes, .. } => self.pac.ask(id, &bytes, fds),
            ToEngine::PacForget(script) => self.pac.forget(script),
            ToEngine::Question {
                id,
                listener,
                bytes,
            } => {
                // The embedder has a bound on how many there are.
                let hub = Arc::clone(&self.hub);
                tokio::spawn(async move { proxy::datagram(&hub, id, listener, &bytes).await });
            }
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
        let allowed = self.leaves.allow(exchange.leave);
        let pipes = match allowed.and_then(|allowance| open_pipes(fds, allowance)) {
            Ok(pipes) => pipes,
            Err(cause) => return self.refuse(id, cause).await,
        };
        let (stop, stopped) = oneshot::channel();
        let leave = exchange.leave.map(|leave| leave.id);
        self.lock().insert(id, Held { leave, stop });
        let hub = Arc::clone(&self.hub);
        let running = Arc::clone(&self.running);
        tokio::spawn(async move {
            let outcome = run(&hub, id, &exchange, pipes, stopped).await;
            running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id);
            hub.outbox.finished(id, outcome).await;
        });
    }

    /// Ends what runs under a leave.
    fn revoke(&mut self, leave: u64) {
        self.leaves.forget(leave);
        let mut running = self.lock();
        let under_it = running.extract_if(|_, held| held.leave == Some(leave));
        for (_, held) in under_it {
            // It may have ended this moment.
            let _ended = held.stop.send(Cause::Lapsed(Lapse::Revoked));
        }
    }

    /// Answers a swap, and has idle connections follow it.
    async fn swapped(&self, name: String, digest: Digest, answer: Result<ToEmbedder, String>) {
        match answer {
            Ok(swapped) => {
                self.say(swapped).await;
                self.hub.follow_swap(&name);
            }
            Err(why) => {
                self.say(ToEmbedder::ModuleRefused { name, digest, why })
                    .await;
            }
        }
    }

    async fn inventory(&self) {
        let mut inventory = Inventory {
            modules: self.hub.registry.inventory(),
            ..Inventory::default()
        };
        self.hub.tell(&mut inventory.activity);
        inventory.activity.scripts = self.pac.activity();
        // Bounded by the number of versions; what does not fit is not there.
        let mut pieces = fragments(&inventory).unwrap_or_default();
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

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ExchangeId, Held>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An exchange, its cancellation, and its descriptors closed at the end.
async fn run(
    hub: &Hub,
    id: ExchangeId,
    exchange: &Exchange,
    pipes: Pipes,
    stopped: oneshot::Receiver<Cause>,
) -> Result<Summary, Failure> {
    tokio::select! {
        outcome = hub.run(id, exchange, pipes) => outcome,
        why = stopped => {
            let cause = why.unwrap_or(Cause::Cancelled);
            Err(failure(cause, RetrySafety::MaybeProcessed))
        }
    }
}

/// The sink, then the source if there is one.
fn open_pipes(fds: Vec<OwnedFd>, allowance: Allowance) -> Result<Pipes, Cause> {
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
        (Some(sink), source) => Ok(Pipes {
            sink,
            source,
            allowance,
        }),
        (None, _) => Err(Cause::BadRequest(
            "an exchange came without a sink".to_owned(),
        )),
    }
}

/// Goes over what depends on versions, now and then and when one became current.
async fn sweep(hub: &Hub) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tokio::select! {
            _now = interval.tick() => {}
            () = hub.idle.swapped() => {}
        }
        let _active = hub.ticker.activate();
        hub.idle.sweep().await;
        hub.registry.rest();
    }
}
