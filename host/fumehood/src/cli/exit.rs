//! How the command ends: curl's numbers where they mean the same, and a table of all.

use std::fmt;

use fumehood::control::{Blame, Cause, DialFailure, ProxyFault, TokenFault};
use fumehood::policy::Denial;
use fumehood::{CallerError, EngineError, Error};

/// An exit code. The number is part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Usage = 2,
    Url = 3,
    ProxyName = 5,
    Resolve = 6,
    Connect = 7,
    WeirdReply = 8,
    Partial = 18,
    HttpError = 22,
    Write = 23,
    Read = 26,
    Timeout = 28,
    Range = 33,
    Tls = 35,
    BadRequest = 43,
    Redirects = 47,
    EmptyReply = 52,
    Receive = 56,
    Certificate = 60,
    Anchors = 77,
    ProxyToken = 94,
    Proxy = 97,
    Policy = 110,
    Guest = 111,
    Engine = 112,
    Launch = 113,
    Module = 114,
    Configuration = 115,
    Listen = 116,
    Script = 117,
}

impl Exit {
    pub(crate) const ALL: [Exit; 29] = [
        Exit::Usage,
        Exit::Url,
        Exit::ProxyName,
        Exit::Resolve,
        Exit::Connect,
        Exit::WeirdReply,
        Exit::Partial,
        Exit::HttpError,
        Exit::Write,
        Exit::Read,
        Exit::Timeout,
        Exit::Range,
        Exit::Tls,
        Exit::BadRequest,
        Exit::Redirects,
        Exit::EmptyReply,
        Exit::Receive,
        Exit::Certificate,
        Exit::Anchors,
        Exit::ProxyToken,
        Exit::Proxy,
        Exit::Policy,
        Exit::Guest,
        Exit::Engine,
        Exit::Launch,
        Exit::Module,
        Exit::Configuration,
        Exit::Listen,
        Exit::Script,
    ];

