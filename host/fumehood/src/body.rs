//! A response's body, streamed from the engine.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use fumehood_control::{Instance, JourneyEvent, Summary};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use tokio::net::UnixStream;

use crate::Error;
use crate::exchange::InFlight;
use crate::routes::Event;
use crate::upload::Pump;

/// Bytes read at once: as much as the socket's buffer holds.
const READ_BYTES: usize = 64 * 1024;

/// A response's body. It ends cleanly only when the engine said that the
/// response was whole; otherwise its last frame is an error. Dropped early, it
/// cancels the exchange.
#[derive(Debug)]
pub struct Body {
    state: State,
    summary: Option<Summary>,
    resumed: Vec<Instance>,
}

#[derive(Debug)]
enum State {
    /// Content flows.
    Content(Open),
    /// The socket has ended; the engine's word on it is awaited.
    Verdict(Open, Option<HeaderMap>),
    Done,
}

#[derive(Debug)]
struct Open {
    exchange: InFlight,
    content: UnixStream,
    buffer: BytesMut,
    received: u64,
    pump: Option<Pump>,
}

impl Body {
    pub(crate) fn new(exchange: InFlight, content: UnixStream, pump: Option<Pump>) -> Self {
        let buffer = BytesMut::new();
        let open = Open {
            exchange,
            content,
            buffer,
            received: 0,
            pump,
        };
        Body {
            state: State::Content(open),
            summary: None,
            resumed: Vec::new(),
        }
    }

    /// What the exchange cost; there once the body has ended cleanly.
    #[must_use]
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// Instances that took over where another had ended while content came;
    /// all are there once the body has ended.
    #[must_use]
    pub fn resumed(&self) -> &[Instance] {
        &self.resumed
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if let State::Content(open) | State::Verdict(open, _) = &mut this.state
            && let Some(pump) = &mut open.pump
            && let Poll::Ready(error) = pump.poll_failure(context)
        {
            this.state = State::Done;
            return Poll::Ready(Some(Err(error)));
        }
        loop {
            match std::mem::replace(&mut this.state, State::Done) {
                State::Done => return Poll::Ready(None),
                State::Content(mut open) => match open.poll_content(context) {
                    Poll::Pending => {
                        this.state = State::Content(open);
                        return Poll::Pending;
                    }
                    Poll::Ready(Some(data)) => {
                        this.state = State::Content(open);
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Poll::Ready(None) => this.state = State::Verdict(open, None),
                },
                State::Verdict(mut open, mut trailers) => {
                    let Poll::Ready(verdict) =
                        open.poll_verdict(context, &mut trailers, &mut this.resumed)
                    else {
                        this.state = State::Verdict(open, trailers);
                        return Poll::Pending;
                    };
                    let summary = match verdict {
                        Ok(summary) => summary,
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    };
                    this.summary = Some(summary);
                    return Poll::Ready(trailers.map(|fields| Ok(Frame::trailers(fields))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Done)
    }
}

impl Open {
    /// Content, or `None` at the socket's end. A socket that broke has ended:
    /// the engine's word tells why.
    fn poll_content(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.buffer.reserve(READ_BYTES);
        loop {
            if ready!(self.content.poll_read_ready(context)).is_err() {
                return Poll::Ready(None);
            }
            match self.content.try_read_buf(&mut self.buffer) {
                Ok(0) => return Poll::Ready(None),
                Ok(read) => {
                    self.received += read as u64;
                    return Poll::Ready(Some(self.buffer.split().freeze()));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(None),
            }
        }
    }

    fn poll_verdict(
        &mut self,
        context: &mut Context<'_>,
        trailers: &mut Option<HeaderMap>,
        resumed: &mut Vec<Instance>,
    ) -> Poll<Result<Summary, Error>> {
        loop {
            match ready!(self.exchange.poll_event(context)) {
                Some(Event::Journey(JourneyEvent::Resumed(instance))) => resumed.push(instance),
                Some(Event::Trailers(fields)) => *trailers = Some(headers(fields)),
                Some(Event::Finished(Ok(summary))) => {
                    return Poll::Ready(self.check(summary));
                }
                Some(Event::Finished(Err(error))) => return Poll::Ready(Err(error)),
                Some(_) => {}
                None => return Poll::Ready(Err(crate::error::ChannelError::OutOfOrder.into())),
            }
        }
    }

    /// The engine's count and ours must agree.
    fn check(&self, summary: Summary) -> Result<Summary, Error> {
        if summary.payload_received == self.received {
            Ok(summary)
        } else {
            Err(crate::error::ChannelError::OutOfOrder.into())
        }
    }
}

/// Fields as `http` has them. What it cannot hold, the codec has refused already.
pub(crate) fn headers(fields: Vec<fumehood_control::Field>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(&field.value);
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}
