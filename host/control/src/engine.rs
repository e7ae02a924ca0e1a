//! What embedder and engine say to each other.

use fumehood_policy::{Denial, ServedScheme};
use serde::{Deserialize, Serialize};

use crate::{
    AccessRecord, Digest, DriverSchemes, ExchangeId, Failure, GuestPreferences, JourneyEvent,
    Layer, LayerReport, ListenerId, ListenerSetup, Login, Message, NameQuery, ProxyTally,
    StandingGrant, Summary, SwapReason,
};

/// How an engine is to be; comes before its sandbox closes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineSetup {
    /// Layers without which not to start, beside the floor.
    pub required: Vec<Layer>,
    /// Most guest instances alive at once; the pool is made for as many.
    pub max_instances: u32,
    /// Most exchanges under way at once.
    pub max_exchanges: u32,
    /// Most idle connections kept, in all.
    pub max_idle_connections: u32,
    /// How long an idle connection is kept, in milliseconds.
    pub idle_connection_ms: u32,
    /// Most connections, idle ones too, to one origin.
    pub max_per_origin: u32,
    /// Most connections, idle ones too, through one proxy.
    pub max_per_proxy: u32,
    /// Most connections in all, idle ones too.
    pub max_connections: u32,
    /// Faults of one version within [`EngineSetup::quarantine_window_ms`]
    /// after which it is quarantined and the one before takes over.
    pub quarantine_faults: u32,
    /// See `quarantine_faults`, in milliseconds.
    pub quarantine_window_ms: u32,
    /// How long a version that is no longer current is told of as draining at most,
    /// in milliseconds. Idle connections do not wait for it: they move to the
    /// current version at once. What is under way when it ends goes on with the
    /// version it began with, and the connection moves when that is over.
    pub drain_ms: u32,
    /// Keep the calls into each guest with their content, and put them into
    /// its fault's report.
    pub record: bool,
    /// Write TLS secrets to the descriptor that follows with
    /// [`ToEngine::KeyLog`] (`SSLKEYLOGFILE`).
    pub key_log: bool,
}

/// What a module is; its native code comes as a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleHeader {
    /// `http1`, `tls`, `x509`, `dns`, `socks`, `pac`, or a driver's own.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// SHA-256 of the component it was compiled from.
    pub digest: Digest,
}

