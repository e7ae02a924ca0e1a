//! The ledger in which each step writes how its layer is.

use std::io;

use fumehood_control::{Layer, LayerReport, LayerState};
use rustix::io::Errno;

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// The system call, with the argument that says what it was for.
    pub(crate) call: &'static str,
    /// What it failed with; `None` when it did not fail but had no effect.
    pub(crate) errno: Option<Errno>,
}

impl Failed {
    /// A call that went wrong.
    pub(crate) fn new(call: &'static str, errno: Errno) -> Self {
        Self {
            call,
            errno: Some(errno),
        }
    }

    /// Something that was tried, seemed to work, and was found not to hold.
    pub(crate) fn ineffective(call: &'static str) -> Self {
        Self { call, errno: None }
    }
}

/// Shortens `call().map_err(|errno| Failed::new("call", errno))`.
pub(crate) fn because(call: &'static str) -> impl Fn(Errno) -> Failed {
    move |errno| Failed::new(call, errno)
}

/// The same of a call that the standard library made.
pub(crate) fn because_io(call: &'static str) -> impl Fn(io::Error) -> Failed {
    move |error| Failed::new(call, Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// How each layer is. A layer that no step has written counts as missing.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Vec<LayerReport>);

impl Ledger {
    /// Writes what a step found: what holds, in words for people, or what failed.
    pub(crate) fn write(&mut self, layer: Layer, found: Result<String, Failed>) {
        let state = match found {
            Ok(detail) => LayerState::Holds(detail),
            Err(Failed { call, errno }) => LayerState::Missing {
                syscall: call.to_owned(),
                errno: errno.map_or(0, Errno::raw_os_error),
            },
        };
        self.0.push(LayerReport { layer, state });
    }

    /// Writes that the role does without, by design.
    pub(crate) fn not_used(&mut self, layers: &[Layer]) {
        let report = |&layer| LayerReport {
            layer,
            state: LayerState::NotUsed,
        };
        self.0.extend(layers.iter().map(report));
    }

    /// All layers, in the order of [`Layer::ALL`].
    pub(crate) fn into_reports(self) -> Vec<LayerReport> {
        let report = |layer| {
            self.0
                .iter()
                .find(|r| r.layer == layer)
                .cloned()
                .unwrap_or_else(|| LayerReport {
                    layer,
                    state: LayerState::Missing {
                        syscall: "none was tried".to_owned(),
                        errno: 0,
                    },
                })
        };
        Layer::ALL.into_iter().map(report).collect()
    }
}

/// Those of the floor and of `required` that are missing. A layer that the
/// role does not use is not missing.
pub(crate) fn missing(reports: &[LayerReport], required: &[Layer]) -> Vec<Layer> {
    let wanted = |layer: &Layer| Layer::FLOOR.contains(layer) || required.contains(layer);
    reports
        .iter()
        .filter(|r| wanted(&r.layer) && matches!(r.state, LayerState::Missing { .. }))
        .map(|r| r.layer)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Failed, Ledger, missing};
    use fumehood_control::Layer;
    use rustix::io::Errno;

    fn floor_holds() -> Ledger {
        let mut ledger = Ledger::default();
        for layer in Layer::FLOOR {
            ledger.write(layer, Ok(String::new()));
        }
        ledger
    }

    #[test]
    fn what_no_step_wrote_is_missing() {
        let reports = Ledger::default().into_reports();
        assert_eq!(reports.len(), Layer::ALL.len());
        assert_eq!(missing(&reports, &Layer::ALL), Layer::ALL);
        assert_eq!(missing(&reports, &[]), Layer::FLOOR);
    }

    #[test]
    fn the_floor_is_always_required_and_the_rest_by_name() {
        let mut ledger = floor_holds();
        ledger.write(
            Layer::Landlock,
            Err(Failed::new("landlock_create_ruleset", Errno::NOSYS)),
        );
        ledger.not_used(&[Layer::NetNamespace]);
        let reports = ledger.into_reports();
        assert_eq!(missing(&reports, &[]), []);
        assert_eq!(
            missing(&reports, &[Layer::Landlock, Layer::NetNamespace]),
            [Layer::Landlock]
        );
    }
}
