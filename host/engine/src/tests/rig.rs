//! An engine in this process, without its sandbox, and an embedder to talk to it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64};
use std::time::Duration;

use fumehood_control::{
    Assembly, Cause, Exchange, ExchangeId, Failure, FaultReport, Field, Instance, Inventory,
    JourneyEvent, ModuleHeader, ModuleState, ModuleStatus, NameAnswer, NameQuery, ResolverSetup,
    ResponseHead, Summary, ToEmbedder, ToEngine, Unresolved, fragments,
};
use fumehood_policy::Scheme;
use fumehood_sandbox::Channel;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, Semaphore};

use super::exchange::{broker, request};
use super::origin::Origin;
use crate::dialer::Dialer;
use crate::dns::Names;
use crate::hub::Hub;
use crate::idle::Idle;
use crate::instance::Ticker;
use crate::outbox::Outbox;
use crate::proxy::Proxy;
use crate::registry::{Limits, Registry, fixtures};
use crate::serve;
use crate::tls::Anchors;
use crate::turns::Turns;
use crate::upstream::Tokens;

/// After which a test that waits has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the engines of these tests are like, unless a test says otherwise.
pub(crate) const LIMITS: Limits = Limits {
    instances: 40,
    quarantine_faults: 1000,
    quarantine_window: Duration::from_secs(3600),
    drain: Duration::from_secs(3600),
    record: false,
};

/// The engine, and its embedder.
pub(crate) struct Rig {
    pub(crate) hub: Arc<Hub>,
    engine: Channel<ToEngine, ToEmbedder>,
    inbox: VecDeque<ToEmbedder>,
    next: u64,
    _runtime: Runtime,
}

/// An exchange under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Started(ExchangeId);

/// What an exchange came to.
pub(crate) struct Done {
    pub(crate) journey: Vec<JourneyEvent>,
    pub(crate) head: Option<ResponseHead>,
    pub(crate) trailers: Vec<Field>,
    pub(crate) body: Vec<u8>,
    pub(crate) outcome: Result<Summary, Failure>,
}

impl Done {
    /// Instances that took over, by version.
    pub(crate) fn resumed(&self) -> Vec<&str> {
        self.versions(|event| match event {
            JourneyEvent::Resumed(instance) => Some(instance),
            _ => None,
        })
    }

    /// Instances that were made, by version.
    pub(crate) fn made(&self) -> Vec<&str> {
        self.versions(|event| match event {
            JourneyEvent::Instantiated(instance) => Some(instance),
            _ => None,
        })
    }

    fn versions(&self, pick: impl Fn(&JourneyEvent) -> Option<&Instance>) -> Vec<&str> {
        self.journey
            .iter()
            .filter_map(pick)
            .map(|instance| instance.version.as_str())
            .collect()
    }

    pub(crate) fn guest_fault(&self) -> (&str, &str) {
        match &self.outcome {
            Err(Failure {
                cause: Cause::Guest { kind, detail, .. },
                ..
            }) => (kind, detail),
            other => panic!("{other:?}"),
        }
    }
}

impl Rig {
    /// With versions of `http1`: the file and the number that each is known
    /// by. The last is current, those before were.
    pub(crate) fn new(limits: Limits, versions: &[(&str, u8)]) -> Rig {
        let versions: Vec<_> = versions
            .iter()
            .map(|&(file, number)| ("http1", file, number))
            .collect();
        Rig::with(limits, &[], &versions)
    }

