//! A host in small: it serves the codec's demands, and has a shadow do the same.

use fumehood_control as control;
use fumehood_engine::fuzz::Codec;
use fumehood_guest_http1::{
    Client, Completion, Demand, Error, Event, Field, LineDemand, Misuse, PayloadLength, Progress,
    RequestHead, ResponseHead,
};

use super::Transcript;
use crate::glass::Shadow;

/// What the codec was shown at once, and how many events it made of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) demand: Demand,
    /// A response's head is what comes next, and not what is in its body.
    pub(super) in_head: bool,
    pub(super) shown: Vec<u8>,
    pub(super) said: Result<Vec<Event>, Error>,
}

/// When the codec is told of payload that was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moves {
    /// At once, be it a part.
    Told,
    /// By what follows it, the lines behind it or the next request, where that may
    /// be shown at once: as the engine does.
    Shown,
}

/// A connection's host.
pub(super) struct Host {
    client: Client,
    shadow: Shadow<Codec>,
    buffer: Vec<u8>,
    moves: Moves,
    /// Lines that may be shown right behind the demanded payload.
    then: Option<LineDemand>,
    /// Payload that was moved, and the codec not told of.
    untold: u64,
    /// An exchange is under way.
    busy: bool,
    transcript: Transcript,
}

impl Host {
    pub(super) fn new(moves: Moves, shadow: Shadow<Codec>) -> Host {
        Host {
            client: Client::new(),
            shadow,
            buffer: Vec::new(),
            moves,
            then: None,
            untold: 0,
            busy: false,
            transcript: Transcript::default(),
        }
    }

    /// Begins an exchange and sends all of its content.
    pub(super) fn send(&mut self, head: &RequestHead, length: u8) {
        self.busy = true;
        self.shadow.ask(|codec| {
            let (fields, payload) = (told_fields(&head.fields), told_payload(head.payload));
            codec.encode_head(&head.method, &head.target, &fields, payload)
        });
        let sent = self.client.encode_head(head);
        self.shadow.compare(|| text(&sent));
        if sent.is_err() || head.payload == PayloadLength::None {
            return;
        }
        let length = u64::from(length);
        self.shadow.ask(|codec| codec.frame_payload(length));
        let framed = self.client.frame_payload(length);
        self.shadow.compare(|| text(&framed));
        if framed.is_ok() && head.payload == PayloadLength::Unknown {
            self.shadow.ask(Codec::end_payload);
            let ended = self.client.end_payload();
            self.shadow.compare(|| text(&ended));
        }
    }

    /// More of the stream has come.
    pub(super) fn arrive(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while self.transcript.error.is_none() && self.step() {}
    }

    /// An exchange is over and the connection can carry another.
    pub(super) fn wants_a_request(&self) -> bool {
        let last = self.transcript.events.last();
        let reusable = matches!(last, Some(Event::Complete(it)) if it.reusable);
        !self.busy && reusable
    }

    pub(super) fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The peer has closed.
    pub(super) fn close(&mut self) {
        if self.transcript.error.is_some() || !self.busy {
            return;
        }
        let pending = self.buffer.len() as u64;
        self.shadow.ask(|codec| codec.end_of_stream(pending));
        let progress = self.client.end_of_stream(pending);
        // What was said is noted; nothing was shown for it.
        let _ = self.note(progress);
    }

    pub(super) fn finish(mut self) -> Transcript {
        if self.transcript.error.is_some() {
            let again = self.client.payload_moved(1);
            assert_eq!(again, Err(Error::Misuse(Misuse::ConnectionOver)));
        }
        self.transcript.leftover = self.buffer;
        self.transcript
    }

    /// Serves one demand; false when the buffer cannot, or none is left.
    fn step(&mut self) -> bool {
        match (self.client.demand(), self.then) {
            (Demand::Nothing, _) => false,
            (Demand::Payload(left), Some(lines)) if self.moves == Moves::Shown => {
                if self.untold < left {
                    return self.move_untold(left);
                }
                self.collect(Demand::Lines(lines))
            }
            (Demand::Payload(_), _) if !self.busy => false,
            (Demand::Payload(left), None) if self.moves == Moves::Shown => {
                match self.client.completes() {
                    Some(completion) if completion.reusable => self.move_last(left, completion),
                    _ => self.move_payload(left),
                }
            }
            (Demand::Payload(left), _) => self.move_payload(left),
            (Demand::PayloadUntilClose, _) => {
                self.transcript.payload.append(&mut self.buffer);
                false
            }
            (demand @ (Demand::EmptyLine(_) | Demand::Lines(_)), _) => self.collect(demand),
        }
    }

