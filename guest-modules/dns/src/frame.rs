//! Messages on a stream: two bytes of length before each (RFC 1035 section 4.2.2).

use crate::bounds::MAX_MESSAGE_BYTES;

/// A message with its length before it. One that is too long for that cannot
/// be made by this resolver, whose questions have at most 512 bytes.
#[must_use]
pub fn frame(message: &[u8]) -> Vec<u8> {
    let cut = &message[..message.len().min(MAX_MESSAGE_BYTES)];
    let length = u16::try_from(cut.len()).unwrap_or(u16::MAX);
    let mut framed = Vec::with_capacity(cut.len() + 2);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(cut);
    framed
}

/// Cuts a stream into messages. Holds one message and one read at most, when
/// its messages are taken after each read.
#[derive(Debug, Default)]
pub struct Deframer {
    buffered: Vec<u8>,
    taken: usize,
}

impl Deframer {
    /// Adds what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffered.drain(..self.taken);
        self.taken = 0;
        self.buffered.extend_from_slice(bytes);
    }

    /// The next whole message.
    pub fn next_message(&mut self) -> Option<Vec<u8>> {
        let rest = self.buffered.get(self.taken..)?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let message = rest.get(..length)?.to_vec();
        self.taken += 2 + length;
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn messages_come_out_however_the_stream_is_cut() {
        let messages = [vec![1; 12], vec![], vec![2; MAX_MESSAGE_BYTES], vec![3]];
        let stream: Vec<u8> = messages.iter().flat_map(|it| frame(it)).collect();
        for step in [1, 2, 3, 7, 4096, stream.len()] {
            let mut deframer = Deframer::default();
            let mut found = Vec::new();
            for piece in stream.chunks(step) {
                deframer.push(piece);
                while let Some(message) = deframer.next_message() {
                    found.push(message);
                }
            }
            assert_eq!(found, messages, "in steps of {step}");
        }
    }

    #[test]
    fn half_a_message_is_none() {
        let mut deframer = Deframer::default();
        deframer.push(&[0]);
        assert_eq!(deframer.next_message(), None);
        deframer.push(&[2, 9]);
        assert_eq!(deframer.next_message(), None);
        deframer.push(&[8, 0]);
        assert_eq!(deframer.next_message().unwrap(), [9, 8]);
        assert_eq!(deframer.next_message(), None);
    }
}
