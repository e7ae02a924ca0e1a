//! Requests of a connection, read by the guest and by hyper's server, or by the guest
//! behind glass.
//!
//! An input is a byte of options and the stream. The options say whether the client
//! closes behind it (1), and what is answered (`reply`).

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use fumehood_engine::fuzz::ServerCodec;
use fumehood_guest_http1::bounds::{MAX_FIELDS, MAX_HEAD_BYTES};
use fumehood_guest_http1::{
    Demand, Error, LineDemand, Request, RequestTarget, ServerEvent, ServerProgress,
};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Response, Version, http::request::Parts};

use super::super::host::{empty_line, nth_line};
use super::guest::Guest;
use super::reply::Reply;
use super::wire::{Content, Wire, told};
use super::{End, assert_content, assert_ends, assert_fields, is_looser, is_stricter};
use crate::glass::{Guests, Shadow};

/// Requests that are read of one connection, at most.
const MAX_REQUESTS: usize = 3;

/// The client closes behind its last byte.
const CLOSES: u8 = 1;

/// Both readings of all requests agree, up to the first that one of them refuses.
pub fn run(data: &[u8]) {
    let Some((options, stream)) = data.split_first() else {
        return;
    };
    let ours = Ours::read(stream, *options, Shadow::none());
    let theirs = Theirs::read(stream, options & CLOSES != 0);
    for index in 0..MAX_REQUESTS {
        match (ours.requests.get(index), theirs.requests.get(index)) {
            (Some(ours), Some(theirs)) => {
                assert_request(&ours.head, &theirs.head);
                assert_content(&ours.content, &theirs.content.bytes);
                assert_ends(&ours.end, &theirs.content.end);
                let both = (&ours.end, &theirs.content.end) == (&End::Whole, &End::Whole);
                // Behind CONNECT, a tunnel; behind a refusal, nothing.
                if !both || ours.head.method == "CONNECT" {
                    return;
                }
                assert_eq!(ours.content.len(), theirs.content.bytes.len());
            }
            (Some(_), None) => match &theirs.end {
                End::Refused(why) => {
                    assert!(is_looser(why), "only hyper refuses it: {why}");
                    return;
                }
                // It keeps no connection whose framing could be doubted.
                End::Whole if index > 0 => return,
                other => panic!("hyper reads no request: {other:?}"),
            },
            (None, Some(_)) => match ours.end {
                End::Refused(error) => {
                    assert!(is_stricter(error), "only we refuse it: {error}");
                    return;
                }
                End::Whole if index > 0 => return,
                other => panic!("we read no request: {other:?}"),
            },
            (None, None) => return,
        }
    }
}

/// The guest says the same natively and behind glass.
pub fn run_beside_glass(data: &[u8]) {
    run_beside(data, Guests::get());
}

/// The same with these guests.
pub fn run_beside(data: &[u8], guests: &Guests) {
    if let Some((options, stream)) = data.split_first() {
        Ours::read(stream, *options, guests.server());
    }
}

/// A request and what came of its content.
struct Read {
    head: Request,
    content: Vec<u8>,
    end: End<Error>,
}

/// What the guest read.
struct Ours {
    requests: Vec<Read>,
    /// To each of them.
    reply: Reply,
    /// Of the connection.
    end: End<Error>,
}

impl Ours {
    fn read(stream: &[u8], options: u8, shadow: Shadow<ServerCodec>) -> Ours {
        let mut ours = Ours {
            requests: Vec::new(),
            reply: Reply::of(options),
            end: End::Waiting,
        };
        let mut guest = Guest::new(shadow);
        let (mut buffer, mut then) = (stream, None);
        while ours.end == End::Waiting {
            let step = match (guest.demand(), then) {
                (Demand::Nothing, _) => break,
                (Demand::PayloadUntilClose, _) => unreachable!("a request ends by itself"),
                (Demand::Payload(left), lines) => {
                    ours.payload(&mut guest, &mut buffer, left, lines)
                }
                (demand @ (Demand::EmptyLine(_) | Demand::Lines(_)), _) => {
                    piece(&mut buffer, demand).map(|it| guest.receive(it))
                }
            };
            let Some(step) = step else {
                break;
            };
            match step {
                Ok(progress) => {
                    then = progress.then;
                    ours.note(progress.events, &mut guest);
                }
                Err(error) => ours.refuse(error, &mut guest),
            }
        }
        if options & CLOSES != 0 && ours.end == End::Waiting {
            match guest.end_of_stream(buffer.len() as u64) {
                Ok(_) => ours.end = End::Whole,
                Err(error) => ours.refuse(error, &mut guest),
            }
        }
        ours
    }

