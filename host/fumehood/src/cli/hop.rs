//! One exchange of a transfer, from the request to the last byte.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use fumehood::control::{Blame, Cause, ResponseHead, RetrySafety, Summary};
use fumehood::{Error, Event, InFlight, Sink, Source};
use http::Request;
use tokio::task::JoinHandle;

use super::exit::{Exit, Failed};
use super::judge::{self, Then, Verdict};
use super::redirect::Next;
use super::transfer::{Ask, Transfer};
use super::verbose::{head_text, head_text_escaped};

/// Bytes copied at once where content goes through us.
const COPY_BYTES: usize = 256 * 1024;

/// How a hop ended well.
pub(crate) enum Ending {
    Done,
    Redirect(Box<Next>),
}

/// An exchange and what became of its content so far.
struct Hop {
    exchange: InFlight,
    /// The engine writes to the output itself.
    direct: bool,
    verdict: Option<Verdict>,
    copy: Option<JoinHandle<io::Result<u64>>>,
}

/// Sends one request and deals with its answer.
pub(crate) async fn run(
    transfer: &mut Transfer<'_>,
    ask: &Ask,
    may_retry: bool,
) -> Result<Ending, Failed> {
    let session = transfer.session;
    let include = session.args.output.include || session.args.request.head;
    let sink = transfer.output.sink(transfer.is_judged(), include)?;
    let direct = matches!(sink, Sink::Fd(_));
    let source = if ask.keeps_data {
        session.data.open()?
    } else {
        Source::None
    };
    let (head, ()) = request(ask)?.into_parts();
    session.teller.request(&ask.method, &ask.url, &ask.headers);
    let options = transfer.options()?;
    session
        .teller
        .policy(&session.engine.policy(), ask, options.client.as_ref());
    let exchange = session
        .engine
        .exchange(&ask.url, &head, source, sink, &options)
        .await;
    let exchange = exchange.map_err(|e| failed(e, ask))?;
    let mut hop = Hop {
        exchange,
        direct,
        verdict: None,
        copy: None,
    };
    while let Some(event) = hop.exchange.next().await {
        match event {
            Event::Journey(event) => {
                session.teller.step(&event);
                transfer.record.note(event);
            }
            Event::Informational(head) => session.teller.response(&head),
            Event::Head(head) => hop.head(transfer, ask, &head, include, may_retry)?,
            Event::Trailers(_) => session.teller.remark("trailers came, and were dropped"),
            Event::Progress(progress) => transfer.meter.show(progress),
            Event::Finished(outcome) => return hop.finish(transfer, ask, outcome).await,
        }
    }
    Err(Failed::new(
        Exit::Engine,
        "the engine did not say how the exchange ended",
    ))
}

fn request(ask: &Ask) -> Result<Request<()>, Failed> {
    let mut request = Request::new(());
    *request.method_mut() = ask.method.clone();
    *request.headers_mut() = ask.headers.clone();
    if ask.method == http::Method::CONNECT {
        return Err(Failed::new(
            Exit::BadRequest,
            "CONNECT asks for a tunnel, which fetch is not",
        ));
    }
    Ok(request)
}

/// An idempotent request may be repeated whenever the cause may pass; another
/// only when the peer has seen nothing of it.
fn failed(error: Error, ask: &Ask) -> Failed {
    let may_pass = matches!(error.blame(), Blame::Network | Blame::Guest)
        || matches!(
            error.cause(),
            Some(Cause::EngineDied | Cause::Truncated { .. })
        );
    let safe = ask.method.is_idempotent() || error.retry_safety() == RetrySafety::NotSent;
    let mut failed = Failed::from(error);
    failed.retryable = may_pass && safe;
    failed
}

