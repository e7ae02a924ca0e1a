//! A rustls server in memory.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use fumehood_crypto::{KeyKind, PublicKey};
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{CipherSuite, NamedGroup, ServerConfig, ServerConnection, SupportedProtocolVersion};

pub(crate) struct Server {
    pub(crate) connection: ServerConnection,
    /// The certificate's key; removed by tests whose host is not to believe it.
    pub(crate) key: Option<PublicKey>,
    pub(crate) error: Option<rustls::Error>,
}

/// What a server is to be like.
pub(crate) struct Options {
    pub(crate) key: KeyKind,
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
    pub(crate) suite: Option<CipherSuite>,
    pub(crate) group: Option<NamedGroup>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            key: KeyKind::P256,
            versions: rustls::ALL_VERSIONS,
            suite: None,
            group: None,
        }
    }
}

impl Server {
    pub(crate) fn new(options: &Options) -> Self {
        let algorithm = match options.key {
            KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyKind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyKind::P521 => &rcgen::PKCS_ECDSA_P521_SHA512,
            KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
            KeyKind::Rsa => &rcgen::PKCS_RSA_SHA256,
        };
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let mut provider: CryptoProvider = aws_lc_rs::default_provider();
        if let Some(suite) = options.suite {
            provider
                .cipher_suites
                .retain(|offered| offered.suite() == suite);
        }
        if let Some(group) = options.group {
            provider.kx_groups.retain(|offered| offered.name() == group);
        }
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(options.versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let key = PublicKey {
            kind: options.key,
            bytes: key.der_bytes().to_vec(),
        };
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        Server {
            connection,
            key: Some(key),
            error: None,
        }
    }

    pub(crate) fn receive(&mut self, mut wire: &[u8]) {
        while !wire.is_empty() {
            self.connection.read_tls(&mut wire).unwrap();
            if let Err(error) = self.connection.process_new_packets() {
                self.error = Some(error);
                return;
            }
        }
    }

    pub(crate) fn send(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut wire).unwrap();
        }
        wire
    }

    pub(crate) fn say(&mut self, data: &[u8]) -> Vec<u8> {
        self.connection.writer().write_all(data).unwrap();
        self.send()
    }

    /// What the client said.
    pub(crate) fn heard(&mut self) -> Vec<u8> {
        let mut data = Vec::new();
        // "Would block" is how rustls says that there is no more.
        let _ = self.connection.reader().read_to_end(&mut data);
        data
    }
}
