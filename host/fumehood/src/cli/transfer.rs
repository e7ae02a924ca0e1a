//! One URL: its hops and attempts.

use std::time::{Duration, Instant};

use fumehood::control::{Deadlines, TlsOptions, Verification};
use fumehood::policy::RequestUrl;
use fumehood::{CallerError, Engine, Error, Options};
use http::{HeaderMap, Method};

use super::args::Fetch;
use super::data::{self, Data};
use super::exit::{Exit, Failed};
use super::headers;
use super::hop::{self, Ending};
use super::output::Output;
use super::progress::Meter;
use super::redirect::Next;
use super::report::Record;
use super::resume;
use super::verbose::Teller;

/// Longest wait between attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(600);

/// What all URLs of one command line share.
pub(crate) struct Session<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) args: &'a Fetch,
    pub(crate) data: &'a Data,
    pub(crate) headers: HeaderMap,
    pub(crate) teller: Teller,
    pub(crate) progress: bool,
}

/// What one hop asks.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) url: RequestUrl,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) keeps_data: bool,
}

/// One URL on its way.
pub(crate) struct Transfer<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) output: Output,
    pub(crate) record: &'a mut Record,
    pub(crate) meter: Meter,
    /// Where a download continues.
    pub(crate) resume_at: Option<u64>,
    /// When `--max-time` is over.
    ends: Option<Instant>,
    /// What the server asked to wait.
    pub(crate) wait: Option<Duration>,
}

/// The URL as it is asked for: with `-G`, the data is in it.
pub(crate) async fn parse(session: &Session<'_>, text: &str) -> Result<RequestUrl, Failed> {
    let joined = match (session.args.request.get, session.data) {
        (true, Data::Bytes(bytes)) => data::into_query(text, bytes)?,
        (true, Data::File(_) | Data::Stdin) => {
            return Err(Failed::new(
                Exit::Usage,
                "-G does not stream; give the data with -d",
            ));
        }
        _ => text.to_owned(),
    };
    // A URL without a scheme is a host, as people type it.
    let absolute = if joined.contains("://") {
        joined
    } else {
        format!("http://{joined}")
    };
    session
        .engine
        .parse_url(&absolute)
        .await
        .map_err(|error| match error {
            Error::Caller(CallerError::Url(why)) => {
                Failed::new(Exit::Url, format!("{text}: {why}"))
            }
            error => Failed::from(error),
        })
}

impl<'a> Transfer<'a> {
    pub(crate) fn new(
        session: &'a Session<'a>,
        output: Output,
        record: &'a mut Record,
        resume_at: Option<u64>,
    ) -> Self {
        let limit = session.args.transfer.max_time;
        let ends = limit.map(|ms| Instant::now() + Duration::from_millis(ms.into()));
        let meter = Meter::new(session.progress && !output.is_terminal());
        record.output = output.name().to_owned();
        Transfer {
            session,
            output,
            record,
            meter,
            resume_at,
            ends,
            wait: None,
        }
    }

    /// Fetches it; what came is in the output.
    pub(crate) async fn run(mut self, url: RequestUrl) -> Result<(), Failed> {
        let result = self.attempts(&url).await;
        self.meter.clear();
        if result.is_err() {
            self.output.abandon();
        }
        result
    }

    async fn attempts(&mut self, url: &RequestUrl) -> Result<(), Failed> {
        let most = self.session.args.transfer.retry;
        for attempt in 0..=most {
            self.record.retries = attempt;
            let failed = match self.chain(url, attempt < most).await {
                Err(failed) if attempt < most && failed.retryable => failed,
                result => return result,
            };
            let can_repeat = self.session.data.is_repeatable() && self.output.roll_back()?;
            let backoff = self
                .wait
                .take()
                .unwrap_or(Duration::from_secs(1 << attempt.min(9)));
            let backoff = backoff.min(MAX_BACKOFF);
            if !can_repeat
                || self
                    .ends
                    .is_some_and(|ends| Instant::now() + backoff >= ends)
            {
                return Err(failed);
            }
            self.session
                .teller
                .remark(&format!("{failed}; again in {} s", backoff.as_secs()));
            tokio::time::sleep(backoff).await;
        }
        Ok(())
    }

