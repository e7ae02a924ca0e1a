//! Modules live: loading and swapping, taking over, idling.

use std::time::{Duration, Instant};

use fumehood_control::ModuleHeader;
use fumehood_policy::Target;

use super::{Code, Guests, request_head};
use crate::resume::SteadyCodec;

/// A response that a faulty codec traps over and a sound one does not.
const POISON: &[u8] = b"HTTP/1.1 200 OK\r\nx-fumehood-fault: trap\r\ncontent-length: 5\r\n\r\n";

/// A response after which a connection can be kept.
const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Guests of connections that idle, each after one exchange.
pub struct Idle {
    codecs: Vec<SteadyCodec>,
}

impl Idle {
    /// Linear memory that they were granted, in bytes. Less of it is resident.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.codecs.iter().map(SteadyCodec::memory_bytes).sum()
    }
}

impl Guests {
    /// Loads a module as a running engine does, checks, links and tries it, and
    /// makes it current. Sealing the code, which the embedder does, is not counted.
    ///
    /// # Errors
    /// One sentence on why it is refused.
    pub fn load_and_swap(&self, code: &Code) -> Result<Duration, String> {
        let ModuleHeader { name, digest, .. } = &code.header;
        let sealed = fumehood_sandbox::sealed(name, &[&code.native]).map_err(|e| e.to_string())?;
        let began = Instant::now();
        self.registry.load(&code.header, sealed)?;
        self.registry.swap(name, *digest)?;
        Ok(began.elapsed())
    }

    /// How long a response's head takes when the codec traps over it, and once
    /// more, and the version before takes over. To be called with a faulty
    /// `http1` as current and a sound one before it.
    ///
    /// # Errors
    /// When none takes over.
    pub fn resume(&self, target: &Target) -> Result<Duration, String> {
        self.at_work(|| {
            let mut codec = self.asked(target)?;
            let began = Instant::now();
            codec
                .receive(POISON)
                .map_err(|error| format!("{error:?}"))?;
            let took = began.elapsed();
            match codec.taken_over()[..] {
                [_] => Ok(took),
                _ => Err("no other instance took over".to_owned()),
            }
        })
    }

    /// Guests of so many idle connections; the caller looks what they take.
    ///
    /// # Errors
    /// When there is no room for them.
    pub fn idle(&self, target: &Target, count: usize) -> Result<Idle, String> {
        let one = |_| {
            let mut codec = self.asked(target)?;
            codec.receive(WHOLE).map_err(|error| format!("{error:?}"))?;
            Ok(codec)
        };
        let codecs = self.at_work(|| (0..count).map(one).collect::<Result<_, String>>())?;
        Ok(Idle { codecs })
    }

    /// A codec whose request is sent.
    fn asked(&self, target: &Target) -> Result<SteadyCodec, String> {
        let mut codec = SteadyCodec::new(&self.registry).map_err(|e| format!("{e:?}"))?;
        let mut ask = || {
            codec.encode_head(request_head(target))?;
            codec.end_payload()?;
            codec.demand()
        };
        ask().map_err(|error| format!("{error:?}"))?;
        Ok(codec)
    }
}
