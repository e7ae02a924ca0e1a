//! The `tls` guest: a server's messages, in records cut and joined at will.
//!
//! Its key service is [`fumehood_crypto::fuzz::Toy`], which protects nothing:
//! so the fuzzer writes what stands inside encrypted records too, and whole
//! handshakes succeed. The lengths of messages and records are put right
//! where the input does not ask for other ones.
//!
//! An input is a list ([`crate::pieces`]): a byte of options; then items, each a
//! byte that says what it is, and its content.

mod host;

use fumehood_engine::fuzz::{TlsConnection, tls as wire};
use fumehood_guest_tls::imports::{self, AeadAlgorithm, ProtocolVersion};
use fumehood_guest_tls::{Blame, Client, Config, Established, Failure, Update};

use crate::glass::{Guests, Shadow};
use crate::pieces;
use host::ToyHost;

/// Seconds since the Unix epoch.
const NOW: u64 = 1_700_000_000;

/// What an item of an input is, in its lowest three bits.
pub mod item {
    /// A handshake message in a record as it is; its first byte is its type.
    pub const MESSAGE: u8 = 0;
    /// One in a protected record of TLS 1.3.
    pub const PROTECTED: u8 = 1;
    /// One in a protected record of TLS 1.2.
    pub const PROTECTED_12: u8 = 2;
    /// A record of the type of its first byte.
    pub const RECORD: u8 = 3;
    /// Any content of a protected record of TLS 1.3.
    pub const INNER: u8 = 4;
    /// Bytes that are records as they stand.
    pub const RAW: u8 = 5;
    /// A message behind the handshake.
    pub const LATER: u8 = 6;
    /// The host wants new outbound keys.
    pub const RENEW: u8 = 7;
    /// Another instance takes the connection over.
    pub const ADOPT: u8 = RENEW | JOINED;
    /// The next message goes into the same record.
    pub const JOINED: u8 = 8;
    /// The message is cut in two records.
    pub const CUT: u8 = 16;
}

/// The guest survives.
pub fn run(data: &[u8]) {
    drive(data, &Shadow::none);
}

/// The guest says the same natively and behind glass.
pub fn run_beside_glass(data: &[u8]) {
    run_beside(data, Guests::get());
}

/// The same with these guests.
pub fn run_beside(data: &[u8], guests: &Guests) {
    drive(data, &|| guests.tls());
}

/// The ClientHello record that the guest begins with, which is always the same.
#[must_use]
pub fn client_hello() -> Vec<u8> {
    imports::install(Some(Box::new(ToyHost::default())));
    let started = Client::new().start(config(0));
    started.map_or_else(|_| Vec::new(), |progress| progress.send)
}

fn config(options: u8) -> Config {
    let server_name = if options & 2 == 0 {
        "example.org"
    } else {
        "192.0.2.1"
    };
    Config {
        server_name: server_name.to_owned(),
        alpn: vec![b"http/1.1".to_vec()],
        min_version: ProtocolVersion::Tls12,
        max_version: if options & 1 == 0 {
            ProtocolVersion::Tls13
        } else {
            ProtocolVersion::Tls12
        },
        now: NOW,
    }
}

/// One connection.
struct Run<'a> {
    client: Client,
    shadow: Shadow<TlsConnection>,
    /// Makes another instance.
    fresh: &'a dyn Fn() -> Shadow<TlsConnection>,
    /// With the keys that are in force.
    established: Option<Established>,
    /// Messages for the next record.
    joined: Vec<u8>,
}

/// Whether an input leads to keys.
#[must_use]
pub fn establishes(data: &[u8]) -> bool {
    drive(data, &Shadow::none)
}

/// Runs the input; tells whether the handshake came to its end.
fn drive(data: &[u8], fresh: &dyn Fn() -> Shadow<TlsConnection>) -> bool {
    let pieces = pieces::split(data);
    let Some((&[options, ..], items)) = pieces.split_first() else {
        return false;
    };
    imports::install(Some(Box::new(ToyHost::default())));
    let mut run = Run {
        client: Client::new(),
        shadow: fresh(),
        fresh,
        established: None,
        joined: Vec::new(),
    };
    if run.start(*options).is_err() {
        return false;
    }
    for item in items {
        if run.item(item).is_err() {
            break;
        }
    }
    run.after_the_end();
    run.established.is_some()
}

/// The connection is over.
struct Over;

