//! A server of our own on loopback, with TLS and without: it sends what a
//! path asks for, poisoned or not, and sends back what it is sent.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::plan::{Framing, Item};
use crate::cli::content;
use crate::cli::demo;

/// Largest request head read, in bytes.
const MAX_HEAD_BYTES: u64 = 16 * 1024;

/// Largest content of a request taken, in bytes: more than the plan has.
const MAX_UPLOAD_BYTES: u64 = 1 << 20;

/// Chunks of a chunked response, so that its framing is in the middle of it.
const CHUNKS: u64 = 16;

/// How long a client may be silent; then its thread ends.
const SILENCE: Duration = Duration::from_secs(60);

/// A running server; it ends with the process.
pub(super) struct Origin {
    plain: SocketAddr,
    secure: SocketAddr,
    anchor: CertificateDer<'static>,
}

/// How a request ended.
enum Then {
    Next,
    Close,
}

impl Origin {
    pub(super) fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let (config, anchor) = demo::tls()?;
        let plain = listen(serve)?;
        let secure = listen(move |stream| serve_tls(stream, config.clone()))?;
        Ok(Origin {
            plain,
            secure,
            anchor,
        })
    }

    /// Both, as a policy names them.
    pub(super) fn authorities(&self) -> [String; 2] {
        [self.plain.to_string(), self.secure.to_string()]
    }

    pub(super) fn anchor(&self) -> &CertificateDer<'static> {
        &self.anchor
    }

    pub(super) fn url(&self, item: &Item, poison: bool) -> String {
        let path = item.path(poison);
        match item.https {
            true => format!("https://{}{path}", self.secure),
            false => format!("http://{}{path}", self.plain),
        }
    }
}

/// Accepts, with a thread for each client. One that breaks off ends its own.
fn listen(
    serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(SILENCE))?;
                stream.set_write_timeout(Some(SILENCE))?;
                serve(stream)
            });
        }
    });
    Ok(address)
}

fn serve(stream: TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(Then::Next) = exchange(&mut stream)? {}
    Ok(())
}

fn serve_tls(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    let session = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(session, stream));
    while let Some(Then::Next) = exchange(&mut stream)? {}
    let stream = stream.get_mut();
    stream.conn.send_close_notify();
    stream.flush()
}

/// One request; `None` when there is no more.
fn exchange<S: Read + Write>(stream: &mut BufReader<S>) -> io::Result<Option<Then>> {
    let Some((item, length)) = request(stream)? else {
        return Ok(None);
    };
    let mut upload = Vec::new();
    stream.by_ref().take(length).read_to_end(&mut upload)?;
    let mut answer = io::BufWriter::new(stream.get_mut());
    let then = match item {
        Some(item) => respond(&mut answer, &item, &upload)?,
        None => {
            answer.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
            Then::Next
        }
    };
    answer.flush()?;
    Ok(Some(then))
}

/// Reads a head: what it asks for, and the length of its content.
fn request(stream: &mut impl BufRead) -> io::Result<Option<(Option<Item>, u64)>> {
    let mut head = stream.take(MAX_HEAD_BYTES);
    let (mut first, mut line) = (String::new(), String::new());
    if head.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        line.clear();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end().split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().unwrap_or(0).min(MAX_UPLOAD_BYTES);
            }
            Some(_) => {}
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    Ok(Some((Item::of_path(path), length)))
}

fn respond(stream: &mut impl Write, item: &Item, upload: &[u8]) -> io::Result<Then> {
    let fault = item.poison.map_or(String::new(), |poison| {
        format!("x-fumehood-fault: {}\r\n", poison.field())
    });
    write!(stream, "HTTP/1.1 200 OK\r\n{fault}")?;
    let (from, to) = (item.offset, item.offset + item.bytes);
    match item.framing {
        Framing::Length => {
            write!(stream, "content-length: {}\r\n\r\n", item.bytes)?;
            content::write(stream, from, to)?;
            Ok(Then::Next)
        }
        Framing::Chunked => {
            write!(stream, "transfer-encoding: chunked\r\n\r\n")?;
            let step = (item.bytes / CHUNKS).max(1);
            let mut at = from;
            while at < to {
                let end = to.min(at + step);
                write!(stream, "{:x}\r\n", end - at)?;
                content::write(stream, at, end)?;
                write!(stream, "\r\n")?;
                at = end;
            }
            write!(stream, "0\r\n\r\n")?;
            Ok(Then::Next)
        }
        Framing::UntilClose => {
            write!(stream, "connection: close\r\n\r\n")?;
            content::write(stream, from, to)?;
            Ok(Then::Close)
        }
        Framing::Echo => {
            write!(stream, "content-length: {}\r\n\r\n", upload.len())?;
            stream.write_all(upload)?;
            Ok(Then::Next)
        }
    }
}
