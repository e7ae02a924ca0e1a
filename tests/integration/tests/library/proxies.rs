//! The way out of an engine, and one that others go out by.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use fumehood::control::{Cause, MAX_TOKEN_BYTES, ProxyFault, TokenFault, TokenScheme};
use fumehood::policy::{FixedProxies, PacSource, ProxyServer, ProxySettings, Route};
use fumehood::{
    Engine, Error, Options, Proxies, ProxiesError, ProxyAddress, ProxyOptions, Settings,
    SettingsError, SettingsSource, TokenConversation, TokenFuture, TokenSource, UpstreamProxy,
};
use fumehood_tests::hostile::{Script, Server};
use fumehood_tests::temp::TempDir;

use crate::harness::{Test, test};
use crate::mortality::{after_rest, until_resting};
use crate::support::{HELLO, builder, cause, content, engine, fetch, get, own, own_all};

pub(crate) const TESTS: [Test; 5] = [
    test(
        "proxies::what_was_said_before_holds_where_the_file_is_silent",
        || Box::pin(silent_file()),
    ),
    test("proxies::one_that_is_drained_does_not_come_back", || {
        Box::pin(drained())
    }),
    test(
        "proxies::what_learned_by_tokens_serves_those_of_that_entry",
        || Box::pin(identities()),
    ),
    test("proxies::a_rest_is_no_failure_of_the_script", || {
        Box::pin(script_in_a_rest())
    }),
    test("proxies::a_token_has_a_longest", || Box::pin(long_tokens())),
];

/// A target that cannot be (RFC 6761 section 6.4): who has its content, went by a
/// proxy.
const NOWHERE: &str = "http://origin.invalid/";

fn fixed(server: &Server) -> ProxySettings {
    let (proxy, _) = ProxyServer::parse(&server.url("")).unwrap();
    ProxySettings::Fixed(FixedProxies {
        other: vec![proxy],
        ..FixedProxies::default()
    })
}

async fn silent_file() {
    let folder = TempDir::new().unwrap();
    let (own, other) = (
        Server::start(vec![Script::answers(&[HELLO]); 3]),
        Server::start(vec![Script::answers(&[HELLO]); 2]),
    );
    let put = |text: &str| {
        let open = format!("[policy]\nprivate-hosts = [\"127.0.0.1\"]\n{text}");
        folder.write("config.toml", open).unwrap()
    };
    let source = SettingsSource {
        file: Some(put("")),
        ..SettingsSource::default()
    };
    let settings = Settings::load(&source).unwrap();
    let builder = builder().proxy_settings(fixed(&own));
    let engine = builder.follow(&settings, &source, false);
    let engine = engine.launch().await.unwrap();
    let reached = async |server: &Server, count: usize| {
        assert_eq!(fetch(&engine, NOWHERE).await.unwrap(), b"hello");
        assert_eq!(server.connections(), count);
    };
    reached(&own, 1).await;
    // An edit of something else is no leave to go straight,
    put("[timeouts]\nconnect = 5\n");
    engine.reload().await.unwrap();
    reached(&own, 2).await;
    // and the file speaks as long as it speaks.
    let url = other.url("");
    put(&format!("[proxy]\nmode = \"fixed\"\nurl = \"{url}\"\n"));
    engine.reload().await.unwrap();
    reached(&other, 1).await;
    // A file that is refused is refused whole: these lists are longer, once each rule
    // has them, than a policy may be.
    let many = |what: &str, count: usize| {
        let all: Vec<String> = (0..count).map(|it| format!("\"{what}{it}\"")).collect();
        all.join(",")
    };
    let (hosts, clients) = (many("h", 2_000), many("client-number-", 300));
    let rule = format!("deny = [{{ hosts = [{hosts}], clients = [{clients}] }}]");
    put(&format!("{rule}\n[proxy]\nmode = \"direct\"\n"));
    let refused = engine.reload().await.unwrap_err();
    assert!(matches!(refused, SettingsError::NotTaken(_)), "{refused}");
    reached(&other, 2).await;
    put("");
    engine.reload().await.unwrap();
    reached(&own, 3).await;
}

