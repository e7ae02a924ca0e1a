//! The attacks themselves: one system call each, with arguments that would
//! work where nothing is in the way.
#![expect(unsafe_code, reason = "raw system calls are the point")]

use std::ffi::{c_long, c_ulong, c_void};
use std::os::fd::AsRawFd;
use std::ptr;

use libc::{sockaddr_in, syscall};

use super::{Attack, PreparedAttack};

/// Where nothing listens.
const DISCARD_PORT: u16 = 9;

/// `IPPROTO_MPTCP`.
const MULTIPATH_TCP: c_long = 262;

/// At most one page, in bytes; the kernel rounds up.
const PAGE: usize = 4096;

/// Bit that makes a call number one of the x32 table.
#[cfg(target_arch = "x86_64")]
const X32: c_long = 0x4000_0000;

pub(super) fn perform(prepared: &PreparedAttack) -> Result<(), i32> {
    let attack = prepared.attack;
    let socket = c_long::from(prepared.socket.as_raw_fd());
    let result = sockets(attack)
        .or_else(|| connections(attack, socket))
        .or_else(|| files(attack, socket))
        .or_else(|| processes(attack, c_long::from(prepared.parent), socket))
        .or_else(|| memory(attack))
        .or_else(|| kernel(attack))
        .unwrap_or_else(|| foreign(attack));
    if result < 0 {
        return Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0));
    }
    // A process made by the attack must not go on as if it were this one.
    if result == 0 && matches!(attack, Attack::Fork | Attack::Clone3) {
        std::process::exit(0);
    }
    Ok(())
}

fn sockets(attack: Attack) -> Option<c_long> {
    // SAFETY: no pointer is passed.
    let socket = |domain: i32, kind: i32, protocol: c_long| unsafe {
        syscall(libc::SYS_socket, domain, kind, protocol)
    };
    Some(match attack {
        Attack::TcpSocket => socket(libc::AF_INET, libc::SOCK_STREAM, 0),
        Attack::UdpSocket => socket(libc::AF_INET, libc::SOCK_DGRAM, 0),
        Attack::MultipathTcpSocket => socket(libc::AF_INET, libc::SOCK_STREAM, MULTIPATH_TCP),
        Attack::UnixSocket => socket(libc::AF_UNIX, libc::SOCK_STREAM, 0),
        Attack::NetlinkSocket => socket(libc::AF_NETLINK, libc::SOCK_RAW, 0),
        _ => return None,
    })
}

fn connections(attack: Attack, socket: c_long) -> Option<c_long> {
    let mut address = sockaddr_in {
        sin_family: u16::try_from(libc::AF_INET).unwrap_or_default(),
        sin_port: DISCARD_PORT.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
        },
        sin_zero: [0; 8],
    };
    let length = size_of::<sockaddr_in>();
    let to = (&raw mut address).cast::<c_void>();
    // SAFETY, for all: the kernel reads `address`, which is of the length told,
    // and sends no bytes, so it reads no buffer.
    Some(match attack {
        // SAFETY: as above.
        Attack::Connect => unsafe { syscall(libc::SYS_connect, socket, to, length) },
        // SAFETY: as above.
        Attack::Bind => unsafe { syscall(libc::SYS_bind, socket, to, length) },
        // SAFETY: no pointer is passed.
        Attack::Listen => unsafe { syscall(libc::SYS_listen, socket, 1) },
        // SAFETY: as above.
        Attack::SendToAddress => unsafe {
            let none = ptr::null::<u8>();
            syscall(libc::SYS_sendto, socket, none, 0_usize, 0, to, length)
        },
        // SAFETY: as above, and there is no address.
        Attack::SendFastOpen => unsafe {
            let none = ptr::null::<u8>();
            syscall(
                libc::SYS_sendto,
                socket,
                none,
                0_usize,
                libc::MSG_FASTOPEN,
                none,
                0_usize,
            )
        },
        Attack::SendMessage => {
            // SAFETY: all zeroes is an empty message.
            let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
            message.msg_name = to;
            message.msg_namelen = u32::try_from(length).unwrap_or_default();
            // SAFETY: as above.
            unsafe { syscall(libc::SYS_sendmsg, socket, &raw const message, 0) }
        }
        _ => return None,
    })
}

