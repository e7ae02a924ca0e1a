//! Why a process will not run in a sandbox, in words for people.

use std::fmt;

use fumehood_control::{Layer, LayerReport, LayerState};
use rustix::io::Errno;

use crate::layers::Failed;
use crate::remedy::{HostFacts, remedy};

/// Why a process refuses to go on. It must exit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// [`crate::Bootstrap::enter`] was called twice, or late: threads run already.
    NotFirst,
    /// A step that needs no privilege and belongs to no layer failed.
    Setup {
        /// The system call, or the file.
        call: &'static str,
        /// What it failed with.
        errno: i32,
    },
    /// Layers of the floor, or layers that were required, do not hold.
    Missing {
        /// Which.
        missing: Vec<Layer>,
        /// How every layer is.
        layers: Vec<LayerReport>,
        /// From which likely causes are told.
        facts: HostFacts,
    },
}

impl Refusal {
    /// How every layer is; empty when it did not come so far.
    #[must_use]
    pub fn layers(&self) -> &[LayerReport] {
        match self {
            Refusal::Missing { layers, .. } => layers,
            Refusal::NotFirst | Refusal::Setup { .. } => &[],
        }
    }
}

impl From<Failed> for Refusal {
    fn from(Failed { call, errno }: Failed) -> Self {
        Refusal::Setup {
            call,
            errno: errno.map_or(0, Errno::raw_os_error),
        }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotFirst => f.write_str(
                "the sandbox was entered too late: call it once, first thing in main, \
                 before any thread",
            ),
            Refusal::Setup { call, errno } => write!(
                f,
                "the process could not be prepared for its sandbox: {call}: {}",
                in_words(*errno)
            ),
            Refusal::Missing {
                missing,
                layers,
                facts,
            } => {
                f.write_str("the sandbox is not whole, so the process does not start")?;
                for report in layers.iter().filter(|r| missing.contains(&r.layer)) {
                    write!(f, "; {}", explain(report, facts))?;
                }
                Ok(())
            }
        }
    }
}

/// One clause on a layer that is missing: what failed, why, what to do.
fn explain(report: &LayerReport, facts: &HostFacts) -> String {
    let name = report.layer.name();
    let LayerState::Missing { syscall, errno } = &report.state else {
        return format!("{name} is in order");
    };
    let failure = match errno {
        0 => format!("{name} is missing ({syscall} had no effect)"),
        errno => format!("{name} is missing ({syscall}: {})", in_words(*errno)),
    };
    match remedy(report, facts) {
        Some(remedy) => format!("{failure}: {}; {}", remedy.cause, remedy.fix),
        None => failure,
    }
}

fn in_words(errno: i32) -> String {
    std::io::Error::from_raw_os_error(errno).to_string()
}

#[cfg(test)]
mod tests {
    use super::Refusal;
    use crate::HostFacts;
    use fumehood_control::{Layer, LayerReport, LayerState};

    #[test]
    fn says_the_call_the_errno_the_cause_and_the_fix() {
        let syscall = "unshare(CLONE_NEWUSER)".to_owned();
        let state = LayerState::Missing {
            syscall,
            errno: libc::ENOSPC,
        };
        let refusal = Refusal::Missing {
            missing: vec![Layer::UserNamespace],
            layers: vec![LayerReport {
                layer: Layer::UserNamespace,
                state,
            }],
            facts: HostFacts {
                user_namespaces_max: Some(0),
                ..HostFacts::default()
            },
        };
        let text = refusal.to_string();
        for part in [
            "user-namespace",
            "unshare(CLONE_NEWUSER)",
            "os error 28",
            "sysctl -w",
        ] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }
}
