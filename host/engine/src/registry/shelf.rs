//! The versions of one module: which is current, which was, which never again.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use fumehood_control::{Cause, Digest, MAX_VERSIONS, ModuleStatus, SwapReason, ToEmbedder};

use super::about::About;
use super::standing::Standing;
use super::supervisor::Supervisor;
use super::world::Face;

/// A version: a linked module, and what is known of it.
pub(crate) struct Version<M> {
    pub about: Arc<About>,
    /// Ready to make instances.
    pub module: M,
    pub face: Face,
    /// Size of its native code, in bytes.
    pub native_bytes: u64,
}

impl<M> Version<M> {
    pub(crate) fn digest(&self) -> Digest {
        self.about.header.digest
    }

    fn live(&self) -> u64 {
        self.about
            .tally
            .live
            .load(std::sync::atomic::Ordering::Relaxed)
    }
}

struct Entry<M> {
    version: Arc<Version<M>>,
    standing: Standing,
    /// It goes with its last connection, and is used for no new one.
    withdrawn: bool,
}

/// The versions of one module.
pub(crate) struct Shelf<M> {
    name: String,
    supervisor: Arc<Supervisor>,
    inner: RwLock<Inner<M>>,
}

struct Inner<M> {
    /// In the order they came.
    entries: Vec<Entry<M>>,
    /// What new connections take. `None`: nothing, and never another way.
    current: Option<Arc<Version<M>>>,
    /// What was current before, the latest last, none twice.
    history: Vec<Digest>,
}

impl<M> Shelf<M> {
    pub(crate) fn new(name: &str, supervisor: &Arc<Supervisor>) -> Shelf<M> {
        Shelf {
            name: name.to_owned(),
            supervisor: Arc::clone(supervisor),
            inner: RwLock::new(Inner {
                entries: Vec::new(),
                current: None,
                history: Vec::new(),
            }),
        }
    }

    /// Whether a version is there already; one that was withdrawn is back then.
    pub(crate) fn take_back(&self, digest: Digest) -> bool {
        let mut inner = self.write();
        let Some(at) = inner.position(digest) else {
            return false;
        };
        inner.entries[at].withdrawn = false;
        true
    }

    /// Forgets a version, once its connections have ended. One that is not
    /// there is forgotten already.
    ///
    /// # Errors
    /// One sentence when it is current.
    pub(crate) fn withdraw(&self, digest: Digest) -> Result<(), String> {
        let mut inner = self.write();
        let Some(at) = inner.position(digest) else {
            return Ok(());
        };
        if inner.entries[at].standing == Standing::Current {
            return Err(format!(
                "this version of {} is current: make another current first",
                self.name
            ));
        }
        inner.entries[at].withdrawn = true;
        inner.history.retain(|former| *former != digest);
        inner.settle();
        Ok(())
    }

    /// The same of a version that is current too, where nothing has to be: the one
    /// before takes its place, or else any that is good, or nothing does.
    ///
    /// # Errors
    /// One sentence when it was made current again meanwhile.
    pub(crate) fn retire(&self, digest: Digest) -> Result<(), String> {
        self.write().step_down(digest, self.supervisor.limits.drain);
        self.withdraw(digest)
    }

