//! Guests and connections without the process around them, for benches.
//!
//! Not part of the crate's face: behind the feature `measure`, which no
//! shipped program turns on. The caller brings sockets, files and clocks; what
//! runs here is exactly what runs in the engine.

mod handshake;
mod modules;
mod names;
mod pac;

pub use modules::Idle;
pub use names::Resolver;
pub use pac::{Pac, PacScript};

pub use handshake::{Begun, Connected};

use std::os::fd::OwnedFd;
use std::sync::Arc;

use fumehood_control::{Exchange, ExchangeId, Field, GrantId, ModuleHeader, Summary};
use fumehood_policy::{Scheme, Target};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::allowance::Allowance;
use crate::connection::Connection;
use crate::exchange::{self, Pipes};
use crate::instance::{RequestHead, Ticker};
use crate::outbox::Outbox;
use crate::payload::Pipe;
use crate::registry::{Limits, Registry};
use crate::resume::SteadyCodec;
use crate::tls::{self, Anchors};
use crate::transport::{PlainStream, Transport};

/// Room for guests: those of 5,000 idle connections, and a handful at work.
const INSTANCES: u32 = 5_064;

/// A module as a bench loads it.
#[derive(Debug)]
pub struct Code {
    /// What it is.
    pub header: ModuleHeader,
    /// Native code that our compiler made.
    pub native: Vec<u8>,
}

/// The three guests, loaded.
pub struct Guests {
    registry: Arc<Registry>,
    ticker: Ticker,
}

impl Guests {
    /// Loads them. `anchors` are certificates in DER.
    ///
    /// # Errors
    /// One sentence on the module that is refused.
    pub fn load(
        http1: &Code,
        tls: &Code,
        x509: &Code,
        anchors: &[Vec<u8>],
    ) -> Result<Guests, String> {
        let limits = Limits {
            instances: INSTANCES,
            ..Limits::for_one()
        };
        let registry = Registry::new(limits, Anchors::of(anchors)).map_err(|e| e.to_string())?;
        let ticker = Ticker::start(registry.engine().clone()).map_err(|e| e.to_string())?;
        let guests = Guests {
            registry: Arc::new(registry),
            ticker,
        };
        for code in [http1, tls, x509] {
            guests.load_and_swap(code)?;
        }
        Ok(guests)
    }

    /// Makes an `http1` instance, calls it once, drops it.
    ///
    /// # Errors
    /// When there is no instance or its first call fails.
    pub fn instance_life(&self, target: &Target) -> Result<(), String> {
        let mut codec = SteadyCodec::new(&self.registry).map_err(|e| format!("{e:?}"))?;
        codec
            .encode_head(request_head(target))
            .map(drop)
            .map_err(|error| format!("{error:?}"))
    }

    /// Runs a GET over a connected socket, TLS and all, with the payload going to
    /// `sink`; then lets the caller look while the guests still live.
    ///
    /// # Errors
    /// The exchange's failure.
    pub async fn exchange<T>(
        &self,
        stream: std::net::TcpStream,
        target: &Target,
        path: &str,
        sink: OwnedFd,
        look: impl FnOnce(&Summary) -> T,
    ) -> Result<T, String> {
        let _active = self.ticker.activate();
        let request = request(target, path);
        let stream = TcpStream::from_std(stream).map_err(|error| error.to_string())?;
        // As the broker makes them.
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let peer = stream.peer_addr().map_err(|error| error.to_string())?;
        let transport = match target.scheme {
            Scheme::Http | Scheme::Served(_) | Scheme::Udp => {
                Transport::Plain(PlainStream::new(stream))
            }
            Scheme::Https => {
                let version = self.registry.tls.current().map_err(|e| format!("{e:?}"))?;
                let peer = tls::Peer {
                    registry: &self.registry,
                    version: &version,
                    options: request.tls,
                    host: &target.host,
                    alpn: tls::HTTP,
                    key_log: None,
                };
                let begun = tls::begin(peer).map_err(|cause| format!("{cause:?}"))?;
                let established = tls::handshake(stream.into(), begun)
                    .await
                    .map_err(|error| format!("{:?}", error.into_cause()))?;
                Transport::Tls(Box::new(established.stream))
            }
        };
        let codec = SteadyCodec::new(&self.registry).map_err(|e| format!("{e:?}"))?;
        let room = Arc::new(Semaphore::new(1))
            .acquire_owned()
            .await
            .map_err(|error| error.to_string())?;
        let mut connection = Connection {
            transport,
            codec,
            peer,
            since: Instant::now(),
            room: Some(room),
        };
        let before = connection.meter();
        let pipes = Pipes {
            sink: Pipe::new(sink).map_err(|e| e.to_string())?,
            source: None,
            allowance: Allowance::default(),
        };
        let (outbox, mut outgoing) = Outbox::new();
        let drained = tokio::spawn(async move { while outgoing.recv().await.is_some() {} });
        let outcome = exchange::run(
            &mut connection,
            ExchangeId(1),
            &request,
            &pipes,
            &outbox,
            Instant::now(),
        )
        .await;
        drop(outbox);
        drained.await.map_err(|error| error.to_string())?;
        let mut summary = outcome.result.map_err(|failure| format!("{failure:?}"))?;
        connection.account(before, &mut summary);
        Ok(look(&summary))
    }
}

/// The same, as the codec is told.
fn request_head(target: &Target) -> RequestHead {
    let Exchange {
        method,
        path,
        fields,
        payload,
        ..
    } = request(target, "/");
    RequestHead {
        method,
        target: path,
        fields: fields.iter().collect(),
        payload,
        upgrade: false,
    }
}

/// A GET as the command would send it.
fn request(target: &Target, path: &str) -> Exchange {
    let field = |name: &str, value: &str| Field {
        name: name.to_owned(),
        value: value.as_bytes().to_vec(),
    };
    let mut get = Exchange::get(target.clone(), GrantId(1), path);
    get.fields.extend([
        field("user-agent", "fumehood-measure"),
        field("accept", "*/*"),
    ]);
    get.fresh_connection = true;
    get
}
