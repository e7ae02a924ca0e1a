//! Names by the engine's own resolver: asked by the embedder, and dialled.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fumehood::control::{
    AnswerSource, Cause, DialFailure, NameActivity, NameCause, ProxyFault, RecordData, RecordType,
    Wanted,
};
use fumehood::pac::PacOptions;
use fumehood::policy::{Effect, PacSource, Policy, ProxySettings, Route, Rule};
use fumehood::{
    Dns, DnsMode, Engine, EngineBuilder, ProxyAddress, ProxyOptions, Question, ResolveError,
    Resolved,
};
use fumehood_tests::dns::reply;
use fumehood_tests::hostile::{Canary, Script, Server};
use fumehood_tests::temp::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::harness::{Test, test};
use crate::support::{HELLO, builder, cause, fetch, own, with_faulty_dns, with_probe};

pub(crate) const TESTS: [Test; 14] = [
    test("names::a_trap_loses_no_other_query", || {
        Box::pin(fault("trap"))
    }),
    test("names::a_hang_loses_no_other_query", || {
        Box::pin(fault("hang"))
    }),
    test("names::black_holes_do_not_delay_what_is_known", || {
        Box::pin(black_holes())
    }),
    test("names::questions_are_counted_by_what_came_of_them", || {
        Box::pin(counted())
    }),
    test("names::equal_questions_are_asked_once", || {
        Box::pin(sharing())
    }),
    test("names::another_engine_knows_how_to_resolve", || {
        Box::pin(killed())
    }),
    test("names::files_that_change_are_read_again", || {
        Box::pin(changed())
    }),
    test("names::a_name_is_dialled_where_the_guest_found_it", || {
        Box::pin(dialled())
    }),
    test("names::a_proxy_s_clients_are_led_by_the_guest_too", || {
        Box::pin(proxied())
    }),
    test("names::what_the_guest_found_is_judged", || {
        Box::pin(judged())
    }),
    test("names::each_question_has_a_port_of_its_own", || {
        Box::pin(ports())
    }),
    test("names::a_driver_is_led_by_the_guest_too", || {
        Box::pin(driven())
    }),
    test("names::what_a_script_may_not_know_is_not_asked_for", || {
        Box::pin(scripted())
    }),
    test(
        "names::a_script_s_proxy_is_judged_before_it_is_looked_up",
        || Box::pin(scripted_proxies()),
    ),
];

/// A crowded machine gets the rest.
const PATIENCE: Duration = Duration::from_secs(30);

/// A name server on loopback that knows where every name under `known` is, and
/// says nothing about any other.
struct NameServer {
    address: SocketAddr,
    asked: watch::Receiver<Vec<String>>,
    /// Ports that questions came from.
    ports: Arc<Mutex<Vec<u16>>>,
}

impl NameServer {
    /// The address of all names.
    fn start(of_names: Ipv4Addr) -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (noted, asked) = watch::channel(Vec::new());
        let ports: Arc<Mutex<Vec<u16>>> = Arc::default();
        let came_from = Arc::clone(&ports);
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                came_from.lock().unwrap().push(from.port());
                let (name, reply) = reply(&question[..length], &[of_names]);
                let known = name.ends_with("known");
                noted.send_modify(|all| all.push(name));
                if known {
                    let _gone = socket.send_to(&reply, from);
                }
            }
        });
        NameServer {
            address,
            asked,
            ports,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    /// Waits until so many questions about names under `hole` have come.
    async fn is_asked_about_holes(&self, count: usize) {
        let mut asked = self.asked.clone();
        let all =
            asked.wait_for(|all| all.iter().filter(|it| it.ends_with("hole")).count() >= count);
        let came = tokio::time::timeout(PATIENCE, all).await;
        assert!(came.is_ok_and(|it| it.is_ok()), "not all of them came");
    }

    /// An engine for whose dials this server is asked, with `origin.known` allowed.
    async fn leads(&self) -> Engine {
        let dns = Dns {
            mode: DnsMode::Guest,
            ..self.dns()
        };
        let allowed = "origin.known".parse().unwrap();
        launched(builder().allow_private(allowed).unwrap(), dns).await
    }

    fn dns(&self) -> Dns {
        Dns {
            servers: vec![self.address.to_string().parse().unwrap()],
            resolv_conf: PathBuf::from("/nonexistent/resolv.conf"),
            hosts: PathBuf::from("/nonexistent/hosts"),
            ..Dns::default()
        }
    }
}

