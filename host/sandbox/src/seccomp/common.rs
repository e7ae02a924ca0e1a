//! Calls that every role makes: memory, threads, time, readiness, signals.

use libc::{
    CLONE_CHILD_CLEARTID, CLONE_FILES, CLONE_FS, CLONE_PARENT_SETTID, CLONE_SETTLS, CLONE_SIGHAND,
    CLONE_SYSVSEM, CLONE_THREAD, CLONE_VM, F_GETFD, F_GETFL, F_SETFD, F_SETFL, FIOCLEX, FIONBIO,
    FIONREAD, MADV_DONTDUMP, MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_NORMAL,
    MREMAP_MAYMOVE, PR_SET_NAME, PR_SET_VMA, PROT_EXEC, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGPIPE,
    SIGSEGV,
};

use super::Is::{Bits, Equal, Myself, Null};
use super::Rule::{Always, When};
use super::{Row, Soft, row, soft};

/// `PROT_EXEC`, as the filter compares it.
pub(super) const EXEC: u32 = PROT_EXEC as u32;

/// What glibc and musl clone a thread with, and nothing else does.
const THREAD: u32 = (CLONE_VM
    | CLONE_FS
    | CLONE_FILES
    | CLONE_SIGHAND
    | CLONE_THREAD
    | CLONE_SYSVSEM
    | CLONE_SETTLS
    | CLONE_PARENT_SETTID
    | CLONE_CHILD_CLEARTID) as u32;

/// `CLONE_DETACHED`, which musl sets and the kernel ignores.
const DETACHED: u32 = 0x0040_0000;

/// `MADV_GUARD_INSTALL` (Linux 6.13): glibc's guard pages.
const GUARD_INSTALL: u32 = 102;

/// `MADV_WIPEONFORK`.
const WIPE_ON_FORK: u32 = 18;

/// No advice there is; aws-lc asks for it to find kernels that accept any.
const NO_ADVICE: u32 = u32::MAX;

/// Signals that the C library keeps to itself: cancelling and setuid.
const C_LIBRARY_SIGNALS: [u32; 2] = [32, 33];

/// An ioctl request; all that are used here fit in 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "asserted, when compiling")]
pub(super) const fn request(number: libc::Ioctl) -> u32 {
    assert!(number as u32 as libc::Ioctl == number);
    number as u32
}

/// What libraries only try out, answered `ENOSYS`.
pub(super) const NO_SUCH_CALL: &[Soft] = &[
    soft("clone3", libc::SYS_clone3), // its flags are behind a pointer; glibc falls back to clone
    soft("openat2", libc::SYS_openat2),
    soft("statx", libc::SYS_statx), // std falls back to fstat
    soft("faccessat2", libc::SYS_faccessat2),
    soft("io_uring_setup", libc::SYS_io_uring_setup),
    soft("pidfd_open", libc::SYS_pidfd_open),
    soft("process_madvise", libc::SYS_process_madvise),
];

