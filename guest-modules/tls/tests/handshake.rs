//! Whole handshakes with a rustls server: versions, suites, groups, keys, and failures.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::host::with_host;
use common::server::{Options, Server};
use common::{config, handshake};
use fumehood_crypto::{KeyKind, PublicKey};
use fumehood_guest_tls::imports::ProtocolVersion::{Tls12, Tls13};
use fumehood_guest_tls::{Blame, Client};
use rustls::{AlertDescription, CipherSuite, NamedGroup, version};

const ANY: [&rustls::SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

/// A handshake, then data both ways.
fn check(options: &Options) -> fumehood_guest_tls::Established {
    let mut server = Server::new(options);
    let mut connected = handshake(config(Tls12, Tls13), &mut server).unwrap();
    let mut wire = Vec::new();
    connected
        .sealer
        .seal_data(b"from the client", &mut wire)
        .unwrap();
    server.receive(&wire);
    assert_eq!(server.heard(), b"from the client");
    let wire = server.say(b"from the server");
    connected.open(&wire);
    assert_eq!(connected.take(), b"from the server");
    assert_eq!(
        connected.established.alpn.as_deref(),
        Some(b"http/1.1".as_slice())
    );
    connected.established
}

#[test]
fn every_suite_of_tls13() {
    for suite in [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        let established = check(&Options {
            suite: Some(suite),
            ..Options::default()
        });
        assert_eq!(established.version, Tls13);
        assert_eq!(established.cipher_suite, u16::from(suite));
    }
}

#[test]
fn every_suite_of_tls12() {
    for (key, suite) in [
        (
            KeyKind::P256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ),
        (
            KeyKind::P256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        ),
        (
            KeyKind::P256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
        (
            KeyKind::Rsa,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ),
        (
            KeyKind::Rsa,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ),
        (
            KeyKind::Rsa,
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
    ] {
        let versions = &ANY[1..];
        let options = Options {
            key,
            suite: Some(suite),
            versions,
            ..Options::default()
        };
        let established = check(&options);
        assert_eq!(established.version, Tls12);
        assert_eq!(established.cipher_suite, u16::from(suite));
    }
}

/// X25519 needs no retry, as its share is part of the hybrid's; the curves do.
#[test]
fn every_group_with_and_without_a_retry() {
    for versions in [&ANY[..1], &ANY[1..]] {
        for group in [
            NamedGroup::X25519MLKEM768,
            NamedGroup::X25519,
            NamedGroup::secp256r1,
            NamedGroup::secp384r1,
        ] {
            if group == NamedGroup::X25519MLKEM768 && versions == &ANY[1..] {
                continue;
            }
            let options = Options {
                group: Some(group),
                versions,
                ..Options::default()
            };
            assert_eq!(check(&options).group, u16::from(group));
        }
    }
}

#[test]
fn every_kind_of_key() {
    for versions in [&ANY[..1], &ANY[1..]] {
        for key in [
            KeyKind::P256,
            KeyKind::P384,
            KeyKind::P521,
            KeyKind::Ed25519,
            KeyKind::Rsa,
        ] {
            check(&Options {
                key,
                versions,
                ..Options::default()
            });
        }
    }
}

#[test]
fn secrets_are_erased_once_the_keys_are_out() {
    for (versions, left) in [(&ANY[..1], 3), (&ANY[1..], 0)] {
        let mut server = Server::new(&Options {
            versions,
            ..Options::default()
        });
        handshake(config(Tls12, Tls13), &mut server)
            .map(drop)
            .unwrap();
        assert_eq!(with_host(|host| host.keys.live_secrets()), left);
    }
}

#[test]
fn a_refused_certificate_ends_the_handshake() {
    for versions in [&ANY[..1], &ANY[1..]] {
        let mut server = Server::new(&Options {
            versions,
            ..Options::default()
        });
        server.key = None;
        let failure = handshake(config(Tls12, Tls13), &mut server)
            .map(drop)
            .unwrap_err();
        assert_eq!(failure.blame, Blame::Certificate);
        let told = rustls::Error::AlertReceived(AlertDescription::AccessDenied);
        assert_eq!(server.error, Some(told));
    }
}

/// A server with a believed certificate that is not its own.
#[test]
fn a_stolen_certificate_is_of_no_use() {
    for versions in [&ANY[..1], &ANY[1..]] {
        let options = Options {
            versions,
            ..Options::default()
        };
        let mut server = Server::new(&options);
        server.key = Server::new(&options).key;
        let failure = handshake(config(Tls12, Tls13), &mut server)
            .map(drop)
            .unwrap_err();
        assert_eq!(failure.blame, Blame::Certificate);
        let told = rustls::Error::AlertReceived(AlertDescription::DecryptError);
        assert_eq!(server.error, Some(told));
    }
}

/// A key of another kind than the signature's scheme.
#[test]
fn a_scheme_that_does_not_suit_the_key_is_refused() {
    let mut server = Server::new(&Options::default());
    let bytes = server.key.take().unwrap().bytes;
    server.key = Some(PublicKey {
        kind: KeyKind::P384,
        bytes,
    });
    let failure = handshake(config(Tls13, Tls13), &mut server)
        .map(drop)
        .unwrap_err();
    assert_eq!(failure.blame, Blame::Certificate);
}

#[test]
fn versions_are_held_to() {
    let mut server = Server::new(&Options {
        versions: &ANY[1..],
        ..Options::default()
    });
    let failure = handshake(config(Tls13, Tls13), &mut server)
        .map(drop)
        .unwrap_err();
    // The server gives up first: it is not offered its only version.
    assert_eq!(failure.blame, Blame::PeerAlert);
    let mut server = Server::new(&Options::default());
    let connected = handshake(config(Tls12, Tls12), &mut server).unwrap();
    assert_eq!(connected.established.version, Tls12);
}

#[test]
fn an_address_has_no_server_name() {
    let mut server = Server::new(&Options::default());
    let mut by_address = config(Tls12, Tls13);
    by_address.server_name = "127.0.0.1".to_owned();
    handshake(by_address, &mut server).map(drop).unwrap();
    assert_eq!(server.connection.server_name(), None);
    let mut server = Server::new(&Options::default());
    handshake(config(Tls12, Tls13), &mut server)
        .map(drop)
        .unwrap();
    assert_eq!(server.connection.server_name(), Some("localhost"));
}

#[test]
fn keys_are_updated_in_both_directions() {
    let mut server = Server::new(&Options::default());
    let mut connected = handshake(config(Tls13, Tls13), &mut server).unwrap();
    for round in 0..100_u32 {
        server.connection.refresh_traffic_keys().unwrap();
        let data = round.to_be_bytes();
        let wire = server.say(&data);
        let mut reply = connected.open(&wire);
        assert_eq!(connected.take(), data);
        connected.sealer.seal_data(&data, &mut reply).unwrap();
        server.receive(&reply);
        assert_eq!(server.heard(), data);
    }
    assert_eq!(with_host(|host| host.keys.live_secrets()), 4);
}

#[test]
fn another_instance_goes_on_where_one_ended() {
    for suite in [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        let mut server = Server::new(&Options {
            suite: Some(suite),
            ..Options::default()
        });
        let mut connected = handshake(config(Tls13, Tls13), &mut server).unwrap();
        for round in 0..20_u32 {
            // What the one before did last is lost with it.
            let _lost = connected.client.renew_outbound();
            let (outbound, inbound) = with_host(|host| host.keys.in_use()).unwrap();
            connected.established.outbound = outbound.0;
            connected.established.inbound = inbound.0;
            connected.client = Client::new();
            connected.client.adopt(&connected.established).unwrap();
            server.connection.refresh_traffic_keys().unwrap();
            let data = round.to_be_bytes();
            let wire = server.say(&data);
            let mut reply = connected.open(&wire);
            assert_eq!(connected.take(), data);
            connected.sealer.seal_data(&data, &mut reply).unwrap();
            server.receive(&reply);
            assert_eq!(server.heard(), data);
        }
    }
}

#[test]
fn only_an_idle_instance_adopts_and_only_what_goes_on() {
    let mut server = Server::new(&Options::default());
    let mut connected = handshake(config(Tls12, Tls12), &mut server).unwrap();
    let blame = |failure: fumehood_guest_tls::Failure| failure.blame;
    let established = &connected.established;
    for client in [&mut connected.client, &mut Client::new()] {
        assert_eq!(client.adopt(established).map_err(blame), Err(Blame::Misuse));
    }
    let mut server = Server::new(&Options::default());
    let connected = handshake(config(Tls13, Tls13), &mut server).unwrap();
    let mut client = Client::new();
    client.adopt(&connected.established).unwrap();
    assert_eq!(
        client.adopt(&connected.established).map_err(blame),
        Err(Blame::Misuse)
    );
    assert_eq!(
        client.start(config(Tls13, Tls13)).map_err(blame),
        Err(Blame::Misuse)
    );
    // Tickets need not make sense to it; key updates must.
    assert!(client.post_handshake(&[4, 0, 0, 1, 9]).is_ok());
    assert!(client.post_handshake(&[24, 0, 0, 1, 2]).is_err());
}

#[test]
fn outbound_keys_are_renewed_on_demand() {
    let mut server = Server::new(&Options::default());
    let mut connected = handshake(config(Tls13, Tls13), &mut server).unwrap();
    let update = connected.client.renew_outbound().unwrap();
    let mut wire = Vec::new();
    connected
        .sealer
        .seal_message(&update.reply.unwrap(), &mut wire)
        .unwrap();
    let keys = fumehood_crypto::Handle(update.outbound.unwrap());
    connected.sealer = with_host(|host| host.keys.next_sealer(keys)).unwrap();
    // The same keys again would repeat nonces.
    assert!(with_host(|host| host.keys.next_sealer(keys).is_err()));
    connected
        .sealer
        .seal_data(b"under the new key", &mut wire)
        .unwrap();
    server.receive(&wire);
    assert_eq!(server.heard(), b"under the new key");
}

#[test]
fn calls_out_of_order_are_misuse() {
    let mut client = Client::new();
    let blame = |failure: fumehood_guest_tls::Failure| failure.blame;
    assert_eq!(
        client.receive(&[22, 3, 3, 0, 0]).unwrap_err().message,
        "no handshake is under way"
    );
    assert_eq!(
        Client::new().post_handshake(&[4, 0, 0, 0]).map_err(blame),
        Err(Blame::Misuse)
    );
    assert_eq!(
        Client::new().renew_outbound().map_err(blame),
        Err(Blame::Misuse)
    );
    let mut wrong = config(Tls13, Tls12);
    assert_eq!(
        Client::new().start(wrong.clone()).map_err(blame),
        Err(Blame::Misuse)
    );
    wrong.max_version = Tls13;
    wrong.server_name = "no such name!".to_owned();
    assert_eq!(
        Client::new().start(wrong).map_err(blame),
        Err(Blame::Misuse)
    );
}
