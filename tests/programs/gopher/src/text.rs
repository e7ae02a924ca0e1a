//! Text as it comes: without its last full stop, and with others restored.

/// Where in a line the text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// At its beginning.
    #[default]
    Start,
    /// Behind a full stop that began it.
    Stop,
    /// Behind that and a CR.
    StopReturn,
    /// Anywhere else.
    Inside,
    /// The full stop stood alone: all has come.
    End,
}

/// Takes a text's dots away (RFC 1436 section 3.8): a line that is one full
/// stop ends it, and a line that begins with two had one.
#[derive(Debug, Default)]
pub struct Text {
    place: Place,
}

impl Text {
    /// What these bytes say.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut said = Vec::with_capacity(bytes.len() + 2);
        for &byte in bytes {
            self.place = match (self.place, byte) {
                (Place::End, _) => Place::End,
                (Place::Start, b'.') => Place::Stop,
                (Place::Stop, b'.') => push(&mut said, b".", Place::Inside),
                (Place::Stop, b'\r') => Place::StopReturn,
                (Place::Stop | Place::StopReturn, b'\n') => Place::End,
                (Place::StopReturn, other) => push(&mut said, &[b'.', b'\r', other], Place::Inside),
                (Place::Stop, other) => push(&mut said, &[b'.', other], Place::Inside),
                (Place::Start | Place::Inside, b'\n') => push(&mut said, b"\n", Place::Start),
                (Place::Start | Place::Inside, other) => push(&mut said, &[other], Place::Inside),
            };
        }
        said
    }

    /// The full stop has come; what follows it says nothing.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.place == Place::End
    }
}

fn push(said: &mut Vec<u8>, bytes: &[u8], place: Place) -> Place {
    said.extend_from_slice(bytes);
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_go_wherever_the_pieces_are_cut() {
        let (sent, said) = (b"a\r\n..b\r\n.c\r\n\r\n.\r\nrest", b"a\r\n.b\r\n.c\r\n\r\n");
        for size in 1..=sent.len() {
            let mut text = Text::default();
            let got: Vec<u8> = sent
                .chunks(size)
                .flat_map(|piece| text.take(piece))
                .collect();
            assert_eq!(
                (got.as_slice(), text.is_over()),
                (&said[..], true),
                "{size}"
            );
        }
    }

    #[test]
    fn a_text_that_just_ends_is_not_over() {
        let mut text = Text::default();
        assert_eq!(text.take(b"a\n."), b"a\n");
        assert!(!text.is_over());
        assert!(text.take(b"\n").is_empty() && text.is_over());
    }
}