#[rustfmt::skip] // a table
pub(super) const ROWS: &[Row] = &[
    // Memory. `mmap` differs by role.
    row("mprotect", libc::SYS_mprotect, When(&[&[Bits(2, EXEC, 0)]]), "allocator; guests' memory growing"),
    row("munmap", libc::SYS_munmap, Always, "allocator"),
    row("mremap", libc::SYS_mremap, When(&[&[Equal(3, MREMAP_MAYMOVE as u32)]]), "realloc of large blocks"),
    row("brk", libc::SYS_brk, Always, "allocator"),
    row("madvise", libc::SYS_madvise, When(&[
        &[Equal(2, MADV_DONTNEED as u32)], // freed memory, thread stacks, guests' memory reset
        &[Equal(2, MADV_FREE as u32)],
        &[Equal(2, MADV_NORMAL as u32)],
        &[Equal(2, MADV_HUGEPAGE as u32)],
        &[Equal(2, MADV_NOHUGEPAGE as u32)],
        &[Equal(2, MADV_DONTDUMP as u32)],
        &[Equal(2, GUARD_INSTALL)],
        &[Equal(2, WIPE_ON_FORK)],
        &[Equal(2, NO_ADVICE)],
    ]), "allocator; thread stacks; wasmtime's pool; aws-lc's guard against forks"),
    row("membarrier", libc::SYS_membarrier, Always, "wasmtime, where code was loaded"),
    row("prctl", libc::SYS_prctl, When(&[
        &[Equal(0, PR_SET_NAME as u32)],
        &[Equal(0, PR_SET_VMA as u32), Equal(1, 0)],
    ]), "naming threads and mappings"),

    // Threads.
    row("clone", libc::SYS_clone, When(&[&[Bits(0, !DETACHED, THREAD)]]), "threads; not processes"),
    row("set_robust_list", libc::SYS_set_robust_list, Always, "a thread beginning"),
    row("rseq", libc::SYS_rseq, Always, "a thread beginning"),
    row("sigaltstack", libc::SYS_sigaltstack, Always, "std and wasmtime, for a thread's stack overflow"),
    row("futex", libc::SYS_futex, Always, "locks and waiting"),
    row("sched_yield", libc::SYS_sched_yield, Always, "spinning locks"),
    row("sched_getaffinity", libc::SYS_sched_getaffinity, Always, "how many threads to have"),
    row("gettid", libc::SYS_gettid, Always, "std and glibc"),
    row("getpid", libc::SYS_getpid, Always, "raising a signal; tokio"),
    row("exit", libc::SYS_exit, Always, "a thread ending"),
    row("exit_group", libc::SYS_exit_group, Always, "the process ending"),
    row("prlimit64", libc::SYS_prlimit64, When(&[&[Equal(0, 0), Null(2)]]), "glibc, for a thread's stack: reading only"),

    // Signals: faults in guests become traps, an abort ends the process.
    row("rt_sigaction", libc::SYS_rt_sigaction, When(&[
        &[Equal(0, SIGSEGV as u32)],
        &[Equal(0, SIGBUS as u32)],
        &[Equal(0, SIGILL as u32)],
        &[Equal(0, SIGFPE as u32)],
        &[Equal(0, SIGABRT as u32)],
        &[Equal(0, SIGPIPE as u32)],
        &[Equal(0, C_LIBRARY_SIGNALS[0])],
        &[Equal(0, C_LIBRARY_SIGNALS[1])],
    ]), "wasmtime, std, glibc"),
    row("rt_sigprocmask", libc::SYS_rt_sigprocmask, Always, "a thread beginning; abort"),
    row("rt_sigreturn", libc::SYS_rt_sigreturn, Always, "leaving a handler"),
    row("restart_syscall", libc::SYS_restart_syscall, Always, "the kernel, after a stop"),
    row("tgkill", libc::SYS_tgkill, When(&[&[Myself(0)]]), "abort"),

    // Time and chance.
    row("clock_gettime", libc::SYS_clock_gettime, Always, "where the vDSO has no clock"),
    row("clock_nanosleep", libc::SYS_clock_nanosleep, Always, "std::thread::sleep"),
    row("nanosleep", libc::SYS_nanosleep, Always, "musl's sleep"),
    row("getrandom", libc::SYS_getrandom, Always, "hash tables; aws-lc"),

    // Readiness.
    row("epoll_create1", libc::SYS_epoll_create1, Always, "a runtime made after sealing"),
    row("epoll_ctl", libc::SYS_epoll_ctl, Always, "tokio"),
    #[cfg(target_arch = "x86_64")]
    row("epoll_wait", libc::SYS_epoll_wait, Always, "tokio"),
    row("epoll_pwait", libc::SYS_epoll_pwait, Always, "tokio on aarch64; musl"),
    row("epoll_pwait2", libc::SYS_epoll_pwait2, Always, "tokio, for finer timeouts"),
    row("eventfd2", libc::SYS_eventfd2, Always, "a runtime made after sealing"),
    #[cfg(target_arch = "x86_64")]
    row("poll", libc::SYS_poll, Always, "waiting for one descriptor; the resolver"),
    row("ppoll", libc::SYS_ppoll, Always, "the same on aarch64"),

    // Descriptors.
    row("read", libc::SYS_read, Always, "eventfds, streams, files"),
    row("write", libc::SYS_write, Always, "eventfds, streams, sinks; a panic's text"),
    row("readv", libc::SYS_readv, Always, "streams"),
    row("writev", libc::SYS_writev, Always, "streams; a panic's text"),
    row("close", libc::SYS_close, Always, "all"),
    row("fstat", libc::SYS_fstat, Always, "the length of memory passed; what a sink is"),
    row("recvfrom", libc::SYS_recvfrom, Always, "sockets"),
    row("recvmsg", libc::SYS_recvmsg, Always, "descriptors from the other processes"),
    row("shutdown", libc::SYS_shutdown, Always, "ending one direction"),
    row("getsockname", libc::SYS_getsockname, Always, "std's and tokio's local_addr"),
    row("getpeername", libc::SYS_getpeername, Always, "std's and tokio's peer_addr"),
];

/// `ioctl` requests that every role may make: set_nonblocking, close-on-exec, and
/// how much there is to read.
pub(super) const IOCTL: [u32; 3] = [request(FIONBIO), request(FIOCLEX), request(FIONREAD)];

/// `fcntl` commands that every role may use; none duplicates a descriptor.
pub(super) const FCNTL: [u32; 4] = [
    F_GETFD as u32,
    F_SETFD as u32,
    F_GETFL as u32,
    F_SETFL as u32,
];
