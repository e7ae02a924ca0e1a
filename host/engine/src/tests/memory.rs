//! Looks into the guests' linear memory of this process.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

/// What is behind a slot: no mapping but the pool's is as large, in bytes.
const GUARD_BEHIND: u64 = 1 << 30;

/// What is before the first slot, in bytes; before the others is what is
/// behind the one before.
const GUARD_BEFORE: u64 = 32 << 20;

/// In how many guests' memory the bytes stand.
pub(crate) fn guests_that_hold(text: &[u8]) -> usize {
    let memory = File::open("/proc/self/mem").unwrap();
    slots()
        .into_iter()
        .filter(|slot| {
            slot.iter().any(|&(start, end)| {
                let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
                // Memory may go while other tests end; then nothing is in it.
                memory.read_exact_at(&mut bytes, start).is_ok()
                    && memchr::memmem::find(&bytes, text).is_some()
            })
        })
        .count()
}

/// The pool's slots: writable mappings in a row between two guards.
fn slots() -> Vec<Vec<(u64, u64)>> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut slots: Vec<Vec<(u64, u64)>> = Vec::new();
    let mut slot: Option<Vec<(u64, u64)>> = None;
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let number = |digits| u64::from_str_radix(digits, 16).unwrap();
        let (start, end) = (number(start), number(end));
        if rest.starts_with("---") && end - start >= GUARD_BEFORE {
            let found = slot.replace(Vec::new());
            slots.extend(found.filter(|_| end - start >= GUARD_BEHIND));
        } else if let (Some(slot), true) = (&mut slot, rest.starts_with("rw")) {
            slot.push((start, end));
        } else {
            slot = None;
        }
    }
    slots
}
