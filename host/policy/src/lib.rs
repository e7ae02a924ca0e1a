//! Names, URLs, addresses and decisions. Pure: no I/O, no clock.
//!
//! A URL is parsed here, once, into a [`RequestUrl`] and its [`Target`]; from
//! then on nobody handles the string again. The broker asks a [`Policy`] about
//! the target and about every address it resolves to, and dials exactly the
//! address that passed.

mod address;
mod authority;
mod decision;
mod host;
mod index;
mod judge;
mod lookup;
mod net;
mod pattern;
mod ports;
mod proxies;
pub mod resolver;
mod rules;
mod served;
mod target;
mod terms;
mod upstream;
mod url;

pub use address::{AddressSpace, Standing, space_of, standing_of};
pub use decision::{Decision, Denial, Grounds, Lapse, Question, Reason, RuleRef};
pub use host::{DnsName, Host, HostError, MAX_HOST_TEXT_BYTES, MAX_LABEL_BYTES, MAX_NAME_BYTES};
pub use net::{IpNet, NetError};
pub use pattern::{HostPattern, PatternError, PrivateHost};
pub use ports::{BLOCKED_PORTS, is_blocked};
pub use proxies::{
    AFTER_FAILURES, AFTER_SUCCESS, Bypass, BypassError, EnvironmentError, FIRST_RETRY,
    FixedProxies, LONGEST_RETRY, MAX_BYPASS_ENTRIES, MAX_DATA_BYTES, MAX_REMEMBERED, PacSource,
    ProxySettings, Refetch, RetryMemory, Route, SourceError, from_environment,
};
pub use rules::{ANY_PORT, Effect, MAX_PRIVATE_HOSTS, MAX_RULES, Mode, Policy, Rule, TooManyRules};
pub use served::{MAX_SCHEME_BYTES, SchemeError, SchemeName, ServedScheme, Transport};
pub use target::{Scheme, Target};
pub use terms::{
    ClientName, MAX_CLIENT_BYTES, MAX_METHOD_BYTES, Method, Spaces, Terms, TermsError,
};
pub use upstream::{MAX_PROXY_BYTES, Naming, ProxyError, ProxyScheme, ProxyServer};
pub use url::{MAX_URL_BYTES, RequestUrl, UrlError, UserInfo};
