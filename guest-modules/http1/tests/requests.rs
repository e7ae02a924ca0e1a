//! Request heads: what is written, and what is never let through.
#![allow(clippy::unwrap_used, reason = "a test")]

mod driver;

use driver::{field, request};
use fumehood_guest_http1::{Client, Error, Field, Misuse, PayloadLength, RequestHead};

fn encoded(head: &RequestHead) -> Result<String, Error> {
    Client::new()
        .encode_head(head)
        .map(|bytes| String::from_utf8(bytes).unwrap())
}

fn refused(head: &RequestHead, misuse: Misuse) {
    assert_eq!(
        encoded(head).unwrap_err(),
        Error::Misuse(misuse),
        "{head:?}"
    );
}

fn with(extra: Field) -> RequestHead {
    let mut head = request("GET");
    head.fields.push(extra);
    head
}

#[test]
fn framing_is_added_and_nothing_else() {
    let case = |method: &str, payload, framing: &str| {
        let head = RequestHead {
            payload,
            ..request(method)
        };
        let want = format!("{method} / HTTP/1.1\r\nhost: example.org\r\n{framing}\r\n");
        assert_eq!(encoded(&head).unwrap(), want);
    };
    case("GET", PayloadLength::None, "");
    case("DELETE", PayloadLength::None, "");
    case("POST", PayloadLength::None, "content-length: 0\r\n");
    case("PUT", PayloadLength::None, "content-length: 0\r\n");
    case("PATCH", PayloadLength::None, "content-length: 0\r\n");
    case("QUERY", PayloadLength::Known(0), "content-length: 0\r\n");
    case(
        "PUT",
        PayloadLength::Known(u64::MAX),
        "content-length: 18446744073709551615\r\n",
    );
    case(
        "POST",
        PayloadLength::Unknown,
        "transfer-encoding: chunked\r\n",
    );
}

#[test]
fn fields_are_sent_in_order_and_as_given() {
    let mut head = request("GET");
    head.target = "http://example.org/a?b=%20".to_owned();
    head.fields.insert(0, field("X-First", "a \t b"));
    head.fields.push(Field {
        name: "x-last".to_owned(),
        value: Vec::new(),
    });
    let want = "GET http://example.org/a?b=%20 HTTP/1.1\r\nX-First: a \t b\r\nhost: example.org\r\nx-last: \r\n\r\n";
    assert_eq!(encoded(&head).unwrap(), want);
}

#[test]
fn nothing_is_injected() {
    for method in ["", "G ET", "GET\r\n", "GE\0T", "GÉT", "GET:"] {
        refused(&request(method), Misuse::BadMethod);
    }
    for target in [
        "",
        "a",
        "*",
        "/ ",
        "/a b",
        "/\r\nX: y",
        "/\0",
        "/ä",
        "/a#b",
        "example.org:80",
        "://x",
        "1a://x",
        "http://",
        "ht tp://x",
    ] {
        refused(
            &RequestHead {
                target: target.to_owned(),
                ..request("GET")
            },
            Misuse::BadTarget,
        );
    }
    for name in ["", "a b", "a:", "a\r\nb", "a\0", "ä", " a", "(a)"] {
        refused(&with(field(name, "x")), Misuse::BadFieldName(2));
    }
    for value in [
        " a",
        "a ",
        "\ta",
        "a\t",
        " ",
        "a\r\nb: c",
        "a\rb",
        "a\nb",
        "a\0b",
        "a\u{7f}",
        "\u{1b}[0m",
    ] {
        refused(&with(field("x", value)), Misuse::BadFieldValue(2));
    }
}

#[test]
fn framing_and_offers_are_the_codecs_own() {
    for name in ["content-length", "Content-Length", "TRANSFER-ENCODING"] {
        refused(&with(field(name, "5")), Misuse::FramingField(2));
    }
    for (name, value) in [("Upgrade", "websocket"), ("trailer", "x"), ("TE", "gzip")] {
        refused(&with(field(name, value)), Misuse::UnsupportedOffer(2));
    }
    assert!(encoded(&with(field("te", "Trailers"))).is_ok());
    let connect = |target: &str| RequestHead {
        target: target.to_owned(),
        ..request("CONNECT")
    };
    for target in [
        "/",
        "",
        "a",
        ":1",
        "a:",
        "a:b",
        "a:+1",
        "a b:1",
        "u@a:1",
        "a/b:1",
        "::1:1",
        "[::1]",
        "[]:1",
        "a:123456",
        "[a]b]:1",
        "http://a:1",
        "a\r\nb:1",
    ] {
        refused(&connect(target), Misuse::Connect);
    }
    let with_content = RequestHead {
        payload: PayloadLength::Known(1),
        ..connect("a:1")
    };
    refused(&with_content, Misuse::Connect);
    let trace = RequestHead {
        payload: PayloadLength::Known(1),
        ..request("TRACE")
    };
    refused(&trace, Misuse::TraceContent);
}

#[test]
fn one_host() {
    refused(
        &RequestHead {
            fields: Vec::new(),
            ..request("GET")
        },
        Misuse::NotOneHost,
    );
    refused(&with(field("Host", "example.org")), Misuse::NotOneHost);
}

#[test]
fn bounds() {
    let target = |bytes: usize| RequestHead {
        target: format!("/{}", "x".repeat(bytes - 1)),
        ..request("GET")
    };
    assert!(encoded(&target(64 * 1024)).is_ok());
    refused(&target(64 * 1024 + 1), Misuse::LongTarget);

    let fields = |count: usize| RequestHead {
        fields: vec![field("host", "x"); 1]
            .into_iter()
            .chain(std::iter::repeat_n(field("a", "b"), count - 1))
            .collect(),
        ..request("GET")
    };
    assert!(encoded(&fields(256)).is_ok());
    refused(&fields(257), Misuse::ManyFields);
    refused(&with(field("a", &"x".repeat(256 * 1024))), Misuse::LongHead);
    refused(&request(&"M".repeat(256 * 1024)), Misuse::LongHead);
}

#[test]
fn misuse_speaks_to_a_person() {
    let text = encoded(&with(field("content-length", "5")))
        .unwrap_err()
        .to_string();
    assert_eq!(
        text,
        "request field 2 tells how the content is framed, which the codec does itself"
    );
}
