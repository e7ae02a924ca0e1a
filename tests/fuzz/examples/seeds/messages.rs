//! Messages between the processes, by their own encoder.

use std::net::Ipv4Addr;

use fumehood_control::{
    Aftermath, AnswerSource, Attempt, ClientWay, DialFailure, DialReply, DialRequest, EngineSetup,
    Exchange, FaultReport, Field, FromBroker, FromCompiler, FromLauncher, FromReplay, Grant,
    GrantId, Inventory, Layer, LayerReport, LayerState, Message, ModuleHeader, NameAnswer,
    PROTOCOL_VERSION, PacAnswer, PacFailure, PacMoment, PacNames, PacQuestion, PacScriptId,
    PacTarget, PayloadLength, RecordData, RecordedCall, ResponseHead, RouteAnswer, RouteQuestion,
    ToBroker, ToCompiler, ToEmbedder, ToEngine, ToLauncher, ToReplay, TokenAnswer, TokenFault,
    TokenQuestion, TokenStep, TrailStep, Unresolved, encode, fragments, policy_fragments,
};
use fumehood_policy::{Host, Policy, ProxyScheme, ProxyServer, Scheme, Target, Terms};
use serde::Serialize;

use crate::seed;

pub(crate) fn write() {
    of_the_engine();
    of_the_broker();
    of_the_others();
    heads();
    of_modules();
    of_ways();
    of_names();
}

fn of_the_engine() {
    let setup = EngineSetup {
        required: vec![Layer::Landlock],
        max_instances: 64,
        max_exchanges: 16,
        max_idle_connections: 8,
        idle_connection_ms: 90_000,
        max_per_origin: 6,
        max_per_proxy: 32,
        max_connections: 512,
        quarantine_faults: 3,
        quarantine_window_ms: 60_000,
        drain_ms: 30_000,
        record: false,
        key_log: true,
    };
    let hello = ToEngine::Hello {
        version: PROTOCOL_VERSION,
        setup,
    };
    message("engine-hello", 0, &hello);
    message("engine-module", 0, &ToEngine::Module(header()));
    let why = "a layer is missing".to_owned();
    let refused = ToEmbedder::Refused {
        layers: vec![],
        why,
    };
    message("embedder-refused", 1, &refused);
}

fn of_the_broker() {
    let grant = Grant {
        id: GrantId(1),
        target: target(),
        proxy: None,
        terms: Terms::default(),
        uses: 1,
        lifetime_ms: 1000,
    };
    message("broker-grant", 2, &ToBroker::Grant(grant));
    let ready = FromBroker::Ready {
        version: PROTOCOL_VERSION,
        layers: layers(),
    };
    message("broker-ready", 3, &ready);
    let dial = DialRequest::Dial {
        id: 1,
        grant: GrantId(1),
        deadline_ms: 1000,
        found: None,
    };
    message("dial", 4, &dial);
    let address = "192.0.2.1:443".parse().unwrap();
    let attempt = Attempt {
        address,
        errno: Some(111),
    };
    let failed = DialReply::Failed {
        id: 1,
        failure: DialFailure::Connect(vec![attempt]),
    };
    message("dial-failed", 5, &failed);
}

fn of_the_others() {
    message("compile", 6, &ToCompiler::Compile);
    let compiled = FromCompiler::Compiled {
        bytes: 300_000,
        imports: vec!["fumehood:guest/panic@0.1.0".to_owned()],
        exports: vec![],
    };
    message("compiled", 7, &compiled);
    let replay = ToReplay {
        version: PROTOCOL_VERSION,
        required: vec![Layer::Landlock],
        header: header(),
    };
    message("replay", 8, &replay);
    let diverged = FromReplay::Diverged {
        how: "it asked for another key".to_owned(),
    };
    message("replay-diverged", 9, &diverged);
    let hello = ToLauncher::Hello {
        version: PROTOCOL_VERSION,
        unix_sockets: true,
    };
    message("launcher-hello", 17, &hello);
    let not_executed = FromLauncher::NotExecuted { errno: 2 };
    message("launcher-not-executed", 18, &not_executed);
}

