//! One request to one origin, at the level of descriptors and events.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Instant;

use fumehood_control::{
    Cause, Deadlines, Exchange, ExchangeId, GrantId, MAX_CHALLENGE_ROUNDS, PayloadLength, Place,
    ProxyFault, RetrySafety, SocketGrant, SourceEnd, Summary, TlsOptions, ToBroker, ToEngine,
    WayFailure, fragments,
};
use fumehood_policy::{
    ClientName, Decision, HostPattern, Method, Policy, RequestUrl, Scheme, Spaces, Target, Terms,
    Transport,
};
use fumehood_sandbox::body_pair;
use tokio::net::UnixStream;

use crate::error::{CallerError, ChannelError};
use crate::live::{LiveBroker, LiveEngine, Running};
use crate::memory::sealed;
use crate::proxies::{Candidate, NoWayOut};
use crate::routes::{Event, Inbox};
use crate::upstream::Way;
use crate::{Asked, Engine, Error, Grant, Proxies, Retry, request};

/// Connections a grant is good for: one, and two more where a guest ends in
/// the handshakes on the ones before.
const GRANT_USES: u32 = 3;

/// Connections that a driver's grant is good for. It is not retried: what it
/// has sent cannot be taken back.
const DRIVER_USES: u32 = 1;

/// Longest life of a grant, in milliseconds. It is taken back when the
/// exchange is over; this is for an embedder that hangs.
const MAX_GRANT_MS: u32 = 10 * 60 * 1000;

/// How much longer a grant holds than its exchange may take, in milliseconds: the
/// broker's clock starts before the engine's, and who is late is to be told of
/// the deadline. The grant is taken back with the exchange all the same.
const GRANT_GRACE_MS: u32 = 1000;

/// Where a response's content goes.
#[derive(Debug)]
pub enum Sink {
    /// Straight into a file, pipe, socket or terminal: no hop in this process.
    Fd(OwnedFd),
    /// To [`InFlight::take_body`].
    Body,
}

/// Where a request's content comes from.
#[derive(Debug)]
pub enum Source {
    /// There is none.
    None,
    /// So many bytes from where the descriptor stands, or, with `None`, all
    /// to its end, which are sent chunked.
    Fd(OwnedFd, Option<u64>),
    /// The same from a socket whose other end is shut down for writing where the
    /// content ends, and stays open until the engine has closed this one. A
    /// writer that dies is then not taken for one that is done.
    Socket(OwnedFd, Option<u64>),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// How an exchange differs from what the engine's builder said. Put it into
/// an `http::Request`'s extensions to use it with [`crate::Client`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// When to give up.
    pub deadlines: Option<Deadlines>,
    /// How to speak TLS.
    pub tls: Option<TlsOptions>,
    /// Do not take a kept connection.
    pub fresh_connection: bool,
    /// What [`crate::Client`] does when the engine dies; what the builder said
    /// where it is none.
    pub retry: Option<Retry>,
    /// Which part of the program asks, for rules about clients.
    pub client: Option<ClientName>,
    /// The grant it is asked under, beside the policy.
    pub grant: Option<Grant>,
    /// The proxies it goes through; what the builder said where it is none.
    pub proxies: Option<Arc<Proxies>>,
}

/// An exchange under way. Dropped before its end, it is cancelled.
#[derive(Debug)]
pub struct InFlight {
    inbox: Inbox,
    body: Option<UnixStream>,
    cancel: Cancel,
    /// What it takes to ask once more, until the head has come.
    again: Option<Box<Again>>,
    /// It is being asked once more.
    restarting: Option<Restarting>,
    /// Held until it is over.
    _grant: Option<Grant>,
}

/// Cancels when dropped, unless the exchange has finished.
struct Cancel {
    id: ExchangeId,
    engine: Arc<LiveEngine>,
    /// Who dials for it; not kept alive for this.
    broker: Weak<LiveBroker>,
    finished: bool,
}

