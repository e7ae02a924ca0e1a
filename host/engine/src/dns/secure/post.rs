//! DNS over HTTPS (RFC 8484): a POST by the `http1` guest, as any exchange, with
//! its content in memory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fumehood_control::{
    Assembly, Deadlines, Exchange, ExchangeId, Field, NameServer, PayloadLength, ResolverSetup,
    ResponseHead, SourceEnd, ToEmbedder,
};
use fumehood_policy::RequestUrl;
use tokio::time::Instant;

use super::Error;
use super::ways::{TLS, Ways};
use crate::allowance::Allowance;
use crate::connection::Connection;
use crate::exchange::{self, Outcome, Pipes};
use crate::instance::bounded;
use crate::outbox::{Outbox, Outgoing};
use crate::payload::Pipe;
use crate::resume::SteadyCodec;
use crate::tls;
use crate::transport::Transport;

/// Longest message, in bytes (RFC 8484 section 6).
const MAX_MESSAGE_BYTES: usize = 65_535;

/// What is sent and what is to come back (RFC 8484 section 6).
const MEDIA_TYPE: &[u8] = b"application/dns-message";

/// Connections that wait for another question, each with the server it is to.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Store>>);

#[derive(Default)]
struct Store {
    all: Vec<(NameServer, Connection)>,
    /// How many wait for a place.
    wanted: usize,
}

/// Somebody waits for what kept connections hold.
pub(super) struct Wanted(Kept);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.lock().wanted -= 1;
    }
}

impl Kept {
    fn lock(&self) -> std::sync::MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One to this server that lives.
    fn take(&self, server: &NameServer) -> Option<Connection> {
        let all = &mut self.lock().all;
        all.retain_mut(|(_, connection)| connection.is_alive());
        let at = all.iter().position(|(to, _)| to == server)?;
        Some(all.swap_remove(at).1)
    }

    fn put(&self, server: NameServer, connection: Connection) {
        let mut store = self.lock();
        if store.wanted == 0 {
            store.all.push((server, connection));
        }
    }

    /// Closes them all, and keeps none as long as this is held.
    pub(super) fn want_room(&self) -> Wanted {
        let mut store = self.lock();
        store.all.clear();
        store.wanted += 1;
        drop(store);
        Wanted(self.clone())
    }
}

impl Ways {
    /// Asks a server of DNS over HTTPS; on a kept connection if there is one, and
    /// anew where that turns out to be dead.
    pub(super) async fn posted(
        &self,
        setup: &ResolverSetup,
        server: &NameServer,
        url: &RequestUrl,
        message: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        let patience = Duration::from_millis(setup.timeout_ms.into());
        let _active = self.activate();
        if let Some(connection) = self.kept.take(server) {
            let asked = self.ask(connection, setup, server, url, &message);
            if let Ok(Ok(answer)) = tokio::time::timeout(patience, asked).await {
                return Ok(answer);
            }
        }
        let connection = self.open(setup, server, url).await?;
        let asked = self.ask(connection, setup, server, url, &message);
        match tokio::time::timeout(patience, asked).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Http("no answer in time".to_owned())),
        }
    }

    async fn open(
        &self,
        setup: &ResolverSetup,
        server: &NameServer,
        url: &RequestUrl,
    ) -> Result<Connection, Error> {
        let since = Instant::now();
        let host = &url.target.host;
        let (stream, room) = self.secured(setup, server, host, tls::HTTP).await?;
        let codec = SteadyCodec::new(self.registry());
        let codec = codec.map_err(|_| Error::Http("there is no http1 guest".to_owned()))?;
        Ok(Connection {
            transport: Transport::Tls(Box::new(stream)),
            codec,
            peer: server.address,
            since,
            room: Some(room),
        })
    }

    /// One exchange. A connection that can go on is kept.
    async fn ask(
        &self,
        mut connection: Connection,
        setup: &ResolverSetup,
        server: &NameServer,
        url: &RequestUrl,
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let (outbox, outgoing) = Outbox::new();
        let sink = Pipe::memory(Vec::new(), MAX_MESSAGE_BYTES);
        let pipes = Pipes {
            sink: sink.clone(),
            source: Some(Pipe::memory(message.to_vec(), message.len())),
            allowance: Allowance::default(),
        };
        let exchange = post(setup, url, message.len());
        let began = Instant::now();
        let id = ExchangeId(0);
        let Outcome {
            result, reusable, ..
        } = exchange::run(&mut connection, id, &exchange, &pipes, &outbox, began).await;
        drop(outbox);
        if let Err(failure) = result {
            return Err(Error::Http(bounded(&format!("{:?}", failure.cause))));
        }
        check(head(outgoing))?;
        if reusable {
            connection.rest();
            self.kept.put(server.clone(), connection);
        }
        Ok(sink.into_memory())
    }
}

fn post(setup: &ResolverSetup, url: &RequestUrl, length: usize) -> Exchange {
    let field = |name: &str, value: &[u8]| Field {
        name: name.to_owned(),
        value: value.to_vec(),
    };
    let patience = setup.timeout_ms;
    Exchange {
        target: url.target.clone(),
        grant: setup.grant,
        method: "POST".to_owned(),
        path: url.path_and_query.clone(),
        fields: vec![
            field("host", url.target.authority().as_bytes()),
            field("accept", MEDIA_TYPE),
            field("content-type", MEDIA_TYPE),
        ],
        payload: PayloadLength::Known(length as u64),
        source_end: SourceEnd::EndOfFile,
        tls: TLS,
        deadlines: Deadlines {
            connect_ms: patience,
            tls_ms: patience,
            head_ms: patience,
            idle_ms: patience,
            total_ms: patience,
        },
        fresh_connection: false,
        leave: None,
        via: Vec::new(),
    }
}

/// The final head among what the exchange had to tell.
fn head(mut outgoing: Outgoing) -> Option<ResponseHead> {
    let mut assembly = Assembly::default();
    while let Ok(message) = outgoing.try_recv() {
        match message {
            ToEmbedder::HeadFragment { bytes, .. } => assembly.push(&bytes).ok()?,
            ToEmbedder::Head { bytes, .. } => {
                return std::mem::take(&mut assembly).finish(&bytes).ok();
            }
            ToEmbedder::Informational { .. } => assembly = Assembly::default(),
            _ => {}
        }
    }
    None
}

/// 200, and a DNS message.
fn check(head: Option<ResponseHead>) -> Result<(), Error> {
    let head = head.ok_or_else(|| Error::Http("there was no head".to_owned()))?;
    if head.status != 200 {
        return Err(Error::Http(format!("the server answered {}", head.status)));
    }
    let mut fields = head.fields.iter();
    let media_type = fields.find(|field| field.name.eq_ignore_ascii_case("content-type"));
    let media_type = media_type.map_or(&b""[..], |field| &field.value);
    let essence = media_type.split(|byte| *byte == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    match essence.eq_ignore_ascii_case(MEDIA_TYPE) {
        true => Ok(()),
        false => Err(Error::Http(bounded(&format!(
            "the server answered with {:?}",
            String::from_utf8_lossy(media_type)
        )))),
    }
}
