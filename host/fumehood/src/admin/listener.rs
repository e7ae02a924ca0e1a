//! The engine's side: a socket for one user, a few connections at once.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode, chmodat};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use rustix::process::geteuid;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::protocol::{Answer, answer};
use super::{MAX_LINE, MAX_REQUEST, scrape};
use crate::engine::Shared;
use crate::{Engine, LaunchError};

/// Connections at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 8;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 8;

/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(60);

/// Wait after accepting failed, as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Mode of the socket: whoever may write to it may connect.
const SOCKET_MODE: u32 = 0o600;

/// Mode of its folder, where it has to be made.
const FOLDER_MODE: u32 = 0o700;

/// A bound socket. Dropped, its file goes.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = std::fs::remove_file(&self.path);
    }
}

impl Listener {
    /// Binds the socket. A file in its place is removed only where it is a
    /// socket of this user's that nobody listens on any more.
    pub(crate) fn bind(path: &Path) -> Result<Self, LaunchError> {
        let refused = |why: String| LaunchError::AdminSocket {
            path: path.display().to_string(),
            why,
        };
        make_folder(path).map_err(|e| refused(e.to_string()))?;
        make_way(path).map_err(refused)?;
        let listener = open(path).map_err(|e| refused(e.to_string()))?;
        let path = path.to_owned();
        Ok(Listener { listener, path })
    }

    /// Serves until there is no engine any more.
    pub(crate) async fn serve(self, shared: Weak<Shared>) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            // Never closed.
            let Ok(permit) = permits.clone().acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let shared = shared.clone();
                    tokio::spawn(async move {
                        let _permit = permit;
                        if let Err(error) = connection(stream, &shared).await {
                            tracing::debug!(%error, "an admin connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "an admin connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
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
    match StdStream::connect(path) {
        Ok(_) => Err("another program listens on it".to_owned()),
        Err(_) => std::fs::remove_file(path).map_err(|e| e.to_string()),
    }
}

/// Between binding and listening nobody can connect: that is when its mode is set.
fn open(path: &Path) -> io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    chmodat(
        CWD,
        path,
        Mode::from_raw_mode(SOCKET_MODE),
        AtFlags::empty(),
    )?;
    listen(&socket, BACKLOG)?;
    UnixListener::from_std(StdListener::from(socket))
}

async fn connection(stream: UnixStream, shared: &Weak<Shared>) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    let (reader, mut writer) = stream.into_split();
    if let Err(refusal) = admit(peer, geteuid().as_raw()) {
        return say(&mut writer, &refusal).await;
    }
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut reader).take(MAX_REQUEST as u64 + 1);
        let reading = bounded.read_until(b'\n', &mut line);
        match tokio::time::timeout(IDLE, reading).await {
            Ok(Ok(0)) | Err(_) => return Ok(()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
        }
        if line.len() > MAX_REQUEST {
            let why = format!("a request has at most {MAX_REQUEST} bytes");
            return say(&mut writer, &Answer::refused("line-too-long", why)).await;
        }
        let Some(shared) = shared.upgrade() else {
            return Ok(());
        };
        let engine = Engine { shared };
        if scrape::is_http(&line) {
            let answering = scrape::answer(&engine, &line, &mut bounded, &mut writer);
            return tokio::time::timeout(IDLE, answering).await?;
        }
        let answer = answer(&engine, &line).await;
        say(&mut writer, &answer).await?;
    }
}

/// The socket's mode says the same; a descriptor may have been passed on.
pub(super) fn admit(peer: u32, us: u32) -> Result<(), Answer> {
    match peer == us {
        true => Ok(()),
        false => Err(Answer::refused(
            "wrong-user",
            format!("this engine is of user {us}, and you are user {peer}"),
        )),
    }
}

async fn say(writer: &mut (impl tokio::io::AsyncWrite + Unpin), answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    if line.len() >= MAX_LINE {
        let why = format!("the answer would have more than {MAX_LINE} bytes");
        line = serde_json::to_vec(&Answer::refused("answer-too-long", why))?;
    }
    line.push(b'\n');
    writer.write_all(&line).await
}
