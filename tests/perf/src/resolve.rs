//! Names: what the cache has, and what a server has to be asked for, next to a
//! native resolver.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::Instant;

use fumehood::{Dns, Engine, Question};
use fumehood_control::{
    DialReply, DialRequest, GrantId, NameQuery, NameServer, RecordType, ResolverSetup,
    ServerProtocol, Wanted,
};
use fumehood_engine::measure::Resolver;
use fumehood_sandbox::Channel;
use fumehood_tests::peers::Unbound;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use crate::{Outcome, Row, guests, median, text};

/// Lookups of what is known, for a median.
const HITS: usize = 10_001;

/// Lookups of what is not, for a median; ours and the peer's in turn.
const MISSES: usize = 1001;

const NAME: &str = "www.fumehood.test";

pub(crate) fn measure() -> Outcome {
    let unbound = Unbound::start().map_err(text)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(text)?;
    runtime.block_on(async {
        // By a task, as exchanges are: the engine has no thread that only asks.
        let asking = tokio::spawn(cached(unbound.address()));
        let cached = asking.await.map_err(text)??;
        let (ours, peer) = uncached(&unbound).await?;
        Ok(vec![
            Row::alone("resolve-cached", cached),
            Row {
                case: "resolve-uncached",
                ours,
                peer: Some((peer, "hickory-resolver")),
            },
        ])
    })
}

/// Microseconds from a question to the guest's answer, inside the engine.
async fn cached(server: SocketAddr) -> Result<f64, String> {
    let setup = ResolverSetup {
        grant: GrantId(1),
        dials: false,
        servers: vec![NameServer {
            address: server,
            protocol: ServerProtocol::Plain,
        }],
        search: Vec::new(),
        ndots: 1,
        timeout_ms: 5000,
        attempts: 2,
        rotate: false,
        trust_authentic: false,
        dnssec: None,
        hosts: Vec::new(),
    };
    let (ours, theirs) = Channel::<DialRequest, DialReply>::pair().map_err(text)?;
    std::thread::spawn(move || broker(&theirs));
    let resolver = Resolver::start(&guests::code("dns", 0)?, setup, ours.into_fd())?;
    let query = || NameQuery {
        name: NAME.to_owned(),
        wanted: Wanted::Records(RecordType::A),
        cached: true,
        traced: false,
        private: true,
        deadline_ms: 10_000,
    };
    let mut figures = Vec::new();
    for _ in 0..=HITS {
        let begun = Instant::now();
        let answer = resolver.ask(query()).await;
        figures.push(begun.elapsed().as_secs_f64() * 1e6);
        answer.map_err(|why| format!("{why:?}"))?;
    }
    // The first one asked the server.
    Ok(median(figures.split_off(1)))
}

/// Gives sockets to whom they are asked for.
fn broker(channel: &Channel<DialReply, DialRequest>) {
    while let Ok((request, _)) = channel.recv() {
        let DialRequest::Connect { id, address, .. } = request else {
            continue;
        };
        let made = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
            socket.connect(address)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        let Ok(socket) = made else {
            return;
        };
        let reply = DialReply::Connected {
            id,
            peer: address,
            refused: Vec::new(),
            attempts: Vec::new(),
            resolve_us: 0,
            connect_us: 0,
        };
        if channel.send(&reply, &[socket.as_fd()]).is_err() {
            return;
        }
    }
}

/// Microseconds of a lookup at the server: through all our processes, and by
/// the peer in this one.
async fn uncached(unbound: &Unbound) -> Result<(f64, f64), String> {
    let dns = Dns {
        servers: vec![unbound.address().to_string().parse().map_err(text)?],
        private_answers: true,
        resolv_conf: PathBuf::from("/nonexistent"),
        hosts: PathBuf::from("/nonexistent"),
        ..Dns::default()
    };
    let engine = Engine::builder().dns(dns).launch().await.map_err(text)?;
    let question = Question::new(NAME, Wanted::Records(RecordType::A)).map_err(text)?;
    let question = question.uncached();
    let peer = native(unbound)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..MISSES {
        let begun = Instant::now();
        engine.resolve(&question).await.map_err(text)?;
        ours.push(begun.elapsed().as_secs_f64() * 1e6);
        let begun = Instant::now();
        peer.ipv4_lookup(format!("{NAME}.")).await.map_err(text)?;
        theirs.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok((median(ours), median(theirs)))
}

/// hickory-resolver without a cache.
fn native(unbound: &Unbound) -> Result<TokioResolver, String> {
    let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for it in &mut connections {
        it.port = unbound.address().port();
    }
    let server = NameServerConfig::new(unbound.address().ip(), true, connections.into());
    let mut options = ResolverOpts::default();
    options.cache_size = 0;
    let servers = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .map_err(text)
}
