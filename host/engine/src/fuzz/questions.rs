//! The `dns` guest where it reads questions.

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::{Ended, Said};
use crate::dns::questions::{Questions, address, bindings};
use crate::instance::Fault;
use crate::registry::About;

pub use bindings::exports::fumehood::dns::questions::{Address, Carrier, Found, Verdict};

/// The part of a loaded `dns` module that reads questions: an instance a call, as in
/// the engine. Each call returns the text of its answer.
pub struct QuestionsGuest {
    module: Questions,
}

impl QuestionsGuest {
    pub(super) fn new(
        engine: &Engine,
        about: &Arc<About>,
        component: &Component,
    ) -> wasmtime::Result<QuestionsGuest> {
        let module = Questions::new(engine, about, component)?;
        Ok(QuestionsGuest { module })
    }

    /// `missing`.
    ///
    /// # Errors
    /// When the guest ended; so for all calls.
    pub fn missing(&self, received: &[u8]) -> Said {
        told(self.module.missing(received))
    }

    /// `read`.
    ///
    /// # Errors
    /// As [`QuestionsGuest::missing`].
    pub fn read(&self, message: &[u8], carrier: Carrier) -> Said {
        told(self.module.read(message, carrier))
    }

    /// `answer`, where there is one: none is what the engine never asks for.
    ///
    /// # Errors
    /// As [`QuestionsGuest::missing`].
    pub fn answer(&self, message: &[u8], carrier: Carrier, verdict: &Verdict) -> Said {
        told(self.module.answer(message, carrier, verdict))
    }
}

/// As the guest is told of an address.
#[must_use]
pub fn told_address(it: std::net::IpAddr) -> Address {
    address(it)
}

fn told<T: std::fmt::Debug>(answer: Result<T, Fault>) -> Said {
    answer
        .map(|answer| format!("{answer:?}"))
        .map_err(Ended::from)
}