fn files(attack: Attack, socket: c_long) -> Option<c_long> {
    let (here, root) = (libc::AT_FDCWD, c"/".as_ptr());
    // SAFETY, for all: paths and argument lists are C strings or null, `stat`
    // and `handle` have room for what the kernel writes into them.
    Some(match attack {
        // SAFETY: as above.
        Attack::OpenFile => unsafe { syscall(libc::SYS_openat, here, root, libc::O_RDONLY) },
        Attack::CreateFile => {
            let path = c"/tmp".as_ptr();
            let flags = libc::O_WRONLY | libc::O_TMPFILE | libc::O_CLOEXEC; // leaves nothing
            // SAFETY: as above.
            unsafe { syscall(libc::SYS_openat, here, path, flags, 0o600) }
        }
        Attack::StatFile => {
            // SAFETY: all zeroes is a value of it.
            let mut stat: libc::stat = unsafe { std::mem::zeroed() };
            // SAFETY: as above.
            unsafe { syscall(libc::SYS_newfstatat, here, root, &raw mut stat, 0) }
        }
        Attack::OpenByHandle => {
            let handle = [0_u64; 4];
            // SAFETY: as above; a handle of no bytes.
            unsafe { syscall(libc::SYS_open_by_handle_at, here, handle.as_ptr(), 0) }
        }
        Attack::Execute => {
            let path = c"/bin/true".as_ptr();
            let arguments = [path, ptr::null()];
            let none = [ptr::null::<u8>()];
            // SAFETY: as above; the lists end with a null.
            unsafe { syscall(libc::SYS_execve, path, arguments.as_ptr(), none.as_ptr()) }
        }
        Attack::ExecuteDescriptor => {
            let arguments = [c"x".as_ptr(), ptr::null()];
            let flags = libc::AT_EMPTY_PATH;
            // SAFETY: as above.
            unsafe {
                let (empty, list) = (c"".as_ptr(), arguments.as_ptr());
                syscall(libc::SYS_execveat, socket, empty, list, list.add(1), flags)
            }
        }
        // SAFETY: as above.
        Attack::Mount => unsafe {
            let kind = c"tmpfs".as_ptr();
            syscall(libc::SYS_mount, kind, root, kind, 0, ptr::null::<u8>())
        },
        // SAFETY: as above.
        Attack::ChangeRoot => unsafe { syscall(libc::SYS_chroot, root) },
        // SAFETY: no pointer is passed.
        Attack::DuplicateDescriptor => unsafe { syscall(libc::SYS_dup3, 0, 9, 0) },
        // SAFETY: the kernel reads one byte.
        Attack::TypeIntoTerminal => unsafe {
            syscall(libc::SYS_ioctl, socket, libc::TIOCSTI, c"x".as_ptr())
        },
        _ => return None,
    })
}

fn processes(attack: Attack, parent: c_long, socket: c_long) -> Option<c_long> {
    // SAFETY, for all: no pointers, or to values that live through the call.
    Some(match attack {
        // SAFETY: as above; the caller ends the new process at once.
        Attack::Fork => unsafe {
            let flags = libc::SIGCHLD;
            syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize)
        },
        Attack::Clone3 => {
            // SAFETY: all zeroes is a value of it: a plain fork.
            let arguments: libc::clone_args = unsafe { std::mem::zeroed() };
            let size = size_of::<libc::clone_args>();
            // SAFETY: as above; the caller ends the new process at once.
            unsafe { syscall(libc::SYS_clone3, &raw const arguments, size) }
        }
        // SAFETY: as above.
        Attack::TraceParent => unsafe {
            syscall(
                libc::SYS_ptrace,
                libc::PTRACE_SEIZE,
                parent,
                0_usize,
                0_usize,
            )
        },
        // SAFETY: as above; no bytes are asked for.
        Attack::ReadParentMemory => unsafe {
            let none = ptr::null::<libc::iovec>();
            syscall(
                libc::SYS_process_vm_readv,
                parent,
                none,
                0_usize,
                none,
                0_usize,
                0,
            )
        },
        // SAFETY: as above; signal 0 only asks whether it could.
        Attack::SignalParent => unsafe { syscall(libc::SYS_kill, parent, 0) },
        // SAFETY: as above.
        Attack::SignalParentThread => unsafe { syscall(libc::SYS_tgkill, parent, parent, 0) },
        // SAFETY: as above.
        Attack::TakeParentDescriptor => unsafe { syscall(libc::SYS_pidfd_getfd, socket, 0, 0) },
        // SAFETY: as above.
        Attack::BecomeDumpable => unsafe { syscall(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1) },
        Attack::RaiseLimits => {
            let limit = libc::rlimit {
                rlim_cur: 1,
                rlim_max: 1,
            };
            let (resource, old) = (libc::RLIMIT_CPU, 0_usize);
            // SAFETY: as above.
            unsafe { syscall(libc::SYS_prlimit64, 0, resource, &raw const limit, old) }
        }
        // SAFETY: as above.
        Attack::NewUserNamespace => unsafe { syscall(libc::SYS_unshare, libc::CLONE_NEWUSER) },
        _ => return None,
    })
}

