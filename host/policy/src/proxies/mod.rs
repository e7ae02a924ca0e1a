//! Which way a request takes: straight, or through which proxies in which order.
//!
//! ```text
//! route         one way: straight, or a proxy
//! settings      what is configured: nothing, proxies, a script, the system's
//! source        where a script comes from
//! bypass        which targets need no proxy, as Chromium's lists say it
//! environment   http_proxy, all_proxy, no_proxy and their kin
//! retry         what failed lately
//! refetch       when a script is fetched again
//! ```
//!
//! Pure: time and the environment come with the calls.

mod bypass;
mod environment;
mod refetch;
mod retry;
mod route;
mod settings;
mod source;

pub use bypass::{Bypass, BypassError, MAX_BYPASS_ENTRIES};
pub use environment::{EnvironmentError, from_environment};
pub use refetch::{AFTER_FAILURES, AFTER_SUCCESS, Refetch};
pub use retry::{FIRST_RETRY, LONGEST_RETRY, MAX_REMEMBERED, RetryMemory};
pub use route::Route;
pub use settings::{FixedProxies, ProxySettings};
pub use source::{MAX_DATA_BYTES, PacSource, SourceError};
