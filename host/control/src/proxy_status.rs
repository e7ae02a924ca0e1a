//! What an HTTP client is told of a request that was not made: a status, and
//! the `Proxy-Status` field (RFC 9209).

use fumehood_policy::{Denial, Reason};

use crate::{Cause, DialFailure, ProxyFault};

/// Longest text of `details`, in bytes; the longest of ours has under 700.
const MAX_DETAILS_BYTES: usize = 1024;

/// A status and a field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyStatus {
    /// Of the response.
    pub status: u16,
    /// The value of `Proxy-Status`: `fumehood; error=http_request_denied; details="…"`.
    pub field: String,
    /// The error type in it (RFC 9209 section 2.3).
    pub error: &'static str,
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
            | Reason::AnotherAddress(_)
            | Reason::Unseen => "destination_ip_prohibited",
            Reason::BlockedPort
            | Reason::Rule(_)
            | Reason::Unconfirmed(_)
            | Reason::Grant(_)
            | Reason::NotAllowed
            | Reason::OnlyBelow(_)
            | Reason::NoDatagrams => "http_request_denied",
        };
        Self::new(403, error, &denial.to_string())
    }

    /// For a connection that was not made (RFC 9209 section 2.3).
    #[must_use]
    pub fn of_failure(failure: &DialFailure) -> Self {
        let (status, error, details) = match failure {
            DialFailure::Denied(denial) => return Self::of_denial(denial),
            DialFailure::Resolve(why) => (502, "dns_error", why.as_str()),
            DialFailure::Timeout { resolving: true } => (504, "dns_timeout", ""),
            DialFailure::Timeout { resolving: false } => (504, "connection_timeout", ""),
            DialFailure::Connect(_) => (502, "connection_refused", ""),
            DialFailure::NoGrant => (
                502,
                "proxy_internal_error",
                "the leave to connect had run out",
            ),
            DialFailure::Outside(_) => (
                403,
                "http_request_denied",
                "a driver asked for more than its grant gives leave for",
            ),
            DialFailure::Busy => (503, "connection_limit_reached", ""),
            DialFailure::Loop => (
                502,
                "proxy_loop_detected",
                "the way out leads back to this proxy",
            ),
        };
        Self::new(status, error, details)
    }

    /// For an exchange that failed.
    #[must_use]
    pub fn of_cause(cause: &Cause) -> Self {
        let (status, error, details) = match cause {
            Cause::Dial(failure) => return Self::of_failure(failure),
            Cause::Socket { .. } => (502, "connection_terminated", ""),
            Cause::Truncated { .. } => (502, "http_response_incomplete", ""),
            Cause::HttpViolation(rule) => (502, "http_protocol_error", rule.as_str()),
            Cause::Violation { detail, .. } => (502, "http_protocol_error", detail.as_str()),
            Cause::Limit(bound) => (502, "http_response_header_section_size", bound.as_str()),
            Cause::Tls(why) => (502, "tls_protocol_error", why.as_str()),
            Cause::Certificate { detail, .. } => (502, "tls_certificate_error", detail.as_str()),
            Cause::Deadline { phase, .. } => match phase.as_str() {
                "connect" | "tls" => (504, "connection_timeout", ""),
                _ => (504, "http_response_timeout", ""),
            },
            Cause::Proxy { fault, .. } => match &**fault {
                ProxyFault::Cause(cause) => return Self::of_cause(cause),
                ProxyFault::Full { .. } => (503, "connection_limit_reached", ""),
                // RFC 9209 section 2.3.8 has no word for a proxy's refusal but this.
                _ => (502, "connection_refused", "a proxy on the way refused"),
            },
            Cause::Busy => (503, "connection_limit_reached", ""),
            Cause::BadRequest(why) => (400, "http_request_error", why.as_str()),
            Cause::Lapsed(_) => (403, "http_request_denied", ""),
            Cause::Guest { .. }
            | Cause::Sink { .. }
            | Cause::Source { .. }
            | Cause::Cancelled
            | Cause::EngineDied => (502, "proxy_internal_error", ""),
        };
        Self::new(status, error, details)
    }

    /// For a request that the proxy does not take.
    #[must_use]
    pub fn of_refusal(status: u16, error: &'static str, details: &str) -> Self {
        Self::new(status, error, details)
    }

    fn new(status: u16, error: &'static str, details: &str) -> Self {
        let mut field = format!("fumehood; error={error}");
        if !details.is_empty() {
            field.push_str("; details=\"");
            field.push_str(&string(details));
            field.push('"');
        }
        ProxyStatus {
            status,
            field,
            error,
        }
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
        assert!(it.field.len() < 1200 && it.field.bytes().all(|b| (b' '..=b'~').contains(&b)));
    }
}
