//! A codec that ends while the request's payload is on its way: what the server
//! gets is the request, byte by byte, or the beginning of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};

use fumehood_control::{Aftermath, Exchange, PayloadLength};
use fumehood_policy::Scheme;

use super::exchange::request;
use super::origin::payload;
use super::rig::{Done, LIMITS, Rig, Started};
use super::{FAULTY, GOOD};

/// Bytes that are sent before and after something happens; the sockets on the
/// way do not hold so many.
const PART: usize = 8_000_000;

/// An answer that comes before the payload does.
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nx-fumehood-fault: upload\r\n\r\n";
const DONE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";

/// What a server does once it has said what it says first.
#[derive(Clone, Copy)]
enum Then {
    /// Reads all payload, then says this.
    Says(&'static str),
    /// Reads what there is when the client is gone.
    Waits,
}

/// A server for one connection, and what it got.
struct Server {
    address: SocketAddr,
    got: Receiver<Vec<u8>>,
}

/// Reads a head, says `first`, and goes on.
fn serve(first: &'static str, then: Then) -> Server {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (send, got) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            reader.read_until(b'\n', &mut bytes).unwrap();
        }
        stream.write_all(first.as_bytes()).unwrap();
        match then {
            Then::Says(last) => {
                let is_chunked = String::from_utf8_lossy(&bytes).contains("chunked");
                let whole = bytes.len() + 2 * PART;
                let mut piece = vec![0; 1 << 16];
                while !is_chunked && bytes.len() < whole
                    || is_chunked && !bytes.ends_with(b"\r\n0\r\n\r\n")
                {
                    let count = reader.read(&mut piece).unwrap();
                    assert!(count > 0, "the payload is not whole");
                    bytes.extend_from_slice(&piece[..count]);
                }
                stream.write_all(last.as_bytes()).unwrap();
            }
            Then::Waits => {
                // A client that gives up may reset the connection.
                let _reset = reader.read_to_end(&mut bytes);
            }
        }
        send.send(bytes).unwrap();
    });
    Server { address, got }
}

/// An upload under way, and where its payload is written to.
fn begin(
    rig: &mut Rig,
    server: &Server,
    length: PayloadLength,
) -> (Started, std::fs::File, UnixStream) {
    let exchange = Exchange {
        method: "POST".to_owned(),
        payload: length,
        ..request(Scheme::Http, server.address, "/upload", true)
    };
    let (source, payload) = UnixStream::pair().unwrap();
    source.set_nonblocking(true).unwrap();
    let (started, sink) = rig.upload(&exchange, source.into());
    (started, sink, payload)
}

/// What the server got of the payload, its coding undone.
fn content(server: &Server, length: PayloadLength) -> Vec<u8> {
    let got = server.got.recv().unwrap();
    let (framing, is_chunked) = match length {
        PayloadLength::Known(length) => (format!("content-length: {length}"), false),
        _ => ("transfer-encoding: chunked".to_owned(), true),
    };
    let port = server.address.port();
    let head = format!("POST /upload HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{framing}\r\n\r\n");
    let content = got.strip_prefix(head.as_bytes());
    let content = content.unwrap_or_else(|| panic!("{:?}", String::from_utf8_lossy(&got[..200])));
    if is_chunked {
        dechunked(content)
    } else {
        content.to_vec()
    }
}

/// The content of whole chunks, and of the last one as far as it came.
fn dechunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        let chunk = &bytes[end + 2..];
        let there = size.min(chunk.len());
        content.extend_from_slice(&chunk[..there]);
        let behind = &chunk[there..];
        assert!(b"\r\n".starts_with(&behind[..behind.len().min(2)]));
        bytes = &behind[behind.len().min(2)..];
    }
    content
}

fn reports(rig: &mut Rig, count: usize, aftermath: Aftermath) {
    for _ in 0..count {
        let report = rig.report();
        assert_eq!(
            (report.kind.as_str(), report.aftermath),
            ("trap", aftermath)
        );
    }
}

