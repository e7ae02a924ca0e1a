//! A proxy that runs, and a client that says exactly what a test wants said.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use fumehood_tests::artifacts::{component, fumehood};
use fumehood_tests::fetch::Fetch;
use fumehood_tests::processes::{self, Process, wait_for};
use fumehood_tests::temp::TempDir;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// After which a test that waits has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long it is listened for an answer between two bytes that are dripped.
const DRIP: Duration = Duration::from_millis(50);

/// What an origin answers that is asked once.
pub(crate) const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// `fumehood proxy` on a port of its own.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where it tells metrics, if it does.
    pub(crate) metrics: Option<SocketAddr>,
    folder: TempDir,
}

/// Puts this guest of the tests in a module's place, by an admin socket.
pub(crate) fn swap_in(socket: &Path, name: &str, guest: &str) {
    let folder = TempDir::new().unwrap();
    let file = folder.join(format!("{name}@9.0.0.wasm"));
    std::fs::copy(component(guest), &file).unwrap();
    let ask = |action: &[&str]| {
        let asked = Fetch::command("modules").args(action);
        let done = asked.args(["--json", "--socket"]).arg(socket).run();
        assert_eq!(done.code(), 0, "{}", done.stderr);
        serde_json::from_slice::<Value>(&done.stdout).unwrap()
    };
    let loaded = ask(&["load", file.to_str().unwrap()]);
    ask(&["swap", name, &loaded["digest"].as_str().unwrap()[..12]]);
}

impl Proxy {
    /// One that may reach loopback.
    pub(crate) fn start(arguments: &[&str]) -> Proxy {
        Proxy::strict(&[&["--allow-private", "127.0.0.1"], arguments].concat())
    }

    /// One that goes by its arguments alone. It keeps an access log.
    pub(crate) fn strict(arguments: &[&str]) -> Proxy {
        Proxy::at("127.0.0.1:0", arguments)
    }

    /// One that may reach loopback and has this guest of the tests in a module's
    /// place.
    pub(crate) fn with_module(name: &str, guest: &str) -> Proxy {
        let folder = TempDir::new().unwrap();
        let socket = folder.join("admin.sock");
        let proxy = Proxy::start(&["--admin-socket", socket.to_str().unwrap()]);
        swap_in(&socket, name, guest);
        proxy
    }

    /// The same, there.
    pub(crate) fn at(listen: &str, arguments: &[&str]) -> Proxy {
        let folder = TempDir::new().unwrap();
        let mut command = fumehood();
        command
            .args(["proxy", "--listen", listen, "--json", "--access-log"])
            .arg(folder.join("access.log"))
            .args(arguments)
            .stdin(Stdio::null());
        Proxy::spawn(command, folder)
    }

    /// One that this command starts, once it listens.
    pub(crate) fn spawn(mut command: Command, folder: TempDir) -> Proxy {
        command.process_group(0).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        // A Unix socket has none, and a test has its path.
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = ready["address"].as_str().unwrap();
        let address = address.parse().unwrap_or(nowhere);
        let metrics = ready["metrics"].as_str();
        Proxy {
            child,
            address,
            metrics: metrics.map(|it| it.parse().unwrap()),
            folder,
        }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).unwrap())
    }

    /// Says these bytes on a connection of their own, and reads one response.
    pub(crate) fn ask(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let mut client = self.connect();
        client.say(bytes);
        client.reply().unwrap()
    }

    /// What curl writes out.
    pub(crate) fn curl(&self, arguments: &[&str]) -> String {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "30", "--proxy"])
            .arg(format!("http://{}", self.address))
            .args(["--noproxy", ""])
            .args(arguments)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Its engine, once there is one that is not `before`.
    pub(crate) fn engine(&self, before: Option<i32>) -> Process {
        self.process("engine", before)
    }

    /// The same of its broker.
    pub(crate) fn broker(&self, before: Option<i32>) -> Process {
        self.process("broker", before)
    }

    fn process(&self, role: &str, before: Option<i32>) -> Process {
        let pid = i32::try_from(self.child.id()).unwrap();
        let found = wait_for(PATIENCE, || {
            let mut children = processes::children_of(pid);
            children.retain(|it| it.plays(role) && Some(it.pid) != before);
            children.pop()
        });
        found.unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait_for(PATIENCE, || self.child.try_wait().unwrap()).unwrap()
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.join("access.log")
    }

    /// The access log, once it has so many lines.
    pub(crate) fn log(&self, lines: usize) -> Vec<Value> {
        let read = || {
            let text = std::fs::read_to_string(self.log_file()).unwrap();
            let whole: Vec<Value> = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect();
            (whole.len() >= lines).then_some(whole)
        };
        wait_for(PATIENCE, read).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        processes::kill_group(i32::try_from(self.child.id()).unwrap());
        let _reaped = self.child.wait();
    }
}

