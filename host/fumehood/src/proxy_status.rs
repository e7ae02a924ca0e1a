//! What an HTTP client is told of a request that was not made: a status, and
//! the `Proxy-Status` field (RFC 9209).

use fumehood_control::DialFailure;
use fumehood_policy::Denial;
use http::StatusCode;

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
        fumehood_control::ProxyStatus::of_denial(denial).into()
    }

    /// For a connection that was not made (RFC 9209 section 2.3).
    #[must_use]
    pub fn of_failure(failure: &DialFailure) -> Self {
        fumehood_control::ProxyStatus::of_failure(failure).into()
    }
}

impl From<fumehood_control::ProxyStatus> for ProxyStatus {
    fn from(told: fumehood_control::ProxyStatus) -> Self {
        ProxyStatus {
            // All of them are between 400 and 504.
            status: StatusCode::from_u16(told.status).unwrap_or(StatusCode::BAD_GATEWAY),
            field: told.field,
        }
    }
}