fn is_whole(done: &Done, server: &Server, length: PayloadLength) {
    let summary = done.outcome.as_ref().unwrap();
    assert_eq!(summary.payload_sent, 2 * PART as u64);
    assert_eq!(done.resumed(), ["0.0.1"]);
    assert_eq!(
        (done.head.as_ref().unwrap().status, &done.body[..]),
        (200, &b"done"[..])
    );
    assert!(content(server, length) == payload(2 * PART));
}

const LENGTHS: [PayloadLength; 2] = [
    PayloadLength::Known(2 * PART as u64),
    PayloadLength::Unknown,
];

#[test]
fn a_trap_over_payload_is_resumed_and_the_server_gets_every_byte_once() {
    for length in LENGTHS {
        let mut rig = Rig::new(LIMITS, &[(GOOD, 1), (FAULTY, 2)]);
        let server = serve(HINTS, Then::Says(DONE));
        let (started, sink, mut end) = begin(&mut rig, &server, length);
        let body = payload(2 * PART);
        end.write_all(&body[..PART]).unwrap();
        rig.wait_for_informational(started);
        end.write_all(&body[PART..]).unwrap();
        drop(end);
        let done = rig.finish(started, sink);
        is_whole(&done, &server, length);
        reports(&mut rig, 2, Aftermath::Resumed);
    }
}

#[test]
fn a_trap_over_an_answer_in_the_upload_is_resumed_and_both_end_whole() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nx-fumehood-fault: trap\r\ncontent-length: 4\r\n\r\n";
    for length in LENGTHS {
        let mut rig = Rig::new(LIMITS, &[(GOOD, 1), (FAULTY, 2)]);
        let server = serve(HEAD, Then::Says("done"));
        let (started, sink, mut end) = begin(&mut rig, &server, length);
        let body = payload(2 * PART);
        end.write_all(&body[..PART]).unwrap();
        rig.wait_for_head(started);
        end.write_all(&body[PART..]).unwrap();
        drop(end);
        let done = rig.finish(started, sink);
        is_whole(&done, &server, length);
        reports(&mut rig, 2, Aftermath::Resumed);
    }
}

#[test]
fn a_trap_over_a_whole_answer_in_the_upload_ends_it_well() {
    const WHOLE: &str =
        "HTTP/1.1 413 Content Too Large\r\nx-fumehood-fault: trap\r\ncontent-length: 4\r\n\r\ndone";
    for length in LENGTHS {
        let mut rig = Rig::new(LIMITS, &[(GOOD, 1), (FAULTY, 2)]);
        let server = serve(WHOLE, Then::Waits);
        let (started, sink, mut end) = begin(&mut rig, &server, length);
        let body = payload(PART);
        // An engine that has its answer takes no more.
        let _closed = end.write_all(&body);
        let done = rig.finish(started, sink);
        assert_eq!(done.head.as_ref().unwrap().status, 413);
        assert_eq!(
            (done.resumed(), &done.body[..]),
            (vec!["0.0.1"], &b"done"[..])
        );
        assert!(!done.outcome.unwrap().connection_kept);
        assert!(body.starts_with(&content(&server, length)));
        reports(&mut rig, 2, Aftermath::Resumed);
    }
}

#[test]
fn poison_in_the_upload_is_one_typed_error() {
    for length in LENGTHS {
        let mut rig = Rig::new(LIMITS, &[(FAULTY, 1), (FAULTY, 2)]);
        let server = serve(HINTS, Then::Waits);
        let (started, sink, mut end) = begin(&mut rig, &server, length);
        let body = payload(2 * PART);
        // It ends with the engine's end of it.
        let _closed = end.write_all(&body);
        let done = rig.finish(started, sink);
        assert_eq!(done.guest_fault().0, "trap");
        assert!(done.head.is_none() && done.body.is_empty());
        assert!(body.starts_with(&content(&server, length)));
        reports(&mut rig, 3, Aftermath::Failed);
    }
}
