//! What all guests share: the memory they may have, and who hears of their ends.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fumehood_control::{EngineSetup, FaultReport, GuestPreferences, ToEmbedder, fragments};
use tokio::sync::mpsc;

use crate::outbox::Outbox;

/// Reports that may wait for the embedder to read. More are dropped and
/// counted: the numbers of those that arrive show the gap.
const WAITING_REPORTS: usize = 64;

/// Linear memory of all guests together, in bytes for each instance there may
/// be. An honest guest has 1 to 2 MiB; one may have up to 16 while others have less.
const MEMORY_PER_INSTANCE: u64 = 3 << 20;

/// Least memory of all guests together, in bytes, so that a small pool holds
/// one guest at its own bound.
const LEAST_MEMORY: u64 = 64 << 20;

/// What guests are held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Most alive at once.
    pub instances: u32,
    /// Faults within the window that condemn a version.
    pub quarantine_faults: u32,
    pub quarantine_window: Duration,
    /// How long a version that is not current is told of as draining at most.
    pub drain: Duration,
    /// Keep calls with their content for reports.
    pub record: bool,
}

impl Limits {
    /// For one guest and nobody who listens.
    pub(crate) fn for_one() -> Limits {
        Limits {
            instances: 4,
            quarantine_faults: u32::MAX,
            quarantine_window: Duration::ZERO,
            drain: Duration::ZERO,
            record: false,
        }
    }
}

impl From<&EngineSetup> for Limits {
    fn from(setup: &EngineSetup) -> Limits {
        Limits {
            instances: setup.max_instances,
            quarantine_faults: setup.quarantine_faults,
            quarantine_window: Duration::from_millis(setup.quarantine_window_ms.into()),
            drain: Duration::from_millis(setup.drain_ms.into()),
            record: setup.record,
        }
    }
}

/// Something to tell the embedder that belongs to no exchange.
#[derive(Debug)]
pub(crate) enum Notice {
    Report(Box<FaultReport>),
    Say(ToEmbedder),
}

/// Watches over all guests.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub limits: Limits,
    /// Each guest asks for its own.
    preferences: Mutex<GuestPreferences>,
    memory: AtomicU64,
    faults: AtomicU64,
    /// Reports that nobody will read.
    dropped: AtomicU64,
    waiting: AtomicUsize,
    sender: mpsc::UnboundedSender<Notice>,
    notices: Mutex<Option<mpsc::UnboundedReceiver<Notice>>>,
}

impl Supervisor {
    pub(crate) fn new(limits: Limits) -> Arc<Supervisor> {
        let (sender, notices) = mpsc::unbounded_channel();
        Arc::new(Supervisor {
            limits,
            preferences: Mutex::default(),
            memory: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            sender,
            notices: Mutex::new(Some(notices)),
        })
    }

    /// Takes preferences, which hold for whoever asks from now on.
    pub(crate) fn prefer(&self, preferences: GuestPreferences) {
        let mut held = self.held_preferences();
        *held = preferences.within_bounds();
    }

    /// What is preferred now.
    pub(crate) fn preferences(&self) -> GuestPreferences {
        *self.held_preferences()
    }

    fn held_preferences(&self) -> MutexGuard<'_, GuestPreferences> {
        self.preferences
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Grants memory, if there is so much.
    pub(crate) fn take_memory(&self, bytes: u64) -> bool {
        let most = LEAST_MEMORY.max(MEMORY_PER_INSTANCE * u64::from(self.limits.instances));
        self.memory
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                taken.checked_add(bytes).filter(|sum| *sum <= most)
            })
            .is_ok()
    }

    /// Takes memory back.
    pub(crate) fn give_memory(&self, bytes: u64) {
        self.memory.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Numbers a fault's report and sends it.
    pub(crate) fn report(&self, mut report: Box<FaultReport>) {
        report.number = self.faults.fetch_add(1, Ordering::Relaxed) + 1;
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_REPORTS {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::warn!(
                number = report.number,
                dropped,
                "a fault's report was dropped"
            );
            return;
        }
        // Nobody listens any more when the engine ends.
        let _ = self.sender.send(Notice::Report(report));
    }

    /// Says something. How much may wait is bounded by what it is said of:
    /// a version is quarantined once until it is asked for again.
    pub(crate) fn say(&self, message: ToEmbedder) {
        let _ = self.sender.send(Notice::Say(message));
    }

    /// Takes the receiving end, once.
    pub(crate) fn listen(&self) -> Option<mpsc::UnboundedReceiver<Notice>> {
        self.notices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Carries notices to the embedder until there is none.
    pub(crate) async fn relay(&self, outbox: &Outbox) {
        let Some(mut notices) = self.listen() else {
            return;
        };
        while let Some(notice) = notices.recv().await {
            let said = match notice {
                Notice::Say(message) => outbox.send(message).await,
                Notice::Report(report) => {
                    self.waiting.fetch_sub(1, Ordering::Relaxed);
                    send_report(outbox, *report).await
                }
            };
            if said.is_err() {
                return;
            }
        }
    }
}

async fn send_report(
    outbox: &Outbox,
    mut report: FaultReport,
) -> Result<(), fumehood_control::Cause> {
    let number = report.number;
    let mut pieces = match fragments(&report) {
        Ok(pieces) => pieces,
        // Only a recording is so large, and the rest is worth having.
        Err(_) => {
            report.recording.clear();
            fragments(&report).unwrap_or_default()
        }
    };
    let Some(last) = pieces.pop() else {
        return Ok(());
    };
    for bytes in pieces {
        outbox
            .send(ToEmbedder::ReportFragment { number, bytes })
            .await?;
    }
    outbox
        .send(ToEmbedder::Report {
            number,
            bytes: last,
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_granted_up_to_the_bound_and_no_byte_more() {
        for (instances, mebibytes) in [(1, 64), (21, 64), (22, 66), (272, 816), (4096, 12_288)] {
            let supervisor = Supervisor::new(Limits {
                instances,
                ..Limits::for_one()
            });
            assert!(supervisor.take_memory((mebibytes << 20) - 1), "{instances}");
            assert!(!supervisor.take_memory(2), "{instances}");
            assert!(supervisor.take_memory(1));
            assert!(!supervisor.take_memory(1));
            assert!(!supervisor.take_memory(u64::MAX));
            supervisor.give_memory(1);
            assert!(supervisor.take_memory(1));
        }
    }

    #[test]
    fn reports_beyond_the_bound_are_dropped_and_their_numbers_are_missing() {
        let supervisor = Supervisor::new(Limits::for_one());
        let header = fumehood_control::ModuleHeader {
            name: String::new(),
            version: String::new(),
            digest: [0; 32],
        };
        for _ in 0..WAITING_REPORTS + 5 {
            supervisor.report(Box::new(FaultReport {
                number: 0,
                header: header.clone(),
                kind: String::new(),
                detail: String::new(),
                location: String::new(),
                backtrace: Vec::new(),
                trail: Vec::new(),
                recording: Vec::new(),
                aftermath: fumehood_control::Aftermath::Failed,
                quarantined: false,
            }));
        }
        let mut notices = supervisor.listen().expect("nobody else listens");
        let mut numbers = 0;
        while let Ok(Notice::Report(report)) = notices.try_recv() {
            numbers += 1;
            assert_eq!(report.number, numbers);
        }
        assert_eq!(numbers, WAITING_REPORTS as u64);
        assert_eq!(supervisor.dropped.load(Ordering::Relaxed), 5);
    }
}
