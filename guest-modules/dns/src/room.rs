//! Memory that many hold parts of, together no more than a bound.

use std::cell::Cell;
use std::rc::Rc;

/// What is left of a bound, in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Room(Rc<Cell<usize>>);

/// A part of it, which is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Part {
    bytes: usize,
    of: Room,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Room(Rc::new(Cell::new(bytes)))
    }

    /// None where less is left.
    pub(crate) fn take(&self, bytes: usize) -> Option<Part> {
        self.0.set(self.0.get().checked_sub(bytes)?);
        let of = self.clone();
        Some(Part { bytes, of })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let Room(left) = &self.of;
        left.set(left.get() + self.bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn what_is_taken_is_missing_until_it_is_dropped() {
        let room = Room::new(10);
        let (six, four) = (room.take(6).unwrap(), room.take(4).unwrap());
        assert!(room.take(1).is_none());
        drop(six);
        assert!(room.take(7).is_none());
        drop(four);
        assert!(room.take(10).is_some());
    }
}
