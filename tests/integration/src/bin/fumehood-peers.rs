//! Starts the servers that the bench fetches from, says on one line of JSON
//! where they are, and stops them when its standard input ends.
//!
//! ```text
//! {"ca_file": "/tmp/…/ca.pem", "http": "http://127.0.0.1:1", "tls12": …, "tls13": …, "chunks": …}
//! ```
//!
//! Each serves `1gib.bin` and `1kib.bin`; `chunks` answers everything with
//! 64 MiB in chunks of 4 KiB.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use fumehood_tests::certs::TestCa;
use fumehood_tests::peers::{Nginx, Service, Site};
use fumehood_tests::temp::TempDir;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let ca = TestCa::new();
    let folder = TempDir::new()?;
    let ca_file = folder.write("ca.pem", ca.pem())?;
    let site = Site::new()
        .zeros("1gib.bin", 1 << 30)
        .zeros("1kib.bin", 1 << 10);
    let nginx = Nginx::start(&ca.issue(), &site)?;
    let base = |service| {
        let url = nginx.url(service, "");
        url.trim_end_matches('/').to_owned()
    };
    let addresses = json!({
        "ca_file": ca_file,
        "http": base(Service::Http),
        "tls12": base(Service::Tls12),
        "tls13": base(Service::Tls13),
        "chunks": chunks()?,
    });
    writeln!(io::stdout(), "{addresses}")?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// Size of a chunk, in bytes.
const CHUNK: usize = 4 * 1024;

/// Chunks in a write, and writes in an answer.
const CHUNKS_A_WRITE: usize = 16;
const WRITES: usize = 1024;

/// Starts a server of chunks; says where it is.
fn chunks() -> io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let base = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away is not the server's affair.
            thread::spawn(move || answer_in_chunks(stream));
        }
    });
    Ok(base)
}

fn answer_in_chunks(stream: TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
    let mut chunk = format!("{CHUNK:x}\r\n").into_bytes();
    chunk.resize(chunk.len() + CHUNK, b'x');
    chunk.extend_from_slice(b"\r\n");
    let chunks = chunk.repeat(CHUNKS_A_WRITE);
    let stream = stream.get_mut();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")?;
    for _ in 0..WRITES {
        stream.write_all(&chunks)?;
    }
    stream.write_all(b"0\r\n\r\n")
}