async fn launched(builder: EngineBuilder, dns: Dns) -> Engine {
    builder.dns(dns).launch().await.unwrap()
}

fn question(name: &str) -> Question {
    Question::new(name, Wanted::Records(RecordType::A)).unwrap()
}

async fn resolved(engine: &Engine, name: &str) -> Result<Resolved, ResolveError> {
    engine.resolve(&question(name)).await
}

async fn address(engine: &Engine, name: &str) -> Ipv4Addr {
    let resolved = resolved(engine, name).await.unwrap();
    match resolved.answer.records[..] {
        [RecordData::A(it)] => it,
        ref other => panic!("{other:?}"),
    }
}

const PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 14);

/// A query that ends the guest twice is told so; all others are answered.
async fn fault(fault: &str) {
    let server = NameServer::start(PUBLIC);
    let engine = launched(builder().modules(with_faulty_dns()), server.dns()).await;
    let poison = format!("fumehood-fault-{fault}.known");
    let mut honest = tokio::task::JoinSet::new();
    let ask = |engine: &Engine, number: usize| {
        let (engine, name) = (engine.clone(), format!("n{number}.known"));
        async move { address(&engine, &name).await }
    };
    for number in 0..16 {
        honest.spawn(ask(&engine, number));
    }
    let poisoned = {
        let engine = engine.clone();
        tokio::spawn(async move { resolved(&engine, &poison).await })
    };
    for number in 16..32 {
        honest.spawn(ask(&engine, number));
    }
    while let Some(address) = honest.join_next().await {
        assert_eq!(address.unwrap(), PUBLIC);
    }
    match poisoned.await.unwrap() {
        Err(ResolveError::Guest(cause)) => {
            assert!(matches!(&*cause, Cause::Guest { module, kind, .. }
                if module == "dns" && kind == fault));
        }
        other => panic!("{other:?}"),
    }
    // It goes on in the same engine.
    assert_eq!(address(&engine, "afterwards.known").await, PUBLIC);
    assert_eq!(engine.launch_report().await.restarts, 0);
}

/// Time enough to ask a server that does not answer, and too little to ask it again.
const LOST_WITHIN: Duration = Duration::from_secs(2);

/// A name that the cache has, while others wait; and how often that is tried.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);
const TRIES: usize = 3;

/// 64 lookups that nobody answers, and one that the cache does.
async fn black_holes() {
    let server = NameServer::start(PUBLIC);
    let engine = launched(builder(), server.dns()).await;
    assert_eq!(address(&engine, "a.known").await, PUBLIC);
    let over = Arc::new(AtomicUsize::new(0));
    let holes: Vec<_> = (0..64)
        .map(|number| {
            let (engine, over) = (engine.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let outcome = resolved(&engine, &format!("h{number}.hole")).await;
                over.fetch_add(1, Ordering::Relaxed);
                outcome
            })
        })
        .collect();
    // All of them are at the server.
    server.is_asked_about_holes(64).await;
    // The machine has other work: the best counts.
    let mut took = Vec::new();
    for _ in 0..TRIES {
        let begun = Instant::now();
        let known = resolved(&engine, "a.known").await.unwrap();
        took.push(begun.elapsed());
        assert_eq!(known.answer.source, AnswerSource::Cache);
    }
    assert_eq!(over.load(Ordering::Relaxed), 0);
    assert!(took.iter().min() < Some(&KNOWN_WITHIN), "{took:?}");
    assert_eq!(address(&engine, "b.known").await, PUBLIC);
    holes.iter().for_each(tokio::task::JoinHandle::abort);
}

