//! One transfer: asked for, checked byte for byte, begun again where an engine
//! died in the middle of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fumehood::control::{Blame, Cause, Deadlines};
use fumehood::{Client, Error, Journey, Options, Rest, default_deadlines};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};

use super::origin::Origin;
use super::plan::{Framing, Item};
use crate::cli::content;
use crate::cli::exit::Exit;

/// A transfer that takes longer hangs, in milliseconds: a hundred times what
/// the slowest takes on a crowded machine.
const HANGS_AFTER_MS: u32 = 60_000;

/// How often a transfer is begun: once, and again after each engine that may
/// die under it.
const MAX_TRIES: u32 = 4;

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Every byte was as it must be.
    Exact,
    /// It was said to be whole, and was not: in words.
    Wrong(String),
    /// A typed error: its name.
    Failed(Reason),
    /// It did not end.
    Hung,
}

/// A typed error, told apart from others of its kind by its name alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reason {
    pub(super) name: String,
    /// A guest ended: what poison may do.
    pub(super) by_guest: bool,
}

/// What became of a transfer.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) end: End,
    pub(super) took: Duration,
    /// Another instance took over in the middle.
    pub(super) resumed: bool,
    /// The library sent it again, unasked.
    pub(super) sent_again: bool,
    /// Why it was begun again, for each time.
    pub(super) begun_again: BTreeMap<Reason, u32>,
}

/// Carries out one.
pub(super) async fn run(client: &Client, origin: &Origin, item: &Item, poison: bool) -> Outcome {
    let began = Instant::now();
    let mut outcome = Outcome {
        end: End::Hung,
        took: Duration::ZERO,
        resumed: false,
        sent_again: false,
        begun_again: BTreeMap::new(),
    };
    for tries in 1..=MAX_TRIES {
        let within = Duration::from_millis(HANGS_AFTER_MS.into()) * 2;
        let one = once(client, origin, item, poison, &mut outcome);
        outcome.end = match tokio::time::timeout(within, one).await {
            Err(_) => End::Hung,
            Ok(Ok(end)) => end,
            Ok(Err(error)) if matches!(error.cause(), Some(Cause::Deadline { .. })) => End::Hung,
            Ok(Err(error)) if may_begin_again(&error) && tries < MAX_TRIES => {
                *outcome.begun_again.entry(Reason::of(&error)).or_default() += 1;
                // Many deaths in a row are followed by a rest.
                let rest = error.rest().map_or(Duration::ZERO, Rest::left);
                tokio::time::sleep(rest).await;
                continue;
            }
            Ok(Err(error)) => End::Failed(Reason::of(&error)),
        };
        break;
    }
    outcome.took = began.elapsed();
    outcome
}

/// Nobody has the bytes yet but us, so all of a transfer may be had again.
fn may_begin_again(error: &Error) -> bool {
    error.cause() == Some(&Cause::EngineDied) || error.is_retryable()
}

async fn once(
    client: &Client,
    origin: &Origin,
    item: &Item,
    poison: bool,
    outcome: &mut Outcome,
) -> Result<End, Error> {
    let mut response = client.send(request(origin, item, poison)?).await?;
    let journey = response.extensions_mut().remove::<Journey>();
    let journey = journey.unwrap_or_default();
    outcome.resumed |= !journey.resumed.is_empty();
    outcome.sent_again |= journey.engines_lost > 0;
    if response.status() != http::StatusCode::OK {
        return Ok(End::Wrong(format!("status {}", response.status().as_u16())));
    }
    let body = response.body_mut();
    let mut received = 0;
    let mut wrong = None;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            if !content::matches(item.offset + received, &data) {
                wrong.get_or_insert(received);
            }
            received += data.len() as u64;
        }
    }
    outcome.resumed |= !body.resumed().is_empty();
    Ok(match wrong {
        Some(at) => End::Wrong(format!("another byte within {at} and {received}")),
        None if received != item.bytes => {
            End::Wrong(format!("{received} bytes instead of {}", item.bytes))
        }
        None => End::Exact,
    })
}

fn request(origin: &Origin, item: &Item, poison: bool) -> Result<Request<Full<Bytes>>, Error> {
    let deadlines = Deadlines {
        total_ms: HANGS_AFTER_MS,
        ..default_deadlines()
    };
    let options = Options {
        deadlines: Some(deadlines),
        ..Options::default()
    };
    let mut upload = Vec::new();
    let method = match item.framing {
        Framing::Echo => {
            // Writing to memory does not fail.
            let _infallible = content::write(&mut upload, item.offset, item.offset + item.bytes);
            Method::PUT
        }
        _ => Method::GET,
    };
    Request::builder()
        .method(method)
        .uri(origin.url(item, poison))
        .extension(options)
        .body(Full::new(upload.into()))
        .map_err(|e| Error::Caller(fumehood::CallerError::Request(e.to_string())))
}

impl Reason {
    fn of(error: &Error) -> Self {
        let name = match error.cause() {
            Some(Cause::EngineDied) => "engine-died".to_owned(),
            Some(Cause::Guest { module, kind, .. }) => format!("guest-{module}-{kind}"),
            Some(Cause::Busy) => "busy".to_owned(),
            Some(Cause::Truncated { place }) => format!("truncated-{place}"),
            _ => Exit::of(error).name().to_owned(),
        };
        Reason {
            name,
            by_guest: error.blame() == Blame::Guest,
        }
    }
}
