//! What the engine may call: use the descriptors it is given, and make none
//! that reach anywhere.
//!
//! Not here, so it kills: `socket`, `connect`, `bind`, `listen`, `sendmsg`
//! (its address is behind a pointer), `dup`, `execve`, processes, `ptrace`,
//! and the rest of what there is.

use libc::{
    F_ADD_SEALS, F_GET_SEALS, IP_MTU, IP_MTU_DISCOVER, IP_PKTINFO, IP_RECVTOS, IP_TOS, IPPROTO_IP,
    IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP, IPV6_MTU, IPV6_MTU_DISCOVER, IPV6_RECVPKTINFO,
    IPV6_RECVTCLASS, IPV6_TCLASS, MAP_FIXED, MAP_PRIVATE, MFD_ALLOW_SEALING, MFD_CLOEXEC,
    MSG_FASTOPEN, PROT_EXEC, PROT_READ, SO_DOMAIN, SO_ERROR, SO_KEEPALIVE, SO_LINGER, SO_PEERCRED,
    SO_RCVBUF, SO_RCVLOWAT, SO_SNDBUF, SO_TYPE, SOL_SOCKET, TCP_INFO, TCP_KEEPCNT, TCP_KEEPIDLE,
    TCP_KEEPINTVL, TCP_NODELAY, TCP_USER_TIMEOUT, UDP_GRO, UDP_SEGMENT,
};

use super::Is::{Bits, Equal, Null};
use super::Rule::{Always, When};
use super::common::{self, EXEC, FCNTL, IOCTL};
use super::{Is, Row, Soft, Table, row, soft};

/// The engine's table.
pub(crate) static ENGINE: Table = Table {
    rows: &[common::ROWS, ROWS],
    no_such_call: common::NO_SUCH_CALL,
    no_access: NO_ACCESS,
};

/// What code is mapped with. Anonymous memory, and memory that can be written,
/// have other bits, so they are never executable.
const CODE_PROTECTION: u32 = (PROT_READ | PROT_EXEC) as u32;
/// See [`CODE_PROTECTION`].
const CODE_MAPPING: u32 = (MAP_PRIVATE | MAP_FIXED) as u32;

/// `_IOWR('f', 16, struct pm_scan_arg)` of `linux/fs.h` (Linux 6.7): which pages
/// of its own memory the process has written. libc does not have it.
const PAGEMAP_SCAN: u32 = 0xc060_6610;

/// There is nothing to open; libraries look for settings and do without.
const NO_ACCESS: &[Soft] = &[
    soft("openat", libc::SYS_openat),
    #[cfg(target_arch = "x86_64")]
    soft("open", libc::SYS_open),
    soft("readlinkat", libc::SYS_readlinkat),
    #[cfg(target_arch = "x86_64")]
    soft("readlink", libc::SYS_readlink),
    soft("newfstatat", libc::SYS_newfstatat),
    #[cfg(target_arch = "x86_64")]
    soft("stat", libc::SYS_stat),
    #[cfg(target_arch = "x86_64")]
    soft("access", libc::SYS_access),
    soft("getcwd", libc::SYS_getcwd),
];

#[rustfmt::skip] // a table
const ROWS: &[Row] = &[
    row("mmap", libc::SYS_mmap, When(&[
        &[Bits(2, EXEC, 0)],
        // Code of a module that comes late: read and execute, never written,
        // private and from a file, over pages that the file is mapped to already.
        &[Equal(2, CODE_PROTECTION), Equal(3, CODE_MAPPING)],
    ]), "allocator; guests' memory: never executable; modules loaded late"),
    row("memfd_create", libc::SYS_memfd_create, When(&[
        &[Equal(1, MFD_CLOEXEC | MFD_ALLOW_SEALING)],
    ]), "wasmtime: the image of a late module's memory, which is sealed at once"),
    row("sendto", libc::SYS_sendto, When(&[
        &[Null(4), Bits(3, MSG_FASTOPEN as u32, 0)], // no address, and no connecting by sending
    ]), "sockets and channels"),
    row("recvmmsg", libc::SYS_recvmmsg, Always, "datagrams, several at once"),
    row("accept4", libc::SYS_accept4, Always, "listening sockets that the broker passes"),
    row("ioctl", libc::SYS_ioctl, When(&[
        &[Equal(1, IOCTL[0])],
        &[Equal(1, IOCTL[1])],
        &[Equal(1, IOCTL[2])],
        &[Equal(1, PAGEMAP_SCAN)],
    ]), "descriptors as they are wanted; wasmtime: what a guest has written"),
    row("fcntl", libc::SYS_fcntl, When(&[
        &[Equal(1, FCNTL[0])],
        &[Equal(1, FCNTL[1])],
        &[Equal(1, FCNTL[2])],
        &[Equal(1, FCNTL[3])],
        &[Equal(1, F_ADD_SEALS as u32)],
        &[Equal(1, F_GET_SEALS as u32)],
    ]), "non-blocking; seals of memory passed"),
    row("getsockopt", libc::SYS_getsockopt, When(&[
        &option(SOL_SOCKET, SO_ERROR),
        &option(SOL_SOCKET, SO_TYPE),
        &option(SOL_SOCKET, SO_DOMAIN),
        &option(SOL_SOCKET, SO_PEERCRED),
        &option(IPPROTO_TCP, TCP_INFO),
        &option(IPPROTO_IP, IP_MTU),
        &option(IPPROTO_IPV6, IPV6_MTU),
    ]), "tokio; what a descriptor is; path MTU for QUIC"),
    row("setsockopt", libc::SYS_setsockopt, When(&[
        &option(SOL_SOCKET, SO_RCVBUF),
        &option(SOL_SOCKET, SO_RCVLOWAT),
        &option(SOL_SOCKET, SO_SNDBUF),
        &option(SOL_SOCKET, SO_KEEPALIVE),
        &option(SOL_SOCKET, SO_LINGER),
        &option(IPPROTO_TCP, TCP_NODELAY),
        &option(IPPROTO_TCP, TCP_KEEPIDLE),
        &option(IPPROTO_TCP, TCP_KEEPINTVL),
        &option(IPPROTO_TCP, TCP_KEEPCNT),
        &option(IPPROTO_TCP, TCP_USER_TIMEOUT),
        &option(IPPROTO_IP, IP_MTU_DISCOVER),
        &option(IPPROTO_IP, IP_TOS),
        &option(IPPROTO_IP, IP_RECVTOS),
        &option(IPPROTO_IP, IP_PKTINFO),
        &option(IPPROTO_IPV6, IPV6_MTU_DISCOVER),
        &option(IPPROTO_IPV6, IPV6_TCLASS),
        &option(IPPROTO_IPV6, IPV6_RECVTCLASS),
        &option(IPPROTO_IPV6, IPV6_RECVPKTINFO),
        &option(IPPROTO_UDP, UDP_SEGMENT),
        &option(IPPROTO_UDP, UDP_GRO),
    ]), "connections, and datagrams for QUIC"),
];

/// Level and name of a socket option.
const fn option(level: i32, name: i32) -> [Is; 2] {
    [Equal(1, level as u32), Equal(2, name as u32)]
}