/// A client's connection.
pub(crate) struct Client {
    pub(crate) socket: BufReader<TcpStream>,
}

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// In lower case, status line and all.
    pub(crate) head: String,
    pub(crate) content: Vec<u8>,
}

impl Client {
    fn new(socket: TcpStream) -> Client {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Client {
            socket: BufReader::new(socket),
        }
    }

    /// Sends; a proxy that has had enough may not take it all.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _refused = self.socket.get_mut().write_all(bytes.as_ref());
    }

    /// Says these a byte at a time. Whether the proxy has answered, or ended it,
    /// before the last of them.
    pub(crate) fn drips_until_answered(&mut self, bytes: &[u8]) -> bool {
        let waits_for = |client: &Client, most: Duration| {
            let socket = client.socket.get_ref();
            socket.set_read_timeout(Some(most)).unwrap();
        };
        waits_for(self, DRIP);
        let answered = bytes.iter().any(|byte| {
            self.say([*byte]);
            let heard = self.socket.fill_buf().map(<[u8]>::len);
            !heard.is_err_and(|it| it.kind() == ErrorKind::WouldBlock)
        });
        waits_for(self, PATIENCE);
        answered
    }

    /// Reads a response to something other than HEAD. `None` where the
    /// connection ended before one.
    pub(crate) fn reply(&mut self) -> Option<Reply> {
        let head = self.head()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .and_then(|length| length.parse::<u64>().ok());
        let mut content = Vec::new();
        if head.contains("transfer-encoding: chunked") {
            self.chunks(&mut content);
        } else if let Some(length) = length.filter(|_| status != 304) {
            let mut limited = (&mut self.socket).take(length);
            limited.read_to_end(&mut content).ok()?;
        }
        Some(Reply {
            status,
            head,
            content,
        })
    }

    /// A head, in lower case.
    pub(crate) fn head(&mut self) -> Option<String> {
        let mut head = String::new();
        loop {
            let before = head.len();
            self.socket.read_line(&mut head).ok().filter(|it| *it > 0)?;
            if &head[before..] == "\r\n" {
                return Some(head.to_ascii_lowercase());
            }
        }
    }

    fn chunks(&mut self, content: &mut Vec<u8>) {
        loop {
            let mut line = String::new();
            self.socket.read_line(&mut line).unwrap();
            let size = u64::from_str_radix(line.trim(), 16).unwrap();
            (&mut self.socket).take(size).read_to_end(content).unwrap();
            if size == 0 {
                // Trailers, and the empty line.
                while line != "\r\n" {
                    line.clear();
                    self.socket.read_line(&mut line).unwrap();
                    content.extend_from_slice(line.trim_end().as_bytes());
                }
                return;
            }
            self.socket.read_line(&mut line).unwrap();
        }
    }

    /// So many bytes, as they are.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.socket.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Whether the proxy ends the connection, with or without a word.
    pub(crate) fn is_ended(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.socket.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}
