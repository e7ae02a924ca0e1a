//! What a client is told where it gets no response of a server's: a status, a
//! `Proxy-Status` field (RFC 9209) and problem details (RFC 9457), which people
//! and programs can read.

use std::fmt::Write as _;

use fumehood_control::{
    AccessOutcome, Cause, DialFailure, Field, ProxyFault, ProxyStatus, TokenFault,
};
use fumehood_policy::{Denial, Reason, Target};

use crate::instance::CodecError;
use crate::instance::cause_of_protocol;

/// A refusal.
#[derive(Debug)]
pub(super) struct Refusal {
    status: ProxyStatus,
    detail: String,
    denial: Option<Box<Denial>>,
}

impl Refusal {
    /// Of a request that the proxy does not take, with an error type of RFC
    /// 9209 section 2.3.
    pub(super) fn new(status: u16, error: &'static str, detail: String) -> Refusal {
        Refusal {
            status: ProxyStatus::of_refusal(status, error, &detail),
            detail,
            denial: None,
        }
    }

    /// Of what is not meant for a proxy.
    pub(super) fn not_a_proxy_request() -> Refusal {
        let detail = "this is a forward proxy: set it as such in the program, which then asks \
                      for absolute URLs or for tunnels";
        Refusal::new(400, "http_request_error", detail.to_owned())
    }

    /// Of a URL of another scheme.
    pub(super) fn only_http(target: &Target) -> Refusal {
        let detail = format!("{target} is asked for as a URL: use a tunnel (CONNECT) for it");
        Refusal::new(501, "http_request_error", detail)
    }

    /// Of an engine that was not given a policy, or not one that decodes.
    pub(super) fn no_policy() -> Refusal {
        let detail = "there is no policy to judge requests by".to_owned();
        Refusal::new(503, "proxy_configuration_error", detail)
    }

    /// Of a client that has to say who it is, and did not, or is not who it says.
    pub(super) fn nobody() -> Refusal {
        let detail = "this proxy serves users that it knows: name and password are wanted";
        Refusal::new(407, "http_request_denied", detail.to_owned())
    }

    /// Of a client of which it was not found out in time who it is.
    pub(super) fn unknown() -> Refusal {
        let detail = "too many say at once who they are: try again".to_owned();
        Refusal::new(503, "connection_limit_reached", detail)
    }

    /// What the policy says no to.
    pub(super) fn denied(denial: Denial) -> Refusal {
        Refusal {
            status: ProxyStatus::of_denial(&denial),
            detail: denial.to_string(),
            denial: Some(Box::new(denial)),
        }
    }

    /// Of a request whose server did not answer.
    pub(super) fn failed(cause: &Cause, target: &Target) -> Refusal {
        if let Some(denial) = denial_in(cause) {
            return Refusal::denied(denial.clone());
        }
        let status = ProxyStatus::of_cause(cause);
        let error = status.error.replace('_', " ");
        let detail = match cause {
            Cause::Proxy { server, fault } => match &**fault {
                ProxyFault::Refused { status, .. } => {
                    format!("{target} was not reached: the proxy {server} says no ({status})")
                }
                ProxyFault::Token(why) => {
                    let why = match why {
                        // The words may name people and files; the embedder logs them.
                        TokenFault::Refused(_) => "whoever makes the tokens says no".to_owned(),
                        why => why.to_string(),
                    };
                    format!(
                        "{target} was not reached: the proxy {server} is not told who asks: {why}"
                    )
                }
                ProxyFault::Full { most, milliseconds } => format!(
                    "{target} was not reached: the {most} connections that there may be to the \
                     proxy {server} were all in use for {milliseconds} ms: ask again, or for less \
                     at once"
                ),
                _ => format!("{target} was not reached through the proxy {server}: {error}"),
            },
            Cause::BadRequest(why) => {
                format!("the request for {target} cannot be passed on: {why}")
            }
            _ => format!("{target} did not answer: {error}"),
        };
        Refusal {
            status,
            detail,
            denial: None,
        }
    }

