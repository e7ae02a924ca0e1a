//! The engine's side: a socket for one user, a few connections at once.

use std::io;
use std::path::Path;
use std::sync::Weak;
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::accept::accept_all;
use super::protocol::{Answer, answer};
use super::scrape::{self, Head, Sender};
use super::{MAX_LINE, MAX_REQUEST};
use crate::shared::Shared;
use crate::unix_socket::{self, SocketFile};
use crate::{Engine, LaunchError};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 8;

/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(60);

/// A bound socket. Dropped, its file goes.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    _file: SocketFile,
}

impl Listener {
    /// Binds the socket.
    pub(crate) fn bind(path: &Path) -> Result<Self, LaunchError> {
        let refused = |why: String| LaunchError::AdminSocket {
            path: path.display().to_string(),
            why,
        };
        let (socket, file) = unix_socket::listen_at(path, BACKLOG).map_err(refused)?;
        let listener = UnixListener::from_std(socket.into()).map_err(|e| refused(e.to_string()))?;
        Ok(Listener {
            listener,
            _file: file,
        })
    }

    /// Serves for as long as it is polled.
    pub(crate) async fn serve(self, shared: Weak<Shared>) {
        let serve = |(stream, _)| {
            let shared = shared.clone();
            async move { connection(stream, &shared).await }
        };
        accept_all(|cx| self.listener.poll_accept(cx), serve).await;
    }
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
            let scraped = async {
                let Some(head) = Head::read(line, &mut bounded).await? else {
                    return Ok(());
                };
                let verdict = head.and_then(|head| head.judge(Sender::Owner));
                scrape::answer(verdict.map(|()| &engine), &mut writer).await
            };
            return tokio::time::timeout(IDLE, scraped).await?;
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
