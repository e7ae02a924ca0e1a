//! The forward proxy beside haproxy, tinyproxy and dante: the same load, the same
//! origin, in turn. Work is read from the processes' own clocks, so that what
//! the load takes is not in it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Measured;
use super::peers::Peers;
use super::transfers::median;
use crate::command;
use crate::workspace::Workspace;

/// Rounds of each; odd, so that the median is a real one.
const ROUNDS: usize = 3;

/// Connections that ask at once.
const CONNECTIONS: usize = 16;

/// Requests of a round, over all connections.
const REQUESTS: usize = 16_000;

/// Connections of a round that ask once each.
const FRESH: usize = 2000;

/// Tunnels held at once.
const TUNNELS: usize = 5000;

/// Descriptors that this takes here: both ends of each, and some more.
const DESCRIPTORS: usize = 2 * TUNNELS + 1000;

/// Launches that are timed; odd.
const LAUNCHES: usize = 11;

/// Longest that a proxy may take to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);

/// Microseconds of one tick of `/proc/PID/stat`.
const TICK_US: f64 = 10_000.0;

const SMALL: &str = "1kib.bin";

/// The same; the server ends its connection behind it.
const CLOSING: &str = "close/1kib.bin";

const LARGE: &str = "1gib.bin";

/// What is measured.
#[derive(Clone, Copy)]
pub(super) enum Figure {
    /// Processor time of a forwarded request, in microseconds, beside haproxy's.
    RequestWork,
    /// MiB/s through one tunnel, beside a haproxy that relays TCP.
    TunnelBulk,
    /// The same asked for by SOCKS 5, beside dante's.
    SocksBulk,
    /// Connections a second with one request each, and as many to the server, beside
    /// tinyproxy's.
    ConnectionRate,
    /// The same where the server keeps connections, so that clients can share them;
    /// tinyproxy makes one for each.
    SharedRate,
    /// kB of memory of all processes for a tunnel that says nothing.
    TunnelMemory,
    /// Milliseconds until it listens, the median of several.
    Start,
    /// MB that all processes have resident before the first connection; of what several
    /// have, to each its part.
    IdleMemory,
}

pub(super) fn measure(workspace: &Workspace, peers: &Peers, figure: Figure) -> Result<Measured> {
    let origin = Origin::of(&peers.url("http", SMALL)?)?;
    let alone = |ours| Measured { ours, peer: None };
    Ok(match figure {
        Figure::RequestWork => {
            let ours = Proxy::fumehood(workspace)?;
            let peer = Proxy::haproxy(origin.address, "http")?;
            beside(&ours, &peer, "haproxy", |proxy| {
                request_work(proxy, &origin)
            })?
        }
        Figure::TunnelBulk => {
            let ours = Proxy::fumehood(workspace)?;
            let peer = Proxy::haproxy(origin.address, "tcp")?;
            beside(&ours, &peer, "haproxy", |proxy| bulk(proxy, &origin))?
        }
        Figure::SocksBulk => {
            let mut ours = Proxy::fumehood(workspace)?;
            ours.door = Door::Socks;
            let peer = Proxy::dante()?;
            beside(&ours, &peer, "dante", |proxy| bulk(proxy, &origin))?
        }
        Figure::ConnectionRate | Figure::SharedRate => {
            let file = match figure {
                Figure::SharedRate => SMALL,
                _ => CLOSING,
            };
            let ours = Proxy::fumehood(workspace)?;
            let peer = Proxy::tinyproxy()?;
            beside(&ours, &peer, "tinyproxy", |proxy| {
                rate(proxy, &origin, file)
            })?
        }
        Figure::TunnelMemory => alone(tunnel_memory(&Proxy::fumehood(workspace)?)?),
        Figure::Start => {
            let starts = (0..LAUNCHES).map(|_| Ok(Proxy::fumehood(workspace)?.started_ms));
            alone(median(starts.collect::<Result<_>>()?))
        }
        Figure::IdleMemory => alone(Proxy::fumehood(workspace)?.resident_kb()? / 1000.0),
    })
}

