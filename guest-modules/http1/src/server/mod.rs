//! HTTP/1.1 in the server's role: one client's connection, request after request.
//!
//! ```text
//! receive → Request → (payload) → RequestEnd
//!         encode_head* → (frame_payload)* → end_payload
//! ```
//!
//! A response may be encoded before its request has ended, and after an error
//! one that refuses.

mod answer;
mod hop;
mod login;
mod request;

use crate::body::{Body, Step, bound};
use crate::bounds::MAX_HEAD_BYTES;
use crate::framing::{Framing, Persistence};
use crate::types::Lent;
use crate::{
    Answer, Demand, Ending, Error, Field, Line, LineDemand, Misuse, PayloadFrame, PayloadLength,
    Preferences, ServerEvent, ServerProgress, Truncation,
};
use answer::Response;
use request::Head;

/// What precedes a request line at times (RFC 9112 section 2.2).
const EMPTY_LINE: &[u8] = b"\r\n";

/// HTTP/1.1 in the server's role on one connection.
#[derive(Debug, Default)]
pub struct Server {
    state: State,
    preferences: Preferences,
}

/// What the connection is doing.
#[derive(Debug, Default)]
enum State {
    /// Waiting for a request. An empty line may have come already.
    #[default]
    Idle,
    /// The same, and no further empty line may come.
    IdleAfterLine,
    /// Serving one.
    Busy(Serving),
    /// Of no further use.
    Over,
}

/// A request under way.
#[derive(Debug)]
struct Serving {
    /// What is to come of its content; `None` when all has.
    incoming: Option<Body>,
    response: Response,
}

impl Server {
    /// A codec for a connection that was just accepted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A request's head is what comes next.
    #[must_use]
    pub fn awaits_head(&self) -> bool {
        matches!(self.state, State::Idle | State::IdleAfterLine)
    }

    /// Takes preferences, for heads that are shown later. The demand stays: a
    /// head may come before it is known what is preferred by then.
    pub fn prefer(&mut self, preferences: Preferences) {
        self.preferences = preferences;
    }

    /// The demand in force.
    #[must_use]
    pub fn demand(&self) -> Demand {
        match &self.state {
            State::Idle | State::IdleAfterLine => Demand::EmptyLine(bound(MAX_HEAD_BYTES)),
            State::Busy(serving) => serving
                .incoming
                .as_ref()
                .map_or(Demand::Nothing, Body::demand),
            State::Over => Demand::Nothing,
        }
    }

    /// Shows the bytes that were demanded, as [`crate::Client::receive`].
    ///
    /// # Errors
    /// When the client broke the protocol or a bound; one refusal may then be
    /// encoded.
    pub fn receive(&mut self, data: &[u8]) -> Result<ServerProgress, Error> {
        self.read(data).map(ServerProgress::owned)
    }

