//! One message, one packet: postcard with a bound.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest packet, in bytes. Keeps a message within one socket-buffer
/// allocation and bounds what a decoder can be made to do.
pub const MAX_PACKET_BYTES: usize = 16 * 1024;

/// A type that travels as one packet.
pub trait Message: Serialize + DeserializeOwned {
    /// How many file descriptors travel with this message.
    fn fd_count(&self) -> usize;
}

/// Why a packet was not sent or not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The message would not fit; a caller let something unbounded through.
    #[error("a control message of {bytes} bytes is over the bound of {MAX_PACKET_BYTES}")]
    TooLarge {
        /// What it would have taken, or was.
        bytes: usize,
    },
    /// The packet is not a message of the expected type, or has bytes left over.
    #[error("a control packet does not decode: the peer process is of another build or corrupt")]
    Malformed,
    /// The packet carried another number of descriptors than its type allows.
    #[error("a control packet came with {got} descriptors where its type has {want}")]
    WrongFdCount {
        /// What came.
        got: usize,
        /// What the type says.
        want: usize,
    },
}

/// Encodes a message into one packet.
///
/// # Errors
/// [`CodecError::TooLarge`] when it is over [`MAX_PACKET_BYTES`].
pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, CodecError> {
    let bytes = postcard::to_stdvec(message).map_err(|_| CodecError::Malformed)?;
    if bytes.len() > MAX_PACKET_BYTES {
        return Err(CodecError::TooLarge { bytes: bytes.len() });
    }
    Ok(bytes)
}

/// Decodes one packet that came with `fd_count` descriptors.
///
/// # Errors
/// When the packet is over the bound, is not exactly one `M`, or came with
/// another number of descriptors than [`Message::fd_count`].
pub fn decode<M: Message>(packet: &[u8], fd_count: usize) -> Result<M, CodecError> {
    if packet.len() > MAX_PACKET_BYTES {
        return Err(CodecError::TooLarge {
            bytes: packet.len(),
        });
    }
    let (message, rest) =
        postcard::take_from_bytes::<M>(packet).map_err(|_| CodecError::Malformed)?;
    if !rest.is_empty() {
        return Err(CodecError::Malformed);
    }
    if message.fd_count() != fd_count {
        return Err(CodecError::WrongFdCount {
            got: fd_count,
            want: message.fd_count(),
        });
    }
    Ok(message)
}
