//! Where a program in a network of its own asks for names: mounts that say so,
//! and that close what would answer from outside.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fumehood_control::NAMES_INSIDE;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change,
    mount_remount, unmount,
};

use super::root::PLACE;
use crate::layers::{Failed, because, because_io};

/// What C libraries, and most programs without one, read.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Folders of the sockets by which C libraries have names resolved outside: of
/// systemd-resolved, of name service caches, of Avahi. Those that are there now: the
/// kernel takes a mount away whose folder or file is removed or replaced outside.
const SIDE_DOORS: [&str; 5] = [
    "/run/systemd/resolve",
    "/run/nscd",
    "/var/run/nscd",
    "/run/avahi-daemon",
    "/var/run/avahi-daemon",
];

/// Has programs ask in their network, in a mount namespace of our own.
pub(super) fn ask_inside() -> Result<String, Failed> {
    // What is mounted outside later is seen in here, and nothing the other way.
    let apart = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", apart).map_err(because("mount(MS_SLAVE)"))?;
    // Paths are followed to their ends first: some lead through a side door.
    let doors: BTreeSet<PathBuf> = SIDE_DOORS
        .iter()
        .filter_map(|it| fs::canonicalize(it).ok())
        .filter(|it| it.is_dir())
        .collect();
    let file = fs::canonicalize(RESOLV_CONF).ok();
    let harmless = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("none", PLACE, "tmpfs", harmless, c"size=64k,nr_inodes=32")
        .map_err(because("mount(tmpfs)"))?;
    let covered = cover(&doors, file.as_deref()).and_then(|()| {
        mount_remount(PLACE, MountFlags::RDONLY | harmless, "")
            .map_err(because("mount(MS_REMOUNT)"))
    });
    // The parts that are mounted elsewhere stay.
    unmount(PLACE, UnmountFlags::DETACH).map_err(because("umount2"))?;
    covered?;
    verify(&doors, file.as_deref())
}

/// What is to be read there. musl waits for so many seconds where it is refused,
/// and glibc asks again after as many.
fn content() -> String {
    format!(
        "# Written by fumehood run, which answers at this address.\n\
         nameserver {}\n\
         search .\n\
         options edns0 timeout:3 attempts:2\n",
        NAMES_INSIDE.ip()
    )
}

/// Makes a folder for each door and the file, and mounts them over what is there.
fn cover(doors: &BTreeSet<PathBuf>, file: Option<&Path>) -> Result<(), Failed> {
    for (number, door) in doors.iter().enumerate() {
        let folder = Path::new(PLACE).join(number.to_string());
        fs::create_dir(&folder).map_err(because_io("mkdir"))?;
        if let Some(behind) = file.and_then(|it| it.strip_prefix(door).ok()) {
            let file = folder.join(behind);
            let parents = file.parent().map_or(Ok(()), fs::create_dir_all);
            parents.map_err(because_io("mkdir"))?;
            fs::write(file, content()).map_err(because_io("write resolv.conf"))?;
        }
        mount_bind(&folder, door).map_err(because("mount(MS_BIND)"))?;
    }
    let Some(file) = file.filter(|file| !doors.iter().any(|door| file.starts_with(door))) else {
        return Ok(());
    };
    let made = Path::new(PLACE).join("resolv.conf");
    fs::write(&made, content()).map_err(because_io("write resolv.conf"))?;
    mount_bind(&made, file).map_err(because("mount(MS_BIND)"))
}

/// Looks. Where there is no file, a C library asks at the same address.
fn verify(doors: &BTreeSet<PathBuf>, file: Option<&Path>) -> Result<String, Failed> {
    let ineffective = || Failed::ineffective("mount(MS_BIND)");
    if file.is_some() && fs::read_to_string(RESOLV_CONF).ok() != Some(content()) {
        return Err(ineffective());
    }
    for door in doors {
        let leads_out = |entry: io::Result<fs::DirEntry>| {
            let path = entry.map(|it| it.path());
            path.is_ok_and(|path| !file.is_some_and(|file| file.starts_with(path)))
        };
        if fs::read_dir(door)
            .map_err(because_io("open"))?
            .any(leads_out)
        {
            return Err(ineffective());
        }
    }
    let closed: Vec<String> = doors.iter().map(|it| it.display().to_string()).collect();
    Ok(match closed.as_slice() {
        [] => format!("names are asked at {NAMES_INSIDE}"),
        closed => format!(
            "names are asked at {NAMES_INSIDE}; empty: {}",
            closed.join(", ")
        ),
    })
}
