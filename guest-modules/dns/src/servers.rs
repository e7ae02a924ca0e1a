//! Which server to ask next, by how they have done.

use crate::bounds::{DOWN_TIME, FAILURES_UNTIL_DOWN};
use crate::types::Time;

#[derive(Clone, Debug, Default)]
struct Health {
    /// Timeouts and broken connections in a row.
    failures: u32,
    down_until: Time,
    /// It answered that it does not know EDNS.
    without_edns: bool,
}

/// How the configured servers have done, by their index.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    health: Vec<Health>,
    rotate: bool,
    next: usize,
}

impl Servers {
    pub(crate) fn new(count: usize, rotate: bool) -> Self {
        Servers {
            health: vec![Health::default(); count],
            rotate,
            next: 0,
        }
    }

    /// All servers in the order to ask them: as configured (or from one later
    /// in each lookup), those that are down last.
    pub(crate) fn order(&mut self, now: Time) -> Vec<usize> {
        let count = self.health.len();
        if count == 0 {
            return Vec::new();
        }
        let mut order: Vec<usize> = (0..count).map(|it| (it + self.next) % count).collect();
        if self.rotate {
            self.next = (self.next + 1) % count;
        }
        order.sort_by_key(|it| self.health[*it].down_until > now);
        order
    }

    pub(crate) fn succeeded(&mut self, server: usize) {
        if let Some(health) = self.health.get_mut(server) {
            health.failures = 0;
            health.down_until = Time::ZERO;
        }
    }

    pub(crate) fn failed(&mut self, server: usize, now: Time) {
        if let Some(health) = self.health.get_mut(server) {
            health.failures = health.failures.saturating_add(1);
            if health.failures >= FAILURES_UNTIL_DOWN {
                health.down_until = now + DOWN_TIME;
            }
        }
    }

    pub(crate) fn knows_edns(&self, server: usize) -> bool {
        self.health.get(server).is_some_and(|it| !it.without_edns)
    }

    pub(crate) fn does_not_know_edns(&mut self, server: usize) {
        if let Some(health) = self.health.get_mut(server) {
            health.without_edns = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_server_that_fails_is_asked_last_for_a_while() {
        let mut servers = Servers::new(3, false);
        let now = Duration::from_secs(100);
        assert_eq!(servers.order(now), [0, 1, 2]);
        for _ in 1..FAILURES_UNTIL_DOWN {
            servers.failed(0, now);
        }
        assert_eq!(servers.order(now), [0, 1, 2]);
        servers.failed(0, now);
        assert_eq!(servers.order(now), [1, 2, 0]);
        assert_eq!(servers.order(now + DOWN_TIME), [0, 1, 2]);
        servers.succeeded(0);
        assert_eq!(servers.order(now), [0, 1, 2]);
    }

    #[test]
    fn rotation_begins_one_later_each_time() {
        let mut servers = Servers::new(3, true);
        let orders = [(); 4].map(|()| servers.order(Time::ZERO));
        assert_eq!(orders, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
        assert!(Servers::new(0, true).order(Time::ZERO).is_empty());
    }
}