    /// Of a request whose proxy wants proof of who asks, anew, when content is on its
    /// way already. What it wants is known now.
    pub(super) fn content_spent(cause: &Cause, target: &Target) -> Refusal {
        let Refusal { status, detail, .. } = Refusal::failed(cause, target);
        let detail = format!(
            "{detail}, as proof of who asks had grown stale; the request's content was on its \
             way and is not kept: send it again"
        );
        Refusal {
            status,
            detail,
            denial: None,
        }
    }

    /// Of a client that broke the protocol or a bound. `None` where there is no
    /// request to answer, or nobody to write the answer.
    pub(super) fn broken(error: CodecError) -> Option<Refusal> {
        let CodecError::Protocol(error) = error else {
            return None;
        };
        match cause_of_protocol(error) {
            Cause::HttpViolation(rule) => {
                let status = match rule.as_str() {
                    "bad-version" => 505,
                    "bad-transfer-encoding" => 501,
                    _ => 400,
                };
                let detail = format!("the request breaks HTTP/1.1: {rule}");
                Some(Refusal::new(status, "http_request_error", detail))
            }
            Cause::Limit(bound) => {
                let detail = format!("the request is over a bound: {bound}");
                Some(Refusal::new(431, "http_request_error", detail))
            }
            _ => None,
        }
    }

    /// Of a client that takes too long over a head.
    pub(super) fn slow(milliseconds: u32) -> Refusal {
        let detail = format!("the head of the request took longer than {milliseconds} ms");
        Refusal::new(408, "http_request_error", detail)
    }

    pub(super) fn status(&self) -> u16 {
        self.status.status
    }

    /// What the status means here: the reason phrase.
    pub(super) fn title(&self) -> &'static str {
        title(self.status())
    }

    /// Why the policy says no, if it is the policy.
    pub(super) fn reason(&self) -> Option<Reason> {
        self.denial.as_ref().map(|it| it.reason.clone())
    }

    /// For the record.
    pub(super) fn outcome(&self) -> AccessOutcome {
        match &self.denial {
            Some(denial) => AccessOutcome::Denied(denial.reason.name().to_owned()),
            None => AccessOutcome::Failed(self.status.error.to_owned()),
        }
    }

    /// The response's fields, and its content.
    pub(super) fn response(&self) -> (Vec<Field>, Vec<u8>) {
        let field = |name: &str, value: &str| Field {
            name: name.to_owned(),
            value: value.as_bytes().to_vec(),
        };
        let fields = vec![
            field("proxy-status", &self.status.field),
            field("content-type", "application/problem+json"),
            field("cache-control", "no-store"),
        ];
        (fields, self.content().into_bytes())
    }

    fn content(&self) -> String {
        let mut lines = vec![
            ("title", text(self.title())),
            ("status", self.status().to_string()),
            ("detail", text(&self.detail)),
            ("error", text(self.status.error)),
        ];
        if let Some(denial) = &self.denial {
            lines.push(("reason", text(denial.reason.name())));
            lines.push(("target", text(&denial.target.to_string())));
            lines.extend(denial.remedy().map(|remedy| ("remedy", text(&remedy))));
        }
        let lines: Vec<String> = lines
            .iter()
            .map(|(name, value)| format!("  \"{name}\": {value}"))
            .collect();
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }
}

/// What the policy says of the target, or of a proxy on the way there.
fn denial_in(cause: &Cause) -> Option<&Denial> {
    match cause {
        Cause::Dial(DialFailure::Denied(denial)) => Some(denial),
        Cause::Proxy { fault, .. } => match &**fault {
            ProxyFault::Cause(cause) => denial_in(cause),
            _ => None,
        },
        _ => None,
    }
}

/// What a status means here.
fn title(status: u16) -> &'static str {
    match status {
        403 => "Denied by policy",
        407 => "Name and password wanted",
        408 => "Too slow",
        431 => "Too large",
        400 | 405 | 501 | 505 => "Not taken by this proxy",
        503 => "Busy",
        504 => "No answer in time",
        _ => "No answer",
    }
}

/// A JSON string (RFC 8259 section 7).
fn text(plain: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in plain.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            ' '.. => quoted.push(letter),
            // Writing to a string does not fail.
            _ => drop(write!(quoted, "\\u{:04x}", u32::from(letter))),
        }
    }
    quoted.push('"');
    quoted
}
