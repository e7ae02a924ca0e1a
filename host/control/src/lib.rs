//! Messages between Fumehood's processes: types, codec and bounds. No I/O.
//!
//! Every message is one packet on a `SOCK_SEQPACKET` socket, so the kernel
//! frames and the decoder never waits for more. A packet has at most
//! [`MAX_PACKET_BYTES`]; what may be longer (heads) travels as fragments that
//! [`Assembly`] puts together under a bound of its own.
//!
//! ```text
//! embedder ── ToEngine ──►  engine   ── ToEmbedder ──► embedder
//! embedder ── ToBroker ──►  broker   ── FromBroker ──► embedder
//! engine   ── DialRequest ► broker   ── DialReply ───► engine
//! embedder ── ToCompiler ─► compiler ── FromCompiler ► embedder
//! embedder ── ToReplay ───► replayer ── FromReplay ──► embedder
//! embedder ── ToLauncher ─► launcher ── FromLauncher ► embedder
//! ```
//!
//! How many file descriptors go with a message is fixed by its type
//! ([`Message::fd_count`]); a packet with another number is refused.

mod activity;
mod codec;
mod compiler;
mod dial;
mod engine;
mod exchange;
mod failure;
mod fragment;
mod journey;
mod launcher;
mod layers;
mod module;
mod pac;
mod preferences;
mod proxy;
mod proxy_status;
mod replay;
mod resolve;
mod route;
mod socket;
mod token;
mod upstream;

pub use activity::{Activity, Inventory, NameActivity, PoolActivity, ScriptActivity};
pub use codec::{CodecError, MAX_PACKET_BYTES, Message, decode, encode};
pub use compiler::{FromCompiler, MAX_INTERFACE_BYTES, MAX_INTERFACES, ToCompiler};
pub use dial::{
    Attempt, DialFailure, DialReply, DialRequest, FromBroker, Grant, GrantId, MAX_CANDIDATES,
    Outside, ToBroker,
};
pub use engine::{EngineSetup, ModuleHeader, ToEmbedder, ToEngine};
pub use exchange::{
    Deadlines, Exchange, ExchangeId, Field, Leave, PayloadLength, ResponseHead, SourceEnd,
    TlsOptions, TlsVersion, Verification,
};
pub use failure::{Blame, Cause, Failure, RetrySafety, Summary, Timings};
pub use fragment::{
    Assembly, AssemblyError, FRAGMENT_BYTES, MAX_BLOB_BYTES, MAX_POLICY_BYTES, fragments,
    policy_fragments,
};
pub use journey::{Instance, JourneyEvent, TlsSummary};
pub use launcher::{FromLauncher, NAMES_INSIDE, PROXY_INSIDE, ToLauncher};
pub use layers::{Layer, LayerReport, LayerState};
pub use module::{
    Aftermath, Digest, DriverSchemes, FaultReport, Frame, MAX_DRIVERS, MAX_REPORT_STEPS,
    MAX_SCHEMES, MAX_VERSIONS, ModuleState, ModuleStatus, RecordedCall, SwapReason, TrailStep,
};
pub use pac::{
    MAX_PAC_NAMES, MAX_PAC_SCRIPT_BYTES, MAX_PAC_SCRIPTS, PacAnswer, PacFailure, PacFinding,
    PacFound, PacMoment, PacName, PacNames, PacQuestion, PacRemark, PacScriptId, PacSeverity,
    PacStep, PacSurroundings, PacTarget, PacThrown,
};
pub use preferences::{
    DnsPreferences, GuestPreferences, Http1Preferences, MAX_DNS_CACHE_ENTRIES, MAX_DNS_TTL_S,
    MAX_FIELDS, MAX_HEAD_BYTES, MIN_FIELDS, MIN_HEAD_BYTES,
};
pub use proxy::{
    AccessOutcome, AccessRecord, Admission, ClientProtocol, DatagramTally, ListenerBounds,
    ListenerId, ListenerSetup, Login, MAX_ACCESS_METHOD_BYTES, MAX_ACCESS_RECORDS,
    MAX_ACCESS_TARGET_BYTES, MAX_LISTENERS, MAX_LOGIN_BYTES, MAX_LOGINS, MAX_QUESTION_BYTES,
    MAX_REPLY_DATAGRAM_BYTES, MAX_STANDING_GRANTS, MAX_TALLIED_DENIALS, MAX_USERS, ProxyTally,
    Serves, StandingGrant,
};
pub use proxy_status::ProxyStatus;
pub use replay::{FromReplay, ToReplay};
pub use resolve::{
    AnswerSource, HostLine, MAX_RESOLVER_PLACES, MAX_RESOLVER_SETUP_BYTES, Mismatch, NameAnswer,
    NameCause, NameEvent, NameFailure, NameQuery, NameServer, NameStep, NameTransport, RecordData,
    RecordType, ResolverGrant, ResolverSetup, Security, ServerProtocol, ServiceBinding,
    ServiceParameter, TrustAnchor, Unresolved, Wanted,
};
pub use route::{
    Challenged, ClientWay, MAX_CHALLENGE_ROUNDS, MAX_NAMED_PROXIES, MAX_NO_WAY_BYTES, MAX_WAYS,
    ProxyLeave, RouteAnswer, RouteQuestion, RouteTried, WayFailure,
};
pub use socket::{MAX_PLACES, Place, SocketGrant};
pub use token::{
    MAX_TOKEN_BYTES, MAX_TOKEN_LEGS, MAX_TOKEN_REFUSAL_BYTES, TokenAnswer, TokenFault,
    TokenQuestion, TokenScheme, TokenStep,
};
pub use upstream::{
    Challenge, FirstHop, Hop, HopAsk, MAX_CHALLENGE_BYTES, MAX_CHALLENGE_PARAMETERS,
    MAX_CHALLENGES, MAX_HOPS, MAX_PROXY_STATUS_BYTES, ProxyFault, SocksLogin,
};

/// Version of this protocol. The first message in either direction carries it;
/// processes of different versions refuse each other.
pub const PROTOCOL_VERSION: u16 = 1;
