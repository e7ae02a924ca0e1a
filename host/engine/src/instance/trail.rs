//! What an instance was asked and said, without any content.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use fumehood_control::{MAX_REPORT_STEPS, TrailStep};
use tracing::level_filters::LevelFilter;

use crate::registry::About;

/// A call into a guest, or something it answered: kinds and sizes only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trace {
    /// A call without a size.
    Call(&'static str),
    /// A call with so many bytes.
    CallWith(&'static str, u64),
    /// A head: its kind, status and number of fields.
    Head(&'static str, u16, usize),
    /// Trailers, so many.
    Trailers(usize),
    /// The exchange is over, and the connection can go on or not.
    Complete(bool),
    /// A demand: of what, and how much.
    Demand(&'static str, u64),
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trace::Call(name) => f.write_str(name),
            Trace::CallWith(name, bytes) => write!(f, "{name} {bytes} bytes"),
            Trace::Head(kind, status, fields) => write!(f, "{kind} {status}, {fields} fields"),
            Trace::Trailers(fields) => write!(f, "trailers, {fields} fields"),
            Trace::Complete(true) => f.write_str("complete, reusable"),
            Trace::Complete(false) => f.write_str("complete, not reusable"),
            Trace::Demand(what, amount) => write!(f, "demand {what} {amount}"),
        }
    }
}

/// The latest steps, which are told to the log too.
#[derive(Debug)]
pub(crate) struct Trail {
    about: Arc<About>,
    made: Instant,
    steps: VecDeque<(Instant, Trace)>,
}

impl Trail {
    pub(crate) fn new(about: &Arc<About>) -> Trail {
        Trail {
            about: about.clone(),
            made: Instant::now(),
            steps: VecDeque::new(),
        }
    }

    pub(crate) fn note(&mut self, trace: Trace) {
        if LevelFilter::current() >= LevelFilter::DEBUG {
            log(&self.about, trace);
        }
        if self.steps.len() == MAX_REPORT_STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back((Instant::now(), trace));
    }

    /// Gives unused memory back.
    pub(crate) fn shrink(&mut self) {
        self.steps.shrink_to_fit();
    }

    /// For a report, oldest first.
    pub(crate) fn tell(&self) -> Vec<TrailStep> {
        let step = |(at, trace): &(Instant, Trace)| TrailStep {
            at_us: u64::try_from((*at - self.made).as_micros()).unwrap_or(u64::MAX),
            what: trace.to_string(),
        };
        self.steps.iter().map(step).collect()
    }
}

/// A target for each of our guests, so that one of them can be asked for
/// (`FUMEHOOD_LOG=guest::tls=debug`); targets are known when compiling.
fn log(about: &About, trace: Trace) {
    let header = &about.header;
    let (name, version) = (&header.name[..], &header.version[..]);
    match name {
        "http1" => tracing::debug!(target: "guest::http1", version, "{trace}"),
        "tls" => tracing::debug!(target: "guest::tls", version, "{trace}"),
        "x509" => tracing::debug!(target: "guest::x509", version, "{trace}"),
        "dns" => tracing::debug!(target: "guest::dns", version, "{trace}"),
        "pac" => tracing::debug!(target: "guest::pac", version, "{trace}"),
        "socks" => tracing::debug!(target: "guest::socks", version, "{trace}"),
        _ => tracing::debug!(target: "guest::other", name, version, "{trace}"),
    }
}
