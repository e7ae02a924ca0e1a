//! What the compiler may call: read the memory it is given, write the memory
//! it is given, and say that it is done. It opens nothing, not even in vain.

use libc::{F_GET_SEALS, MSG_FASTOPEN};

use super::Is::{Bits, Equal, Null};
use super::Rule::When;
use super::common::{self, EXEC, FCNTL, IOCTL};
use super::{Row, Table, row};

/// The compiler's table.
pub(crate) static COMPILER: Table = Table {
    rows: &[common::ROWS, ROWS],
    no_such_call: common::NO_SUCH_CALL,
    no_access: &[],
};

#[rustfmt::skip] // a table
const ROWS: &[Row] = &[
    row("mmap", libc::SYS_mmap, When(&[&[Bits(2, EXEC, 0)]]), "allocator; the module: code that is made is not run"),
    row("sendto", libc::SYS_sendto, When(&[
        &[Null(4), Bits(3, MSG_FASTOPEN as u32, 0)], // no address
    ]), "the channel to the embedder"),
    row("ioctl", libc::SYS_ioctl, When(&[
        &[Equal(1, IOCTL[0])],
        &[Equal(1, IOCTL[1])],
        &[Equal(1, IOCTL[2])],
    ]), "descriptors as they are wanted"),
    row("fcntl", libc::SYS_fcntl, When(&[
        &[Equal(1, FCNTL[0])],
        &[Equal(1, FCNTL[1])],
        &[Equal(1, FCNTL[2])],
        &[Equal(1, FCNTL[3])],
        &[Equal(1, F_GET_SEALS as u32)],
    ]), "seals of memory passed"),
];