    /// Shows the codec a piece, if it is there.
    fn collect(&mut self, demand: Demand) -> bool {
        let (end, at_most) = match demand {
            Demand::Nothing | Demand::Payload(_) | Demand::PayloadUntilClose => return false,
            Demand::EmptyLine(at_most) => (empty_line(&self.buffer), at_most),
            Demand::Lines(lines) => (nth_line(&self.buffer, lines.count), lines.at_most),
        };
        let at_most = at_most as usize;
        let take = match end {
            Some(end) if end <= at_most => end,
            _ if self.buffer.len() >= at_most => at_most,
            _ => return false,
        };
        let shown: Vec<u8> = self.buffer.drain(..take).collect();
        self.untold = 0;
        let in_head = !matches!(self.transcript.events.last(), Some(Event::Head(_)));
        self.shadow.ask(|codec| codec.receive(&shown));
        let progress = self.client.receive(&shown);
        let said = self.note(progress);
        self.transcript.pieces.push(Piece {
            demand,
            in_head,
            shown,
            said,
        });
        true
    }

    /// Moves as much as is there, and keeps it to itself.
    fn move_untold(&mut self, left: u64) -> bool {
        let wanted = usize::try_from(left - self.untold).unwrap_or(usize::MAX);
        let count = wanted.min(self.buffer.len());
        self.transcript.payload.extend(self.buffer.drain(..count));
        self.untold += count as u64;
        count > 0
    }

    /// Moves what is left of an exchange that is over then, and keeps it to itself.
    fn move_last(&mut self, left: u64, completion: Completion) -> bool {
        let moved = self.move_untold(left);
        if self.untold == left {
            self.untold = 0;
            self.busy = false;
            self.transcript.events.push(Event::Complete(completion));
        }
        moved
    }

    fn move_payload(&mut self, left: u64) -> bool {
        assert!(left > 0, "an empty demand for payload");
        let count = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(self.buffer.len());
        if count == 0 {
            return false;
        }
        self.transcript.payload.extend(self.buffer.drain(..count));
        self.shadow.ask(|codec| codec.payload_moved(count as u64));
        let progress = self.client.payload_moved(count as u64);
        // Noted with its events; there is no piece of framing to it.
        let _ = self.note(progress);
        true
    }

    fn note(&mut self, progress: Result<Progress, Error>) -> Result<Vec<Event>, Error> {
        self.shadow.compare(|| progress_text(&progress));
        match progress {
            Ok(progress) => {
                assert_eq!(progress.demand, self.client.demand(), "two demands");
                let over = |event: &Event| matches!(event, Event::Complete(_));
                self.then = progress.then;
                self.busy = !progress.events.iter().any(over);
                self.transcript.events.extend(progress.events.clone());
                Ok(progress.events)
            }
            Err(error) => {
                assert_eq!(self.client.demand(), Demand::Nothing, "after an error");
                assert!(!matches!(error, Error::Misuse(_)), "our own call: {error}");
                self.transcript.error = Some(error);
                Err(error)
            }
        }
    }
}

/// The first empty line's end, said another way than codec and engine do.
pub(super) fn empty_line(buffer: &[u8]) -> Option<usize> {
    let mut end = 0;
    for line in buffer.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        if line == b"\n" || line == b"\r\n" {
            return Some(end);
        }
    }
    None
}

/// The end of LF number `count`.
pub(super) fn nth_line(buffer: &[u8], count: u32) -> Option<usize> {
    let lfs = buffer.iter().enumerate().filter(|(_, it)| **it == b'\n');
    lfs.map(|(at, _)| at + 1).nth(count as usize - 1)
}

/// Fields as the engine has them.
pub(super) fn told_fields(fields: &[Field]) -> Vec<control::Field> {
    let field = |field: &Field| control::Field {
        name: field.name.clone(),
        value: field.value.clone(),
    };
    fields.iter().map(field).collect()
}

pub(super) fn told_payload(payload: PayloadLength) -> control::PayloadLength {
    match payload {
        PayloadLength::None => control::PayloadLength::None,
        PayloadLength::Known(length) => control::PayloadLength::Known(length),
        PayloadLength::Unknown => control::PayloadLength::Unknown,
    }
}

/// An answer as the guest behind glass tells it.
fn text<T: std::fmt::Debug>(answer: &Result<T, Error>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(Error::Misuse(misuse)) => format!("Misuse({:?})", misuse.to_string()),
        Err(error) => format!("{error:?}"),
    }
}

/// The engine has types of its own for what is told on.
fn progress_text(progress: &Result<Progress, Error>) -> String {
    let head = |kind: &str, head: &ResponseHead| format!("{kind}({head:?})");
    let told = progress.as_ref().map_err(|error| *error).map(|progress| {
        let events: Vec<String> = progress
            .events
            .iter()
            .map(|event| match event {
                Event::Informational(told) => head("Informational", told),
                Event::Head(told) => head("Head", told),
                Event::Trailers(fields) => format!("Trailers({fields:?})"),
                Event::Complete(completion) => {
                    format!("Complete {{ reusable: {} }}", completion.reusable)
                }
            })
            .collect();
        let (events, demand) = (events.join(", "), progress.demand);
        let then = progress.then;
        format!("Progress {{ events: [{events}], demand: {demand:?}, then: {then:?} }}")
    });
    told.unwrap_or_else(|error| text::<()>(&Err(error)))
}