    /// Moves payload, and shows the lines behind it with it.
    fn payload(
        &mut self,
        guest: &mut Guest,
        buffer: &mut &[u8],
        left: u64,
        then: Option<LineDemand>,
    ) -> Option<Result<ServerProgress, Error>> {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX);
        let (moved, behind) = buffer.split_at(wanted.min(buffer.len()));
        if let Some(request) = self.requests.last_mut() {
            request.content.extend_from_slice(moved);
        }
        *buffer = behind;
        if moved.len() < wanted {
            // What is left of the stream is content, and not all of it.
            return match moved.is_empty() {
                true => None,
                false => Some(guest.payload_moved(moved.len() as u64)),
            };
        }
        match then {
            Some(lines) => piece(buffer, Demand::Lines(lines)).map(|it| guest.receive(it)),
            None => Some(guest.payload_moved(left)),
        }
    }

    fn note(&mut self, events: Vec<ServerEvent>, guest: &mut Guest) {
        for event in events {
            match event {
                ServerEvent::Request(head) => self.requests.push(Read {
                    head,
                    content: Vec::new(),
                    end: End::Waiting,
                }),
                ServerEvent::RequestEnd => {
                    let Some(request) = self.requests.last_mut() else {
                        panic!("the end of no request");
                    };
                    request.end = End::Whole;
                    let persists = guest.respond(&self.reply);
                    if !persists || self.requests.len() == MAX_REQUESTS {
                        self.end = End::Whole;
                    }
                }
            }
        }
    }

    /// The request under way, or the one that was to come, is refused, and the client
    /// is told so where it can be.
    fn refuse(&mut self, error: Error, guest: &mut Guest) {
        assert!(!matches!(error, Error::Misuse(_)), "our own call: {error}");
        assert!(!guest.respond(&self.reply), "it goes on behind {error}");
        if let Some(request) = self.requests.last_mut()
            && request.end == End::Waiting
        {
            request.end = End::Refused(error);
        }
        self.end = End::Refused(error);
    }
}

/// Takes the piece that is demanded, if it is there.
fn piece<'a>(buffer: &mut &'a [u8], demand: Demand) -> Option<&'a [u8]> {
    let (end, at_most) = match demand {
        Demand::EmptyLine(at_most) => (empty_line(buffer), at_most),
        Demand::Lines(lines) => (nth_line(buffer, lines.count), lines.at_most),
        Demand::Payload(_) | Demand::PayloadUntilClose | Demand::Nothing => return None,
    };
    let at_most = at_most as usize;
    let take = match end {
        Some(end) if end <= at_most => end,
        _ if buffer.len() >= at_most => at_most,
        _ => return None,
    };
    let (piece, behind) = buffer.split_at(take);
    *buffer = behind;
    Some(piece)
}

/// A request as hyper reads it.
struct Seen {
    head: Parts,
    content: Content,
}

/// What hyper read.
struct Theirs {
    requests: Vec<Seen>,
    /// Of the connection.
    end: End<String>,
}

impl Theirs {
    fn read(stream: &[u8], closes: bool) -> Theirs {
        let wire = Wire::new(stream, false, closes);
        let requests: Rc<RefCell<Vec<Seen>>> = Rc::default();
        let seen = Rc::clone(&requests);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (head, mut body) = request.into_parts();
            let content = Content::new();
            seen.borrow_mut().push(Seen { head, content });
            let index = seen.borrow().len() - 1;
            let seen = Rc::clone(&seen);
            async move {
                poll_fn(|cx| seen.borrow_mut()[index].content.poll(&mut body, cx)).await;
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .max_headers(MAX_FIELDS)
                .max_buf_size(2 * MAX_HEAD_BYTES)
                // A client that has said all may still listen.
                .half_close(true)
                .serve_connection(wire.clone(), service)
        );
        let mut end = End::Waiting;
        wire.drive(|cx| {
            if end == End::Waiting
                && let Poll::Ready(outcome) = connection.as_mut().poll(cx)
            {
                end = match outcome {
                    Ok(()) => End::Whole,
                    Err(error) => End::Refused(told(&error)),
                };
            }
        });
        let requests = std::mem::take(&mut *requests.borrow_mut());
        Theirs { requests, end }
    }
}

fn assert_request(ours: &Request, theirs: &Parts) {
    assert_eq!(ours.method, theirs.method.as_str());
    let version = match ours.minor_version {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    assert_eq!(version, theirs.version);
    let target = match &ours.target {
        RequestTarget::Authority(text) | RequestTarget::Local(text) => text.clone(),
        RequestTarget::Absolute { origin, path } => {
            // It writes the two schemes it knows in lower case.
            let (scheme, rest) = origin.split_once("://").unwrap_or_default();
            format!("{}://{rest}{path}", scheme.to_ascii_lowercase())
        }
    };
    let mut shown = theirs.uri.to_string();
    if let Some(scheme) = theirs.uri.scheme_str() {
        shown.replace_range(..scheme.len(), &scheme.to_ascii_lowercase());
    }
    assert_eq!(target, shown, "two targets");
    assert_fields(&ours.fields, &passed_on(&theirs.headers));
}

/// The fields that go on to the next server (RFC 9110 section 7.6.1), told apart
/// another way than the guest does.
fn passed_on(fields: &HeaderMap) -> HeaderMap {
    let mut left = fields.clone();
    let options = fields.get_all("connection").iter();
    let named: Vec<String> = options
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .collect();
    let of_one_hop = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    for name in of_one_hop
        .into_iter()
        .chain(named.iter().map(String::as_str))
    {
        left.remove(name);
    }
    left
}