impl Cancel {
    /// An engine that lives and has nobody to dial any more says so: the broker is
    /// gone, even if it has not been found out here. The next try is not to ask it.
    fn note(&self, outcome: &Result<Summary, Error>) {
        let lost = matches!(outcome, Err(error) if error.cause() == Some(&Cause::EngineDied));
        if lost
            && self.engine.life.lasts()
            && let Some(broker) = self.broker.upgrade()
        {
            broker.life.end();
        }
    }
}

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cancel")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        if !self.finished {
            // An engine that is gone needs no cancelling.
            let _gone = self.engine.orders.send(ToEngine::Cancel(self.id));
        }
    }
}

/// A request that can be sent once more: another way, or with an answer to a
/// proxy's challenge.
struct Again {
    engine: Engine,
    /// Without a way.
    exchange: Exchange,
    terms: Terms,
    fds: Descriptors,
    grant: Option<Grant>,
    /// The way it went.
    candidate: Candidate,
    /// Others that may be tried where that does not work.
    ways: VecDeque<Candidate>,
    /// When it was first sent: its deadline is of all ways together.
    begun: Instant,
    /// How often a proxy wanted proof of who asks.
    round: u8,
}

impl std::fmt::Debug for Again {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Again").finish_non_exhaustive()
    }
}

type Restarted = Result<(Inbox, Cancel, Option<Box<Again>>), Error>;

/// A request on its way a second time.
struct Restarting(Pin<Box<dyn Future<Output = Restarted> + Send>>);

impl std::fmt::Debug for Restarting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Restarting")
    }
}

impl Again {
    /// Where the error is of the way and there is another, or is a challenge that
    /// can be answered; and nothing of the request has gone further than to the proxy.
    fn after(mut self: Box<Self>, error: &Error) -> Option<Restarting> {
        let cause = error.cause()?;
        if error.retry_safety() != RetrySafety::NotSent {
            // The next request can do with what the proxy wants by now.
            self.can_answer(cause);
            return None;
        }
        let way = self.candidate.proxies.way_to(&self.exchange.target);
        let straight = !matches!(way, Ok(Some(_)));
        let next = match WayFailure::of(cause, straight) {
            WayFailure::OfTheWay => {
                self.candidate.failed();
                self.ways.pop_front()
            }
            WayFailure::NotThisOne => self.ways.pop_front(),
            WayFailure::Final => None,
        };
        match next {
            Some(next) => (self.candidate, self.round) = (next, 0),
            None if self.can_answer(cause) => {
                self.round += 1;
                // The one before is of no use, or was told something else.
                self.exchange.fresh_connection = true;
            }
            None => return None,
        }
        Some(Restarting(Box::pin(self.start())))
    }

    /// Whether the cause is a challenge that the next request answers.
    fn can_answer(&self, cause: &Cause) -> bool {
        let Cause::Proxy { server, fault } = cause else {
            return false;
        };
        let ProxyFault::Refused {
            status: 407,
            challenges,
            ..
        } = &**fault
        else {
            return false;
        };
        let way = self.candidate.proxies.way_to(&self.exchange.target);
        let answers = &self.engine.shared.answers;
        let told = (&challenges[..], self.round);
        self.round < MAX_CHALLENGE_ROUNDS
            && way
                .ok()
                .flatten()
                .is_some_and(|way| way.learn(server, told, answers))
    }

    async fn start(self: Box<Self>) -> Restarted {
        let shared = &self.engine.shared;
        let mut exchange = self.exchange.clone();
        exchange.grant = GrantId(shared.number());
        let gone_ms = u32::try_from(self.begun.elapsed().as_millis()).unwrap_or(u32::MAX);
        let total_ms = exchange.deadlines.total_ms.saturating_sub(gone_ms);
        // None stands for a deadline that has passed, as the engine says it.
        exchange.deadlines.total_ms = total_ms.max(1);
        let way = self
            .candidate
            .proxies
            .way_to(&exchange.target)
            .ok()
            .flatten();
        if let Some(way) = &way {
            way.lead(&mut exchange, &shared.answers);
        }
        let grant = self.grant.as_ref();
        let (inbox, cancel) = self
            .engine
            .start(&exchange, &self.terms, grant, way.as_ref(), &self.fds)
            .await?;
        Ok((inbox, cancel, Some(self)))
    }
}

