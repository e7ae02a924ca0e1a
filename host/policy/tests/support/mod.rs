//! What tests of decisions have in common.

use fumehood_policy::Decision;

/// `allow`, or the reason's name; `report` and `ask` where it is neither yes nor no.
pub(crate) fn verdict(decision: &Decision) -> &'static str {
    match decision {
        Decision::Allow(_) => "allow",
        Decision::Deny(denial) => denial.reason.name(),
        Decision::Report(_) => "report",
        Decision::Ask(_) => "ask",
    }
}