fn memory(attack: Attack) -> Option<c_long> {
    let map = |protection: i32| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let (anywhere, no_file) = (0_usize, -1_i32);
        // SAFETY: new memory, at an address that the kernel chooses.
        unsafe {
            syscall(
                libc::SYS_mmap,
                anywhere,
                PAGE,
                protection,
                flags,
                no_file,
                0,
            )
        }
    };
    let (read, write, execute) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
    Some(match attack {
        Attack::MapWriteExecute => map(read | write | execute),
        Attack::MapExecute => map(read | execute),
        Attack::MapExecuteFixed => {
            let page = map(read);
            let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_ANONYMOUS;
            // SAFETY: the page is ours alone.
            unsafe { syscall(libc::SYS_mmap, page, PAGE, read | execute, flags, -1, 0) }
        }
        Attack::MapFileWriteExecute => {
            let page = map(read);
            let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
            let protection = read | write | execute;
            // SAFETY: the page is ours alone. Standard error may be no file,
            // which matters only where nothing holds.
            unsafe { syscall(libc::SYS_mmap, page, PAGE, protection, flags, 2, 0) }
        }
        Attack::ProtectExecute => {
            let page = map(read | write);
            // SAFETY: the page is ours alone.
            unsafe { syscall(libc::SYS_mprotect, page, PAGE, read | execute) }
        }
        Attack::Userfault => {
            let flags = libc::O_CLOEXEC | 1; // user faults only: needs no privilege
            // SAFETY: no pointer is passed.
            unsafe { syscall(libc::SYS_userfaultfd, flags) }
        }
        _ => return None,
    })
}

fn kernel(attack: Attack) -> Option<c_long> {
    /// Larger than any of the structures that these calls read or write.
    const ROOM: usize = 256;
    let mut zeroes = [0_u8; ROOM];
    let structure = zeroes.as_mut_ptr();
    // SAFETY, for all: `structure` has room for what the kernel reads or
    // writes, and all zeroes asks for nothing.
    Some(match attack {
        // SAFETY: as above.
        Attack::IoUring => unsafe { syscall(libc::SYS_io_uring_setup, 1, structure) },
        // SAFETY: as above.
        Attack::Bpf => unsafe { syscall(libc::SYS_bpf, 0, structure, ROOM) },
        // SAFETY: as above.
        Attack::PerfEvent => unsafe {
            let no_group: c_ulong = 0;
            syscall(libc::SYS_perf_event_open, structure, 0, -1, -1, no_group)
        },
        // SAFETY: no pointer is passed; 0 asks for a key ring's number.
        Attack::KeyRing => unsafe { syscall(libc::SYS_keyctl, 0, -3, 1, 0, 0) },
        _ => return None,
    })
}

#[cfg(target_arch = "x86_64")]
fn foreign(attack: Attack) -> c_long {
    if attack == Attack::X32Call {
        // SAFETY: `getpid`, by its other number.
        return unsafe { syscall(libc::SYS_getpid | X32) };
    }
    /// `getpid` in the 32-bit table.
    const GETPID: i64 = 20;
    let result: i64;
    // SAFETY: the gate saves what it uses but the registers named, and the
    // call touches no memory. A 64-bit program may use it.
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("rax") GETPID => result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result
}

#[cfg(not(target_arch = "x86_64"))]
fn foreign(_: Attack) -> c_long {
    -1
}
