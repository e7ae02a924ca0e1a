//! Guests in an attacker's hands: whatever one does, its exchange ends with a
//! typed error, its neighbours finish byte for byte, and the engine goes on.

use std::time::{Duration, Instant};

use fumehood::control::Cause;
use fumehood::{Error, Limits};
use fumehood_tests::artifacts::{component, program};
use fumehood_tests::hostile::{Gate, Script, Server};
use fumehood_tests::temp::TempDir;

use crate::harness::{Test, test};
use crate::support::{HELLO, builder, content, engine, fetch, get, own, with_faulty_http1};

pub(crate) const TESTS: [Test; 7] = [
    test("faults::a_trap", || Box::pin(fault("trap", "trap"))),
    test("faults::a_hang", || Box::pin(fault("hang", "hang"))),
    test("faults::hunger_for_memory", || {
        Box::pin(fault("memory", "memory"))
    }),
    test("faults::a_table_without_end", || Box::pin(table())),
    test(
        "faults::the_memory_of_all_together",
        || Box::pin(together()),
    ),
    test("faults::lies", || Box::pin(lies())),
    test("faults::the_real_guest_knows_no_fault", || {
        Box::pin(no_fault())
    }),
];

/// Transfers under way while the guest is subverted.
const NEIGHBOURS: usize = 4;

/// Bytes of each neighbour's content; half of them come before.
const CONTENT: usize = 4 << 20;

/// A call into a guest may take half a second; a crowded machine gets the rest.
const TYPED_WITHIN: Duration = Duration::from_secs(30);

fn poison(fault: &str) -> Script {
    Script::answer(format!(
        "HTTP/1.1 200 OK\r\nx-fumehood-fault: {fault}\r\ncontent-length: 5\r\n\r\nhello"
    ))
}

fn held(gate: &Gate) -> Script {
    let block: Vec<u8> = (0..=255).collect();
    let times = CONTENT / 2 / block.len();
    Script::answer(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {CONTENT}\r\n\r\n"
    ))
    .repeat(block.clone(), times)
    .gate(gate)
    .repeat(block, times)
}

fn is_exact(content: &[u8]) -> bool {
    let counted = content.iter().zip((0..=255_u8).cycle());
    content.len() == CONTENT && counted.into_iter().all(|(found, wanted)| *found == wanted)
}

/// Runs a poisoned exchange among honest ones; gives how it ended.
async fn among_neighbours(fault: &str) -> Error {
    let engine = builder()
        .modules(with_faulty_http1())
        .launch()
        .await
        .unwrap();
    let before = own("engine").pid;
    let gate = Gate::new();
    let honest = Server::start(vec![held(&gate)]);
    let hostile = Server::start(vec![poison(fault)]);
    let mut neighbours = tokio::task::JoinSet::new();
    for _ in 0..NEIGHBOURS {
        let (engine, url) = (engine.clone(), honest.url("/"));
        neighbours.spawn(async move { fetch(&engine, &url).await });
    }
    // All of them are in the middle of their content when it happens.
    let arrivals = gate.clone();
    tokio::task::spawn_blocking(move || arrivals.wait_for(NEIGHBOURS))
        .await
        .unwrap();
    let begun = Instant::now();
    let error = fetch(&engine, &hostile.url("/")).await.unwrap_err();
    let took = begun.elapsed();
    assert!(took < TYPED_WITHIN, "{fault} took {took:?}");
    gate.open();
    while let Some(neighbour) = neighbours.join_next().await {
        assert!(
            is_exact(&neighbour.unwrap().unwrap()),
            "{fault}: a neighbour was hurt"
        );
    }
    let after = Server::start(vec![Script::answers(&[HELLO])]);
    assert_eq!(fetch(&engine, &after.url("/")).await.unwrap(), b"hello");
    assert_eq!(
        own("engine").pid,
        before,
        "{fault}: the engine is another one"
    );
    error
}

async fn fault(name: &'static str, kind: &'static str) {
    let error = among_neighbours(name).await;
    assert!(matches!(error, Error::Guest(_)), "{error:?}");
    let Some(Cause::Guest {
        module,
        kind: found,
        detail,
        ..
    }) = error.cause()
    else {
        panic!("{error:?}");
    };
    assert_eq!((&**module, &**found), ("http1", kind), "{error:?}");
    assert!(!detail.is_empty() && detail.len() <= 1024, "{error:?}");
    assert!(!detail.contains(char::is_control), "{error:?}");
}

