//! `http` requests in, `http` responses out: a tower service.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use fumehood_control::{Instance, JourneyEvent, ResponseHead, TlsSummary};
use fumehood_policy::RequestUrl;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use tower_service::Service;

use crate::body::{Body, headers};
use crate::error::{BoxError, CallerError, ChannelError};
use crate::exchange::{InFlight, Options, Sink};
use crate::retry::{self, Verdict};
use crate::routes::Event;
use crate::upload::{Content, Pump};
use crate::{Engine, Error};

/// Sends `http` requests through an [`Engine`]. Cheap to clone; always ready.
///
/// The URI must be absolute. Redirects, cookies and authentication are the
/// caller's, or a layer's, to do. [`Options`] in a request's extensions apply
/// to it; [`Journey`] is in a response's extensions.
#[derive(Clone)]
pub struct Client {
    engine: Engine,
}

/// How a response came: in its extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journey {
    /// The address that passed the policy and answered.
    pub peer: Option<SocketAddr>,
    /// The connection had been kept from an earlier exchange.
    pub reused: bool,
    /// TLS as it was agreed.
    pub tls: Option<TlsSummary>,
    /// Guest instances made for the connection.
    pub instances: Vec<Instance>,
    /// Instances that took over where another had ended, up to the head; for
    /// those after it see [`Body::resumed`].
    pub resumed: Vec<Instance>,
    /// Engines that died under the request before this one had it.
    pub engines_lost: u32,
}

impl Client {
    pub(crate) fn new(engine: Engine) -> Self {
        Client { engine }
    }

    /// Sends a request; resolves with the response's head. What the body is
    /// worth, its end tells.
    ///
    /// When the engine dies before the response has begun, another is launched
    /// and the request sent again where that does nothing twice: see [`crate::Retry`].
    ///
    /// # Errors
    /// [`Error`], split by blame.
    pub async fn send<B>(&self, request: Request<B>) -> Result<Response<Body>, Error>
    where
        B: http_body::Body<Data: Buf + Send> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut head, body) = request.into_parts();
        if head.method == Method::CONNECT {
            let why = "CONNECT asks for a tunnel, which a request is not".to_owned();
            return Err(Error::Caller(CallerError::Request(why)));
        }
        let url = self.engine.parse_url(&head.uri.to_string()).await?;
        let options = head.extensions.remove::<Options>().unwrap_or_default();
        let wanted = options.retry.unwrap_or(self.engine.shared.config.retry);
        let mut content = Content::of(body, &head.method)?;
        let mut engines_lost = 0;
        loop {
            let error = match self.once(&url, &head, &mut content, &options).await {
                Ok(mut response) => {
                    if let Some(journey) = response.extensions_mut().get_mut::<Journey>() {
                        journey.engines_lost = engines_lost;
                    }
                    return Ok(response);
                }
                Err(error) => error,
            };
            match retry::judge(wanted, &head.method, content.kind(), &error, engines_lost) {
                Verdict::GiveUp(_) => return Err(error),
                Verdict::SendAgain => {
                    tracing::info!(target = %url.target, "the engine died; the request is sent again");
                    engines_lost += 1;
                }
            }
        }
    }

    /// One try, on one engine.
    async fn once(
        &self,
        url: &RequestUrl,
        head: &Parts,
        content: &mut Content,
        options: &Options,
    ) -> Result<Response<Body>, Error> {
        let (source, mut pump) = content.open()?;
        let mut exchange = self
            .engine
            .exchange(url, head, source, Sink::Body, options)
            .await?;
        let (mut response, journey) = answer(&mut exchange, pump.as_mut()).await?;
        let content = exchange.take_body().ok_or(ChannelError::OutOfOrder)?;
        response.extensions_mut().insert(journey);
        Ok(response.map(|()| Body::new(exchange, content, pump)))
    }
}

/// Waits for the final head, or for whatever comes instead of it.
async fn answer(
    exchange: &mut InFlight,
    mut pump: Option<&mut Pump>,
) -> Result<(Response<()>, Journey), Error> {
    let body_failed = poll_fn(|context| match &mut pump {
        Some(pump) => pump.poll_failure(context),
        None => Poll::Pending,
    });
    tokio::select! {
        biased;
        answer = head(exchange) => answer,
        error = body_failed => Err(error),
    }
}

async fn head(exchange: &mut InFlight) -> Result<(Response<()>, Journey), Error> {
    let mut journey = Journey::default();
    loop {
        match exchange.next().await {
            Some(Event::Journey(event)) => journey.note(event),
            Some(Event::Head(head)) => return Ok((response(head)?, journey)),
            Some(Event::Finished(Err(error))) => return Err(error),
            Some(Event::Finished(Ok(_))) | None => return Err(ChannelError::OutOfOrder.into()),
            Some(Event::Informational(_) | Event::Trailers(_) | Event::Progress(_)) => {}
        }
    }
}

fn response(head: ResponseHead) -> Result<Response<()>, Error> {
    let mut response = Response::new(());
    *response.status_mut() =
        StatusCode::from_u16(head.status).map_err(|_| ChannelError::OutOfOrder)?;
    *response.version_mut() = if head.minor_version == 0 {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    };
    let fields: HeaderMap = headers(head.fields);
    *response.headers_mut() = fields;
    Ok(response)
}

impl Journey {
    /// Adds a step.
    pub fn note(&mut self, event: JourneyEvent) {
        match event {
            JourneyEvent::Reused { peer } => {
                self.peer = Some(peer);
                self.reused = true;
            }
            JourneyEvent::Connected { peer, .. } => {
                self.peer = Some(peer);
                self.reused = false;
            }
            JourneyEvent::Instantiated(instance) => self.instances.push(instance),
            JourneyEvent::Resumed(instance) => self.resumed.push(instance),
            JourneyEvent::Tls(summary) => self.tls = Some(summary),
            JourneyEvent::Sent | JourneyEvent::Retried => {}
        }
    }
}

impl<B> Service<Request<B>> for Client
where
    B: http_body::Body<Data: Buf + Send> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let client = self.clone();
        Box::pin(async move { client.send(request).await })
    }
}
