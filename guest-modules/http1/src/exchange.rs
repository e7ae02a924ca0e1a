//! One exchange: a request under way and its response, to the end of both.

use crate::body::{Body, Step, bound};
use crate::bounds::MAX_INFORMATIONAL;
use crate::framing::{self, Framing, Persistence};
use crate::types::Lent;
use crate::upload::Upload;
use crate::{
    Completion, Demand, Error, Event, Limit, Line, LineDemand, Misuse, Preferences, RequestHead,
    ResponseHead, Truncation, Violation, head, request,
};

/// An exchange under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    sent: Sent,
    stage: Stage,
}

/// What matters later of the request.
#[derive(Debug)]
struct Sent {
    /// Its content.
    upload: Upload,
    /// It is HEAD: the response has no content, whatever the fields say.
    head_only: bool,
    /// It is CONNECT: what follows a 2xx is the tunnel's, whatever the fields say
    /// (RFC 9110 section 9.3.6).
    tunnel: bool,
    /// What it said of the connection.
    asked: Persistence,
    /// It offered an upgrade.
    upgrade: bool,
    /// What is held of the response's heads.
    preferences: Preferences,
}

/// Where in the response the stream is.
#[derive(Debug)]
enum Stage {
    /// A head is to come; so many informational ones have.
    Head { informational: usize },
    /// The final head has come, and said this of the connection.
    Body {
        body: Body,
        persistence: Persistence,
    },
}

/// What a step led to.
#[derive(Debug)]
pub(crate) enum Next {
    /// The exchange goes on.
    Ongoing(Exchange),
    /// It is over.
    Over(Completion),
}

/// A step's outcome: its events but the completion, and what it led to.
/// Steps consume the exchange, so that an error ends it.
pub(crate) type Stepped<'a> = Result<(Vec<Event<Lent<'a>>>, Next), Error>;

impl Exchange {
    /// Begins with the head that was sent.
    pub(crate) fn begin(head: &RequestHead<impl Line>, preferences: Preferences) -> Self {
        let sent = Sent {
            upload: Upload::begin(head.payload),
            head_only: head.method == "HEAD",
            tunnel: head.method == "CONNECT",
            asked: request::persistence(head),
            upgrade: head.upgrade,
            preferences,
        };
        Self {
            sent,
            stage: Stage::Head { informational: 0 },
        }
    }

    /// The request's content.
    pub(crate) fn upload(&mut self) -> &mut Upload {
        &mut self.sent.upload
    }

    /// What must be seen or moved next.
    pub(crate) fn demand(&self) -> Demand {
        match &self.stage {
            Stage::Head { .. } => Demand::EmptyLine(bound(self.sent.preferences.max_head_bytes)),
            Stage::Body { body, .. } => body.demand(),
        }
    }

    /// What may be seen right after the demanded payload.
    pub(crate) fn then(&self) -> Option<LineDemand> {
        match &self.stage {
            Stage::Head { .. } => None,
            Stage::Body { body, .. } => body.then(),
        }
    }

    /// How the exchange ends once the demanded payload has been moved, where that
    /// is all it waits for.
    pub(crate) fn completes(&self) -> Option<Completion> {
        match &self.stage {
            Stage::Body {
                body: Body::Length { .. },
                persistence,
            } if self.sent.upload.is_whole() => Some(self.sent.completion(*persistence)),
            Stage::Head { .. } | Stage::Body { .. } => None,
        }
    }

    /// The demanded piece has come.
    pub(crate) fn receive(self, data: &[u8]) -> Stepped<'_> {
        match self.stage {
            Stage::Head { informational } => {
                let head = head::response(data, self.sent.preferences)?;
                match head.status {
                    101 if self.sent.upgrade => {
                        framing::check_informational(&head)?;
                        let over = Next::Over(Completion { reusable: false });
                        Ok((vec![Event::Head(head)], over))
                    }
                    101 => Err(Violation::UnsolicitedUpgrade.into()),
                    100..=199 => self.sent.informed(head, informational),
                    _ => self.sent.answered(head),
                }
            }
            Stage::Body { body, persistence } => {
                let step = body.receive(data)?;
                Ok(self.sent.stepped(step, persistence))
            }
        }
    }

    /// So much of the demanded payload has been moved.
    pub(crate) fn moved(self, count: u64) -> Stepped<'static> {
        match self.stage {
            Stage::Head { .. } => Err(Misuse::UndemandedPayload.into()),
            Stage::Body { body, persistence } => {
                let step = body.moved(count)?;
                Ok(self.sent.stepped(step, persistence))
            }
        }
    }

    /// The peer has closed, `pending` bytes into the demanded piece.
    pub(crate) fn closed(self, pending: u64) -> Stepped<'static> {
        match self.stage {
            // The request may be retried only if not a byte of an answer came.
            Stage::Head { informational: 0 } if pending == 0 => Err(Truncation::BeforeHead.into()),
            Stage::Head { .. } => Err(Truncation::InHead.into()),
            Stage::Body { body, .. } => {
                body.closed(pending)?;
                Ok((Vec::new(), Next::Over(Completion { reusable: false })))
            }
        }
    }
}

impl Sent {
    /// An informational head has come.
    fn informed(self, head: ResponseHead<Lent<'_>>, before: usize) -> Stepped<'_> {
        framing::check_informational(&head)?;
        if before == MAX_INFORMATIONAL {
            return Err(Limit::InformationalCount.into());
        }
        let stage = Stage::Head {
            informational: before + 1,
        };
        let next = Next::Ongoing(Exchange { sent: self, stage });
        Ok((vec![Event::Informational(head)], next))
    }

    /// The final head has come.
    fn answered(self, head: ResponseHead<Lent<'_>>) -> Stepped<'_> {
        if self.tunnel && (200..=299).contains(&head.status) {
            let over = Next::Over(Completion { reusable: false });
            return Ok((vec![Event::Head(head)], over));
        }
        let framing = Framing::of(&head, self.head_only)?;
        let persistence = Persistence::of(&head, framing);
        let next = match Body::begin(framing) {
            Some(body) => self.ongoing(body, persistence),
            None => self.over(persistence),
        };
        Ok((vec![Event::Head(head)], next))
    }

    /// The content has advanced.
    fn stepped(self, step: Step<'_>, persistence: Persistence) -> (Vec<Event<Lent<'_>>>, Next) {
        match step {
            Step::More(body) => (Vec::new(), self.ongoing(body, persistence)),
            Step::End(trailers) if trailers.is_empty() => (Vec::new(), self.over(persistence)),
            Step::End(trailers) => (vec![Event::Trailers(trailers)], self.over(persistence)),
        }
    }

    fn ongoing(self, body: Body, persistence: Persistence) -> Next {
        Next::Ongoing(Exchange {
            sent: self,
            stage: Stage::Body { body, persistence },
        })
    }

    fn over(self, persistence: Persistence) -> Next {
        Next::Over(self.completion(persistence))
    }

    /// An answer to half a request is one, but what is left of the request
    /// would be read as the next one: the connection ends.
    fn completion(&self, persistence: Persistence) -> Completion {
        let kept = persistence == Persistence::Keep && self.asked == Persistence::Keep;
        Completion {
            reusable: kept && self.upload.is_whole(),
        }
    }
}
