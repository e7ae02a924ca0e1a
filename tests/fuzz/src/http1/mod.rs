//! The `http1` guest: response streams, cut anywhere, its demands served as
//! the host would.
//!
//! An input is a byte of options, a byte that says how the stream is cut, and
//! the stream.

pub mod agree;
mod host;
pub mod twin;

use fumehood_guest_http1::{Error, Event, Field, PayloadLength, RequestHead};

use crate::glass::{Guests, Shadow};
use host::{Host, Moves, Piece};

/// Exchanges one after the other on a connection, at most.
const MAX_EXCHANGES: usize = 3;

/// What is asked, and what the peer does after its last byte.
#[derive(Clone, Copy)]
struct Options {
    head_only: bool,
    closes: bool,
    upload: u8,
}

/// What a stream came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Transcript {
    /// What the codec said, in stream order.
    events: Vec<Event>,
    /// Bytes that were moved past it, by the demand they answer.
    payload: Vec<u8>,
    /// What it was shown, piece by piece, and what it said to each.
    pieces: Vec<Piece>,
    /// Bytes nobody wanted.
    leftover: Vec<u8>,
    error: Option<Error>,
}

/// The codec survives, keeps its own rules, and says the same however the
/// stream is cut.
pub fn run(data: &[u8]) {
    let Some((options, cuts, stream)) = parse(data) else {
        return;
    };
    let whole = drive(options, Moves::Told, [stream], Shadow::none());
    check(&whole, stream);
    let told = drive(options, Moves::Told, cut(stream, cuts), Shadow::none());
    assert_eq!(whole, told, "what a stream says depends on how it is cut");
    let shown = drive(options, Moves::Shown, cut(stream, cuts), Shadow::none());
    assert_eq!(told, shown, "and on how the host tells of payload");
}

/// The codec says the same natively and behind glass.
pub fn run_beside_glass(data: &[u8]) {
    run_beside(data, Guests::get());
}

/// The same with these guests.
pub fn run_beside(data: &[u8], guests: &Guests) {
    let Some((options, cuts, stream)) = parse(data) else {
        return;
    };
    // As the engine does.
    let transcript = drive(options, Moves::Shown, cut(stream, cuts), guests.http1());
    check(&transcript, stream);
}

fn parse(data: &[u8]) -> Option<(Options, u8, &[u8])> {
    let (&[options, cuts], stream) = data.split_first_chunk()?;
    let options = Options {
        head_only: options & 1 != 0,
        closes: options & 2 != 0,
        upload: options >> 2,
    };
    Some((options, cuts, stream))
}

fn drive<'a>(
    options: Options,
    moves: Moves,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    shadow: Shadow<fumehood_engine::fuzz::Codec>,
) -> Transcript {
    let mut host = Host::new(moves, shadow);
    let mut exchanges = 1;
    host.send(&request(options), options.upload);
    for piece in pieces {
        host.arrive(piece);
        while host.wants_a_request() && exchanges < MAX_EXCHANGES && host.has_more() {
            exchanges += 1;
            host.send(&request(options), options.upload);
            host.arrive(&[]);
        }
    }
    if options.closes {
        host.close();
    }
    host.finish()
}

/// Cuts a stream into pieces whose sizes the number decides.
fn cut(stream: &[u8], cuts: u8) -> impl Iterator<Item = &[u8]> {
    let mut state = u32::from(cuts) + 1;
    let mut rest = stream;
    std::iter::from_fn(move || {
        // The linear congruential generator of Numerical Recipes.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = 1 + (state >> 24) as usize % (usize::from(cuts) + 1);
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

fn request(options: Options) -> RequestHead {
    RequestHead {
        method: if options.head_only { "HEAD" } else { "PUT" }.to_owned(),
        target: "/".to_owned(),
        fields: vec![Field {
            name: "host".to_owned(),
            value: b"example.org".to_vec(),
        }],
        payload: match options.upload % 3 {
            0 => PayloadLength::None,
            1 => PayloadLength::Known(u64::from(options.upload)),
            _ => PayloadLength::Unknown,
        },
        upgrade: false,
    }
}

/// What holds of every stream.
fn check(seen: &Transcript, stream: &[u8]) {
    let shown: usize = seen.pieces.iter().map(|piece| piece.shown.len()).sum();
    assert_eq!(
        shown + seen.payload.len() + seen.leftover.len(),
        stream.len(),
        "bytes were lost or made up"
    );
    let mut heads = 0_u32;
    for event in &seen.events {
        match event {
            Event::Informational(head) => {
                assert!((100..200).contains(&head.status) && heads == 0, "{head:?}");
            }
            Event::Head(head) => {
                heads += 1;
                assert!((200..1000).contains(&head.status), "{head:?}");
            }
            Event::Trailers(fields) => assert!(heads == 1 && !fields.is_empty()),
            Event::Complete(_) => {
                assert_eq!(heads, 1, "an exchange was over with {heads} heads");
                heads = 0;
            }
        }
    }
    assert!(heads <= 1, "two heads in an exchange");
}
