//! The handful of system calls that need `unsafe`, each behind a safe face.
#![expect(
    unsafe_code,
    reason = "the calls that rustix does not offer, or offers as unsafe"
)]

use std::env;
use std::ffi::{c_char, c_int, c_short, c_uint, c_ulong, c_void};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::UnshareFlags;

/// Lowest descriptor that is closed on entry: 0 is the channel, 1 goes to
/// `/dev/null`, 2 takes what a panic says.
const FIRST_CLOSED_FD: c_uint = 3;

/// Takes standard input, once in the life of the process.
pub(crate) fn take_stdin() -> Option<OwnedFd> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return None;
    }
    // SAFETY: this runs once, so there is one owner. `std::io::stdin` only
    // borrows descriptor 0, and no role reads from it.
    Some(unsafe { rustix::stdio::take_stdin() })
}

/// Closes every descriptor but the three standard ones.
pub(crate) fn close_inherited() -> Result<(), Errno> {
    // SAFETY: closing invalidates descriptors that something may own. The one
    // caller runs first in main: the process owns nothing yet beyond what the
    // standard library keeps, which are the three that stay.
    let result = unsafe { libc::syscall(libc::SYS_close_range, FIRST_CLOSED_FD, c_uint::MAX, 0) };
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}

/// Removes every variable, in case whoever started the process did not.
pub(crate) fn clear_environment() {
    for (name, _) in env::vars_os() {
        // SAFETY: the caller has counted threads: there is no other that
        // could read the environment meanwhile.
        unsafe { env::remove_var(name) };
    }
}

/// Ignores SIGXFSZ, so that a write beyond `RLIMIT_FSIZE` is an error
/// (`EFBIG`) of that write. By default it ends the process. The roles do so
/// by themselves; this is for a program whose own writes may go too far.
///
/// # Errors
/// None that Linux is known to give.
pub fn ignore_file_size_signal() -> Result<(), Errno> {
    ignore(libc::SIGXFSZ)
}

