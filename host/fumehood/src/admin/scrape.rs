//! `GET /metrics`, for collectors that speak HTTP: over the admin socket
//! (`curl --unix-socket PATH http://localhost/metrics`) and on a port of its own.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _, Take};

use crate::Engine;
use crate::metrics::CONTENT_TYPE;

/// How a line of HTTP begins that no line of JSON does.
const GET: &[u8] = b"GET ";

/// The one page there is.
const PATH: &[u8] = b"/metrics";

/// Whether a connection's first line is of HTTP.
pub(super) fn is_http(line: &[u8]) -> bool {
    line.starts_with(GET)
}

/// Who may have sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The engine's own user, and no browser: none speaks to a Unix socket.
    Owner,
    /// Whoever reaches a loopback port: a page in a browser may have sent it, under
    /// a name of its own that leads to loopback (DNS rebinding).
    AnyProgram,
}

/// A request's head, as far as it matters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// With its line end.
    request: Vec<u8>,
    /// Values of `Host`, without white space around them.
    hosts: Vec<Vec<u8>>,
}

/// Why there are no metrics: a status, and a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: &'static str,
    why: &'static str,
}

impl Refusal {
    const NO_PAGE: Refusal = Refusal {
        status: "404 Not Found",
        why: "there is only /metrics here\n",
    };
    const NOT_GET: Refusal = Refusal {
        status: "405 Method Not Allowed",
        why: "there is only GET here\n",
    };
    /// RFC 9112 section 3.2.
    const NO_HOST: Refusal = Refusal {
        status: "400 Bad Request",
        why: "a request has one field Host\n",
    };
    const OTHER_HOST: Refusal = Refusal {
        status: "421 Misdirected Request",
        why: "this is asked by localhost or a loopback address, and by no other name\n",
    };
    const TOO_LONG: Refusal = Refusal {
        status: "431 Request Header Fields Too Large",
        why: "the request's head is too long\n",
    };
}

impl Head {
    /// Reads what follows a request line, to the empty line. None where it ends
    /// before.
    ///
    /// # Errors
    /// Those of reading; within, a head that is longer than `reader` may give.
    pub(super) async fn read(
        request: Vec<u8>,
        reader: &mut Take<impl AsyncBufRead + Unpin>,
    ) -> io::Result<Option<Result<Head, Refusal>>> {
        let mut head = Head {
            request,
            ..Head::default()
        };
        let mut field = Vec::new();
        while !matches!(&field[..], b"\r\n" | b"\n") {
            field.clear();
            reader.read_until(b'\n', &mut field).await?;
            if !field.ends_with(b"\n") {
                let cut = reader.limit() == 0;
                return Ok(cut.then_some(Err(Refusal::TOO_LONG)));
            }
            head.note(&field);
        }
        Ok(Some(Ok(head)))
    }

    fn note(&mut self, field: &[u8]) {
        let mut parts = field.splitn(2, |byte| *byte == b':');
        if let (Some(name), Some(value)) = (parts.next(), parts.next())
            && name.eq_ignore_ascii_case(b"host")
        {
            self.hosts.push(value.trim_ascii().to_vec());
        }
    }

    /// Whether this asks for metrics, and may.
    pub(super) fn judge(&self, sender: Sender) -> Result<(), Refusal> {
        match (sender, &self.hosts[..]) {
            (Sender::Owner, _) => {}
            (Sender::AnyProgram, [host]) if names_this_machine(host) => {}
            (Sender::AnyProgram, [_]) => return Err(Refusal::OTHER_HOST),
            (Sender::AnyProgram, _) => return Err(Refusal::NO_HOST),
        }
        let target = self.request.strip_prefix(GET).ok_or(Refusal::NOT_GET)?;
        let path = target.split(|byte| *byte == b' ').next();
        match path {
            Some(PATH) => Ok(()),
            _ => Err(Refusal::NO_PAGE),
        }
    }
}

/// Whether a value of `Host` is `localhost` or a loopback address, with any port.
/// What else leads here has been led here by somebody's name server.
fn names_this_machine(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        _ => host,
    };
    let bracketed = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match bracketed {
        Some(address) => address.parse().is_ok_and(|it: Ipv6Addr| it.is_loopback()),
        None => {
            name.eq_ignore_ascii_case("localhost")
                || name.parse().is_ok_and(|it: Ipv4Addr| it.is_loopback())
        }
    }
}

