//! The processes that run: heard, given orders, and found to be gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fumehood_control::{FromBroker, GrantId, ToBroker, ToEmbedder, ToEngine};
use tokio::sync::mpsc::{
    Receiver, UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel,
};
use tokio::sync::watch;

use crate::Role;
use crate::config::Config;
use crate::crashes;
use crate::desk::{Desk, News};
use crate::error::ChannelError;
use crate::launch::{BrokerChannel, EngineChannel, Launched, Readiness};
use crate::modules::Registry;
use crate::names::{Answers, Replies};
use crate::pac::PacBook;
use crate::process::Process;
use crate::proxies::Guide;
use crate::proxy::Listeners;
use crate::routes::{Leave, Routes};
use crate::settings::Current;
use crate::traffic::Counters;
use crate::upstream::TokenDesk;

/// The processes as they were last seen.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) broker: Arc<LiveBroker>,
    pub(crate) engine: Arc<LiveEngine>,
    /// The death of one of them is counted.
    pub(crate) mourned: bool,
}

impl Running {
    pub(crate) fn new(broker: Arc<LiveBroker>, engine: Arc<LiveEngine>) -> Running {
        Running {
            broker,
            engine,
            mourned: false,
        }
    }

    /// Which is gone, as far as is known; the broker first, as an engine without
    /// one is of no use.
    pub(crate) fn gone(&self) -> Option<(Role, Life)> {
        let both = [
            (Role::Broker, &self.broker.life),
            (Role::Engine, &self.engine.life),
        ];
        let (role, life) = both.into_iter().find(|(_, life)| !life.lasts())?;
        Some((role, life.clone()))
    }
}

/// A broker that has been ready. Dropped by all, it is killed.
pub(crate) struct LiveBroker {
    pub(crate) channel: Arc<BrokerChannel>,
    pub(crate) pid: u32,
    pub(crate) readiness: Readiness,
    pub(crate) life: Life,
    /// Grants whose exchanges are over. Its end ends the watch.
    over: UnboundedSender<GrantId>,
}

/// An engine that has been ready. Dropped by all, it is killed.
pub(crate) struct LiveEngine {
    pub(crate) channel: Arc<EngineChannel>,
    pub(crate) routes: Arc<Routes>,
    /// What does not wait for an answer: exchanges nobody wants any more,
    /// grants that were taken back.
    pub(crate) orders: UnboundedSender<ToEngine>,
    /// Questions about modules.
    pub(crate) desk: Arc<Desk>,
    /// Questions about scripts.
    pub(crate) pac: Arc<PacBook>,
    /// Questions about names.
    pub(crate) answers: Arc<Answers>,
    /// Questions that a confined program put.
    pub(crate) replies: Arc<Replies>,
    pub(crate) pid: u32,
    pub(crate) readiness: Readiness,
    pub(crate) life: Life,
    /// Exchanges that had come to a good end before it was ready.
    pub(crate) ended_before: u64,
}

/// Whether a process still lives, as far as anybody has found out.
#[derive(Clone)]
pub(crate) struct Life(Arc<Course>);

struct Course {
    began: Instant,
    lasts: AtomicBool,
    death: watch::Sender<Option<Death>>,
}

/// How a process ended.
#[derive(Clone, Debug)]
pub(crate) struct Death {
    pub(crate) at: Instant,
    /// One clause: "signal: 9 (SIGKILL)".
    pub(crate) how: String,
}

impl Life {
    fn begin() -> Life {
        Life(Arc::new(Course {
            began: Instant::now(),
            lasts: AtomicBool::new(true),
            death: watch::Sender::new(None),
        }))
    }

    pub(crate) fn lasts(&self) -> bool {
        self.0.lasts.load(Ordering::Acquire)
    }

    /// It was found to be over, perhaps before the watch has found out.
    pub(crate) fn end(&self) {
        self.0.lasts.store(false, Ordering::Release);
    }

    /// When its process was ready.
    pub(crate) fn began(&self) -> Instant {
        self.0.began
    }

    /// Its process is reaped.
    fn over(&self, how: String) {
        let at = Instant::now();
        self.0.death.send_replace(Some(Death { at, how }));
    }

    /// How it ended, once that is known: a moment after it has, and never where a
    /// process was only taken for dead.
    pub(crate) async fn death(&self) -> Option<Death> {
        let mut death = self.0.death.subscribe();
        // The sender is here.
        death.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// The same, where it is known by now.
    pub(crate) fn death_so_far(&self) -> Option<Death> {
        self.0.death.borrow().clone()
    }

    /// A message did not arrive. When that is because the process is gone, the next
    /// request need not find out by itself, even before the watch has.
    pub(crate) fn note(&self, error: &fumehood_sandbox::ChannelError) {
        if matches!(error, fumehood_sandbox::ChannelError::Closed) {
            self.end();
        }
    }
}

impl LiveBroker {
    /// What holds a grant: dropped when the exchange is over, it is taken back.
    pub(crate) fn leave(&self, grant: GrantId) -> Leave {
        Leave::new(grant, &self.over)
    }

