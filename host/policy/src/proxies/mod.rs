//! Which way a request takes: straight, or through which proxies in which order.
//!
//! ```text
//! route         one way: straight, or a proxy
//! settings      what is configured: nothing, proxies, a script, the system's
//! bypass        which targets need no proxy, as Chromium's lists say it
//! environment   http_proxy, all_proxy, no_proxy and their kin
//! retry         what failed lately
//! refetch       when a script is fetched again
//! ```
//!
//! Pure: time and the environment come with the calls.

mod retry;
mod route;

pub use retry::{FIRST_RETRY, LONGEST_RETRY, MAX_REMEMBERED, RetryMemory};
pub use route::Route;
