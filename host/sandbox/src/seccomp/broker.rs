//! What the broker may call: the network, and what the C library's resolver
//! reads. It writes no file and starts no process.

use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, IPPROTO_TCP, IPPROTO_UDP, MAP_PRIVATE, NETLINK_ROUTE,
    O_ACCMODE, O_APPEND, O_CREAT, O_DIRECTORY, O_RDONLY, O_TMPFILE, O_TRUNC, PROT_WRITE,
    SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, SOCK_STREAM,
};

use super::Is::{Bits, Equal};
use super::Rule::{Always, When};
use super::common::{self, EXEC, FCNTL, IOCTL};
use super::{Is, Row, Soft, Table, row, soft};

/// The broker's table.
pub(crate) static BROKER: Table = Table {
    rows: &[common::ROWS, ROWS],
    no_such_call: common::NO_SUCH_CALL,
    no_access: NO_ACCESS,
};

const NO_ACCESS: &[Soft] = &[
    soft("getcwd", libc::SYS_getcwd),
    soft("readlinkat", libc::SYS_readlinkat),
    #[cfg(target_arch = "x86_64")]
    soft("readlink", libc::SYS_readlink),
];

/// Bits of a socket's type that say how, not what.
const TYPE_FLAGS: u32 = (SOCK_CLOEXEC | SOCK_NONBLOCK) as u32;

/// Bits of opening a file that must be clear: writing and making.
const OPEN_WRITES: u32 =
    (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & !O_DIRECTORY)) as u32;

#[rustfmt::skip] // a table
const ROWS: &[Row] = &[
    // The network.
    row("socket", libc::SYS_socket, When(&[
        &kind(AF_INET, SOCK_STREAM, 0),
        &kind(AF_INET, SOCK_STREAM, IPPROTO_TCP),
        &kind(AF_INET, SOCK_DGRAM, 0),
        &kind(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
        &kind(AF_INET6, SOCK_STREAM, 0),
        &kind(AF_INET6, SOCK_STREAM, IPPROTO_TCP),
        &kind(AF_INET6, SOCK_DGRAM, 0),
        &kind(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
        &kind(AF_UNIX, SOCK_STREAM, 0), // name service daemons
        &kind(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), // which addresses this host has
    ]), "dialling; the resolver"),
    row("connect", libc::SYS_connect, Always, "dialling; the resolver"),
    row("bind", libc::SYS_bind, Always, "the resolver's netlink socket; ports for datagrams; listening for the proxy"),
    row("listen", libc::SYS_listen, Always, "listening where the embedder says, for the proxy"),
    row("sendto", libc::SYS_sendto, Always, "channels; the resolver"),
    row("sendmsg", libc::SYS_sendmsg, Always, "passing connections to the engine; the resolver"),
    row("sendmmsg", libc::SYS_sendmmsg, Always, "the resolver, asking for both families at once"),
    row("getsockopt", libc::SYS_getsockopt, Always, "how connecting went; tokio"),
    row("setsockopt", libc::SYS_setsockopt, Always, "TCP_NODELAY; the resolver's error queue"),

    // Reading files, which Landlock keeps to the resolver's directories.
    row("openat", libc::SYS_openat, When(&[&[Bits(2, OPEN_WRITES, O_RDONLY as u32)]]), "the resolver: settings and modules"),
    #[cfg(target_arch = "x86_64")]
    row("open", libc::SYS_open, When(&[&[Bits(1, OPEN_WRITES, O_RDONLY as u32)]]), "musl's resolver"),
    row("newfstatat", libc::SYS_newfstatat, Always, "the resolver: have settings changed"),
    #[cfg(target_arch = "x86_64")]
    row("stat", libc::SYS_stat, Always, "the resolver: have settings changed"),
    #[cfg(target_arch = "x86_64")]
    row("access", libc::SYS_access, Always, "the loader: /etc/ld.so.preload"),
    row("faccessat", libc::SYS_faccessat, Always, "the same on aarch64"),
    row("lseek", libc::SYS_lseek, Always, "the resolver: reading lines"),
    row("pread64", libc::SYS_pread64, Always, "the loader: a module's headers"),
    row("getdents64", libc::SYS_getdents64, Always, "name services with directories of settings"),
    row("mmap", libc::SYS_mmap, When(&[
        &[Bits(2, EXEC, 0)],
        // Code of a name service module: from a file, private, never writable.
        &[Bits(2, EXEC | PROT_WRITE as u32, EXEC), Bits(3, MAP_PRIVATE as u32 | libc::MAP_ANONYMOUS as u32, MAP_PRIVATE as u32)],
    ]), "allocator; the loader"),
    row("ioctl", libc::SYS_ioctl, When(&[
        &[Equal(1, IOCTL[0])],
        &[Equal(1, IOCTL[1])],
        &[Equal(1, IOCTL[2])],
    ]), "descriptors as they are wanted; the resolver"),
    row("fcntl", libc::SYS_fcntl, When(&[
        &[Equal(1, FCNTL[0])],
        &[Equal(1, FCNTL[1])],
        &[Equal(1, FCNTL[2])],
        &[Equal(1, FCNTL[3])],
    ]), "non-blocking, close-on-exec"),

    // Who and where.
    row("uname", libc::SYS_uname, Always, "the resolver: this host's name"),
    row("sysinfo", libc::SYS_sysinfo, Always, "glibc's qsort, when ordering many addresses"),
    row("getuid", libc::SYS_getuid, Always, "name services that ask a daemon"),
    row("geteuid", libc::SYS_geteuid, Always, "name services that ask a daemon"),
];

/// Domain, type and protocol of a socket.
const fn kind(domain: i32, kind: i32, protocol: i32) -> [Is; 3] {
    [
        Equal(0, domain as u32),
        Bits(1, !TYPE_FLAGS, kind as u32),
        Equal(2, protocol as u32),
    ]
}
