//! What a response's head means for the command: take the content or not.

use fumehood::control::ResponseHead;
use http::header::{CONTENT_LENGTH, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::args::Transfer;
use super::exit::{Exit, Failed};
use super::redirect::{self, Next};
use super::resume::{self, Answer};
use super::transfer::Ask;

/// Content that is not wanted is read to its end if it is at most so long, in
/// bytes, to keep the connection.
const WORTH_DRAINING: u64 = 64 * 1024;

/// What to do with a response.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Its content is what was asked for.
    Take,
    /// Its content is written, and the command fails all the same.
    TakeAndFail(Failed),
    /// Its content is not written.
    Discard { drain: bool, then: Then },
}

/// What follows a response whose content is not wanted.
#[derive(Debug)]
pub(crate) enum Then {
    Follow(Box<Next>),
    Fail(Failed),
    /// Everything was there already.
    Done,
}

/// Fields as `http` has them.
pub(crate) fn fields(head: &ResponseHead) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in &head.fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&field.value)) {
            headers.append(name, value);
        }
    }
    headers
}

/// The content's length, where the head tells it.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Judges a final head. `resume_at` is where a download continues;
/// `may_retry` says that an attempt is left.
pub(crate) fn judge(
    head: &ResponseHead,
    ask: &Ask,
    args: &Transfer,
    resume_at: Option<u64>,
    may_retry: bool,
) -> Verdict {
    let headers = fields(head);
    let status = head.status;
    let drain = content_length(&headers).is_some_and(|length| length <= WORTH_DRAINING);
    let discard = |then| Verdict::Discard { drain, then };
    if args.location
        && redirect::is_redirect(status)
        && let Some(location) = headers.get(LOCATION)
    {
        let next = redirect::follow(
            status,
            location.as_bytes(),
            &ask.url,
            &ask.method,
            &ask.headers,
        );
        return discard(match next {
            Ok(next) => Then::Follow(Box::new(next)),
            Err(failed) => Then::Fail(failed),
        });
    }
    if let Some(offset) = resume_at {
        match resume::judge(status, &headers, offset) {
            Ok(Answer::Rest) => return Verdict::Take,
            Ok(Answer::Whole) => return discard(Then::Done),
            Ok(Answer::Other) => {}
            Err(failed) => return discard(Then::Fail(failed)),
        }
    }
    let failed = || {
        let mut failed = Failed::new(
            Exit::HttpError,
            format!("{} answers with status {status}", ask.url),
        );
        failed.blame = Some(fumehood::control::Blame::Peer);
        failed.retryable = passes(status);
        failed
    };
    match status {
        _ if may_retry && passes(status) => discard(Then::Fail(failed())),
        400.. if args.fail => discard(Then::Fail(failed())),
        400.. if args.fail_with_body => Verdict::TakeAndFail(failed()),
        // An error's page is not the rest of a file.
        400.. if resume_at.is_some_and(|offset| offset > 0) => discard(Then::Fail(failed())),
        _ => Verdict::Take,
    }
}

/// Statuses that may be others in a moment.
pub(crate) fn passes(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// How long the server asks to wait, in seconds (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(head: &ResponseHead) -> Option<u64> {
    fields(head)
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;
    use fumehood::control::Field;
    use fumehood::policy::RequestUrl;
    use http::Method;

    fn args() -> Transfer {
        Transfer {
            location: false,
            max_redirs: 20,
            fail: false,
            fail_with_body: false,
            max_time: None,
            connect_timeout: None,
            retry: 0,
        }
    }

    fn head(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
        let field = |(name, value): &(&str, &str)| Field {
            name: (*name).to_owned(),
            value: value.as_bytes().to_vec(),
        };
        ResponseHead {
            minor_version: 1,
            status,
            reason: Vec::new(),
            fields: fields.iter().map(field).collect(),
        }
    }

    fn ask() -> Ask {
        Ask {
            url: RequestUrl::parse("http://a.example/").unwrap(),
            method: Method::GET,
            headers: HeaderMap::new(),
            keeps_data: true,
        }
    }

    #[test]
    fn redirects_are_answers_unless_followed() {
        let head = head(302, &[("location", "/b"), ("content-length", "10")]);
        assert!(matches!(
            judge(&head, &ask(), &args(), None, false),
            Verdict::Take
        ));
        let args = Transfer {
            location: true,
            ..args()
        };
        let verdict = judge(&head, &ask(), &args, None, false);
        let Verdict::Discard {
            drain: true,
            then: Then::Follow(next),
        } = verdict
        else {
            panic!("{verdict:?}")
        };
        assert_eq!(next.url.to_string(), "http://a.example/b");
    }

    #[test]
    fn errors_are_content_unless_fail_says_otherwise() {
        let head = head(404, &[]);
        assert!(matches!(
            judge(&head, &ask(), &args(), None, false),
            Verdict::Take
        ));
        let fail = Transfer {
            fail: true,
            ..args()
        };
        let verdict = judge(&head, &ask(), &fail, None, false);
        assert!(matches!(
            verdict,
            Verdict::Discard {
                drain: false,
                then: Then::Fail(_)
            }
        ));
        let with_body = Transfer {
            fail_with_body: true,
            ..args()
        };
        let verdict = judge(&head, &ask(), &with_body, None, false);
        assert!(matches!(verdict, Verdict::TakeAndFail(_)));
    }

    #[test]
    fn an_error_page_is_never_appended_to_a_file() {
        let verdict = judge(&head(404, &[]), &ask(), &args(), Some(5), false);
        assert!(matches!(
            verdict,
            Verdict::Discard {
                then: Then::Fail(_),
                ..
            }
        ));
    }

    #[test]
    fn what_passes_is_tried_again_while_attempts_are_left() {
        let head = head(503, &[("retry-after", "7")]);
        let verdict = judge(&head, &ask(), &args(), None, true);
        let Verdict::Discard {
            then: Then::Fail(failed),
            ..
        } = verdict
        else {
            panic!()
        };
        assert!(failed.retryable);
        assert!(matches!(
            judge(&head, &ask(), &args(), None, false),
            Verdict::Take
        ));
        assert_eq!(retry_after(&head), Some(7));
    }
}