impl Engine {
    /// Sends a request to the origin of `url`. The `host` field is added where
    /// it is missing; `content-length` and `transfer-encoding` are the
    /// codec's to add, from `source`. Redirects are answers as any other.
    ///
    /// The policy is asked first; what it denies costs no packet. Waits while
    /// as many exchanges are under way as the engine takes. An exchange whose
    /// engine dies is not begun again: that is [`crate::Client`]'s to do.
    ///
    /// # Errors
    /// Those known before the engine has the request; all others come with
    /// [`Event::Finished`].
    pub async fn exchange(
        &self,
        url: &RequestUrl,
        head: &http::request::Parts,
        source: Source,
        sink: Sink,
        options: &Options,
    ) -> Result<InFlight, Error> {
        let (now, begun) = (self.shared.current.now(), Instant::now());
        let mut ways = match &options.proxies {
            Some(proxies) => [Candidate::of(proxies)].into(),
            None => self.shared.way_out().candidates(self, url).await?,
        };
        let terms = terms(&url.target, head, options);
        let terms = terms.inspect_err(|error| self.shared.counters.refused(error))?;
        let first = likely(&ways, &now.policy, &url.target, &terms);
        let first = first.ok_or(ChannelError::OutOfOrder)?;
        let way = first.proxies.way_to(&url.target).map_err(NoWayOut::from)?;
        let unseen = way.as_ref().is_some_and(Way::is_unseen);
        let leave = self.leave(&now.policy, &url.target, terms, unseen).await;
        let terms = leave.inspect_err(|error| self.shared.counters.refused(error))?;
        let candidate = permitted(&mut ways, &now.policy, &url.target, &terms);
        let candidate = candidate.inspect_err(|error| self.shared.counters.refused(error))?;
        let way = candidate
            .proxies
            .way_to(&url.target)
            .map_err(NoWayOut::from)?;
        let (sink, body) = open_sink(sink)?;
        let source_end = match &source {
            Source::Socket(..) => SourceEnd::Shutdown,
            Source::None | Source::Fd(..) | Source::Bytes(_) => SourceEnd::EndOfFile,
        };
        let (source, payload) = open_source(source).await?;
        let mut deadlines = options.deadlines.unwrap_or(now.deadlines);
        let grant = options.grant.as_ref();
        if let Some(grant) = grant {
            deadlines.total_ms = deadlines.total_ms.min(grant.left_ms());
        }
        let leave = grant.map(|grant| grant.begin(&url.target)).transpose();
        let leave = leave.map_err(|lapse| Error::lapsed(url.target.clone(), lapse))?;
        let mut exchange = Exchange {
            target: url.target.clone(),
            grant: GrantId(self.shared.number()),
            method: head.method.as_str().to_owned(),
            path: url.path_and_query.clone(),
            fields: request::fields(&url.target, &head.headers)?,
            payload,
            source_end,
            tls: options.tls.unwrap_or(now.tls),
            deadlines,
            fresh_connection: options.fresh_connection || now.by_request || !terms.spaces.is_all(),
            leave,
            via: Vec::new(),
        };
        let again = !ways.is_empty() || way.is_some_and(|way| way.proves());
        let plain = again.then(|| exchange.clone());
        if let Some(way) = &way {
            way.lead(&mut exchange, &self.shared.answers);
        }
        let fds = Descriptors { sink, source };
        let (inbox, cancel) = match self
            .start(&exchange, &terms, grant, way.as_ref(), &fds)
            .await
        {
            // A process was found dead just now, and nothing was sent.
            Err(error) if error.cause() == Some(&Cause::EngineDied) => {
                exchange.grant = GrantId(self.shared.number());
                self.start(&exchange, &terms, grant, way.as_ref(), &fds)
                    .await?
            }
            outcome => outcome?,
        };
        if let Some(grant) = grant {
            grant.catch_up();
        }
        let again = plain.map(|plain| {
            Box::new(Again {
                engine: self.clone(),
                exchange: plain,
                terms,
                fds,
                grant: options.grant.clone(),
                candidate,
                ways,
                begun,
                round: 0,
            })
        });
        Ok(InFlight {
            inbox,
            body,
            cancel,
            again,
            restarting: None,
            _grant: options.grant.clone(),
        })
    }

