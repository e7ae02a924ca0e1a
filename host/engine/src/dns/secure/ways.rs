//! The way to a server of encrypted DNS: connect, shake hands, verify.

use std::sync::Arc;
use std::time::Duration;

use fumehood_control::{
    Aftermath, Cause, DialFailure, NameServer, ResolverSetup, ServerProtocol, TlsOptions,
    TlsVersion, Verification,
};
use fumehood_policy::{Host, RequestUrl, Transport};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::format_err;

use super::super::bindings::fumehood::dns::types::Server;
use super::super::inbox::Inbox;
use super::super::words::find_server;
use super::Error;
use super::post::Kept;
use crate::dialer::Dialer;
use crate::driver::Work;
use crate::instance::{Active, Ticker, bounded};
use crate::registry::Registry;
use crate::tls::{self, HandshakeError, TlsStream};

/// Most handshakes at once. The pool has room for as many guests of the
/// resolver's beside those of exchanges, which may be waiting for it.
pub(crate) const MAX_CHANNELS: u32 = 4;

/// The application protocol of DNS over TLS (RFC 7858 section 3.2).
const DOT: &[&[u8]] = &[b"dot"];

/// TLS 1.2 and 1.3, the certificate verified, whatever exchanges may do: who
/// answers for names answers for everything.
pub(super) const TLS: TlsOptions = TlsOptions {
    verification: Verification::Full,
    min_version: TlsVersion::V1_2,
    max_version: TlsVersion::V1_3,
};

/// What channels are made with.
#[derive(Clone)]
pub(in crate::dns) struct Ways {
    inbox: Arc<Inbox>,
    registry: Arc<Registry>,
    dialer: Arc<Dialer>,
    ticker: Ticker,
    places: Arc<Semaphore>,
    pub(super) kept: Kept,
}

impl Ways {
    pub(in crate::dns) fn new(
        inbox: &Arc<Inbox>,
        registry: &Arc<Registry>,
        dialer: &Arc<Dialer>,
        ticker: &Ticker,
    ) -> Ways {
        Ways {
            inbox: Arc::clone(inbox),
            registry: Arc::clone(registry),
            dialer: Arc::clone(dialer),
            ticker: ticker.clone(),
            places: Arc::new(Semaphore::new(MAX_CHANNELS as usize)),
            kept: Kept::default(),
        }
    }

    /// The server that the guest means, and the setup that it is of. None if
    /// it has none such, perhaps since a moment ago.
    pub(super) fn own(&self, meant: &Server) -> Option<(Arc<ResolverSetup>, NameServer)> {
        let setup = self.inbox.setup()?;
        let server = find_server(&setup, meant)?.clone();
        Some((setup, server))
    }

    /// Begins to connect to a server of DNS over TLS.
    ///
    /// # Errors
    /// Where it is no such server: no sound guest asks for that.
    pub(super) fn connect(
        &self,
        setup: Arc<ResolverSetup>,
        server: NameServer,
    ) -> wasmtime::Result<Work<Result<TlsStream, Error>>> {
        let ServerProtocol::Tls(name) = &server.protocol else {
            return Err(format_err!(
                "a guest wanted TLS with a server that does not speak it"
            ));
        };
        let host = Host::parse(name).map_err(|error| format_err!("{error}"))?;
        let ways = self.clone();
        Ok(Work::begin(async move {
            // The handshake has the place; then it is one guest at most.
            let secured = ways.secured(&setup, &server, &host, DOT).await;
            secured.map(|(stream, _place)| stream)
        }))
    }

