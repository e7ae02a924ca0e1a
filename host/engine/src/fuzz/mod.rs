//! Guests behind glass, called one by one with a caller's imports, for
//! differential fuzzing.
//!
//! Not part of the crate's face: behind the feature `fuzz`, which no shipped
//! program turns on. Modules are loaded, bounded and interrupted exactly as in
//! the engine; what differs is that the key service is
//! [`fumehood_crypto::fuzz::Toy`], so that a native guest can be given the
//! same. What a guest answers is told as the `Debug` text of its answer.

mod codec;
pub mod pac;
mod piece;
pub mod questions;
pub mod resolver;
mod server;
pub mod socks;
pub mod tls;
mod x509;

pub use codec::{Codec, CodecGuest};
pub use piece::{Delimiter, collect};
pub use server::{ServerCodec, ServerHead};
pub use tls::{TlsConnection, TlsGuest};
pub use x509::{Check, VerifierGuest, VerifierInstance};

use std::fmt;
use std::sync::Arc;

use fumehood_control::ModuleHeader;
use wasmtime::component::Component;

use crate::code::CodeLoader;
use crate::instance::{Active, Fault, GuestState, Ticker};
use crate::registry::{About, Limits, Supervisor};

/// Room for guests: a fuzzer has one at a time.
const INSTANCES: u32 = 4;

/// A guest ended, and nothing else did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// `trap`, `hang`, `memory` or `nonsense`.
    pub kind: String,
    /// The trap's name or the panic's message.
    pub detail: String,
    /// The panic's place; empty where there was none.
    pub location: String,
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Ended {
        let report = fault.report();
        Ended {
            kind: report.kind.clone(),
            detail: report.detail.clone(),
            location: report.location.clone(),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ended {
            kind,
            detail,
            location,
        } = self;
        write!(f, "{kind}: {detail}")?;
        if location.is_empty() {
            Ok(())
        } else {
            write!(f, " ({location})")
        }
    }
}

/// What a guest that did not end answered, as text.
type Said = Result<String, Ended>;

/// An instance that stands, and calls go into it.
fn begun<T>(made: wasmtime::Result<T>, guest: &mut GuestState) -> Result<T, Ended> {
    match made {
        Ok(made) => {
            guest.entered = true;
            Ok(made)
        }
        Err(error) => Err(Fault::of_call(guest, &error).into()),
    }
}

fn told<T: fmt::Debug>(answer: wasmtime::Result<T>, guest: &GuestState) -> Said {
    match answer {
        Ok(answer) => Ok(format!("{answer:?}")),
        Err(error) => Err(Fault::of_call(guest, &error).into()),
    }
}

/// Loads guests. While it lives, guests that hang are interrupted.
pub struct Glass {
    loader: CodeLoader,
    supervisor: Arc<Supervisor>,
    _active: Active,
}

impl Glass {
    /// An engine without guests.
    ///
    /// # Errors
    /// One sentence on what the system did not give.
    pub fn new() -> Result<Glass, String> {
        let loader = CodeLoader::new(fumehood_wasm::engine_config(INSTANCES))
            .map_err(|error| format!("{error:#}"))?;
        let ticker = Ticker::start(loader.engine().clone()).map_err(|error| error.to_string())?;
        Ok(Glass {
            loader,
            supervisor: Supervisor::new(Limits::for_one()),
            _active: ticker.activate(),
        })
    }

    /// An `http1` module; `code` is what our own compiler made of it.
    ///
    /// # Errors
    /// One sentence on why it is refused.
    pub fn http1(&self, code: &[u8]) -> Result<CodecGuest, String> {
        let (about, component) = self.load("http1", code)?;
        CodecGuest::new(self.loader.engine(), about, &component).map_err(text)
    }

    /// A `tls` module.
    ///
    /// # Errors
    /// As [`Glass::http1`].
    pub fn tls(&self, code: &[u8]) -> Result<TlsGuest, String> {
        let (about, component) = self.load("tls", code)?;
        TlsGuest::new(self.loader.engine(), about, &component).map_err(text)
    }

    /// An `x509` module.
    ///
    /// # Errors
    /// As [`Glass::http1`].
    pub fn x509(&self, code: &[u8]) -> Result<VerifierGuest, String> {
        let (about, component) = self.load("x509", code)?;
        VerifierGuest::new(self.loader.engine(), about, &component).map_err(text)
    }

    /// A `socks` module.
    ///
    /// # Errors
    /// As [`Glass::http1`].
    pub fn socks(&self, code: &[u8]) -> Result<socks::SocksGuest, String> {
        let (about, component) = self.load("socks", code)?;
        socks::SocksGuest::new(self.loader.engine(), about, &component).map_err(text)
    }

    /// The part of a `dns` module that reads questions.
    ///
    /// # Errors
    /// As [`Glass::http1`].
    pub fn questions(&self, code: &[u8]) -> Result<questions::QuestionsGuest, String> {
        let (about, component) = self.load("dns", code)?;
        let engine = self.loader.engine();
        questions::QuestionsGuest::new(engine, &about, &component).map_err(text)
    }

    /// A `dns` module, where it resolves.
    ///
    /// # Errors
    /// As [`Glass::http1`].
    pub fn resolver(&self, code: &[u8]) -> Result<resolver::ResolverGuest, String> {
        let (about, component) = self.load("dns", code)?;
        resolver::ResolverGuest::new(self.loader.engine(), about, &component).map_err(text)
    }

    /// A `pac` module.
    ///
    /// # Errors
    /// As [`Glass::http1`].
    pub fn pac(&self, code: &[u8]) -> Result<pac::PacGuest, String> {
        pac::PacGuest::new(|loader| self.load_with(loader, "pac", code))
    }

    fn load(&self, name: &str, code: &[u8]) -> Result<(Arc<About>, Component), String> {
        self.load_with(&self.loader, name, code)
    }

    fn load_with(
        &self,
        loader: &CodeLoader,
        name: &str,
        code: &[u8],
    ) -> Result<(Arc<About>, Component), String> {
        let sealed = fumehood_sandbox::sealed(name, &[code]).map_err(|e| e.to_string())?;
        let (component, _) = loader.load(sealed).map_err(|e| e.to_string())?;
        let header = ModuleHeader {
            name: name.to_owned(),
            version: "0.0.0".to_owned(),
            digest: [0; 32],
        };
        Ok((About::new(header, &self.supervisor), component))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: wasmtime::Error) -> String {
    format!("{error:#}")
}