fn heads() {
    assembled("exchange", 10, &exchange());
    let head = ResponseHead {
        minor_version: 1,
        status: 200,
        reason: b"OK".to_vec(),
        fields: vec![field()],
    };
    assembled("response-head", 11, &head);
    assembled("trailers", 12, &vec![field()]);
    let pieces = policy_fragments(&Policy::default()).unwrap();
    joined("policy", 13, &pieces);
}

fn of_modules() {
    assembled("inventory", 14, &Inventory::default());
    let call = RecordedCall {
        function: "receive".to_owned(),
        arguments: vec![1, b'x'],
    };
    let report = FaultReport {
        number: 1,
        header: header(),
        kind: "trap".to_owned(),
        detail: "unreachable".to_owned(),
        location: String::new(),
        backtrace: vec![],
        trail: vec![TrailStep {
            at_us: 300,
            what: "receive 1 bytes".to_owned(),
        }],
        recording: vec![call.clone()],
        aftermath: Aftermath::Resumed,
        quarantined: false,
    };
    assembled("fault-report", 15, &report);
    assembled("recording", 16, &vec![call]);
}

fn of_ways() {
    let question = RouteQuestion {
        target: target(),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        tunnel: false,
        content: true,
        challenge: None,
    };
    assembled("route-question", 19, &question);
    let ways: RouteAnswer = Ok(vec![ClientWay::straight()]);
    assembled("route-answer", 20, &ways);
    let question = TokenQuestion {
        conversation: 1,
        server: ProxyServer {
            scheme: ProxyScheme::Http,
            host: Host::parse("proxy.example").unwrap(),
            port: 3128,
        },
        partition: 2,
        step: TokenStep::Challenge("dG9rZW4=".to_owned()),
    };
    assembled("token-question", 21, &question);
    let refused: TokenAnswer = Err(TokenFault::Refused("no ticket".to_owned()));
    assembled("token-answer", 22, &refused);
    let question = PacQuestion::Find {
        script: PacScriptId(1),
        target: PacTarget {
            scheme: "http".to_owned(),
            host: "example.org".to_owned(),
            port: Some(8080),
            path: "/".to_owned(),
        },
        at: PacMoment { now_ms: 1, seed: 7 },
        names: PacNames::Listed(vec![]),
        explain: true,
    };
    assembled("pac-question", 23, &question);
    let failed = PacAnswer::Loaded(Err(PacFailure::NoFunction));
    assembled("pac-answer", 24, &failed);
}

fn of_names() {
    let found: Result<NameAnswer, Unresolved> = Ok(NameAnswer {
        name: "example.org".to_owned(),
        aliases: vec!["alias.example".to_owned()],
        records: vec![RecordData::A(Ipv4Addr::LOCALHOST)],
        ttl_s: 300,
        authentic: false,
        security: None,
        source: AnswerSource::Server(0),
        steps: vec![],
    });
    assembled("name-answer", 25, &found);
}

fn message<M: Message>(name: &str, kind: u8, message: &M) {
    let fds = u8::try_from(message.fd_count()).unwrap();
    let packet = encode(message).unwrap();
    seed("control", name, &[&[kind, fds], packet.as_slice()].concat());
}

fn assembled(name: &str, kind: u8, value: &impl Serialize) {
    joined(name, kind, &fragments(value).unwrap());
}

fn joined(name: &str, kind: u8, pieces: &[Vec<u8>]) {
    seed(
        "control",
        name,
        &[&[kind, 1], pieces.concat().as_slice()].concat(),
    );
}

fn header() -> ModuleHeader {
    ModuleHeader {
        name: "http1".to_owned(),
        version: "0.1.0".to_owned(),
        digest: [7; 32],
    }
}

fn layers() -> Vec<LayerReport> {
    vec![LayerReport {
        layer: Layer::Landlock,
        state: LayerState::Holds("abi 7".to_owned()),
    }]
}

fn field() -> Field {
    Field {
        name: "server".to_owned(),
        value: b"x".to_vec(),
    }
}

fn target() -> Target {
    Target {
        scheme: Scheme::Https,
        host: Host::parse("example.org").unwrap(),
        port: 443,
    }
}

fn exchange() -> Exchange {
    Exchange {
        payload: PayloadLength::Known(3),
        ..Exchange::get(target(), GrantId(1), "/")
    }
}