/// What came of each is told with the engine's status, and is of that engine.
async fn counted() {
    let server = NameServer::start(PUBLIC);
    let folder = TempDir::new().unwrap();
    let hosts = folder.write("hosts", "192.0.2.7 printer\n").unwrap();
    let dns = Dns {
        hosts,
        private_answers: true,
        ..server.dns()
    };
    let engine = launched(builder(), dns).await;
    for name in ["a.known", "b.known", "a.known", "printer"] {
        address(&engine, name).await;
    }
    let absent = Question::new("a.known", Wanted::Records(RecordType::Aaaa)).unwrap();
    assert!(engine.resolve(&absent).await.is_err());
    let lost = question("a.hole").within(LOST_WITHIN);
    assert!(engine.resolve(&lost).await.is_err());
    let names = async || engine.status().await.activity.unwrap().names;
    let wanted = NameActivity {
        from_servers: 2,
        from_cache: 1,
        from_here: 1,
        absent: 1,
        failed: 1,
        under_way: 0,
    };
    assert_eq!(names().await, wanted);
    let waiting = tokio::spawn({
        let engine = engine.clone();
        async move { resolved(&engine, "b.hole").await }
    });
    server.is_asked_about_holes(2).await;
    assert_eq!(names().await.under_way, 1);
    waiting.abort();
    own("engine").kill().unwrap();
    address(&engine, "a.known").await;
    let anew = NameActivity {
        from_servers: 1,
        ..NameActivity::default()
    };
    assert_eq!(names().await, anew);
}

/// Equal questions that wait at once go out as one.
async fn sharing() {
    let server = NameServer::start(PUBLIC);
    let engine = launched(builder(), server.dns()).await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let engine = engine.clone();
        let same = question("same.hole").within(LOST_WITHIN);
        all.spawn(async move { engine.resolve(&same).await });
    }
    while let Some(outcome) = all.join_next().await {
        let Err(ResolveError::Failure { failure, .. }) = outcome.unwrap() else {
            panic!("nobody answered, and yet there is an answer")
        };
        assert_eq!(failure.cause, NameCause::Timeout);
    }
    assert_eq!(server.asked(), ["same.hole"]);
}

/// An engine that dies takes its resolver with it; the next one is told anew.
async fn killed() {
    let server = NameServer::start(PUBLIC);
    let engine = launched(builder(), server.dns()).await;
    assert_eq!(address(&engine, "a.known").await, PUBLIC);
    own("engine").kill().unwrap();
    assert_eq!(address(&engine, "b.known").await, PUBLIC);
}

/// Whoever would forge a reply has to guess where it must go (RFC 5452 section 9.2).
async fn ports() {
    const QUESTIONS: usize = 64;
    let server = NameServer::start(PUBLIC);
    let engine = launched(builder(), server.dns()).await;
    for it in 0..QUESTIONS {
        assert_eq!(address(&engine, &format!("n{it}.known")).await, PUBLIC);
    }
    let ports = server.ports.lock().unwrap().clone();
    let steps = ports.windows(2).map(|it| it[1].wrapping_sub(it[0]));
    let steps: HashSet<u16> = steps.collect();
    let different: HashSet<u16> = ports.iter().copied().collect();
    // Of 28,232 that kernels choose from, a few may come twice, and few steps too.
    assert!(different.len() > QUESTIONS - 8, "{ports:?}");
    assert!(steps.len() > QUESTIONS - 16, "{ports:?}");
}

