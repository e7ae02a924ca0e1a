//! The modules of a running engine: versions, and which of them is current.
//!
//! ```text
//! world        what a module may import and must export
//! shelf        the versions of one module; the swap
//! standing     where a version stands, as a machine
//! about        what a version's instances share: tally, faults
//! supervisor   what all guests share: memory, reports
//! drivers      modules of schemes of their own, any number
//! ```
//!
//! A connection takes the version that is current when it is made. After a swap
//! it goes on with what it has until its next message boundary.

mod about;
mod drivers;
#[cfg(test)]
pub(crate) mod fixtures;
mod shelf;
mod standing;
mod supervisor;
mod world;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use fumehood_control::{Digest, ModuleHeader, ModuleStatus, ToEmbedder};
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Component;

pub(crate) use about::{About, Alive};
pub(crate) use drivers::Drivers;
pub(crate) use shelf::{Shelf, Version};
pub(crate) use supervisor::{Limits, Supervisor};
use world::{Face, World};

use crate::code::CodeLoader;
use crate::dns::DnsModule;
use crate::driver::DriverModule;
use crate::instance::socks::SocksModule;
use crate::instance::{CodecModule, Fault};
use crate::pac::{Evaluators, PacModule};
use crate::tls::{Anchors, TlsModule, Verifier};

/// All modules.
pub(crate) struct Registry {
    pub http1: Shelf<CodecModule>,
    pub tls: Shelf<TlsModule>,
    pub x509: Shelf<Verifier>,
    pub dns: Shelf<DnsModule>,
    pub socks: Shelf<SocksModule>,
    pub drivers: Drivers,
    /// Without it there is no auto-configuration, and everything else works.
    pub pac: Shelf<PacModule>,
    evaluators: Evaluators,
    pub supervisor: Arc<Supervisor>,
    loader: CodeLoader,
    /// The resolver waits on a stack of its own, always the same.
    resolver_stack: Arc<Semaphore>,
    anchors: Arc<Anchors>,
}

impl Registry {
    /// An empty one.
    ///
    /// # Errors
    /// When the instance pool cannot be made.
    pub(crate) fn new(limits: Limits, anchors: Anchors) -> wasmtime::Result<Registry> {
        let supervisor = Supervisor::new(limits);
        Ok(Registry {
            http1: Shelf::new(world::HTTP1.name, &supervisor),
            tls: Shelf::new(world::TLS.name, &supervisor),
            x509: Shelf::new(world::X509.name, &supervisor),
            dns: Shelf::new(world::DNS.name, &supervisor),
            socks: Shelf::new(world::SOCKS.name, &supervisor),
            drivers: Drivers::new(&supervisor),
            pac: Shelf::new(world::PAC.name, &supervisor),
            evaluators: Evaluators::new()?,
            supervisor,
            loader: CodeLoader::new(fumehood_wasm::engine_config(limits.instances))?,
            resolver_stack: Arc::new(Semaphore::new(fumehood_wasm::RESOLVER_STACKS as usize)),
            anchors: Arc::new(anchors),
        })
    }

    /// The engine that guests run in.
    pub(crate) fn engine(&self) -> &Engine {
        self.loader.engine()
    }

    /// Loads, checks, links and tries a module. It becomes a candidate; one that is
    /// there already stays what it is.
    ///
    /// # Errors
    /// One sentence that names what is wrong with it.
    pub(crate) fn load(&self, header: &ModuleHeader, code: OwnedFd) -> Result<(), String> {
        match header.name.as_str() {
            "http1" => self.admit(
                &self.http1,
                &world::HTTP1,
                header,
                code,
                |about, component| {
                    let module = CodecModule::new(self.engine(), about, component)?;
                    Ok((module.try_out(), module))
                },
            ),
            "tls" => self.admit(&self.tls, &world::TLS, header, code, |about, component| {
                Ok((Ok(()), TlsModule::new(self.engine(), about, component)?))
            }),
            "x509" => self.admit(
                &self.x509,
                &world::X509,
                header,
                code,
                |about, component| {
                    let anchors = Arc::clone(&self.anchors);
                    let module = Verifier::new(self.engine(), about, component, anchors)?;
                    Ok((Ok(()), module))
                },
            ),
            "dns" => self.admit(&self.dns, &world::DNS, header, code, |about, component| {
                let stacks = &self.resolver_stack;
                let module = DnsModule::new(self.engine(), about, component, stacks)?;
                Ok((Ok(()), module))
            }),
            "pac" => self.admit_to(
                &self.evaluators.loader,
                &self.pac,
                &world::PAC,
                (header, code),
                |about, component| {
                    let module = PacModule::new(&self.evaluators, about, component)?;
                    Ok((module.try_out()?, module))
                },
            ),
            "socks" => self.admit(
                &self.socks,
                &world::SOCKS,
                header,
                code,
                |about, component| {
                    let module = SocksModule::new(self.engine(), about, component)?;
                    Ok((module.instantiate().map(drop), module))
                },
            ),
            driver => {
                let (shelf, stacks) = (self.drivers.shelf(driver)?, &self.drivers.stacks);
                self.admit(&shelf, &world::DRIVER, header, code, |about, component| {
                    let module = DriverModule::new(self.engine(), about, component, stacks)?;
                    Ok((Ok(()), module))
                })
            }
        }
    }

    fn admit<M>(
        &self,
        shelf: &Shelf<M>,
        world: &World,
        header: &ModuleHeader,
        code: OwnedFd,
        link: impl FnOnce(Arc<About>, &Component) -> wasmtime::Result<(Result<(), Fault>, M)>,
    ) -> Result<(), String> {
        self.admit_to(&self.loader, shelf, world, (header, code), link)
    }