    /// The number the shell sees.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// Its name in JSON; never changes.
    pub(crate) fn name(self) -> &'static str {
        self.texts().0
    }

    /// What it says to people.
    pub(crate) fn meaning(self) -> &'static str {
        self.texts().1
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Exit::Usage => ("usage", "the command line cannot be understood"),
            Exit::Url => ("url", "the URL cannot be used"),
            Exit::ProxyName => ("proxy-name", "the proxy's name does not resolve"),
            Exit::Resolve => ("resolve", "the host's name does not resolve"),
            Exit::Connect => ("connect", "no address of the host accepts a connection"),
            Exit::WeirdReply => ("weird-reply", "the server broke HTTP or went over a bound"),
            Exit::Partial => ("partial", "the response ended early; what came was kept"),
            Exit::HttpError => ("http-error", "status 400 or above, with --fail"),
            Exit::Write => ("write", "the content could not be written"),
            Exit::Read => ("read", "the content to send could not be read"),
            Exit::Timeout => ("timeout", "a time limit passed"),
            Exit::Range => ("range", "the server does not resume a download"),
            Exit::Tls => ("tls", "TLS could not be agreed on"),
            Exit::BadRequest => ("bad-request", "the request cannot be sent as it is"),
            Exit::Redirects => ("redirects", "too many redirects"),
            Exit::EmptyReply => ("empty-reply", "the server closed without an answer"),
            Exit::Receive => ("receive", "the connection broke"),
            Exit::Certificate => ("certificate", "the server's certificate was refused"),
            Exit::Anchors => ("anchors", "the trust anchors could not be read"),
            Exit::ProxyToken => ("proxy-token", "the proxy was not told who asks by tokens"),
            Exit::Proxy => ("proxy", "the SOCKS proxy refused"),
            Exit::Policy => (
                "policy",
                "the policy denies the target or all its addresses",
            ),
            Exit::Guest => ("guest", "a guest trapped, hung or wanted too much memory"),
            Exit::Engine => ("engine", "the engine or the broker failed"),
            Exit::Launch => ("launch", "the engine or its sandbox could not be set up"),
            Exit::Module => (
                "module",
                "a module or a crash report is not there or was refused",
            ),
            Exit::Script => (
                "script",
                "a PAC script cannot be used, or gave no usable answer",
            ),
            Exit::Configuration => ("configuration", "the configuration was refused"),
            Exit::Listen => ("listen", "the proxy cannot listen where it should"),
        }
    }

    /// For an error of the library.
    pub(crate) fn of(error: &Error) -> Self {
        match (error.cause(), error) {
            (Some(cause), _) => Exit::of_cause(cause),
            (None, Error::Caller(CallerError::Url(_))) => Exit::Url,
            (None, Error::Caller(CallerError::Body(_))) => Exit::Read,
            (None, Error::Caller(CallerError::NoWay(_))) => Exit::Script,
            (None, Error::Caller(_)) => Exit::BadRequest,
            (None, Error::Engine(EngineError::Launch(error))) => Exit::of_launch(error),
            (None, _) => Exit::Engine,
        }
    }

    pub(crate) fn of_launch(error: &fumehood::LaunchError) -> Self {
        match error {
            fumehood::LaunchError::Anchors(_) => Exit::Anchors,
            fumehood::LaunchError::Proxies(_) => Exit::Configuration,
            fumehood::LaunchError::MetricsPort { .. } => Exit::Listen,
            _ => Exit::Launch,
        }
    }

    fn of_cause(cause: &Cause) -> Self {
        match cause {
            Cause::Dial(failure) => Exit::of_dial(failure),
            Cause::Socket { .. } => Exit::Receive,
            Cause::Truncated { place } => Exit::of_truncation(place),
            Cause::HttpViolation(_) | Cause::Violation { .. } | Cause::Limit(_) => Exit::WeirdReply,
            Cause::Tls(_) => Exit::Tls,
            Cause::Certificate { .. } => Exit::Certificate,
            Cause::Deadline { .. } => Exit::Timeout,
            Cause::Guest { .. } => Exit::Guest,
            Cause::Sink { .. } => Exit::Write,
            Cause::Source { .. } => Exit::Read,
            Cause::BadRequest(_) => Exit::BadRequest,
            Cause::Lapsed(_) => Exit::Policy,
            Cause::Proxy { fault, .. } => Exit::of_proxy(fault),
            Cause::Cancelled | Cause::EngineDied | Cause::Busy => Exit::Engine,
        }
    }

    /// curl ends with 5 where a proxy's name does not resolve, with 56 where it
    /// refuses CONNECT, and with 97 where it refuses in SOCKS.
    fn of_proxy(fault: &ProxyFault) -> Self {
        match fault {
            ProxyFault::Cause(Cause::Dial(DialFailure::Resolve(_))) => Exit::ProxyName,
            ProxyFault::Cause(cause) => Exit::of_cause(cause),
            ProxyFault::Refused { .. } => Exit::Receive,
            ProxyFault::Violation(_)
            | ProxyFault::Socks { .. }
            | ProxyFault::NoMethod
            | ProxyFault::Login => Exit::Proxy,
            ProxyFault::Token(TokenFault::Late) => Exit::Timeout,
            ProxyFault::Token(_) => Exit::ProxyToken,
            ProxyFault::Full { .. } => Exit::Engine,
        }
    }

    pub(crate) fn of_dial(failure: &DialFailure) -> Self {
        match failure {
            DialFailure::Denied(_) | DialFailure::Outside(_) => Exit::Policy,
            DialFailure::Resolve(_) => Exit::Resolve,
            DialFailure::Connect(_) | DialFailure::Loop => Exit::Connect,
            DialFailure::Timeout { .. } => Exit::Timeout,
            DialFailure::NoGrant | DialFailure::Busy => Exit::Engine,
        }
    }

    fn of_truncation(place: &str) -> Self {
        match place {
            "tls-handshake" => Exit::Tls,
            "before-head" => Exit::EmptyReply,
            "in-payload" => Exit::Partial,
            _ => Exit::Receive,
        }
    }
}

