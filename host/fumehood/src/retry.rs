//! What is sent again, unasked, when the engine dies under a request.
//!
//! A new engine is given what the old one had. Whether the request may follow
//! is decided here, and nowhere else:
//!
//! | the request | is sent again |
//! |---|---|
//! | did not reach an engine | yes |
//! | GET, HEAD, OPTIONS, TRACE, PUT, DELETE (RFC 9110 section 9.2.2) | yes |
//! | any other, which the server may have acted on | no |
//! | whose response had begun | no |
//! | whose content cannot be had again | no |
//!
//! That is so once for each request: one that ends every engine it meets must
//! not end many.

use fumehood_control::{Cause, RetrySafety};
use http::Method;

use crate::Error;

/// Most engines that may die under one request before its caller is told:
/// the second death is likely to be the request's own doing.
pub(crate) const MAX_ENGINES_LOST: u32 = 1;

/// Whether a request whose engine died is sent again by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// Once, where nothing can come of it that one request would not do: the
    /// method is idempotent, the content can be sent again, and no byte of the
    /// response had come.
    #[default]
    WhereSafe,
    /// The error is the caller's to deal with.
    Never,
}

/// Whether a request's content can be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// There is none, or all of it is here.
    Kept,
    /// It streams by.
    Streamed,
}

/// What becomes of a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    SendAgain,
    GiveUp(Reason),
}

/// Why a request is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Something else went wrong than our own processes.
    NotOurs,
    /// The caller asked for that.
    Unwanted,
    /// The response had begun.
    Answered,
    /// The server may have acted on it, and would again.
    Unsafe,
    /// Its content has gone by.
    ContentGone,
    /// It was sent again already.
    Exhausted,
}

/// Judges a failure after so many engines died under the request, this one
/// not counted.
pub(crate) fn judge(
    wanted: Retry,
    method: &Method,
    content: Content,
    error: &Error,
    lost: u32,
) -> Verdict {
    use Verdict::{GiveUp, SendAgain};
    if error.cause() != Some(&Cause::EngineDied) {
        return GiveUp(Reason::NotOurs);
    }
    match (wanted, content, error.retry_safety()) {
        (Retry::Never, ..) => GiveUp(Reason::Unwanted),
        (_, _, RetrySafety::Answered) => GiveUp(Reason::Answered),
        (_, _, RetrySafety::MaybeProcessed) if !method.is_idempotent() => GiveUp(Reason::Unsafe),
        (_, Content::Streamed, _) => GiveUp(Reason::ContentGone),
        _ if lost >= MAX_ENGINES_LOST => GiveUp(Reason::Exhausted),
        _ => SendAgain,
    }
}

#[cfg(test)]
mod tests {
    use fumehood_policy::{Host, Scheme, Target};

    use super::*;

    fn died(retry: RetrySafety) -> Error {
        let target = Target {
            scheme: Scheme::Http,
            host: Host::parse("example.com").expect("a host"),
            port: 80,
        };
        Error::engine_died(target, retry)
    }

    fn judged(wanted: Retry, method: &Method, content: Content, retry: RetrySafety) -> Verdict {
        judge(wanted, method, content, &died(retry), 0)
    }

    #[test]
    fn idempotent_requests_with_their_content_at_hand_are_sent_again_once() {
        use RetrySafety::{Answered, MaybeProcessed, NotSent};
        let get = |retry| judged(Retry::WhereSafe, &Method::GET, Content::Kept, retry);
        assert_eq!(get(NotSent), Verdict::SendAgain);
        assert_eq!(get(MaybeProcessed), Verdict::SendAgain);
        assert_eq!(get(Answered), Verdict::GiveUp(Reason::Answered));
        let again = judge(
            Retry::WhereSafe,
            &Method::GET,
            Content::Kept,
            &died(NotSent),
            MAX_ENGINES_LOST,
        );
        assert_eq!(again, Verdict::GiveUp(Reason::Exhausted));
    }

    #[test]
    fn what_the_server_may_have_acted_on_is_not() {
        use RetrySafety::{MaybeProcessed, NotSent};
        let post = |retry| judged(Retry::WhereSafe, &Method::POST, Content::Kept, retry);
        assert_eq!(post(MaybeProcessed), Verdict::GiveUp(Reason::Unsafe));
        assert_eq!(post(NotSent), Verdict::SendAgain);
        let odd = Method::from_bytes(b"PURGE").expect("a method");
        let purge = judged(Retry::WhereSafe, &odd, Content::Kept, MaybeProcessed);
        assert_eq!(purge, Verdict::GiveUp(Reason::Unsafe));
    }

    #[test]
    fn content_that_has_gone_by_and_callers_who_said_no_end_it() {
        let streamed = |retry| judged(Retry::WhereSafe, &Method::PUT, Content::Streamed, retry);
        for retry in [RetrySafety::NotSent, RetrySafety::MaybeProcessed] {
            assert_eq!(streamed(retry), Verdict::GiveUp(Reason::ContentGone));
        }
        let unwanted = judged(
            Retry::Never,
            &Method::GET,
            Content::Kept,
            RetrySafety::NotSent,
        );
        assert_eq!(unwanted, Verdict::GiveUp(Reason::Unwanted));
    }

    #[test]
    fn failures_of_others_are_theirs() {
        let error = Error::from(crate::ChannelError::OutOfOrder);
        let verdict = judge(Retry::WhereSafe, &Method::GET, Content::Kept, &error, 0);
        assert_eq!(verdict, Verdict::GiveUp(Reason::NotOurs));
    }
}
