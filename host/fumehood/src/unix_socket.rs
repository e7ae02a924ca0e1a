//! A Unix socket for one user, at a path.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, chmodat};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use rustix::process::geteuid;

/// Mode of the socket: whoever may write to it may connect.
const SOCKET_MODE: u32 = 0o600;

/// Mode of its folder, where it has to be made.
const FOLDER_MODE: u32 = 0o700;

/// A socket's file. Dropped, it goes.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = std::fs::remove_file(&self.0);
    }
}

/// Listens. A file in its place is removed only where it is a socket of this
/// user's that nobody listens on any more.
///
/// # Errors
/// Why not, for people.
pub(crate) fn listen_at(path: &Path, backlog: i32) -> Result<(OwnedFd, SocketFile), String> {
    make_folder(path).map_err(|e| e.to_string())?;
    make_way(path)?;
    let socket = open(path, backlog).map_err(|e| e.to_string())?;
    Ok((socket, SocketFile(path.to_owned())))
}

fn make_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    match path.parent() {
        Some(parent) if parent != Path::new("") => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(parent),
        _ => Ok(()),
    }
}

fn make_way(path: &Path) -> Result<(), String> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e.to_string()),
    };
    if !metadata.file_type().is_socket() || metadata.uid() != geteuid().as_raw() {
        return Err("there is something else in its place".to_owned());
    }
    match UnixStream::connect(path) {
        Ok(_) => Err("another program listens on it".to_owned()),
        Err(_) => std::fs::remove_file(path).map_err(|e| e.to_string()),
    }
}

/// Between binding and listening nobody can connect: that is when its mode is set.
fn open(path: &Path, backlog: i32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    chmodat(
        CWD,
        path,
        Mode::from_raw_mode(SOCKET_MODE),
        AtFlags::empty(),
    )?;
    listen(&socket, backlog)?;
    Ok(socket)
}