/// In the faulty guest, where its memory is grown; and what grows its table
/// instead, by as many elements as its stack has bytes, far over the bound.
/// `local.get 0, local.get 1, i32.sub, memory.grow` there,
/// `ref.null func, global.get 0, table.grow 0` here.
const GROWS_MEMORY: &[u8] = b"\x20\0\x20\x01\x6b\x40\0";
const GROWS_TABLE: &[u8] = b"\xd0\x70\x23\0\xfc\x0f\0";

/// The faulty guest, whose hunger is for its table's elements.
fn hungry_for_elements() -> Vec<u8> {
    let mut bytes = std::fs::read(component("http1-faulty")).unwrap();
    let mut windows = bytes.windows(GROWS_MEMORY.len());
    let at = windows.position(|it| it == GROWS_MEMORY);
    let at = at.expect("where it grows its memory; another compiler may write it otherwise");
    assert!(
        windows.all(|it| it != GROWS_MEMORY),
        "it grows in one place"
    );
    bytes[at..][..GROWS_TABLE.len()].copy_from_slice(GROWS_TABLE);
    bytes
}

async fn table() {
    let folder = TempDir::new().unwrap();
    let file = folder.join("http1@9.0.0.wasm");
    std::fs::write(&file, hungry_for_elements()).unwrap();
    let engine = builder()
        .modules(with_faulty_http1())
        .module_cache(folder.join("cache"))
        .compiler(program("fumehood-compiler"))
        .launch()
        .await
        .unwrap();
    let loaded = engine.modules().load(&file, None).await.unwrap();
    engine.modules().swap("http1", loaded.digest).await.unwrap();
    let before = own("engine").pid;
    let hostile = Server::start(vec![poison("memory")]);
    let error = fetch(&engine, &hostile.url("/")).await.unwrap_err();
    let Some(Cause::Guest { version, kind, .. }) = error.cause() else {
        panic!("{error:?}");
    };
    assert_eq!((&**version, &**kind), ("9.0.0", "table"), "{error:?}");
    let after = Server::start(vec![Script::answers(&[HELLO])]);
    assert_eq!(fetch(&engine, &after.url("/")).await.unwrap(), b"hello");
    let current = engine.modules().inspect("http1").await.unwrap();
    let current = current.iter().find(|it| it.version == "9.0.0").unwrap();
    assert_eq!(current.state.as_deref(), Some("current"));
    assert_eq!(own("engine").pid, before);
}

/// Guest instances of an engine in which eight connections have guests: all of
/// them together may have 96 MiB.
const INSTANCES: u32 = 32;
const CONNECTIONS: usize = 8;

/// A response whose guest takes 12 MiB, and is at work until the gate opens.
fn hoarder(gate: &Gate) -> Script {
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\nx-fumehood-fault: hoard\r\n\
                content-length: 10\r\n\r\n12345";
    Script::answer(head).gate(gate).send("67890")
}

async fn together() {
    let limits = Limits {
        max_instances: INSTANCES,
        max_per_origin: INSTANCES,
        ..Limits::default()
    };
    let engine = builder()
        .modules(with_faulty_http1())
        .limits(limits)
        .launch()
        .await
        .unwrap();
    let before = own("engine").pid;
    let gate = Gate::new();
    let server = Server::start(vec![hoarder(&gate)]);
    let mut held = Vec::new();
    let error = loop {
        match engine.client().send(get(&server.url("/"))).await {
            Ok(response) => held.push(response),
            Err(error) => break error,
        }
        assert!(held.len() < CONNECTIONS, "each has 12 MiB and more");
    };
    // None of them has as much as one alone may have.
    let Some(Cause::Guest { kind, detail, .. }) = error.cause() else {
        panic!("{error:?}");
    };
    assert_eq!(kind, "no-instance", "{error:?}");
    assert!(detail.contains("all guests together have as much memory as they may"));
    assert!(detail.contains("try later"), "{detail}");
    assert!(!held.is_empty());
    // Neighbours finish, and with them goes what they had.
    gate.open();
    for response in held {
        assert_eq!(content(response).await.unwrap(), b"1234567890");
    }
    assert_eq!(
        fetch(&engine, &server.url("/")).await.unwrap(),
        b"1234567890"
    );
    // It is nobody's fault, and nobody is quarantined for it.
    let all = engine.modules().inspect("http1").await.unwrap();
    let faults: Vec<_> = all.iter().map(|it| it.in_use.unwrap().faults).collect();
    assert_eq!(faults, [0]);
    assert_eq!(own("engine").pid, before);
}

async fn lies() {
    let error = among_neighbours("garbage").await;
    assert!(matches!(error, Error::Guest(_)), "{error:?}");
}

async fn no_fault() {
    let engine = engine().await;
    for fault in ["trap", "hang", "memory", "garbage"] {
        let server = Server::start(vec![poison(fault)]);
        assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
    }
}