    /// Asks the policy about a request before anything is done for it.
    async fn leave(
        &self,
        policy: &Policy,
        target: &Target,
        mut terms: Terms,
        unseen: bool,
    ) -> Result<Terms, Error> {
        let decide = |terms: &Terms| match unseen {
            true => policy.decide_unseen(target, terms),
            false => policy.decide(target, terms),
        };
        let mut decision = decide(&terms);
        if let Decision::Ask(question) = &decision {
            let asked = Asked {
                question: question.clone(),
                method: terms.method.clone(),
                client: terms.client.clone(),
            };
            let asker = self.shared.config.asker.as_ref();
            terms.confirmed = self.shared.remembered.is_allowed(asker, &asked).await;
            decision = decide(&terms);
        }
        match decision {
            Decision::Allow(_) => Ok(terms),
            Decision::Report(denial) => {
                self.shared.current.report(&denial);
                Ok(terms)
            }
            Decision::Deny(denial) => Err(Error::denied(target.clone(), denial)),
            Decision::Ask(question) => Err(Error::denied(target.clone(), question.unanswered())),
        }
    }

    /// Passes an exchange on to processes that live, as far as is known.
    async fn start(
        &self,
        exchange: &Exchange,
        terms: &Terms,
        grant: Option<&Grant>,
        way: Option<&Way<'_>>,
        fds: &Descriptors,
    ) -> Result<(Inbox, Cancel), Error> {
        // Closed never: the semaphore lives as long as the engine.
        let permit = self.shared.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| ChannelError::OutOfOrder)?;
        let target = &exchange.target;
        let running = self.shared.running().await?;
        self.shared.tell_names_to_dial(&running).await?;
        if let Some(Err(lapse)) = grant.map(|grant| grant.bind(&running.engine)) {
            return Err(Error::lapsed(target.clone(), lapse));
        }
        let id = ExchangeId(self.shared.number());
        let not_sent = || Error::engine_died(target.clone(), RetrySafety::NotSent);
        let inbox = running
            .engine
            .routes
            .open(
                id,
                target.clone(),
                permit,
                running.broker.leave(exchange.grant),
            )
            .ok_or_else(not_sent)?;
        let mut cancel = Cancel {
            id,
            engine: running.engine.clone(),
            broker: Arc::downgrade(&running.broker),
            finished: false,
        };
        if let Err(error) = send(&running, id, exchange, (terms, way), fds).await {
            running.engine.routes.forget(id);
            cancel.finished = true;
            return Err(if error.is_closed() {
                not_sent()
            } else {
                error.into()
            });
        }
        Ok((inbox, cancel))
    }
}

/// What a request is judged by, before anybody is asked.
fn terms(target: &Target, head: &http::request::Parts, options: &Options) -> Result<Terms, Error> {
    let method = head.method.as_str().parse::<Method>();
    let method = method.map_err(|e| Error::Caller(CallerError::Request(e.to_string())))?;
    if let Some(Err(lapse)) = options.grant.as_ref().map(|grant| grant.check(target)) {
        return Err(Error::lapsed(target.clone(), lapse));
    }
    Ok(Terms {
        method: Some(method),
        client: options.client.clone(),
        spaces: options.grant.as_ref().map_or(Spaces::ALL, Grant::spaces),
        confirmed: false,
    })
}

/// The first of the ways that will be permitted, if the target is; the first of all where
/// none will. The target is judged for this one; the broker judges for the one that is
/// gone.
fn likely<'a>(
    ways: &'a VecDeque<Candidate>,
    policy: &Policy,
    target: &Target,
    terms: &Terms,
) -> Option<&'a Candidate> {
    let terms = Terms {
        confirmed: matches!(policy.decide(target, terms), Decision::Ask(_)),
        ..terms.clone()
    };
    let permitted = |way: &&Candidate| way.denied(policy, target, &terms).is_none();
    ways.iter().find(permitted).or(ways.front())
}

