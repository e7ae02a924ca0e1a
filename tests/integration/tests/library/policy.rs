//! The policy of a running engine: replaced, read again, watched, reported.

use std::path::Path;
use std::time::Duration;

use fumehood::control::{Cause, DialFailure};
use fumehood::policy::{Effect, Method, Mode, Policy, RequestUrl, Rule, Terms};
use fumehood::{Dns, DnsMode, Engine, Options, Resolution, Settings, SettingsSource, Verdict};
use fumehood_tests::hostile::{Gate, Script, Server};
use fumehood_tests::temp::TempDir;

use crate::harness::{Test, test};
use crate::support::{HELLO, builder, cause, content, fetch, get, own, own_all};

pub(crate) const TESTS: [Test; 10] = [
    test("policy::a_new_version_is_for_the_next_request", || {
        Box::pin(next_request())
    }),
    test("policy::another_bound_is_for_the_next_request", || {
        Box::pin(next_bound())
    }),
    test(
        "policy::a_bad_edit_changes_nothing",
        || Box::pin(bad_edit()),
    ),
    test("policy::a_watched_file_is_read_again", || {
        Box::pin(watched())
    }),
    test("policy::a_file_that_is_watched_no_more_is_told_of", || {
        Box::pin(lost())
    }),
    test("policy::kept_connections_end_with_their_policy", || {
        Box::pin(kept_connections())
    }),
    test("policy::a_replaced_policy_outlives_its_broker", || {
        Box::pin(outlives())
    }),
    test("policy::rules_know_methods_and_clients", || {
        Box::pin(methods_and_clients())
    }),
    test("policy::what_is_only_reported_is_counted", || {
        Box::pin(reported())
    }),
    test("policy::a_request_is_explained_without_being_made", || {
        Box::pin(explained())
    }),
];

/// Long enough for a notice to come, whatever else the machine does.
const SOON: Duration = Duration::from_secs(30);

const OPEN: &str = "[policy]\nprivate-hosts = [\"127.0.0.1\"]\n";
const CLOSED: &str = "# changed\n[policy]\nallow = []\n";

/// Settings of this file alone.
fn source(file: &Path) -> SettingsSource {
    SettingsSource {
        file: Some(file.to_owned()),
        ..SettingsSource::default()
    }
}

async fn following(file: &Path, watch: bool) -> Engine {
    let source = source(file);
    let settings = Settings::load(&source).unwrap();
    let builder = builder().follow(&settings, &source, watch);
    builder.launch().await.unwrap()
}

/// In one step, as editors do.
fn put(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, file).unwrap();
}

fn reason<T: std::fmt::Debug>(outcome: Result<T, fumehood::Error>) -> &'static str {
    match cause(outcome) {
        Cause::Dial(DialFailure::Denied(denial)) => denial.reason.name(),
        other => panic!("{other:?}"),
    }
}

async fn next_request() {
    let temp = TempDir::new().unwrap();
    let file = temp.path().join("config.toml");
    put(&file, OPEN);
    let engine = following(&file, false).await;
    let gate = Gate::new();
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345";
    let server = Server::start(vec![Script::answer(head).gate(&gate).send("67890")]);
    let response = engine.client().send(get(&server.url("/"))).await.unwrap();
    assert_eq!(engine.revision().number, 1);
    put(&file, CLOSED);
    let revision = engine.reload().await.unwrap();
    assert_eq!(revision.number, 2);
    assert_eq!(revision.file.as_deref(), Some(&*file));
    assert_eq!(
        reason(fetch(&engine, &server.url("/")).await),
        "loopback-address"
    );
    gate.open();
    assert_eq!(content(response).await.unwrap(), b"1234567890");
    put(&file, OPEN);
    assert_eq!(engine.reload().await.unwrap().number, 3);
}

/// A request waits as long as was said when it began.
async fn next_bound() {
    let temp = TempDir::new().unwrap();
    let file = temp.path().join("config.toml");
    put(&file, OPEN);
    let engine = following(&file, false).await;
    let gate = Gate::new();
    let late = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    let server = Server::start(vec![
        Script::new().request().gate(&gate).send(late),
        Script::new().request().then_stall(),
    ]);
    let (client, request) = (engine.client(), get(&server.url("/")));
    let waiting = tokio::spawn(async move { client.send(request).await });
    server.wait_for_connection().await;
    put(&file, &format!("{OPEN}[timeouts]\nhead = 0.2\n"));
    engine.reload().await.unwrap();
    let ended = cause(fetch(&engine, &server.url("/")).await);
    let bound = Cause::Deadline {
        phase: "head".to_owned(),
        milliseconds: 200,
    };
    assert_eq!(ended, bound);
    // It has waited for longer than that by now.
    gate.open();
    let response = waiting.await.unwrap().unwrap();
    assert_eq!(content(response).await.unwrap(), b"hello");
}

