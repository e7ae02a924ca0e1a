//! How an instance ended: kind, words, backtrace, trail.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use fumehood_control::{Aftermath, Cause, FaultReport, Frame, MAX_REPORT_STEPS};
use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};

use super::state::{GuestState, bounded};
use crate::registry::About;

/// Longest function name in a backtrace, in bytes.
const MAX_FUNCTION_NAME: usize = 256;

/// No instance could be had: nobody's fault but the pool's.
const NO_INSTANCE: &str = "no-instance";

/// A guest that ended: its store is of no further use.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    about: Arc<About>,
    report: Box<FaultReport>,
}

impl Fault {
    /// Reads a failed call.
    pub(crate) fn of_call(state: &GuestState, error: &wasmtime::Error) -> Fault {
        let trap = error.downcast_ref::<Trap>();
        let kind = match trap {
            Some(Trap::Interrupt) => "hang",
            _ if state.memory_refused => "memory",
            _ if state.table_refused => "table",
            _ if state.starved => NO_INSTANCE,
            None if is_for_handles(error) => "handles",
            None if says(error, TRANSFER_REFUSED) => "transfer",
            Some(_) => "trap",
            None if state.last_words.is_some() => "trap",
            // An import ends a guest that asks for what is not its to ask for.
            None if state.entered => "trap",
            None => NO_INSTANCE,
        };
        let mut fault = Fault::with(state, kind, String::new());
        let report = &mut fault.report;
        match (&state.last_words, trap) {
            _ if kind == NO_INSTANCE && state.starved => {
                report.detail =
                    "all guests together have as much memory as they may; try later".to_owned();
            }
            (Some(words), _) => {
                report.detail.clone_from(&words.message);
                report.location.clone_from(&words.location);
            }
            (None, Some(trap)) => report.detail = trap.to_string(),
            (None, None) => report.detail = bounded(&format!("{error:#}")),
        }
        report.backtrace = error
            .downcast_ref::<WasmBacktrace>()
            .map(frames)
            .unwrap_or_default();
        fault
    }

    /// A guest whose answers show that it is not to be believed.
    pub(crate) fn of_words(state: &GuestState, kind: &'static str, detail: String) -> Fault {
        Fault::with(state, kind, detail)
    }

    fn with(state: &GuestState, kind: &str, detail: String) -> Fault {
        let about = Arc::clone(&state.alive.about);
        let report = Box::new(FaultReport {
            number: 0,
            header: about.header.clone(),
            kind: kind.to_owned(),
            detail,
            location: String::new(),
            backtrace: Vec::new(),
            trail: state.trail.tell(),
            recording: state.recording.tell(),
            aftermath: Aftermath::Failed,
            quarantined: false,
        });
        Fault { about, report }
    }

    /// Adds to what is told.
    pub(crate) fn remark(&mut self, remark: &str) {
        self.report.detail = bounded(&format!("{}; {remark}", self.report.detail));
    }

    /// What is known of it.
    pub(crate) fn report(&self) -> &FaultReport {
        &self.report
    }

    /// Reports it, and counts it as one of the version's without holding it
    /// against it: what the guest was given to run has brought it about.
    pub(crate) fn tell_of_input(&self) {
        if self.report.kind != NO_INSTANCE {
            self.about.tally.faults.fetch_add(1, Ordering::Relaxed);
            self.about.supervisor.report(self.report.clone());
        }
    }

    /// There was no instance to be had, or no memory for it.
    pub(crate) fn is_for_want_of_room(&self) -> bool {
        self.report.kind == NO_INSTANCE
    }

    /// Counts it against its version and reports it. To be called once, when
    /// it is known what became of what the guest was doing.
    pub(crate) fn settle(&self, aftermath: Aftermath) {
        if self.report.kind == NO_INSTANCE {
            return;
        }
        let mut report = self.report.clone();
        report.aftermath = aftermath;
        report.quarantined = self.about.strike(Instant::now());
        if aftermath == Aftermath::Resumed {
            self.about.tally.resumed.fetch_add(1, Ordering::Relaxed);
        }
        self.about.supervisor.report(report);
    }
}