/// Takes the first of the ways whose proxies the policy permits, and leaves the others
/// of these.
fn permitted(
    ways: &mut VecDeque<Candidate>,
    policy: &Policy,
    target: &Target,
    terms: &Terms,
) -> Result<Candidate, Error> {
    let mut denied = None;
    ways.retain(|way| {
        let error = way.denied(policy, target, terms);
        let permitted = error.is_none();
        denied = denied.take().or(error);
        permitted
    });
    match (ways.pop_front(), denied) {
        (Some(candidate), _) => Ok(candidate),
        (None, Some(error)) => Err(error),
        (None, None) => Err(ChannelError::OutOfOrder.into()),
    }
}

/// What goes with an exchange; ours are closed once they are sent, or once it
/// cannot be sent again.
#[derive(Debug)]
struct Descriptors {
    sink: OwnedFd,
    source: Option<OwnedFd>,
}

/// The broker learns of the grant before the engine can use it.
async fn send(
    running: &Running,
    id: ExchangeId,
    exchange: &Exchange,
    (terms, way): (&Terms, Option<&Way<'_>>),
    fds: &Descriptors,
) -> Result<(), ChannelError> {
    let mut pieces = fragments(exchange)?;
    for leave in leaves(exchange, terms, way) {
        running
            .broker
            .channel
            .send(&leave, &[])
            .await
            .inspect_err(|error| running.broker.life.note(error))?;
    }
    let engine = &running.engine.channel;
    let last = pieces.pop().unwrap_or_default();
    for bytes in pieces {
        engine
            .send(&ToEngine::ExchangeFragment { id, bytes }, &[])
            .await
            .inspect_err(|error| running.engine.life.note(error))?;
    }
    let mut borrowed: Vec<BorrowedFd<'_>> = vec![fds.sink.as_fd()];
    borrowed.extend(fds.source.as_ref().map(AsFd::as_fd));
    let with_source = fds.source.is_some();
    engine
        .send(
            &ToEngine::Exchange {
                id,
                bytes: last,
                with_source,
            },
            &borrowed,
        )
        .await
        .inspect_err(|error| running.engine.life.note(error))?;
    Ok(())
}

/// Leave to dial what the exchange is for, and nothing else; and to look up what
/// proxies are to be told the addresses of.
fn leaves(exchange: &Exchange, terms: &Terms, way: Option<&Way<'_>>) -> Vec<ToBroker> {
    let Exchange { grant, target, .. } = exchange;
    let needed_ms = exchange.deadlines.total_ms.saturating_add(GRANT_GRACE_MS);
    let lifetime_ms = needed_ms.min(MAX_GRANT_MS);
    let place = |target: &Target, transport| Place {
        host: HostPattern::exactly(&target.host),
        ports: target.port..=target.port,
        transport,
    };
    let sockets = |places, uses| {
        ToBroker::SocketGrant(SocketGrant {
            id: *grant,
            scheme: target.scheme,
            terms: terms.clone(),
            places,
            uses,
            lifetime_ms,
        })
    };
    if let Scheme::Served(served) = target.scheme {
        return vec![sockets(
            vec![place(target, served.transport())],
            DRIVER_USES,
        )];
    }
    let mut leaves = vec![ToBroker::Grant(fumehood_control::Grant {
        id: *grant,
        target: target.clone(),
        proxy: way.and_then(Way::first),
        terms: terms.clone(),
        uses: GRANT_USES,
        lifetime_ms,
    })];
    let resolved = way.map(|way| way.resolved(target)).unwrap_or_default();
    if !resolved.is_empty() {
        let places = resolved
            .iter()
            .map(|it| place(it, Transport::Tcp))
            .collect();
        // To look up, and to connect to nothing.
        leaves.push(sockets(places, 0));
    }
    leaves
}

fn descriptor(error: std::io::Error) -> Error {
    Error::Caller(CallerError::Descriptor(error))
}

fn open_sink(sink: Sink) -> Result<(OwnedFd, Option<UnixStream>), Error> {
    match sink {
        Sink::Fd(fd) => Ok((fd, None)),
        Sink::Body => {
            let (ours, theirs) = body_pair().map_err(descriptor)?;
            Ok((theirs, Some(stream(ours)?)))
        }
    }
}

async fn open_source(source: Source) -> Result<(Option<OwnedFd>, PayloadLength), Error> {
    match source {
        Source::None => Ok((None, PayloadLength::None)),
        Source::Fd(fd, length) | Source::Socket(fd, length) => {
            let payload = length.map_or(PayloadLength::Unknown, PayloadLength::Known);
            Ok((Some(fd), payload))
        }
        Source::Bytes(bytes) => {
            let length = PayloadLength::Known(bytes.len() as u64);
            let memory = sealed("request", bytes).await.map_err(descriptor)?;
            // Writing left it at the end, and the engine reads from where it stands.
            rustix::fs::seek(&memory, rustix::fs::SeekFrom::Start(0))
                .map_err(|errno| descriptor(errno.into()))?;
            Ok((Some(memory), length))
        }
    }
}

/// A socket end of ours, on the runtime.
pub(crate) fn stream(end: OwnedFd) -> Result<UnixStream, Error> {
    let end = StdUnixStream::from(end);
    end.set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(end))
        .map_err(descriptor)
}

