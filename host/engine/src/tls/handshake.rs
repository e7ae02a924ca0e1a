//! A handshake over a socket: records to the guest one at a time, its answers to the peer.
//!
//! ```text
//! begin       while the connection is dialled: instance, key share, ClientHello
//! handshake   once it is there: that goes out, and the rest follows
//! ```

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fumehood_control::{Cause, Instance, TlsOptions, TlsSummary, TlsVersion, Verification};
use fumehood_crypto::record::{Inbound, framed};
use fumehood_policy::Host;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::bindings::client::fumehood::crypto::keys::ProtocolVersion;
use super::guest::{self, Failed, Guest, HandshakeError};
use super::state::Subject;
use super::steady::SteadyGuest;
use super::{KeyLogFile, TlsModule, TlsStream, failure, names};
use crate::instance::Fault;
use crate::instance::bounded;
use crate::registry::{Registry, Version};
use crate::transport::Transport;

/// Bytes asked of the socket at a time: a server's whole flight, usually.
const READ: usize = 16 * 1024;

/// The application protocols of HTTP, in order of preference (RFC 7301).
pub(crate) const HTTP: &[&[u8]] = &[b"http/1.1"];

/// Whom to shake hands with, and how.
pub(crate) struct Peer<'a> {
    /// Where those are who judge, and who take over.
    pub registry: &'a Arc<Registry>,
    /// The version to shake hands with.
    pub version: &'a Arc<Version<TlsModule>>,
    pub options: TlsOptions,
    pub host: &'a Host,
    /// Application protocols offered.
    pub alpn: &'static [&'static [u8]],
    pub key_log: Option<Arc<KeyLogFile>>,
}

/// A handshake whose ClientHello is ready to be sent.
pub(crate) struct Begun {
    pub(super) guest: Guest,
    pub(super) first: guest::Progress,
    registry: Arc<Registry>,
    version: Arc<Version<TlsModule>>,
    options: TlsOptions,
}

/// A handshake that succeeded.
pub(crate) struct Established {
    pub stream: TlsStream,
    pub summary: TlsSummary,
    /// The guests that took part.
    pub instances: Vec<Instance>,
}

/// Does all of a handshake that needs no connection.
///
/// # Errors
/// [`HandshakeError::Guest`] for the guest's end, [`Cause::Tls`] where nothing
/// can be offered.
pub(crate) fn begin(peer: Peer<'_>) -> Result<Begun, HandshakeError> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let subject = Subject::new(peer.host, peer.options.verification, now);
    let config = config(&subject, peer.options, peer.alpn);
    let module = &peer.version.module;
    let mut guest = module.instantiate(subject, peer.registry, peer.key_log)?;
    let first = guest.start(&config).map_err(|failed| failed.error)?;
    // The first connection of all waits for the verifier's anchors here.
    peer.registry.x509.current()?.module.wake();
    Ok(Begun {
        guest,
        first,
        registry: Arc::clone(peer.registry),
        version: Arc::clone(peer.version),
        options: peer.options,
    })
}

/// Shakes hands. Without a deadline: the caller has one.
///
/// # Errors
/// [`HandshakeError::Guest`] for the `tls` guest's end; otherwise
/// [`Cause::Certificate`], [`Cause::Tls`], [`Cause::Truncated`] and
/// [`Cause::Socket`] for what the peer or the network did, and
/// [`Cause::Guest`] where no verifier survived the certificate.
pub(crate) async fn handshake(
    mut lower: Transport,
    begun: Begun,
) -> Result<Established, HandshakeError> {
    let Begun {
        mut guest,
        first,
        registry,
        version,
        options,
    } = begun;
    let (keys, leftover) = match converse(&mut lower, &mut guest, first).await {
        Ok(done) => done,
        Err(Failed { error, alert }) => {
            if !alert.is_empty() {
                // The peer may be gone; our failure is the same.
                lower.try_write(&alert);
            }
            return Err(error);
        }
    };
    check_version(&mut guest, keys.version, options)?;
    let (sealer, opener) = guest.release(&keys)?;
    let summary = TlsSummary {
        version: version_of(keys.version),
        cipher: names::cipher_suite(keys.cipher_suite),
        group: names::group(guest.group()),
        alpn: keys
            .alpn
            .as_deref()
            .map(|name| bounded(&String::from_utf8_lossy(name))),
        verified: options.verification == Verification::Full,
    };
    let instances = guest.instances();
    let meter = guest.meter();
    // TLS 1.2 has nothing behind the handshake, and its guest ends here.
    let guest = guest
        .has_more_to_do()
        .then(|| SteadyGuest::new(&registry, &version, guest, keys));
    let inbound = Inbound::new(opener, &leftover);
    let stream = TlsStream::new(lower, sealer, inbound, guest.map(Box::new), meter);
    Ok(Established {
        stream,
        summary,
        instances,
    })
}

/// Carries records until the guest is done. Returns its keys' names, and what
/// arrived behind the handshake.
async fn converse(
    lower: &mut Transport,
    guest: &mut Guest,
    mut progress: guest::Progress,
) -> Result<(guest::Established, Vec<u8>), Failed> {
    let mut arrived: Vec<u8> = Vec::new();
    loop {
        if !progress.send.is_empty() {
            let sent = async {
                lower.write_all(&progress.send).await?;
                lower.flush().await
            };
            sent.await.map_err(|error| failure::socket(&error))?;
        }
        if let Some(established) = progress.established {
            return Ok((established, arrived));
        }
        let length = whole_record(lower, &mut arrived).await?;
        progress = guest.receive(&arrived[..length])?;
        arrived.drain(..length);
    }
}

/// Reads until a whole record is there; returns its length.
async fn whole_record(lower: &mut Transport, arrived: &mut Vec<u8>) -> Result<usize, Cause> {
    loop {
        let framed = framed(arrived).map_err(failure::record)?;
        if let Some(length) = framed.filter(|length| *length <= arrived.len()) {
            return Ok(length);
        }
        arrived.reserve(READ);
        let count = lower
            .read_buf(arrived)
            .await
            .map_err(|error| failure::socket(&error))?;
        if count == 0 {
            return Err(Cause::Truncated {
                place: "tls-handshake".to_owned(),
            });
        }
    }
}

/// What the guest is told.
pub(super) fn config(subject: &Subject, options: TlsOptions, alpn: &[&[u8]]) -> guest::Config {
    let version = |version| match version {
        TlsVersion::V1_2 => ProtocolVersion::Tls12,
        TlsVersion::V1_3 => ProtocolVersion::Tls13,
    };
    guest::Config {
        server_name: subject.server_name.clone(),
        alpn: alpn.iter().map(|name| name.to_vec()).collect(),
        min_version: version(options.min_version),
        max_version: version(options.max_version),
        now: subject.now,
    }
}

fn version_of(version: ProtocolVersion) -> TlsVersion {
    match version {
        ProtocolVersion::Tls12 => TlsVersion::V1_2,
        ProtocolVersion::Tls13 => TlsVersion::V1_3,
    }
}

/// The guest was told which versions will do; that it held to it is checked,
/// not believed.
fn check_version(
    guest: &mut Guest,
    version: ProtocolVersion,
    options: TlsOptions,
) -> Result<(), Fault> {
    let version = version_of(version);
    if (options.min_version..=options.max_version).contains(&version) {
        Ok(())
    } else {
        Err(guest.misled(fumehood_crypto::Refusal::NotAuthenticated.into()))
    }
}