/// While no engine is launched the script cannot be asked. That is told as it is, and
/// nothing goes by the fallback, then or later.
async fn script_in_a_rest() {
    // Hosts of this machine are reached without asking the script.
    let origin = Server::start(vec![Script::answers(&[HELLO])]);
    let url = origin.url("/");
    for fallback in [Vec::new(), vec![Route::Direct]] {
        let proxy = Server::start(vec![Script::answers(&[HELLO])]);
        let place = proxy.url("").replace("http://", "");
        let script = format!("function FindProxyForURL(url, host) {{ return 'PROXY {place}' }}");
        let settings = ProxySettings::Pac {
            source: PacSource::Data(script.into_bytes()),
            fallback,
        };
        let engine = builder().proxy_settings(settings).launch().await.unwrap();
        loop {
            until_resting(&engine, "engine", &url).await;
            match fetch(&engine, NOWHERE).await {
                // The rest was over before it was asked.
                Ok(content) => assert_eq!(content, b"hello"),
                Err(error) => {
                    assert!(error.rest().is_some() && error.is_retryable(), "{error:?}");
                    break;
                }
            }
        }
        after_rest(&engine, NOWHERE).await;
        drop(engine);
        while !own_all("engine").is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

/// One that serves an address of loopback.
async fn serving(engine: &Engine) -> (fumehood::Proxy, SocketAddr) {
    let anywhere = ProxyAddress::Bind((Ipv4Addr::LOCALHOST, 0).into());
    let proxy = engine.proxy(ProxyOptions::new(anywhere)).await.unwrap();
    let address = proxy.address().unwrap();
    (proxy, address)
}

async fn drained() {
    let engine = engine().await;
    let (drained, gone) = serving(&engine).await;
    let (_stays, there) = serving(&engine).await;
    let restarted = async |times: u64| {
        while engine.launch_report().await.restarts < times {
            tokio::task::yield_now().await;
        }
    };
    // A request that has begun keeps it from its end.
    let mut client = TcpStream::connect(gone).unwrap();
    client.write_all(b"G").unwrap();
    drained.begin_drain().await.unwrap();
    own("engine").kill().unwrap();
    restarted(1).await;
    drained.drained().await;
    own("broker").kill().unwrap();
    restarted(2).await;
    // All that comes back has come back.
    assert!(TcpStream::connect(there).is_ok());
    assert!(TcpStream::connect(gone).is_err());
    drop(client);
}

/// Always says the same.
struct Says(Vec<u8>);

impl TokenSource for Says {
    fn begin(&self, _: &ProxyServer, _: TokenScheme) -> Box<dyn TokenConversation> {
        Box::new(Says(self.0.clone()))
    }
}

impl TokenConversation for Says {
    fn token<'a>(&'a mut self, _: Option<&'a [u8]>) -> TokenFuture<'a, Vec<u8>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// A proxy that learns by this token who asks.
fn by_token(server: &Server, token: &[u8]) -> UpstreamProxy {
    let (proxy, _) = ProxyServer::parse(&server.url("")).unwrap();
    let source = Arc::new(Says(token.to_vec()));
    let proxy = UpstreamProxy::named(proxy).tokens(TokenScheme::Negotiate, source);
    proxy.unwrap()
}

async fn fetch_through(engine: &Engine, proxies: &Arc<Proxies>) -> Result<Vec<u8>, Error> {
    let mut request = get(NOWHERE);
    request.extensions_mut().insert(Options {
        proxies: Some(Arc::clone(proxies)),
        ..Options::default()
    });
    content(engine.client().send(request).await?).await
}

async fn identities() {
    let engine = engine().await;
    let server = Server::start(vec![Script::answers(&[HELLO; 8])]);
    let (proxy, _) = ProxyServer::parse(&server.url("")).unwrap();
    let ways = [
        by_token(&server, b"alice"),
        by_token(&server, b"bob"),
        // The same token, of another entry.
        by_token(&server, b"alice"),
        UpstreamProxy::named(proxy.clone()),
    ];
    let ways = ways.map(|proxy| Arc::new(Proxies::through(proxy)));
    for _ in 0..2 {
        for way in &ways {
            assert_eq!(fetch_through(&engine, way).await.unwrap(), b"hello");
        }
    }
    let told: Vec<Vec<_>> = server
        .requests()
        .iter()
        .map(|asked| {
            let told = asked.iter().map(|it| it.field("proxy-authorization"));
            told.map(|it| it.map(str::to_owned)).collect()
        })
        .collect();
    let alone = |token: &str| vec![Some(format!("Negotiate {token}")), None, None];
    let wanted = [
        alone("YWxpY2U="),
        alone("Ym9i"),
        alone("YWxpY2U="),
        vec![None, None],
    ];
    assert_eq!(told, wanted, "one connection each, and nobody else on it");

    let script = UpstreamProxy::nominated(proxy);
    let told = script.tokens(TokenScheme::Ntlm, Arc::new(Says(Vec::new())));
    assert_eq!(told, Err(ProxiesError::ScriptLogin));
}

async fn long_tokens() {
    let engine = engine().await;
    let server = Server::start(vec![Script::answers(&[HELLO; 8])]);
    let through = |bytes: usize| {
        let proxy = by_token(&server, &vec![7; bytes]);
        Arc::new(Proxies::through(proxy))
    };
    let longest = fetch_through(&engine, &through(MAX_TOKEN_BYTES)).await;
    assert_eq!(longest.unwrap(), b"hello");
    let requests = server.requests().concat();
    let told = requests[0].field("proxy-authorization").unwrap();
    assert_eq!(told.len(), "Negotiate ".len() + MAX_TOKEN_BYTES / 3 * 4);

    let over = fetch_through(&engine, &through(MAX_TOKEN_BYTES + 1)).await;
    let Cause::Proxy { fault, .. } = cause(over) else {
        panic!("it is the proxy that is not told");
    };
    assert_eq!(*fault, ProxyFault::Token(TokenFault::TooLong));
    assert_eq!(server.requests().concat().len(), requests.len());
}