async fn bad_edit() {
    let temp = TempDir::new().unwrap();
    let file = temp.path().join("config.toml");
    put(&file, OPEN);
    let engine = following(&file, false).await;
    let server = Server::start(vec![Script::answers(&[HELLO]); 5]);
    let before = engine.revision();
    for bad in [
        "[policy]\nalow = []\n",
        "[policy",
        "",
        "[policy]\nallow = \"*\"\n",
    ] {
        put(&file, bad);
        let error = engine.reload().await.unwrap_err().to_string();
        assert!(error.contains("config.toml"), "{error}");
        let status = engine.status().await;
        assert_eq!(status.policy.last_error, Some(error));
        assert_eq!(status.policy.revision, before);
        assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
        // What was closed stays so.
        let closed = format!("http://127.0.0.2:{}/", server.port());
        assert_eq!(reason(fetch(&engine, &closed).await), "loopback-address");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(engine.reload().await.is_err());
    assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
    put(&file, OPEN);
    assert_eq!(engine.reload().await.unwrap().number, 2);
    assert_eq!(engine.status().await.policy.last_error, None);
}

async fn watched() {
    let temp = TempDir::new().unwrap();
    let file = temp.path().join("config.toml");
    put(&file, OPEN);
    let engine = following(&file, true).await;
    // It may be read before the watch is set up: then written once more.
    let changed = async |text: &str, number: u64| {
        let begun = std::time::Instant::now();
        while engine.revision().number < number {
            put(&file, text);
            tokio::task::yield_now().await;
            assert!(begun.elapsed() < SOON);
        }
    };
    changed(CLOSED, 2).await;
    let url = "http://127.0.0.1:8080/";
    assert_eq!(reason(fetch(&engine, url).await), "loopback-address");
}

/// What comes to be in the folder's place is not read, and whoever asks is told.
async fn lost() {
    let temp = TempDir::new().unwrap();
    let (folder, file) = (temp.path().join("its"), temp.path().join("its/config.toml"));
    std::fs::create_dir(&folder).unwrap();
    put(&file, OPEN);
    let engine = following(&file, true).await;
    let gone = temp.path().join("gone");
    // Before it is watched, or after.
    let told = async {
        loop {
            std::fs::rename(&folder, &gone).unwrap();
            let told = engine.status().await.policy.not_watched;
            std::fs::rename(&gone, &folder).unwrap();
            if told.is_some() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, told).await.unwrap();
    assert_eq!(engine.revision().number, 1);
    // It can be read again, and changes are not noticed for that.
    assert_eq!(engine.reload().await.unwrap().number, 2);
    let policy = engine.status().await.policy;
    assert!(policy.last_error.is_none() && policy.not_watched.is_some());
}

async fn kept_connections() {
    let engine = builder().launch().await.unwrap();
    let server = Server::start(vec![Script::answers(&[HELLO, HELLO]); 3]);
    let url = server.url("/");
    for _ in 0..2 {
        assert_eq!(fetch(&engine, &url).await.unwrap(), b"hello");
    }
    assert_eq!(server.connections(), 1, "it is kept");
    assert_eq!(fetch(&engine, &url).await.unwrap(), b"hello");
    let policy = Policy::clone(&engine.policy());
    assert_eq!(engine.set_policy(policy).await.unwrap().number, 2);
    assert_eq!(fetch(&engine, &url).await.unwrap(), b"hello");
    assert_eq!(server.connections(), 3, "and not past its policy");
}

async fn outlives() {
    let engine = builder().launch().await.unwrap();
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let closed = Policy::deny_by_default();
    engine.set_policy(closed).await.unwrap();
    own("broker").kill().unwrap();
    assert_eq!(
        reason(fetch(&engine, &server.url("/")).await),
        "loopback-address"
    );
    let mut open = Policy::default();
    open.allow_private("127.0.0.1".parse().unwrap()).unwrap();
    engine.set_policy(open).await.unwrap();
    assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
}

async fn methods_and_clients() {
    let mut policy = Policy::default();
    policy.allow_private("127.0.0.1".parse().unwrap()).unwrap();
    let deny = |host: &str| Rule::new(Effect::Deny, host.parse().unwrap());
    policy
        .add_rule(Rule {
            methods: vec!["POST".parse::<Method>().unwrap()],
            ..deny("127.0.0.0/8")
        })
        .unwrap();
    policy
        .add_rule(Rule {
            clients: vec!["guest".parse().unwrap()],
            ..deny("*")
        })
        .unwrap();
    let engine = builder().policy(policy).launch().await.unwrap();
    let server = Server::start(vec![Script::answers(&[HELLO]); 3]);
    let send = async |method: &str, client: Option<&str>| {
        let mut request = get(&server.url("/"));
        *request.method_mut() = method.parse().unwrap();
        request.extensions_mut().insert(Options {
            client: client.map(|it| it.parse().unwrap()),
            ..Options::default()
        });
        engine.client().send(request).await
    };
    assert_eq!(reason(send("POST", None).await), "denied-by-rule");
    assert_eq!(reason(send("GET", Some("guest")).await), "denied-by-rule");
    for _ in 0..2 {
        let response = send("GET", Some("other")).await.unwrap();
        assert_eq!(content(response).await.unwrap(), b"hello");
    }
    // What a rule says of a method and an address, it says of each connection.
    assert_eq!(server.connections(), 2);
}

async fn reported() {
    let mut policy = Policy::default();
    policy.allow_private("127.0.0.1".parse().unwrap()).unwrap();
    let deny = Rule::new(Effect::Deny, "127.0.0.1".parse().unwrap());
    policy.add_rule(deny).unwrap();
    policy.set_modes(Mode::Report, Mode::Enforce);
    let engine = builder().policy(policy).launch().await.unwrap();
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    assert_eq!(fetch(&engine, &server.url("/")).await.unwrap(), b"hello");
    assert_eq!(
        reason(fetch(&engine, "http://127.0.0.2/").await),
        "loopback-address"
    );
    let status = engine.status().await;
    assert_eq!(
        (status.policy.reported, &*status.policy.mode),
        (1, "report")
    );
    assert!(status.engine.alive && status.modules.modules.len() == 5);
}

async fn explained() {
    let alone = Dns {
        mode: DnsMode::Guest,
        servers: vec!["127.0.0.1:9".parse().unwrap()],
        ..Dns::default()
    };
    let first = builder().dns(alone).explainer(true).await.unwrap();
    let explain = async |url: &str| {
        let url = RequestUrl::parse(url).unwrap();
        first.explain(&url, &Terms::default()).await.unwrap()
    };
    let it = explain("http://0x7f.1:8080/").await;
    assert_eq!(it.target.to_string(), "http://127.0.0.1:8080");
    assert_eq!(it.verdict(), Verdict::Allowed);
    assert!(matches!(&it.resolution, Resolution::Addresses(all) if all.len() == 1));
    let it = explain("http://10.0.0.1/").await;
    assert!(
        matches!(it.verdict(), Verdict::Denied(denial) if denial.reason.name() == "local-address")
    );
    // Asked of the resolver that a request would ask, and which knows this one by itself.
    let it = explain("http://no-such-host.invalid/").await;
    assert!(matches!(it.verdict(), Verdict::Unresolved(_)), "{it:?}");
    // The default rule for localhost: it is this machine, whoever resolves.
    let named = builder()
        .allow_private("localhost".parse().unwrap())
        .unwrap();
    let explainer = named.explainer(true).await.unwrap();
    let url = RequestUrl::parse("http://localhost/").unwrap();
    let it = explainer.explain(&url, &Terms::default()).await.unwrap();
    let Resolution::Addresses(addresses) = &it.resolution else {
        panic!("{it:?}");
    };
    assert!(addresses.iter().all(|(address, _)| address.is_loopback()));
    drop(explainer);
    drop(first);
    // The tasks that look after an engine's processes are on this thread.
    let gone = tokio::time::timeout(SOON, async {
        while !own_all("broker").is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(gone.await.is_ok(), "{:?}", own_all("broker"));
}
