//! The compiled guests against a rustls server: over sockets, and in memory.
#![allow(clippy::unwrap_used, reason = "a test")]

mod faults;
mod recordings;
mod secrets;
pub(super) mod server;
mod swaps;

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use fumehood_control::{Cause, TlsOptions, TlsVersion, Verification};
use fumehood_policy::Host;
use tokio::io::{AsyncBufRead as _, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::instance::Ticker;
use crate::registry::{Limits, Registry, Version};
use server::{Authority, FlushAll as _, Server, serve};

/// The engine with both guests.
struct Guests {
    registry: Arc<Registry>,
    ticker: Ticker,
}

fn guests(anchors: &[Vec<u8>]) -> Guests {
    let limits = Limits {
        instances: 16,
        ..Limits::for_one()
    };
    let registry = Arc::new(Registry::new(limits, Anchors::of(anchors)).unwrap());
    let ticker = Ticker::start(registry.engine().clone()).unwrap();
    for name in ["tls", "x509"] {
        crate::registry::fixtures::put(&registry, name, name, 7).unwrap();
    }
    Guests { registry, ticker }
}

const OPTIONS: TlsOptions = TlsOptions {
    verification: Verification::Full,
    min_version: TlsVersion::V1_2,
    max_version: TlsVersion::V1_3,
};

impl Guests {
    fn current(&self) -> Arc<Version<TlsModule>> {
        self.registry.tls.current().unwrap()
    }

    fn peer<'a>(
        &'a self,
        version: &'a Arc<Version<TlsModule>>,
        host: &'a Host,
        options: TlsOptions,
    ) -> Peer<'a> {
        Peer {
            registry: &self.registry,
            version,
            options,
            host,
            alpn: HTTP,
            key_log: None,
        }
    }

    async fn connect(
        &self,
        server: &Server,
        name: &str,
        options: TlsOptions,
    ) -> Result<handshake::Established, Cause> {
        let _active = self.ticker.activate();
        let tcp = TcpStream::connect(server.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let (version, host) = (self.current(), Host::parse(name).unwrap());
        let begun =
            begin(self.peer(&version, &host, options)).map_err(HandshakeError::into_cause)?;
        handshake(tcp.into(), begun)
            .await
            .map_err(HandshakeError::into_cause)
    }
}

#[tokio::test]
async fn megabytes_go_both_ways_and_close_notify_ends_them() {
    let authority = Authority::new();
    let guests = guests(&[authority.der()]);
    for (versions, version) in [
        (server::TLS13, TlsVersion::V1_3),
        (server::TLS12, TlsVersion::V1_2),
    ] {
        let data: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let server = serve(authority.server(&["localhost"], versions), |stream| {
            let mut got = vec![0; 3_000_000];
            std::io::Read::read_exact(stream, &mut got).unwrap();
            stream.conn.refresh_traffic_keys().ok();
            std::io::Write::write_all(stream, &got).unwrap();
            stream.conn.send_close_notify();
            stream.flush_all();
            // A socket closed with the key update's answer unread would be reset.
            std::io::copy(&mut stream.sock, &mut std::io::sink()).unwrap();
        });
        let established = guests.connect(&server, "localhost", OPTIONS).await.unwrap();
        assert_eq!(established.summary.version, version);
        assert!(established.summary.verified);
        assert_eq!(established.instances.len(), 2);
        let mut stream = established.stream;
        stream.write_all(&data).await.unwrap();
        stream.flush().await.unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        assert!(got == data);
        stream.shutdown().await.unwrap();
        // The bulk went past the guest.
        assert!(stream.meter().bytes_through_guests < 20_000);
        drop(stream);
        server.join();
    }
}

#[tokio::test]
async fn a_fin_without_close_notify_is_a_truncation() {
    let authority = Authority::new();
    let guests = guests(&[authority.der()]);
    let server = serve(authority.server(&["localhost"], server::TLS13), |stream| {
        std::io::Write::write_all(stream, b"half of").unwrap();
        stream.flush_all();
    });
    let mut stream = guests
        .connect(&server, "localhost", OPTIONS)
        .await
        .unwrap()
        .stream;
    let mut got = [0; 7];
    stream.read_exact(&mut got).await.unwrap();
    let error = stream.fill_buf().await.map(<[u8]>::len).unwrap_err();
    let cause = Cause::Truncated {
        place: "tls-record".to_owned(),
    };
    assert_eq!(cause_inside(&error), Some(cause));
    server.join();
}

/// What comes of a record is of no response that was asked for, however little it is.
#[tokio::test]
async fn the_beginning_of_a_record_is_heard() {
    let authority = Authority::new();
    let guests = guests(&[authority.der()]);
    for versions in [server::TLS13, server::TLS12] {
        let server = serve(authority.server(&["localhost"], versions), |stream| {
            std::io::Write::write_all(stream, b"asked").unwrap();
            stream.flush_all();
            std::io::Read::read_exact(stream, &mut [0]).unwrap();
            std::io::Write::write_all(&mut stream.conn.writer(), b"unasked").unwrap();
            let mut record = Vec::new();
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut record).unwrap();
            }
            let all_but_one = &record[..record.len() - 1];
            std::io::Write::write_all(&mut stream.sock, all_but_one).unwrap();
            std::io::copy(&mut stream.sock, &mut std::io::sink()).unwrap();
        });
        let established = guests.connect(&server, "localhost", OPTIONS).await.unwrap();
        let mut stream = established.stream;
        let mut got = [0; 5];
        stream.read_exact(&mut got).await.unwrap();
        assert!(stream.is_quiet());
        stream.write_all(b"!").await.unwrap();
        stream.flush().await.unwrap();
        // It would be plaintext, or the end, for all that is waited for.
        let heard = std::future::poll_fn(|cx| {
            let is_pending = Pin::new(&mut stream).poll_fill_buf(cx).is_pending();
            match is_pending && stream.is_quiet() {
                true => Poll::Pending,
                false => Poll::Ready(is_pending),
            }
        });
        assert!(heard.await);
        drop(stream);
        server.join();
    }
}

