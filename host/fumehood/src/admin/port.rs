//! Metrics on a loopback port, for collectors that reach no Unix socket.
//!
//! Every user of this machine can connect there, and pages in a browser can have it
//! connect: so there is nothing but `GET /metrics`, under loopback's own names.

use std::io;
use std::net::SocketAddr;
use std::sync::Weak;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::accept::accept_all;
use super::scrape::{self, Head, Sender};
use crate::shared::Shared;
use crate::{Engine, LaunchError};

/// Longest request head, in bytes; what collectors send has a tenth of it.
const MAX_HEAD: u64 = 8 << 10;

/// How long a connection has in all: as long as Prometheus waits by default.
const WITHIN: Duration = Duration::from_secs(10);

/// A bound port.
#[derive(Debug)]
pub(crate) struct MetricsPort {
    listener: TcpListener,
    address: SocketAddr,
    /// [`WITHIN`], but for tests.
    within: Duration,
}

impl MetricsPort {
    /// Binds an address of loopback; port 0 is any.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, LaunchError> {
        if !address.ip().is_loopback() {
            return Err(LaunchError::MetricsBeyondLoopback(address));
        }
        let refused = |source| LaunchError::MetricsPort { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(MetricsPort {
            listener,
            address,
            within: WITHIN,
        })
    }

    /// Where it is, its port known.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves for as long as it is polled.
    pub(crate) async fn serve(self, shared: Weak<Shared>) {
        let serve = |(stream, peer): (TcpStream, SocketAddr)| {
            let (shared, within) = (shared.clone(), self.within);
            async move {
                // Kernels can be told to let neighbours in to loopback (route_localnet).
                match peer.ip().is_loopback() {
                    true => tokio::time::timeout(within, connection(stream, &shared)).await?,
                    false => Ok(()),
                }
            }
        };
        accept_all(|cx| self.listener.poll_accept(cx), serve).await;
    }
}

/// One request, one answer.
async fn connection(stream: TcpStream, shared: &Weak<Shared>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader).take(MAX_HEAD);
    let mut request = Vec::new();
    reader.read_until(b'\n', &mut request).await?;
    let Some(head) = Head::read(request, &mut reader).await? else {
        return Ok(());
    };
    let verdict = head.and_then(|head| head.judge(Sender::AnyProgram));
    let engine = match verdict.map(|()| shared.upgrade()) {
        Ok(Some(shared)) => Ok(Engine { shared }),
        Ok(None) => return Ok(()),
        Err(refusal) => Err(refusal),
    };
    scrape::answer(engine.as_ref().map_err(|refusal| *refusal), &mut writer).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use std::time::Instant;

    use tokio::io::AsyncWriteExt as _;

    use super::super::accept::MAX_CONNECTIONS;
    use super::*;

    /// A port that serves nobody's metrics, for as long as the runtime is.
    async fn port(within: Duration) -> SocketAddr {
        let mut port = MetricsPort::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        port.within = within;
        let address = port.address();
        tokio::spawn(port.serve(Weak::new()));
        address
    }

    async fn answer(address: SocketAddr, message: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(message).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn addresses_beyond_loopback_are_refused() {
        for address in ["0.0.0.0:0", "10.0.0.1:0", "[::]:0", "[::ffff:127.0.0.1]:0"] {
            let refused = MetricsPort::bind(address.parse().unwrap()).await;
            let refusal = refused.unwrap_err().to_string();
            assert!(refusal.contains("which others can reach"), "{refusal}");
        }
        let taken = MetricsPort::bind(port(WITHIN).await).await.unwrap_err();
        assert!(matches!(taken, LaunchError::MetricsPort { .. }), "{taken}");
    }

    #[tokio::test]
    async fn what_is_no_such_request_is_refused_and_the_connection_ends() {
        let address = port(WITHIN).await;
        let head = usize::try_from(MAX_HEAD).unwrap();
        for (message, status) in [
            (
                &b"GET /metrics HTTP/1.1\r\nhost: a.example\r\n\r\n"[..],
                "421",
            ),
            (b"POST /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n", "405"),
            (b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", "404"),
            (b"{\"command\":\"policy-reload\"}\n\n", "400"),
            (b"\x16\x03\x01\0\n\n", "400"),
            (&vec![b'x'; head], "431"),
            (&b"GET /\r\n".repeat(head.div_ceil(7))[..head], "431"),
        ] {
            let answer = answer(address, message).await;
            let begins = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&begins), "{status}: {answer}");
        }
        // Of an engine that is gone nothing is told.
        let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
        assert_eq!(answer(address, request).await, "");
    }

    #[tokio::test]
    async fn who_says_nothing_holds_a_place_for_so_long_and_no_longer() {
        let within = Duration::from_millis(300);
        let address = port(within).await;
        let began = Instant::now();
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let refused = answer(address, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert!(refused.starts_with("HTTP/1.1 404 "), "{refused}");
        assert!(began.elapsed() >= within);
        for mut stream in silent {
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        }
    }
}