/// Ends of guests in one piece of work, of which nobody knows yet what becomes.
/// Forgotten, in a cancelled exchange for one, they are reported as its failure.
#[derive(Debug)]
pub(crate) struct Faults {
    first: Fault,
    others: Vec<Fault>,
    settled: bool,
}

impl Faults {
    /// Adds one more.
    pub(crate) fn push(&mut self, fault: Fault) {
        self.others.push(fault);
    }

    /// Adds those of another attempt.
    pub(crate) fn append(&mut self, mut more: Faults) {
        self.others.push(more.first.clone());
        self.others.append(&mut more.others);
        more.settled = true;
    }

    /// Counts and reports them all.
    pub(crate) fn settle(mut self, aftermath: Aftermath) {
        self.tell(aftermath);
    }

    /// What is known of the first of them.
    pub(crate) fn report(&self) -> &FaultReport {
        self.first.report()
    }

    /// The first of them as a cause.
    pub(crate) fn first(&self) -> Cause {
        self.first.clone().into()
    }

    /// For who is told why it failed: the first, and what was tried then. They
    /// are reported as a failure.
    pub(crate) fn fail(self, remark: &str) -> Cause {
        let mut first = self.first.clone();
        first.remark(remark);
        first.into()
    }

    fn tell(&mut self, aftermath: Aftermath) {
        if !std::mem::replace(&mut self.settled, true) {
            self.first.settle(aftermath);
            self.others.iter().for_each(|other| other.settle(aftermath));
        }
    }
}

impl From<Fault> for Faults {
    fn from(first: Fault) -> Faults {
        Faults {
            first,
            others: Vec::new(),
            settled: false,
        }
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.tell(Aftermath::Failed);
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FaultReport {
            header,
            kind,
            detail,
            ..
        } = &*self.report;
        write!(
            f,
            "the {} guest ({}) ended: {kind}: {detail}",
            header.name, header.version
        )
    }
}

impl From<Fault> for Cause {
    fn from(fault: Fault) -> Cause {
        let FaultReport {
            header,
            kind,
            mut detail,
            location,
            ..
        } = *fault.report;
        if !location.is_empty() {
            detail = bounded(&format!("{detail} ({location})"));
        }
        Cause::Guest {
            module: header.name,
            version: header.version,
            kind,
            detail,
        }
    }
}

/// wasmtime's words for a call that passes more than
/// [`super::state::CALL_BYTES`], and for more than
/// [`super::state::MAX_HANDLES`]. It has no types for them; the tests of these
/// kinds hold it to its words.
const TRANSFER_REFUSED: &str = "fuel allocated for hostcalls has been exhausted";
const HANDLE_REFUSED: &str = "store handle limit exceeded";

/// A resource was refused: one of the store's handles, or a place in the
/// connection's own table.
fn is_for_handles(error: &wasmtime::Error) -> bool {
    matches!(
        error.downcast_ref::<ResourceTableError>(),
        Some(ResourceTableError::Full)
    ) || says(error, HANDLE_REFUSED)
}

fn says(error: &wasmtime::Error, words: &str) -> bool {
    error.chain().any(|cause| cause.to_string().contains(words))
}

fn frames(backtrace: &WasmBacktrace) -> Vec<Frame> {
    backtrace
        .frames()
        .iter()
        .take(MAX_REPORT_STEPS)
        .map(|frame| {
            let name = frame.func_name().unwrap_or("?");
            let mut function = format!("{:#}", rustc_demangle::demangle(name));
            let mut end = function.len().min(MAX_FUNCTION_NAME);
            while !function.is_char_boundary(end) {
                end -= 1;
            }
            function.truncate(end);
            Frame {
                function,
                offset: frame.module_offset().unwrap_or(0) as u64,
            }
        })
        .collect()
}
