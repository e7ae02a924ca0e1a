//! One connection's handshake, and what comes after it.

use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{ClientConfig, ConnectionTrafficSecrets, Error, SupportedProtocolVersion, version};

use crate::adopted::Adopted;
use crate::imports::{AeadAlgorithm, ProtocolVersion, Secret};
use crate::messages::{KEY_UPDATE_NOT_REQUESTED, Message};
use crate::time::Moment;
use crate::verifier::AskTheHost;
use crate::{Config, Established, Failure, Progress, Update, handle, provider};

/// Longest record taken, in bytes: header and 2^14 + 256 (RFC 8446 section 5.2).
pub const MAX_RECORD: usize = 5 + (1 << 14) + 256;

/// Longest post-handshake message taken, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Most handshake bytes held before they make sense, in bytes: a chain of
/// 128 KiB and what surrounds it.
const MAX_PENDING: usize = 192 * 1024;

/// Where a connection is. Each call takes the state and leaves the next.
#[derive(Default)]
enum State {
    /// Nothing was asked yet.
    #[default]
    New,
    /// Messages go back and forth.
    Handshake {
        connection: Box<UnbufferedClientConnection>,
        /// Records not yet consumed.
        pending: Vec<u8>,
    },
    /// TLS 1.3 behind the handshake.
    Traffic(Box<KernelConnection<ClientConnectionData>>),
    /// The same, where another instance shook hands.
    Adopted(Adopted),
    /// Nothing is left to do: TLS 1.2 stands, or the handshake failed.
    Over,
}

/// The client of one connection.
#[derive(Default)]
pub struct Client {
    state: State,
}

