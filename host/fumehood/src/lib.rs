//! A network process for applications: the library and the command.
//!
//! Whatever comes off the wire is parsed by WebAssembly guests that can reach
//! nothing, inside a process that can reach nothing. A program asks for a
//! request's response and gets its head as a type and its content as a stream;
//! it opens no socket and parses no byte of the network itself.
//!
//! ```no_run
//! use http_body_util::{BodyExt, Empty};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // First thing: our processes are this program, executed again.
//!     fumehood::init();
//!     tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//!         let engine = fumehood::Engine::builder().launch().await?;
//!         let request = http::Request::get("https://example.com/")
//!             .body(Empty::<bytes::Bytes>::new())?;
//!         let response = engine.client().send(request).await?;
//!         println!("{}", response.status());
//!         let content = response.into_body().collect().await?.to_bytes();
//!         println!("{} bytes", content.len());
//!         Ok(())
//!     })
//! }
//! ```
//!
//! - [`init`] gives the program its roles;
//! - [`Engine::builder`] says how the engine is to be, and launches it;
//! - [`Engine::client`] is a [`tower_service::Service`] over `http` types;
//! - [`Engine::modules`] lists, loads and swaps the guests of a running engine;
//! - [`Engine::resolve`] asks the engine's own resolver for names;
//! - [`Engine::pac`] runs a proxy auto-configuration script;
//! - [`Engine::proxy`] serves others ([`ProxyOptions`]), [`Proxies`] are gone through,
//!   and [`ProxyChooser`] says by which;
//! - [`Engine::exchange`] is the level below: descriptors in, events out;
//! - [`Error`] is split by who has to change something.

pub mod admin;
mod admitted;
mod anchors;
mod asking;
mod body;
mod client;
mod clock;
mod config;
mod confined;
pub mod crashes;
mod describe;
mod desk;
mod engine;
mod error;
mod exchange;
mod explain;
mod folder;
mod grant;
mod hex;
mod launch;
mod live;
mod log;
mod logins;
mod memory;
mod metrics;
mod modules;
mod names;
mod network;
pub mod pac;
mod places;
mod pressure;
pub mod probe;
mod process;
mod proxies;
mod proxy;
mod proxy_status;
mod questions;
mod relaunch;
pub mod replay;
mod request;
mod retry;
mod roles;
mod routes;
mod settings;
mod shared;
mod status;
mod store;
mod traffic;
mod unix_socket;
mod upload;
mod upstream;
mod users;
mod watched;

pub use admitted::UsersStatus;
pub use anchors::Anchors;
pub use asking::{Answer, Asked};
pub use body::Body;
pub use client::{Client, Journey};
pub use config::{EngineBuilder, Limits, default_deadlines, default_tls};
pub use confined::{Confined, ConfinedError, Entered, NAMES_INSIDE, PROXY_INSIDE};
pub use crashes::CrashReports;
pub use engine::{Engine, LaunchReport};
pub use error::{BoxError, CallerError, ChannelError, EngineError, Error, LaunchError, Problem};
pub use exchange::{InFlight, Options, Sink, Source};
pub use explain::{Explained, Explainer, Resolution, Verdict};
pub use grant::{Grant, GrantStatus, GrantTerms, MAX_HELD_GRANTS, TooManyGrants};
pub use launch::Readiness;
pub use log::{LOG_VARIABLE, LogError, log_to_stderr};
pub use modules::{
    CompileLimit, Listing, Loaded, Module, ModuleError, ModuleId, ModuleInfo, ModuleKey, ModulePin,
    ModuleTrust, ModuleUse, Modules, NotAKey, NotAPin, OnChange, Refusal, SignatureState, Swapped,
    module_directory, signed_statement, verify_module,
};
pub use names::{
    Dns, DnsAnchor, DnsAnchorError, DnsMode, DnsServer, DnsServerError, NameOptions, Question,
    ResolveError, Resolved,
};
pub use proxies::{ChooseError, ProxyChooser, ProxyFallback, SystemProxyError, system_proxies};
pub use proxy::{Proxy, ProxyAddress, ProxyError, ProxyOptions};
pub use proxy_status::ProxyStatus;
pub use relaunch::Rest;
pub use retry::Retry;
pub use roles::{Role, init};
pub use routes::{Event, Progress};
pub use settings::{
    MAX_SETTINGS_BYTES, ModuleSettings, Origin, Revision, Settings, SettingsError, SettingsSource,
    Value,
};
pub use status::{PolicyStatus, ProcessStatus, Status};
pub use traffic::{
    DURATION_BOUNDS_US, DatagramTraffic, DenialGround, DropGround, Durations, MAX_DENIAL_GROUNDS,
    Outcome, ProxyTraffic, Traffic,
};
pub use upstream::{
    Exempt, ExemptError, Proxies, ProxiesError, ProxyAuth, TokenConversation, TokenError,
    TokenFuture, TokenSource, UpstreamProxy,
};
pub use users::{Users, UsersError};

/// The messages' types that appear in this interface.
pub use fumehood_control as control;
/// Names, URLs, addresses and decisions.
pub use fumehood_policy as policy;
