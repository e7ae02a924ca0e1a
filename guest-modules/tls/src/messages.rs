//! Handshake messages that come behind the handshake (RFC 8446 section 4.6).

use crate::Failure;

/// Length of a handshake message's header: type and length.
const HEADER: usize = 4;

const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;

/// A KeyUpdate that does not ask for one in return.
pub(crate) const KEY_UPDATE_NOT_REQUESTED: [u8; 5] = [KEY_UPDATE, 0, 0, 1, 0];

/// What a server may send behind the handshake.
pub(crate) enum Message<'a> {
    /// The ticket, without its header.
    NewSessionTicket(&'a [u8]),
    /// The peer changes its keys.
    KeyUpdate {
        /// And wants us to change ours.
        requested: bool,
    },
}

impl<'a> Message<'a> {
    /// Parses one whole message.
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, Failure> {
        let Some((&[kind, high, middle, low], body)) = message.split_first_chunk::<HEADER>() else {
            return Err(Failure::misuse("a handshake message without a header"));
        };
        if u32::from_be_bytes([0, high, middle, low]) as usize != body.len() {
            return Err(Failure::misuse("a handshake message that is not whole"));
        }
        match (kind, body) {
            (NEW_SESSION_TICKET, ticket) => Ok(Message::NewSessionTicket(ticket)),
            (KEY_UPDATE, [0]) => Ok(Message::KeyUpdate { requested: false }),
            (KEY_UPDATE, [1]) => Ok(Message::KeyUpdate { requested: true }),
            (KEY_UPDATE, _) => Err(Failure::peer("the server sent a malformed key update")),
            _ => Err(Failure::peer(
                "the server sent a handshake message that has no place behind the handshake",
            )),
        }
    }
}