impl InFlight {
    /// The content's stream, once, where the sink was [`Sink::Body`]. Its end
    /// says nothing yet: wait for [`Event::Finished`].
    pub fn take_body(&mut self) -> Option<UnixStream> {
        self.body.take()
    }

    /// Asks the engine to give up. [`Event::Finished`] still comes, and once it
    /// has, nothing more is written to the sink.
    pub fn cancel(&self) {
        // An engine that is gone needs no cancelling.
        let cancel = ToEngine::Cancel(self.cancel.id);
        let _gone = self.cancel.engine.orders.send(cancel);
    }

    /// The next event; `None` after [`Event::Finished`]. Progress that nobody
    /// asked about in time is dropped, nothing else. Safe to cancel.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(restarting) = &mut self.restarting {
                let restarted = restarting.0.as_mut().await;
                self.restarting = None;
                match restarted {
                    Ok((inbox, cancel, again)) => {
                        (self.inbox, self.cancel, self.again) = (inbox, cancel, again);
                    }
                    Err(error) => return Some(Event::Finished(Err(error))),
                }
            }
            let event = tokio::select! {
                biased;
                event = self.inbox.events.recv() => event,
                Ok(()) = self.inbox.progress.changed() => {
                    Some(Event::Progress(*self.inbox.progress.borrow_and_update()))
                }
            };
            self.note(event.as_ref());
            self.restarting = self.answer(event.as_ref());
            if self.restarting.is_none() {
                return event;
            }
        }
    }

    /// What an event means for what is held.
    fn note(&mut self, event: Option<&Event>) {
        match event {
            Some(Event::Finished(outcome)) => {
                self.cancel.finished = true;
                self.cancel.note(outcome);
            }
            None => self.cancel.finished = true,
            // The sink is the engine's alone now.
            Some(Event::Head(_)) => {
                if let Some(again) = self.again.take() {
                    again.candidate.worked();
                }
            }
            Some(_) => {}
        }
    }

    /// Asks once more where a proxy wanted proof of who asks, and it can be given.
    fn answer(&mut self, event: Option<&Event>) -> Option<Restarting> {
        let Some(Event::Finished(outcome)) = event else {
            return None;
        };
        let again = self.again.take()?;
        let error = outcome.as_ref().err()?;
        again.after(error)
    }

    /// As [`InFlight::next`], for hand-written futures; without progress.
    pub(crate) fn poll_event(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Event>> {
        let polled = self.inbox.events.poll_recv(context);
        if let std::task::Poll::Ready(event) = &polled {
            self.note(event.as_ref());
        }
        polled
    }
}
