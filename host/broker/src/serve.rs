//! The loop: the embedder's word first, then the engine's requests.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use fumehood_control::{Assembly, DialFailure, DialRequest, FromBroker, ListenerId, ToBroker};
use fumehood_policy::{Denial, Policy, Target};
use fumehood_sandbox::{AsyncChannel, ChannelError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::BrokerError;
use crate::connect::Connect;
use crate::dial::{Dialler, MAX_DEADLINE};
use crate::grants::{Grants, Leave};
use crate::link::{Link, Start, StartSocket};
use crate::listeners::Listeners;
use crate::resolve::Resolve;
use crate::servers::{Servers, Source};
use crate::sockets::{LookupLeave, SocketGrants};

/// Most would-be denials that wait to be told of; the embedder counts those
/// it hears of, and reads as fast as it can.
const MAX_REPORTS: usize = 256;

/// Most questions of the embedder's under way at once; people ask one by one.
const MAX_LOOKS: usize = 16;

/// The broker at work.
#[derive(Debug)]
pub(crate) struct Broker<R, C> {
    policy: Arc<Policy>,
    /// Pieces of the next policy.
    fragments: Assembly,
    grants: Grants,
    sockets: SocketGrants,
    listeners: Listeners,
    servers: Servers,
    engine: Option<Link>,
    dialler: Arc<Dialler<R, C>>,
    reports: mpsc::Receiver<Denial>,
    /// Questions of the embedder's and other things to tell it, each with its answer.
    looks: JoinSet<Said>,
}

/// What the embedder is told, with the descriptor that goes with it.
type Said = (FromBroker, Option<Arc<OwnedFd>>);

/// What happened next.
enum Event {
    Embedder(Result<(ToBroker, Vec<OwnedFd>), ChannelError>),
    Engine(Result<DialRequest, ChannelError>),
    /// Something to say to the embedder.
    Say(Said),
}

impl<R: Resolve, C: Connect> Broker<R, C> {
    /// A broker without grants or an engine.
    pub(crate) fn new(policy: Policy, resolver: R, connector: C) -> Self {
        let (told, reports) = mpsc::channel(MAX_REPORTS);
        Self {
            policy: Arc::new(policy),
            fragments: Assembly::of_policy(),
            grants: Grants::default(),
            sockets: SocketGrants::default(),
            listeners: Listeners::default(),
            servers: Servers::default(),
            engine: None,
            dialler: Arc::new(Dialler {
                resolver,
                connector,
                reports: told,
            }),
            reports,
            looks: JoinSet::new(),
        }
    }

    /// Serves until the embedder is gone, which is how it ends well.
    pub(crate) async fn serve(
        mut self,
        embedder: AsyncChannel<FromBroker, ToBroker>,
    ) -> Result<(), BrokerError> {
        loop {
            let done = match self.next(&embedder).await {
                Event::Embedder(received) => self.on_embedder(received),
                Event::Engine(Ok(request)) => match self.catch_up(&embedder).await {
                    Ok(()) => {
                        self.on_request(request);
                        Ok(())
                    }
                    ended => ended,
                },
                Event::Say((message, descriptor)) => {
                    let descriptor = descriptor.as_ref().map(|it| it.as_fd());
                    let sent = embedder.send(&message, descriptor.as_slice()).await;
                    sent.map_err(BrokerError::from)
                }
                // It is gone or corrupt. Its dials go with it; the embedder
                // will send another.
                Event::Engine(Err(_)) => {
                    self.engine = None;
                    Ok(())
                }
            };
            match done {
                Ok(()) => {}
                Err(BrokerError::Channel(ChannelError::Closed)) => return Ok(()),
                Err(why) => return Err(why),
            }
        }
    }

    async fn next(&mut self, embedder: &AsyncChannel<FromBroker, ToBroker>) -> Event {
        let request = async {
            match &mut self.engine {
                Some(engine) => engine.request().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            received = embedder.recv() => Event::Embedder(received),
            request = request => Event::Engine(request),
            Some(denial) = self.reports.recv() => {
                Event::Say((FromBroker::Reported(denial), None))
            }
            Some(Ok(looked)) = self.looks.join_next() => Event::Say(looked),
        }
    }

    /// Resolves for the embedder, beside everything else.
    fn look(&mut self, id: u64, target: Target, deadline_ms: u32) {
        let (dialler, busy) = (Arc::clone(&self.dialler), self.looks.len() >= MAX_LOOKS);
        let allowed = Duration::from_millis(deadline_ms.into()).min(MAX_DEADLINE);
        let deadline = Instant::now() + allowed;
        self.looks.spawn(async move {
            let addresses = match busy {
                true => Err(DialFailure::Busy),
                false => dialler.look(&target.host, Source::System, deadline).await,
            };
            (FromBroker::Looked { id, addresses }, None)
        });
    }

    /// Reads all that the embedder has sent, so that a grant that was sent
    /// before the engine was told of it is known before the engine presents it.
    async fn catch_up(
        &mut self,
        embedder: &AsyncChannel<FromBroker, ToBroker>,
    ) -> Result<(), BrokerError> {
        while is_readable(embedder) {
            let received = embedder.recv().await;
            self.on_embedder(received)?;
        }
        Ok(())
    }

    fn on_embedder(
        &mut self,
        received: Result<(ToBroker, Vec<OwnedFd>), ChannelError>,
    ) -> Result<(), BrokerError> {
        let (message, descriptors) = received?;
        match message {
            ToBroker::PolicyFragment { bytes } => self.fragments.push(&bytes)?,
            ToBroker::Policy { bytes } => {
                let fragments = std::mem::replace(&mut self.fragments, Assembly::of_policy());
                self.policy = Arc::new(fragments.finish(&bytes)?);
            }
            ToBroker::Engine => {
                // The former one's dials end before the new one is served.
                self.engine = None;
                for descriptor in descriptors {
                    let mut engine = Link::new(descriptor)?;
                    for (listener, socket) in self.listeners.all() {
                        engine.pass(listener, socket);
                    }
                    self.engine = Some(engine);
                }
            }
            ToBroker::Grant(grant) => self.grants.insert(grant, Instant::now()),
            ToBroker::SocketGrant(grant) => self.sockets.insert(grant, Instant::now()),
            ToBroker::Revoke(id) => {
                self.grants.revoke(id);
                self.sockets.revoke(id);
                self.servers.revoke(id);
                if let Some(engine) = &mut self.engine {
                    engine.revoke(id);
                }
            }
            ToBroker::Look {
                id,
                target,
                deadline_ms,
            } => self.look(id, target, deadline_ms),
            ToBroker::Listen { listener, address } => {
                let told = match self.listeners.bind(listener, address) {
                    Ok(address) => FromBroker::Listens { listener, address },
                    Err(errno) => FromBroker::Listening {
                        listener,
                        bound: Err(errno),
                    },
                };
                self.listening(listener, told);
            }
            ToBroker::Listener {
                listener,
                made_here,
            } => {
                for descriptor in descriptors {
                    let bound = self.listeners.adopt(listener, descriptor, made_here);
                    self.listening(listener, FromBroker::Listening { listener, bound });
                }
            }
            ToBroker::CloseListener(listener) => self.listeners.close(listener),
            ToBroker::StandingGrant(grant) => self.grants.stand(grant),
            ToBroker::Proxies(proxies) => self.grants.lead(proxies),
            ToBroker::Resolver(grant) => self.servers.replace(grant),
            ToBroker::Hello { .. } | ToBroker::Start { .. } => {
                return Err(BrokerError::OutOfTurn);
            }
        }
        Ok(())
    }

    /// Tells of a listener, and passes its socket on: to the engine, and one that was made
    /// here to the embedder.
    fn listening(&mut self, listener: ListenerId, told: FromBroker) {
        let socket = self.listeners.get(listener);
        let is_new = matches!(told, FromBroker::Listens { .. });
        let kept = socket.clone().filter(|_| is_new);
        self.looks.spawn(async move { (told, kept) });
        if let (Some(engine), Some(socket)) = (&mut self.engine, socket) {
            engine.pass(listener, socket);
        }
    }

    fn on_request(&mut self, request: DialRequest) {
        // The embedder may have replaced the engine since it asked.
        let Some(engine) = &mut self.engine else {
            return;
        };
        let id = match request {
            DialRequest::Cancel { id } => return engine.cancel(id),
            DialRequest::Dial { id, .. }
            | DialRequest::DialFor { id, .. }
            | DialRequest::Connect { id, .. }
            | DialRequest::Lookup { id, .. }
            | DialRequest::LookupFor { id, .. }
            | DialRequest::Associate { id, .. } => id,
        };
        if engine.is_dialling(id) {
            // A number in use twice: an engine that cannot count is corrupt.
            self.engine = None;
        } else if engine.is_full() {
            engine.refuse(id, DialFailure::Busy);
        } else if let Err(failure) = self.begin(request) {
            self.refuse(id, failure);
        }
    }

    /// Starts what was asked for, if there is leave.
    fn begin(&mut self, request: DialRequest) -> Result<(), DialFailure> {
        let (policy, now) = (&self.policy, Instant::now());
        let Some(engine) = &mut self.engine else {
            return Ok(());
        };
        let dialler = Arc::clone(&self.dialler);
        match request {
            DialRequest::Dial {
                id,
                grant,
                deadline_ms,
                found,
            } => {
                let leave = self.grants.take(grant, now).ok_or(DialFailure::NoGrant)?;
                let start = Start {
                    id,
                    grant,
                    leave,
                    source: self.servers.source(found),
                    deadline_ms,
                };
                engine.start(start, dialler, Arc::clone(policy));
            }
            DialRequest::DialFor {
                id,
                grant,
                target,
                method,
                found,
                deadline_ms,
                proxy,
            } => {
                let leave = self.grants.take_for(grant, target, method);
                let leave = match (leave, proxy) {
                    (Some(leave), Some(first)) => {
                        let own = self.listeners.addresses();
                        self.grants.lead_to(leave, first, own)
                    }
                    (leave, _) => leave,
                };
                let start = Start {
                    id,
                    grant,
                    leave: leave.ok_or(DialFailure::NoGrant)?,
                    source: self.servers.source(found),
                    deadline_ms,
                };
                engine.start(start, dialler, Arc::clone(policy));
            }
            DialRequest::Connect {
                id,
                grant,
                address,
                transport,
                deadline_ms,
            } => {
                let leave = match self.servers.connect(grant, address, transport) {
                    Some(answer) => answer.map(|()| None)?,
                    None => Some(
                        self.sockets
                            .connect(policy, grant, address, transport, now)?,
                    ),
                };
                let start = StartSocket {
                    id,
                    grant,
                    to: address,
                    deadline_ms,
                };
                engine.connect(start, (transport, leave), dialler);
            }
            DialRequest::Lookup {
                id,
                grant,
                host,
                deadline_ms,
                found,
            } => {
                let leave = self.sockets.lookup(policy, grant, &host, now)?;
                let start = StartSocket {
                    id,
                    grant,
                    to: (host, self.servers.source(found)),
                    deadline_ms,
                };
                engine.look_up(start, leave, dialler, Arc::clone(policy));
            }
            DialRequest::LookupFor {
                id,
                grant,
                target,
                method,
                found,
                deadline_ms,
            } => {
                let leave = self.grants.take_for(grant, target, method);
                let leave = leave.filter(|_| self.grants.may_lead());
                let Leave { target, terms, .. } = leave.ok_or(DialFailure::NoGrant)?;
                let host = target.host.clone();
                let leave = LookupLeave::of(policy, target, terms)?;
                let start = StartSocket {
                    id,
                    grant,
                    to: (host, self.servers.source(found)),
                    deadline_ms,
                };
                engine.look_up(start, leave, dialler, Arc::clone(policy));
            }
            DialRequest::Associate {
                id,
                grant,
                listener,
                at,
                client,
                deadline_ms,
            } => {
                let terms = self.grants.terms_of(grant, None);
                let terms = terms.ok_or(DialFailure::NoGrant)?;
                let at = self.listeners.beside(listener, at);
                let at = at.ok_or(DialFailure::NoGrant)?;
                let denied = |reason| {
                    let target = Target::datagrams(client);
                    DialFailure::Denied(Denial { target, reason })
                };
                policy.decide_datagrams(&terms).map_err(denied)?;
                engine.associate(StartSocket {
                    id,
                    grant,
                    to: (at, client),
                    deadline_ms,
                });
            }
            DialRequest::Cancel { .. } => {}
        }
        Ok(())
    }

    fn refuse(&mut self, id: u64, failure: DialFailure) {
        if let Some(engine) = &mut self.engine {
            engine.refuse(id, failure);
        }
    }
}

/// Whether a message or the end waits to be read, asked of the kernel itself:
/// what the runtime remembers may be older than the engine's request.
fn is_readable(channel: &impl AsFd) -> bool {
    const AT_ONCE: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut asked = [PollFd::new(channel, PollFlags::IN)];
    retry_on_intr(|| poll(&mut asked, Some(&AT_ONCE))) != Ok(0)
}
