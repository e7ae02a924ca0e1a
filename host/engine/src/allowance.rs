//! How much payload may still move under a leave of the embedder's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fumehood_control::{Cause, Leave};
use fumehood_policy::Lapse;

/// Most bytes reserved at once, so that exchanges under one leave share what
/// is left of it: a few buffers' worth.
const MAX_RESERVED: u64 = 256 * 1024;

/// Most leaves that are counted; the embedder has no more at once.
pub(crate) const MAX_LEAVES: usize = 1024;

/// What one exchange may move. Clones share the count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowance {
    /// `None` for as much as there is.
    left: Option<Arc<AtomicU64>>,
}

impl Allowance {
    /// Reserves up to `wanted` bytes, more than 0. What is not moved is to be
    /// given back.
    pub(crate) fn reserve(&self, wanted: u64) -> Result<u64, Cause> {
        let Some(left) = &self.left else {
            return Ok(wanted);
        };
        let wanted = wanted.min(MAX_RESERVED);
        let taken = |left: u64| Some(left - left.min(wanted));
        let before = match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken) {
            Ok(before) | Err(before) => before,
        };
        match before.min(wanted) {
            0 => Err(Cause::Lapsed(Lapse::Spent)),
            reserved => Ok(reserved),
        }
    }

    /// Gives back what was reserved and not moved.
    pub(crate) fn give_back(&self, unused: u64) {
        if let Some(left) = &self.left {
            left.fetch_add(unused, Ordering::Relaxed);
        }
    }
}

/// The counts of leaves that were named, until they are taken back.
#[derive(Debug, Default)]
pub(crate) struct Leaves {
    counts: Mutex<HashMap<u64, Arc<AtomicU64>>>,
}

impl Leaves {
    /// What an exchange under this leave may move.
    pub(crate) fn allow(&self, leave: Option<Leave>) -> Result<Allowance, Cause> {
        let Some(leave) = leave.filter(|leave| leave.bytes < u64::MAX) else {
            return Ok(Allowance::default());
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_LEAVES && !counts.contains_key(&leave.id) {
            return Err(Cause::Busy);
        }
        let count = counts
            .entry(leave.id)
            .or_insert_with(|| Arc::new(AtomicU64::new(leave.bytes)));
        Ok(Allowance {
            left: Some(Arc::clone(count)),
        })
    }

    /// Forgets a leave that was taken back.
    pub(crate) fn forget(&self, leave: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.remove(&leave);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_share_what_a_leave_has_left() {
        let leaves = Leaves::default();
        let leave = Some(Leave { id: 1, bytes: 100 });
        let (first, second) = (leaves.allow(leave), leaves.allow(leave));
        let (Ok(first), Ok(second)) = (first, second) else {
            panic!("there is room");
        };
        assert_eq!(first.reserve(60), Ok(60));
        assert_eq!(second.reserve(60), Ok(40));
        assert_eq!(second.reserve(1), Err(Cause::Lapsed(Lapse::Spent)));
        first.give_back(10);
        assert_eq!(second.reserve(60), Ok(10));
        // One that is taken back and named again would begin anew: it never is.
        leaves.forget(1);
        assert_eq!(first.reserve(1), Err(Cause::Lapsed(Lapse::Spent)));
    }

    #[test]
    fn leaves_are_counted_and_those_without_a_budget_are_not() {
        let leaves = Leaves::default();
        for id in 0..MAX_LEAVES as u64 {
            assert!(leaves.allow(Some(Leave { id, bytes: 1 })).is_ok());
        }
        let one_more = Leave {
            id: u64::MAX,
            bytes: 1,
        };
        assert!(leaves.allow(Some(one_more)).is_err());
        leaves.forget(0);
        assert!(leaves.allow(Some(one_more)).is_ok());
        let endless = Leave {
            id: 7777,
            bytes: u64::MAX,
        };
        let allowance = leaves.allow(Some(endless)).unwrap_or_default();
        assert_eq!(allowance.reserve(u64::MAX), Ok(u64::MAX));
    }
}
