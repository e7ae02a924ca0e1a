//! A client of UDP ASSOCIATE that says exactly what a test wants said, and a server
//! of datagrams.

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use fumehood_tests::processes::wait_for;
use fumehood_tests::temp::TempDir;

use crate::support::{Client, PATIENCE, Proxy};

/// Of two processes on one machine, most answers come sooner.
const ASK_AGAIN: Duration = Duration::from_millis(100);

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The request that names no port.
pub(crate) const ASSOCIATE: &[u8] = b"\x05\x03\x00\x01\0\0\0\0\0\0";

/// What a server of datagrams takes for a request to end.
const LAST: &[u8] = b"that was all";

/// A socket that waits, but not for ever.
pub(crate) fn socket_at(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// One proxy whose clients may send datagrams where these rules say, and to loopback.
pub(crate) fn allowing(rules: &str, folder: &TempDir, arguments: &[&str]) -> Proxy {
    let text =
        format!("[policy]\nprivate-hosts = [\"127.0.0.1\", \"localhost\", \"[::1]\"]\n{rules}\n");
    let file = folder.write("config.toml", text).unwrap();
    let config = ["--config", file.to_str().unwrap()];
    Proxy::strict(&[&config[..], arguments].concat())
}

/// The rule that allows them all, and the web.
pub(crate) const ALL: &str = "allow = [{ schemes = [\"http\", \"https\", \"udp\"] }]";

/// An association.
pub(crate) struct Association {
    pub(crate) control: Client,
    pub(crate) socket: UdpSocket,
    /// Where datagrams are sent to.
    pub(crate) relay: SocketAddr,
}

/// The reply to this request: its code, and its address where it is one of IPv4.
pub(crate) fn asked(proxy: &Proxy, before: &[u8], request: &[u8]) -> (Client, u8, SocketAddr) {
    let mut control = proxy.connect();
    control.say(before);
    // Method, and with it the answer to a login.
    let method = control.bytes(2)[1];
    if method == 2 {
        assert_eq!(control.bytes(2), [1, 0]);
    }
    control.say(request);
    let mut reply = [0; 10];
    control.socket.read_exact(&mut reply).unwrap();
    let [5, code, 0, 1, a, b, c, d, high, low] = reply else {
        panic!("{reply:?}")
    };
    let port = u16::from_be_bytes([high, low]);
    (control, code, SocketAddr::from(([a, b, c, d], port)))
}

impl Association {
    /// One from any port of `127.0.0.1`.
    pub(crate) fn open(proxy: &Proxy) -> Association {
        Association::by(proxy, b"\x05\x01\x00")
    }

    /// The same, after this greeting.
    pub(crate) fn by(proxy: &Proxy, greeting: &[u8]) -> Association {
        let (control, code, relay) = asked(proxy, greeting, ASSOCIATE);
        assert_eq!((code, relay.ip()), (0, proxy.address.ip()));
        Association {
            control,
            socket: socket_at("127.0.0.1:0"),
            relay,
        }
    }

    /// Sends these bytes, whatever they are.
    pub(crate) fn say(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.relay).unwrap();
    }

    /// Sends to an address.
    pub(crate) fn send(&self, to: SocketAddr, payload: &[u8]) {
        self.say(&[&header(to), payload].concat());
    }

    /// The next datagram: whose it is, and what follows its header.
    pub(crate) fn hear(&self) -> (SocketAddr, Vec<u8>) {
        self.hear_in_time().unwrap()
    }

    /// The same, unless none comes within the socket's time.
    fn hear_in_time(&self) -> Option<(SocketAddr, Vec<u8>)> {
        let mut bytes = vec![0; 65_536];
        let (count, from) = self.socket.recv_from(&mut bytes).ok()?;
        assert_eq!(from, self.relay);
        bytes.truncate(count);
        let (address, port, payload) = match &bytes[..] {
            [0, 0, 0, 1, a, b, c, d, high, low, payload @ ..] => {
                (IpAddr::from([*a, *b, *c, *d]), [*high, *low], payload)
            }
            [0, 0, 0, 4, rest @ ..] => {
                let (address, rest) = rest.split_first_chunk::<16>().unwrap();
                let (port, payload) = rest.split_first_chunk::<2>().unwrap();
                (IpAddr::from(*address), *port, payload)
            }
            other => panic!("{other:?}"),
        };
        let from = SocketAddr::new(address, u16::from_be_bytes(port));
        Some((from, payload.to_vec()))
    }

    /// A question and its answer, while the policy changes: that drops what waits, as
    /// a network may, and so it is asked again.
    pub(crate) fn ask_until_answered(&self, echo: &Echo, payload: &[u8]) {
        self.socket.set_read_timeout(Some(ASK_AGAIN)).unwrap();
        let answer = (echo.address, payload.to_vec());
        let answered = wait_for(PATIENCE, || {
            self.send(echo.address, payload);
            let mut heard = std::iter::from_fn(|| self.hear_in_time());
            heard.find(|it| *it == answer)
        });
        assert!(answered.is_some());
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    /// A question and its answer. What was sent before it has then been dealt with,
    /// since datagrams of one socket come in their order.
    pub(crate) fn ask(&self, echo: &Echo, payload: &[u8]) {
        self.send(echo.address, payload);
        assert_eq!(self.hear(), (echo.address, payload.to_vec()));
    }

    /// Whether the proxy has ended it.
    pub(crate) fn is_ended(&mut self) -> bool {
        self.control.is_ended()
    }
}

/// The header of a datagram to an address.
pub(crate) fn header(to: SocketAddr) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0];
    match to.ip() {
        IpAddr::V4(it) => {
            bytes.push(1);
            bytes.extend(it.octets());
        }
        IpAddr::V6(it) => {
            bytes.push(4);
            bytes.extend(it.octets());
        }
    }
    bytes.extend(to.port().to_be_bytes());
    bytes
}

