//! Messages between the processes, by their own encoder.

use fumehood_control::{
    Attempt, DialFailure, DialReply, DialRequest, EngineSetup, Exchange, Field, FromCompiler,
    Grant, GrantId, Layer, Message, ModuleHeader, PROTOCOL_VERSION, PayloadLength, ResponseHead,
    ToBroker, ToEmbedder, ToEngine, encode, fragments,
};
use fumehood_policy::{Host, Policy, Scheme, Target, Terms};
use serde::Serialize;

use crate::seed;

pub(crate) fn write() {
    let setup = EngineSetup {
        required: vec![Layer::Landlock],
        max_instances: 64,
        max_exchanges: 16,
        max_idle_connections: 8,
        idle_connection_ms: 90_000,
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
    let header = ModuleHeader {
        name: "http1".to_owned(),
        version: "0.1.0".to_owned(),
        digest: [7; 32],
    };
    message("engine-module", 0, &ToEngine::Module(header));
    let why = "a layer is missing".to_owned();
    let refused = ToEmbedder::Refused {
        layers: vec![],
        why,
    };
    message("embedder-refused", 1, &refused);
    let grant = Grant {
        id: GrantId(1),
        target: target(),
        terms: Terms::default(),
        uses: 1,
        lifetime_ms: 1000,
    };
    message("broker-grant", 2, &ToBroker::Grant(grant));
    let dial = DialRequest::Dial {
        id: 1,
        grant: GrantId(1),
        deadline_ms: 1000,
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
    let compiled = FromCompiler::Compiled {
        bytes: 300_000,
        imports: vec!["fumehood:guest/panic@0.1.0".to_owned()],
        exports: vec![],
    };
    message("compiled", 7, &compiled);
    assembled("exchange", 10, &exchange());
    let head = ResponseHead {
        minor_version: 1,
        status: 200,
        reason: b"OK".to_vec(),
        fields: vec![field()],
    };
    assembled("response-head", 11, &head);
    assembled("trailers", 12, &vec![field()]);
    assembled("policy", 13, &Policy::default());
}

fn message<M: Message>(name: &str, kind: u8, message: &M) {
    let fds = u8::try_from(message.fd_count()).unwrap();
    let packet = encode(message).unwrap();
    seed("control", name, &[&[kind, fds], packet.as_slice()].concat());
}

fn assembled(name: &str, kind: u8, value: &impl Serialize) {
    let bytes = fragments(value).unwrap().concat();
    seed("control", name, &[&[kind, 1], bytes.as_slice()].concat());
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
