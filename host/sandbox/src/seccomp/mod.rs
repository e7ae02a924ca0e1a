//! System call tables as data, and their way into the kernel.
//!
//! A table lists what a role may call; anything else kills the process. A few
//! calls that libraries only try out answer with an error instead. Adding a
//! call is adding a row.

mod broker;
mod common;
mod compiler;
mod confined;
mod engine;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use libc::c_long;
use rustix::io::Errno;
use rustix::process::getpid;
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};

use crate::layers::{Failed, because_io};

pub(crate) use broker::BROKER;
pub(crate) use compiler::COMPILER;
pub(crate) use confined::{UnixSockets, install as install_confined};
pub(crate) use engine::ENGINE;

/// One call that is allowed.
pub(crate) struct Row {
    /// As in `man 2`.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for readers, and held to by a test")
    )]
    name: &'static str,
    /// On this architecture.
    number: c_long,
    /// With which arguments.
    rule: Rule,
    /// Who needs it and for what.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for readers, and held to by a test")
    )]
    who: &'static str,
}

/// With which arguments a call is allowed.
enum Rule {
    /// With any.
    Always,
    /// When every condition of one of the lines holds.
    When(&'static [&'static [Is]]),
}

/// A condition on an argument, counted from 0. The kernel's 32-bit arguments
/// are compared as such: it ignores what a caller leaves in the upper half.
#[derive(Clone, Copy)]
enum Is {
    /// Equals, in 32 bits.
    Equal(u8, u32),
    /// Is a null pointer, in 64 bits.
    Null(u8),
    /// Has these bits (second) of those under the mask (first), in 32 bits.
    Bits(u8, u32, u32),
    /// Is this process.
    Myself(u8),
}

/// A call that answers with an error.
struct Soft {
    /// As in `man 2`.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for readers, and held to by a test")
    )]
    name: &'static str,
    /// On this architecture.
    number: c_long,
}

/// What a role may call.
pub(crate) struct Table {
    /// Allowed.
    rows: &'static [&'static [Row]],
    /// Answered `ENOSYS`: callers fall back to an older call.
    no_such_call: &'static [Soft],
    /// Answered `EACCES`: callers do without.
    no_access: &'static [Soft],
}

const fn row(name: &'static str, number: c_long, rule: Rule, who: &'static str) -> Row {
    Row {
        name,
        number,
        rule,
        who,
    }
}

const fn soft(name: &'static str, number: c_long) -> Soft {
    Soft { name, number }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

impl Table {
    fn all_rows(&self) -> impl Iterator<Item = &'static Row> {
        self.rows.iter().copied().flatten()
    }

    /// How many calls are allowed.
    pub(crate) fn len(&self) -> usize {
        self.all_rows().count()
    }

    /// Puts the table in force for every thread, for good. Says how many
    /// filters that took.
    pub(crate) fn install(&self) -> Result<u64, Failed> {
        let programs = self
            .compile()
            .map_err(|_| Failed::ineffective("compile the filter"))?;
        apply(&programs)
    }

    /// A filter has one answer for what it matches, so there are three. The
    /// one that kills comes last, since installing takes calls it kills; the
    /// kernel runs all of them and the strictest answer wins.
    fn compile(&self) -> Result<[BpfProgram; 3], BackendError> {
        let soft = |calls: &[Soft]| {
            calls
                .iter()
                .map(|c| (c.number, Vec::new()))
                .collect::<Rules>()
        };
        let mut allowed = soft(self.no_such_call);
        allowed.extend(soft(self.no_access));
        for row in self.all_rows() {
            allowed.insert(row.number, row.rule.compile()?);
        }
        let answer = |errno: Errno| SeccompAction::Errno(errno.raw_os_error().unsigned_abs());
        Ok([
            program(
                soft(self.no_such_call),
                SeccompAction::Allow,
                answer(Errno::NOSYS),
            )?,
            program(
                soft(self.no_access),
                SeccompAction::Allow,
                answer(Errno::ACCESS),
            )?,
            program(allowed, SeccompAction::KillProcess, SeccompAction::Allow)?,
        ])
    }
}

impl Rule {
    /// No rules means "always" to the compiler.
    fn compile(&self) -> Result<Vec<SeccompRule>, BackendError> {
        match self {
            Rule::Always => Ok(Vec::new()),
            Rule::When(lines) => lines
                .iter()
                .map(|line| {
                    SeccompRule::new(line.iter().map(Is::compile).collect::<Result<_, _>>()?)
                })
                .collect(),
        }
    }
}

impl Is {
    fn compile(&self) -> Result<SeccompCondition, BackendError> {
        let narrow = SeccompCmpArgLen::Dword;
        match *self {
            Is::Equal(i, value) => SeccompCondition::new(i, narrow, SeccompCmpOp::Eq, value.into()),
            Is::Null(i) => SeccompCondition::new(i, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0),
            Is::Bits(i, mask, value) => {
                SeccompCondition::new(i, narrow, SeccompCmpOp::MaskedEq(mask.into()), value.into())
            }
            Is::Myself(i) => {
                let pid = getpid().as_raw_nonzero().get().unsigned_abs();
                SeccompCondition::new(i, narrow, SeccompCmpOp::Eq, pid.into())
            }
        }
    }
}

/// Puts filters in force, and says how many. Refuses new privileges too,
/// without which the kernel takes no filter.
fn apply(programs: &[BpfProgram]) -> Result<u64, Failed> {
    let mut count = 0;
    for program in programs {
        apply_filter_all_threads(program).map_err(|error| match error {
            Error::Prctl(e) => because_io("prctl(PR_SET_NO_NEW_PRIVS)")(e),
            Error::Seccomp(e) => because_io("seccomp(SECCOMP_SET_MODE_FILTER)")(e),
            _ => Failed::ineffective("seccomp(SECCOMP_FILTER_FLAG_TSYNC)"),
        })?;
        count += 1;
    }
    Ok(count)
}

fn program(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()
}