/// Embedder to engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToEngine {
    /// First message.
    Hello {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
        /// How to be.
        setup: EngineSetup,
    },
    /// A module. One descriptor: a sealed memfd with its native code. Before
    /// `Start` it becomes current; afterwards it is a candidate, and the answer is
    /// [`ToEmbedder::ModuleLoaded`] or [`ToEmbedder::ModuleRefused`].
    Module(ModuleHeader),
    /// Make a candidate (or a quarantined version) current. The answer is
    /// [`ToEmbedder::Swapped`] or [`ToEmbedder::ModuleRefused`].
    Swap {
        /// Of the module.
        name: String,
        /// Of the version.
        digest: Digest,
    },
    /// Make the version that was current before the present one current again.
    /// Answered as `Swap`.
    Rollback {
        /// Of the module.
        name: String,
    },
    /// Forget a version that is not current; one that drains goes when it has.
    /// The answer is [`ToEmbedder::ModuleWithdrawn`] or
    /// [`ToEmbedder::ModuleRefused`].
    Withdraw {
        /// Of the module.
        name: String,
        /// Of the version.
        digest: Digest,
    },
    /// Ask for [`ToEmbedder::Inventory`].
    Inspect,
    /// How scarce memory is outside. Above 80 % the engine closes the older half
    /// of its idle connections, each time it is told; above 100 % all of them,
    /// and it begins no exchange while there is one. Their guests' memory goes
    /// back to the pool with them.
    Pressure {
        /// Share of the budget in use, in percent; above 100 it is over.
        percent: u16,
    },
    /// Trust anchors. One descriptor: a sealed memfd with, for each, four
    /// bytes of length (little-endian) and a certificate in DER.
    Anchors,
    /// The channel to the broker. One descriptor.
    Broker,
    /// Where TLS secrets are written, if asked for. One descriptor.
    KeyLog,
    /// Enter the sandbox and answer `Ready`. Nothing before it is from the network.
    Start,
    /// A piece of an [`crate::Exchange`].
    ExchangeFragment {
        /// Which.
        id: ExchangeId,
        /// Bytes of the encoded [`crate::Exchange`].
        bytes: Vec<u8>,
    },
    /// The last piece, which begins it. Descriptors: the sink for the
    /// response's payload, then the source of the request's if it has one.
    Exchange {
        /// Which.
        id: ExchangeId,
        /// Bytes of the encoded [`crate::Exchange`].
        bytes: Vec<u8>,
        /// A source comes with it.
        with_source: bool,
    },
    /// Give up on an exchange; it ends with [`crate::Cause::Cancelled`].
    Cancel(ExchangeId),
    /// Takes a [`crate::Leave`] back: exchanges under it end with
    /// [`crate::Cause::Lapsed`], and no payload of theirs moves any more.
    Revoke {
        /// Of the leave.
        leave: u64,
    },
    /// Close all idle connections, and keep none that is in use now.
    CloseIdle,
    /// A piece of the policy; [`ToEngine::Policy`] closes it.
    PolicyFragment {
        /// Bytes of the encoded [`fumehood_policy::Policy`].
        bytes: Vec<u8>,
    },
    /// The last piece of the policy that requests of listeners' clients are
    /// judged by, each of them. Without one nothing is served.
    Policy {
        /// Bytes of the encoded [`fumehood_policy::Policy`].
        bytes: Vec<u8>,
    },
    /// Serve the listener of that number, whose socket the broker passes.
    Listener(ListenerSetup),
    /// Accept what waits and no more, and end the listener's connections at
    /// their next message boundary. The answer is [`ToEmbedder::Drained`].
    DrainListener(ListenerId),
    /// A piece of a [`crate::PacQuestion`].
    PacFragment {
        /// By which the answer refers to it; never used twice.
        id: u64,
        /// Bytes of the encoded question.
        bytes: Vec<u8>,
    },
    /// The last piece. The answer is [`ToEmbedder::Pac`].
    Pac {
        /// Of the question.
        id: u64,
        /// Bytes of the encoded question.
        bytes: Vec<u8>,
        /// A descriptor comes with it: a sealed memfd with the script, of at
        /// most [`crate::MAX_PAC_SCRIPT_BYTES`].
        with_script: bool,
    },
    /// Hold a script no longer. It is not answered.
    PacForget(crate::PacScriptId),
    /// How the resolver is to be; replaces what was said before, and its cache
    /// is emptied. One descriptor: a sealed memfd with a
    /// [`crate::ResolverSetup`] in postcard.
    Resolver,
    /// Resolve a name. The answer is [`ToEmbedder::Resolved`].
    Resolve {
        /// By which the answer refers to it; never reused.
        id: u64,
        /// What.
        query: NameQuery,
    },
    /// Nobody waits for this answer any more. It may still come.
    Unresolve {
        /// Of the query.
        id: u64,
    },
    /// The answer to [`ToEmbedder::Login`]: the leave of that user, who is nobody
    /// where there is none.
    Admitted {
        /// Of the question.
        id: u64,
        /// By which the user's targets are dialled.
        grant: Option<StandingGrant>,
    },
    /// Whether to ask which way a request of a listener's client goes out
    /// ([`ToEmbedder::Route`]); at first every one goes straight.
    Routed(bool),
    /// A piece of a [`crate::RouteAnswer`].
    RouteFragment {
        /// Of the question.
        id: u64,
        /// Bytes of the encoded answer.
        bytes: Vec<u8>,
    },
    /// The last piece.
    Route {
        /// Of the question.
        id: u64,
        /// Bytes of the encoded answer.
        bytes: Vec<u8>,
    },
    /// What is preferred of the guests, from each one's next message on. Before it
    /// the defaults hold; what is out of its bounds is moved to the nearest.
    Preferences(GuestPreferences),
    /// A datagram of a program that asks for names. The answer is
    /// [`ToEmbedder::Replied`].
    Question {
        /// By which the answer refers to it; never reused.
        id: u64,
        /// Of the listener that [serves names](crate::Serves::Names).
        listener: ListenerId,
        /// At most [`crate::MAX_QUESTION_BYTES`]; nobody has looked at them.
        bytes: Vec<u8>,
    },
    /// A piece of a [`crate::TokenAnswer`].
    TokenFragment {
        /// Of the question.
        id: u64,
        /// Bytes of the encoded answer.
        bytes: Vec<u8>,
    },
    /// The last piece.
    Token {
        /// Of the question.
        id: u64,
        /// Bytes of the encoded answer.
        bytes: Vec<u8>,
    },
    /// A listener has other users: who was admitted is asked about again at the next
    /// request.
    Users(ListenerId),
}