fn beside(
    ours: &Proxy,
    peer: &Proxy,
    name: &str,
    measure: impl Fn(&Proxy) -> Result<f64>,
) -> Result<Measured> {
    // The first run of each warms it up and is not counted.
    measure(ours)?;
    measure(peer)?;
    let (mut our_figures, mut peer_figures) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        our_figures.push(measure(ours)?);
        peer_figures.push(measure(peer)?);
    }
    Ok(Measured {
        ours: median(our_figures),
        peer: Some((median(peer_figures), name.to_owned())),
    })
}

fn request_work(proxy: &Proxy, origin: &Origin) -> Result<f64> {
    let before = proxy.work_us()?;
    let get = origin.get(SMALL);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(|| ask(proxy.address, &get, REQUESTS / CONNECTIONS)))
            .collect();
        clients.into_iter().try_for_each(joined)
    })?;
    Ok((proxy.work_us()? - before) / REQUESTS as f64)
}

fn rate(proxy: &Proxy, origin: &Origin, file: &str) -> Result<f64> {
    let get = origin
        .get(file)
        .replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let began = Instant::now();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    (0..FRESH / CONNECTIONS).try_for_each(|_| ask(proxy.address, &get, 1))
                })
            })
            .collect();
        clients.into_iter().try_for_each(joined)
    })?;
    Ok(FRESH as f64 / began.elapsed().as_secs_f64())
}

fn bulk(proxy: &Proxy, origin: &Origin) -> Result<f64> {
    let mut client = Client::connect(proxy.address)?;
    match proxy.door {
        Door::Connect => client.tunnel(origin.address)?,
        Door::Socks => client.socks(origin.address)?,
        Door::Relay => {}
    }
    let began = Instant::now();
    let bytes = client.get(&format!("GET /{LARGE} HTTP/1.1\r\nhost: x\r\n\r\n"))?;
    Ok(bytes as f64 / f64::from(1 << 20) / began.elapsed().as_secs_f64())
}

fn tunnel_memory(proxy: &Proxy) -> Result<f64> {
    let far = Far::start()?;
    let hold = |count: usize| {
        (0..count)
            .map(|_| {
                let mut client = Client::connect(proxy.address)?;
                client.tunnel(far.address)?;
                Ok(client)
            })
            .collect::<Result<Vec<Client>>>()
    };
    // What the first ones bring with them is not a tunnel's.
    let _first = hold(CONNECTIONS)?;
    let before = proxy.memory_kb()?;
    let held = hold(TUNNELS)?;
    let after = proxy.memory_kb()?;
    drop(held);
    Ok((after - before) / TUNNELS as f64)
}

/// A server that takes connections and says nothing. It ends, with all of them, on
/// drop: what is measured next has the machine for itself.
struct Far {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Far {
    fn start() -> Result<Self> {
        let pid = std::process::id().to_string();
        let files = format!("--nofile={DESCRIPTORS}:");
        command::run(Command::new("prlimit").args(["--pid", &pid, &files]))
            .with_context(|| format!("{DESCRIPTORS} descriptors are more than this may have"))?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let ends = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            let connections = listener.incoming().map_while(Result::ok);
            let _held: Vec<TcpStream> = connections
                .take_while(|_| !ending.load(Ordering::Acquire))
                .collect();
        });
        Ok(Self {
            address,
            ends,
            thread: Some(thread),
        })
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        // It looks at the next connection; where there can be none it has ended.
        let looked = TcpStream::connect(self.address);
        if let (Ok(_), Some(thread)) = (looked, self.thread.take()) {
            let _panicked = thread.join();
        }
    }
}

fn ask(address: SocketAddr, get: &str, times: usize) -> Result<()> {
    let mut client = Client::connect(address)?;
    for _ in 0..times {
        client.get(get)?;
    }
    Ok(())
}

fn joined(client: thread::ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    match client.join() {
        Ok(outcome) => outcome,
        Err(_) => bail!("a client panicked"),
    }
}