    /// The same, into the engine of this loader.
    fn admit_to<M>(
        &self,
        loader: &CodeLoader,
        shelf: &Shelf<M>,
        world: &World,
        (header, code): (&ModuleHeader, OwnedFd),
        link: impl FnOnce(Arc<About>, &Component) -> wasmtime::Result<(Result<(), Fault>, M)>,
    ) -> Result<(), String> {
        if shelf.take_back(header.digest) {
            return Ok(());
        }
        let (component, native_bytes) = loader.load(code).map_err(|e| e.to_string())?;
        let face = Face::of(loader.engine(), &component);
        world.check(&face)?;
        let about = About::new(header.clone(), &self.supervisor);
        let (tried, module) = link(Arc::clone(&about), &component)
            .map_err(|error| format!("it cannot be linked: {error:#}"))?;
        tried.map_err(|fault| format!("its first instance failed: {fault}"))?;
        shelf.add(Version {
            about,
            module,
            face,
            native_bytes,
        })
    }

    /// Makes a version current.
    ///
    /// # Errors
    /// One sentence on why not.
    pub(crate) fn swap(&self, name: &str, digest: Digest) -> Result<ToEmbedder, String> {
        match name {
            "http1" => self.http1.swap(digest),
            "tls" => self.tls.swap(digest),
            "x509" => self.x509.swap(digest),
            "dns" => self.dns.swap(digest),
            "pac" => self.pac.swap(digest),
            "socks" => self.socks.swap(digest),
            other => match self.drivers.get(other) {
                Some(shelf) => shelf.swap(digest),
                None => Err(format!("there is no module called {other}")),
            },
        }
    }

    /// Goes back to the version before.
    ///
    /// # Errors
    /// One sentence on why not.
    pub(crate) fn rollback(&self, name: &str) -> Result<ToEmbedder, String> {
        match name {
            "http1" => self.http1.rollback(),
            "tls" => self.tls.rollback(),
            "x509" => self.x509.rollback(),
            "dns" => self.dns.rollback(),
            "pac" => self.pac.rollback(),
            "socks" => self.socks.rollback(),
            other => match self.drivers.get(other) {
                Some(shelf) => shelf.rollback(),
                None => Err(format!("there is no module called {other}")),
            },
        }
    }

    /// Forgets a version that is not current; of a driver also one that is.
    ///
    /// # Errors
    /// One sentence on why not.
    pub(crate) fn withdraw(&self, name: &str, digest: Digest) -> Result<(), String> {
        match name {
            "http1" => self.http1.withdraw(digest),
            "tls" => self.tls.withdraw(digest),
            "x509" => self.x509.withdraw(digest),
            "dns" => self.dns.withdraw(digest),
            "pac" => self.pac.withdraw(digest),
            "socks" => self.socks.withdraw(digest),
            driver => match self.drivers.get(driver) {
                Some(shelf) => shelf.retire(digest),
                // Of a driver that is not there nothing is left to forget.
                None => Ok(()),
            },
        }
    }

    /// How all versions of all modules are.
    pub(crate) fn inventory(&self) -> Vec<ModuleStatus> {
        let mut all = self.http1.statuses();
        all.extend(self.tls.statuses());
        all.extend(self.x509.statuses());
        all.extend(self.dns.statuses());
        all.extend(self.socks.statuses());
        all.extend(self.drivers.statuses());
        all.extend(self.pac.statuses());
        all
    }

    /// The first kind of module of which no version is current.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        let none = |missing: bool, name| missing.then_some(name);
        none(self.http1.current().is_err(), world::HTTP1.name)
            .or_else(|| none(self.tls.current().is_err(), world::TLS.name))
            .or_else(|| none(self.x509.current().is_err(), world::X509.name))
    }

    /// Ends the shared instances of versions that are not current.
    pub(crate) fn rest(&self) {
        self.x509.for_others(Verifier::rest);
    }

    /// Quarantines what trapped too often, and tells the embedder.
    pub(crate) fn enforce(&self) {
        self.http1.enforce();
        self.tls.enforce();
        self.x509.enforce();
        self.dns.enforce();
        self.socks.enforce();
        self.drivers.all().iter().for_each(|shelf| shelf.enforce());
    }
}

/// Answers a message about modules that came after `Start`. To be called where it does
/// not matter that it blocks ([`CodeLoader::load`]).
pub(crate) fn answer_load(registry: &Registry, header: ModuleHeader, code: OwnedFd) -> ToEmbedder {
    let began = Instant::now();
    let ModuleHeader { name, digest, .. } = header.clone();
    match registry.load(&header, code) {
        Ok(()) => {
            let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            ToEmbedder::ModuleLoaded {
                name,
                digest,
                took_us,
                schemes: Vec::new(),
            }
        }
        Err(why) => ToEmbedder::ModuleRefused { name, digest, why },
    }
}

/// Completes the answer: a driver has yet to say what it serves.
pub(crate) async fn introduced(registry: &Registry, answer: ToEmbedder) -> ToEmbedder {
    let ToEmbedder::ModuleLoaded {
        name,
        digest,
        took_us,
        ..
    } = answer
    else {
        return answer;
    };
    match registry.drivers.introduce(&name, digest).await {
        Ok(schemes) => ToEmbedder::ModuleLoaded {
            name,
            digest,
            took_us,
            schemes,
        },
        Err(why) => ToEmbedder::ModuleRefused { name, digest, why },
    }
}
