//! Sealed memory that passes between processes: native code, trust anchors.

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create};
use rustix::io::{Errno, retry_on_intr, write};

use crate::sys::Mapping;

/// Seals without which a reader does not believe that the memory stays as it
/// is: no shrinking (which would fault a reader), no growing, no writing, and
/// no further seals.
const REQUIRED_SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE)
    .union(SealFlags::SEAL);

/// Why sealed memory was not made or not believed.
#[derive(Debug, thiserror::Error)]
pub enum MemfdError {
    /// The memory could be changed by whoever sent it.
    #[error("memory from another process is not sealed, so it could change while it is read")]
    Unsealed,
    /// It is larger than the reader allows.
    #[error("memory from another process has {bytes} bytes, over the bound of {bound}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// What the reader allows.
        bound: usize,
    },
    /// The kernel refused.
    #[error("{call} on sealed memory failed: {source}")]
    Io {
        /// The system call.
        call: &'static str,
        /// With what.
        source: io::Error,
    },
}

/// Puts the parts, one after the other, into memory that nobody can change
/// any more. `name` is for people (`/proc/PID/maps`), at most 249 bytes. It blocks as
/// [`seal_scratch`] does.
///
/// The file can be mapped as code but never executed as a program, where the
/// kernel knows the difference (Linux 6.3).
///
/// # Errors
/// [`MemfdError::Io`]: out of memory or of descriptors, or a bad name.
pub fn sealed(name: &str, parts: &[&[u8]]) -> Result<OwnedFd, MemfdError> {
    let fd = scratch(name)?;
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let n = retry_on_intr(|| write(&fd, rest)).map_err(|errno| failed("write", errno))?;
            rest = &rest[n..];
        }
    }
    seal_scratch(&fd)?;
    Ok(fd)
}

/// Empty memory that another process is to write to; [`seal_scratch`] ends that.
///
/// # Errors
/// As for [`sealed`].
pub fn scratch(name: &str) -> Result<OwnedFd, MemfdError> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create(name, flags), // before Linux 6.3
        made => made,
    }
    .map_err(|errno| failed("memfd_create", errno))
}

/// How often it is tried to seal memory that the kernel finds busy. A try waits some
/// 150 ms in the kernel where pages are held, and none where they are mapped.
const SEAL_ATTEMPTS: u32 = 20;

/// Time between two of them.
const SEAL_PAUSE: Duration = Duration::from_millis(10);

/// Makes it so that nobody, whoever holds a descriptor, can change it any more. This
/// blocks, for up to seconds where memory is short ([`seal_with`]).
///
/// # Errors
/// [`MemfdError::Io`]: not memory, or `EBUSY`: mapped for writing, or held for long.
pub fn seal_scratch(fd: impl AsFd) -> Result<(), MemfdError> {
    let sealed = seal_with(
        || fcntl_add_seals(&fd, REQUIRED_SEALS),
        |errno| *errno == Errno::BUSY,
    );
    sealed.map_err(|errno| failed("fcntl(F_ADD_SEALS)", errno))
}

/// Seals memory by `seal`, again and again while that says that the memory is busy. It
/// blocks meanwhile, for 4 s at most.
///
/// Pages that somebody holds could be written still. Where memory is short the kernel
/// itself holds some for a while, to move or to reclaim them, so it is tried again.
///
/// # Errors
/// What `seal` says.
pub fn seal_with<T, E>(
    mut seal: impl FnMut() -> Result<T, E>,
    is_busy: impl Fn(&E) -> bool,
) -> Result<T, E> {
    for _ in 1..SEAL_ATTEMPTS {
        match seal() {
            Err(error) if is_busy(&error) => std::thread::sleep(SEAL_PAUSE),
            ended => return ended,
        }
    }
    seal()
}

/// Sealed memory, mapped for reading.
#[derive(Debug)]
pub struct SealedMap(Mapping);

impl Deref for SealedMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// Maps sealed memory of at most `bound` bytes, after checking its seals.
/// The descriptor may be closed afterwards.
///
/// # Errors
/// [`MemfdError::Unsealed`] for anything that could still change (ordinary
/// files too), [`MemfdError::TooLarge`], or [`MemfdError::Io`].
pub fn map_sealed(fd: impl AsFd, bound: usize) -> Result<SealedMap, MemfdError> {
    map(fd.as_fd(), bound).map(SealedMap)
}

/// Sealed memory with native code in it, mapped for reading. Parts of it can
/// be made executable, also in a sealed process: none is ever writable.
#[derive(Debug)]
pub struct SealedCode {
    mapping: Mapping,
    fd: OwnedFd,
}

impl SealedCode {
    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.mapping.bytes()
    }

    /// Makes `length` bytes from `offset` on executable, by mapping the same
    /// pages of the same file over themselves. Both are multiples of the page size.
    ///
    /// # Errors
    /// [`MemfdError::Io`]: `EINVAL` for a part that is not within the memory
    /// or not aligned, or what the kernel says.
    pub fn make_executable(&self, offset: usize, length: usize) -> Result<(), MemfdError> {
        self.mapping
            .execute(self.fd.as_fd(), offset, length)
            .map_err(|errno| failed("mmap", errno))
    }
}

/// Maps sealed memory of at most `bound` bytes that holds code, after
/// checking its seals.
///
/// # Errors
/// As [`map_sealed`].
pub fn map_code(fd: OwnedFd, bound: usize) -> Result<SealedCode, MemfdError> {
    let mapping = map(fd.as_fd(), bound)?;
    Ok(SealedCode { mapping, fd })
}

fn map(fd: BorrowedFd<'_>, bound: usize) -> Result<Mapping, MemfdError> {
    let seals = fcntl_get_seals(fd).map_err(|errno| match errno {
        Errno::INVAL => MemfdError::Unsealed, // not a file that can be sealed
        errno => failed("fcntl(F_GET_SEALS)", errno),
    })?;
    if !seals.contains(REQUIRED_SEALS) {
        return Err(MemfdError::Unsealed);
    }
    let stat = fstat(fd).map_err(|errno| failed("fstat", errno))?;
    let bytes = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    let length = usize::try_from(bytes)
        .ok()
        .filter(|&length| length <= bound)
        .ok_or(MemfdError::TooLarge { bytes, bound })?;
    Mapping::of_sealed(fd, length).map_err(|errno| failed("mmap", errno))
}

fn failed(call: &'static str, errno: Errno) -> MemfdError {
    MemfdError::Io {
        call,
        source: errno.into(),
    }
}
