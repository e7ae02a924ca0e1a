//! A request's body: from `http_body` to the engine's source descriptor.

use std::io;
use std::pin::pin;

use bytes::Buf;
use fumehood_sandbox::body_pair;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::Error;
use crate::error::{BoxError, CallerError};
use crate::exchange::{Source, stream};

/// What a body ended with, if that was an error of its own.
pub(crate) type BodyError = oneshot::Receiver<BoxError>;

/// Pumps a body while the exchange lives. Dropped, it stops.
#[derive(Debug)]
pub(crate) struct Pump {
    task: AbortHandle,
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Begins to pump `body`; gives what the engine reads from. Trailers of a
/// request are not sent.
pub(crate) fn begin<B>(body: B) -> Result<(Source, Option<(Pump, BodyError)>), Error>
where
    B: Body<Data: Buf + Send> + Send + 'static,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return Ok((Source::None, None));
    }
    let length = body.size_hint().exact();
    let (ours, theirs) = body_pair().map_err(|e| Error::Caller(CallerError::Descriptor(e)))?;
    let socket = stream(ours)?;
    let (failed, failure) = oneshot::channel();
    let task = tokio::spawn(pump(body.map_err(Into::into), socket, failed));
    let pump = Pump {
        task: task.abort_handle(),
    };
    Ok((Source::Fd(theirs, length), Some((pump, failure))))
}

async fn pump<B>(body: B, mut socket: UnixStream, failed: oneshot::Sender<BoxError>)
where
    B: Body<Data: Buf + Send, Error = BoxError> + Send,
{
    match copy(body, &mut socket).await {
        // The engine reads the end of file that follows.
        Ok(()) => {}
        Err(Stopped::Body(error)) => {
            if failed.send(error).is_ok() {
                // An end of file would look like a body's proper end: keep the
                // socket open until the exchange is cancelled and we with it.
                std::future::pending::<()>().await;
            }
        }
        // The engine wants no more: the answer came early, or all has failed.
        Err(Stopped::Engine) => {}
    }
}

enum Stopped {
    Body(BoxError),
    Engine,
}

impl From<io::Error> for Stopped {
    fn from(_: io::Error) -> Self {
        Stopped::Engine
    }
}

async fn copy<B>(body: B, socket: &mut UnixStream) -> Result<(), Stopped>
where
    B: Body<Data: Buf + Send, Error = BoxError> + Send,
{
    let mut body = pin!(body);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Stopped::Body)?;
        if let Ok(mut data) = frame.into_data() {
            socket.write_all_buf(&mut data).await?;
        }
    }
    socket.shutdown().await?;
    Ok(())
}