/// The header of one to a name.
pub(crate) fn header_by_name(name: &str, port: u16) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    let head = [0, 0, 0, 3, length];
    [&head[..], name.as_bytes(), &port.to_be_bytes()].concat()
}

/// A server that answers each datagram with itself, and keeps what came.
pub(crate) struct Echo {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    pub(crate) fn start() -> Echo {
        Echo::at("127.0.0.1:0")
    }

    pub(crate) fn at(address: &str) -> Echo {
        let socket = UdpSocket::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&heard);
        let thread = std::thread::spawn(move || {
            let mut bytes = vec![0; 65_536];
            loop {
                let (count, from) = socket.recv_from(&mut bytes).unwrap();
                let datagram = &bytes[..count];
                if datagram == LAST {
                    return;
                }
                theirs.lock().unwrap().push(datagram.to_vec());
                // Whoever asked may have gone.
                let _gone = socket.send_to(datagram, from);
            }
        });
        Echo {
            address,
            heard,
            thread: Some(thread),
        }
    }

    /// What came until now.
    pub(crate) fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let any = SocketAddr::new(
            match self.address {
                SocketAddr::V4(_) => LOOPBACK,
                SocketAddr::V6(_) => "::1".parse().unwrap(),
            },
            0,
        );
        let own = UdpSocket::bind(any).unwrap();
        own.send_to(LAST, self.address).unwrap();
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// A socket that nobody may send to.
pub(crate) struct Silence {
    socket: UdpSocket,
}

impl Silence {
    pub(crate) fn start() -> Silence {
        Silence {
            socket: socket_at("127.0.0.1:0"),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Sends one by itself, which has to be the first that comes.
    pub(crate) fn assert_unheard(&self) {
        let own = socket_at("127.0.0.1:0");
        own.send_to(b"own", self.address()).unwrap();
        let mut bytes = [0; 64];
        let (count, from) = self.socket.recv_from(&mut bytes).unwrap();
        assert_eq!(&bytes[..count], b"own", "from {from}");
    }
}
