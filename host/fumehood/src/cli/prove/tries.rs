//! From cases to tries: each case by each of its routes, on a port of its own.

use std::net::{IpAddr, SocketAddr};

use super::canary::{Arrival, Canary};
use super::corpus::{Case, What};
use super::names::ORIGIN;

/// How often a host is asked for while the policy is read again.
const RELOAD_ROUNDS: usize = 100;

/// The path that a redirect leads to, which tells its request from the first.
const ARRIVED: &str = "arrived";

/// How a case is put to who is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A URL that our client is given.
    Url,
    /// The origin redirects our client there.
    Location,
    /// A request in absolute form to a proxy (RFC 9112 section 3.2.2).
    Absolute,
    /// CONNECT to a proxy (RFC 9110 section 9.3.6).
    Connect,
    /// CONNECT of SOCKS 5 to our proxy (RFC 1928 section 4); others seldom speak it.
    Socks,
    /// The case's own messages to a proxy.
    Messages,
}

/// What begins a message of SOCKS 5: the version, and the one method without a login.
pub(super) const SOCKS_GREETING: &[u8] = &[5, 1, 0];

/// One try.
#[derive(Debug)]
pub(super) struct Try {
    pub(super) case: &'static Case,
    pub(super) route: Route,
    pub(super) canary: Canary,
    /// What is sent: URLs, or messages.
    pub(super) sent: Vec<Vec<u8>>,
    /// Who was tried answered so; for people.
    pub(super) answer: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing arrived where it must not.
    Held,
    /// It did, there; or the origin was told what it must not be.
    Through(Vec<String>),
    /// A control that arrived at the origin.
    Reached,
    /// A control that did not.
    Missed,
}

impl Route {
    /// All there are.
    pub(super) const ALL: [Route; 6] = [
        Route::Url,
        Route::Location,
        Route::Absolute,
        Route::Connect,
        Route::Socks,
        Route::Messages,
    ];

    /// Those to any proxy.
    pub(super) const PROXYS: [Route; 3] = [Route::Absolute, Route::Connect, Route::Messages];

    /// In JSON and for people; never changes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Route::Url => "url",
            Route::Location => "location",
            Route::Absolute => "absolute-form",
            Route::Connect => "connect",
            Route::Socks => "socks5",
            Route::Messages => "messages",
        }
    }

    /// Through our client, and not through a proxy.
    pub(super) fn is_clients(self) -> bool {
        matches!(self, Route::Url | Route::Location)
    }

    /// What to send by it, where the case has that route. The last is where a
    /// redirect leads, if it is about one.
    fn sent(self, what: What, port: u16, proxy: SocketAddr) -> Option<Sent> {
        let fill = |text: &str| fill(text, port, proxy);
        let get = |url: &str, host: &str| {
            format!("GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes()
        };
        if self == Route::Socks {
            let (What::Control(host) | What::Host(host) | What::Twice(host) | What::Reload(host)) =
                what
            else {
                return None;
            };
            let rounds = match what {
                What::Twice(_) => 2,
                What::Reload(_) => RELOAD_ROUNDS,
                _ => 1,
            };
            return Some(Sent::plain(vec![socks(&fill(host), port)?]).times(rounds));
        }
        // The authority where there is one, the URL, and how often.
        let (authority, url, rounds) = match what {
            What::Control(host) | What::Host(host) => (Some(format!("{host}:{{port}}")), None, 1),
            What::Twice(host) => (Some(format!("{host}:{{port}}")), None, 2),
            What::Reload(host) => (Some(format!("{host}:{{port}}")), None, RELOAD_ROUNDS),
            What::Authority(authority) => (Some(authority.to_owned()), None, 1),
            What::Url(url) => (None, Some(url.to_owned()), 1),
            What::Location(bytes) if self == Route::Location => {
                return Some(redirected(fill_bytes(bytes, port), port));
            }
            What::Messages(messages, _) if self == Route::Messages => {
                let messages = messages.iter().map(|it| fill(it).into_bytes());
                return Some(Sent::plain(messages.collect()));
            }
            What::Location(_) | What::Messages(..) => return None,
        };
        let authority = authority.map(|it| fill(&it));
        let path = if self == Route::Location { ARRIVED } else { "" };
        let url = match (&authority, url) {
            (_, Some(url)) => fill(&url),
            (Some(authority), None) => format!("http://{authority}/{path}"),
            (None, None) => return None,
        };
        let one = match self {
            Route::Url => url.into_bytes(),
            // One is enough of what asks many times.
            Route::Location if rounds <= 2 => {
                let sent = redirected(url.into_bytes(), port);
                return Some(sent.times(rounds));
            }
            Route::Absolute => get(&url, authority.as_deref().unwrap_or("origin.prove.test")),
            Route::Connect => {
                let authority = authority?;
                format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").into_bytes()
            }
            Route::Location | Route::Socks | Route::Messages => return None,
        };
        Some(Sent::plain(vec![one]).times(rounds))
    }
}

/// What is sent, and where the origin redirects to.
struct Sent {
    sent: Vec<Vec<u8>>,
    location: Option<Vec<u8>>,
}