/// Why the command could not do what it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) exit: Exit,
    pub(crate) blame: Option<Blame>,
    pub(crate) message: String,
    /// Sending again could help and does nothing twice.
    pub(crate) retryable: bool,
    /// What the policy said, where that was it.
    pub(crate) denial: Option<Box<Denial>>,
}

impl Failed {
    /// A failure of the command's own making.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failed {
            exit,
            blame: None,
            message: message.into(),
            retryable: false,
            denial: None,
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let denial = match error.cause() {
            Some(Cause::Dial(DialFailure::Denied(denial))) => Some(Box::new(denial.clone())),
            _ => None,
        };
        Failed {
            denial,
            exit: Exit::of(&error),
            blame: Some(error.blame()),
            retryable: error.is_retryable(),
            message: error.to_string(),
        }
    }
}

impl From<fumehood::LaunchError> for Failed {
    fn from(error: fumehood::LaunchError) -> Self {
        Failed {
            exit: Exit::of_launch(&error),
            blame: Some(Blame::Engine),
            retryable: false,
            denial: None,
            message: error.to_string(),
        }
    }
}

/// The name of a party, in JSON.
pub(crate) fn blame_name(blame: Option<Blame>) -> &'static str {
    match blame {
        Some(Blame::Peer) => "peer",
        Some(Blame::Network) => "network",
        Some(Blame::Policy) => "policy",
        Some(Blame::Guest) => "guest",
        Some(Blame::Engine) => "engine",
        Some(Blame::Caller) | None => "caller",
    }
}

/// The table for `--help`.
pub(crate) fn table() -> String {
    use fmt::Write as _;
    let mut text = String::from("Exit codes (curl's, up to 99):\n    0  all transfers succeeded\n");
    for exit in Exit::ALL {
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning());
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;
    use fumehood::control::{Failure, RetrySafety};

    #[test]
    fn causes_have_the_numbers_that_curl_gives_them() {
        let cases = [
            (Cause::Dial(DialFailure::Resolve("no".into())), 6),
            (Cause::Dial(DialFailure::Connect(Vec::new())), 7),
            (Cause::Dial(DialFailure::Timeout { resolving: true }), 28),
            (
                Cause::Truncated {
                    place: "in-payload".into(),
                },
                18,
            ),
            (
                Cause::Truncated {
                    place: "before-head".into(),
                },
                52,
            ),
            (
                Cause::Truncated {
                    place: "tls-handshake".into(),
                },
                35,
            ),
            (
                Cause::Truncated {
                    place: "in-head".into(),
                },
                56,
            ),
            (Cause::Socket { errno: 104 }, 56),
            (Cause::Sink { errno: 28 }, 23),
            (Cause::Source { errno: 5 }, 26),
            (
                Cause::Deadline {
                    phase: "head".into(),
                    milliseconds: 1,
                },
                28,
            ),
            (Cause::Tls("alert".into()), 35),
            (
                Cause::Certificate {
                    rejection: "expired".into(),
                    detail: String::new(),
                },
                60,
            ),
            (Cause::EngineDied, 112),
        ];
        for (cause, code) in cases {
            assert_eq!(Exit::of_cause(&cause).code(), code, "{cause:?}");
        }
    }

    #[test]
    fn numbers_and_names_are_unique_and_in_the_table() {
        let table = table();
        for (index, exit) in Exit::ALL.iter().enumerate() {
            assert!(table.contains(&format!("{:>3}  {}", exit.code(), exit.meaning())));
            for other in &Exit::ALL[index + 1..] {
                assert_ne!(exit.code(), other.code());
                assert_ne!(exit.name(), other.name());
            }
        }
    }

    #[test]
    fn blame_is_carried_over() {
        let failure = Failure {
            blame: Blame::Guest,
            cause: Cause::Guest {
                module: "http1".into(),
                version: "0.1.0".into(),
                kind: "trap".into(),
                detail: "unreachable".into(),
            },
            retry: RetrySafety::MaybeProcessed,
        };
        assert_eq!(Exit::of_cause(&failure.cause), Exit::Guest);
        assert_eq!(blame_name(Some(failure.blame)), "guest");
    }
}
