//! Modules that come after the sandbox has closed: loaded, swapped, crashed and
//! resumed in a real engine process, which any forbidden call would kill.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test with its own main"
)]

#[allow(
    dead_code,
    reason = "shared with the tests inside the crate, which use all of it"
)]
#[path = "../src/tests/origin.rs"]
mod origin;

#[path = "../src/tests/exchange.rs"]
mod exchange;

use std::io::{Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::process::{Command, ExitCode};

use exchange::{broker, request};
use fumehood_control::{
    EngineSetup, ExchangeId, JourneyEvent, Layer, LayerState, ModuleHeader, PROTOCOL_VERSION,
    ToEmbedder, ToEngine, fragments,
};
use fumehood_policy::Scheme;
use fumehood_sandbox::{Channel, sealed};
use origin::{Origin, payload};

type Embedder = Channel<ToEngine, ToEmbedder>;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("engine") {
        return fumehood_engine::run();
    }
    modules_come_and_go_in_a_sealed_engine();
    println!("test modules_come_and_go_in_a_sealed_engine ... ok");
    ExitCode::SUCCESS
}

fn modules_come_and_go_in_a_sealed_engine() {
    let (embedder, theirs) = Embedder::pair().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("engine")
        .env_clear()
        .stdin(theirs.into_fd())
        .spawn()
        .unwrap();
    start(&embedder);
    let origin = Origin::start();
    get(&embedder, &origin, "/plain/100", &["0.0.1"], &[]);
    let took = load(&embedder, "http1", "http1-faulty", 2);
    println!("  late load of http1: {took} us");
    println!("  swap: {} us", swap(&embedder, "http1", 2));
    get(
        &embedder,
        &origin,
        "/chunks/later/100/50",
        &["0.0.2"],
        &["0.0.1"],
    );
    for name in ["tls", "x509"] {
        let took = load(&embedder, name, name, 2);
        println!(
            "  late load of {name}: {took} us; swap: {} us",
            swap(&embedder, name, 2)
        );
    }
    let mut times: Vec<u64> = (3..40)
        .map(|number| load(&embedder, "http1", "http1", number) + swap(&embedder, "http1", number))
        .collect();
    times.sort_unstable();
    println!(
        "  load and swap: median {} us of {}",
        times[times.len() / 2],
        times.len()
    );
    get(&embedder, &origin, "/plain/100", &["0.0.39"], &[]);
    drop(embedder);
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
}

fn start(embedder: &Embedder) {
    let setup = EngineSetup {
        required: vec![Layer::Seccomp, Layer::Mdwe],
        max_instances: 24,
        max_exchanges: 4,
        max_idle_connections: 0,
        idle_connection_ms: 1000,
        max_per_origin: 6,
        max_per_proxy: 32,
        max_connections: 512,
        quarantine_faults: 100,
        quarantine_window_ms: 1000,
        drain_ms: 0,
        record: false,
        key_log: false,
    };
    embedder
        .send(
            &ToEngine::Hello {
                version: PROTOCOL_VERSION,
                setup,
            },
            &[],
        )
        .unwrap();
    for name in ["http1", "tls", "x509"] {
        offer(embedder, name, name, 1);
    }
    let broker = broker().into_fd();
    embedder.send(&ToEngine::Broker, &[broker.as_fd()]).unwrap();
    embedder.send(&ToEngine::Start, &[]).unwrap();
    match embedder.recv().unwrap().0 {
        ToEmbedder::Ready { layers, .. } => {
            let holds = |layer| {
                layers.iter().any(|report| {
                    report.layer == layer && matches!(report.state, LayerState::Holds(_))
                })
            };
            assert!(holds(Layer::Seccomp) && holds(Layer::Mdwe));
        }
        other => panic!("{other:?}"),
    }
}

fn offer(embedder: &Embedder, name: &str, file: &str, number: u8) {
    let path = format!(
        "{}/../../target/guests/out/{file}.cwasm",
        env!("CARGO_MANIFEST_DIR")
    );
    let native = std::fs::read(path).expect("the guests are built by `cargo xtask guests`");
    let code = sealed(name, &[&native]).unwrap();
    let header = ModuleHeader {
        name: name.to_owned(),
        version: format!("0.0.{number}"),
        digest: [number; 32],
    };
    embedder
        .send(&ToEngine::Module(header), &[code.as_fd()])
        .unwrap();
}

fn load(embedder: &Embedder, name: &str, file: &str, number: u8) -> u64 {
    offer(embedder, name, file, number);
    match answer(embedder) {
        ToEmbedder::ModuleLoaded { took_us, .. } => took_us,
        other => panic!("{other:?}"),
    }
}

fn swap(embedder: &Embedder, name: &str, number: u8) -> u64 {
    embedder
        .send(
            &ToEngine::Swap {
                name: name.to_owned(),
                digest: [number; 32],
            },
            &[],
        )
        .unwrap();
    match answer(embedder) {
        ToEmbedder::Swapped { took_us, .. } => took_us,
        other => panic!("{other:?}"),
    }
}

/// The next message that is no report.
fn answer(embedder: &Embedder) -> ToEmbedder {
    loop {
        match embedder.recv().unwrap().0 {
            ToEmbedder::Report { .. } | ToEmbedder::ReportFragment { .. } => {}
            other => return other,
        }
    }
}

/// A GET whose payload is whole, in instances of these versions.
fn get(embedder: &Embedder, origin: &Origin, path: &str, made: &[&str], resumed: &[&str]) {
    let mut sink = std::fs::File::from(
        rustix::fs::memfd_create("sink", rustix::fs::MemfdFlags::CLOEXEC).unwrap(),
    );
    let request = request(Scheme::Http, origin.address, path, true);
    let bytes = fragments(&request).unwrap().pop().unwrap();
    let exchange = ToEngine::Exchange {
        id: ExchangeId(1),
        bytes,
        with_source: false,
    };
    embedder.send(&exchange, &[sink.as_fd()]).unwrap();
    let (mut were_made, mut were_resumed) = (Vec::new(), Vec::new());
    loop {
        match answer(embedder) {
            ToEmbedder::Journey {
                event: JourneyEvent::Instantiated(one),
                ..
            } => {
                were_made.push(one.version);
            }
            ToEmbedder::Journey {
                event: JourneyEvent::Resumed(one),
                ..
            } => {
                were_resumed.push(one.version);
            }
            ToEmbedder::Finished { outcome, .. } => {
                outcome.unwrap();
                break;
            }
            _ => {}
        }
    }
    assert_eq!(
        (&were_made[..], &were_resumed[..]),
        (&owned(made)[..], &owned(resumed)[..])
    );
    sink.rewind().unwrap();
    let mut body = Vec::new();
    sink.read_to_end(&mut body).unwrap();
    assert!(body == payload(body.len()) && !body.is_empty());
}

fn owned(versions: &[&str]) -> Vec<String> {
    versions
        .iter()
        .map(|version| (*version).to_owned())
        .collect()
}