    /// Follows redirects to the end.
    async fn chain(&mut self, url: &RequestUrl, may_retry: bool) -> Result<(), Failed> {
        let mut ask = self.first(url)?;
        self.record.redirects.clear();
        loop {
            self.record.begin(ask.url.to_string());
            match hop::run(self, &ask, may_retry).await? {
                Ending::Done => return Ok(()),
                Ending::Redirect(next) => ask = self.next(&ask, *next)?,
            }
        }
    }

    fn first(&self, url: &RequestUrl) -> Result<Ask, Failed> {
        let request = &self.session.args.request;
        let posts = !self.session.data.is_none() && !request.get;
        let method = match &request.method {
            Some(name) => Method::from_bytes(name.as_bytes())
                .map_err(|_| Failed::new(Exit::Usage, format!("-X {name:?}: not a token")))?,
            None if request.head => Method::HEAD,
            None if posts => Method::POST,
            None => Method::GET,
        };
        let mut headers = self.session.headers.clone();
        if let Some(userinfo) = &url.userinfo {
            headers::add_userinfo(&mut headers, userinfo)?;
        }
        if let Some(offset) = self.resume_at.filter(|offset| *offset > 0) {
            resume::ask(&mut headers, offset)?;
        }
        Ok(Ask {
            url: url.clone(),
            method,
            headers,
            keeps_data: posts,
        })
    }

    fn next(&mut self, ask: &Ask, next: Next) -> Result<Ask, Failed> {
        let most = self.session.args.transfer.max_redirs;
        self.record.redirects.push(next.url.to_string());
        if self.record.redirects.len() as u64 > u64::from(most) {
            return Err(Failed::new(
                Exit::Redirects,
                format!("more than {most} redirects"),
            ));
        }
        let teller = self.session.teller;
        teller.remark(&format!("redirected to {}", next.url));
        if next.downgrades {
            teller.remark(
                "WARNING: from https to http: what follows can be read and changed on the way",
            );
        }
        if next.leaves_origin {
            teller.remark("another origin: credentials and cookies stay behind");
        }
        let keeps_data = ask.keeps_data && next.keeps_data;
        if keeps_data && !self.session.data.is_repeatable() {
            let why = "the redirect wants the content again, and standard input can be read once";
            return Err(Failed::new(Exit::Read, why));
        }
        let mut headers = next.headers;
        if let Some(userinfo) = &next.url.userinfo {
            headers::add_userinfo(&mut headers, userinfo)?;
        }
        Ok(Ask {
            url: next.url,
            method: next.method,
            headers,
            keeps_data,
        })
    }

    /// Deadlines and TLS for a hop that begins now.
    pub(crate) fn options(&self) -> Result<Options, Failed> {
        let args = self.session.args;
        let defaults = self.session.engine.deadlines();
        let total_ms = match self.ends {
            None => defaults.total_ms,
            Some(ends) => {
                let left = ends.saturating_duration_since(Instant::now());
                u32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u32::MAX)
            }
        };
        if total_ms == 0 {
            return Err(Failed::new(Exit::Timeout, "the time of --max-time is over"));
        }
        let connect_ms = args.transfer.connect_timeout.unwrap_or(defaults.connect_ms);
        let tls = self.session.engine.tls();
        let verification = if args.trust.insecure {
            Verification::None
        } else {
            Verification::Full
        };
        Ok(Options {
            deadlines: Some(Deadlines {
                connect_ms,
                total_ms,
                ..defaults
            }),
            tls: Some(TlsOptions {
                verification,
                min_version: args.trust.tls_min.unwrap_or(tls.min_version),
                max_version: args.trust.tls_max.unwrap_or(tls.max_version),
            }),
            client: args.trust.client.clone(),
            ..Options::default()
        })
    }

    /// Whether the head decides if content may be written.
    pub(crate) fn is_judged(&self) -> bool {
        let args = &self.session.args.transfer;
        args.location || args.fail || args.retry > 0 || self.resume_at.is_some()
    }
}
