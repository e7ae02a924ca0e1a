//! Namespaces of its own: user first, which makes the others possible.

use std::fs;

use fumehood_control::Layer;
use rustix::fs::readlink;
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::net::{
    AddressFamily, Ipv4Addr, SocketAddrV4, SocketFlags, SocketType, connect, socket_with,
};
use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;

use crate::layers::{Failed, Ledger, because, because_io};
use crate::sys;

/// Any port will do: nothing is to be reachable.
const DISCARD_PORT: u16 = 9;

/// Enters the user, network and IPC namespaces, and those for the host's name
/// and control groups, which hide a little more and are not reported.
pub(super) fn enter(ledger: &mut Ledger) {
    ledger.write(Layer::UserNamespace, enter_user());
    ledger.write(Layer::NetNamespace, enter_net());
    let ipc = unshare(UnshareFlags::NEWIPC, "ipc", "unshare(CLONE_NEWIPC)");
    ledger.write(
        Layer::IpcNamespace,
        ipc.map(|()| "no queue or segment is shared".to_owned()),
    );
    for flags in [UnshareFlags::NEWUTS, UnshareFlags::NEWCGROUP] {
        let _ = sys::unshare(flags);
    }
}

/// Enters a mount namespace, still with the mounts of the old one.
pub(super) fn enter_mounts() -> Result<(), Failed> {
    unshare(UnshareFlags::NEWNS, "mnt", "unshare(CLONE_NEWNS)")
}

/// Enters network and mount namespaces, made possible by a user namespace
/// where there is no privilege. Changes of mounts stay inside.
pub(super) fn enter_network_and_mounts() -> Result<(), Failed> {
    if !geteuid().is_root() {
        enter_user()?;
    }
    unshare(UnshareFlags::NEWNET, "net", "unshare(CLONE_NEWNET)")?;
    enter_mounts()?;
    let alone = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", alone).map_err(because("mount(MS_PRIVATE)"))
}

/// Enters a user namespace in which only the present user and group exist.
pub(super) fn enter_user() -> Result<String, Failed> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    unshare(UnshareFlags::NEWUSER, "user", "unshare(CLONE_NEWUSER)")?;
    // Without the maps, some kernels let the process in but give it nothing.
    write_map("/proc/self/setgroups", "write /proc/self/setgroups", "deny")?;
    write_map(
        "/proc/self/uid_map",
        "write /proc/self/uid_map",
        &format!("{user} {user} 1"),
    )?;
    write_map(
        "/proc/self/gid_map",
        "write /proc/self/gid_map",
        &format!("{group} {group} 1"),
    )?;
    Ok(format!("only user {user} and group {group} exist"))
}

/// Enters a network namespace. The proof that nothing is reachable is that not
/// even loopback is.
pub(super) fn enter_net() -> Result<String, Failed> {
    unshare(UnshareFlags::NEWNET, "net", "unshare(CLONE_NEWNET)")?;
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)
        .map_err(because("socket"))?;
    match connect(
        &socket,
        &SocketAddrV4::new(Ipv4Addr::LOCALHOST, DISCARD_PORT),
    ) {
        Err(Errno::NETUNREACH) => Ok("no route, not even to loopback".to_owned()),
        _ => Err(Failed::ineffective("unshare(CLONE_NEWNET)")),
    }
}

/// Unshares, and finds that the namespace is another one.
fn unshare(flags: UnshareFlags, name: &str, call: &'static str) -> Result<(), Failed> {
    let link = format!("/proc/self/ns/{name}");
    let identity = || readlink(&link, Vec::new()).map_err(because("readlink /proc/self/ns"));
    let before = identity()?;
    sys::unshare(flags).map_err(because(call))?;
    if identity()? == before {
        return Err(Failed::ineffective(call));
    }
    Ok(())
}

fn write_map(path: &str, call: &'static str, text: &str) -> Result<(), Failed> {
    fs::write(path, text).map_err(because_io(call))
}
