//! Drivers in the real processes: what one reaches, what it may not, how it ends.
//! The driver is one that does what its URL says, good and bad.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

use fumehood::control::{Blame, Cause, DialFailure, Outside, RetrySafety};
use fumehood::policy::Transport;
use fumehood::{Engine, Error, Options, Sink, Source};
use fumehood_tests::hostile::{Canary, Nobody, Script, Server, Step};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::harness::{Test, test};
use crate::support::{
    HELLO, builder, cause, content, fetch, get, get_within, resident, with_probe,
};

pub(crate) const TESTS: [Test; 17] = [
    test("drivers::streams_are_whole_in_both_directions", || {
        Box::pin(streams())
    }),
    test("drivers::each_direction_ends_by_itself", || {
        Box::pin(half_closes())
    }),
    test(
        "drivers::a_peer_that_does_not_read_holds_the_driver_up",
        || Box::pin(backpressure()),
    ),
    test("drivers::datagrams_go_to_the_granted_address", || {
        Box::pin(datagrams())
    }),
    test("drivers::outside_its_grant_nothing_is_sent", || {
        Box::pin(outside())
    }),
    test("drivers::names_outside_its_grant_are_not_looked_up", || {
        Box::pin(names())
    }),
    test(
        "drivers::a_driver_neither_listens_nor_chooses_its_address",
        || Box::pin(listening()),
    ),
    test("drivers::sockets_and_connections_are_bounded", || {
        Box::pin(bounds())
    }),
    test("drivers::options_reach_the_kernel", || Box::pin(options())),
    test("drivers::clocks_and_chance", || Box::pin(clocks())),
    test(
        "drivers::a_server_that_never_answers_ends_by_deadline",
        || Box::pin(silence()),
    ),
    test("drivers::resets_and_refusals_are_told_by_the_host", || {
        Box::pin(resets())
    }),
    test("drivers::what_a_driver_says_of_a_peer_is_typed", || {
        Box::pin(words())
    }),
    test(
        "drivers::a_trap_or_a_hang_ends_one_exchange_and_no_other",
        || Box::pin(faults()),
    ),
    test(
        "drivers::a_driver_that_keeps_trapping_is_quarantined",
        || Box::pin(quarantine()),
    ),
    test(
        "drivers::payload_comes_in_pieces_as_the_caller_reads",
        || Box::pin(payload()),
    ),
    test("drivers::a_cancelled_transfer_closes_its_sockets", || {
        Box::pin(cancelled())
    }),
];

async fn engine() -> Engine {
    builder().modules(with_probe()).launch().await.unwrap()
}

fn url(port: u16, path: &str) -> String {
    format!("probe://127.0.0.1:{port}/{path}")
}

/// What the driver tells of an action.
async fn told(engine: &Engine, port: u16, path: &str) -> String {
    let content = fetch(engine, &url(port, path)).await;
    String::from_utf8(content.unwrap()).unwrap()
}

/// A server of one connection.
fn server<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || serve(listener.accept().unwrap().0));
    (port, serving)
}

async fn streams() {
    let engine = engine().await;
    // Bytes one at a time, a few at a time, and as many as there are.
    for at_a_time in ["7", "1000", "1000000"] {
        let (port, serving) = server(|mut peer| {
            let mut said = Vec::new();
            peer.read_to_end(&mut said).unwrap();
            // Cut where nothing of the driver's is.
            for piece in said.chunks(4097) {
                peer.write_all(piece).unwrap();
            }
            said.len()
        });
        assert_eq!(
            told(&engine, port, &format!("echo/{at_a_time}")).await,
            "the same"
        );
        assert_eq!(serving.join().unwrap(), 65536);
    }
}

async fn half_closes() {
    let engine = engine().await;
    // The peer ends first; the driver still speaks.
    let (port, serving) = server(|mut peer| {
        peer.write_all(b"early").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let mut heard = String::new();
        peer.read_to_string(&mut heard).unwrap();
        heard
    });
    assert_eq!(told(&engine, port, "late").await, "early");
    assert_eq!(serving.join().unwrap(), "late");
}

async fn backpressure() {
    const BYTES: usize = 16 << 20;
    let engine = engine().await;
    let (asked, go_on) = std::sync::mpsc::channel::<()>();
    let (port, serving) = server(move |mut peer| {
        // The kernel holds some megabytes, and the driver waits with the rest.
        go_on.recv().unwrap();
        let mut heard = Vec::new();
        peer.read_to_end(&mut heard).unwrap();
        heard.len()
    });
    let telling = told(&engine, port, "write/8388608");
    tokio::pin!(telling);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut telling).await;
    assert!(early.is_err(), "{BYTES} bytes went nowhere: {early:?}");
    asked.send(()).unwrap();
    assert_eq!(telling.await, "waited");
    assert_eq!(serving.join().unwrap(), 8 << 20);
}

