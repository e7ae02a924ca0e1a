//! Sentences for people: what happened, to what, and what to do.

use fumehood_control::{Attempt, Cause, DialFailure, LayerReport, LayerState, Outside, ProxyFault};
use fumehood_policy::{ProxyServer, Target, Transport};

/// Names of layers, for a message.
pub(crate) fn layers(reports: &[LayerReport]) -> String {
    let names: Vec<String> = reports.iter().map(layer).collect();
    names.join(", ")
}

fn layer(report: &LayerReport) -> String {
    match &report.state {
        LayerState::Holds(detail) => format!("{} ({detail})", report.layer.name()),
        LayerState::NotUsed => format!("{} (not used)", report.layer.name()),
        LayerState::Missing { syscall, errno } => {
            format!("{} ({syscall}: {})", report.layer.name(), system(*errno))
        }
    }
}

/// What an `errno` means.
pub(crate) fn system(errno: i32) -> String {
    std::io::Error::from_raw_os_error(errno).to_string()
}

/// Why a guest that serves no exchange failed.
pub(crate) fn guest(cause: &Cause) -> String {
    match cause {
        Cause::Guest {
            module,
            version,
            kind,
            detail,
        } => format!("the guest {module} {version} ended ({kind}): {detail}"),
        other => format!("{other:?}"),
    }
}

/// Why an exchange with `target` failed.
pub(crate) fn cause(cause: &Cause, target: &Target) -> String {
    match cause {
        Cause::Dial(failure) => dial(failure, target),
        Cause::Socket { errno } => {
            format!("the connection to {target} broke: {}", system(*errno))
        }
        Cause::Truncated { place } => format!(
            "{target} closed the connection early, {}",
            truncation(place)
        ),
        Cause::HttpViolation(rule) => format!("{target} broke HTTP: {rule}"),
        Cause::Violation { driver, detail } => {
            format!("{target} broke the protocol, says the driver {driver}: {detail}")
        }
        Cause::Limit(bound) => format!("{target} went over a bound: {bound}"),
        Cause::Tls(detail) => format!("TLS with {target} failed: {detail}"),
        Cause::Certificate { rejection, detail } => {
            format!("the certificate of {target} was refused ({rejection}): {detail}")
        }
        Cause::Deadline {
            phase,
            milliseconds,
        } => format!(
            "{target} took longer than {} for \"{phase}\"",
            milliseconds_text(*milliseconds)
        ),
        Cause::Guest {
            module,
            kind,
            detail,
            ..
        } if kind == "no-instance" => format!(
            "there is no instance of the guest {module} for {target}: {detail}; \
             `fumehood modules list` shows which versions there are, `fumehood modules load` \
             takes another, and `fumehood modules swap` makes one current"
        ),
        Cause::Guest {
            module,
            version,
            kind,
            detail,
        } => format!(
            "the guest {module} {version} ended the exchange with {target} ({kind}): {detail}; \
             only this exchange is lost"
        ),
        Cause::Sink { errno } => {
            format!(
                "the response from {target} could not be written: {}",
                system(*errno)
            )
        }
        Cause::Source { errno: 0 } => {
            format!("the request's body for {target} ended before its announced length")
        }
        Cause::Source { errno } => {
            format!(
                "the request's body for {target} could not be read: {}",
                system(*errno)
            )
        }
        Cause::BadRequest(why) => format!("the request to {target} cannot be sent: {why}"),
        Cause::Proxy { server, fault } => proxy(server, fault, target),
        Cause::Cancelled => format!("the exchange with {target} was cancelled"),
        Cause::EngineDied => {
            format!(
                "the engine ended during the exchange with {target}; the next request gets a new one"
            )
        }
        Cause::Lapsed(lapse) => format!("the exchange with {target} was ended: {lapse}"),
        Cause::Busy => "the engine has as many exchanges as it takes; try later".to_owned(),
    }
}