    /// The module's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is no version at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.read().entries.is_empty()
    }

    /// Whether some version was made current, good or not.
    pub(crate) fn has_current(&self) -> bool {
        let inner = self.read();
        inner.current.is_some() || !inner.history.is_empty()
    }

    /// The version of this digest.
    pub(crate) fn version(&self, digest: Digest) -> Option<Arc<Version<M>>> {
        let inner = self.read();
        let at = inner.position(digest)?;
        Some(Arc::clone(&inner.entries[at].version))
    }

    /// Whether some version that was not withdrawn is so.
    pub(crate) fn any(&self, is_so: impl Fn(&Version<M>) -> bool) -> bool {
        self.read()
            .entries
            .iter()
            .any(|entry| !entry.withdrawn && is_so(&entry.version))
    }

    /// Takes a version off the shelf: it should not have been put there.
    pub(crate) fn remove(&self, digest: Digest) {
        let mut inner = self.write();
        inner
            .entries
            .retain(|entry| entry.version.digest() != digest);
        inner.history.retain(|former| *former != digest);
        inner.current.take_if(|version| version.digest() == digest);
    }

    /// Puts a version on the shelf, as a candidate.
    ///
    /// # Errors
    /// One sentence when there is no room.
    pub(crate) fn add(&self, version: Version<M>) -> Result<(), String> {
        let mut inner = self.write();
        inner.settle();
        if inner.entries.len() >= MAX_VERSIONS {
            inner.drop_oldest().ok_or_else(|| {
                format!(
                    "{MAX_VERSIONS} versions of {} are loaded, and all are in use",
                    self.name
                )
            })?;
        }
        let version = Arc::new(version);
        inner.entries.push(Entry {
            version,
            standing: Standing::Candidate,
            withdrawn: false,
        });
        Ok(())
    }

    /// What a new connection takes. Puts another in its place first, if it
    /// has come to be quarantined.
    ///
    /// # Errors
    /// A [`Cause::Guest`] of the kind `no-instance` when none is left.
    pub(crate) fn current(&self) -> Result<Arc<Version<M>>, Cause> {
        match &self.read().current {
            Some(version) if !version.about.is_condemned() => return Ok(Arc::clone(version)),
            _ => {}
        }
        self.enforce();
        self.read().current.clone().ok_or_else(|| self.none_left())
    }

    /// Does something with each version that is not current.
    pub(crate) fn for_others(&self, act: impl Fn(&M)) {
        let inner = self.read();
        let others = inner
            .entries
            .iter()
            .filter(|entry| entry.standing != Standing::Current);
        others.for_each(|entry| act(&entry.version.module));
    }

    /// The latest good version that was current before, other than this one.
    pub(crate) fn previous(&self, to: Digest) -> Option<Arc<Version<M>>> {
        let inner = self.read();
        let former = inner.history.iter().rev();
        let current = inner.current.iter().map(|version| version.digest());
        current
            .chain(former.copied())
            .filter(|digest| *digest != to)
            .find_map(|digest| inner.good(digest))
    }

    /// Makes a version current.
    ///
    /// # Errors
    /// One sentence when there is no such version.
    pub(crate) fn swap(&self, digest: Digest) -> Result<ToEmbedder, String> {
        let began = Instant::now();
        let mut inner = self.write();
        let at = inner
            .position(digest)
            .ok_or_else(|| format!("no version of {} has this digest: load it first", self.name))?;
        let from = inner.make_current(at, self.supervisor.limits.drain);
        Ok(self.swapped(from, digest, began, SwapReason::Asked))
    }

    /// Makes the version current that was so before the present one.
    ///
    /// # Errors
    /// One sentence when there was none, or it is quarantined or gone.
    pub(crate) fn rollback(&self) -> Result<ToEmbedder, String> {
        let began = Instant::now();
        let mut inner = self.write();
        let now = inner.current.as_ref().map(|version| version.digest());
        let before = inner
            .history
            .iter()
            .rev()
            .copied()
            .find(|digest| Some(*digest) != now && inner.good(*digest).is_some())
            .ok_or_else(|| {
                format!(
                    "no good version of {} was current before this one",
                    self.name
                )
            })?;
        let at = inner
            .position(before)
            .ok_or_else(|| "it is gone".to_owned())?;
        let from = inner.make_current(at, self.supervisor.limits.drain);
        Ok(self.swapped(from, before, began, SwapReason::Asked))
    }

    /// Quarantines what trapped too often, and puts the newest good older
    /// version in the place of a current one.
    pub(crate) fn enforce(&self) {
        let began = Instant::now();
        let mut inner = self.write();
        for entry in &mut inner.entries {
            if entry.version.about.is_condemned() {
                entry.standing.condemn();
            }
        }
        let Some(bad) = inner
            .current
            .take_if(|version| version.about.is_condemned())
        else {
            return;
        };
        let from = bad.digest();
        let fallback = inner
            .history
            .iter()
            .rev()
            .copied()
            .filter(|digest| *digest != from && inner.good(*digest).is_some())
            .find_map(|digest| inner.position(digest));
        // Nothing takes its place: what needs it fails, and says so.
        let Some(at) = fallback else { return };
        let to = inner.entries[at].version.digest();
        inner.make_current(at, self.supervisor.limits.drain);
        drop(inner);
        self.supervisor
            .say(self.swapped(from, to, began, SwapReason::Quarantine));
    }

    /// How all versions are.
    pub(crate) fn statuses(&self) -> Vec<ModuleStatus> {
        use std::sync::atomic::Ordering::Relaxed;
        self.enforce();
        let mut inner = self.write();
        inner.settle();
        let status = |Entry {
                          version, standing, ..
                      }: &Entry<M>| {
            let tally = &version.about.tally;
            ModuleStatus {
                header: version.about.header.clone(),
                state: standing.state(),
                imports: version.face.imports.clone(),
                exports: version.face.exports.clone(),
                native_bytes: version.native_bytes,
                live: tally.live.load(Relaxed),
                made: tally.made.load(Relaxed),
                memory_bytes: tally.memory.load(Relaxed),
                faults: tally.faults.load(Relaxed),
                resumed: tally.resumed.load(Relaxed),
            }
        };
        inner.entries.iter().map(status).collect()
    }

    fn swapped(&self, from: Digest, to: Digest, began: Instant, reason: SwapReason) -> ToEmbedder {
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        ToEmbedder::Swapped {
            name: self.name.clone(),
            from,
            to,
            took_us,
            reason,
        }
    }

    fn none_left(&self) -> Cause {
        Cause::Guest {
            module: self.name.clone(),
            version: String::new(),
            kind: "no-instance".to_owned(),
            detail: format!(
                "every version of {} that was in use is quarantined, and there is no other way to \
                 do its work: load a better one, or make one of these current by name",
                self.name
            ),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner<M>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner<M>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> Inner<M> {
    fn position(&self, digest: Digest) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| entry.version.digest() == digest)
    }

    /// A version that is loaded and was not found bad.
    fn good(&self, digest: Digest) -> Option<Arc<Version<M>>> {
        let entry = &self.entries[self.position(digest)?];
        let bad = entry.standing == Standing::Quarantined
            || entry.version.about.is_condemned()
            || entry.withdrawn;
        (!bad).then(|| Arc::clone(&entry.version))
    }

    /// Returns the digest of what was current; zeros if nothing was.
    fn make_current(&mut self, at: usize, drain: Duration) -> Digest {
        let now = Instant::now();
        let version = Arc::clone(&self.entries[at].version);
        let digest = version.digest();
        version.about.pardon();
        for entry in &mut self.entries {
            entry.standing.supersede(now + drain);
        }
        self.entries[at].standing.promote();
        self.entries[at].withdrawn = false;
        let before = self.current.replace(version).map(|before| before.digest());
        self.history
            .retain(|former| *former != digest && Some(*former) != before);
        // What it replaces is the first to go back to, and to resume on.
        self.history
            .extend(before.filter(|before| *before != digest));
        self.settle();
        before.unwrap_or_default()
    }

    /// Has another be current in this one's place, or none.
    fn step_down(&mut self, digest: Digest, drain: Duration) {
        let is_it = |version: &Arc<Version<M>>| version.digest() == digest;
        let Some(at) = self.position(digest) else {
            return;
        };
        if !self.current.as_ref().is_some_and(is_it) {
            return;
        }
        let others = self.entries.iter().map(|entry| entry.version.digest());
        let mut heirs = self.history.iter().rev().copied().chain(others);
        let heir = heirs.find(|it| *it != digest && self.good(*it).is_some());
        match heir.and_then(|it| self.position(it)) {
            Some(heir) => drop(self.make_current(heir, drain)),
            None => {
                self.current = None;
                self.entries[at].standing.supersede(Instant::now() + drain);
            }
        }
    }

    fn settle(&mut self) {
        let now = Instant::now();
        for entry in &mut self.entries {
            entry.standing.settle(entry.version.live(), now);
        }
        self.entries.retain(|entry| {
            let over = matches!(entry.standing, Standing::Candidate | Standing::Quarantined);
            !(entry.withdrawn && over)
        });
    }

    /// Forgets the oldest version that is neither current nor in use.
    fn drop_oldest(&mut self) -> Option<()> {
        let at = self.entries.iter().position(|entry| {
            matches!(entry.standing, Standing::Candidate | Standing::Quarantined)
                && entry.version.live() == 0
        })?;
        let gone = self.entries.remove(at).version.digest();
        self.history.retain(|former| *former != gone);
        Some(())
    }
}
