//! The codec's face: one connection, exchange after exchange.

use crate::exchange::{Exchange, Next, Stepped};
use crate::types::Lent;
use crate::upload::Upload;
use crate::{
    Completion, Demand, Error, Event, Line, Misuse, PayloadFrame, Preferences, Progress,
    RequestHead, Violation, request,
};

/// HTTP/1.1 in the client's role on one connection.
///
/// ```text
/// encode_head → (frame_payload)* → end_payload? → receive* → … → Event::Complete
/// ```
///
/// `receive` and `payload_moved` follow [`Client::demand`], and may come
/// between the calls that frame the request's payload. Where
/// [`Client::completes`] says how the exchange ends, the last `payload_moved`
/// may be left out. `end_payload` is
/// needed for [`PayloadLength::Unknown`](crate::PayloadLength::Unknown) only.
/// After an error every call but `demand` is a [`Misuse`].
#[derive(Debug, Default)]
pub struct Client {
    state: State,
    preferences: Preferences,
}

/// What the connection is doing.
#[derive(Debug, Default)]
enum State {
    /// Waiting for a request.
    #[default]
    Idle,
    /// Serving one.
    Busy(Exchange),
    /// Of no further use.
    Over,
}

impl Client {
    /// A codec for a connection that was just opened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes preferences, for exchanges that begin later.
    pub fn prefer(&mut self, preferences: Preferences) {
        self.preferences = preferences;
    }

    /// The bytes to send for a request head. Begins an exchange.
    ///
    /// # Errors
    /// [`Misuse`] when another exchange is under way, or the head says what
    /// cannot be sent.
    pub fn encode_head(&mut self, head: &RequestHead<impl Line>) -> Result<Vec<u8>, Error> {
        match self.take() {
            State::Idle => {}
            // Who goes on has moved the payload.
            State::Busy(exchange) if exchange.completes().is_some_and(|it| it.reusable) => {}
            State::Busy(_) => return Err(Misuse::Pipelined.into()),
            State::Over => return Err(Misuse::ConnectionOver.into()),
        }
        let bytes = request::encode(head)?;
        self.state = State::Busy(Exchange::begin(head, self.preferences));
        Ok(bytes)
    }

    /// What to write around the next `length` bytes of request payload.
    ///
    /// # Errors
    /// [`Misuse`] when `length` is 0, more than promised, or after the end.
    pub fn frame_payload(&mut self, length: u64) -> Result<PayloadFrame, Error> {
        self.upload(|upload| upload.frame(length))
    }

    /// What to write after the last piece of request payload.
    ///
    /// # Errors
    /// [`Misuse`] when less was framed than promised, or at a second call.
    pub fn end_payload(&mut self) -> Result<Vec<u8>, Error> {
        self.upload(Upload::end)
    }

    /// The demand in force.
    #[must_use]
    pub fn demand(&self) -> Demand {
        match &self.state {
            State::Busy(exchange) => exchange.demand(),
            State::Idle | State::Over => Demand::Nothing,
        }
    }

    /// How the exchange ends once the demanded payload has been moved, where that
    /// is all it waits for. If the connection is reusable then, the next
    /// [`Client::encode_head`] says that it has been.
    #[must_use]
    pub fn completes(&self) -> Option<Completion> {
        match &self.state {
            State::Busy(exchange) => exchange.completes(),
            State::Idle | State::Over => None,
        }
    }

    /// Shows the bytes that were demanded: the whole piece, or as many as the
    /// demand allows when its end is not within them. Where lines were to follow
    /// a payload ([`Progress::then`]), these, once all of it has been moved.
    ///
    /// # Errors
    /// When the peer broke the protocol or a bound, or when `data` is not the
    /// demanded piece.
    pub fn receive(&mut self, data: &[u8]) -> Result<Progress, Error> {
        self.read(data).map(Progress::owned)
    }

    /// The same, with fields that lie in `data`.
    pub(crate) fn read<'a>(&mut self, data: &'a [u8]) -> Result<Progress<Lent<'a>>, Error> {
        match self.take() {
            State::Busy(exchange) => self.settle(exchange.receive(data)),
            State::Idle if data.is_empty() => Err(Misuse::NotTheDemandedPiece.into()),
            State::Idle => Err(Violation::UnsolicitedBytes.into()),
            State::Over => Err(Misuse::ConnectionOver.into()),
        }
    }

    /// So many bytes of demanded payload have been moved; part of it will do.
    ///
    /// # Errors
    /// [`Misuse`] when it is more than was demanded.
    pub fn payload_moved(&mut self, count: u64) -> Result<Progress, Error> {
        let exchange = self.busy()?;
        self.settle(exchange.moved(count)).map(Progress::owned)
    }

    /// The peer has closed its side, with `pending` bytes buffered for the
    /// demand in force.
    ///
    /// # Errors
    /// [`Truncation`](crate::Truncation) unless the content ends here or no
    /// exchange is under way; a violation when bytes came though none was.
    pub fn end_of_stream(&mut self, pending: u64) -> Result<Progress, Error> {
        match self.take() {
            State::Busy(exchange) => self.settle(exchange.closed(pending)).map(Progress::owned),
            State::Idle if pending > 0 => Err(Violation::UnsolicitedBytes.into()),
            State::Idle => Ok(Progress {
                events: Vec::new(),
                demand: self.demand(),
                then: None,
            }),
            State::Over => Err(Misuse::ConnectionOver.into()),
        }
    }

    /// Takes the state for a step. What is left says that the connection is
    /// over, so a step that fails need not say it.
    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Over)
    }

    fn busy(&mut self) -> Result<Exchange, Error> {
        match self.take() {
            State::Busy(exchange) => Ok(exchange),
            State::Idle => Err(Misuse::NoExchange.into()),
            State::Over => Err(Misuse::ConnectionOver.into()),
        }
    }

    fn upload<T>(
        &mut self,
        step: impl FnOnce(&mut Upload) -> Result<T, Misuse>,
    ) -> Result<T, Error> {
        let mut exchange = self.busy()?;
        let done = step(exchange.upload())?;
        self.state = State::Busy(exchange);
        Ok(done)
    }

    fn settle<'a>(&mut self, stepped: Stepped<'a>) -> Result<Progress<Lent<'a>>, Error> {
        let (mut events, next) = stepped?;
        self.state = match next {
            Next::Ongoing(exchange) => State::Busy(exchange),
            Next::Over(completion) => {
                events.push(Event::Complete(completion));
                if completion.reusable {
                    State::Idle
                } else {
                    State::Over
                }
            }
        };
        let then = match &self.state {
            State::Busy(exchange) => exchange.then(),
            State::Idle | State::Over => None,
        };
        Ok(Progress {
            events,
            demand: self.demand(),
            then,
        })
    }
}
