//! Names served over sockets that the embedder gives: bounds, faults, other engines.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fumehood::control::{AccessOutcome, AccessRecord, ClientProtocol};
use fumehood::{Dns, Engine, EngineBuilder, Module, NameOptions, Proxy};
use fumehood_tests::artifacts::native_code;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Test, test};
use crate::support::{builder, own};

pub(crate) const TESTS: [Test; 5] = [
    test(
        "inside::a_guest_that_ends_over_a_question_costs_that_one",
        || Box::pin(faults()),
    ),
    test("inside::a_stream_has_its_bounds", || Box::pin(streams())),
    test("inside::datagrams_of_all_lengths_are_taken", || {
        Box::pin(lengths())
    }),
    test("inside::another_policy_holds_at_once", || {
        Box::pin(policies())
    }),
    test("inside::another_engine_answers_too", || Box::pin(killed())),
];

/// A crowded machine gets the rest.
const PATIENCE: Duration = Duration::from_secs(30);

/// Long enough for a reply that does come, and short enough to wait for one that
/// does not.
const SILENCE: Duration = Duration::from_secs(1);

const REFUSED: u8 = 5;

/// Names served on loopback, and who asks.
struct Served {
    proxy: Proxy,
    stream: SocketAddr,
    client: tokio::net::UdpSocket,
    /// Records that came with one before.
    told: VecDeque<AccessRecord>,
}

impl Served {
    async fn by(engine: &Engine) -> Served {
        let streams = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = streams.local_addr().unwrap();
        let there = datagrams.local_addr().unwrap();
        let options = NameOptions {
            sockets: [Arc::new(streams.into()), Arc::new(datagrams.into())],
            client: None,
            records: true,
        };
        let proxy = engine.serve_names(options).await.unwrap();
        let client = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let client = client.await.unwrap();
        client.connect(there).await.unwrap();
        Served {
            proxy,
            stream,
            client,
            told: VecDeque::new(),
        }
    }

    /// The reply's code and its first address, if any comes in time.
    async fn ask(&self, name: &str, within: Duration) -> Option<(u8, Option<[u8; 4]>)> {
        let question = question(name);
        self.client.send(&question).await.unwrap();
        let mut reply = [0; 2048];
        let received = timeout(within, self.client.recv(&mut reply)).await;
        Some(read(&question, &reply[..received.ok()?.unwrap()]))
    }

    async fn record(&mut self) -> AccessRecord {
        while self.told.is_empty() {
            let records = timeout(PATIENCE, self.proxy.records()).await;
            self.told.extend(records.unwrap().unwrap());
        }
        self.told.pop_front().unwrap()
    }
}

/// For an A record.
fn question(name: &str) -> Vec<u8> {
    let mut bytes = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&length, message].concat()
}

fn read(question: &[u8], reply: &[u8]) -> (u8, Option<[u8; 4]>) {
    assert_eq!(reply[..2], question[..2]);
    assert_eq!(reply[12..question.len()], question[12..]);
    // Behind the question: a pointer, type, class, TTL and length.
    let address = reply.get(question.len() + 12..question.len() + 16);
    (reply[3] & 0x0f, address.map(|it| it.try_into().unwrap()))
}

/// The name is known by the host table, so that no server has a part in it.
async fn engine(builder: EngineBuilder, folder: &fumehood_tests::temp::TempDir) -> Engine {
    let hosts = "192.0.2.7 known.test question-fumehood-fault-trap.test\n";
    let dns = Dns {
        resolv_conf: PathBuf::from("/nonexistent/resolv.conf"),
        hosts: folder.write("hosts", hosts).unwrap(),
        ..Dns::default()
    };
    let allowed = builder.allow_private("*.test".parse().unwrap()).unwrap();
    allowed.dns(dns).launch().await.unwrap()
}

const KNOWN: (u8, Option<[u8; 4]>) = (0, Some([192, 0, 2, 7]));

/// The guest that resolves is another instance, and goes on.
async fn faults() {
    let folder = fumehood_tests::temp::TempDir::new().unwrap();
    let mut modules = Module::embedded_defaults();
    modules.retain(|module| module.name != "dns");
    modules.push(Module {
        name: "dns".into(),
        version: "1.0.0".into(),
        digest: [9; 32],
        code: std::fs::read(native_code("dns-faulty")).unwrap().into(),
    });
    let engine = engine(builder().modules(modules), &folder).await;
    let served = Served::by(&engine).await;
    let poison = "question-fumehood-fault-trap.test";
    assert_eq!(served.ask(poison, SILENCE).await, None);
    assert_eq!(served.ask("known.test", PATIENCE).await, Some(KNOWN));
    // On a stream it ends that stream alone.
    let mut stream = TcpStream::connect(served.stream).await.unwrap();
    stream.write_all(&framed(&question(poison))).await.unwrap();
    let ended = timeout(PATIENCE, stream.read(&mut [0; 16])).await.unwrap();
    assert_eq!(ended.unwrap_or(0), 0);
    assert_eq!(served.ask("known.test", PATIENCE).await, Some(KNOWN));
    assert_eq!(engine.launch_report().await.restarts, 0);
}