impl Client {
    /// One that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Client::default()
    }

    /// Begins: returns the ClientHello record.
    ///
    /// # Errors
    /// [`Failure`] with [`crate::Blame::Misuse`] for a second call or a
    /// configuration that cannot be.
    pub fn start(&mut self, config: Config) -> Result<Progress, Failure> {
        if !matches!(self.state, State::New) {
            return Err(Failure::misuse("the handshake has begun already"));
        }
        let name = ServerName::try_from(config.server_name.clone()).map_err(|_| {
            Failure::misuse("the server's name is neither a DNS name nor an address")
        })?;
        let config = tls_config(config)?;
        let connection = UnbufferedClientConnection::new(Arc::new(config), name)
            .map_err(|error| Failure::of(&error, Vec::new()))?;
        self.go_on(Box::new(connection), Vec::new())
    }

    /// Takes a connection of TLS 1.3 over behind its handshake, from an
    /// instance that ended. `established` names the keys in force.
    ///
    /// # Errors
    /// [`Failure`] with [`crate::Blame::Misuse`] behind any other call, and
    /// for a connection that has nothing left to do.
    pub fn adopt(&mut self, established: &Established) -> Result<(), Failure> {
        if !matches!(self.state, State::New) {
            return Err(Failure::misuse("this instance has a connection already"));
        }
        self.state = State::Adopted(Adopted::new(established)?);
        Ok(())
    }

    /// Takes one whole record, header included.
    ///
    /// # Errors
    /// [`Failure`]; the connection is of no further use.
    pub fn receive(&mut self, record: &[u8]) -> Result<Progress, Failure> {
        let State::Handshake {
            connection,
            mut pending,
        } = std::mem::take(&mut self.state)
        else {
            self.state = State::Over;
            return Err(Failure::misuse("no handshake is under way"));
        };
        if record.len() > MAX_RECORD {
            return Err(Failure::misuse("a record longer than a record may be"));
        }
        pending.extend_from_slice(record);
        if pending.len() > MAX_PENDING {
            return Err(Failure::peer(
                "the server's handshake messages are too long",
            ));
        }
        self.go_on(connection, pending)
    }

    /// Takes one whole handshake message that came behind the handshake.
    ///
    /// # Errors
    /// [`Failure`]; the connection is of no further use.
    pub fn post_handshake(&mut self, message: &[u8]) -> Result<Update, Failure> {
        if message.len() > MAX_MESSAGE {
            return Err(Failure::misuse("a handshake message longer than 64 KiB"));
        }
        let connection = match &mut self.state {
            State::Traffic(connection) => connection,
            State::Adopted(adopted) => return adopted.post_handshake(message),
            _ => return Err(not_at_work()),
        };
        let failed = |error: Error| Failure::of(&error, Vec::new());
        match Message::parse(message)? {
            Message::NewSessionTicket(ticket) => {
                connection
                    .handle_new_session_ticket(ticket)
                    .map_err(failed)?;
                Ok(Update::default())
            }
            Message::KeyUpdate { requested } => {
                let (_, inbound) = connection.update_rx_secret().map_err(failed)?;
                let mut update = if requested {
                    renew_outbound(connection)?
                } else {
                    Update::default()
                };
                update.inbound = Some(traffic_keys(&inbound)?.0);
                Ok(update)
            }
        }
    }

    /// New outbound keys, with the message that announces them.
    ///
    /// # Errors
    /// [`Failure`] with [`crate::Blame::Misuse`] where there are none to renew.
    pub fn renew_outbound(&mut self) -> Result<Update, Failure> {
        match &mut self.state {
            State::Traffic(connection) => renew_outbound(connection),
            State::Adopted(adopted) => Ok(adopted.renew_outbound()),
            _ => Err(not_at_work()),
        }
    }

    /// Runs rustls until it wants another record or is done.
    fn go_on(
        &mut self,
        mut connection: Box<UnbufferedClientConnection>,
        mut pending: Vec<u8>,
    ) -> Result<Progress, Failure> {
        // Whatever goes wrong below, this connection is over.
        self.state = State::Over;
        let mut send = Vec::new();
        loop {
            let UnbufferedStatus { discard, state } = connection.process_tls_records(&mut pending);
            let done = match state {
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, &mut send)?;
                    false
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    false
                }
                Ok(ConnectionState::BlockedHandshake) => {
                    pending.drain(..discard);
                    self.state = State::Handshake {
                        connection,
                        pending,
                    };
                    return Ok(Progress {
                        send,
                        established: None,
                    });
                }
                Ok(ConnectionState::WriteTraffic(_)) => true,
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    return Err(Failure::peer(
                        "the server closed the connection in the handshake",
                    ));
                }
                Ok(_) => {
                    return Err(Failure::peer("the server sent data inside the handshake"));
                }
                Err(error) => {
                    let alert = alert_of(&mut connection, &mut pending);
                    return Err(Failure::of(&error, alert));
                }
            };
            pending.drain(..discard);
            if done {
                break;
            }
        }
        if !pending.is_empty() {
            return Err(Failure::peer(
                "the server sent more than its handshake in one record",
            ));
        }
        let established = self.hand_over(*connection)?;
        Ok(Progress {
            send,
            established: Some(established),
        })
    }

    /// Takes rustls's traffic keys, which are the host's to use from now on.
    fn hand_over(
        &mut self,
        connection: UnbufferedClientConnection,
    ) -> Result<Established, Failure> {
        let alpn = connection.alpn_protocol().map(<[u8]>::to_vec);
        let group = connection
            .negotiated_key_exchange_group()
            .map_or(0, |group| u16::from(group.name()));
        let (secrets, kernel) = connection
            .dangerous_into_kernel_connection()
            .map_err(|error| Failure::of(&error, Vec::new()))?;
        let (outbound, aead) = traffic_keys(&secrets.tx.1)?;
        let (inbound, _) = traffic_keys(&secrets.rx.1)?;
        let cipher_suite = u16::from(kernel.negotiated_cipher_suite().suite());
        let version = match kernel.protocol_version() {
            rustls::ProtocolVersion::TLSv1_3 => {
                self.state = State::Traffic(Box::new(kernel));
                ProtocolVersion::Tls13
            }
            _ => ProtocolVersion::Tls12,
        };
        Ok(Established {
            version,
            cipher_suite,
            aead,
            group,
            alpn,
            outbound,
            inbound,
        })
    }
}

