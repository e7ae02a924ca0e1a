//! What embedder and a throw-away replaying child say to each other.

use serde::{Deserialize, Serialize};

use crate::{Layer, LayerReport, Message, ModuleHeader};

/// Embedder to child: make these calls in a fresh instance. Two descriptors,
/// both sealed memfds: the module's native code, and a `Vec<RecordedCall>` in
/// postcard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToReplay {
    /// [`crate::PROTOCOL_VERSION`].
    pub version: u16,
    /// Layers without which not to run the guest, beside the floor.
    pub required: Vec<Layer>,
    /// The module.
    pub header: ModuleHeader,
}

impl Message for ToReplay {
    fn fd_count(&self) -> usize {
        2
    }
}

/// Child to embedder. Never carries descriptors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromReplay {
    /// There is no sandbox. The child exits after this.
    Unsealed {
        /// What holds and what does not.
        layers: Vec<LayerReport>,
        /// One sentence for people.
        why: String,
    },
    /// Nothing was replayed: one sentence.
    Failed {
        /// Why.
        why: String,
    },
    /// All calls were answered.
    Survived,
    /// The guest refused a call as it should: it names the call.
    Refused {
        /// The exported function's name.
        call: String,
    },
    /// A piece of a [`crate::FaultReport`].
    FaultFragment {
        /// Bytes of the encoded report.
        bytes: Vec<u8>,
    },
    /// The last piece: the instance ended.
    Fault {
        /// Bytes of the encoded report.
        bytes: Vec<u8>,
    },
    /// The guest does something else than was recorded: one sentence.
    Diverged {
        /// Where, and what.
        how: String,
    },
}

impl Message for FromReplay {
    fn fd_count(&self) -> usize {
        0
    }
}
