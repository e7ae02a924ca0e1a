//! Handshake transcripts, and what their beginning says about this connection.

use aws_lc_rs::digest;

use crate::Hash;

/// How much of a transcript's beginning is kept, in bytes: both hellos, with
/// a retry between them. An honest ClientHello with a hybrid key share has
/// about 1,500 bytes, a ServerHello 1,200.
const KEPT: usize = 16 * 1024;

/// A running hash of handshake messages.
#[derive(Clone)]
pub struct Transcript {
    context: digest::Context,
    kept: Vec<u8>,
}

impl Transcript {
    /// An empty one.
    #[must_use]
    pub fn new(hash: Hash) -> Self {
        Transcript {
            context: digest::Context::new(hash.digest()),
            kept: Vec::new(),
        }
    }

    /// Adds to it.
    pub fn update(&mut self, data: &[u8]) {
        self.context.update(data);
        let room = KEPT - self.kept.len();
        self.kept.extend_from_slice(&data[..data.len().min(room)]);
    }

    /// The hash of all so far.
    pub(crate) fn current(&self) -> Vec<u8> {
        self.context.clone().finish().as_ref().to_vec()
    }

    /// The hellos it begins with, if both are there.
    pub(crate) fn hellos(&self) -> Hellos<'_> {
        Hellos::find(&self.kept)
    }
}

/// What of the hellos ties a transcript to a connection.
#[derive(Clone, Copy, Default)]
pub(crate) struct Hellos<'a> {
    /// ClientHello.random.
    pub(crate) client_random: Option<&'a [u8; 32]>,
    /// The ServerHello behind the session id, which is the last thing in it
    /// that echoes the client: all in it is the server's own choice.
    pub(crate) server_part: Option<&'a [u8]>,
}

impl<'a> Hellos<'a> {
    /// Walks the messages at a transcript's beginning: ClientHello and
    /// ServerHello, before them perhaps the hash of a first ClientHello and a
    /// HelloRetryRequest (RFC 8446 section 4.4.1). The last of each counts.
    pub(crate) fn find(mut rest: &'a [u8]) -> Self {
        const CLIENT_HELLO: u8 = 1;
        const SERVER_HELLO: u8 = 2;
        const MESSAGE_HASH: u8 = 254;
        let mut hellos = Hellos::default();
        while let Some((header, behind)) = rest.split_first_chunk::<4>() {
            let [kind, high, middle, low] = *header;
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            let Some((body, behind)) = behind.split_at_checked(length) else {
                break;
            };
            match kind {
                CLIENT_HELLO => {
                    hellos.client_random = body.get(2..).and_then(<[u8]>::first_chunk);
                }
                SERVER_HELLO => hellos.server_part = behind_session_id(body),
                MESSAGE_HASH => {}
                _ => break,
            }
            rest = behind;
        }
        hellos
    }
}

/// A ServerHello behind `legacy_version(2) random(32) session_id<0..32>`.
fn behind_session_id(body: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*body.get(34)?);
    body.get(35 + length..)
}

/// A transcript hash that the host computed for a connection.
pub(crate) struct Witness {
    hash: Vec<u8>,
    /// The completed key exchange whose peer share the ServerHello holds.
    pub(crate) exchange: usize,
}

impl Witness {
    pub(crate) fn new(hash: Vec<u8>, exchange: usize) -> Self {
        Witness { hash, exchange }
    }

    pub(crate) fn is_of(&self, hash: &[u8]) -> bool {
        self.hash == hash
    }
}
