//! A connection's bytes: TCP as it is, or inside TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};

use crate::certs::Identity;

/// TLS with this identity, without client certificates, in these versions alone.
///
/// # Panics
/// If certificate and key do not belong together.
#[must_use]
pub fn server_config(
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Arc::new(server_config_with(identity, versions, provider))
}

/// The same with cryptography of the test's own, and yet to be changed.
///
/// # Panics
/// As [`server_config`].
#[must_use]
pub fn server_config_with(
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
    provider: CryptoProvider,
) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .expect("the provider has suites for all versions")
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .expect("the key belongs to the certificate")
}

/// What a script is played on.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<ServerConnection>, TcpStream),
}

impl Wire {
    /// The TLS handshake happens with the first read or write.
    pub(super) fn new(socket: TcpStream, config: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        Ok(match config {
            None => Self::Plain(socket),
            Some(config) => {
                let session = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
                Self::Tls(Box::new(session), socket)
            }
        })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) | Self::Tls(_, socket) => socket,
        }
    }

    /// `close_notify`, where there is TLS.
    pub(super) fn say_farewell(&mut self) -> io::Result<()> {
        if let Self::Tls(session, socket) = self {
            session.send_close_notify();
            while session.wants_write() {
                session.write_tls(socket)?;
            }
        }
        Ok(())
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(session, socket) => {
                rustls::Stream::new(session.as_mut(), socket).read(buffer)
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(session, socket) => {
                rustls::Stream::new(session.as_mut(), socket).write(bytes)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(session, socket) => rustls::Stream::new(session.as_mut(), socket).flush(),
        }
    }
}