impl Sent {
    fn plain(sent: Vec<Vec<u8>>) -> Self {
        Sent {
            sent,
            location: None,
        }
    }

    fn times(mut self, rounds: usize) -> Self {
        let all = self.sent.iter().cycle();
        self.sent = all.take(self.sent.len() * rounds).cloned().collect();
        self
    }
}

fn redirected(location: Vec<u8>, port: u16) -> Sent {
    Sent {
        sent: vec![format!("http://{ORIGIN}:{port}/").into_bytes()],
        location: Some(location),
    }
}

/// Greeting and CONNECT. An address is put as one, as programs do; all else is a
/// name, of which SOCKS has room for 255 bytes.
fn socks(host: &str, port: u16) -> Option<Vec<u8>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let (kind, address) = match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(it)) => (1, it.octets().to_vec()),
        Ok(IpAddr::V6(it)) => (4, it.octets().to_vec()),
        Err(_) => {
            let length = u8::try_from(host.len()).ok()?;
            (3, [&[length], host.as_bytes()].concat())
        }
    };
    let port = port.to_be_bytes();
    Some([SOCKS_GREETING, &[5, 1, 0, kind], &address, &port].concat())
}

fn fill(text: &str, port: u16, proxy: SocketAddr) -> String {
    text.replace("{port}", &port.to_string())
        .replace("{wrapped}", &(u32::from(port) + 0x1_0000).to_string())
        .replace("{origin}", &ORIGIN.to_string())
        .replace("{proxy}", &proxy.to_string())
}

/// For what is no text: the port alone.
fn fill_bytes(bytes: &[u8], port: u16) -> Vec<u8> {
    const PLACE: &[u8] = b"{port}";
    match bytes.windows(PLACE.len()).position(|it| it == PLACE) {
        None => bytes.to_vec(),
        Some(at) => [
            &bytes[..at],
            port.to_string().as_bytes(),
            &bytes[at + PLACE.len()..],
        ]
        .concat(),
    }
}

/// Every try of these cases by these routes, each already watched.
pub(super) async fn plan(
    cases: &[&'static Case],
    routes: &[Route],
    proxy: SocketAddr,
) -> std::io::Result<Vec<Try>> {
    let mut tries = Vec::new();
    for case in cases {
        for route in routes {
            let (canary, listener) = Canary::listen().await?;
            let Some(Sent { sent, location }) = route.sent(case.what, canary.port(), proxy) else {
                continue;
            };
            canary.serve(listener, location);
            tries.push(Try {
                case,
                route: *route,
                canary,
                sent,
                answer: String::new(),
            });
        }
    }
    Ok(tries)
}

impl Try {
    pub(super) fn is_reload(&self) -> bool {
        matches!(self.case.what, What::Reload(_))
    }

    /// What became of it, once all that may arrive has.
    pub(super) fn verdict(&self) -> Verdict {
        let arrivals = self.canary.arrivals();
        if matches!(self.case.what, What::Control(_)) {
            let path = if self.route == Route::Location {
                ARRIVED
            } else {
                ""
            };
            let asked = format!("get /{path} ").into_bytes();
            let reached = |it: &Arrival| it.is_allowed() && it.said.starts_with(&asked);
            return match arrivals.iter().any(reached) {
                true => Verdict::Reached,
                false => Verdict::Missed,
            };
        }
        let mut through: Vec<_> = arrivals.iter().filter_map(|it| self.wrong(it)).collect();
        through.sort_unstable();
        through.dedup();
        match through.is_empty() {
            true => Verdict::Held,
            false => Verdict::Through(through),
        }
    }

    /// What is wrong with an arrival.
    fn wrong(&self, arrival: &Arrival) -> Option<String> {
        if !arrival.is_allowed() {
            return Some(arrival.at.to_string());
        }
        let What::Messages(_, forbidden) = self.case.what else {
            return None;
        };
        let said = String::from_utf8_lossy(&arrival.said);
        let head = said.split("\r\n\r\n").next().unwrap_or_default();
        let told = !forbidden.is_empty() && forbidden.iter().all(|it| head.contains(it));
        told.then(|| format!("a head with {:?}", forbidden.join(" and ")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn every_case_has_a_route_and_every_place_is_filled() {
        let proxy = "127.0.0.1:3128".parse().unwrap();
        for case in super::super::corpus::CORPUS {
            let all: Vec<_> = Route::ALL
                .iter()
                .filter_map(|route| route.sent(case.what, 40000, proxy))
                .collect();
            assert!(!all.is_empty(), "{}", case.name);
            for Sent { sent, location } in all {
                if sent[0].starts_with(SOCKS_GREETING) {
                    // Its port is in two bytes.
                    assert!(sent[0].ends_with(&40000_u16.to_be_bytes()));
                    continue;
                }
                let text = [sent, location.into_iter().collect()].concat().concat();
                let text = String::from_utf8_lossy(&text).into_owned();
                assert!(!text.contains('{') && !text.contains('}'), "{text}");
                assert!(text.contains("40000") || text.contains("105536"), "{text}");
            }
        }
    }
}
