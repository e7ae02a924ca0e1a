//! Messages between the processes: whatever decodes is encoded and decoded
//! again as the same, and heads come out of their fragments as they went in.
//!
//! An input is a byte for the type, one for the number of descriptors or the
//! fragments' size, and the packet.

use std::fmt::Debug;

use fumehood_control::{
    Assembly, DialReply, DialRequest, Exchange, FaultReport, Field, FromBroker, FromCompiler,
    FromLauncher, FromReplay, Inventory, MAX_BLOB_BYTES, MAX_PACKET_BYTES, Message, PacAnswer,
    RecordedCall, ResponseHead, RouteAnswer, RouteQuestion, ToBroker, ToCompiler, ToEmbedder,
    ToEngine, ToLauncher, ToReplay, TokenAnswer, TokenQuestion, decode, encode, fragments,
};
use fumehood_policy::Policy;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Decodes one message or one fragmented value.
pub fn run(data: &[u8]) {
    let Some((&[kind, number], packet)) = data.split_first_chunk() else {
        return;
    };
    match kind % 24 {
        0 => message::<ToEngine>(packet, number),
        1 => message::<ToEmbedder>(packet, number),
        2 => message::<ToBroker>(packet, number),
        3 => message::<FromBroker>(packet, number),
        4 => message::<DialRequest>(packet, number),
        5 => message::<DialReply>(packet, number),
        6 => message::<ToCompiler>(packet, number),
        7 => message::<FromCompiler>(packet, number),
        8 => message::<ToReplay>(packet, number),
        9 => message::<FromReplay>(packet, number),
        10 => assembled::<Exchange>(packet, number),
        11 => assembled::<ResponseHead>(packet, number),
        12 => assembled::<Vec<Field>>(packet, number),
        13 => assembled::<Policy>(packet, number),
        14 => assembled::<Inventory>(packet, number),
        15 => assembled::<FaultReport>(packet, number),
        16 => assembled::<Vec<RecordedCall>>(packet, number),
        17 => message::<ToLauncher>(packet, number),
        18 => message::<FromLauncher>(packet, number),
        19 => assembled::<RouteQuestion>(packet, number),
        20 => assembled::<RouteAnswer>(packet, number),
        21 => assembled::<TokenQuestion>(packet, number),
        22 => assembled::<TokenAnswer>(packet, number),
        _ => assembled::<PacAnswer>(packet, number),
    }
}

fn message<M: Message + PartialEq + Debug>(packet: &[u8], fds: u8) {
    let fds = usize::from(fds % 4);
    let Ok(decoded) = decode::<M>(packet, fds) else {
        return;
    };
    assert!(packet.len() <= MAX_PACKET_BYTES);
    assert_eq!(decoded.fd_count(), fds);
    // Numbers may come longer than they are sent, but never the other way.
    let again = encode(&decoded).expect("what came in a packet fits into one");
    assert!(again.len() <= packet.len());
    assert_eq!(decode::<M>(&again, fds), Ok(decoded));
}

fn assembled<T>(bytes: &[u8], size: u8)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let mut assembly = Assembly::default();
    let mut pieces: Vec<&[u8]> = bytes.chunks(1 + usize::from(size) * 64).collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        if assembly.push(piece).is_err() {
            assert!(bytes.len() > MAX_BLOB_BYTES);
            return;
        }
    }
    let Ok(value) = assembly.finish::<T>(last) else {
        return;
    };
    let mut again = Assembly::default();
    let mut pieces = fragments(&value).expect("what came in fragments fits into some");
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        again.push(&piece).expect("within the bound");
    }
    assert_eq!(again.finish::<T>(&last), Ok(value));
}