    /// The same, with fields that lie in `data`.
    pub(crate) fn read<'a>(&mut self, data: &'a [u8]) -> Result<ServerProgress<Lent<'a>>, Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Idle if data == EMPTY_LINE => {
                self.state = State::IdleAfterLine;
                Ok(self.progress(Vec::new()))
            }
            State::Idle | State::IdleAfterLine => self.begin(data),
            State::Busy(serving) => self.go_on(serving, |body| body.receive(data)),
            State::Over => Err(Misuse::ConnectionOver.into()),
        }
    }

    /// So many bytes of demanded payload have been moved.
    ///
    /// # Errors
    /// [`Misuse`] when it is more than was demanded.
    pub fn payload_moved(&mut self, count: u64) -> Result<ServerProgress, Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Busy(serving) => {
                let progress = self.go_on(serving, |body| body.moved(count));
                progress.map(ServerProgress::owned)
            }
            State::Idle | State::IdleAfterLine => Err(Misuse::NoExchange.into()),
            State::Over => Err(Misuse::ConnectionOver.into()),
        }
    }

    /// The client has closed its side, with `pending` bytes buffered.
    ///
    /// # Errors
    /// [`Truncation`] inside a request.
    pub fn end_of_stream(&mut self, pending: u64) -> Result<ServerProgress, Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Idle | State::IdleAfterLine if pending > 0 => Err(Truncation::InHead.into()),
            State::Busy(Serving {
                incoming: Some(_),
                response,
            }) => {
                self.state = State::Busy(Serving::broken(response));
                Err(Truncation::InPayload.into())
            }
            // It may still read.
            State::Busy(serving) => {
                self.state = State::Busy(serving);
                Ok(self.progress(Vec::new()))
            }
            State::Idle | State::IdleAfterLine | State::Over => Ok(self.progress(Vec::new())),
        }
    }

    /// The bytes of a response's head: informational ones as often as there
    /// are, then the final one.
    ///
    /// # Errors
    /// [`Misuse`] when there is no request, or not for such a response.
    pub fn encode_head(&mut self, answer: &Answer<impl Line>) -> Result<Vec<u8>, Error> {
        Ok(self.serving()?.response.head(answer)?)
    }

    /// Nothing more is to be framed: the final head is written, its content needs
    /// no frame, and the request is whole.
    #[must_use]
    pub fn is_framed(&self) -> bool {
        match &self.state {
            State::Busy(serving) => serving.incoming.is_none() && serving.response.is_plain(),
            State::Idle | State::IdleAfterLine | State::Over => false,
        }
    }

    /// What to write around the next `length` bytes of response payload. Need
    /// not be asked for with [`PayloadLength::Known`].
    ///
    /// # Errors
    /// [`Misuse`] when no head with content was encoded, or `length` is 0.
    pub fn frame_payload(&mut self, length: u64) -> Result<PayloadFrame, Error> {
        Ok(self.serving()?.response.frame(length)?)
    }

    /// What to write after the response, and whether another request may
    /// follow. Trailers are sent where the content is chunked.
    ///
    /// # Errors
    /// [`Misuse`] when no final head was encoded.
    pub fn end_payload(&mut self, trailers: &[Field]) -> Result<Ending, Error> {
        let State::Busy(serving) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Misuse::NoExchange.into());
        };
        let (bytes, persistence) = serving.response.end(trailers)?;
        // What is left of a request would be read as the next one.
        let persists = persistence == Persistence::Keep && serving.incoming.is_none();
        if persists {
            self.state = State::Idle;
        }
        Ok(Ending { bytes, persists })
    }

    fn begin<'a>(&mut self, data: &'a [u8]) -> Result<ServerProgress<Lent<'a>>, Error> {
        let Head { request, asked } = match request::parse(data, self.preferences) {
            Ok(head) => head,
            Err(error) => {
                self.state = State::Busy(Serving::broken(Response::refusing()));
                return Err(error);
            }
        };
        let framing = match request.payload {
            PayloadLength::None => Framing::Empty,
            PayloadLength::Known(length) => Framing::Length(length),
            PayloadLength::Unknown => Framing::Chunked,
        };
        let incoming = Body::begin(framing);
        let whole = incoming.is_none();
        self.state = State::Busy(Serving {
            incoming,
            response: Response::to(&request, asked),
        });
        let mut events = vec![ServerEvent::Request(request)];
        events.extend(whole.then_some(ServerEvent::RequestEnd));
        Ok(self.progress(events))
    }

    /// A step in a request's content.
    fn go_on<'a>(
        &mut self,
        serving: Serving,
        step: impl FnOnce(Body) -> Result<Step<'a>, Error>,
    ) -> Result<ServerProgress<Lent<'a>>, Error> {
        let Serving { incoming, response } = serving;
        let body = incoming.ok_or(Misuse::NotTheDemandedPiece)?;
        let (incoming, events) = match step(body) {
            Ok(Step::More(body)) => (Some(body), Vec::new()),
            Ok(Step::End(_trailers)) => (None, vec![ServerEvent::RequestEnd]),
            Err(error) => {
                self.state = State::Busy(Serving::broken(response));
                return Err(error);
            }
        };
        self.state = State::Busy(Serving { incoming, response });
        Ok(self.progress(events))
    }

    fn progress<F>(&self, events: Vec<ServerEvent<F>>) -> ServerProgress<F> {
        ServerProgress {
            events,
            demand: self.demand(),
            then: self.then(),
        }
    }

    fn then(&self) -> Option<LineDemand> {
        match &self.state {
            State::Busy(serving) => serving.incoming.as_ref().and_then(Body::then),
            State::Idle | State::IdleAfterLine | State::Over => None,
        }
    }

    fn serving(&mut self) -> Result<&mut Serving, Error> {
        match &mut self.state {
            State::Busy(serving) => Ok(serving),
            State::Idle | State::IdleAfterLine => Err(Misuse::NoExchange.into()),
            State::Over => Err(Misuse::ConnectionOver.into()),
        }
    }
}

impl Serving {
    /// Nothing more is read; the response ends the connection.
    fn broken(response: Response) -> Self {
        Serving {
            incoming: None,
            response: response.closing(),
        }
    }
}
