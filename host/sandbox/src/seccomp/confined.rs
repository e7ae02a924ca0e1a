//! What a program in a network of its own may not call. It is any program, so
//! here what is not listed is allowed.
//!
//! Besides sockets: rings, which make some unseen; typing at the terminal; and
//! `request_key`, for which the kernel starts a helper outside, one that
//! resolves names among them.

use libc::{AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, SOCK_DGRAM, SOCK_RAW, c_int, c_long};
use rustix::io::Errno;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompRule,
};

use super::{Rules, apply, program};
use crate::layers::Failed;

/// Families of which a network namespace isolates every socket. Others it does
/// not (`AF_VSOCK` reaches the machine's hypervisor), or nobody has looked.
const ISOLATED: [c_int; 3] = [AF_INET, AF_INET6, AF_NETLINK];

/// Calls by which a program makes others without their being seen: a ring makes
/// sockets, and asks no filter.
const RINGS: [c_long; 3] = [
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Requests that put keys into the terminal's queue (`TIOCSTI`, `TIOCLINUX`), for
/// the shell outside to read afterwards.
const TYPING: [c_int; 2] = [0x5412, 0x541c];

/// Bits of a socket's type that say what it is, not how it behaves.
const TYPE_MASK: c_int = 0xf;

/// Kinds of Unix sockets that can be sent from to any name, one of a pair too;
/// raw ones are datagram sockets.
const ADDRESSED: [c_int; 2] = [SOCK_DGRAM, SOCK_RAW];

/// Marks the numbers of x32, another way into the same calls.
#[cfg(target_arch = "x86_64")]
const X32: c_long = 0x4000_0000;

/// Whether a program may make Unix sockets. It keeps pairs, and those it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnixSockets {
    /// It may, and talk to whatever listens on one outside.
    Allowed,
    /// Asking for one answers `EACCES`.
    Refused,
}

/// Puts the filters in force. Says how many.
pub(crate) fn install(unix: UnixSockets) -> Result<u64, Failed> {
    let programs = compile(unix).map_err(|_| Failed::ineffective("compile the filter"))?;
    apply(&programs)
}

/// A filter has one answer for what it matches, so there are several.
fn compile(unix: UnixSockets) -> Result<Vec<BpfProgram>, BackendError> {
    let mut isolated = ISOLATED.to_vec();
    isolated.push(AF_UNIX);
    let foreign = isolated.iter().map(|family| is_not(0, *family));
    let foreign = vec![SeccompRule::new(foreign.collect::<Result<_, _>>()?)?];
    let typing = TYPING.map(|request| SeccompRule::new(vec![is(1, request)?]));
    let typing = typing.into_iter().collect::<Result<_, _>>()?;
    let mut programs = vec![
        answering(
            Errno::AFNOSUPPORT,
            vec![
                (libc::SYS_socket, foreign.clone()),
                (libc::SYS_socketpair, foreign),
            ],
        )?,
        answering(Errno::NOSYS, RINGS.map(|call| (call, Vec::new())).into())?,
        answering(
            Errno::PERM,
            vec![
                (libc::SYS_ioctl, typing),
                (libc::SYS_request_key, Vec::new()),
            ],
        )?,
    ];
    if unix == UnixSockets::Refused {
        let any = vec![SeccompRule::new(vec![is(0, AF_UNIX)?])?];
        let addressed = ADDRESSED
            .map(|kind| SeccompRule::new(vec![is(0, AF_UNIX)?, is_under(1, TYPE_MASK, kind)?]));
        let addressed = addressed.into_iter().collect::<Result<_, _>>()?;
        programs.push(answering(
            Errno::ACCESS,
            vec![(libc::SYS_socket, any), (libc::SYS_socketpair, addressed)],
        )?);
    }
    Ok(programs)
}

/// Answers these calls with an error where one of their rules holds, or always
/// where they have none.
fn answering(
    errno: Errno,
    calls: Vec<(c_long, Vec<SeccompRule>)>,
) -> Result<BpfProgram, BackendError> {
    let mut rules = Rules::new();
    for (call, when) in calls {
        #[cfg(target_arch = "x86_64")]
        rules.insert(call | X32, when.clone());
        rules.insert(call, when);
    }
    let answer = SeccompAction::Errno(errno.raw_os_error().unsigned_abs());
    program(rules, SeccompAction::Allow, answer)
}

fn is(argument: u8, value: c_int) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Eq, value)
}

fn is_not(argument: u8, value: c_int) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Ne, value)
}

fn is_under(argument: u8, mask: c_int, value: c_int) -> Result<SeccompCondition, BackendError> {
    let mask = SeccompCmpOp::MaskedEq(mask.unsigned_abs().into());
    condition(argument, mask, value)
}

/// Of the lower half, which is all that the kernel looks at.
fn condition(
    argument: u8,
    how: SeccompCmpOp,
    value: c_int,
) -> Result<SeccompCondition, BackendError> {
    let value = value.unsigned_abs().into();
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, how, value)
}
