//! What a guest in a server's hands tries in order to get at keys.

use bindings::exports::fumehood::tls::client::{Established, Progress, ProtocolVersion, Update};
use bindings::fumehood::crypto::keys::{
    AeadAlgorithm, HashAlgorithm, Secret, Transcript, expand, extract,
};
use bindings::fumehood::tls::verify::verify_chain;
use fumehood_guest_tls::component::bindings;

/// Numbers that name nothing.
const NOTHING: (Secret, Secret) = (7, 9);

/// More than one call may pass, in bytes.
const TOO_MUCH: usize = 2 << 20;

/// An update to keys that nobody made.
pub(crate) const UPDATE: Update = Update {
    inbound: Some(NOTHING.0),
    reply: None,
    outbound: Some(NOTHING.1),
};

/// At a record of the server's own making.
pub(crate) fn record(fault: &str, content: &[u8]) -> Progress {
    let (name, argument) = fault.split_once(':').unwrap_or((fault, ""));
    match name {
        "take" => {
            let (outbound, inbound) = argument.split_once(':').unwrap_or_default();
            let number = |text: &str| text.parse().unwrap_or_default();
            claim((number(outbound), number(inbound)))
        }
        "vouch" => {
            let at = content.iter().position(|byte| *byte == b' ');
            let certificate = content[at.map_or(content.len(), |at| at + 1)..].to_vec();
            // What is answered is the host's to remember.
            let _believed = verify_chain(&[certificate]);
            Progress {
                send: Vec::new(),
                established: None,
            }
        }
        _ => panic!("there is no such fault: {name}"),
    }
}

/// When the real guest has seen the ServerHello.
pub(crate) fn hello(fault: &str, hello: &[u8], progress: Progress) -> Progress {
    let (name, argument) = fault.split_once(':').unwrap_or((fault, ""));
    match name {
        "garbage" => claim(NOTHING),
        "skip" => claim(skip(argument.parse().unwrap_or_default(), hash(hello))),
        "handles" => loop {
            std::mem::forget(Transcript::new(HashAlgorithm::Sha256));
        },
        "transfer" => {
            Transcript::new(HashAlgorithm::Sha256).update(&vec![0; TOO_MUCH]);
            progress
        }
        _ => progress,
    }
}

/// When the handshake is done.
pub(crate) fn end(fault: &str, established: &mut Established) {
    match fault {
        "end" => panic!("the peer asked this guest to trap at the end"),
        "swapped" => std::mem::swap(&mut established.inbound, &mut established.outbound),
        _ => {}
    }
}

/// Says that the handshake is done, with these keys.
fn claim((outbound, inbound): (Secret, Secret)) -> Progress {
    Progress {
        send: Vec::new(),
        established: Some(Established {
            version: ProtocolVersion::Tls13,
            cipher_suite: 0x1302,
            aead: AeadAlgorithm::Aes256Gcm,
            group: 0,
            alpn: None,
            outbound,
            inbound,
        }),
    }
}

/// The keys of application data (RFC 8446 section 7.1) from the handshake
/// secret, if number `serial` is that one. The host's numbers can be guessed;
/// what they are good for cannot be changed.
fn skip(serial: Secret, hash: HashAlgorithm) -> (Secret, Secret) {
    let connection = extract(hash, None, None) >> 32 << 32;
    let nothing = Transcript::new(hash).current();
    let length = u16::try_from(nothing.len()).unwrap_or_default();
    let derive = |secret, label: &str| {
        let mut info = length.to_be_bytes().to_vec();
        info.push(u8::try_from(6 + label.len()).unwrap_or_default());
        info.extend_from_slice(b"tls13 ");
        info.extend_from_slice(label.as_bytes());
        info.push(u8::try_from(length).unwrap_or_default());
        info.extend_from_slice(&nothing);
        expand(hash, secret, &info, length.into())
    };
    let derived = derive(connection | serial, "derived");
    let master = extract(hash, Some(derived), None);
    (
        derive(master, "c ap traffic"),
        derive(master, "s ap traffic"),
    )
}

/// The hash of the suite that a ServerHello names, behind its session id (RFC
/// 8446 section 4.1.3).
fn hash(hello: &[u8]) -> HashAlgorithm {
    const SESSION: usize = 4 + 2 + 32;
    let suite = SESSION + 1 + usize::from(hello[SESSION]);
    match hello[suite..][..2] {
        [0x13, 0x02] => HashAlgorithm::Sha384,
        _ => HashAlgorithm::Sha256,
    }
}
