//! A server that lies: whatever it sends ends in a failure, never in keys or a panic.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::config;
use common::host::TestHost;
use common::server::{Options, Server};
use fumehood_guest_tls::imports::{self, ProtocolVersion};
use fumehood_guest_tls::{Blame, Client, Failure};
use proptest::prelude::*;
use rustls::{SupportedProtocolVersion, version};

const TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];
const TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];

/// Feeds records until the client is done or gives up; says whether it is done.
fn run(server: &mut Server, spoil: impl Fn(usize, &mut Vec<u8>)) -> Result<bool, Failure> {
    imports::install(Some(Box::new(TestHost::new(server.key.clone()))));
    let mut client = Client::new();
    let hello = client.start(config(ProtocolVersion::Tls12, ProtocolVersion::Tls13))?;
    server.receive(&hello.send);
    let mut arrived = server.send();
    for number in 0.. {
        let Some(length) = fumehood_crypto::record::framed(&arrived).unwrap() else {
            break;
        };
        let mut record: Vec<u8> = arrived.drain(..length).collect();
        spoil(number, &mut record);
        let progress = client.receive(&record)?;
        server.receive(&progress.send);
        arrived.extend_from_slice(&server.send());
        if progress.established.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// One changed byte in one record of the server's.
    #[test]
    fn a_changed_handshake_is_not_completed(
        tls13 in any::<bool>(),
        which in 0..6_usize,
        at in any::<prop::sample::Index>(),
        change in 1..=255_u8,
    ) {
        let versions = if tls13 { TLS13 } else { TLS12 };
        let mut server = Server::new(&Options { versions, ..Options::default() });
        let changed = std::cell::Cell::new(false);
        let outcome = run(&mut server, |number, record| {
            let at = 5 + at.index(record.len() - 5);
            // A change_cipher_spec of TLS 1.3 says nothing, so its content is not protected.
            if number == which && record[0] != 20 {
                record[at] ^= change;
                changed.set(true);
            }
        });
        if changed.get() {
            prop_assert!(!matches!(outcome, Ok(true)));
        } else {
            prop_assert!(matches!(outcome, Ok(true)));
        }
    }

    /// Noise in a record's clothes.
    #[test]
    fn noise_is_refused(kind in 20..24_u8, noise in prop::collection::vec(any::<u8>(), 0..2000)) {
        imports::install(Some(Box::new(TestHost::new(None))));
        let mut client = Client::new();
        client.start(config(ProtocolVersion::Tls12, ProtocolVersion::Tls13)).unwrap();
        let length = u16::try_from(noise.len()).unwrap().to_be_bytes();
        let record = [&[kind, 3, 3, length[0], length[1]], noise.as_slice()].concat();
        match client.receive(&record) {
            Ok(progress) => prop_assert!(progress.established.is_none()),
            Err(failure) => prop_assert!(failure.blame != Blame::Certificate),
        }
    }

    /// Noise where a ticket or a key update should be.
    #[test]
    fn post_handshake_noise_is_refused(
        kind in prop::sample::select(vec![4_u8, 24, 0, 13]),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        thread_local! {
            static CONNECTED: std::cell::RefCell<Option<common::Connected>> =
                const { std::cell::RefCell::new(None) };
        }
        CONNECTED.with_borrow_mut(|connected| {
            let connected = connected.get_or_insert_with(|| {
                let only = config(ProtocolVersion::Tls13, ProtocolVersion::Tls13);
                common::handshake(only, &mut Server::new(&Options::default())).unwrap()
            });
            let length = u32::try_from(noise.len()).unwrap().to_be_bytes();
            let message = [&[kind], &length[1..], noise.as_slice()].concat();
            let honest = kind == 24 && matches!(noise.as_slice(), [0 | 1]);
            let ticket = kind == 4;
            let outcome = connected.client.post_handshake(&message);
            prop_assert!(outcome.is_err() || honest || ticket);
            Ok(())
        })?;
    }
}
