//! A request's body: from `http_body` to the engine's source descriptor.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::Buf;
use fumehood_sandbox::body_pair;
use http::Method;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use crate::Error;
use crate::error::{BoxError, CallerError};
use crate::exchange::{Source, stream};
use crate::retry;

/// Longest content that is kept until the response has begun, in bytes, so
/// that it can be sent again: what a form or a small object has.
const MAX_KEPT: u64 = 64 * 1024;

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

/// A request's content, from which the engine is given a source.
pub(crate) enum Content {
    None,
    Kept(Vec<u8>),
    /// Goes by once.
    Streamed(Option<(Source, Pump)>),
}

impl Content {
    /// Takes a body. What is short, known in length, at hand and of a request
    /// that may be repeated is kept; all else is pumped. Trailers of a request
    /// are not sent.
    pub(crate) fn of<B>(body: B, method: &Method) -> Result<Self, Error>
    where
        B: Body<Data: Buf + Send> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Ok(Content::None);
        }
        let mut body = Box::pin(body);
        let length = body.size_hint().exact();
        let mut begun = Vec::new();
        if let Some(length) = length.filter(|bytes| *bytes <= MAX_KEPT)
            && method.is_idempotent()
        {
            match at_hand(body.as_mut(), &mut begun) {
                Poll::Ready(Ok(())) if begun.len() as u64 == length => {
                    return Ok(Content::Kept(begun));
                }
                Poll::Ready(Ok(())) => {
                    let why = format!("it has {} bytes and promised {length}", begun.len());
                    return Err(Error::Caller(CallerError::Body(why.into())));
                }
                Poll::Ready(Err(error)) => return Err(Error::Caller(CallerError::Body(error))),
                Poll::Pending => {}
            }
        }
        Ok(Content::Streamed(Some(stream_of(body, begun, length)?)))
    }

    /// A source for the engine, with what feeds it.
    ///
    /// # Errors
    /// [`CallerError::Request`] when it was streamed before.
    pub(crate) fn open(&mut self) -> Result<(Source, Option<Pump>), Error> {
        match self {
            Content::None => Ok((Source::None, None)),
            Content::Kept(bytes) => Ok((Source::Bytes(bytes.clone()), None)),
            Content::Streamed(opened) => match opened.take() {
                Some((source, pump)) => Ok((source, Some(pump))),
                None => {
                    let why = "its content was sent already".to_owned();
                    Err(Error::Caller(CallerError::Request(why)))
                }
            },
        }
    }

    /// Whether it can be sent once more.
    pub(crate) fn kind(&self) -> retry::Content {
        match self {
            Content::None | Content::Kept(_) => retry::Content::Kept,
            Content::Streamed(_) => retry::Content::Streamed,
        }
    }
}

/// Takes what a body has without waiting; ready at its end.
fn at_hand<B>(mut body: Pin<&mut B>, begun: &mut Vec<u8>) -> Poll<Result<(), BoxError>>
where
    B: Body<Data: Buf>,
    B::Error: Into<BoxError>,
{
    let mut context = Context::from_waker(Waker::noop());
    while begun.len() as u64 <= MAX_KEPT {
        match ready!(body.as_mut().poll_frame(&mut context)) {
            None => return Poll::Ready(Ok(())),
            Some(Err(error)) => return Poll::Ready(Err(error.into())),
            Some(Ok(frame)) => {
                if let Ok(mut data) = frame.into_data() {
                    while data.has_remaining() {
                        let chunk = data.chunk();
                        begun.extend_from_slice(chunk);
                        let length = chunk.len();
                        data.advance(length);
                    }
                }
            }
        }
    }
    Poll::Pending
}

/// Begins to pump what has come of a body and the rest of it.
fn stream_of<B>(
    body: Pin<Box<B>>,
    begun: Vec<u8>,
    length: Option<u64>,
) -> Result<(Source, Pump), Error>
where
    B: Body<Data: Buf + Send> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (ours, theirs) = body_pair().map_err(|e| Error::Caller(CallerError::Descriptor(e)))?;
    let socket = stream(ours)?;
    let (failed, failure) = oneshot::channel();
    let (stop, stopped) = oneshot::channel();
    let body = body.map_err(Into::into);
    tokio::spawn(pump(begun, body, socket, failed, stopped));
    let pump = Pump {
        failure: Some(failure),
        _stop: stop,
    };
    Ok((Source::Socket(theirs, length), pump))
}

async fn pump<B>(
    begun: Vec<u8>,
    body: B,
    mut socket: UnixStream,
    failed: oneshot::Sender<BoxError>,
    stopped: oneshot::Receiver<Infallible>,
) where
    B: Body<Data: Buf + Send, Error = BoxError> + Send,
{
    let copied = tokio::select! {
        copied = copy(&begun, body, &mut socket) => Some(copied),
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

async fn copy<B>(begun: &[u8], body: B, socket: &mut UnixStream) -> Result<(), Stopped>
where
    B: Body<Data: Buf + Send, Error = BoxError> + Send,
{
    socket.write_all(begun).await?;
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