/// A configuration of rustls in which nothing is left to it but messages.
fn tls_config(config: Config) -> Result<ClientConfig, Failure> {
    const BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    let versions = match (config.min_version, config.max_version) {
        (ProtocolVersion::Tls12, ProtocolVersion::Tls13) => &BOTH[..],
        (ProtocolVersion::Tls13, ProtocolVersion::Tls13) => &BOTH[..1],
        (ProtocolVersion::Tls12, ProtocolVersion::Tls12) => &BOTH[1..],
        (ProtocolVersion::Tls13, ProtocolVersion::Tls12) => {
            return Err(Failure::misuse(
                "the oldest version is newer than the newest",
            ));
        }
    };
    if config
        .alpn
        .iter()
        .any(|name| name.is_empty() || name.len() > 255)
    {
        return Err(Failure::misuse(
            "an application protocol's name has 1 to 255 bytes",
        ));
    }
    let clock = Arc::new(Moment(config.now));
    let mut tls = ClientConfig::builder_with_details(Arc::new(provider::provider()), clock)
        .with_protocol_versions(versions)
        .map_err(|error| Failure::of(&error, Vec::new()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AskTheHost))
        .with_no_client_auth();
    tls.alpn_protocols = config.alpn;
    tls.enable_secret_extraction = true;
    tls.require_ems = true;
    tls.resumption = rustls::client::Resumption::disabled();
    Ok(tls)
}

fn not_at_work() -> Failure {
    Failure::misuse("the connection is not one of TLS 1.3 at work")
}

fn renew_outbound(
    connection: &mut KernelConnection<ClientConnectionData>,
) -> Result<Update, Failure> {
    let (_, outbound) = connection
        .update_tx_secret()
        .map_err(|error| Failure::of(&error, Vec::new()))?;
    Ok(Update {
        inbound: None,
        reply: Some(KEY_UPDATE_NOT_REQUESTED.to_vec()),
        outbound: Some(traffic_keys(&outbound)?.0),
    })
}

/// The handle in what rustls takes for a key.
fn traffic_keys(secrets: &ConnectionTrafficSecrets) -> Result<(Secret, AeadAlgorithm), Failure> {
    let (key, aead) = match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, .. } => (key, AeadAlgorithm::Aes128Gcm),
        ConnectionTrafficSecrets::Aes256Gcm { key, .. } => (key, AeadAlgorithm::Aes256Gcm),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, .. } => {
            (key, AeadAlgorithm::Chacha20Poly1305)
        }
        _ => {
            return Err(Failure::misuse("a cipher suite that was never offered"));
        }
    };
    Ok((handle::from_bytes(key.as_ref()), aead))
}

/// The alert that rustls prepared on its way out. It must be shown what it was
/// shown before: a message that is not whole yet lies in there.
fn alert_of(connection: &mut UnbufferedClientConnection, pending: &mut [u8]) -> Vec<u8> {
    let mut alert = Vec::new();
    let UnbufferedStatus { state, .. } = connection.process_tls_records(pending);
    if let Ok(ConnectionState::EncodeTlsData(data)) = state {
        // Without an alert the peer learns nothing, which is no loss to us.
        let _ = encode(data, &mut alert);
    }
    alert
}

/// Appends what rustls has to say to `send`.
fn encode(
    mut data: EncodeTlsData<'_, ClientConnectionData>,
    send: &mut Vec<u8>,
) -> Result<(), Failure> {
    let start = send.len();
    let needed = match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        Ok(_) => return Ok(()),
        Err(EncodeError::AlreadyEncoded) => {
            return Err(Failure::misuse("a record was encoded twice"));
        }
    };
    send.resize(start + needed, 0);
    let written = data
        .encode(&mut send[start..])
        .map_err(|_| Failure::misuse("a record does not fit its own length"))?;
    send.truncate(start + written);
    Ok(())
}
