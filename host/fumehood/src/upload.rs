//! A request's body: from `http_body` to the engine's source descriptor.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Buf;
use fumehood_sandbox::body_pair;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use crate::Error;
use crate::error::{BoxError, CallerError};
use crate::exchange::{Source, stream};

/// Pumps a body while the exchange lives. Dropped, it reads no more of it.
#[derive(Debug)]
pub(crate) struct Pump {
    /// What the body ended with, if that is an error of its own.
    failure: Option<oneshot::Receiver<BoxError>>,
    _stop: oneshot::Sender<Infallible>,
}

impl Pump {
    /// Ready when the body ended with an error of its own.
    pub(crate) fn poll_failure(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        let Some(failure) = &mut self.failure else {
            return Poll::Pending;
        };
        match ready!(Pin::new(failure).poll(context)) {
            Ok(error) => Poll::Ready(Error::Caller(CallerError::Body(error))),
            // All of it was sent, or nobody wants it.
            Err(_) => {
                self.failure = None;
                Poll::Pending
            }
        }
    }
}

/// Begins to pump `body`; gives what the engine reads from. Trailers of a
/// request are not sent.
pub(crate) fn begin<B>(body: B) -> Result<(Source, Option<Pump>), Error>
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
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(pump(body.map_err(Into::into), socket, failed, stopped));
    let pump = Pump {
        failure: Some(failure),
        _stop: stop,
    };
    Ok((Source::Socket(theirs, length), Some(pump)))
}

async fn pump<B>(
    body: B,
    mut socket: UnixStream,
    failed: oneshot::Sender<BoxError>,
    stopped: oneshot::Receiver<Infallible>,
) where
    B: Body<Data: Buf + Send, Error = BoxError> + Send,
{
    let copied = tokio::select! {
        copied = copy(body, &mut socket) => Some(copied),
        _ = stopped => None,
    };
    match copied {
        // The engine wants no more: the answer came early, or all has failed.
        Some(Err(Stopped::Engine)) => return,
        // The engine has read, or reads, the end; closing now would look like a death.
        Some(Ok(())) => {}
        Some(Err(Stopped::Body(error))) => {
            // Whoever waited may have gone.
            let _unheard = failed.send(error);
        }
        None => {}
    }
    until_closed(&socket).await;
}

/// Waits until the engine has closed its end: a body that is whole was shut
/// down for writing and stays open (`SourceEnd::Shutdown`), and one that was
/// cut stays open, without that, until the exchange has been cancelled.
async fn until_closed(socket: &UnixStream) {
    while socket.readable().await.is_ok() {
        match socket.try_read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The engine never writes here, so this is its end.
            _ => return,
        }
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
