//! The `dns` guest as a resolver, in a network that does what its caller says.
//!
//! ```text
//! network   all ways out, by number; what happens to them, and what the guest did
//!   state     what its store holds: the inbox, clocks, chance, arithmetic
//!   sockets   `wasi:sockets` and `fumehood:dns/secure`, as far as the guest uses them
//!   streams   what it waits for, reads and writes
//! ```
//!
//! The guest runs as in the engine, by the same `wasi:io` and on a stack of its own.
//! Nobody wakes it: where it waits it is left, until its caller has had something
//! happen and has it go on. So there is no time in it but the caller's.

mod network;
mod sockets;
mod state;
mod streams;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use super::{Ended, Said};
use crate::dns::MAX_RESOURCES;
use crate::dns::bindings::{DnsResolver, DnsResolverPre};
use crate::driver::Budget;
use crate::instance::{Fault, GuestState, arm, new_store};
use crate::registry::About;
use network::Shared;
use state::State;

pub use crate::dns::bindings::fumehood::dns::inbox::Task;
pub use crate::dns::bindings::fumehood::dns::secure::Error;
pub use crate::dns::bindings::fumehood::dns::types;
pub use crate::driver::bindings::wasi::sockets::network::ErrorCode;
pub use network::{Deed, End, Happening, Point, ROOM, Step};

/// The n-th random number, from 1 on.
pub type Random = fn(u64) -> u64;

/// A loaded `dns` module, where it resolves.
pub struct ResolverGuest {
    about: Arc<About>,
    engine: Engine,
    pre: DnsResolverPre<State>,
}

impl ResolverGuest {
    pub(super) fn new(
        engine: &Engine,
        about: Arc<About>,
        component: &Component,
    ) -> wasmtime::Result<ResolverGuest> {
        // The guest is shown errors as they print, which are to be the same wherever
        // they are made.
        wasmtime::error::disable_backtrace();
        let mut linker = Linker::new(engine);
        state::link(&mut linker)?;
        sockets::link(&mut linker)?;
        Ok(ResolverGuest {
            about,
            engine: engine.clone(),
            pre: DnsResolverPre::new(linker.instantiate_pre(component)?)?,
        })
    }

    /// A fresh instance, which nothing has happened to. It is `today`, in seconds since
    /// the Unix epoch, and stays so.
    #[must_use]
    pub fn instance(&self, random: Random, today: u64) -> ResolverInstance {
        let network = Shared::default();
        let guest = GuestState::new(&self.about);
        let state = State::new(guest, network.clone(), random, today);
        let mut store = new_store(&self.engine, state, |state| &mut state.guest);
        store.set_max_component_handles(MAX_RESOURCES);
        let pre = self.pre.clone();
        let running = async move {
            let ended = enter(&pre, &mut store).await;
            let guest = &store.data().guest;
            Ended::from(match ended {
                Ok(()) => Fault::of_words(guest, "nonsense", "the guest went home".to_owned()),
                Err(error) => Fault::of_call(guest, &error),
            })
        };
        ResolverInstance {
            network,
            running: Box::pin(running),
            woken: Arc::default(),
        }
    }
}

/// Runs it, with the engine's bound on how long it may compute without waiting.
async fn enter(pre: &DnsResolverPre<State>, store: &mut Store<State>) -> wasmtime::Result<()> {
    let budget = Budget::default();
    let ticks = budget.clone();
    store.epoch_deadline_callback(move |_| ticks.tick());
    arm(store);
    store.set_epoch_deadline(1);
    let made = pre.instantiate_async(&mut *store);
    let resolver: DnsResolver = budget.run(made).await?;
    store.data_mut().guest.entered = true;
    let running = resolver.fumehood_dns_resolver().call_run(store);
    budget.run(running).await
}

/// An instance, which waits for something to happen.
pub struct ResolverInstance {
    network: Shared,
    running: Pin<Box<dyn Future<Output = Ended>>>,
    woken: Arc<Woken>,
}

impl ResolverInstance {
    /// That happens, and the guest does not know yet. What happens to a way out that is
    /// not open is not heard.
    pub fn happen(&mut self, happening: &Happening) {
        self.network.lock().happen(happening);
    }

    /// Has it go on until it waits. The text is that of a [`Step`].
    ///
    /// # Errors
    /// When the guest ended; it is not to be asked again.
    pub fn go_on(&mut self) -> Said {
        let waker = Waker::from(Arc::clone(&self.woken));
        loop {
            let polled = self.running.as_mut().poll(&mut Context::from_waker(&waker));
            match polled {
                Poll::Ready(ended) => return Err(ended),
                // It has computed for long, and gave way as in the engine.
                Poll::Pending if self.woken.0.swap(false, Ordering::Relaxed) => {}
                Poll::Pending => return Ok(format!("{:?}", self.network.lock().step())),
            }
        }
    }
}

/// Whether it wants to go on by itself.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
