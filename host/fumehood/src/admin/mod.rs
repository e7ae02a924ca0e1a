//! The admin socket: modules of a running engine, for whoever owns it.
//!
//! A Unix stream socket of mode 0600. Both ends send lines of JSON, one
//! request or one answer each, of at most [`MAX_LINE`] bytes:
//!
//! ```text
//! → {"command":"load","path":"/home/me/http1@1.2.0.wasm"}
//! ← {"ok":true,"result":{"digest":"…","cached":false,…}}
//! → {"command":"swap","name":"http1","digest":"0058d9"}
//! ← {"ok":false,"error":{"code":"unknown-module","message":"there is no …"}}
//! ```
//!
//! A connection that begins with `GET /metrics` is answered with metrics instead;
//! where that is asked for, so is one to a loopback port, with nothing else.
//!
//! ```text
//! listener   the socket, whose owner alone is answered      protocol  its requests
//! port       the port, where anybody may be at the other end
//! accept     connections, a few at once                      scrape    their HTTP
//! ```

mod accept;
mod listener;
mod port;
mod protocol;
mod scrape;

use std::path::{Path, PathBuf};

pub(crate) use listener::Listener;
pub(crate) use port::MetricsPort;
pub use protocol::{AdminError, Answer, Problem, Request};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use crate::places;

/// Longest line either way, in bytes: a listing of all versions of all modules
/// with 64 interfaces each has less.
pub const MAX_LINE: usize = 1 << 20;

/// Longest request, in bytes: a path of 4 KiB, escaped.
pub const MAX_REQUEST: usize = 32 << 10;

/// Where a program of this name listens by default:
/// `$XDG_RUNTIME_DIR/fumehood/NAME.sock`; none for a user without that.
#[must_use]
pub fn default_socket(name: &str) -> Option<PathBuf> {
    Some(places::sockets()?.join(format!("{name}.sock")))
}

/// Asks a running engine.
///
/// # Errors
/// [`AdminError`]
pub async fn ask(socket: &Path, request: &Request) -> Result<serde_json::Value, AdminError> {
    let failed = |why: String| AdminError::Socket {
        path: socket.to_owned(),
        why,
    };
    let mut stream = UnixStream::connect(socket)
        .await
        .map_err(|e| failed(e.to_string()))?;
    // Someone else's socket could be told what is loaded here.
    let peer = stream.peer_cred().map_err(|e| failed(e.to_string()))?.uid();
    if peer != rustix::process::geteuid().as_raw() {
        return Err(failed(format!("it is of user {peer}")));
    }
    let mut line = serde_json::to_vec(request).map_err(|e| failed(e.to_string()))?;
    line.push(b'\n');
    stream
        .write_all(&line)
        .await
        .map_err(|e| failed(e.to_string()))?;
    let mut answer = Vec::new();
    let mut reader = BufReader::new(stream).take(MAX_LINE as u64);
    reader
        .read_until(b'\n', &mut answer)
        .await
        .map_err(|e| failed(e.to_string()))?;
    match serde_json::from_slice(&answer) {
        Ok(Answer {
            ok: true,
            result: Some(result),
            ..
        }) => Ok(result),
        Ok(Answer {
            error: Some(error), ..
        }) => Err(AdminError::Refused {
            code: error.code,
            message: error.message,
        }),
        _ => Err(failed("what it answers is not an answer".to_owned())),
    }
}

#[cfg(test)]
mod tests;