    /// Begins an exchange of DNS over HTTPS.
    ///
    /// # Errors
    /// Where it is no such server: no sound guest asks for that.
    pub(super) fn post(
        &self,
        setup: Arc<ResolverSetup>,
        server: NameServer,
        message: Vec<u8>,
    ) -> wasmtime::Result<Work<Result<Vec<u8>, Error>>> {
        let ServerProtocol::Https(url) = &server.protocol else {
            return Err(format_err!(
                "a guest wanted HTTPS of a server that does not speak it"
            ));
        };
        let url = RequestUrl::parse(url).map_err(|error| format_err!("{error}"))?;
        let ways = self.clone();
        Ok(Work::begin(async move {
            ways.posted(&setup, &server, &url, message).await
        }))
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Has the epoch advance while guests are called.
    pub(super) fn activate(&self) -> Active {
        self.ticker.activate()
    }

    /// A place among the resolver's connections. Those that wait make way.
    async fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let _wanted = self.kept.want_room();
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.map_err(|_| Error::Connect("the resolver is ending".to_owned()))
    }

    /// A connection with TLS to a server, whose name was verified, and its place.
    pub(super) async fn secured(
        &self,
        setup: &ResolverSetup,
        server: &NameServer,
        host: &Host,
        alpn: &'static [&'static [u8]],
    ) -> Result<(TlsStream, OwnedSemaphorePermit), Error> {
        let place = self.place().await?;
        let patience = Duration::from_millis(setup.timeout_ms.into());
        let dialling = self
            .dialer
            .connect(setup.grant, server.address, Transport::Tcp, patience);
        let (socket, _) = dialling.await.map_err(|cause| connect_error(&cause))?;
        let stream = TcpStream::from_std(socket.into())
            .map_err(|error| Error::Connect(bounded(&error.to_string())))?;
        let version = self
            .registry
            .tls
            .current()
            .map_err(|cause| tls_error(&cause))?;
        let _active = self.ticker.activate();
        let begun = tls::begin(tls::Peer {
            registry: &self.registry,
            version: &version,
            options: TLS,
            host,
            alpn,
            key_log: None,
        });
        let begun = begun.map_err(|error| self.settled(error))?;
        match tokio::time::timeout(patience, tls::handshake(stream.into(), begun)).await {
            Ok(outcome) => outcome
                .map(|established| (established.stream, place))
                .map_err(|error| self.settled(error)),
            Err(_) => Err(Error::Tls("the handshake was not over in time".to_owned())),
        }
    }

    /// A failed handshake in words. A guest's end is counted and reported.
    fn settled(&self, error: HandshakeError) -> Error {
        let cause = match error {
            HandshakeError::Guest(fault) => {
                fault.settle(Aftermath::Failed);
                self.registry.enforce();
                fault.into()
            }
            HandshakeError::Other(cause) => cause,
        };
        tls_error(&cause)
    }
}

/// For the guest, which tells it to people.
fn connect_error(cause: &Cause) -> Error {
    match cause {
        Cause::Dial(DialFailure::Outside(_) | DialFailure::NoGrant | DialFailure::Denied(_)) => {
            Error::Denied
        }
        Cause::Dial(DialFailure::Connect(attempts)) => {
            let errno = attempts.last().and_then(|attempt| attempt.errno);
            let why = errno.map(|it| std::io::Error::from_raw_os_error(it).to_string());
            Error::Connect(why.unwrap_or_else(|| "no connection".to_owned()))
        }
        Cause::Dial(DialFailure::Timeout { .. }) => {
            Error::Connect("no connection in time".to_owned())
        }
        _ => Error::Connect("the broker made no connection".to_owned()),
    }
}

fn tls_error(cause: &Cause) -> Error {
    Error::Tls(match cause {
        Cause::Tls(why) => bounded(why),
        Cause::Certificate { rejection, detail } => bounded(&format!(
            "the certificate is refused ({rejection}): {detail}"
        )),
        Cause::Truncated { .. } => "the server closed during the handshake".to_owned(),
        Cause::Socket { errno } => std::io::Error::from_raw_os_error(*errno).to_string(),
        Cause::Guest { module, kind, .. } => format!("the {module} guest ended: {kind}"),
        other => bounded(&format!("{other:?}")),
    })
}
