//! An https server on loopback: one thread, one response a connection.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use fumehood_policy::{Host, Scheme, Target};
use fumehood_tests::certs::TestCa;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::text;

/// Stands over and over in every body, and nowhere else.
pub(crate) const BODY_MARKER: &str = "payload-of-the-response-7f3a9c51";

/// Stands in every response's head.
pub(crate) const HEAD_MARKER: &str = "field-of-the-response-b8e20d64";

/// Where it listens. Its thread ends with the process.
pub(crate) struct Server {
    address: SocketAddr,
}

impl Server {
    /// Serves `GET /N` with a body of N bytes.
    pub(crate) fn start(ca: &TestCa) -> Result<Server, String> {
        let identity = ca.issue();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(text)?
            .with_no_client_auth()
            .with_single_cert(identity.chain, identity.key)
            .map_err(text)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(text)?;
        let address = listener.local_addr().map_err(text)?;
        let config = Arc::new(config);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is not the server's affair.
                let _ = serve(stream, Arc::clone(&config));
            }
        });
        Ok(Server { address })
    }

    /// Its origin.
    pub(crate) fn target(&self) -> Target {
        Target {
            scheme: Scheme::Https,
            host: Host::from(self.address.ip()),
            port: self.address.port(),
        }
    }

    /// A new connection, as the broker would make it.
    pub(crate) fn connect(&self) -> Result<TcpStream, String> {
        let stream = TcpStream::connect(self.address).map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        stream.set_nonblocking(true).map_err(text)?;
        Ok(stream)
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>) -> Result<(), String> {
    stream.set_nodelay(true).map_err(text)?;
    let connection = ServerConnection::new(config).map_err(text)?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let mut request = String::new();
    reader.read_line(&mut request).map_err(text)?;
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).map_err(text)? == 0 {
            return Ok(());
        }
    }
    let path = request.split(' ').nth(1).unwrap_or("/");
    let length: usize = path.trim_start_matches('/').parse().unwrap_or(0);
    let stream = reader.get_mut();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nx-marker: {HEAD_MARKER}\r\ncontent-length: {length}\r\n\r\n"
    )
    .map_err(text)?;
    let chunk = BODY_MARKER.repeat(2048);
    let mut left = length;
    while left > 0 {
        let part = left.min(chunk.len());
        stream.write_all(&chunk.as_bytes()[..part]).map_err(text)?;
        left -= part;
    }
    stream.flush().map_err(text)
}