    /// With trust anchors, and versions of any module.
    pub(crate) fn with(limits: Limits, anchors: &[Vec<u8>], versions: &[(&str, &str, u8)]) -> Rig {
        let registry = Registry::new(limits, Anchors::of(anchors)).unwrap();
        for (name, file, number) in versions {
            fixtures::put(&registry, name, file, *number).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (outbox, outgoing) = Outbox::new();
        let (ours, theirs) = Channel::<ToEngine, ToEmbedder>::pair().unwrap();
        let (hub, control) = {
            let _inside = runtime.enter();
            let hub = Arc::new(Hub {
                ticker: Ticker::start(registry.engine().clone()).unwrap(),
                registry: Arc::new(registry),
                dialer: Dialer::new(broker().into_async().unwrap()),
                names: Names::new(),
                idle: Idle::new(16, 16, PATIENCE),
                // More than the pool has: it is the pool that these tests are about.
                turns: Turns::new(32, 32),
                room: Arc::new(Semaphore::new(16)),
                places: 16,
                made: AtomicU64::new(0),
                wanted: Notify::new(),
                outbox,
                key_log: None,
                proxy: Proxy::new(),
                tokens: Tokens::default(),
                pressure: AtomicU16::new(0),
            });
            (hub, theirs.into_async().unwrap())
        };
        let serving = Arc::clone(&hub);
        runtime.spawn(async move { serve::serve(control, serving, outgoing, 16).await });
        let fd = ours.into_fd();
        let timeout = rustix::net::sockopt::Timeout::Recv;
        rustix::net::sockopt::set_socket_timeout(&fd, timeout, Some(PATIENCE)).unwrap();
        Rig {
            hub,
            engine: Channel::from_fd(fd).unwrap(),
            inbox: VecDeque::new(),
            next: 0,
            _runtime: runtime,
        }
    }

    pub(crate) fn tell(&self, message: &ToEngine) {
        self.engine.send(message, &[]).unwrap();
    }

    /// Offers a module to the running engine; its answer follows.
    pub(crate) fn offer(&mut self, name: &str, code: &OwnedFd, number: u8) -> ToEmbedder {
        let header = ModuleHeader {
            name: name.to_owned(),
            version: format!("0.0.{number}"),
            digest: fixtures::digest(number),
        };
        self.engine
            .send(&ToEngine::Module(header), &[code.as_fd()])
            .unwrap();
        self.wait(|message| match message {
            ToEmbedder::ModuleLoaded { .. } | ToEmbedder::ModuleRefused { .. } => {
                Pick::Done(message.clone())
            }
            _ => Pick::Leave,
        })
    }

    /// Makes a version of `http1` current.
    pub(crate) fn swap(&mut self, number: u8) -> ToEmbedder {
        self.swap_of("http1", number)
    }

    /// Makes a version of any module current.
    pub(crate) fn swap_of(&mut self, name: &str, number: u8) -> ToEmbedder {
        let digest = fixtures::digest(number);
        self.tell(&ToEngine::Swap {
            name: name.to_owned(),
            digest,
        });
        self.wait_for_swap()
    }

    pub(crate) fn wait_for_swap(&mut self) -> ToEmbedder {
        self.wait(|message| match message {
            ToEmbedder::Swapped { .. } | ToEmbedder::ModuleRefused { .. } => {
                Pick::Done(message.clone())
            }
            _ => Pick::Leave,
        })
    }

    pub(crate) fn inventory(&mut self) -> Vec<ModuleStatus> {
        self.inspect().modules
    }

    pub(crate) fn inspect(&mut self) -> Inventory {
        self.tell(&ToEngine::Inspect);
        let mut assembly = Assembly::default();
        let last = self.wait(|message| match message {
            ToEmbedder::InventoryFragment { bytes } => {
                assembly.push(bytes).unwrap();
                Pick::Take
            }
            ToEmbedder::Inventory { bytes } => Pick::Done(bytes.clone()),
            _ => Pick::Leave,
        });
        assembly.finish(&last).unwrap()
    }

    /// Waits until so many connections are idle, with so many guests of a version.
    pub(crate) fn wait_for_idle(&mut self, idle: usize, number: u8, live: u64) {
        let begun = std::time::Instant::now();
        // In this order: a sweep gives a connection its new guest first, and only then
        // puts it back among the idle ones.
        while (self.version(number).live, self.hub.idle.count()) != (live, idle) {
            assert!(begun.elapsed() < PATIENCE, "it never is so");
        }
    }

    /// Waits until idle connections have left a version of `http1`.
    pub(crate) fn wait_until_left(&mut self, number: u8) {
        let begun = std::time::Instant::now();
        while self.version(number).live > 0 {
            assert!(begun.elapsed() < PATIENCE, "somebody stays");
        }
    }

    /// Waits until a version of `http1` stands so.
    pub(crate) fn wait_until(&mut self, number: u8, state: ModuleState) {
        let begun = std::time::Instant::now();
        while self.version(number).state != state {
            assert!(begun.elapsed() < PATIENCE, "it never does");
        }
    }

    /// A version of `http1`, from the inventory.
    pub(crate) fn version(&mut self, number: u8) -> ModuleStatus {
        let digest = fixtures::digest(number);
        self.inventory()
            .into_iter()
            .find(|status| status.header.digest == digest)
            .unwrap()
    }

    pub(crate) fn report(&mut self) -> FaultReport {
        let mut assembly = Assembly::default();
        let last = self.wait(|message| match message {
            ToEmbedder::ReportFragment { bytes, .. } => {
                assembly.push(bytes).unwrap();
                Pick::Take
            }
            ToEmbedder::Report { bytes, .. } => Pick::Done(bytes.clone()),
            _ => Pick::Leave,
        });
        assembly.finish(&last).unwrap()
    }

    /// Has the resolver's guest answer a query under this setup.
    pub(crate) fn resolve(
        &mut self,
        setup: ResolverSetup,
        query: NameQuery,
    ) -> Result<NameAnswer, Unresolved> {
        self.hub.names.set_up(setup);
        self.next += 1;
        let id = self.next;
        self.tell(&ToEngine::Resolve { id, query });
        let bytes = self.wait(|message| match message {
            ToEmbedder::Resolved { bytes, .. } => Pick::Done(bytes.clone()),
            _ => Pick::Leave,
        });
        Assembly::default().finish(&bytes).unwrap()
    }

    /// A GET from begin to end.
    pub(crate) fn get(&mut self, origin: &Origin, path: &str) -> Done {
        self.get_with(origin, path, false)
    }

    pub(crate) fn get_with(&mut self, origin: &Origin, path: &str, fresh: bool) -> Done {
        let (started, sink) = self.begin(origin, path, fresh);
        self.finish(started, sink)
    }

    pub(crate) fn begin(&mut self, origin: &Origin, path: &str, fresh: bool) -> (Started, File) {
        self.ask(&request(Scheme::Http, origin.address, path, fresh))
    }

    /// An exchange without a payload of its own.
    pub(crate) fn ask(&mut self, request: &Exchange) -> (Started, File) {
        self.send(request, None)
    }

    /// One that reads its payload from `source`.
    pub(crate) fn upload(&mut self, request: &Exchange, source: OwnedFd) -> (Started, File) {
        self.send(request, Some(source))
    }

    fn send(&mut self, request: &Exchange, source: Option<OwnedFd>) -> (Started, File) {
        self.next += 1;
        let id = ExchangeId(self.next);
        let sink =
            File::from(rustix::fs::memfd_create("sink", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
        let mut pieces = fragments(request).unwrap();
        let last = pieces.pop().unwrap();
        assert!(pieces.is_empty());
        let exchange = ToEngine::Exchange {
            id,
            bytes: last,
            with_source: source.is_some(),
        };
        let mut fds = vec![sink.as_fd()];
        fds.extend(source.as_ref().map(AsFd::as_fd));
        self.engine.send(&exchange, &fds).unwrap();
        (Started(id), sink)
    }

    /// Waits for an exchange's final head.
    pub(crate) fn wait_for_head(&mut self, started: Started) {
        let is_head = |message: &ToEmbedder| matches!(message, ToEmbedder::Head { id, .. } if *id == started.0);
        if !self.inbox.iter().any(is_head) {
            loop {
                let message = self.engine.recv().unwrap().0;
                let found = is_head(&message);
                self.inbox.push_back(message);
                if found {
                    return;
                }
            }
        }
    }

    /// Waits for an informational response.
    pub(crate) fn wait_for_informational(&mut self, started: Started) {
        self.wait(|message| match message {
            ToEmbedder::Informational { id, .. } if *id == started.0 => Pick::Done(()),
            ToEmbedder::Finished { id, outcome } if *id == started.0 => panic!("{outcome:?}"),
            _ => Pick::Leave,
        });
    }

    pub(crate) fn finish(&mut self, started: Started, mut sink: File) -> Done {
        let mut done = Done {
            journey: Vec::new(),
            head: None,
            trailers: Vec::new(),
            body: Vec::new(),
            outcome: Err(crate::exchange::failure(
                Cause::Cancelled,
                fumehood_control::RetrySafety::NotSent,
            )),
        };
        let mut assembly = Assembly::default();
        done.outcome = self.wait(|message| match message {
            ToEmbedder::Journey { id, event } if *id == started.0 => {
                done.journey.push(event.clone());
                Pick::Take
            }
            ToEmbedder::HeadFragment { id, bytes } if *id == started.0 => {
                assembly.push(bytes).unwrap();
                Pick::Take
            }
            ToEmbedder::Head { id, bytes } if *id == started.0 => {
                let head = std::mem::take(&mut assembly).finish(bytes).unwrap();
                assert!(done.head.replace(head).is_none());
                Pick::Take
            }
            ToEmbedder::Trailers { id, bytes } if *id == started.0 => {
                done.trailers = std::mem::take(&mut assembly).finish(bytes).unwrap();
                Pick::Take
            }
            ToEmbedder::Finished { id, outcome } if *id == started.0 => Pick::Done(outcome.clone()),
            _ => Pick::Leave,
        });
        sink.rewind().unwrap();
        sink.read_to_end(&mut done.body).unwrap();
        done
    }

    /// Reads messages until one is it. Those that are left wait for others.
    fn wait<T>(&mut self, mut pick: impl FnMut(&ToEmbedder) -> Pick<T>) -> T {
        let mut waiting = std::mem::take(&mut self.inbox);
        loop {
            let message = waiting
                .pop_front()
                .unwrap_or_else(|| self.engine.recv().unwrap().0);
            match pick(&message) {
                Pick::Leave => self.inbox.push_back(message),
                Pick::Take => {}
                Pick::Done(found) => {
                    self.inbox.append(&mut waiting);
                    return found;
                }
            }
        }
    }
}

/// What becomes of a message.
enum Pick<T> {
    /// It is for others.
    Leave,
    /// It is a part of what is waited for.
    Take,
    /// It is the last part.
    Done(T),
}