/// Why a proxy on the way to `target` did not lead there.
fn proxy(server: &ProxyServer, fault: &ProxyFault, target: &Target) -> String {
    match fault {
        ProxyFault::Cause(inner) => {
            let place = server.as_target();
            format!("the proxy {server} was of no use: {}", cause(inner, &place))
        }
        ProxyFault::Refused {
            status: 407,
            challenges,
            ..
        } => {
            let schemes: Vec<&str> = challenges.iter().map(|it| it.scheme.as_str()).collect();
            format!(
                "the proxy {server} wants to know who asks (407, by {}); say it with \
                 --proxy-user, and --proxy-digest for digest, or UpstreamProxy::login",
                if schemes.is_empty() {
                    "no way it names".to_owned()
                } else {
                    schemes.join(", ")
                }
            )
        }
        ProxyFault::Refused {
            status,
            proxy_status,
            ..
        } => {
            let why = String::from_utf8_lossy(proxy_status);
            let told = if why.is_empty() { "" } else { "; it says: " };
            format!("the proxy {server} does not lead to {target}: it answered {status}{told}{why}")
        }
        ProxyFault::Socks { code } => {
            format!(
                "the proxy {server} does not lead to {target}: {}",
                socks(*code)
            )
        }
        ProxyFault::Violation(rule) => format!("the proxy {server} broke SOCKS: {rule}"),
        ProxyFault::NoMethod => format!(
            "the proxy {server} takes none of the ways to say who asks that it was offered; say \
             it with --proxy-user, or UpstreamProxy::login"
        ),
        ProxyFault::Login => format!("the proxy {server} refused the name or the password"),
        ProxyFault::Token(why) => format!("the proxy {server} was not told who asks: {why}"),
        ProxyFault::Full { most, milliseconds } => format!(
            "the {most} connections that there may be to the proxy {server} were all in use for \
             {milliseconds} ms; ask for less at once, or allow more by limits.per-proxy of the \
             configuration (Limits::max_per_proxy)"
        ),
    }
}

/// What a SOCKS reply means (RFC 1928 section 6, and SOCKS 4's own).
fn socks(code: u8) -> String {
    let meaning = match code {
        1 => "general failure",
        2 => "its rules do not allow it",
        3 => "it cannot reach the network",
        4 => "it cannot reach the host",
        5 => "the host refused the connection",
        6 => "the time to live ran out",
        7 => "it does not speak CONNECT",
        8 => "it does not take such an address",
        91 => "rejected or failed",
        92 => "it cannot ask this machine's ident server who asks",
        93 => "this machine's ident server says another asks",
        _ => "a reply of no meaning",
    };
    format!("{meaning} (SOCKS reply {code})")
}

/// The engine's name of a place, as a clause.
fn truncation(place: &str) -> &str {
    match place {
        "before-head" => "before any answer",
        "proxy" => "in the middle of what it said",
        "in-head" => "in the middle of its head",
        "in-payload" => "before its content was whole",
        "tls-handshake" => "during the TLS handshake",
        "tls-record" => "without ending TLS, so the content may have been cut short",
        other => other,
    }
}

fn dial(failure: &DialFailure, target: &Target) -> String {
    match failure {
        DialFailure::Denied(denial) => format!("denied by the policy: {denial}"),
        DialFailure::NoGrant => {
            format!("the leave to connect to {target} had run out; send the request again")
        }
        DialFailure::Resolve(why) => format!("the name of {target} does not resolve: {why}"),
        DialFailure::Connect(attempts) => {
            format!(
                "no address of {target} could be connected to: {}",
                attempts_text(attempts)
            )
        }
        DialFailure::Timeout { resolving: true } => {
            format!("the name of {target} did not resolve in time")
        }
        DialFailure::Timeout { resolving: false } => {
            format!("{target} did not accept a connection in time")
        }
        DialFailure::Busy => "the broker has as many dials as it takes; try later".to_owned(),
        DialFailure::Loop => format!("the way to {target} leads back to this proxy itself"),
        DialFailure::Outside(outside) => format!(
            "the driver asked for {}, and its leave is for {} alone; nothing was sent",
            beyond(outside),
            target.host_and_port()
        ),
    }
}

/// What lay beyond a driver's grant.
fn beyond(outside: &Outside) -> String {
    match outside {
        Outside::Address(address, Transport::Tcp) => format!("a connection to {address}"),
        Outside::Address(address, Transport::Udp) => format!("datagrams to {address}"),
        Outside::Host(host) => format!("the addresses of {host}"),
        Outside::Names => "the addresses of more names than it may look up".to_owned(),
    }
}

fn attempts_text(attempts: &[Attempt]) -> String {
    let each: Vec<String> = attempts
        .iter()
        .map(|attempt| match attempt.errno {
            Some(errno) => format!("{}: {}", attempt.address, system(errno)),
            None => format!("{}: given up", attempt.address),
        })
        .collect();
    if each.is_empty() {
        "it has none".to_owned()
    } else {
        each.join("; ")
    }
}

fn milliseconds_text(milliseconds: u32) -> String {
    if milliseconds.is_multiple_of(1000) {
        format!("{} s", milliseconds / 1000)
    } else {
        format!("{milliseconds} ms")
    }
}
