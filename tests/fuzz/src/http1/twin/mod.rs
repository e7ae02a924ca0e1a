//! The `http1` guest beside hyper, in both roles: what both accept they read
//! alike, to the last byte of content.
//!
//! ```text
//! wire      a stream in memory, and hyper driven over it until it stands still
//! client    responses
//! server    requests
//! guest     the server's role natively and behind glass
//! reply     what it answers
//! ```
//!
//! Where only one accepts, the difference is on a list (`is_stricter`, `LOOSER`);
//! anything else is a finding. hyper reads heads by httparse, as
//! the guest does (`http1-httparse` holds these together); so what this adds is
//! what comes of them: lengths, chunks, trailers, the end.

pub mod client;
mod guest;
mod reply;
pub mod server;
mod wire;

use fumehood_guest_http1::{Error, Field, Violation};
use hyper::HeaderMap;

/// How reading a message ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End<E> {
    /// It was whole.
    Whole,
    /// More would have to come.
    Waiting,
    /// It was refused.
    Refused(E),
}

/// Whether a refusal of ours is one that hyper need not share:
///
/// | refused here | what hyper does |
/// |---|---|
/// | a line that ends in LF alone, a NUL in a chunk's extension | is lenient in heads and extensions |
/// | a response that does not begin with `HTTP/` | skips empty lines first |
/// | two lengths; a length and chunks; a coding other than chunked; framing fields where there is no content | lets the last coding, or the closing, decide; does not look |
/// | 101 without an upgrade | hands the connection over |
/// | a trailer that frames, routes or authenticates | hands it on |
/// | an extension with control bytes | skips to the line's end |
/// | over our bounds | has others |
/// | a target with userinfo or `#`, or not in its method's form; not exactly one `host`; a second empty line before a request | leaves it to the application |
fn is_stricter(error: Error) -> bool {
    match error {
        Error::Limit(_) => true,
        Error::Peer(violation) => match violation {
            Violation::BareLineEnding
            | Violation::Nul
            | Violation::BadStatusLine
            | Violation::BadContentLength
            | Violation::AmbiguousLength
            | Violation::BadTransferEncoding
            | Violation::UnsolicitedUpgrade
            | Violation::ForbiddenTrailer
            | Violation::BadChunk
            | Violation::BadTarget
            | Violation::BadRequestLine
            | Violation::BadHost => true,
            Violation::BadVersion
            | Violation::BadField
            | Violation::ObsoleteFolding
            | Violation::BadChunkEnd
            | Violation::UnsolicitedBytes => false,
        },
        Error::Truncated(_) | Error::Misuse(_) => false,
    }
}

/// hyper's names of what it refuses and we need not:
///
/// | refused there | why we accept it |
/// |---|---|
/// | a length of `u64::MAX` or one less | two numbers that hyper has another use for |
/// | extensions or trailers over 16 KiB in all | our bounds are 16 KiB a line, and 256 KiB |
/// | a target that is no `Uri` | the host reads authorities, and servers paths |
const LOOSER: [&str; 4] = [
    "message head is too large",
    "chunk extensions over limit",
    "chunk trailers bytes over limit",
    "invalid URI",
];

fn is_looser(why: &str) -> bool {
    LOOSER.iter().any(|it| why.contains(it))
}

/// Fields as both must have them: by name in lower case, in the order they came.
fn assert_fields(ours: &[Field], theirs: &HeaderMap) {
    let lower = |field: &Field| (field.name.to_ascii_lowercase(), field.value.clone());
    let mut ours: Vec<_> = ours.iter().map(lower).collect();
    let pair = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    let mut theirs: Vec<_> = theirs.iter().map(pair).collect();
    // hyper keeps the order of one name's values only. The sort is a stable one.
    ours.sort_by(|a, b| a.0.cmp(&b.0));
    theirs.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(ours, theirs);
}

/// Content as far as both have it.
fn assert_content(ours: &[u8], theirs: &[u8]) {
    let both = ours.len().min(theirs.len());
    assert_eq!(ours[..both], theirs[..both], "content is read differently");
}

/// Both ends of a message whose heads were read alike.
fn assert_ends(ours: &End<Error>, theirs: &End<String>) {
    match (ours, theirs) {
        (End::Whole, End::Whole) | (End::Waiting, End::Waiting) => {}
        (End::Refused(_), End::Refused(_)) => {}
        // It reads byte by byte, and so refuses half a line.
        (End::Waiting, End::Refused(_)) => {}
        (End::Refused(error), _) => assert!(is_stricter(*error), "only we refuse it: {error}"),
        (_, End::Refused(why)) => assert!(is_looser(why), "only hyper refuses it: {why}"),
        (ours, theirs) => panic!("it ends in two ways: {ours:?}, and with hyper {theirs:?}"),
    }
}