async fn datagrams() {
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = peer.local_addr().unwrap().port();
    let engine = engine().await;
    // The grant that a URL gives is for TCP.
    assert_eq!(
        cause(fetch(&engine, &url(port, "udp")).await),
        Cause::Dial(DialFailure::Outside(Outside::Address(
            peer.local_addr().unwrap(),
            Transport::Udp
        )))
    );
    peer.set_nonblocking(true).unwrap();
    assert!(peer.recv(&mut [0; 8]).is_err(), "a datagram went out");

    // Connected, and sending to whom it names.
    peer.set_nonblocking(false).unwrap();
    let serving = std::thread::spawn(move || {
        for _ in 0..4 {
            let mut buffer = [0; 16];
            let (count, from) = peer.recv_from(&mut buffer).unwrap();
            peer.send_to(&buffer[..count].repeat(2), from).unwrap();
        }
    });
    for action in ["udp", "udp-to"] {
        let url = format!("probe-udp://127.0.0.1:{port}/{action}");
        let heard = fetch(&engine, &url).await.unwrap();
        assert_eq!(
            String::from_utf8(heard).unwrap(),
            "2:oneonetwotwo",
            "{action}"
        );
    }
    serving.join().unwrap();
    // This scheme's grant is for UDP alone.
    let url = format!("probe-udp://127.0.0.1:{port}/late");
    assert!(matches!(
        cause(fetch(&engine, &url).await),
        Cause::Dial(DialFailure::Outside(Outside::Address(_, Transport::Tcp)))
    ));
}

async fn outside() {
    let canary = Canary::start();
    let deaf = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let udp = deaf.local_addr().unwrap();
    let home = Server::start(vec![Script::answer(HELLO)]);
    let engine = engine().await;
    for address in [
        // Loopback is allowed here; the grant is what refuses.
        format!("127.0.0.1:{}", canary.port()),
        format!("127.0.0.2:{}", home.port()),
        format!("[::1]:{}", canary.port()),
        "10.0.0.1:80".to_owned(),
        "169.254.169.254:80".to_owned(),
        "192.0.2.1:7777".to_owned(),
        "[fe80::1]:7777".to_owned(),
    ] {
        let path = format!("connect/{address}");
        assert_eq!(
            told(&engine, home.port(), &path).await,
            "access-denied",
            "{address}"
        );
    }
    for address in ["0.0.0.0:80", "127.0.0.1:0", "[::ffff:127.0.0.1]:80"] {
        let path = format!("connect/{address}");
        assert_eq!(
            told(&engine, home.port(), &path).await,
            "invalid-argument",
            "{address}"
        );
    }
    let path = format!("udp-outside/{udp}");
    assert_eq!(
        told(&engine, home.port(), &path).await,
        "Some(\"access-denied\") Err(\"access-denied\")"
    );
    assert_eq!(canary.connections(), 0);
    canary.assert_alive();
    assert_eq!(home.connections(), 0);
    deaf.set_nonblocking(true).unwrap();
    assert!(deaf.recv(&mut [0; 8]).is_err(), "a datagram went out");
}

async fn names() {
    let engine = engine().await;
    for name in [
        "example.com",
        "localhost",
        "127.0.0.2",
        "secret.127.0.0.1.example",
    ] {
        let path = format!("lookup/{name}");
        assert_eq!(told(&engine, 7777, &path).await, "access-denied", "{name}");
    }
    assert_eq!(
        told(&engine, 7777, "lookup/a%20b").await,
        "invalid-argument"
    );
    assert_eq!(
        told(&engine, 7777, "lookup/127.0.0.1").await,
        "[IpAddress::Ipv4((127, 0, 0, 1))]"
    );
    assert_eq!(
        told(&engine, 7777, "names/example.com").await,
        "0 access-denied"
    );
}

async fn listening() {
    let denied = "Err(\"access-denied\")";
    assert_eq!(
        told(&engine().await, 7777, "listen").await,
        format!("{denied} {denied} {denied} {denied} Ok(()) {denied}")
    );
}

async fn bounds() {
    let home = Server::start(vec![Script::answer(HELLO)]);
    let engine = engine().await;
    assert_eq!(
        told(&engine, home.port(), "sockets").await,
        "64 new-socket-limit"
    );
    assert_eq!(
        told(&engine, home.port(), "connections").await,
        "1 access-denied"
    );
    // It is accepted when the server comes to it.
    home.wait_for_connection().await;
    assert_eq!(home.connections(), 1);
}

