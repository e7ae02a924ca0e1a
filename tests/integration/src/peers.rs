//! Servers to talk to: real ones, started on free loopback ports and stopped
//! when dropped.

mod bind;
mod front;
mod nginx;
mod nsd;
mod proxies;
mod server;
mod site;
mod unbound;

pub use bind::Bind;
pub use front::TlsFront;
pub use nginx::{LoggedRequest, Nginx, Service};
pub use nsd::Nsd;
pub use proxies::{Kind, RealProxy};
pub use site::Site;
pub use unbound::Unbound;
