//! The world `fumehood:dns/dns-resolver`: loaded, linked, run.

use std::sync::Arc;
use std::task::Context;

use tokio::sync::Semaphore;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use super::bindings::{DnsResolver, DnsResolverPre};
use super::inbox::Inbox;
use super::questions::Questions;
use super::secure::Ways;
use super::state::{DnsState, link};
use crate::driver::Access;
use crate::instance::{Fault, GuestState, Ticker, Trace, arm};
use crate::registry::About;

/// A loaded resolver, ready to make its instance.
pub(crate) struct DnsModule {
    about: Arc<About>,
    engine: Engine,
    pre: DnsResolverPre<DnsState>,
    questions: Questions,
    /// The one stack that the pool has for it.
    stacks: Arc<Semaphore>,
}

impl DnsModule {
    /// Links the module to what its world has. Nothing of it runs yet.
    ///
    /// # Errors
    /// When it imports anything else, or does not export the interfaces.
    pub(crate) fn new(
        engine: &Engine,
        about: Arc<About>,
        component: &Component,
        stacks: &Arc<Semaphore>,
    ) -> wasmtime::Result<DnsModule> {
        let mut linker = Linker::new(engine);
        link(&mut linker)?;
        Ok(DnsModule {
            questions: Questions::new(engine, &about, component)?,
            about,
            engine: engine.clone(),
            pre: DnsResolverPre::new(linker.instantiate_pre(component)?)?,
            stacks: Arc::clone(stacks),
        })
    }

    /// What reads questions of confined programs; the instance that runs has no part
    /// in it.
    pub(crate) fn questions(&self) -> &Questions {
        &self.questions
    }

    /// Runs an instance until it ends. An honest one does not by itself: dropping
    /// this ends it, and closes its sockets.
    pub(super) async fn run(
        &self,
        access: Access,
        inbox: &Arc<Inbox>,
        ways: Ways,
        ticker: &Ticker,
    ) -> Fault {
        // It is never closed; were it, the pool would refuse.
        let _stack = Arc::clone(&self.stacks).acquire_owned().await.ok();
        let guest = GuestState::new(&self.about);
        let mut store = DnsState::store(&self.engine, guest, access, inbox, ways);
        let running = self.enter(&mut store);
        let ended = ticking(ticker, running).await;
        let guest = &store.data().guest;
        match ended {
            Ok(()) => Fault::of_words(guest, "nonsense", "the guest went home unasked".to_owned()),
            Err(error) => Fault::of_call(guest, &error),
        }
    }

    async fn enter(&self, store: &mut Store<DnsState>) -> wasmtime::Result<()> {
        arm(store);
        store.set_epoch_deadline(1);
        let budget = store.data().budget.clone();
        let made = self.pre.instantiate_async(&mut *store);
        let resolver: DnsResolver = budget.run(made).await?;
        let state = store.data_mut();
        state.guest.entered = true;
        state.guest.calls += 1;
        state.guest.trail.note(Trace::Call("run"));
        let running = resolver.fumehood_dns_resolver().call_run(store);
        budget.run(running).await
    }
}

/// Has the epoch advance while the guest computes, and not while it waits:
/// that may be for days.
async fn ticking<T>(ticker: &Ticker, running: impl Future<Output = T>) -> T {
    let mut running = std::pin::pin!(running);
    std::future::poll_fn(|cx: &mut Context<'_>| {
        let _active = ticker.activate();
        running.as_mut().poll(cx)
    })
    .await
}
