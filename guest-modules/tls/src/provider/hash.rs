//! Transcript hashes: computed, and remembered, by the host.

use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};

use crate::imports::{self, Transcript};

pub(super) static SHA256: HostHash = HostHash(imports::HashAlgorithm::Sha256);
pub(super) static SHA384: HostHash = HostHash(imports::HashAlgorithm::Sha384);

pub(super) struct HostHash(imports::HashAlgorithm);

impl Hash for HostHash {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Running(Transcript::new(self.0)))
    }

    fn hash(&self, data: &[u8]) -> Output {
        let transcript = Transcript::new(self.0);
        transcript.update(data);
        Output::new(&transcript.current())
    }

    fn output_len(&self) -> usize {
        output_len(self.0)
    }

    fn algorithm(&self) -> HashAlgorithm {
        match self.0 {
            imports::HashAlgorithm::Sha256 => HashAlgorithm::SHA256,
            imports::HashAlgorithm::Sha384 => HashAlgorithm::SHA384,
        }
    }
}

/// Length of a hash's output, in bytes.
pub(super) fn output_len(hash: imports::HashAlgorithm) -> usize {
    match hash {
        imports::HashAlgorithm::Sha256 => 32,
        imports::HashAlgorithm::Sha384 => 48,
    }
}

struct Running(Transcript);

impl Context for Running {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.current())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Running(self.0.fork()))
    }

    fn finish(self: Box<Self>) -> Output {
        self.fork_finish()
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}