/// Has a socket be ready for reading only when so many bytes are there, or its end or an
/// error is (`SO_RCVLOWAT`, socket(7)). What is there already counts, and reading
/// takes fewer all the same.
///
/// # Errors
/// `ENOTSOCK` for what is no socket.
pub fn set_low_water(socket: impl AsFd, bytes: u32) -> Result<(), Errno> {
    let value = c_int::try_from(bytes).map_err(|_| Errno::INVAL)?;
    let length = libc::socklen_t::try_from(size_of::<c_int>()).map_err(|_| Errno::INVAL)?;
    // SAFETY: the option reads one `int`, which lives until the call returns, and the
    // descriptor is open as long as it is borrowed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const value).cast::<c_void>(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}

/// Ignores what a terminal sends to all processes in its foreground: what it
/// means is for the embedder to judge, whose end is ours.
pub(crate) fn ignore_typed_signals() -> Result<(), Errno> {
    [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP]
        .into_iter()
        .try_for_each(ignore)
}

fn ignore(signal: c_int) -> Result<(), Errno> {
    // SAFETY: no handler is installed, so no code of ours ever runs in a signal.
    let previous = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if previous == libc::SIG_ERR {
        Err(last_errno())
    } else {
        Ok(())
    }
}

/// Sets the loopback interface of this network namespace up. Any socket of the
/// Internet's families will do.
pub(crate) fn loopback_up(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let up = c_short::try_from(libc::IFF_UP).map_err(|_| Errno::INVAL)?;
    set_interface(socket, b"lo", Setting::Flags(up))
}

/// Gives that interface, which must be up, another address beside its first. The
/// socket is one of IPv4.
pub(crate) fn add_to_loopback(socket: BorrowedFd<'_>, address: Ipv4Addr) -> Result<(), Errno> {
    let family = libc::sa_family_t::try_from(libc::AF_INET).map_err(|_| Errno::INVAL)?;
    let mut data = [0; 14];
    // Behind the two bytes of a port that there is none of.
    for (to, from) in data[2..].iter_mut().zip(address.octets()) {
        *to = c_char::from_ne_bytes([from]);
    }
    let address = libc::sockaddr {
        sa_family: family,
        sa_data: data,
    };
    // With the plain name it would take the first one's place.
    set_interface(socket, b"lo:1", Setting::Address(address))
}

/// What can be set of an interface.
enum Setting {
    Flags(c_short),
    Address(libc::sockaddr),
}

fn set_interface(socket: BorrowedFd<'_>, interface: &[u8], setting: Setting) -> Result<(), Errno> {
    let (request, value) = match setting {
        Setting::Flags(ifru_flags) => (
            libc::SIOCSIFFLAGS,
            libc::__c_anonymous_ifr_ifru { ifru_flags },
        ),
        Setting::Address(ifru_addr) => (
            libc::SIOCSIFADDR,
            libc::__c_anonymous_ifr_ifru { ifru_addr },
        ),
    };
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(interface) {
        *to = c_char::from_ne_bytes([*from]);
    }
    let change = libc::ifreq {
        ifr_name: name,
        ifr_ifru: value,
    };
    // SAFETY: both requests read one `ifreq`, which lives until the call returns,
    // and of its union what is set with them. They write nothing.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), request, &raw const change) };
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}

/// Enters new namespaces. The caller has no other thread.
pub(crate) fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: what makes it unsafe is `UnshareFlags::FILES`, which closes
    // other threads' view of descriptors; no caller passes it.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Refuses, for good, memory that gains execute permission (`PR_SET_MDWE`).
pub(crate) fn set_mdwe() -> Result<(), Errno> {
    let flags = c_ulong::from(libc::PR_MDWE_REFUSE_EXEC_GAIN);
    prctl(libc::PR_SET_MDWE, flags).map(drop)
}

/// Whether [`set_mdwe`] holds.
pub(crate) fn mdwe_holds() -> bool {
    prctl(libc::PR_GET_MDWE, 0)
        .is_ok_and(|flags| flags & i64::from(libc::PR_MDWE_REFUSE_EXEC_GAIN) != 0)
}

fn prctl(option: i32, argument: c_ulong) -> Result<i64, Errno> {
    const UNUSED: c_ulong = 0;
    // SAFETY: both options used take integers only and touch no memory.
    let result = unsafe { libc::prctl(option, argument, UNUSED, UNUSED, UNUSED) };
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(result.into())
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// A read-only mapping of memory that cannot change.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<c_void>,
    length: usize,
}

// SAFETY: the memory is never written, so any thread may read or unmap it.
unsafe impl Send for Mapping {}
// SAFETY: as for Send.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `length` bytes of a file that the caller has found to be sealed
    /// against writing and shrinking and to have that length.
    pub(crate) fn of_sealed(fd: BorrowedFd<'_>, length: usize) -> Result<Self, Errno> {
        if length == 0 {
            return Ok(Self {
                start: NonNull::dangling(),
                length,
            }); // mmap refuses zero
        }
        // SAFETY: the kernel chooses an address that nothing uses.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                ProtFlags::READ,
                MapFlags::PRIVATE,
                fd,
                0,
            )?
        };
        NonNull::new(start)
            .map(|start| Self { start, length })
            .ok_or(Errno::FAULT)
    }

    /// Maps a part of the same file over itself, to be executed as well.
    /// `fd` is the one that the mapping was made of.
    pub(crate) fn execute(
        &self,
        fd: BorrowedFd<'_>,
        offset: usize,
        length: usize,
    ) -> Result<(), Errno> {
        let end = offset.checked_add(length).ok_or(Errno::INVAL)?;
        // The last page may reach beyond the file's end, within its own page.
        let pages = self.length.next_multiple_of(rustix::param::page_size());
        if length == 0 || end > pages {
            return Err(Errno::INVAL);
        }
        // SAFETY: `offset` is within the mapping, as was just checked.
        let start = unsafe { self.start.as_ptr().byte_add(offset) };
        // SAFETY: the pages replaced are this mapping's own, by the same pages
        // of the same sealed file: whoever reads them meanwhile reads the same.
        // They gain execution and lose nothing. The kernel refuses what is not
        // aligned.
        unsafe {
            mmap(
                start,
                length,
                ProtFlags::READ | ProtFlags::EXEC,
                MapFlags::PRIVATE | MapFlags::FIXED,
                fd,
                offset as u64,
            )
        }
        .map(drop)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping lives as long as `self`. The seals hold its
        // length (no SIGBUS) and its content (no write behind the reference).
        // With no length, a dangling pointer is what an empty slice takes.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast::<u8>(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: mapped by `of_sealed` with this length, and no reference
            // outlives `self`. It can only fail for bad arguments.
            let _ = unsafe { munmap(self.start.as_ptr(), self.length) };
        }
    }
}
