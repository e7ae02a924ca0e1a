//! Transcript hashes: computed, and remembered, by the host.

use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};

use crate::imports::{self, Transcript};

pub(super) static SHA256: HostHash = HostHash(imports::HashAlgorithm::Sha256);
pub(super) static SHA384: HostHash = HostHash(imports::HashAlgorithm::Sha384);

pub(super) struct HostHash(imports::HashAlgorithm);

/// The hash of nothing, which the key schedule asks for again and again (RFC
/// 8446 section 7.1): not worth four imports each time.
const EMPTY_SHA256: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// See [`EMPTY_SHA256`].
const EMPTY_SHA384: [u8; 48] = [
    0x38, 0xb0, 0x60, 0xa7, 0x51, 0xac, 0x96, 0x38, 0x4c, 0xd9, 0x32, 0x7e, 0xb1, 0xb1, 0xe3, 0x6a,
    0x21, 0xfd, 0xb7, 0x11, 0x14, 0xbe, 0x07, 0x43, 0x4c, 0x0c, 0xc7, 0xbf, 0x63, 0xf6, 0xe1, 0xda,
    0x27, 0x4e, 0xde, 0xbf, 0xe7, 0x6f, 0x65, 0xfb, 0xd5, 0x1a, 0xd2, 0xf1, 0x48, 0x98, 0xb9, 0x5b,
];

impl Hash for HostHash {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Running(Transcript::new(self.0)))
    }

    fn hash(&self, data: &[u8]) -> Output {
        if data.is_empty() {
            return Output::new(match self.0 {
                imports::HashAlgorithm::Sha256 => &EMPTY_SHA256,
                imports::HashAlgorithm::Sha384 => &EMPTY_SHA384,
            });
        }
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
