//! Servers that say what an input says.

use super::wire;

/// What the first byte of a reply asks for.
pub mod reply {
    /// To leave its ID as it is; else it becomes the question's.
    pub const OWN_ID: u8 = 1;
    /// To leave the letters of its question as they are; else they become ours.
    pub const OWN_LETTERS: u8 = 2;
    /// That it goes to whatever is asked.
    pub const TO_ANY: u8 = 4;
    /// That it comes from another address.
    pub const STRANGER: u8 = 8;
}

/// Bytes of a message's header.
const HEADER: usize = 12;

/// The replies of an input, each with whether it has been sent.
pub(super) struct Servers<'a>(Vec<(bool, &'a [u8])>);

impl<'a> Servers<'a> {
    pub(super) fn new(replies: &[&'a [u8]]) -> Servers<'a> {
        Servers(replies.iter().map(|it| (false, *it)).collect())
    }

    /// Bytes of the longest reply.
    pub(super) fn longest(&self) -> usize {
        self.0.iter().map(|(_, it)| it.len()).max().unwrap_or(0)
    }

    /// One of the replies as it stands there, if there is any; numbers go round.
    pub(super) fn raw(&self, number: usize) -> Option<&'a [u8]> {
        let (_, it) = self.0.get(number.checked_rem(self.0.len())?)?;
        it.get(1..)
    }

    /// The first reply to it that is left, or the last one again, with its first byte.
    pub(super) fn reply_to(&mut self, question: &[u8]) -> Option<(u8, Vec<u8>)> {
        let asked = asked(question)?;
        let is_to_it = |reply: &[u8]| match reply.split_first() {
            Some((how, message)) => {
                how & reply::TO_ANY != 0 || self::asked(message).as_ref() == Some(&asked)
            }
            None => false,
        };
        let fresh = self.0.iter().position(|(sent, it)| !sent && is_to_it(it));
        let last = || self.0.iter().rposition(|(_, it)| is_to_it(it));
        let at = fresh.or_else(last)?;
        self.0[at].0 = true;
        let (how, message) = self.0[at].1.split_first()?;
        let mut message = message.to_vec();
        if how & reply::OWN_ID == 0 {
            message.iter_mut().zip(&question[..2]).for_each(copy);
        }
        if how & reply::OWN_LETTERS == 0 && self::asked(&message).is_some_and(|it| it == asked) {
            let letters = &question[HEADER..HEADER + asked.0.len()];
            message[HEADER..].iter_mut().zip(letters).for_each(copy);
        }
        Some((*how, message))
    }
}

/// The name, in lower case, and the type that a message's question is for.
fn asked(message: &[u8]) -> Option<(wire::Wire, [u8; 2])> {
    let (name, rest) = wire::name(message.get(HEADER..)?)?;
    Some((name, *rest.first_chunk()?))
}

fn copy((to, from): (&mut u8, &u8)) {
    *to = *from;
}
