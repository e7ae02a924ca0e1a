//! The `http1` guest beside httparse: what is accepted is read alike, and what
//! is refused is refused there too.
//!
//! We are stricter on purpose, so these refusals need not be shared:
//!
//! | refused here | why httparse may accept it |
//! |---|---|
//! | a head that does not begin with `HTTP/` | it skips empty lines first |
//! | a status below 100 | it reads any three digits |
//! | a line that ends in LF alone, obsolete folding, a NUL | it is lenient where old servers were |
//! | lines, heads and numbers of fields over our bounds | it has others |
//! | framing fields, trailers, upgrades | it does not look at their meaning |
//! | a chunk extension with control characters, blanks before nothing | it skips to the line's end |

use fumehood_guest_http1::bounds::MAX_FIELDS;
use fumehood_guest_http1::{Demand, Error, Event, Field, ResponseHead, Violation};
use httparse::Status;

use super::host::{Moves, Piece};
use super::{cut, drive, parse};
use crate::glass::Shadow;

/// Both readings of every piece of framing agree.
pub fn run(data: &[u8]) {
    let Some((options, cuts, stream)) = parse(data) else {
        return;
    };
    let seen = drive(options, Moves::Shown, cut(stream, cuts), Shadow::none());
    for piece in &seen.pieces {
        match piece.demand {
            Demand::EmptyLine(_) if piece.in_head => compare_head(piece),
            Demand::EmptyLine(_) => compare_trailers(piece),
            Demand::Lines(_) => compare_chunk(piece),
            Demand::Payload(_) | Demand::PayloadUntilClose | Demand::Nothing => {}
        }
    }
}

fn compare_head(piece: &Piece) {
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut theirs = httparse::Response::new(&mut headers);
    let outcome = theirs.parse(&piece.shown);
    match &piece.said {
        Ok(events) => {
            assert_eq!(outcome, Ok(Status::Complete(piece.shown.len())));
            if let Some(Event::Head(ours) | Event::Informational(ours)) = events.first() {
                assert_same(ours, &theirs);
            }
        }
        Err(Error::Peer(violation)) => {
            let complete = outcome == Ok(Status::Complete(piece.shown.len()));
            let stricter = match violation {
                Violation::BadStatusLine => {
                    !piece.shown.starts_with(b"HTTP/") || theirs.code.is_some_and(|it| it < 100)
                }
                Violation::BadVersion | Violation::BadField => false,
                _ => true,
            };
            assert!(!complete || stricter, "only we refuse it: {violation}");
        }
        Err(_) => {}
    }
}

fn assert_same(ours: &ResponseHead, theirs: &httparse::Response<'_, '_>) {
    assert_eq!(theirs.version, Some(ours.minor_version));
    assert_eq!(theirs.code, Some(ours.status));
    // It leaves a reason with obs-text out.
    if ours.reason.is_ascii() {
        let reason = theirs.reason.map(str::as_bytes);
        assert_eq!(reason, Some(ours.reason.as_slice()));
    }
    assert_fields(&ours.fields, theirs.headers);
}

fn assert_fields(ours: &[Field], theirs: &[httparse::Header<'_>]) {
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(
            (ours.name.as_str(), ours.value.as_slice()),
            (theirs.name, theirs.value)
        );
    }
}

fn compare_trailers(piece: &Piece) {
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let outcome = httparse::parse_headers(&piece.shown, &mut headers);
    match &piece.said {
        Ok(events) => match outcome {
            Ok(Status::Complete((end, theirs))) => {
                assert_eq!(end, piece.shown.len());
                let ours = match events.first() {
                    Some(Event::Trailers(fields)) => fields.as_slice(),
                    _ => &[],
                };
                assert_fields(ours, theirs);
            }
            other => panic!("only we accept it: {other:?}"),
        },
        Err(Error::Peer(Violation::BadField)) => {
            let complete =
                matches!(outcome, Ok(Status::Complete((end, _))) if end == piece.shown.len());
            assert!(!complete, "only we refuse it");
        }
        Err(_) => {}
    }
}

fn compare_chunk(piece: &Piece) {
    // The next size line stands behind the chunk's CRLF.
    let line = piece.shown.strip_prefix(b"\r\n").unwrap_or(&piece.shown);
    let outcome = httparse::parse_chunk_size(line);
    if piece.said.is_ok() {
        assert!(
            matches!(outcome, Ok(Status::Complete((end, _))) if end == line.len()),
            "only we accept it: {outcome:?}"
        );
    }
}
