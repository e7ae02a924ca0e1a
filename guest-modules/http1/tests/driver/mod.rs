//! A host in small: serves a codec's demands from a stream that may be cut
//! anywhere, and notes what the codec was shown and what went past it.
#![allow(dead_code, reason = "every test crate uses a part")]
#![allow(clippy::unwrap_used, reason = "a test")]

use fumehood_guest_http1::{
    Client, Completion, Demand, Error, Event, Field, PayloadLength, Progress, RequestHead,
    ResponseHead,
};

/// What the peer does after its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// It closes.
    Closes,
    /// It says no more and stays.
    Stays,
}

/// What a stream led to.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    /// In stream order.
    pub(crate) events: Vec<Event>,
    /// What the codec was shown, end to end.
    pub(crate) shown: Vec<u8>,
    /// What was moved past it, end to end.
    pub(crate) payload: Vec<u8>,
    /// Bytes left when the codec demanded nothing more.
    pub(crate) leftover: Vec<u8>,
    /// How many calls it took.
    pub(crate) calls: usize,
    /// Why the codec gave up, if it did.
    pub(crate) error: Option<Error>,
}

impl Transcript {
    /// The final head.
    pub(crate) fn head(&self) -> &ResponseHead {
        let head = |event: &'_ Event| matches!(event, Event::Head(_));
        match self.events.iter().find(|event| head(event)) {
            Some(Event::Head(head)) => head,
            _ => panic!("no head in {self:?}"),
        }
    }

    /// The completion, which must be the last event.
    pub(crate) fn completion(&self) -> Completion {
        match self.events.last() {
            Some(Event::Complete(completion)) => *completion,
            _ => panic!("not complete: {self:?}"),
        }
    }
}

/// A request that can be sent.
pub(crate) fn request(method: &str) -> RequestHead {
    RequestHead {
        method: method.to_owned(),
        target: "/".to_owned(),
        fields: vec![field("host", "example.org")],
        payload: PayloadLength::None,
        upgrade: false,
    }
}

/// A field of text.
pub(crate) fn field(name: &str, value: &str) -> Field {
    Field {
        name: name.to_owned(),
        value: value.as_bytes().to_vec(),
    }
}

/// A codec that has sent a request with this method.
pub(crate) fn sent(method: &str) -> Client {
    let mut client = Client::new();
    client.encode_head(&request(method)).unwrap();
    client
}

/// Serves the codec from `pieces` until it gives up, wants nothing more, or
/// the stream ends.
pub(crate) fn drive<'a>(
    client: &mut Client,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    peer: Peer,
) -> Transcript {
    let mut run = Run {
        client,
        buffer: Vec::new(),
        transcript: Transcript::default(),
    };
    for piece in pieces {
        run.buffer.extend_from_slice(piece);
        run.serve();
    }
    if peer == Peer::Closes {
        run.close();
    }
    run.transcript.leftover = run.buffer;
    run.transcript
}

/// The same with the stream in one piece, as the answer to a `GET`.
pub(crate) fn answer(stream: &[u8], peer: Peer) -> Transcript {
    drive(&mut sent("GET"), [stream], peer)
}

/// Cuts the stream into pieces of these sizes, taken round and round.
pub(crate) fn cut<'a>(stream: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = stream;
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).clamp(1, rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

struct Run<'c> {
    client: &'c mut Client,
    buffer: Vec<u8>,
    transcript: Transcript,
}

impl Run<'_> {
    /// Serves demands as long as the buffer can.
    fn serve(&mut self) {
        while self.transcript.error.is_none() && self.step() {}
    }

    /// Serves one demand; false when the buffer cannot, or none is left.
    fn step(&mut self) -> bool {
        let piece = match self.client.demand() {
            Demand::Nothing => return false,
            Demand::Payload(0) => panic!("an empty demand for payload"),
            Demand::Payload(left) => return self.move_payload(left),
            Demand::PayloadUntilClose => {
                self.transcript.payload.append(&mut self.buffer);
                return false;
            }
            Demand::EmptyLine(at_most) => (empty_line_end(&self.buffer), at_most as usize),
            Demand::Lines(lines) => (lines_end(&self.buffer, lines.count), lines.at_most as usize),
        };
        let take = match piece {
            (Some(end), at_most) if end <= at_most => end,
            (_, at_most) if self.buffer.len() >= at_most => at_most,
            _ => return false,
        };
        let shown: Vec<u8> = self.buffer.drain(..take).collect();
        let progress = self.client.receive(&shown);
        self.transcript.shown.extend(shown);
        self.note(progress);
        true
    }

    fn move_payload(&mut self, left: u64) -> bool {
        let count = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(self.buffer.len());
        if count == 0 {
            return false;
        }
        self.transcript.payload.extend(self.buffer.drain(..count));
        let progress = self.client.payload_moved(count as u64);
        self.note(progress);
        true
    }

    fn close(&mut self) {
        let over = matches!(self.transcript.events.last(), Some(Event::Complete(_)));
        if self.transcript.error.is_none() && !over {
            let progress = self.client.end_of_stream(self.buffer.len() as u64);
            self.note(progress);
        }
    }

    fn note(&mut self, progress: Result<Progress, Error>) {
        self.transcript.calls += 1;
        match progress {
            Ok(progress) => {
                assert_eq!(
                    progress.demand,
                    self.client.demand(),
                    "two demands at a time"
                );
                self.transcript.events.extend(progress.events);
            }
            Err(error) => {
                assert_eq!(
                    self.client.demand(),
                    Demand::Nothing,
                    "a demand after an error"
                );
                self.transcript.error = Some(error);
            }
        }
    }
}

/// Where the first empty line ends, said another way than the codec does.
fn empty_line_end(buffer: &[u8]) -> Option<usize> {
    let mut end = 0;
    for line in buffer.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        if line == b"\n" || line == b"\r\n" {
            return Some(end);
        }
    }
    None
}

/// Where LF number `count` is, plus one.
fn lines_end(buffer: &[u8], count: u32) -> Option<usize> {
    let lfs = buffer
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n');
    lfs.map(|(at, _)| at + 1).nth(count as usize - 1)
}