    pub(crate) fn watch(
        launched: Launched<BrokerChannel>,
        current: &Arc<Current>,
        listeners: &Arc<Listeners>,
    ) -> Arc<Self> {
        let (over, ended) = unbounded_channel();
        let channel = Arc::new(launched.channel);
        let pid = launched.process.id();
        let life = Life::begin();
        tokio::spawn(watch_broker(
            launched.process,
            channel.clone(),
            life.clone(),
            ended,
            current.clone(),
            listeners.clone(),
        ));
        Arc::new(LiveBroker {
            channel,
            pid,
            readiness: launched.readiness,
            life,
            over,
        })
    }
}

impl LiveEngine {
    pub(crate) fn watch(
        launched: Launched<EngineChannel>,
        registry: &Arc<Registry>,
        config: &Config,
        counters: &Arc<Counters>,
        listeners: &Arc<Listeners>,
    ) -> Arc<Self> {
        registry.learn(&launched.drivers);
        let (orders, ordered) = unbounded_channel();
        let (desk, news) = Desk::new();
        let reports = crashes::Writer::new(&config.crash_reports, &launched.readiness.layers);
        tokio::spawn(hear(news, registry.clone(), reports));
        let live = Arc::new(LiveEngine {
            channel: Arc::new(launched.channel),
            routes: Arc::new(Routes::new(counters.clone())),
            orders,
            desk: Arc::new(desk),
            answers: Answers::new(),
            replies: Arc::default(),
            pac: Arc::default(),
            pid: launched.process.id(),
            readiness: launched.readiness,
            life: Life::begin(),
            ended_before: counters.ended_well(),
        });
        let hears = Hears {
            routes: live.routes.clone(),
            desk: live.desk.clone(),
            answers: live.answers.clone(),
            replies: live.replies.clone(),
            pac: live.pac.clone(),
            listeners: listeners.clone(),
            orders: live.orders.downgrade(),
            guide: Guide::new(&listeners.whom, &live.channel),
            tokens: TokenDesk::new(&listeners.whom, &live.channel),
        };
        tokio::spawn(watch_engine(
            launched.process,
            live.channel.clone(),
            hears,
            live.life.clone(),
            ordered,
        ));
        live
    }
}

/// Owns the broker. After `Ready` it tells of what the policy only reports;
/// whatever else comes, the end of file first of all, ends it.
async fn watch_broker(
    mut process: Process,
    channel: Arc<BrokerChannel>,
    life: Life,
    ended: UnboundedReceiver<GrantId>,
    current: Arc<Current>,
    listeners: Arc<Listeners>,
) {
    let reports = async {
        loop {
            match channel.recv().await {
                Ok((FromBroker::Reported(denial), _none)) => current.report(&denial),
                Ok((FromBroker::Listening { listener, bound }, _none)) => {
                    listeners.listening(listener, bound);
                }
                Ok((FromBroker::Listens { listener, address }, sockets)) => {
                    for socket in sockets {
                        listeners.listens(listener, address, socket)?;
                    }
                }
                Ok(_) => return Err(ChannelError::OutOfOrder),
                Err(error) => return Err(error.into()),
            }
        }
    };
    let ended = tokio::select! {
        ended = reports => ended,
        ended = revoke_all(&channel, ended) => ended,
    };
    life.end();
    life.over(end(&mut process, ended).await);
    listeners.wake();
}

/// Kills a process that there was talk with, and says how it ended: by itself, where
/// that was first, or for what it said or could not be told.
async fn end(process: &mut Process, talk: Result<(), ChannelError>) -> String {
    let status = process.kill().await;
    if let Err(error) = &talk
        && !error.is_closed()
    {
        tracing::error!(%error, "the {} is ended", process.role.name());
    }
    how(status, talk)
}

fn how(status: String, talk: Result<(), ChannelError>) -> String {
    match talk {
        Err(error) if !error.is_closed() => format!("by us, since {error}"),
        // Nobody hears it, or nobody held it any more.
        _ => status,
    }
}

/// Who hears what an engine says.
struct Hears {
    routes: Arc<Routes>,
    desk: Arc<Desk>,
    answers: Arc<Answers>,
    replies: Arc<Replies>,
    pac: Arc<PacBook>,
    listeners: Arc<Listeners>,
    orders: WeakUnboundedSender<ToEngine>,
    guide: Guide,
    tokens: TokenDesk,
}

impl Hears {
    fn take(&self, message: ToEmbedder) -> Result<(), ChannelError> {
        if let ToEmbedder::Login {
            id,
            listener,
            login,
        } = message
        {
            let question = (id, listener, login);
            self.listeners.logins.take(question, self.orders.clone());
            return Ok(());
        }
        match &message {
            it if Desk::takes(it) => self.desk.take(message),
            it if Answers::takes(it) => self.answers.take(message),
            it if Replies::takes(it) => self.replies.take(message),
            it if PacBook::takes(it) => self.pac.take(message),
            it if Listeners::takes(it) => self.listeners.take(message),
            it if Guide::takes(it) => self.guide.take(message),
            it if TokenDesk::takes(it) => self.tokens.take(message),
            _ => self.routes.take(message),
        }
    }

