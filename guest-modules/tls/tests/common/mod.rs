//! The host's own cryptography behind the guest's imports, and a rustls server.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses a part of this"
)]

pub(crate) mod host;
pub(crate) mod server;

use fumehood_crypto::record::{Inbound, Sealer, Step};
use fumehood_guest_tls::imports::{self, ProtocolVersion};
use fumehood_guest_tls::{Client, Config, Established, Failure};

use host::{TestHost, with_host};
use server::Server;

pub(crate) fn config(min: ProtocolVersion, max: ProtocolVersion) -> Config {
    Config {
        server_name: "localhost".to_owned(),
        alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        min_version: min,
        max_version: max,
        now: 1_700_000_000,
    }
}

/// A handshake that succeeded: who has the keys now.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(crate) established: Established,
    pub(crate) sealer: Sealer,
    pub(crate) inbound: Inbound,
}

/// Runs a handshake against the server, a record at a time.
pub(crate) fn handshake(config: Config, server: &mut Server) -> Result<Connected, Failure> {
    let host = TestHost::new(server.key.clone());
    imports::install(Some(Box::new(host)));
    let mut client = Client::new();
    let mut progress = client.start(config)?;
    let mut arrived: Vec<u8> = Vec::new();
    loop {
        server.receive(&progress.send);
        arrived.extend_from_slice(&server.send());
        if let Some(established) = progress.established {
            let (sealer, inbound) = with_host(|host| host.release(&established, &arrived)).unwrap();
            return Ok(Connected {
                client,
                established,
                sealer,
                inbound,
            });
        }
        let length = fumehood_crypto::record::framed(&arrived)
            .unwrap()
            .expect("a whole header");
        let record: Vec<u8> = arrived.drain(..length).collect();
        progress = match client.receive(&record) {
            Ok(progress) => progress,
            Err(failure) => {
                server.receive(&failure.alert);
                return Err(failure);
            }
        };
    }
}

impl Connected {
    /// Opens what the server sent; its messages go to the guest.
    pub(crate) fn open(&mut self, wire: &[u8]) -> Vec<u8> {
        let mut reply = Vec::new();
        let space = self.inbound.space();
        space[..wire.len()].copy_from_slice(wire);
        self.inbound.filled(wire.len());
        while let Step::Message(message) = self.inbound.advance().unwrap() {
            let update = self.client.post_handshake(&message).unwrap();
            if let Some(keys) = update.inbound {
                let opener =
                    with_host(|host| host.keys.next_opener(fumehood_crypto::Handle(keys))).unwrap();
                self.inbound.replace(opener).unwrap();
            }
            if let Some(message) = update.reply {
                self.sealer.seal_message(&message, &mut reply).unwrap();
            }
            if let Some(keys) = update.outbound {
                self.sealer =
                    with_host(|host| host.keys.next_sealer(fumehood_crypto::Handle(keys))).unwrap();
            }
        }
        reply
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        let data = self.inbound.plaintext().to_vec();
        self.inbound.consume(data.len());
        data
    }
}
