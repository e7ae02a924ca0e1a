//! An empty root in place of the file system.

use rustix::fs::{Mode, OFlags, StatVfsMountFlags, open, statfs, statvfs};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, mount_remount, unmount,
};
use rustix::process::{chdir, pivot_root};

use crate::layers::{Failed, because};

/// Where a file system is mounted before it goes where it belongs: a directory
/// that is certain to exist, since the maps were written in it.
pub(super) const PLACE: &str = "/proc";

/// `TMPFS_MAGIC` of `statfs(2)`.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Puts an empty, read-only root in place, in a mount namespace of our own.
pub(super) fn empty() -> Result<String, Failed> {
    let harmless = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let alone = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", alone).map_err(because("mount(MS_PRIVATE)"))?;
    // Two inodes: the root itself and none to spare that could be of use.
    mount(
        "none",
        PLACE,
        "tmpfs",
        harmless,
        c"size=4k,nr_inodes=2,mode=0555",
    )
    .map_err(because("mount(tmpfs)"))?;
    chdir(PLACE).map_err(because("chdir"))?;
    // The old root ends up on top of the new one, from where it is unmounted.
    pivot_root(".", ".").map_err(because("pivot_root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(because("umount2"))?;
    chdir("/").map_err(because("chdir"))?;
    mount_remount("/", MountFlags::BIND | MountFlags::RDONLY | harmless, "")
        .map_err(because("mount(MS_REMOUNT)"))?;
    verify()
}

fn verify() -> Result<String, Failed> {
    let kind = statfs("/").map_err(because("statfs /"))?.f_type;
    let flags = statvfs("/").map_err(because("statvfs /"))?.f_flag;
    let gone = open(PLACE, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let is_tmpfs = u64::try_from(kind).is_ok_and(|kind| kind == TMPFS_MAGIC);
    if is_tmpfs && flags.contains(StatVfsMountFlags::RDONLY) && gone.err() == Some(Errno::NOENT) {
        Ok("an empty, read-only root".to_owned())
    } else {
        Err(Failed::ineffective("pivot_root"))
    }
}
