//! What a hostile server does on one connection.

use super::Gate;

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Step {
    /// Wait for a request with all its content, and keep it.
    Request,
    /// Wait for a request's head alone, and keep it.
    RequestHead,
    /// Wait for any byte at all: a TLS client's first words.
    FirstBytes,
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send these bytes so many times.
    Repeat(Vec<u8>, usize),
    /// Send these bytes under TLS's feet: straight to the socket.
    SendRaw(Vec<u8>),
    /// Wait for the test.
    Gate(Gate),
}

/// How the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With FIN; inside TLS after `close_notify`.
    Close,
    /// With FIN alone, as somebody on the way would forge it.
    Truncate,
    /// With RST.
    Reset,
    /// Not at all: silence until the peer goes.
    Stall,
}

/// Steps and an end.
#[derive(Clone, Debug)]
pub struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) end: End,
}

impl Script {
    /// Closes at once.
    #[must_use]
    pub fn new() -> Self {
        Self {
            steps: Vec::new(),
            end: End::Close,
        }
    }

    /// Waits for a request, sends these bytes, and closes.
    #[must_use]
    pub fn answer(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new().request().send(bytes)
    }

    /// Answers one request after the other, one for each of `answers`, then closes.
    #[must_use]
    pub fn answers(answers: &[&str]) -> Self {
        answers
            .iter()
            .fold(Self::new(), |script, answer| script.request().send(*answer))
    }

    /// Adds a step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Adds [`Step::Request`].
    #[must_use]
    pub fn request(self) -> Self {
        self.step(Step::Request)
    }

    /// Adds [`Step::Send`].
    #[must_use]
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Send(bytes.into()))
    }

    /// Adds [`Step::Repeat`].
    #[must_use]
    pub fn repeat(self, bytes: impl Into<Vec<u8>>, times: usize) -> Self {
        self.step(Step::Repeat(bytes.into(), times))
    }

    /// Adds [`Step::Gate`].
    #[must_use]
    pub fn gate(self, gate: &Gate) -> Self {
        self.step(Step::Gate(gate.clone()))
    }

    /// Ends with [`End::Reset`].
    #[must_use]
    pub fn then_reset(self) -> Self {
        self.then(End::Reset)
    }

    /// Ends with [`End::Stall`].
    #[must_use]
    pub fn then_stall(self) -> Self {
        self.then(End::Stall)
    }

    /// Sets the end.
    #[must_use]
    pub fn then(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}
