//! What one call knows and may: its time, its names, its alerts, its chance.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::IpAddr;

use crate::bounds::{
    MAX_ADDRESSES, MAX_ALERT_BYTES, MAX_ALERTS, MAX_NAME_BYTES, MAX_NAMES, MAX_STEPS,
};
use crate::builtins::Patterns;
use crate::resolve::{Resolve, Unresolved};
use crate::surroundings::{Civil, Surroundings};
use crate::text::bounded;

/// What built-in functions reach through the JavaScript context.
pub(crate) struct Shared {
    pub(crate) surroundings: RefCell<Surroundings>,
    pub(crate) patterns: RefCell<Patterns>,
    /// Milliseconds since the Unix epoch. Stands still during a call.
    pub(crate) now: Cell<i64>,
    chance: Cell<u64>,
    notes: RefCell<Notes>,
    /// Where calls are to be told: the latest [`MAX_STEPS`], and how many before.
    steps: RefCell<(VecDeque<Step>, u32)>,
    resolver: RefCell<Box<dyn Resolve>>,
}

/// What a call leaves behind for whoever explains it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    /// Names asked for, and what came of it.
    names: Vec<(String, Vec<IpAddr>)>,
    /// Names beyond [`MAX_NAMES`].
    pub(crate) refused_names: u32,
    pub(crate) alerts: Vec<String>,
    /// Alerts beyond [`MAX_ALERTS`].
    pub(crate) dropped_alerts: u32,
    /// The name without which the call could not go on.
    pub(crate) needs: Option<String>,
}

/// A function of ours that a script called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub function: &'static str,
    /// What it was given, as in source text; printable and cut.
    pub arguments: String,
    /// What it gave back, likewise.
    pub answer: String,
}

impl Notes {
    pub(crate) fn into_names(self) -> Vec<String> {
        self.names.into_iter().map(|(name, _)| name).collect()
    }
}

impl Shared {
    pub(crate) fn new(resolver: Box<dyn Resolve>) -> Self {
        Self {
            surroundings: RefCell::default(),
            patterns: RefCell::default(),
            now: Cell::new(0),
            chance: Cell::new(0),
            notes: RefCell::default(),
            steps: RefCell::default(),
            resolver: RefCell::new(resolver),
        }
    }

    /// Begins a call: what the last one left is gone.
    pub(crate) fn begin(&self, now: i64, seed: u64) {
        self.now.set(now);
        self.chance.set(seed);
        self.notes.take();
        self.steps.take();
    }

    /// Ends it.
    pub(crate) fn end(&self) -> Notes {
        self.notes.take()
    }

    pub(crate) fn alert(&self, text: &str) {
        let mut notes = self.notes.borrow_mut();
        if notes.alerts.len() < MAX_ALERTS {
            notes.alerts.push(bounded(text, MAX_ALERT_BYTES));
        } else {
            notes.dropped_alerts = notes.dropped_alerts.saturating_add(1);
        }
    }

    pub(crate) fn step(&self, step: Step) {
        let (steps, earlier) = &mut *self.steps.borrow_mut();
        if steps.len() == MAX_STEPS {
            steps.pop_front();
            *earlier = earlier.saturating_add(1);
        }
        steps.push_back(step);
    }

    /// What was noted, and how much before it was not kept.
    pub(crate) fn take_steps(&self) -> (Vec<Step>, u32) {
        let (steps, earlier) = self.steps.take();
        (steps.into(), earlier)
    }

    /// The next number of the call's sequence (SplitMix64): fair enough to
    /// spread load with, and the same when the call is made again.
    pub(crate) fn random(&self) -> f64 {
        let state = self.chance.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.chance.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        // 53 bits are what a double holds.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
        let fraction = (mixed >> 11) as f64;
        fraction / (1_u64 << 53) as f64
    }

    /// Now, in UTC or by the local clock.
    pub(crate) fn civil(&self, utc: bool) -> Civil {
        let seconds = self.now.get().div_euclid(1000);
        let offset = match utc {
            true => 0,
            false => self.surroundings.borrow().zone.offset_at(seconds),
        };
        Civil::of(seconds.saturating_add(i64::from(offset)))
    }

    /// The addresses of a name, none where there are none.
    ///
    /// # Errors
    /// When the call cannot go on before the name is found.
    pub(crate) fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Stopped> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if !is_name(&name) {
            return Ok(Vec::new());
        }
        let mut notes = self.notes.borrow_mut();
        if let Some((_, found)) = notes.names.iter().find(|(known, _)| *known == name) {
            return Ok(found.clone());
        }
        if notes.names.len() == MAX_NAMES {
            notes.refused_names = notes.refused_names.saturating_add(1);
            return Ok(Vec::new());
        }
        let found = match self.resolver.borrow_mut().resolve(&name) {
            Ok(mut found) => {
                found.truncate(MAX_ADDRESSES);
                found
            }
            Err(Unresolved::NotFound) => Vec::new(),
            Err(Unresolved::Later) => {
                notes.needs = Some(name);
                return Err(Stopped);
            }
        };
        notes.names.push((name, found.clone()));
        Ok(found)
    }
}

/// The call has to end here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped;

/// What may be asked for: letters, digits, hyphens, underscores and dots.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && name.bytes().all(allowed)
        && name
            .split('.')
            .all(|label| !label.is_empty() && label.len() <= 63)
}