/// The server behind.
struct Origin {
    address: SocketAddr,
}

impl Origin {
    fn of(url: &str) -> Result<Self> {
        let authority = url
            .strip_prefix("http://")
            .and_then(|it| it.split('/').next());
        let address = authority
            .context("the origin's URL is not of http")?
            .parse()?;
        Ok(Self { address })
    }

    fn get(&self, file: &str) -> String {
        let address = self.address;
        format!("GET http://{address}/{file} HTTP/1.1\r\nhost: {address}\r\naccept: */*\r\n\r\n")
    }
}

/// A connection to a proxy.
struct Client {
    socket: BufReader<TcpStream>,
}

impl Client {
    fn connect(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket: BufReader::with_capacity(1 << 18, socket),
        })
    }

    fn tunnel(&mut self, address: SocketAddr) -> Result<()> {
        write!(
            self.socket.get_mut(),
            "CONNECT {address} HTTP/1.1\r\nhost: {address}\r\n\r\n"
        )?;
        self.head().map(drop)
    }

    /// A tunnel by SOCKS 5, nobody asked who it is (RFC 1928 sections 3, 4 and 6).
    fn socks(&mut self, address: SocketAddr) -> Result<()> {
        let IpAddr::V4(ip) = address.ip() else {
            bail!("the origin is not at an IPv4 address");
        };
        let mut request = vec![5, 1, 0, 5, 1, 0, 1];
        request.extend(ip.octets());
        request.extend(address.port().to_be_bytes());
        let (greeting, request) = request.split_at(3);
        self.socket.get_mut().write_all(greeting)?;
        let mut reply = [0; 12];
        self.socket.read_exact(&mut reply[..2])?;
        self.socket.get_mut().write_all(request)?;
        self.socket.read_exact(&mut reply[2..])?;
        match reply {
            [5, 0, 5, 0, _, 1, ..] => Ok(()),
            _ => bail!("a proxy answered {reply:?} in SOCKS"),
        }
    }

    /// Asks, and reads away the answer. Returns the size of its content.
    fn get(&mut self, request: &str) -> Result<u64> {
        self.socket.get_mut().write_all(request.as_bytes())?;
        let length = self.head()?;
        let mut left = length;
        while left > 0 {
            let read = self.socket.fill_buf()?.len() as u64;
            if read == 0 {
                bail!("a response broke off");
            }
            let taken = read.min(left);
            self.socket.consume(usize::try_from(taken)?);
            left -= taken;
        }
        Ok(length)
    }

    /// Reads a head of status 200. Returns the length it tells.
    fn head(&mut self) -> Result<u64> {
        let (mut status, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            if self.socket.read_line(&mut line)? == 0 {
                bail!("a proxy closed before it answered");
            }
            let status = status.get_or_insert_with(|| line.clone());
            if line == "\r\n" {
                if status.split(' ').nth(1) != Some("200") {
                    bail!("a proxy answered {status:?}");
                }
                return Ok(length);
            }
            let line = line.to_ascii_lowercase();
            if let Some(told) = line.strip_prefix("content-length:") {
                length = told.trim().parse()?;
            }
        }
    }
}

/// How a tunnel is had of a proxy.
#[derive(Clone, Copy)]
enum Door {
    Connect,
    Socks,
    /// It relays to the origin and is not asked.
    Relay,
}

/// A proxy that runs; killed on drop.
struct Proxy {
    child: Child,
    address: SocketAddr,
    started_ms: f64,
    door: Door,
    configuration: Option<PathBuf>,
}

impl Proxy {
    fn fumehood(workspace: &Workspace) -> Result<Self> {
        let began = Instant::now();
        let mut child = Command::new(workspace.dist_program("fumehood"))
            .args(["proxy", "--listen", "127.0.0.1:0", "--json"])
            .args(["--allow-private", "127.0.0.1"])
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start `fumehood proxy`")?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let started_ms = began.elapsed().as_secs_f64() * 1000.0;
        let ready: Value =
            serde_json::from_str(&line).context("`fumehood proxy` did not listen")?;
        let address = ready["address"].as_str().unwrap_or_default().parse()?;
        Ok(Self {
            child,
            address,
            started_ms,
            door: Door::Connect,
            configuration: None,
        })
    }

