//! Messages between the processes: whatever decodes is encoded and decoded
//! again as the same, and heads come out of their fragments as they went in.
//!
//! An input is a byte for the type, one for the number of descriptors or the
//! fragments' size, and the packet.

use std::fmt::Debug;

use fumehood_control::{
    Assembly, AssemblyError, DialReply, DialRequest, Exchange, FaultReport, Field, FromBroker,
    FromCompiler, FromLauncher, FromReplay, Inventory, MAX_BLOB_BYTES, MAX_PACKET_BYTES,
    MAX_POLICY_BYTES, Message, NameAnswer, PacAnswer, PacQuestion, RecordedCall, ResponseHead,
    RouteAnswer, RouteQuestion, ToBroker, ToCompiler, ToEmbedder, ToEngine, ToLauncher, ToReplay,
    TokenAnswer, TokenQuestion, Unresolved, decode, encode, fragments, policy_fragments,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Decodes a packet, by its type; tells whether it is one of that type.
type Kind = fn(packet: &[u8], number: u8) -> bool;

/// All types, by an input's first byte.
pub const KINDS: [Kind; 26] = [
    message::<ToEngine>,
    message::<ToEmbedder>,
    message::<ToBroker>,
    message::<FromBroker>,
    message::<DialRequest>,
    message::<DialReply>,
    message::<ToCompiler>,
    message::<FromCompiler>,
    message::<ToReplay>,
    message::<FromReplay>,
    head::<Exchange>,
    head::<ResponseHead>,
    head::<Vec<Field>>,
    policy,
    head::<Inventory>,
    head::<FaultReport>,
    head::<Vec<RecordedCall>>,
    message::<ToLauncher>,
    message::<FromLauncher>,
    head::<RouteQuestion>,
    head::<RouteAnswer>,
    head::<TokenQuestion>,
    head::<TokenAnswer>,
    head::<PacQuestion>,
    head::<PacAnswer>,
    head::<Result<NameAnswer, Unresolved>>,
];

/// Decodes one message or one fragmented value.
pub fn run(data: &[u8]) {
    let _decoded = decodes(data);
}

/// Whether an input is what its first byte says.
#[must_use]
pub fn decodes(data: &[u8]) -> bool {
    let Some((&[kind, number], packet)) = data.split_first_chunk() else {
        return false;
    };
    KINDS[usize::from(kind) % KINDS.len()](packet, number)
}

fn message<M: Message + PartialEq + Debug>(packet: &[u8], fds: u8) -> bool {
    let fds = usize::from(fds % 4);
    let Ok(decoded) = decode::<M>(packet, fds) else {
        return false;
    };
    assert!(packet.len() <= MAX_PACKET_BYTES);
    assert_eq!(decoded.fd_count(), fds);
    // Numbers may come longer than they are sent, but never the other way.
    let again = encode(&decoded).expect("what came in a packet fits into one");
    assert!(again.len() <= packet.len());
    assert_eq!(decode::<M>(&again, fds), Ok(decoded));
    true
}

fn head<T>(bytes: &[u8], size: u8) -> bool
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let fragmented = Fragmented {
        most: MAX_BLOB_BYTES,
        assembly: Assembly::default,
        cut: fragments::<T>,
    };
    fragmented.run(bytes, size)
}

fn policy(bytes: &[u8], size: u8) -> bool {
    let fragmented = Fragmented {
        most: MAX_POLICY_BYTES,
        assembly: Assembly::of_policy,
        cut: policy_fragments,
    };
    fragmented.run(bytes, size)
}

/// How a value is cut and put together.
struct Fragmented<T> {
    /// Bytes.
    most: usize,
    assembly: fn() -> Assembly,
    cut: fn(&T) -> Result<Vec<Vec<u8>>, AssemblyError>,
}

impl<T: DeserializeOwned + PartialEq + Debug> Fragmented<T> {
    fn run(&self, bytes: &[u8], size: u8) -> bool {
        let mut assembly = (self.assembly)();
        let mut pieces: Vec<&[u8]> = bytes.chunks(1 + usize::from(size) * 64).collect();
        let last = pieces.pop().unwrap_or_default();
        for piece in pieces {
            if assembly.push(piece).is_err() {
                assert!(bytes.len() > self.most);
                return false;
            }
        }
        let Ok(value) = assembly.finish::<T>(last) else {
            return false;
        };
        let mut again = (self.assembly)();
        let mut pieces = (self.cut)(&value).expect("what came in fragments fits into some");
        let last = pieces.pop().unwrap_or_default();
        for piece in pieces {
            again.push(&piece).expect("within the bound");
        }
        assert_eq!(again.finish::<T>(&last), Ok(value));
        true
    }
}