/// Answers with metrics, or with why there are none. The caller closes.
pub(super) async fn answer(
    verdict: Result<&Engine, Refusal>,
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let (status, content) = match verdict {
        Ok(engine) => ("200 OK", engine.status().await.to_prometheus()),
        Err(Refusal { status, why }) => (status, why.to_owned()),
    };
    // A browser is to take it for nothing else, such as a script.
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: {}\r\n\
         x-content-type-options: nosniff\r\nconnection: close\r\n\r\n",
        content.len()
    );
    writer.write_all(head.as_bytes()).await?;
    writer.write_all(content.as_bytes()).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// What becomes of a whole message, of which at most `most` bytes are read after
    /// its first line; none where it ends early.
    fn heard(message: &str, most: u64) -> Option<Result<Head, Refusal>> {
        let (first, rest) = message.split_at(message.find('\n').unwrap() + 1);
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().unwrap();
        let mut reader = rest.as_bytes().take(most);
        let reading = Head::read(first.into(), &mut reader);
        runtime.block_on(reading).unwrap()
    }

    fn judged(message: &str, sender: Sender) -> Result<(), Refusal> {
        heard(message, 1000).unwrap().unwrap().judge(sender)
    }

    #[test]
    fn hosts_are_this_machine_s_own() {
        for host in [
            "localhost",
            "LocalHost:9464",
            "127.0.0.1",
            "127.8.9.10:80",
            "[::1]",
            "[::1]:9464",
            "localhost:",
        ] {
            assert!(names_this_machine(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":",
            ":80",
            "evil.example",
            "localhost.evil.example:9464",
            "127.0.0.1.evil.example",
            "evil.example:127.0.0.1",
            "localhost.",
            "a.localhost",
            "user@localhost",
            "localhost@evil.example",
            "localhost evil.example",
            "localhost,evil.example",
            "0.0.0.0",
            "10.0.0.1",
            "[::]",
            "::1",
            "[::1",
            "[::ffff:10.0.0.1]",
            "127.1",
            "2130706433",
            "localhost:80:80",
        ] {
            assert!(!names_this_machine(host.as_bytes()), "{host}");
        }
        assert!(!names_this_machine(b"localhost\xff"));
    }

    #[test]
    fn one_page_is_got_and_nothing_else() {
        use Sender::{AnyProgram, Owner};
        let ours = "host: localhost:1";
        for (request, field, sender, wanted) in [
            ("GET /metrics HTTP/1.1", ours, AnyProgram, Ok(())),
            (
                "GET /metrics HTTP/1.1",
                "HOST:127.0.0.1",
                AnyProgram,
                Ok(()),
            ),
            ("GET /metrics HTTP/1.1", "accept: */*", Owner, Ok(())),
            ("GET /metrics HTTP/1.1", "host: a.example", Owner, Ok(())),
            (
                "GET / HTTP/1.1",
                "accept: */*",
                Owner,
                Err(Refusal::NO_PAGE),
            ),
            ("GET / HTTP/1.1", ours, AnyProgram, Err(Refusal::NO_PAGE)),
            (
                "GET /metrics? HTTP/1.1",
                ours,
                AnyProgram,
                Err(Refusal::NO_PAGE),
            ),
            (
                "GET /metrics/ HTTP/1.1",
                ours,
                AnyProgram,
                Err(Refusal::NO_PAGE),
            ),
            (
                "GET http://localhost/metrics HTTP/1.1",
                ours,
                AnyProgram,
                Err(Refusal::NO_PAGE),
            ),
            (
                "POST /metrics HTTP/1.1",
                ours,
                AnyProgram,
                Err(Refusal::NOT_GET),
            ),
            (
                "get /metrics HTTP/1.1",
                ours,
                AnyProgram,
                Err(Refusal::NOT_GET),
            ),
            (
                "{\"command\":\"status\"}",
                ours,
                AnyProgram,
                Err(Refusal::NOT_GET),
            ),
            (
                "GET /metrics HTTP/1.1",
                "accept: */*",
                AnyProgram,
                Err(Refusal::NO_HOST),
            ),
            (
                "GET /metrics HTTP/1.1",
                "host : localhost",
                AnyProgram,
                Err(Refusal::NO_HOST),
            ),
            (
                "GET /metrics HTTP/1.1",
                " host: localhost",
                AnyProgram,
                Err(Refusal::NO_HOST),
            ),
            (
                "GET /metrics HTTP/1.1",
                "host: a.example",
                AnyProgram,
                Err(Refusal::OTHER_HOST),
            ),
            (
                "GET /metrics HTTP/1.1",
                "host: localhost\r\nhost: a.example",
                AnyProgram,
                Err(Refusal::NO_HOST),
            ),
        ] {
            let message = format!("{request}\r\n{field}\r\n\r\n");
            assert_eq!(judged(&message, sender), wanted, "{message}");
        }
        assert_eq!(judged("GET /metrics HTTP/1.1\n\n", Owner), Ok(()));
    }

    #[test]
    fn a_head_ends_or_is_too_long() {
        let message = "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let rest = message.len() as u64 - 23;
        assert!(matches!(heard(message, rest), Some(Ok(_))));
        assert_eq!(heard(message, rest - 1), Some(Err(Refusal::TOO_LONG)));
        for cut in [
            "GET /metrics HTTP/1.1\r\n",
            "GET /metrics HTTP/1.1\r\nhost: a",
        ] {
            assert_eq!(heard(cut, 1000), None);
        }
    }
}