fn rejection(outcome: Result<handshake::Established, Cause>) -> String {
    match outcome.map(drop).unwrap_err() {
        Cause::Certificate { rejection, detail } => format!("{rejection}: {detail}"),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn certificates_are_judged_by_the_other_guest() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let guests = guests(&[ours.der()]);
    let server = serve(ours.server(&["example.org"], server::TLS13), |_| {});
    assert_eq!(
        rejection(guests.connect(&server, "localhost", OPTIONS).await),
        "wrong-name: the certificate is for example.org, not for localhost"
    );
    let server = serve(theirs.server(&["localhost"], server::TLS13), |_| {});
    let refused = rejection(guests.connect(&server, "localhost", OPTIONS).await);
    assert!(refused.starts_with("unknown-issuer") || refused.starts_with("bad-signature"));
    // What the user switched off is switched off, and said.
    let server = serve(theirs.server(&["localhost"], server::TLS13), |_| {});
    let careless = TlsOptions {
        verification: Verification::None,
        ..OPTIONS
    };
    let established = guests
        .connect(&server, "localhost", careless)
        .await
        .unwrap();
    assert!(!established.summary.verified);
}

#[tokio::test]
async fn versions_are_held_to() {
    let authority = Authority::new();
    let guests = guests(&[authority.der()]);
    let server = serve(authority.server(&["localhost"], server::TLS12), |_| {});
    let new = TlsOptions {
        min_version: TlsVersion::V1_3,
        ..OPTIONS
    };
    let cause = guests
        .connect(&server, "localhost", new)
        .await
        .map(drop)
        .unwrap_err();
    assert!(matches!(cause, Cause::Tls(_)), "{cause:?}");
}

#[tokio::test]
async fn what_is_not_tls_is_said_to_be_so() {
    let guests = guests(&[]);
    let server = server::say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    let cause = guests
        .connect(&server, "localhost", OPTIONS)
        .await
        .map(drop)
        .unwrap_err();
    let said = "the server sent something that is not a TLS record".to_owned();
    assert_eq!(cause, Cause::Tls(said));
    let server = server::say(Vec::new());
    let cause = guests
        .connect(&server, "localhost", OPTIONS)
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(
        cause,
        Cause::Truncated {
            place: "tls-handshake".to_owned()
        }
    );
}

#[test]
fn secrets_are_logged_only_where_asked_for() {
    let authority = Authority::new();
    let guests = guests(&[authority.der()]);
    let file = rustix::fs::memfd_create("keys", rustix::fs::MemfdFlags::empty()).unwrap();
    let reader = file.try_clone().unwrap();
    let host = Host::parse("localhost").unwrap();
    let version = guests.current();
    let mut peer = guests.peer(&version, &host, OPTIONS);
    peer.key_log = Some(Arc::new(KeyLogFile::new(file)));
    let _active = guests.ticker.activate();
    let mut server = authority.in_memory(&["localhost"], server::TLS13);
    handshake_in_memory(begin(peer).unwrap(), &mut |sent| server.answer(sent))
        .map(drop)
        .unwrap();
    let mut log = [0; 4096];
    let length = rustix::io::pread(&reader, &mut log, 0).unwrap();
    let log = std::str::from_utf8(&log[..length]).unwrap();
    let labels: Vec<&str> = log
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        labels,
        [
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            "CLIENT_TRAFFIC_SECRET_0",
            "SERVER_TRAFFIC_SECRET_0",
            "EXPORTER_SECRET",
        ]
    );
    assert_eq!(server.logged(), log.lines().map(str::to_owned).collect());
}

/// The guest of one connection says that its keys are those of another.
#[tokio::test]
async fn another_connections_keys_are_nobodys() {
    let authority = Authority::new();
    let guests = guests(&[authority.der()]);
    let digest = 8;
    crate::registry::fixtures::put(&guests.registry, "tls", "tls-faulty", digest).unwrap();
    let server = serve(authority.server(&["localhost"], server::TLS13), |stream| {
        // A client that leaves without a word is no concern here.
        let _ = std::io::copy(&mut stream.sock, &mut std::io::sink());
    });
    let stream = guests.connect(&server, "localhost", OPTIONS).await;
    let stream = stream.unwrap().stream;
    let (outbound, inbound) = stream.keys().unwrap();
    let claim = format!("take:{outbound}:{inbound}");
    let thief = server::say(server::record(claim.as_bytes()));
    let outcome = guests.connect(&thief, "localhost", OPTIONS).await;
    let Err(Cause::Guest { detail, .. }) = outcome.map(drop) else {
        panic!("it was let in");
    };
    assert!(
        detail.contains("a key handle that this connection does not have"),
        "{detail}"
    );
    drop(stream);
    server.join();
}