/// With `dns.mode = "guest"` a driver's lookups go there as well.
async fn driven() {
    let server = NameServer::start(Ipv4Addr::LOCALHOST);
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let mut peer = listener.accept().unwrap().0;
        // Who closes before all was read resets the connection.
        let mut asked = [0; 3];
        std::io::Read::read_exact(&mut peer, &mut asked).unwrap();
        std::io::Write::write_all(&mut peer, b"early").unwrap();
        assert_eq!(&asked, b"ask");
    });
    let dns = Dns {
        mode: DnsMode::Guest,
        ..server.dns()
    };
    let allowed = "origin.known".parse().unwrap();
    let builder = builder().modules(with_probe());
    let engine = launched(builder.allow_private(allowed).unwrap(), dns).await;
    let heard = fetch(&engine, &format!("probe://origin.known:{port}/ask")).await;
    assert_eq!(heard.unwrap(), b"early");
    serving.join().unwrap();
    let asked = server.asked();
    assert!(asked.contains(&"origin.known".to_owned()), "{asked:?}");
    // A name outside its grant leads to nobody.
    let told = fetch(&engine, "probe://127.0.0.1:7777/lookup/other.known").await;
    assert_eq!(told.unwrap(), b"access-denied");
    assert!(!server.asked().contains(&"other.known".to_owned()));
}

/// A script's lookups are judged before anybody is asked, too.
async fn scripted() {
    let server = NameServer::start(PUBLIC);
    let dns = Dns {
        mode: DnsMode::Guest,
        ..server.dns()
    };
    let mut policy = Policy::default();
    let denied = Rule::new(Effect::Deny, "denied.known".parse().unwrap());
    policy.add_rule(denied).unwrap();
    let engine = launched(builder().policy(policy), dns).await;
    let script = "function FindProxyForURL(url, host) {
        return 'PROXY ' + (dnsResolve('denied.known') || 'none.test') + ':1; ' +
               'PROXY ' + (dnsResolve('good.known') || 'none.test') + ':2';
    }";
    let pac = engine.pac(script, PacOptions::default()).await.unwrap();
    let routes = pac.find_proxy("http://www.test/").await.unwrap();
    let hosts = routes.iter().map(|route| match route {
        Route::Proxy(proxy) => proxy.host.to_string(),
        Route::Direct => panic!("{routes:?}"),
    });
    let hosts: Vec<String> = hosts.collect();
    assert_eq!(hosts, ["none.test", "93.184.215.14"]);
    let asked = server.asked();
    assert!(asked.contains(&"good.known".to_owned()), "{asked:?}");
    assert!(!asked.contains(&"denied.known".to_owned()), "{asked:?}");
}

/// No name server hears of a proxy that a script names and the policy denies: neither
/// for the embedder nor for a listener's clients.
async fn scripted_proxies() {
    let server = NameServer::start(Ipv4Addr::LOCALHOST);
    let dns = Dns {
        mode: DnsMode::Guest,
        ..server.dns()
    };
    let proxy = Server::start(vec![Script::answers(&[HELLO]); 2]);
    let mut policy = Policy::default();
    let denied = Rule::new(Effect::Deny, "*.denied.known".parse().unwrap());
    policy.add_rule(denied).unwrap();
    let allowed = "good.known".parse().unwrap();
    let script = format!(
        "function FindProxyForURL(url, host) {{
            var denied = 'PROXY a.denied.known:1; PROXY b.denied.known:1';
            return host == 'more.test' ? denied + '; PROXY good.known:{}' : denied;
        }}",
        proxy.port()
    );
    let settings = ProxySettings::Pac {
        source: PacSource::Data(script.into_bytes()),
        fallback: Vec::new(),
    };
    let builder = builder().policy(policy).allow_private(allowed).unwrap();
    let engine = launched(builder.proxy_settings(settings), dns).await;
    let anywhere = ProxyAddress::Bind("127.0.0.1:0".parse().unwrap());
    let listener = engine.proxy(ProxyOptions::new(anywhere)).await.unwrap();
    let address = listener.address().unwrap();

    assert_eq!(fetch(&engine, "http://more.test/").await.unwrap(), b"hello");
    let answer = through(address, "http://more.test/").await;
    assert!(answer.ends_with("hello"), "{answer}");
    let denied = cause(fetch(&engine, "http://few.test/").await);
    let Cause::Proxy { server: at, fault } = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(at.to_string(), "http://a.denied.known:1");
    let denied = matches!(
        *fault,
        ProxyFault::Cause(Cause::Dial(DialFailure::Denied(_)))
    );
    assert!(denied, "{fault:?}");
    let answer = through(address, "http://few.test/").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");

    let asked = server.asked();
    assert!(asked.contains(&"good.known".to_owned()), "{asked:?}");
    assert!(
        !asked.iter().any(|it| it.ends_with("denied.known")),
        "{asked:?}"
    );
}