impl Run<'_> {
    fn start(&mut self, options: u8) -> Result<(), Over> {
        let config = config(options);
        self.shadow.ask(|it| {
            let tls13 = config.max_version == ProtocolVersion::Tls13;
            it.start(&config.server_name, config.alpn.clone(), tls13, NOW)
        });
        let started = self.client.start(config);
        self.shadow.compare(|| format!("{started:?}"));
        started.map(drop).map_err(|_| Over)
    }

    fn item(&mut self, item: &[u8]) -> Result<(), Over> {
        let Some((kind, content)) = item.split_first() else {
            return Ok(());
        };
        match kind & 7 {
            item::MESSAGE | item::PROTECTED | item::PROTECTED_12 => {
                self.joined.extend(message(content));
                if kind & item::JOINED != 0 {
                    return Ok(());
                }
                let messages = std::mem::take(&mut self.joined);
                let cut = if kind & item::CUT == 0 {
                    messages.len()
                } else {
                    messages.len() / 2
                };
                let (first, second) = messages.split_at(cut);
                for part in [first, second] {
                    if !part.is_empty() {
                        self.receive(&wrapped(kind & 7, part))?;
                    }
                }
                Ok(())
            }
            item::RECORD => match content.split_first() {
                Some((kind, content)) => self.receive(&record(*kind, content)),
                None => Ok(()),
            },
            item::INNER => self.receive(&record(23, &tagged(&[content]))),
            item::RAW => self.receive(content),
            item::LATER => self.later(&message(content)),
            _ if kind & item::ADOPT == item::ADOPT => self.adopt(),
            _ => self.renew(),
        }
    }

    fn receive(&mut self, record: &[u8]) -> Result<(), Over> {
        if self.established.is_some() {
            return Ok(());
        }
        self.shadow.ask(|it| it.receive(record));
        let progress = self.client.receive(record);
        self.shadow.compare(|| format!("{progress:?}"));
        match progress {
            Ok(progress) => {
                self.established = progress.established;
                Ok(())
            }
            Err(failure) => Err(over(&failure)),
        }
    }

    fn later(&mut self, message: &[u8]) -> Result<(), Over> {
        self.shadow.ask(|it| it.post_handshake(message));
        let update = self.client.post_handshake(message);
        self.shadow.compare(|| format!("{update:?}"));
        let update = update.map_err(|failure| over(&failure))?;
        assert!(
            self.established.is_some(),
            "a message was taken before its time"
        );
        self.note(&update);
        Ok(())
    }

    /// The host goes on with the keys that it was told of.
    fn note(&mut self, update: &Update) {
        if let Some(established) = &mut self.established {
            established.inbound = update.inbound.unwrap_or(established.inbound);
            established.outbound = update.outbound.unwrap_or(established.outbound);
        }
    }

    /// Another instance takes over what stands.
    fn adopt(&mut self) -> Result<(), Over> {
        let Some(established) = &self.established else {
            return Ok(());
        };
        self.client = Client::new();
        imports::install(Some(Box::new(ToyHost::default())));
        self.shadow = (self.fresh)();
        self.shadow.ask(|it| it.adopt(&told(established)));
        let adopted = self.client.adopt(established);
        self.shadow.compare(|| format!("{adopted:?}"));
        adopted.map_err(|failure| over(&failure))
    }

    fn renew(&mut self) -> Result<(), Over> {
        self.shadow.ask(TlsConnection::renew_outbound);
        let update = self.client.renew_outbound();
        self.shadow.compare(|| format!("{update:?}"));
        let update = update.map_err(|failure| over(&failure))?;
        self.note(&update);
        Ok(())
    }

    /// A client that has failed or has handed its keys over takes no record.
    fn after_the_end(&mut self) {
        if self.established.is_some() {
            let again = self.client.receive(&record(22, &[0, 0, 0, 0]));
            let refused = matches!(&again, Err(failure) if failure.blame == Blame::Misuse);
            assert!(refused, "a record after the handshake: {again:?}");
        }
    }
}

/// Failures are told to people and to the peer.
fn over(failure: &Failure) -> Over {
    assert!(!failure.message.is_empty() && !failure.message.contains('\n'));
    Over
}

/// As the guest behind glass is told.
fn told(established: &Established) -> wire::Established {
    wire::Established {
        version: match established.version {
            ProtocolVersion::Tls12 => wire::ProtocolVersion::Tls12,
            ProtocolVersion::Tls13 => wire::ProtocolVersion::Tls13,
        },
        cipher_suite: established.cipher_suite,
        aead: match established.aead {
            AeadAlgorithm::Aes128Gcm => wire::AeadAlgorithm::Aes128Gcm,
            AeadAlgorithm::Aes256Gcm => wire::AeadAlgorithm::Aes256Gcm,
            AeadAlgorithm::Chacha20Poly1305 => wire::AeadAlgorithm::Chacha20Poly1305,
        },
        group: established.group,
        alpn: established.alpn.clone(),
        outbound: established.outbound,
        inbound: established.inbound,
    }
}

/// A handshake message: type, length, body.
fn message(content: &[u8]) -> Vec<u8> {
    let (kind, body) = content.split_first().unwrap_or((&0, &[]));
    let length = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
    [&[*kind], &length[1..], body].concat()
}

fn wrapped(how: u8, messages: &[u8]) -> Vec<u8> {
    match how {
        item::PROTECTED => record(23, &tagged(&[messages, &[22]])),
        item::PROTECTED_12 => record(22, &tagged(&[messages])),
        _ => record(22, messages),
    }
}

/// As [`fumehood_crypto::fuzz::Toy`] opens it.
fn tagged(content: &[&[u8]]) -> Vec<u8> {
    fumehood_crypto::fuzz::Toy::seal(&content.concat())
}

fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    [&[kind, 3, 3], &length[..], payload].concat()
}