    fn close(&self) {
        self.routes.close();
        self.desk.close();
        self.answers.close();
        self.replies.close();
        self.pac.close();
    }
}

/// Takes back the grants of exchanges that are over, until nobody has any.
pub(crate) async fn revoke_all(
    channel: &BrokerChannel,
    mut ended: UnboundedReceiver<GrantId>,
) -> Result<(), ChannelError> {
    while let Some(grant) = ended.recv().await {
        channel.send(&ToBroker::Revoke(grant), &[]).await?;
    }
    Ok(())
}

/// Owns the engine: routes what it says, passes orders on, until it
/// ends, says what it must not, or nobody holds it any more.
async fn watch_engine(
    mut process: Process,
    channel: Arc<EngineChannel>,
    hears: Hears,
    life: Life,
    ordered: UnboundedReceiver<ToEngine>,
) {
    // Side by side, so that neither direction waits for the other.
    let ended = tokio::select! {
        ended = route_all(&channel, |message| hears.take(message)) => ended,
        ended = order_all(&channel, ordered) => ended,
    };
    life.end();
    hears.close();
    life.over(end(&mut process, ended).await);
    hears.listeners.wake();
}

/// Hears the engine, until it is gone or says what it must not.
async fn route_all(
    channel: &EngineChannel,
    take: impl Fn(ToEmbedder) -> Result<(), ChannelError>,
) -> Result<(), ChannelError> {
    loop {
        let (message, _none) = channel.recv().await?;
        take(message)?;
    }
}

async fn order_all(
    channel: &EngineChannel,
    mut ordered: UnboundedReceiver<ToEngine>,
) -> Result<(), ChannelError> {
    while let Some(order) = ordered.recv().await {
        channel.send(&order, &[]).await?;
    }
    Ok(())
}

/// Acts on what the engine says unasked, until it is gone.
async fn hear(mut news: Receiver<News>, registry: Arc<Registry>, reports: crashes::Writer) {
    while let Some(news) = news.recv().await {
        match news {
            News::Quarantined { name, from, to } => {
                tracing::warn!(module = name, "a version is quarantined for its faults");
                // A new engine is not to begin with it again.
                registry.make_current(&name, &to);
                registry.quarantine(&name, &from);
            }
            News::Fault(report) => reports.write(*report).await,
            News::Flush(done) => {
                // Whoever asked may have given up.
                let _unheard = done.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use fumehood_control::ListenerId;
    use fumehood_sandbox::Channel;

    use super::*;

    fn told(talk: Result<(), ChannelError>) -> String {
        how("signal: 9 (SIGKILL)".to_owned(), talk)
    }

    #[test]
    fn one_that_ended_by_itself_is_told_by_its_status() {
        let closed = fumehood_sandbox::ChannelError::Closed;
        assert_eq!(told(Err(closed.into())), "signal: 9 (SIGKILL)");
        assert_eq!(told(Ok(())), "signal: 9 (SIGKILL)");
    }

    #[tokio::test]
    async fn one_that_is_ended_for_what_it_said_is_told_by_that() {
        let (ours, theirs) = Channel::<ToEngine, ToEmbedder>::pair().unwrap();
        let ours = ours.into_async().unwrap();
        let drained = ToEmbedder::Drained(ListenerId(1));
        theirs.send(&drained, &[]).unwrap();
        let refused = route_all(&ours, |_| Err(ChannelError::OutOfOrder)).await;
        let why = "by us, since the other process broke the order of messages";
        assert_eq!(told(refused), why);
        // No message at all.
        theirs.send(&drained, &[]).unwrap();
        let theirs = theirs.into_fd();
        rustix::io::write(&theirs, &[0xff; 9]).unwrap();
        let garbled = told(route_all(&ours, |_| Ok(())).await);
        assert!(
            garbled.starts_with("by us, since a control packet does not decode"),
            "{garbled}"
        );
        // None any more.
        drop(theirs);
        let gone = route_all(&ours, |_| Ok(())).await;
        assert_eq!(told(gone), "signal: 9 (SIGKILL)");
    }
}
