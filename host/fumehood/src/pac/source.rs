//! Getting a script from where it is.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fumehood_control::{MAX_PAC_SCRIPT_BYTES, PacFailure};
use fumehood_policy::{PacSource, RequestUrl};
use http::header::{ACCEPT, LOCATION};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Limited};

use super::error::PacError;
use crate::{Body, Engine, Options};

/// How long a fetch may take, redirects included: as long as Chromium waits.
const FETCH_WITHIN: Duration = Duration::from_secs(30);

/// Most redirects of one fetch, as for any other.
const MAX_REDIRECTS: usize = 20;

/// Why a script was not had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceFailure {
    /// The file cannot be read.
    #[error("the script {path} cannot be read: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The server answered with another status than 200.
    #[error("{url} answers with status {status} where the script should be")]
    Status {
        /// Which, after redirects.
        url: String,
        /// What it said.
        status: u16,
    },
    /// A redirect leads nowhere, or there are too many.
    #[error("{url} redirects too often, or to nowhere")]
    Redirect {
        /// Which.
        url: String,
    },
    /// The content ended early.
    #[error("{url} did not send the whole script: {why}")]
    Content {
        /// Which.
        url: String,
        /// One clause.
        why: String,
    },
    /// It took longer than 30 s.
    #[error("the script did not come from {url} within {} s", FETCH_WITHIN.as_secs())]
    TimedOut {
        /// Which.
        url: String,
    },
}

impl Engine {
    /// Gets a script from where it is: at most [`MAX_PAC_SCRIPT_BYTES`], within
    /// 30 s, never through a proxy. A server has to answer with status 200,
    /// after redirects; its content type does not matter, as in browsers.
    ///
    /// # Errors
    /// [`PacError::Source`], [`PacError::Engine`], and [`PacFailure::TooLong`].
    pub async fn pac_script(&self, source: &PacSource) -> Result<Vec<u8>, PacError> {
        let script = match source {
            PacSource::Data(script) => script.clone(),
            PacSource::File(path) => {
                let file = path.clone();
                let read = tokio::task::spawn_blocking(move || read(&file)).await;
                read.unwrap_or_else(|error| Err(unread(path, std::io::Error::other(error))))?
            }
            PacSource::Url(url) => {
                let fetched = tokio::time::timeout(FETCH_WITHIN, self.fetch_script(url)).await;
                let url = url.to_string();
                fetched.unwrap_or_else(|_| Err(SourceFailure::TimedOut { url }.into()))?
            }
        };
        match script.len() > MAX_PAC_SCRIPT_BYTES {
            true => Err(PacFailure::TooLong.into()),
            false => Ok(script),
        }
    }

    async fn fetch_script(&self, url: &RequestUrl) -> Result<Vec<u8>, PacError> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let request = Request::get(url.to_string())
                .header(ACCEPT, "application/x-ns-proxy-autoconfig, */*")
                .extension(past_all_proxies())
                .body(Empty::<Bytes>::new());
            let request = request.map_err(|error| {
                crate::Error::Caller(crate::CallerError::Request(error.to_string()))
            })?;
            let response = self.client().send(request).await?;
            match response.status().as_u16() {
                200 => return content(&url, response).await,
                301 | 302 | 303 | 307 | 308 => {
                    let next = response.headers().get(LOCATION);
                    let next = next.and_then(|it| url.join(it.to_str().ok()?).ok());
                    let nowhere = || SourceFailure::Redirect {
                        url: url.to_string(),
                    };
                    url = next.ok_or_else(nowhere)?;
                }
                status => {
                    let url = url.to_string();
                    return Err(SourceFailure::Status { url, status }.into());
                }
            }
        }
        let url = url.to_string();
        Err(SourceFailure::Redirect { url }.into())
    }
}

async fn content(url: &RequestUrl, response: Response<Body>) -> Result<Vec<u8>, PacError> {
    let limited = Limited::new(response.into_body(), MAX_PAC_SCRIPT_BYTES);
    match limited.collect().await {
        Ok(collected) => Ok(collected.to_bytes().to_vec()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(PacFailure::TooLong.into())
        }
        Err(error) => Err(broken_off(url, error)),
    }
}

/// Why content did not come to its end: an engine that died says nothing of the script.
fn broken_off(url: &RequestUrl, error: Box<dyn std::error::Error + Send + Sync>) -> PacError {
    let why = error.to_string();
    match error.downcast::<crate::Error>().map(|error| *error) {
        Ok(error @ crate::Error::Engine(_)) => PacError::Engine(error),
        _ => SourceFailure::Content {
            url: url.to_string(),
            why,
        }
        .into(),
    }
}

/// One byte over the bound is enough to tell.
fn read(path: &std::path::Path) -> Result<Vec<u8>, PacError> {
    let most = MAX_PAC_SCRIPT_BYTES as u64 + 1;
    let mut script = Vec::new();
    let done = File::open(path).and_then(|file| file.take(most).read_to_end(&mut script));
    match done {
        Ok(_) => Ok(script),
        Err(source) => Err(unread(path, source)),
    }
}

fn unread(path: &std::path::Path, source: std::io::Error) -> PacError {
    let path = path.display().to_string();
    SourceFailure::File { path, source }.into()
}

/// What says the way out does not itself wait for that way.
fn past_all_proxies() -> Options {
    Options {
        proxies: Some(Arc::default()),
        ..Options::default()
    }
}

#[cfg(test)]
mod tests {
    use fumehood_control::RetrySafety;

    use super::*;
    use crate::{CallerError, Error};

    #[test]
    fn an_engine_that_dies_under_the_content_says_nothing_of_the_script() {
        let url = RequestUrl::parse("http://a.example/proxy.pac").expect("a URL");
        let died = Error::engine_died(url.target.clone(), RetrySafety::MaybeProcessed);
        assert!(broken_off(&url, died.into()).of_our_own().is_ok());
        let other = Error::Caller(CallerError::Request("no".to_owned()));
        let told = broken_off(&url, other.into());
        assert!(matches!(
            told,
            PacError::Source(SourceFailure::Content { .. })
        ));
    }
}