async fn options() {
    let home = Server::start(vec![Script::answer(HELLO)]);
    assert_eq!(
        told(&engine().await, home.port(), "options").await,
        "Ok(3000000000) Ok(196608) Err(\"not-supported\") true"
    );
}

async fn clocks() {
    assert_eq!(told(&engine().await, 7777, "clock").await, "true true");
}

async fn silence() {
    let home = Server::start(vec![Script::new().then_stall()]);
    let engine = engine().await;
    let request = get_within(&url(home.port(), "late"), |deadlines| {
        (deadlines.connect_ms, deadlines.head_ms) = (100, 100);
    });
    assert_eq!(
        cause(engine.client().send(request).await.map(drop)),
        Cause::Deadline {
            phase: "head".to_owned(),
            milliseconds: 200
        }
    );
    // A driver that waits for nothing at all ends in the same way.
    let request = get_within(&url(home.port(), "wait"), |deadlines| {
        deadlines.total_ms = 200;
    });
    assert_eq!(
        cause(engine.client().send(request).await.map(drop)),
        Cause::Deadline {
            phase: "total".to_owned(),
            milliseconds: 200
        }
    );
}

async fn resets() {
    let engine = engine().await;
    // Not before the driver has said something: the connection stands then.
    let script = Script::new().step(Step::FirstBytes).send("so far");
    let home = Server::start(vec![script.then_reset()]);
    let reset = cause(fetch(&engine, &url(home.port(), "ask")).await);
    assert_eq!(reset, Cause::Socket { errno: 104 });
    let nobody = Nobody::here();
    let refused = cause(fetch(&engine, &url(nobody.port(), "late")).await);
    let Cause::Dial(DialFailure::Connect(attempts)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(attempts[0].errno, Some(111));
}

async fn words() {
    let builder = builder().modules(with_probe());
    let builder = builder.quarantine(100, Duration::from_secs(60));
    let engine = builder.launch().await.unwrap();
    let said = |path| {
        let url = url(7777, path);
        let engine = engine.clone();
        async move { fetch(&engine, &url).await.unwrap_err() }
    };
    let error = said("protocol").await;
    assert_eq!(error.blame(), Blame::Peer);
    assert_eq!(
        error.cause(),
        Some(&Cause::Violation {
            driver: "probe".to_owned(),
            detail: "the peer \u{fffd} spoke nonsense".to_owned()
        })
    );
    let error = said("unsupported").await;
    assert_eq!(
        error.cause(),
        Some(&Cause::BadRequest("not this".to_owned()))
    );
    let error = said("cut").await;
    assert_eq!(
        error.cause(),
        Some(&Cause::Truncated {
            place: "in-payload".to_owned()
        })
    );
    assert_eq!(error.retry_safety(), RetrySafety::Answered);
    // What no sound driver says is the guest's fault.
    for path in ["lie", "too-much", "status/99", "status/101"] {
        let error = said(path).await;
        assert!(
            matches!(error.cause(), Some(Cause::Guest { kind, .. }) if kind == "nonsense"),
            "{path}: {error:?}"
        );
    }
    let unknown = said_of(fetch(&engine, "gemini://127.0.0.1/").await);
    assert!(unknown.contains("module"), "{unknown}");
}

fn said_of(outcome: Result<Vec<u8>, Error>) -> String {
    outcome.unwrap_err().to_string()
}

async fn faults() {
    let origin = Server::start(vec![Script::answer(HELLO)]);
    let engine = engine().await;
    // One that waits all along, and the web beside it.
    let waiting = {
        let (engine, url) = (engine.clone(), url(7777, "wait"));
        tokio::spawn(async move {
            let request = get_within(&url, |deadlines| deadlines.total_ms = 3000);
            engine.client().send(request).await.map(drop)
        })
    };
    for (path, wanted) in [("trap", "trap"), ("hang", "hang"), ("trap-later", "trap")] {
        let Cause::Guest { module, kind, .. } = cause(fetch(&engine, &url(7777, path)).await)
        else {
            panic!("{path}: no guest's end")
        };
        assert_eq!(
            (module.as_str(), kind.as_str()),
            ("probe", wanted),
            "{path}"
        );
        assert_eq!(fetch(&engine, &origin.url("/")).await.unwrap(), b"hello");
    }
    // Many hang at once, more than there are workers; the web goes on.
    let hanging: Vec<_> = (0..2)
        .map(|_| {
            let (engine, url) = (engine.clone(), url(7777, "hang"));
            tokio::spawn(async move { fetch(&engine, &url).await.map(drop) })
        })
        .collect();
    for _ in 0..10 {
        assert_eq!(fetch(&engine, &origin.url("/")).await.unwrap(), b"hello");
    }
    for one in hanging {
        let ended = cause(one.await.unwrap());
        assert!(matches!(ended, Cause::Guest { .. }), "{ended:?}");
    }
    let waited = cause(waiting.await.unwrap());
    assert!(
        matches!(&waited, Cause::Deadline { phase, .. } if phase == "total"),
        "{waited:?}"
    );
}

async fn quarantine() {
    let builder = builder().modules(with_probe());
    let engine = builder
        .quarantine(2, Duration::from_secs(60))
        .launch()
        .await
        .unwrap();
    for _ in 0..2 {
        let ended = cause(fetch(&engine, &url(7777, "trap")).await);
        assert!(
            matches!(&ended, Cause::Guest { kind, .. } if kind == "trap"),
            "{ended:?}"
        );
    }
    let ended = cause(fetch(&engine, &url(7777, "clock")).await);
    assert!(
        matches!(&ended, Cause::Guest { kind, .. } if kind == "no-instance"),
        "{ended:?}"
    );
    // Asked for by name it begins anew.
    engine.modules().swap("probe", [7; 32]).await.unwrap();
    assert_eq!(told(&engine, 7777, "clock").await, "true true");
}

async fn payload() {
    const BYTES: usize = 20 << 20;
    let engine = engine().await;
    let content = fetch(&engine, &url(7777, &format!("many/{BYTES}")))
        .await
        .unwrap();
    assert_eq!(content.len(), BYTES);
    assert!(content.iter().all(|byte| *byte == b'm'));
    let info = engine.modules().inspect("probe").await.unwrap().remove(0);
    assert_eq!(info.schemes, ["probe (tcp 7777)", "probe-udp (udp 7777)"]);
    assert!(
        info.imports
            .iter()
            .any(|it| it.starts_with("wasi:sockets/tcp@0.2"))
    );
    nobody_reads(&engine).await;
}

/// Fifty exchanges: time for a driver that is not held up to make what would
/// be seen, by a clock that runs as the engine does.
const TICKS: usize = 50;

/// Growth that a driver which is held up causes at most, in bytes: what its
/// pieces and the allocators of some exchanges take.
const HELD_UP: u64 = 8 << 20;

/// A sink that nobody reads takes what it holds, and the driver makes no more.
async fn nobody_reads(engine: &Engine) {
    let tick = async || {
        let told = fetch(engine, &url(7777, "clock")).await.unwrap();
        assert_eq!(told, b"true true");
    };
    tick().await;
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let is_full = || {
        let mut writer = [PollFd::new(&writer, PollFlags::OUT)];
        poll(&mut writer, Some(&Timespec::default())).unwrap() == 0
    };
    let held = || rustix::io::ioctl_fionread(&reader).unwrap();
    let many = engine.parse_url(&url(7777, "many/1000000000")).await;
    let (head, _none) = get("/").into_parts();
    let sink = Sink::Fd(writer.try_clone().unwrap().into());
    let options = Options::default();
    let exchange = engine
        .exchange(&many.unwrap(), &head, Source::None, sink, &options)
        .await
        .unwrap();
    while !is_full() {
        tick().await;
    }
    tick().await;
    let before = (held(), resident(engine).await);
    for _ in 0..TICKS {
        tick().await;
    }
    assert_eq!(held(), before.0);
    let grown = resident(engine).await.saturating_sub(before.1);
    assert!(grown < HELD_UP, "{grown} bytes more");
    drop(exchange);
}

async fn cancelled() {
    let (tell, is_asked) = tokio::sync::oneshot::channel();
    let (port, serving) = server(move |mut peer| {
        peer.read_exact(&mut [0; 3]).unwrap();
        tell.send(()).unwrap();
        // Its end, or a reset: the driver is gone either way.
        let _ended = peer.read_to_end(&mut Vec::new());
    });
    let engine = engine().await;
    let request = get_within(&url(port, "ask"), |deadlines| deadlines.head_ms = 60_000);
    let client = engine.client();
    let sending = client.send(request);
    // Given up while the driver waits for its answer.
    tokio::select! {
        ended = sending => panic!("nobody answered, and yet it ended: {:?}", ended.err()),
        asked = is_asked => asked.unwrap(),
    }
    tokio::task::spawn_blocking(move || serving.join().unwrap())
        .await
        .unwrap();
    let left = content(
        engine
            .client()
            .send(get(&url(7777, "clock")))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(left.unwrap(), b"true true");
}
