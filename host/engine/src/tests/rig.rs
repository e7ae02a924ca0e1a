//! An engine in this process, without its sandbox, and an embedder to talk to it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::time::Duration;

use fumehood_control::{
    Assembly, Cause, Deadlines, DialReply, DialRequest, Exchange, ExchangeId, Failure, FaultReport,
    Field, GrantId, Instance, JourneyEvent, ModuleHeader, ModuleStatus, PayloadLength,
    ResponseHead, Summary, TlsOptions, TlsVersion, ToEmbedder, ToEngine, Verification, fragments,
};
use fumehood_policy::{Host, Scheme, Target};
use fumehood_sandbox::Channel;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::origin::Origin;
use crate::dialer::Dialer;
use crate::hub::Hub;
use crate::idle::Idle;
use crate::instance::Ticker;
use crate::outbox::Outbox;
use crate::registry::{Limits, Registry, fixtures};
use crate::serve;
use crate::tls::Anchors;

/// After which a test that waits has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the engines of these tests are like, unless a test says otherwise.
pub(super) const LIMITS: Limits = Limits {
    instances: 40,
    quarantine_faults: 1000,
    quarantine_window: Duration::from_secs(3600),
    drain: Duration::from_secs(3600),
    record: false,
};

/// The engine, and its embedder.
pub(super) struct Rig {
    pub(super) hub: Arc<Hub>,
    engine: Channel<ToEngine, ToEmbedder>,
    inbox: VecDeque<ToEmbedder>,
    next: u64,
    _runtime: Runtime,
}

/// An exchange under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Started(ExchangeId);

/// What an exchange came to.
pub(super) struct Done {
    pub(super) journey: Vec<JourneyEvent>,
    pub(super) head: Option<ResponseHead>,
    pub(super) trailers: Vec<Field>,
    pub(super) body: Vec<u8>,
    pub(super) outcome: Result<Summary, Failure>,
}

impl Done {
    /// Instances that took over, by version.
    pub(super) fn resumed(&self) -> Vec<&str> {
        self.versions(|event| match event {
            JourneyEvent::Resumed(instance) => Some(instance),
            _ => None,
        })
    }

    /// Instances that were made, by version.
    pub(super) fn made(&self) -> Vec<&str> {
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

    pub(super) fn guest_fault(&self) -> (&str, &str) {
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
    pub(super) fn new(limits: Limits, versions: &[(&str, u8)]) -> Rig {
        let registry = Registry::new(limits, Anchors::default()).unwrap();
        for (file, number) in versions {
            fixtures::put(&registry, "http1", file, *number).unwrap();
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
                idle: Idle::new(16, PATIENCE),
                room: Arc::new(Semaphore::new(16)),
                outbox,
                key_log: None,
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

    pub(super) fn tell(&self, message: &ToEngine) {
        self.engine.send(message, &[]).unwrap();
    }

    /// Offers a module to the running engine; its answer follows.
    pub(super) fn offer(&mut self, name: &str, code: &OwnedFd, number: u8) -> ToEmbedder {
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
    pub(super) fn swap(&mut self, number: u8) -> ToEmbedder {
        let digest = fixtures::digest(number);
        self.tell(&ToEngine::Swap {
            name: "http1".to_owned(),
            digest,
        });
        self.wait_for_swap()
    }

    pub(super) fn wait_for_swap(&mut self) -> ToEmbedder {
        self.wait(|message| match message {
            ToEmbedder::Swapped { .. } | ToEmbedder::ModuleRefused { .. } => {
                Pick::Done(message.clone())
            }
            _ => Pick::Leave,
        })
    }

    pub(super) fn inventory(&mut self) -> Vec<ModuleStatus> {
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

    /// A version of `http1`, from the inventory.
    pub(super) fn version(&mut self, number: u8) -> ModuleStatus {
        let digest = fixtures::digest(number);
        self.inventory()
            .into_iter()
            .find(|status| status.header.digest == digest)
            .unwrap()
    }

    pub(super) fn report(&mut self) -> FaultReport {
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

    /// A GET from begin to end.
    pub(super) fn get(&mut self, origin: &Origin, path: &str) -> Done {
        self.get_with(origin, path, false)
    }

    pub(super) fn get_with(&mut self, origin: &Origin, path: &str, fresh: bool) -> Done {
        let (started, sink) = self.begin(origin, path, fresh);
        self.finish(started, sink)
    }

    pub(super) fn begin(&mut self, origin: &Origin, path: &str, fresh: bool) -> (Started, File) {
        self.next += 1;
        let id = ExchangeId(self.next);
        let sink =
            File::from(rustix::fs::memfd_create("sink", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
        let mut pieces = fragments(&request(origin, path, fresh)).unwrap();
        let last = pieces.pop().unwrap();
        assert!(pieces.is_empty());
        let exchange = ToEngine::Exchange {
            id,
            bytes: last,
            with_source: false,
        };
        self.engine.send(&exchange, &[sink.as_fd()]).unwrap();
        (Started(id), sink)
    }

    /// Waits for an exchange's final head.
    pub(super) fn wait_for_head(&mut self, started: Started) {
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

    pub(super) fn finish(&mut self, started: Started, mut sink: File) -> Done {
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

fn request(origin: &Origin, path: &str, fresh: bool) -> Exchange {
    let target = Target {
        scheme: Scheme::Http,
        host: Host::V4(Ipv4Addr::LOCALHOST),
        port: origin.address.port(),
    };
    let host = Field {
        name: "host".to_owned(),
        value: target.authority().into_bytes(),
    };
    Exchange {
        grant: GrantId(target.port.into()),
        target,
        method: "GET".to_owned(),
        path: path.to_owned(),
        fields: vec![host],
        payload: PayloadLength::None,
        source_end: fumehood_control::SourceEnd::EndOfFile,
        tls: TlsOptions {
            verification: Verification::Full,
            min_version: TlsVersion::V1_2,
            max_version: TlsVersion::V1_3,
        },
        deadlines: Deadlines {
            connect_ms: 30_000,
            tls_ms: 30_000,
            head_ms: 30_000,
            idle_ms: 30_000,
            total_ms: 60_000,
        },
        fresh_connection: fresh,
        leave: None,
    }
}

/// A broker that dials the loopback port that a grant is called.
fn broker() -> Channel<DialRequest, DialReply> {
    let (engine, broker) = Channel::<DialRequest, DialReply>::pair().unwrap();
    std::thread::spawn(move || {
        while let Ok((DialRequest::Dial { id, grant, .. }, _)) = broker.recv() {
            let peer = (Ipv4Addr::LOCALHOST, u16::try_from(grant.0).unwrap()).into();
            let stream = TcpStream::connect(peer).unwrap();
            stream.set_nonblocking(true).unwrap();
            let reply = DialReply::Connected {
                id,
                peer,
                refused: Vec::new(),
                attempts: Vec::new(),
                resolve_us: 0,
                connect_us: 1,
            };
            broker.send(&reply, &[stream.as_fd()]).unwrap();
        }
    });
    engine
}
