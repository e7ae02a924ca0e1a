//! What the kernel says of this process: `/proc/self/status`.
//!
//! Opened before the root is emptied and read after the filter is in place, it
//! shows what really holds: the file needs no permission to be read.

use std::fs::File;
use std::io::{self, Read};

/// Largest status read, in bytes; real ones have under 2 KiB.
const MAX_STATUS_BYTES: usize = 16 * 1024;

/// The file, opened for one reading.
#[derive(Debug)]
pub(crate) struct StatusFile(File);

impl StatusFile {
    pub(crate) fn open() -> io::Result<Self> {
        File::open("/proc/self/status").map(Self)
    }

    /// Reads it with `read` alone, which is all that the filters allow.
    pub(crate) fn read(mut self) -> io::Result<Status> {
        let mut bytes = vec![0; MAX_STATUS_BYTES];
        let mut length = 0;
        loop {
            match self.0.read(&mut bytes[length..])? {
                0 => break,
                n => length += n,
            }
        }
        Ok(Status::parse(&String::from_utf8_lossy(&bytes[..length])))
    }
}

/// The lines of interest. A line that is absent or strange reads as `None`,
/// never as something that holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// Threads of the process.
    pub(crate) threads: Option<u64>,
    /// Real, effective, saved and filesystem user.
    pub(crate) uids: Vec<u32>,
    /// Inheritable, permitted, effective and ambient capabilities, united.
    pub(crate) capabilities: Option<u64>,
    /// What an executed program could gain, were it not for no-new-privs.
    pub(crate) bounding: Option<u64>,
    /// 1 once no program can raise privileges.
    pub(crate) no_new_privs: Option<u64>,
    /// 2 in filter mode.
    pub(crate) seccomp_mode: Option<u64>,
    /// Filters in force, those of a container included.
    pub(crate) seccomp_filters: Option<u64>,
}

impl Status {
    pub(crate) fn parse(text: &str) -> Self {
        let value = |name: &str| {
            text.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                (key == name).then(|| value.trim())
            })
        };
        let number = |name| value(name).and_then(|v| v.parse::<u64>().ok());
        let hexadecimal = |name| value(name).and_then(|v| u64::from_str_radix(v, 16).ok());
        let sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(hexadecimal);
        Self {
            threads: number("Threads"),
            uids: value("Uid")
                .map(|v| {
                    v.split_whitespace()
                        .filter_map(|uid| uid.parse().ok())
                        .collect()
                })
                .unwrap_or_default(),
            capabilities: sets.into_iter().try_fold(0, |all, set| Some(all | set?)),
            bounding: hexadecimal("CapBnd"),
            no_new_privs: number("NoNewPrivs"),
            seccomp_mode: number("Seccomp"),
            seccomp_filters: number("Seccomp_filters"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    const REAL: &str = "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nThreads:\t3\n\
        CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000001\n\
        CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n\
        Seccomp_filters:\t4\n";

    #[test]
    fn reads_what_the_kernel_writes() {
        let status = Status::parse(REAL);
        assert_eq!(status.threads, Some(3));
        assert_eq!(status.uids, [1000; 4]);
        assert_eq!(status.capabilities, Some(1));
        assert_eq!(status.bounding, Some(0x1ff_ffff_ffff));
        assert_eq!(status.no_new_privs, Some(1));
        assert_eq!(
            (status.seccomp_mode, status.seccomp_filters),
            (Some(2), Some(4))
        );
    }

    #[test]
    fn what_is_absent_or_strange_does_not_read_as_holding() {
        assert_eq!(Status::parse(""), Status::default());
        let without_ambient = REAL.replace("CapAmb", "CapOther");
        assert_eq!(Status::parse(&without_ambient).capabilities, None);
        let strange = REAL.replace("NoNewPrivs:\t1", "NoNewPrivs:\tyes");
        assert_eq!(Status::parse(&strange).no_new_privs, None);
    }

    #[test]
    fn a_process_name_is_not_taken_for_a_line() {
        let posing = format!(
            "Name:\tSeccomp:\t2\n{}",
            REAL.replace("Seccomp:\t2", "Seccomp:\t0")
        );
        assert_eq!(Status::parse(&posing).seccomp_mode, Some(0));
    }
}
