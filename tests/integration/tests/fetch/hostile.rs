//! What a hostile server may send, and the one way in which each of it must end.

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{End, Script, Server};

/// A server's part, and what must come of it.
struct Case {
    name: &'static str,
    script: Script,
    exit: i32,
    code: &'static str,
    blame: &'static str,
    /// Part of the error's message: which rule or bound it was.
    says: &'static str,
}

fn sent(name: &'static str, bytes: impl Into<Vec<u8>>) -> Script {
    assert!(!name.is_empty());
    Script::answer(bytes)
}

/// The server broke a rule of HTTP.
fn violation(name: &'static str, says: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
    Case {
        name,
        script: sent(name, bytes),
        exit: 8,
        code: "weird-reply",
        blame: "peer",
        says,
    }
}

/// The server went over a bound.
fn excess(name: &'static str, says: &'static str, script: Script) -> Case {
    Case {
        name,
        script,
        exit: 8,
        code: "weird-reply",
        blame: "peer",
        says,
    }
}

/// Plays all cases, and tells of all that went wrong, not of the first alone.
fn check(cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for case in cases {
        let server = Server::start(vec![case.script]);
        let finished = Fetch::new(server.url("/")).run();
        let report = finished.report();
        let error = &report["error"];
        let text = |key: &str| error[key].as_str().unwrap_or("nothing").to_owned();
        let found = (finished.code(), text("code"), text("blame"));
        let wanted = (case.exit, case.code.to_owned(), case.blame.to_owned());
        let message = text("message");
        if found != wanted || !message.contains(case.says) {
            wrong.push(format!(
                "{}: {found:?} {message:?}, not {wanted:?} {:?}",
                case.name, case.says
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn head(fields: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n")
}

#[test]
fn status_lines() {
    let refused =
        |name, line: &str| violation(name, "bad-", format!("{line}\r\ncontent-length: 0\r\n\r\n"));
    check(vec![
        refused("not HTTP at all", "220 ftp.example ready"),
        refused("a web page", "<!doctype html>"),
        refused("an empty line first", "\r\nHTTP/1.1 200 OK"),
        refused("a status of two digits", "HTTP/1.1 20 OK"),
        refused("a status of four digits", "HTTP/1.1 2000 OK"),
        refused("a status below 100", "HTTP/1.1 099 OK"),
        refused("a status that is none", "HTTP/1.1 abc OK"),
        refused("a negative status", "HTTP/1.1 -20 OK"),
        refused("HTTP/2 in words", "HTTP/2.0 200 OK"),
        refused("HTTP/1.2", "HTTP/1.2 200 OK"),
        refused("lower case", "http/1.1 200 OK"),
        refused("a request", "GET / HTTP/1.1"),
        violation(
            "HTTP/2 in frames",
            "bad-",
            b"\0\0\0\x04\0\0\0\0\0\r\n\r\n".to_vec(),
        ),
        violation(
            "TLS",
            "bad-",
            b"\x15\x03\x03\0\x02\x02\x28\r\n\r\n".to_vec(),
        ),
    ]);
}

#[test]
fn field_lines() {
    check(vec![
        violation("folding", "obsolete-folding", head("x: a\r\n b\r\n")),
        violation(
            "folding with a tab",
            "obsolete-folding",
            head("x: a\r\n\tb\r\n"),
        ),
        violation("folding at once", "obsolete-folding", head(" x: a\r\n")),
        violation(
            "a bare LF",
            "bare-line-ending",
            "HTTP/1.1 200 OK\nx: a\r\n\r\n",
        ),
        violation(
            "bare LFs alone",
            "bare-line-ending",
            "HTTP/1.1 200 OK\nx: a\n\n",
        ),
        violation(
            "a lone CR in a value",
            "bare-line-ending",
            head("x: a\rb\r\n"),
        ),
        violation(
            "a lone CR in a name",
            "bare-line-ending",
            head("x\ry: a\r\n"),
        ),
        violation(
            "a lone CR in the status line",
            "bare-line-ending",
            "HTTP/1.1 200 O\rK\r\n\r\n",
        ),
        violation("NUL in a value", "nul", head("x: a\0b\r\n")),
        violation("NUL in a name", "nul", head("x\0: a\r\n")),
        violation("NUL in the reason", "nul", "HTTP/1.1 200 O\0K\r\n\r\n"),
        violation("no colon", "bad-field", head("x\r\n")),
        violation("no name", "bad-field", head(": a\r\n")),
        violation(
            "space before the colon",
            "bad-field",
            head("content-length : 5\r\n"),
        ),
        violation(
            "space in a name",
            "bad-field",
            head("content length: 5\r\n"),
        ),
        violation("an escape in a value", "bad-field", head("x: \x1b[2J\r\n")),
        violation(
            "bytes above ASCII in a name",
            "bad-field",
            head("\u{e9}: a\r\n"),
        ),
    ]);
}

#[test]
fn lengths() {
    let lengths =
        |name, fields: &str| violation(name, "bad-content-length", head(fields) + "12345");
    check(vec![
        lengths("two lengths", "content-length: 5\r\ncontent-length: 6\r\n"),
        lengths("two lengths in one field", "content-length: 5, 6\r\n"),
        lengths("a sign", "content-length: +5\r\n"),
        lengths("a negative length", "content-length: -5\r\n"),
        lengths("hexadecimal", "content-length: 0x5\r\n"),
        lengths("a fraction", "content-length: 5.0\r\n"),
        lengths("nothing", "content-length:\r\n"),
        lengths("an empty member", "content-length: 5,\r\n"),
        lengths("over 64 bits", "content-length: 18446744073709551621\r\n"),
    ]);
}

#[test]
fn smuggling() {
    let chunked = "5\r\nhello\r\n0\r\n\r\n";
    let coding =
        |name, fields: &str| violation(name, "bad-transfer-encoding", head(fields) + chunked);
    let ambiguous = |name, head: String| violation(name, "ambiguous-length", head + chunked);
    check(vec![
        coding("xchunked", "transfer-encoding: xchunked\r\n"),
        coding(
            "twice",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        ),
        coding(
            "twice in one field",
            "transfer-encoding: chunked, chunked\r\n",
        ),
        coding("gzip before", "transfer-encoding: gzip, chunked\r\n"),
        coding("identity", "transfer-encoding: identity\r\n"),
        coding("after chunked", "transfer-encoding: chunked, identity\r\n"),
        coding("a parameter", "transfer-encoding: chunked;x=y\r\n"),
        coding("quoted", "transfer-encoding: \"chunked\"\r\n"),
        coding("a vertical tab", "transfer-encoding: chunked,\r\n"),
        coding("nothing", "transfer-encoding:\r\n"),
        ambiguous(
            "with a length",
            head("transfer-encoding: chunked\r\ncontent-length: 5\r\n"),
        ),
        ambiguous(
            "with a length before",
            head("content-length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ),
        ambiguous(
            "in HTTP/1.0",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
        ),
        ambiguous(
            "in a 204",
            "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
        ),
        violation(
            "a space before the colon",
            "bad-field",
            head("transfer-encoding : chunked\r\n"),
        ),
    ]);
}

#[test]
fn chunks() {
    let chunked = |name, says, body: &str| {
        violation(name, says, head("transfer-encoding: chunked\r\n") + body)
    };
    check(vec![
        chunked("no number", "bad-chunk", "xyz\r\nhello\r\n0\r\n\r\n"),
        chunked("no size", "bad-chunk", "\r\nhello\r\n0\r\n\r\n"),
        chunked("a sign", "bad-chunk", "+5\r\nhello\r\n0\r\n\r\n"),
        chunked("a prefix", "bad-chunk", "0x5\r\nhello\r\n0\r\n\r\n"),
        chunked(
            "over 64 bits",
            "bad-chunk",
            "10000000000000000\r\nhello\r\n0\r\n\r\n",
        ),
        chunked("a longer chunk", "bad-chunk-end", "4\r\nhello\r\n0\r\n\r\n"),
        chunked(
            "a bare LF after the size",
            "bare-line-ending",
            "5\nhello\r\n0\r\n\r\n",
        ),
        chunked("a bare LF after the chunk", "ba", "5\r\nhello\n0\r\n\r\n"),
        chunked(
            "a forbidden trailer",
            "forbidden-trailer",
            "0\r\ncontent-length: 5\r\n\r\n",
        ),
        chunked(
            "a trailer that sets a cookie",
            "forbidden-trailer",
            "0\r\nset-cookie: a=b\r\n\r\n",
        ),
        chunked(
            "a folded trailer",
            "obsolete-folding",
            "0\r\nx: a\r\n b\r\n\r\n",
        ),
    ]);
}

#[test]
fn bounds() {
    let endless_chunk_line = head("transfer-encoding: chunked\r\n");
    check(vec![
        excess(
            "a field line over 16 KiB",
            "line-bytes",
            sent("line", head(&format!("x: {}\r\n", "a".repeat(16 * 1024)))),
        ),
        excess(
            "a status line over 16 KiB",
            "line-bytes",
            sent(
                "line",
                format!("HTTP/1.1 200 {}\r\n\r\n", "a".repeat(16 * 1024)),
            ),
        ),
        excess(
            "a head over 256 KiB",
            "head-bytes",
            Script::answer("HTTP/1.1 200 OK\r\n")
                .repeat(format!("x: {}\r\n", "a".repeat(8000)), 40),
        ),
        excess(
            "a line without end",
            "",
            Script::answer("HTTP/1.1 200 OK\r\nx: ").repeat("a", 1 << 20),
        ),
        excess(
            "257 fields",
            "field-count",
            Script::answer("HTTP/1.1 200 OK\r\n")
                .repeat("x: a\r\n", 257)
                .send("\r\n"),
        ),
        excess(
            "a chunk line over 16 KiB",
            "line-bytes",
            Script::answer(endless_chunk_line.clone())
                .send("5;x=")
                .repeat("a", 20_000)
                .send("\r\n"),
        ),
        excess(
            "a chunk line without end",
            "line-bytes",
            Script::answer(endless_chunk_line.clone()).repeat("0", 1 << 20),
        ),
        excess(
            "257 trailers",
            "field-count",
            Script::answer(endless_chunk_line + "0\r\n")
                .repeat("x: a\r\n", 257)
                .send("\r\n"),
        ),
        excess(
            "10,000 informational responses",
            "informational-count",
            Script::new()
                .request()
                .repeat("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", 10_000),
        ),
    ]);
}

#[test]
fn the_bounds_themselves_are_not_over_them() {
    let fields = "x: a\r\n".repeat(255);
    let line = format!("y: {}\r\n", "a".repeat(16 * 1024 - 5));
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{fields}\r\nok");
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{line}\r\nok");
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(16);
    let hinted = format!("{hints}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    for answer in [head, long, hinted] {
        let server = Server::start(vec![Script::answer(answer)]);
        assert_eq!(Fetch::new(server.url("/")).run().content(), b"ok");
    }
}

#[test]
fn upgrades_nobody_asked_for() {
    check(vec![
        violation(
            "switching protocols",
            "unsolicited-upgrade",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        ),
        violation(
            "an informational response with a length",
            "",
            "HTTP/1.1 100 Continue\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
    ]);
}

#[test]
fn a_peer_that_closes_or_resets() {
    let length = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe";
    let case = |name, bytes: &str, end, exit, code, blame| Case {
        name,
        script: sent(name, bytes).then(end),
        exit,
        code,
        blame,
        says: "",
    };
    let close = |name, bytes, exit, code| case(name, bytes, End::Close, exit, code, "peer");
    let reset = |name, bytes| case(name, bytes, End::Reset, 56, "receive", "network");
    check(vec![
        close("FIN before the head", "", 52, "empty-reply"),
        close("FIN in the status line", "HTTP/1.1 2", 56, "receive"),
        close("FIN in the head", "HTTP/1.1 200 OK\r\nx: ", 56, "receive"),
        close(
            "FIN after an informational head",
            "HTTP/1.1 103 Early Hints\r\n\r\n",
            56,
            "receive",
        ),
        close("FIN in the body", length, 18, "partial"),
        close("FIN in a chunk", chunked, 18, "partial"),
        close(
            "FIN before the last chunk",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            18,
            "partial",
        ),
        close(
            "FIN before the trailers' end",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
            18,
            "partial",
        ),
        reset("RST before the head", ""),
        reset("RST in the head", "HTTP/1.1 200 OK\r\nx: "),
        reset("RST in the body", length),
        reset("RST in a chunk", chunked),
        reset("RST in a body until close", "HTTP/1.1 200 OK\r\n\r\nhello"),
    ]);
}

#[test]
fn a_hostile_server_is_asked_once() {
    let server = Server::start(vec![Script::answer("garbage\r\n\r\n")]);
    Fetch::new(server.url("/"))
        .run()
        .assert_failed(8, "weird-reply", "peer");
    assert_eq!(server.connections(), 1);
}
