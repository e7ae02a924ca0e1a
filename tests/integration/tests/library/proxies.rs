//! The way out of an engine, and one that others go out by.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use fumehood::policy::{FixedProxies, ProxyServer, ProxySettings};
use fumehood::{Engine, ProxyAddress, ProxyOptions, Settings, SettingsSource};
use fumehood_tests::hostile::{Script, Server};
use fumehood_tests::temp::TempDir;

use crate::harness::{Test, test};
use crate::support::{HELLO, builder, engine, fetch, own};

pub(crate) const TESTS: [Test; 2] = [
    test(
        "proxies::what_was_said_before_holds_where_the_file_is_silent",
        || Box::pin(silent_file()),
    ),
    test("proxies::one_that_is_drained_does_not_come_back", || {
        Box::pin(drained())
    }),
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
        Server::start(vec![Script::answers(&[HELLO])]),
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
    put("");
    engine.reload().await.unwrap();
    reached(&own, 3).await;
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
