//! The resolver without the process around it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use fumehood_control::{DialReply, DialRequest, NameAnswer, NameQuery, ResolverSetup, Unresolved};
use fumehood_sandbox::Channel;

use super::Code;
use crate::dialer::Dialer;
use crate::dns::Names;
use crate::instance::Ticker;
use crate::registry::{Limits, Registry};
use crate::tls::Anchors;

/// The `dns` guest at work.
#[derive(Debug)]
pub struct Resolver {
    names: Arc<Names>,
}

impl Resolver {
    /// Loads the guest and sets it up. Its sockets are asked for on this
    /// channel. To be called on a runtime, which serves it until it ends.
    ///
    /// # Errors
    /// One sentence on what is wrong.
    pub fn start(code: &Code, setup: ResolverSetup, broker: OwnedFd) -> Result<Resolver, String> {
        let registry = Registry::new(Limits::for_one(), Anchors::default());
        let registry = Arc::new(registry.map_err(|e| e.to_string())?);
        let sealed = fumehood_sandbox::sealed(&code.header.name, &[&code.native]);
        registry.load(&code.header, sealed.map_err(|e| e.to_string())?)?;
        registry.swap(&code.header.name, code.header.digest)?;
        let ticker = Ticker::start(registry.engine().clone()).map_err(|e| e.to_string())?;
        let channel = Channel::<DialRequest, DialReply>::from_fd(broker);
        let channel = channel.and_then(Channel::into_async);
        let dialer = Dialer::new(channel.map_err(|e| e.to_string())?);
        let routing = Arc::clone(&dialer);
        tokio::spawn(async move { routing.route_replies(|_, _| {}).await });
        let names = Names::new();
        names.set_up(setup);
        let serving = Arc::clone(&names);
        tokio::spawn(async move { serving.serve(&registry, &dialer, &ticker).await });
        Ok(Resolver { names })
    }

    /// Resolves a name.
    ///
    /// # Errors
    /// As the engine would tell the embedder.
    pub async fn ask(&self, query: NameQuery) -> Result<NameAnswer, Unresolved> {
        self.names.ask(query).await
    }
}