async fn streams() {
    let folder = fumehood_tests::temp::TempDir::new().unwrap();
    let engine = engine(builder(), &folder).await;
    let mut served = Served::by(&engine).await;
    let connect = || async { TcpStream::connect(served.stream).await.unwrap() };
    // Several questions in one stream, in pieces as they come.
    let mut stream = connect().await;
    let asked = question("known.test");
    for _ in 0..2 {
        stream.write_all(&framed(&asked)).await.unwrap();
    }
    for _ in 0..2 {
        let length = timeout(PATIENCE, stream.read_u16()).await.unwrap().unwrap();
        let mut reply = vec![0; length.into()];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(read(&asked, &reply), KNOWN);
    }
    // One longer than any question is not waited for.
    let mut greedy = connect().await;
    greedy.write_all(&[0xff, 0xff, 0, 0]).await.unwrap();
    let ended = timeout(PATIENCE, greedy.read(&mut [0; 16])).await.unwrap();
    assert_eq!(ended.unwrap_or(0), 0);
    // Nor is a reply that is none of ours.
    let mut response = asked.clone();
    response[2] |= 0x80;
    let mut chatty = connect().await;
    chatty.write_all(&framed(&response)).await.unwrap();
    let ended = timeout(PATIENCE, chatty.read(&mut [0; 16])).await.unwrap();
    assert_eq!(ended.unwrap_or(0), 0);
    // Each question is told of, and of those no other.
    for _ in 0..2 {
        let record = served.record().await;
        assert_eq!(record.protocol, ClientProtocol::Dns);
        assert_eq!((&*record.method, &*record.target), ("A", "known.test"));
        assert_eq!(record.outcome, AccessOutcome::Served);
        assert!(record.client.is_some() && record.sent > record.received);
    }
    assert_eq!(served.proxy.records_at_once(), None);
}

async fn lengths() {
    let folder = fumehood_tests::temp::TempDir::new().unwrap();
    let engine = engine(builder(), &folder).await;
    let served = Served::by(&engine).await;
    let good = question("known.test");
    for length in [0, 1, 11, 4096, 4097, 60_000] {
        let mut bytes = vec![0xff; length];
        bytes.iter_mut().zip(&good).for_each(|(to, it)| *to = *it);
        // Ours of the right kind, so that the long ones are no reason to be silent.
        served.client.send(&bytes).await.unwrap();
    }
    let mut reply = [0; 2048];
    // Of those only the fourth is a question; what is behind it does not count.
    let received = timeout(PATIENCE, served.client.recv(&mut reply)).await;
    assert_eq!(read(&good, &reply[..received.unwrap().unwrap()]), KNOWN);
    assert_eq!(served.ask("known.test", PATIENCE).await, Some(KNOWN));
    let other = timeout(SILENCE, served.client.recv(&mut reply)).await;
    assert!(other.is_err(), "{other:?}");
}

async fn policies() {
    let folder = fumehood_tests::temp::TempDir::new().unwrap();
    let engine = engine(builder(), &folder).await;
    let mut served = Served::by(&engine).await;
    assert_eq!(served.ask("known.test", PATIENCE).await, Some(KNOWN));
    let none = fumehood::policy::Policy::deny_by_default();
    engine.set_policy(none).await.unwrap();
    let refused = served.ask("known.test", PATIENCE).await;
    assert_eq!(refused, Some((REFUSED, None)));
    assert_eq!(served.record().await.outcome, AccessOutcome::Served);
    let denied = AccessOutcome::Denied("not-allowed".to_owned());
    assert_eq!(served.record().await.outcome, denied);
}

async fn killed() {
    let folder = fumehood_tests::temp::TempDir::new().unwrap();
    let engine = engine(builder(), &folder).await;
    let served = Served::by(&engine).await;
    assert_eq!(served.ask("known.test", PATIENCE).await, Some(KNOWN));
    own("engine").kill().unwrap();
    // As a program does that gets no answer.
    let mut tries = 0;
    while served.ask("known.test", SILENCE).await != Some(KNOWN) {
        tries += 1;
        assert!(tries < 30, "another engine was not told");
    }
}