impl Message for ToEngine {
    fn fd_count(&self) -> usize {
        match self {
            ToEngine::Module(_)
            | ToEngine::Anchors
            | ToEngine::Broker
            | ToEngine::KeyLog
            | ToEngine::Resolver => 1,
            ToEngine::Exchange { with_source, .. } => 1 + usize::from(*with_source),
            ToEngine::Pac { with_script, .. } => usize::from(*with_script),
            ToEngine::Hello { .. }
            | ToEngine::Start
            | ToEngine::ExchangeFragment { .. }
            | ToEngine::Swap { .. }
            | ToEngine::Rollback { .. }
            | ToEngine::Withdraw { .. }
            | ToEngine::Inspect
            | ToEngine::Pressure { .. }
            | ToEngine::Cancel(_)
            | ToEngine::Revoke { .. }
            | ToEngine::CloseIdle
            | ToEngine::PolicyFragment { .. }
            | ToEngine::Policy { .. }
            | ToEngine::Listener(_)
            | ToEngine::DrainListener(_)
            | ToEngine::PacFragment { .. }
            | ToEngine::PacForget(_)
            | ToEngine::Resolve { .. }
            | ToEngine::Routed(_)
            | ToEngine::RouteFragment { .. }
            | ToEngine::Route { .. }
            | ToEngine::Unresolve { .. }
            | ToEngine::Admitted { .. }
            | ToEngine::Preferences(_)
            | ToEngine::Question { .. }
            | ToEngine::TokenFragment { .. }
            | ToEngine::Token { .. }
            | ToEngine::Users(_) => 0,
        }
    }
}

