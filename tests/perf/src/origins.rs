//! Many origins on loopback that keep their connections: one listener, whose
//! every address in 127.0.0.0/8 is an origin of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use fumehood_tests::certs::TestCa;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::text;

/// Stack of a connection's thread, in bytes: a handshake needs no more.
const STACK: usize = 256 * 1024;

/// The listener's port. Its threads end with the process.
pub(crate) struct Origins {
    port: u16,
    scheme: &'static str,
}

impl Origins {
    /// Answers every `GET` with [`Origins::body`], for ever.
    pub(crate) fn http() -> Result<Origins, String> {
        Origins::start("http", |stream| keep(&mut BufReader::new(stream)))
    }

    /// The same over TLS 1.3, for the first `count` origins.
    pub(crate) fn https(ca: &TestCa, count: usize) -> Result<Origins, String> {
        let names: Vec<String> = (0..count).map(address).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let identity = ca.issue_for(&names);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(text)?
            .with_no_client_auth()
            .with_single_cert(identity.chain, identity.key)
            .map_err(text)?;
        let config = Arc::new(config);
        Origins::start("https", move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).map_err(text)?;
            keep(&mut BufReader::new(StreamOwned::new(connection, stream)))
        })
    }

    fn start(
        scheme: &'static str,
        serve: impl Fn(TcpStream) -> Result<(), String> + Clone + Send + 'static,
    ) -> Result<Origins, String> {
        let listener = TcpListener::bind(("0.0.0.0", 0)).map_err(text)?;
        let port = listener.local_addr().map_err(text)?.port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serve = serve.clone();
                let serving = move || {
                    // A client that goes away is not the server's affair.
                    let _ended = stream
                        .set_nodelay(true)
                        .map_err(text)
                        .and_then(|()| serve(stream));
                };
                // Without a thread the connection closes, which the client tells.
                let _thread = thread::Builder::new().stack_size(STACK).spawn(serving);
            }
        });
        Ok(Origins { port, scheme })
    }

    /// A resource of the origin of this number.
    pub(crate) fn url(&self, origin: usize, path: usize) -> String {
        format!("{}://{}:{}/{path}", self.scheme, address(origin), self.port)
    }

    /// Its content, which no other resource of any origin has.
    pub(crate) fn body(&self, origin: usize, path: usize) -> String {
        format!("{}:{}/{path}", address(origin), self.port)
    }
}

fn address(origin: usize) -> String {
    format!("127.{}.{}.1", 1 + origin / 250, 1 + origin % 250)
}

/// Serves one connection until it closes. The content is what was asked for,
/// by the request's own words.
fn keep<S: Read + Write>(stream: &mut BufReader<S>) -> Result<(), String>
where
    BufReader<S>: BufRead,
{
    loop {
        let (mut path, mut host) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).map_err(text)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line if path.is_empty() => {
                    line.split(' ').nth(1).unwrap_or("/").clone_into(&mut path);
                }
                line => {
                    if let Some(("host", value)) = line.split_once(": ") {
                        value.clone_into(&mut host);
                    }
                }
            }
        }
        let body = format!("{host}{path}");
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let stream = stream.get_mut();
        stream.write_all(answer.as_bytes()).map_err(text)?;
        stream.flush().map_err(text)?;
    }
}
