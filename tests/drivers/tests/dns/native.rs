//! The same resolver natively, on the system's own sockets.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use fumehood_guest_dns::{
    Action, Algorithm, Answer, Channel, Config, Deframer, Digest, Event, ExchangeId, Failure,
    Network, Oracle, PrivateAnswers, Protocol, Query, RecordType, Resolver, Server, Time, Wanted,
    drive, frame,
};
use fumehood_tests::peers::Unbound;

/// Reached only by a test that fails.
const LIMIT: Duration = Duration::from_secs(60);

/// Plain sockets that do not wait.
#[derive(Default)]
struct Sockets {
    datagrams: BTreeMap<ExchangeId, UdpSocket>,
    streams: BTreeMap<Channel, (TcpStream, Deframer)>,
    events: VecDeque<Event>,
}

impl Network for Sockets {
    fn perform(&mut self, action: Action) {
        match action {
            Action::Datagram {
                exchange,
                server,
                message,
            } => {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                socket.set_nonblocking(true).unwrap();
                socket.send_to(&message, server.address).unwrap();
                self.datagrams.insert(exchange, socket);
            }
            Action::Stream {
                channel,
                server,
                message,
            } => {
                let (stream, _) = self.streams.entry(channel).or_insert_with(|| {
                    let stream = TcpStream::connect(server.address).unwrap();
                    stream.set_nonblocking(true).unwrap();
                    (stream, Deframer::default())
                });
                stream.write_all(&frame(&message)).unwrap();
            }
            Action::Forget(exchange) => drop(self.datagrams.remove(&exchange)),
            Action::HangUp(channel) => drop(self.streams.remove(&channel)),
            Action::Post { .. } => panic!("no server of these tests speaks HTTPS"),
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        let mut buffer = vec![0; 65_536];
        for (exchange, socket) in &self.datagrams {
            if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                self.events.push_back(Event::Datagram {
                    exchange: *exchange,
                    from,
                    message: buffer[..length].to_vec(),
                });
            }
        }
        for (channel, (stream, deframer)) in &mut self.streams {
            match stream.read(&mut buffer) {
                Ok(length) => deframer.push(&buffer[..length]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            while let Some(message) = deframer.next_message() {
                let channel = *channel;
                self.events.push_back(Event::Stream { channel, message });
            }
        }
        self.events.pop_front()
    }
}

/// Whom nobody asks: nothing is validated here.
struct Nobody;

impl Oracle for Nobody {
    fn unix_time(&self) -> u64 {
        0
    }

    fn digest(&self, _: Digest, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    fn verify(&self, _: Algorithm, _: &[u8], _: &[u8], _: &[u8]) -> bool {
        false
    }
}

fn resolve(unbound: &Unbound, name: &str, kind: RecordType) -> Result<Answer, Failure> {
    let begin = Instant::now();
    let now = || -> Time { begin.elapsed() };
    let mut state = u64::from(std::process::id());
    let random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state ^ (state >> 29)
    };
    let mut resolver = Resolver::new(Box::new(random), Box::new(Nobody));
    let mut sockets = Sockets::default();
    let server = Server {
        address: unbound.address(),
        protocol: Protocol::Plain,
    };
    let config = Config {
        servers: vec![server],
        ..Config::default()
    };
    resolver.configure(&config, now());
    let query = Query {
        id: 1,
        name: name.to_owned(),
        wanted: Wanted::Records(kind),
        cached: true,
        traced: true,
        private_answers: PrivateAnswers::Answered,
    };
    resolver.resolve(query, now());
    let mut outcome = None;
    while outcome.is_none() {
        assert!(begin.elapsed() < LIMIT, "no answer");
        drive(&mut resolver, &mut sockets, now(), |_, it| {
            outcome = Some(it);
        });
        std::thread::yield_now();
    }
    outcome.unwrap()
}

#[test]
fn unbound_is_understood_by_udp_and_tcp() {
    let unbound = Unbound::start().unwrap();
    let answer = resolve(&unbound, "alias.fumehood.test", RecordType::A).unwrap();
    assert_eq!(answer.aliases, ["www.fumehood.test"]);
    assert_eq!(answer.records.len(), 1);
    let answer = resolve(&unbound, "big.fumehood.test", RecordType::Txt).unwrap();
    assert_eq!(answer.records.len(), 1);
    let steps = format!("{:?}", answer.steps);
    assert!(
        steps.contains("Truncated") && steps.contains("Tcp"),
        "{steps}"
    );
    let failure = resolve(&unbound, "nobody.fumehood.test", RecordType::A).unwrap_err();
    assert_eq!(failure.ttl_s, 45);
}
