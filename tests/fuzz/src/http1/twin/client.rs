//! A response, read by the guest and by hyper's client.

use std::pin::pin;
use std::task::Poll;

use fumehood_guest_http1::bounds::{MAX_FIELDS, MAX_HEAD_BYTES};
use fumehood_guest_http1::{Error, Event, Field, ResponseHead};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::ext::ReasonPhrase;
use hyper::{Method, Request, Response, Version};

use super::super::host::{Host, Moves};
use super::super::{Options, Transcript, parse, request};
use super::wire::{Content, Wire, told};
use super::{End, assert_content, assert_ends, assert_fields, is_looser, is_stricter};
use crate::glass::Shadow;

/// Both readings of a response agree. An input is as for `http1`, and nothing is
/// uploaded.
pub fn run(data: &[u8]) {
    let Some((options, _, stream)) = parse(data) else {
        return;
    };
    let options = Options {
        upload: 0,
        ..options
    };
    let ours = Ours::of(read(options, stream));
    let theirs = Theirs::read(options, stream);
    match (&ours.head, &theirs.head) {
        (Some(head), Some(response)) => {
            assert_head(head, response);
            let content = &theirs.content;
            assert_content(&ours.content, &content.bytes);
            assert_ends(&ours.end, &content.end);
            if (&ours.end, &content.end) == (&End::Whole, &End::Whole) {
                assert_eq!(ours.content.len(), content.bytes.len());
                let trailers = content.trailers.clone().unwrap_or_default();
                assert_fields(&ours.trailers, &trailers);
            }
        }
        (Some(_), None) => match &theirs.content.end {
            End::Refused(why) => assert!(is_looser(why), "only hyper refuses it: {why}"),
            other => panic!("hyper reads no head: {other:?}"),
        },
        (None, Some(_)) => match ours.end {
            End::Refused(error) => assert!(is_stricter(error), "only we refuse it: {error}"),
            other => panic!("we read no head: {other:?}"),
        },
        (None, None) => {}
    }
}

/// One exchange, as the engine serves it.
fn read(options: Options, stream: &[u8]) -> Transcript {
    let mut host = Host::new(Moves::Shown, Shadow::none());
    host.send(&request(options), 0);
    host.arrive(stream);
    if options.closes {
        host.close();
    }
    host.finish()
}

/// What the guest read.
struct Ours {
    head: Option<ResponseHead>,
    content: Vec<u8>,
    trailers: Vec<Field>,
    end: End<Error>,
}

impl Ours {
    fn of(transcript: Transcript) -> Ours {
        let mut ours = Ours {
            head: None,
            content: transcript.payload,
            trailers: Vec::new(),
            end: transcript.error.map_or(End::Waiting, End::Refused),
        };
        for event in transcript.events {
            match event {
                Event::Informational(_) => {}
                Event::Head(head) => ours.head = Some(head),
                Event::Trailers(trailers) => ours.trailers = trailers,
                Event::Complete(_) => ours.end = End::Whole,
            }
        }
        ours
    }
}

/// What hyper read.
struct Theirs {
    head: Option<Response<()>>,
    content: Content,
}

impl Theirs {
    fn read(options: Options, stream: &[u8]) -> Theirs {
        let mut theirs = Theirs {
            head: None,
            content: Content::new(),
        };
        let wire = Wire::new(stream, true, options.closes);
        let mut shaking = pin!(
            http1::Builder::new()
                .max_headers(MAX_FIELDS)
                .max_buf_size(2 * MAX_HEAD_BYTES)
                .handshake::<_, Empty<Bytes>>(wire.clone())
        );
        let mut made = None;
        wire.drive(|cx| {
            if made.is_none()
                && let Poll::Ready(Ok(both)) = shaking.as_mut().poll(cx)
            {
                made = Some(both);
            }
        });
        let (mut sender, connection) = made.expect("nothing is waited for");
        let method = match options.head_only {
            true => Method::HEAD,
            false => Method::PUT,
        };
        let asked = Request::builder()
            .method(method)
            .uri("/")
            .header("host", "example.org")
            .body(Empty::new())
            .expect("a request");
        let (mut connection, mut answer) = (pin!(connection), pin!(sender.send_request(asked)));
        let (mut over, mut answered) = (false, false);
        let mut body: Option<Incoming> = None;
        wire.drive(|cx| {
            over = over || connection.as_mut().poll(cx).is_ready();
            if !answered && let Poll::Ready(outcome) = answer.as_mut().poll(cx) {
                answered = true;
                match outcome {
                    Ok(response) => {
                        let (head, content) = response.into_parts();
                        theirs.head = Some(Response::from_parts(head, ()));
                        body = Some(content);
                    }
                    Err(error) => theirs.content.end = End::Refused(told(&error)),
                }
            }
            if let Some(body) = &mut body {
                // What it comes to stands in the content.
                let _ = theirs.content.poll(body, cx);
            }
        });
        theirs
    }
}

fn assert_head(ours: &ResponseHead, theirs: &Response<()>) {
    assert_eq!(ours.status, theirs.status().as_u16());
    let version = match ours.minor_version {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    assert_eq!(version, theirs.version());
    // It tells of those alone that are not the usual ones.
    if let Some(reason) = theirs.extensions().get::<ReasonPhrase>()
        && ours.reason.is_ascii()
    {
        assert_eq!(ours.reason, reason.as_bytes());
    }
    assert_fields(&ours.fields, theirs.headers());
}
