//! The real process in its real sandbox, dialling on loopback.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, ExitCode, Stdio};

use fumehood_control::{
    DialFailure, DialReply, DialRequest, FromBroker, Grant, GrantId, Layer, LayerState,
    PROTOCOL_VERSION, ToBroker, fragments,
};
use fumehood_policy::{Policy, RequestUrl, Terms};
use fumehood_sandbox::Channel;

const BROKER: &str = "be-the-broker";

type Embedder = Channel<ToBroker, FromBroker>;
type Engine = Channel<DialRequest, DialReply>;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(BROKER) {
        return fumehood_broker::run();
    }
    dials_in_its_sandbox();
    refuses_what_it_does_not_understand();
    ExitCode::SUCCESS
}

fn start() -> (Child, Embedder) {
    let (ours, theirs) = Embedder::pair().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .arg(BROKER)
        .env_clear()
        .stdin(Stdio::from(theirs.into_fd()))
        .spawn()
        .unwrap();
    (child, ours)
}

fn tell(embedder: &Embedder, message: &ToBroker) {
    embedder.send(message, &[]).unwrap();
}

fn dials_in_its_sandbox() {
    let (mut child, embedder) = start();
    let mut policy = Policy::default();
    policy.allow_private("localhost".parse().unwrap()).unwrap();
    tell(
        &embedder,
        &ToBroker::Hello {
            version: PROTOCOL_VERSION,
        },
    );
    let mut pieces = fragments(&policy).unwrap();
    tell(
        &embedder,
        &ToBroker::Policy {
            bytes: pieces.pop().unwrap(),
        },
    );
    tell(
        &embedder,
        &ToBroker::Start {
            required: Layer::FLOOR.to_vec(),
        },
    );
    let (FromBroker::Ready { version, layers }, _) = embedder.recv().unwrap() else {
        panic!("refused");
    };
    assert_eq!(version, PROTOCOL_VERSION);
    for layer in Layer::FLOOR {
        let report = layers.iter().find(|it| it.layer == layer).unwrap();
        assert!(matches!(report.state, LayerState::Holds(_)), "{report:?}");
    }

    let (engine, theirs) = Engine::pair().unwrap();
    embedder.send(&ToBroker::Engine, &[theirs.as_fd()]).unwrap();
    drop(theirs);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for (id, host) in [(1, "localhost"), (2, "127.0.0.1")] {
        let target = RequestUrl::parse(&format!("http://{host}:{port}/"))
            .unwrap()
            .target;
        let grant = Grant {
            id: GrantId(id),
            target,
            proxy: None,
            terms: Terms::default(),
            uses: 1,
            lifetime_ms: 60_000,
        };
        tell(&embedder, &ToBroker::Grant(grant));
        let request = DialRequest::Dial {
            id,
            grant: GrantId(id),
            deadline_ms: 30_000,
            found: None,
        };
        engine.send(&request, &[]).unwrap();
    }
    let mut connected = None;
    for _ in 0..2 {
        match engine.recv().unwrap() {
            (DialReply::Connected { id: 1, peer, .. }, mut sockets) => {
                assert_eq!(peer, listener.local_addr().unwrap());
                connected = sockets.pop().map(TcpStream::from);
            }
            (
                DialReply::Failed {
                    id: 2,
                    failure: DialFailure::Denied(_),
                },
                _,
            ) => {}
            other => panic!("{other:?}"),
        }
    }
    // It outlives the broker, and nothing was written to it.
    drop(embedder);
    assert!(child.wait().unwrap().success());
    let (mut server, peer) = listener.accept().unwrap();
    let client = connected.unwrap();
    assert_eq!(client.local_addr().unwrap(), peer);
    drop(client);
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
}

fn refuses_what_it_does_not_understand() {
    let garbled = ToBroker::Policy {
        bytes: vec![0xff; 9],
    };
    let hello = ToBroker::Hello {
        version: PROTOCOL_VERSION,
    };
    for (messages, why) in [
        (vec![ToBroker::Hello { version: 0 }], "version 0"),
        (
            vec![ToBroker::Start {
                required: Vec::new(),
            }],
            "out of turn",
        ),
        (
            vec![
                hello.clone(),
                ToBroker::Start {
                    required: Vec::new(),
                },
            ],
            "out of turn",
        ),
        (vec![hello, garbled], "policy"),
    ] {
        let (mut child, embedder) = start();
        for message in &messages {
            tell(&embedder, message);
        }
        let (FromBroker::Refused { why: said, .. }, _) = embedder.recv().unwrap() else {
            panic!("{messages:?} were taken");
        };
        assert!(said.contains(why), "{said}");
        assert!(!child.wait().unwrap().success());
    }
}
