//! A server whose answers a path asks for.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// Serves until the test ends.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Origin {
    pub(crate) fn start() -> Origin {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                theirs.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&theirs);
                std::thread::spawn(move || shared.serve(&stream.unwrap()));
            }
        });
        Origin { address, shared }
    }

    /// Connections that came so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Lets the answers under `/gate` go on.
    pub(crate) fn open_gate(&self) {
        *self.shared.open.lock().unwrap() = true;
        self.shared.opened.notify_all();
    }
}

/// The payload of so many bytes.
pub(crate) fn payload(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from(at * 31 % 251).unwrap())
        .collect()
}

impl Shared {
    /// ```text
    /// /plain/LENGTH            /gate/LENGTH (half, then the gate)
    /// /fault/KIND/LENGTH       /chunks/KIND/COUNT/SIZE (with a trailer)
    /// /fields/COUNT            /held/KIND/COUNT (told of at once, its head behind the gate)
    /// /mark/TEXT (told in capitals)
    /// ```
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(path) = read_head(&mut reader) {
            let words: Vec<&str> = path.split('/').skip(1).collect();
            // A client that is gone is what some tests are about.
            let _ = match words[..] {
                ["plain", length] => whole(stream, "", length),
                ["gate", length] => self.gated(stream, length),
                ["fault", kind, length] => {
                    whole(stream, &format!("x-fumehood-fault: {kind}\r\n"), length)
                }
                ["fields", count] => whole(stream, &fields(count), "3"),
                ["held", kind, count] => self.held(stream, kind, count),
                ["mark", text] => {
                    let told = text.to_uppercase();
                    whole(stream, &format!("x-mark: {told}\r\n"), "3")
                }
                ["chunks", kind, count, size] => chunked(stream, kind, count, size),
                _ => panic!("{path}"),
            };
        }
    }

    fn gated(&self, mut stream: &TcpStream, length: &str) -> std::io::Result<()> {
        let body = payload(length.parse().unwrap());
        let (first, rest) = body.split_at(body.len() / 2);
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"
        )?;
        stream.write_all(first)?;
        self.wait_at_gate();
        stream.write_all(rest)
    }

    fn held(&self, mut stream: &TcpStream, kind: &str, count: &str) -> std::io::Result<()> {
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n")?;
        self.wait_at_gate();
        let fields = fields(count) + &format!("x-fumehood-fault: {kind}\r\n");
        whole(stream, &fields, "3")
    }

    fn wait_at_gate(&self) {
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
    }
}

fn read_head(reader: &mut BufReader<&TcpStream>) -> Option<String> {
    let mut path = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            return path;
        }
        path = path.or_else(|| line.split(' ').nth(1).map(str::to_owned));
    }
}

fn fields(count: &str) -> String {
    let count: usize = count.parse().unwrap();
    (0..count).map(|at| format!("x-{at}: y\r\n")).collect()
}

fn whole(mut stream: &TcpStream, fields: &str, length: &str) -> std::io::Result<()> {
    let body = payload(length.parse().unwrap());
    let answer = format!("HTTP/1.1 200 OK\r\n{fields}content-length: {length}\r\n\r\n");
    stream.write_all(answer.as_bytes())?;
    stream.write_all(&body)
}

fn chunked(mut stream: &TcpStream, kind: &str, count: &str, size: &str) -> std::io::Result<()> {
    let (count, size): (usize, usize) = (count.parse().unwrap(), size.parse().unwrap());
    write!(stream, "HTTP/1.1 200 OK\r\nx-fumehood-fault: {kind}\r\n")?;
    write!(stream, "transfer-encoding: chunked\r\n\r\n")?;
    for chunk in payload(count * size).chunks(size) {
        write!(stream, "{size:x}\r\n")?;
        stream.write_all(chunk)?;
        write!(stream, "\r\n")?;
    }
    write!(stream, "0\r\nx-end: reached\r\n\r\n")
}
