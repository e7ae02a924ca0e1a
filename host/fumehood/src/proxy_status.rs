//! What an HTTP client is told of a request that was not made: a status, and
//! the `Proxy-Status` field (RFC 9209).

use fumehood_control::DialFailure;
use fumehood_policy::{Denial, Reason};
use http::StatusCode;

/// Longest text of `details`, in bytes; the longest of ours has under 700.
const MAX_DETAILS_BYTES: usize = 1024;

/// A status and a field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyStatus {
    /// Of the response.
    pub status: StatusCode,
    /// The value of `Proxy-Status`: `fumehood; error=http_request_denied; details="…"`.
    pub field: String,
}

impl ProxyStatus {
    /// For what the policy denies: 403, since asking again does not help. The
    /// error type tells a denial for its address from one by a rule.
    #[must_use]
    pub fn of_denial(denial: &Denial) -> Self {
        let error = match &denial.reason {
            Reason::Localhost
            | Reason::Address { .. }
            | Reason::OutsideGrant { .. }
            | Reason::LocalhostElsewhere(_)
            | Reason::AnotherAddress(_) => "destination_ip_prohibited",
            Reason::BlockedPort
            | Reason::Rule(_)
            | Reason::Unconfirmed(_)
            | Reason::Grant(_)
            | Reason::NotAllowed => "http_request_denied",
        };
        Self::new(StatusCode::FORBIDDEN, error, &denial.to_string())
    }

    /// For a connection that was not made (RFC 9209 section 2.3).
    #[must_use]
    pub fn of_failure(failure: &DialFailure) -> Self {
        let (status, error, details) = match failure {
            DialFailure::Denied(denial) => return Self::of_denial(denial),
            DialFailure::Resolve(why) => (StatusCode::BAD_GATEWAY, "dns_error", why.as_str()),
            DialFailure::Timeout { resolving: true } => {
                (StatusCode::GATEWAY_TIMEOUT, "dns_timeout", "")
            }
            DialFailure::Timeout { resolving: false } => {
                (StatusCode::GATEWAY_TIMEOUT, "connection_timeout", "")
            }
            DialFailure::Connect(_) => (StatusCode::BAD_GATEWAY, "connection_refused", ""),
            DialFailure::NoGrant => (
                StatusCode::BAD_GATEWAY,
                "proxy_internal_error",
                "the leave to connect had run out",
            ),
            DialFailure::Outside(_) => (
                StatusCode::FORBIDDEN,
                "http_request_denied",
                "a driver asked for more than its grant gives leave for",
            ),
            DialFailure::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "connection_limit_reached",
                "",
            ),
        };
        Self::new(status, error, details)
    }

    fn new(status: StatusCode, error: &str, details: &str) -> Self {
        let mut field = format!("fumehood; error={error}");
        if !details.is_empty() {
            field.push_str("; details=\"");
            field.push_str(&string(details));
            field.push('"');
        }
        ProxyStatus { status, field }
    }
}

/// The inside of a string (RFC 9651 section 3.3.3): visible ASCII and spaces.
fn string(text: &str) -> String {
    let mut inside = String::new();
    for letter in text.chars() {
        if inside.len() >= MAX_DETAILS_BYTES {
            break;
        }
        match letter {
            '"' | '\\' => inside.extend(['\\', letter]),
            ' '..='~' => inside.push(letter),
            _ => inside.push('?'),
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use fumehood_policy::{Decision, Policy, RequestUrl};

    use super::*;

    fn denied(url: &str) -> ProxyStatus {
        let target = RequestUrl::parse(url).unwrap().target;
        match Policy::default().check_target(&target) {
            Decision::Deny(denial) => ProxyStatus::of_denial(&denial),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_denial_is_403_with_its_remedy_quoted() {
        let it = denied("http://10.0.0.1/");
        assert_eq!(it.status, 403);
        let start = "fumehood; error=destination_ip_prohibited; details=\"10.0.0.1:80 is not";
        assert!(it.field.starts_with(start), "{}", it.field);
        assert!(it.field.contains("allow_private(\\\"10.0.0.1:80\\\")"));
        assert!(
            denied("http://a.example:25/")
                .field
                .contains("error=http_request_denied")
        );
    }

    #[test]
    fn what_others_say_stays_a_string() {
        let it = ProxyStatus::of_failure(&DialFailure::Resolve("a\"b\\c\r\nd é".repeat(500)));
        assert!(
            it.field
                .starts_with("fumehood; error=dns_error; details=\"a\\\"b\\\\c??d ?")
        );
        assert!(it.field.len() < 1200 && http::HeaderValue::from_str(&it.field).is_ok());
    }
}
