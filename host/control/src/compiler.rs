//! What embedder and compiler say to each other. One compiler, one module.

use serde::{Deserialize, Serialize};

use crate::{Layer, LayerReport, Message};

/// Most imports, and most exports, of a module that is compiled. Ours have 3.
pub const MAX_INTERFACES: usize = 64;

/// Longest name of an interface, in bytes; with [`MAX_INTERFACES`] of them
/// both lists fit into one packet.
pub const MAX_INTERFACE_BYTES: usize = 112;

/// Embedder to compiler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToCompiler {
    /// First message: enter the sandbox and answer `Ready`.
    Hello {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
        /// Layers without which not to start, beside the floor.
        required: Vec<Layer>,
    },
    /// Make native code. Two descriptors: a sealed memfd with the component,
    /// and an empty one that the native code is written to.
    Compile,
}

impl Message for ToCompiler {
    fn fd_count(&self) -> usize {
        match self {
            ToCompiler::Hello { .. } => 0,
            ToCompiler::Compile => 2,
        }
    }
}

/// Compiler to embedder. Never carries descriptors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromCompiler {
    /// The sandbox holds.
    Ready {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
        /// The settings that its code is made for.
        build: String,
    },
    /// It will not run. It exits after this.
    Refused {
        /// What holds and what does not.
        layers: Vec<LayerReport>,
        /// One sentence for people.
        why: String,
    },
    /// The native code is written, all of it.
    Compiled {
        /// Its length, in bytes.
        bytes: u64,
        /// Interfaces the component imports, sorted.
        imports: Vec<String>,
        /// Interfaces it exports, sorted.
        exports: Vec<String>,
    },
    /// There is no native code: one sentence, at most 1 KiB.
    Failed {
        /// Why.
        why: String,
    },
}

impl Message for FromCompiler {
    fn fd_count(&self) -> usize {
        0
    }
}
