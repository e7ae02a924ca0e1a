//! The order in which proxies are tried, on a clock of the test's own.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use fumehood_policy::{FIRST_RETRY, LONGEST_RETRY, MAX_REMEMBERED, RetryMemory};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn what_failed_comes_last_until_it_is_due() {
    let start = Instant::now();
    let mut memory = RetryMemory::default();
    let list = ["a", "b", "direct"];
    assert_eq!(memory.order(&list, start), list);
    memory.failed(&"a", start);
    assert_eq!(memory.order(&list, start), ["b", "direct", "a"]);
    memory.failed(&"b", start + SECOND);
    memory.failed(&"direct", start + 2 * SECOND);
    // All failed: the one that is due first is tried first.
    assert_eq!(memory.order(&list, start + 3 * SECOND), list);
    assert_eq!(memory.order(&["b", "a"], start + 3 * SECOND), ["a", "b"]);
    // Due again, in the script's own order.
    assert_eq!(memory.order(&["b", "a"], start + FIRST_RETRY), ["a", "b"]);
    let all_due = start + FIRST_RETRY + 2 * SECOND;
    assert_eq!(memory.order(&["b", "a"], all_due), ["b", "a"]);
}

#[test]
fn the_time_doubles_while_it_keeps_failing() {
    let mut now = Instant::now();
    let mut memory = RetryMemory::default();
    let mut waits = Vec::new();
    for _ in 0..6 {
        memory.failed(&"a", now);
        // Told again within its time, it counts once.
        memory.failed(&"a", now + SECOND);
        let (_, wait) = memory.list(now).pop().unwrap();
        waits.push(wait.as_secs() / 60);
        now += wait;
    }
    assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
    // Well for long enough, it begins anew.
    now += LONGEST_RETRY;
    memory.failed(&"a", now);
    assert_eq!(memory.list(now), [("a", FIRST_RETRY)]);
    memory.worked(&"a");
    assert_eq!(memory.list(now), []);
}

#[test]
fn no_more_is_remembered_than_may_be() {
    let start = Instant::now();
    let mut memory = RetryMemory::default();
    for number in 0..MAX_REMEMBERED + 10 {
        let now = start + SECOND * u32::try_from(number).unwrap() / 100;
        memory.failed(&number, now);
    }
    let list = memory.list(start);
    assert_eq!(list.len(), MAX_REMEMBERED);
    // The soonest due made room.
    assert!(!list.iter().any(|(number, _)| *number < 10));
    memory.clear();
    assert_eq!(memory.list(start), []);
}

proptest! {
    #[test]
    fn an_order_has_what_the_list_had(
        list in prop::collection::vec(0_u8..9, 0..9),
        failed in prop::collection::vec((0_u8..9, 0_u64..900), 0..20),
        at in 0_u64..900,
    ) {
        let start = Instant::now();
        let mut memory = RetryMemory::default();
        for (proxy, second) in failed {
            memory.failed(&proxy, start + Duration::from_secs(second));
        }
        let mut ordered = memory.order(&list, start + Duration::from_secs(at));
        let mut list = list;
        ordered.sort_unstable();
        list.sort_unstable();
        prop_assert_eq!(ordered, list);
    }
}
