//! Text: response streams, URLs, pieces of streams.

use crate::seed;

/// Options and cuts, then the stream: see `fumehood_fuzz::http1`.
const STREAMS: [(&str, &[u8; 2], &str); 12] = [
    (
        "length",
        b"\x00\x05",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    ),
    (
        "chunked",
        b"\x00\x03",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "trailers",
        b"\x00\x40",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n00\r\nx-sum: 1\r\n\r\n",
    ),
    (
        "until-close",
        b"\x02\x10",
        "HTTP/1.0 200 OK\r\nserver: old\r\n\r\nall there is",
    ),
    (
        "informational",
        b"\x00\xff",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    ),
    (
        "head",
        b"\x01\x20",
        "HTTP/1.1 200 OK\r\ncontent-length: 99\r\nconnection: keep-alive\r\n\r\n",
    ),
    (
        "two-exchanges",
        b"\x04\x07",
        "HTTP/1.1 304 \r\netag: \"x\"\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    ),
    (
        "upload-chunked",
        b"\x08\x01",
        "HTTP/1.1 201\r\nconnection: close\r\ncontent-length: 2, 2\r\n\r\nok",
    ),
    (
        "ambiguous-length",
        b"\x00\x02",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    ),
    (
        "bare-line-endings",
        b"\x02\x02",
        "HTTP/1.1 200 OK\na: b\n\nbody",
    ),
    (
        "folding-and-nul",
        b"\x02\x09",
        "HTTP/1.1 200 \u{e9}\r\na: b\r\n\tc\r\nd: \0\r\n\r\n",
    ),
    (
        "upgrade",
        b"\x00\x09",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
    ),
];

/// Options, then the requests of a connection: see `fumehood_fuzz::http1::twin`.
const REQUESTS: [(&str, &[u8; 1], &str); 19] = [
    (
        "absolute",
        b"\x00",
        "GET http://a.example:81/b?c HTTP/1.1\r\nHost: a.example:81\r\nAccept: */*\r\n\r\n",
    ),
    (
        "connect",
        b"\x00",
        "CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\n\r\n\x16\x03\x01",
    ),
    (
        "length",
        b"\x00",
        "POST http://a/ HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "chunked",
        b"\x00",
        "PUT http://a/ HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nx: y\r\n\r\nGET http://a HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "of-one-hop",
        b"\x00",
        "GET http://a/ HTTP/1.1\r\nhost: a\r\nconnection: x-b, keep-alive\r\nx-b: c\r\nte: trailers\r\nproxy-authorization: Basic eDp5\r\n\r\n",
    ),
    (
        "old-and-kept",
        b"\x01",
        "GET http://a/ HTTP/1.0\r\nconnection: keep-alive\r\n\r\nGET http://a/2 HTTP/1.0\r\n\r\n",
    ),
    (
        "smuggled",
        b"\x00",
        "POST http://a/ HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nG",
    ),
    (
        "two-lengths",
        b"\x01",
        "POST http://a/ HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx",
    ),
    (
        "two-hosts",
        b"\x00",
        "GET http://a/ HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    ),
    (
        "expect-and-upgrade",
        b"\x00",
        "\r\nPOST http://a/ HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\nupgrade: websocket\r\nconnection: upgrade\r\ncontent-length: 1\r\n\r\n",
    ),
    (
        "answered-with-content",
        b"\x02",
        "GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\nGET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "answered-in-chunks",
        b"\x14",
        "GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\nGET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "answered-by-a-challenge",
        b"\x06",
        "GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\nGET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "answered-without-content",
        b"\x08",
        "HEAD http://a/ HTTP/1.1\r\nhost: a\r\n\r\nGET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "answered-by-an-upgrade",
        b"\x0a",
        "GET http://a/ HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ),
    (
        "answered-at-last",
        b"\x0c",
        "GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\nGET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "refused-with-content",
        b"\x12",
        "GET http://a/ HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    ),
    (
        "answered-by-no-status",
        b"\x0e",
        "GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "answered-with-a-bad-field",
        b"\x20",
        "GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
];

/// A URL, a reference, a pattern.
const URLS: [(&str, &str); 8] = [
    ("plain", "http://example.org/\n/a?b\nexample.org"),
    (
        "userinfo",
        "https://user:p%40ss@example.org:8443/a/../b?c=d#e\n//other.example/\n*.example.org",
    ),
    ("ipv4-spellings", "http://0x7f.1/\n../../x\n127.0.0.0/8"),
    ("ipv6", "http://[::ffff:127.0.0.1]:80/\n?q\n[fc00::/7]:80"),
    (
        "idna",
        "https://b\u{fc}cher.example./\u{e4}\n\u{fc}\n*.xn--bcher-kva.example",
    ),
    ("number-at-the-end", "http://example.1/\nhttps://a/\n*"),
    (
        "backslash-and-at",
        "http://a@b@c\\d/\n\\\\e\nlocalhost:8080",
    ),
    (
        "long-label",
        "http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example/\n.\n0.0.0.0/0",
    ),
];

/// Delimiter, cuts, bound; then the stream.
const PIECES: [(&str, &[u8; 3], &str); 4] = [
    (
        "head",
        b"\x00\x03\x40",
        "HTTP/1.1 200 OK\r\na: b\r\n\r\nbody",
    ),
    ("mixed-line-endings", b"\x00\x01\x20", "a\n\r\n\n\r"),
    ("chunk-size", b"\x02\x02\x10", "\r\n1f;x\r\nbody\n"),
    ("over-the-bound", b"\x01\x00\x01", "0123456789\n"),
];

pub(crate) fn write() {
    for (name, options, stream) in STREAMS {
        seed("http1", name, &[options, stream.as_bytes()].concat());
    }
    for (name, options, stream) in REQUESTS {
        seed(
            "http1-server-hyper",
            name,
            &[options, stream.as_bytes()].concat(),
        );
    }
    for (name, text) in URLS {
        seed("policy", name, text.as_bytes());
    }
    for (name, options, stream) in PIECES {
        seed("demand", name, &[options, stream.as_bytes()].concat());
    }
}