    fn haproxy(origin: SocketAddr, mode: &str) -> Result<Self> {
        Self::configured("haproxy", Door::Relay, &["-db", "-q", "-f"], |address| {
            format!(
                "global\n  nbthread 1\n  maxconn 4000\ndefaults\n  mode {mode}\n  timeout client \
                 60s\n  timeout server 60s\n  timeout connect 10s\nlisten all\n  bind {address}\n  \
                 server origin {origin}\n"
            )
        })
    }

    fn tinyproxy() -> Result<Self> {
        Self::configured("tinyproxy", Door::Connect, &["-d", "-c"], |address| {
            format!(
                "Listen {}\nPort {}\nTimeout 60\nMaxClients 500\nLogLevel Critical\nAllow 127.0.0.1\n",
                address.ip(),
                address.port()
            )
        })
    }

    fn dante() -> Result<Self> {
        Self::configured("danted", Door::Socks, &["-f"], |address| {
            let (ip, port) = (address.ip(), address.port());
            format!(
                "logoutput: /dev/null\ninternal: {ip} port = {port}\nexternal: lo\n\
                 clientmethod: none\nsocksmethod: none\n\
                 client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n\
                 socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 command: connect }}\n"
            )
        })
    }

    /// Another program, with a configuration for an address that is free now.
    fn configured(
        program: &str,
        door: Door,
        arguments: &[&str],
        configuration: impl Fn(SocketAddr) -> String,
    ) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let name = format!("fumehood-bench-{program}-{}.conf", address.port());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, configuration(address))?;
        let began = Instant::now();
        let child = Command::new(program)
            .args(arguments)
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let proxy = Self {
            child,
            address,
            started_ms: 0.0,
            door,
            configuration: Some(path),
        };
        while TcpStream::connect(address).is_err() {
            if began.elapsed() > LISTENS_WITHIN {
                bail!("{program} does not listen");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(proxy)
    }

    /// It and its children.
    fn processes(&self) -> Result<Vec<u32>> {
        let own = self.child.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
        let children = children.split_whitespace().map(str::parse);
        let mut all: Vec<u32> = children.collect::<Result<_, _>>()?;
        all.push(own);
        Ok(all)
    }

    /// Processor time so far, in microseconds.
    fn work_us(&self) -> Result<f64> {
        let mut ticks = 0.0;
        for pid in self.processes()? {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            let (_, rest) = stat.rsplit_once(')').context("/proc has changed")?;
            // utime and stime, fields 14 and 15; the first of the rest is field 3.
            for field in rest.split_whitespace().skip(11).take(2) {
                ticks += field.parse::<f64>()?;
            }
        }
        Ok(ticks * TICK_US)
    }

    /// Memory that is its own, and page tables, in kB.
    fn memory_kb(&self) -> Result<f64> {
        self.sum_kb("status", &["RssAnon", "VmPTE"])
    }

    /// Resident memory in kB; of what several have, to each its part.
    fn resident_kb(&self) -> Result<f64> {
        self.sum_kb("smaps_rollup", &["Pss"])
    }

    /// The sum of such lines over all processes.
    fn sum_kb(&self, file: &str, names: &[&str]) -> Result<f64> {
        let mut sum = 0.0;
        for pid in self.processes()? {
            let path = format!("/proc/{pid}/{file}");
            let text = fs::read_to_string(&path);
            let text = text.with_context(|| format!("{path} is not readable but for root"))?;
            for line in text.lines() {
                let (name, value) = line.split_once(':').unwrap_or_default();
                if names.contains(&name) {
                    let number = value.trim().trim_end_matches(" kB");
                    sum += number.parse::<f64>()?;
                }
            }
        }
        Ok(sum)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended; either way it is gone, and so is its configuration.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(path) = &self.configuration {
            let _ = fs::remove_file(path);
        }
    }
}