/// What a proxy answers to a request for a URL.
async fn through(proxy: SocketAddr, url: &str) -> String {
    let request = format!("GET {url} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut client = TcpStream::connect(proxy).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

/// What is under way knows nothing of it; what is asked later does.
async fn changed() {
    let (server, folder) = (NameServer::start(PUBLIC), TempDir::new().unwrap());
    let hosts = folder.write("hosts", "192.0.2.7 printer\n").unwrap();
    let dns = Dns {
        hosts: hosts.clone(),
        private_answers: true,
        ..server.dns()
    };
    let engine = launched(builder(), dns.clone()).await;
    assert_eq!(
        address(&engine, "printer").await,
        Ipv4Addr::new(192, 0, 2, 7)
    );
    std::fs::write(&hosts, "192.0.2.77 printer\n").unwrap();
    let begun = Instant::now();
    while address(&engine, "printer").await != Ipv4Addr::new(192, 0, 2, 77) {
        assert!(begun.elapsed() < PATIENCE, "it is not read again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// With `dns.mode = "guest"` a request's name goes to the guest's server.
async fn dialled() {
    let (server, origin) = (
        NameServer::start(Ipv4Addr::LOCALHOST),
        Server::start(vec![Script::answer(HELLO)]),
    );
    let engine = server.leads().await;
    for _ in 0..2 {
        let content = fetch(&engine, &origin.url_at("origin.known", "/")).await;
        assert_eq!(content.unwrap(), b"hello");
    }
    let asked = server.asked();
    assert!(asked.iter().all(|name| name == "origin.known"), "{asked:?}");
    assert!(!asked.is_empty());
    // A literal and `localhost` are nobody's to resolve.
    let literal = fetch(&engine, &origin.url("/")).await;
    assert_eq!(literal.unwrap(), b"hello");
    assert_eq!(server.asked().len(), asked.len());
}

/// What a proxy's client asks for is resolved in the same way, though nothing of
/// it comes through the embedder; a new engine is told before it serves.
async fn proxied() {
    let (server, origin) = (
        NameServer::start(Ipv4Addr::LOCALHOST),
        Server::start(vec![Script::answer(HELLO)]),
    );
    let engine = server.leads().await;
    let anywhere = ProxyAddress::Bind("127.0.0.1:0".parse().unwrap());
    let proxy = engine.proxy(ProxyOptions::new(anywhere)).await.unwrap();
    let address = proxy.address().unwrap();
    let url = origin.url_at("origin.known", "/");
    assert!(through(address, &url).await.ends_with("hello"));
    assert_eq!(server.asked()[0], "origin.known");
    own("engine").kill().unwrap();
    let asked = server.asked().len();
    assert!(through(address, &url).await.ends_with("hello"));
    assert!(server.asked().len() > asked, "another engine was not told");
}

/// A server that says that a stranger's name is here changes nothing.
async fn judged() {
    let (server, canary) = (NameServer::start(Ipv4Addr::LOCALHOST), Canary::start());
    let engine = server.leads().await;
    let url = format!("http://evil.known:{}/", canary.port());
    let denied = cause(fetch(&engine, &url).await);
    let Cause::Dial(DialFailure::Denied(denial)) = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(denial.reason.name(), "loopback-address");
    assert_eq!(canary.connections(), 0);
    canary.assert_alive();
    // A name that the policy denies is not even looked up.
    let asked = server.asked().len();
    let blocked = fetch(&engine, "http://blocked.known:25/").await;
    assert!(matches!(
        cause(blocked),
        Cause::Dial(DialFailure::Denied(_))
    ));
    assert_eq!(server.asked().len(), asked);
}
