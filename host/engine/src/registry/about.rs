//! What a version and all its instances share: its name, its tally, its faults.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use fumehood_control::{Instance, ModuleHeader};

use super::Supervisor;

/// A version, to its instances.
#[derive(Debug)]
pub(crate) struct About {
    pub header: ModuleHeader,
    pub supervisor: Arc<Supervisor>,
    pub tally: Tally,
    /// When its latest faults were, oldest first.
    strikes: Mutex<VecDeque<Instant>>,
    condemned: AtomicBool,
}

/// What is counted of a version.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub live: AtomicU64,
    pub made: AtomicU64,
    pub memory: AtomicU64,
    pub faults: AtomicU64,
    pub resumed: AtomicU64,
}

impl About {
    pub(crate) fn new(header: ModuleHeader, supervisor: &Arc<Supervisor>) -> Arc<About> {
        Arc::new(About {
            header,
            supervisor: Arc::clone(supervisor),
            tally: Tally::default(),
            strikes: Mutex::default(),
            condemned: AtomicBool::new(false),
        })
    }

    /// Counts a fault. True if it is the one too many.
    pub(crate) fn strike(&self, now: Instant) -> bool {
        self.tally.faults.fetch_add(1, Ordering::Relaxed);
        let limits = &self.supervisor.limits;
        let mut strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        strikes.push_back(now);
        while strikes
            .front()
            .is_some_and(|at| now - *at > limits.quarantine_window)
        {
            strikes.pop_front();
        }
        let too_many = strikes.len() >= limits.quarantine_faults.max(1) as usize;
        if too_many {
            strikes.clear();
        }
        too_many && !self.condemned.swap(true, Ordering::AcqRel)
    }

    /// It trapped too often and must not be used.
    pub(crate) fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Acquire)
    }

    /// It was asked for by name: it begins anew.
    pub(crate) fn pardon(&self) {
        self.strikes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.condemned.store(false, Ordering::Release);
    }

    /// An instance of it, for the journey.
    pub(crate) fn describe(&self, number: u64) -> Instance {
        Instance {
            module: self.header.name.clone(),
            version: self.header.version.clone(),
            digest: self.header.digest[..8]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            number,
        }
    }
}

/// An instance in its version's tally, while it lives.
#[derive(Debug)]
pub(crate) struct Alive {
    pub about: Arc<About>,
    /// Counts the version's instances.
    pub number: u64,
    memory: u64,
}

impl Alive {
    pub(crate) fn new(about: &Arc<About>) -> Alive {
        about.tally.live.fetch_add(1, Ordering::Relaxed);
        let number = about.tally.made.fetch_add(1, Ordering::Relaxed) + 1;
        Alive {
            about: Arc::clone(about),
            number,
            memory: 0,
        }
    }

    /// Linear memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory
    }

    /// Its memory is to have so many bytes. False if that is more than all
    /// guests together may have.
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.memory);
        if !self.about.supervisor.take_memory(more) {
            return false;
        }
        self.about.tally.memory.fetch_add(more, Ordering::Relaxed);
        self.memory += more;
        true
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.about.supervisor.give_memory(self.memory);
        self.about
            .tally
            .memory
            .fetch_sub(self.memory, Ordering::Relaxed);
        self.about.tally.live.fetch_sub(1, Ordering::Relaxed);
    }
}