/// Engine to embedder. Never carries descriptors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToEmbedder {
    /// The sandbox holds and the guests are loaded.
    Ready {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
        /// What holds and what does not.
        layers: Vec<LayerReport>,
        /// Trust anchors held by `x509`.
        anchors: u32,
        /// The drivers among the modules that it was started with.
        drivers: Vec<DriverSchemes>,
    },
    /// The engine will not run. It exits after this.
    Refused {
        /// What holds and what does not.
        layers: Vec<LayerReport>,
        /// One sentence for people.
        why: String,
    },
    /// A module that came after `Start` is a candidate now.
    ModuleLoaded {
        /// Of the module.
        name: String,
        /// Of the version.
        digest: Digest,
        /// Time to load and link it, in microseconds.
        took_us: u64,
        /// A driver's schemes, at most [`crate::MAX_SCHEMES`].
        schemes: Vec<ServedScheme>,
    },
    /// A module was not loaded, or not made current.
    ModuleRefused {
        /// Of the module.
        name: String,
        /// Of the version; zeros where none was named.
        digest: Digest,
        /// One sentence that names what is wrong with it.
        why: String,
    },
    /// A version is forgotten, or will be when its connections have ended.
    ModuleWithdrawn {
        /// Of the module.
        name: String,
        /// Of the version.
        digest: Digest,
    },
    /// Another version is current.
    Swapped {
        /// Of the module.
        name: String,
        /// What was current.
        from: Digest,
        /// What is.
        to: Digest,
        /// Time of the swap itself, in microseconds.
        took_us: u64,
        /// Why.
        reason: SwapReason,
    },
    /// A piece of an inventory.
    InventoryFragment {
        /// Bytes of the encoded [`crate::Inventory`].
        bytes: Vec<u8>,
    },
    /// The last piece of an inventory.
    Inventory {
        /// Bytes of the encoded [`crate::Inventory`].
        bytes: Vec<u8>,
    },
    /// A piece of a report.
    ReportFragment {
        /// The report's number.
        number: u64,
        /// Bytes of the encoded [`crate::FaultReport`].
        bytes: Vec<u8>,
    },
    /// The last piece of a report on a guest's end.
    Report {
        /// The report's number.
        number: u64,
        /// Bytes of the encoded [`crate::FaultReport`].
        bytes: Vec<u8>,
    },
    /// A step of an exchange.
    Journey {
        /// Which.
        id: ExchangeId,
        /// What happened.
        event: JourneyEvent,
    },
    /// A piece of a head or of trailers.
    HeadFragment {
        /// Which.
        id: ExchangeId,
        /// Bytes of the encoded [`crate::ResponseHead`].
        bytes: Vec<u8>,
    },
    /// The last piece of an informational (1xx) head.
    Informational {
        /// Which.
        id: ExchangeId,
        /// Bytes of the encoded [`crate::ResponseHead`].
        bytes: Vec<u8>,
    },
    /// The last piece of the final head. Payload flows to the sink after it.
    Head {
        /// Which.
        id: ExchangeId,
        /// Bytes of the encoded [`crate::ResponseHead`].
        bytes: Vec<u8>,
    },
    /// The last piece of trailers: `Vec<Field>`.
    Trailers {
        /// Which.
        id: ExchangeId,
        /// Bytes of the encoded fields.
        bytes: Vec<u8>,
    },
    /// How far it is; at most ten a second an exchange.
    Progress {
        /// Which.
        id: ExchangeId,
        /// Response payload moved so far, in bytes.
        received: u64,
        /// Request payload moved so far, in bytes.
        sent: u64,
    },
    /// The exchange is over and its descriptors are closed. Only now is what
    /// the sink holds known to be whole.
    Finished {
        /// Which.
        id: ExchangeId,
        /// How.
        outcome: Result<Summary, Failure>,
    },
    /// Requests of listeners' clients that are over; at most
    /// [`crate::MAX_ACCESS_RECORDS`].
    Access(Vec<AccessRecord>),
    /// What the policy only reports was let through for a listener's client.
    Reported(Denial),
    /// No connection of the listener is left.
    Drained(ListenerId),
    /// A piece of a [`crate::PacAnswer`].
    PacFragment {
        /// Of the question.
        id: u64,
        /// Bytes of the encoded answer.
        bytes: Vec<u8>,
    },
    /// The last piece.
    Pac {
        /// Of the question.
        id: u64,
        /// Bytes of the encoded answer.
        bytes: Vec<u8>,
    },
    /// A piece of the answer to [`ToEngine::Resolve`].
    ResolvedFragment {
        /// Of the query.
        id: u64,
        /// Bytes of the encoded `Result<NameAnswer, Unresolved>`.
        bytes: Vec<u8>,
    },
    /// The last piece of that answer.
    Resolved {
        /// Of the query.
        id: u64,
        /// Bytes of the encoded `Result<NameAnswer, Unresolved>`.
        bytes: Vec<u8>,
    },
    /// A client of a listener says who it is. The answer is
    /// [`ToEngine::Admitted`]; at most [`crate::MAX_LOGINS`] wait for theirs.
    Login {
        /// By which the answer refers to it; never reused.
        id: u64,
        /// Which.
        listener: ListenerId,
        /// Who.
        login: Login,
    },
    /// How many requests of listeners' clients are over.
    ProxyTally(ProxyTally),
    /// A piece of a [`crate::RouteQuestion`].
    RouteFragment {
        /// By which the answer refers to it; never used twice.
        id: u64,
        /// Bytes of the encoded question.
        bytes: Vec<u8>,
    },
    /// The last piece. The answer is [`ToEngine::Route`].
    Route {
        /// Of the question.
        id: u64,
        /// Bytes of the encoded question.
        bytes: Vec<u8>,
    },
    /// How ways that were answered did, where there were several or one failed.
    RouteTried(crate::RouteTried),
    /// What is to be sent to whom [`ToEngine::Question`] came from.
    Replied {
        /// Of the question.
        id: u64,
        /// At most [`crate::MAX_REPLY_DATAGRAM_BYTES`]; none where nothing is sent.
        bytes: Vec<u8>,
    },
    /// A piece of a [`crate::TokenQuestion`].
    TokenFragment {
        /// By which the answer refers to it; never used twice.
        id: u64,
        /// Bytes of the encoded question.
        bytes: Vec<u8>,
    },
    /// The last piece. The answer is [`ToEngine::Token`].
    Token {
        /// Of the question.
        id: u64,
        /// Bytes of the encoded question.
        bytes: Vec<u8>,
    },
    /// Nobody goes on with this conversation. It is not answered.
    TokenOver {
        /// Its number.
        conversation: u64,
    },
}

impl Message for ToEmbedder {
    fn fd_count(&self) -> usize {
        0
    }
}
