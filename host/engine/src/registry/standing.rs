//! Where a version stands, as a machine: what may follow what.

use std::time::Instant;

use fumehood_control::ModuleState;

/// A version's standing.
///
/// ```text
///              promote                supersede             settle
/// Candidate ───────────► Current ───────────────► Draining ───────► Candidate
///     ▲                     │ ▲                     │  │
///     │                     │ └───────promote───────┘  │
///     │         condemn     ▼          condemn         │
///     └──(never by itself) Quarantined ◄───────────────┘
/// ```
///
/// A quarantined version becomes current again only by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Loaded and checked.
    Candidate,
    /// New connections take it.
    Current,
    /// What was begun with it goes on; it is told of until then at most.
    Draining { until: Instant },
    /// Trapped too often.
    Quarantined,
}

impl Standing {
    /// It becomes current, whatever it was.
    pub(crate) fn promote(&mut self) {
        *self = Standing::Current;
    }

    /// Another becomes current.
    pub(crate) fn supersede(&mut self, until: Instant) {
        if *self == Standing::Current {
            *self = Standing::Draining { until };
        }
    }

    /// Time passes, or an instance ends.
    pub(crate) fn settle(&mut self, live: u64, now: Instant) {
        if let Standing::Draining { until } = *self
            && (live == 0 || now >= until)
        {
            *self = Standing::Candidate;
        }
    }

    /// It trapped too often.
    pub(crate) fn condemn(&mut self) {
        *self = Standing::Quarantined;
    }

    /// For the embedder.
    pub(crate) fn state(self) -> ModuleState {
        match self {
            Standing::Candidate => ModuleState::Candidate,
            Standing::Current => ModuleState::Current,
            Standing::Draining { .. } => ModuleState::Draining,
            Standing::Quarantined => ModuleState::Quarantined,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_version_goes_round() {
        let now = Instant::now();
        let until = now + Duration::from_secs(1);
        let mut standing = Standing::Candidate;
        standing.supersede(until);
        assert_eq!(
            standing,
            Standing::Candidate,
            "what is not current is not superseded"
        );
        standing.promote();
        standing.settle(0, now);
        assert_eq!(
            standing,
            Standing::Current,
            "what is current does not drain"
        );
        standing.supersede(until);
        standing.settle(1, now);
        assert_eq!(standing, Standing::Draining { until });
        standing.settle(1, until);
        assert_eq!(standing, Standing::Candidate);
        standing.promote();
        standing.supersede(until);
        standing.settle(0, now);
        assert_eq!(standing, Standing::Candidate);
    }

    #[test]
    fn quarantine_ends_by_name_only() {
        let now = Instant::now();
        let mut standing = Standing::Current;
        standing.condemn();
        standing.supersede(now);
        standing.settle(0, now);
        assert_eq!(standing, Standing::Quarantined);
        standing.promote();
        assert_eq!(standing, Standing::Current);
    }
}