impl Hop {
    /// Judges the head and lets the content go where it belongs.
    fn head(
        &mut self,
        transfer: &mut Transfer<'_>,
        ask: &Ask,
        head: &ResponseHead,
        include: bool,
        may_retry: bool,
    ) -> Result<(), Failed> {
        let session = transfer.session;
        session.teller.response(head);
        transfer.record.status = Some(head.status);
        transfer.record.minor_version = head.minor_version;
        transfer.wait = judge::retry_after(head).map(Duration::from_secs);
        let verdict = judge::judge(
            head,
            ask,
            &session.args.transfer,
            transfer.resume_at,
            may_retry,
        );
        let takes = !matches!(verdict, Verdict::Discard { .. });
        if takes {
            transfer.output.accept()?;
            transfer
                .meter
                .expect(judge::content_length(&judge::fields(head)));
        }
        if include {
            let terminal = transfer.output.is_terminal();
            let text = if terminal {
                head_text_escaped(head)
            } else {
                head_text(head)
            };
            transfer.output.write(&text)?;
        }
        let stream = self.exchange.take_body();
        match (&verdict, stream) {
            (Verdict::Discard { drain: false, .. }, _) => self.exchange.cancel(),
            (Verdict::Discard { drain: true, .. }, Some(stream)) => {
                self.copy = Some(copy(stream, None)?);
            }
            (Verdict::Take | Verdict::TakeAndFail(_), Some(stream)) => {
                self.copy = Some(copy(stream, Some(transfer.output.copy_end()?))?);
            }
            // The engine writes by itself.
            (_, None) => {}
        }
        self.verdict = Some(verdict);
        Ok(())
    }

    async fn finish(
        self,
        transfer: &mut Transfer<'_>,
        ask: &Ask,
        outcome: Result<Summary, Error>,
    ) -> Result<Ending, Failed> {
        let copied = match self.copy {
            Some(copy) => Some(
                copy.await
                    .map_err(|e| Failed::new(Exit::Write, e.to_string()))?,
            ),
            None => None,
        };
        if let Ok(summary) = &outcome {
            transfer.session.teller.summary(summary);
            transfer.record.summary = Some(*summary);
        }
        match self.verdict {
            Some(Verdict::Discard { then, .. }) => {
                if self.direct {
                    transfer.output.roll_back()?;
                }
                match then {
                    Then::Follow(next) => Ok(Ending::Redirect(next)),
                    Then::Fail(failed) => Err(failed),
                    Then::Done => Ok(Ending::Done),
                }
            }
            Some(verdict) => {
                let copied = copied
                    .transpose()
                    .map_err(|e| transfer.output.write_error(&e))?;
                let summary = outcome.map_err(|e| sink_error(transfer, e, ask))?;
                if copied.is_some_and(|copied| copied != summary.payload_received) {
                    return Err(Failed::new(
                        Exit::Engine,
                        "the engine miscounted the content",
                    ));
                }
                match verdict {
                    Verdict::TakeAndFail(failed) => Err(failed),
                    _ => Ok(Ending::Done),
                }
            }
            None => match outcome {
                Err(error) => Err(failed(error, ask)),
                Ok(_) => Err(Failed::new(Exit::Engine, "the engine gave no head")),
            },
        }
    }
}

/// Where the engine could not write, the output's name is ours to tell.
fn sink_error(transfer: &Transfer<'_>, error: Error, ask: &Ask) -> Failed {
    match error.cause() {
        Some(Cause::Sink { errno }) => transfer
            .output
            .write_error(&io::Error::from_raw_os_error(*errno)),
        _ => failed(error, ask),
    }
}

/// Copies content on a thread of its own, so that a slow pipe holds up
/// nothing else; `None` drops it.
fn copy(
    stream: tokio::net::UnixStream,
    to: Option<File>,
) -> Result<JoinHandle<io::Result<u64>>, Failed> {
    let stream = stream
        .into_std()
        .and_then(|stream| stream.set_nonblocking(false).map(|()| stream))
        .map_err(|e| Failed::new(Exit::Write, format!("the content cannot be passed on: {e}")))?;
    Ok(tokio::task::spawn_blocking(move || pass_on(stream, to)))
}

fn pass_on(mut from: StdUnixStream, mut to: Option<File>) -> io::Result<u64> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut total = 0;
    loop {
        let read = match from.read(&mut buffer) {
            // A broken stream has ended; the engine tells why.
            Ok(0) | Err(_) => return Ok(total),
            Ok(read) => read,
        };
        if let Some(to) = &mut to {
            to.write_all(&buffer[..read])?;
        }
        total += read as u64;
    }
}
