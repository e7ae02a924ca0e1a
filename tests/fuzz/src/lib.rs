//! What the fuzzers run: plain functions that also build, and run, as tests.
//!
//! A target is a function of bytes that panics when something is wrong.
//! `libfuzzer/` makes a program of each, `cargo xtask fuzz` runs it, and
//! `tests/corpus.rs` runs each on what is committed under `corpus/` and
//! `regressions/`. See `README.md`.

pub mod control;
pub mod demand;
pub mod dns;
pub mod drill;
pub mod glass;
pub mod http1;
pub mod pac;
pub mod pieces;
pub mod policy;
pub mod questions;
pub mod record;
pub mod replay;
pub mod socks;
pub mod tls;
pub mod transcript;
pub mod x509;

/// Something to fuzz.
pub struct Target {
    /// As one types it.
    pub name: &'static str,
    /// One line on what is held to be true.
    pub what: &'static str,
    /// Runs an input; panics when something is wrong.
    pub run: fn(&[u8]),
    /// The same input with the guest behind glass beside it, where there is one.
    pub beside_glass: Option<fn(&[u8])>,
    /// The target whose corpus it shares; its own name where it has one.
    pub corpus: &'static str,
}

/// All targets.
pub const TARGETS: [Target; 24] = [
    Target {
        name: "http1",
        what: "the http1 guest survives any stream and reads it the same however it is cut",
        run: http1::run,
        beside_glass: Some(http1::run_beside_glass),
        corpus: "http1",
    },
    Target {
        name: "http1-wasm",
        what: "the http1 guest says the same natively and in WebAssembly",
        run: http1::run_beside_glass,
        beside_glass: Some(http1::run_beside_glass),
        corpus: "http1",
    },
    Target {
        name: "http1-httparse",
        what: "the http1 guest and httparse read heads, trailers and chunk sizes alike",
        run: http1::agree::run,
        beside_glass: Some(http1::run_beside_glass),
        corpus: "http1",
    },
    Target {
        name: "http1-hyper",
        what: "the http1 guest and hyper read responses alike, to the last byte of content",
        run: http1::twin::client::run,
        beside_glass: Some(http1::run_beside_glass),
        corpus: "http1",
    },
    Target {
        name: "http1-server-hyper",
        what: "the http1 guest and hyper read a client's requests alike, one behind the other",
        run: http1::twin::server::run,
        beside_glass: Some(http1::twin::server::run_beside_glass),
        corpus: "http1-server-hyper",
    },
    Target {
        name: "http1-server-wasm",
        what: "the http1 guest says the same to clients natively and in WebAssembly",
        run: http1::twin::server::run_beside_glass,
        beside_glass: Some(http1::twin::server::run_beside_glass),
        corpus: "http1-server-hyper",
    },
    Target {
        name: "tls",
        what: "the tls guest survives any server, encrypted messages included",
        run: tls::run,
        beside_glass: Some(tls::run_beside_glass),
        corpus: "tls",
    },
    Target {
        name: "tls-wasm",
        what: "the tls guest says the same natively and in WebAssembly",
        run: tls::run_beside_glass,
        beside_glass: Some(tls::run_beside_glass),
        corpus: "tls",
    },
    Target {
        name: "x509",
        what: "the x509 guest survives any chain and believes none for another name",
        run: x509::run,
        beside_glass: Some(x509::run_beside_glass),
        corpus: "x509",
    },
    Target {
        name: "x509-wasm",
        what: "the x509 guest says the same natively and in WebAssembly",
        run: x509::run_beside_glass,
        beside_glass: Some(x509::run_beside_glass),
        corpus: "x509",
    },
    Target {
        name: "socks",
        what: "the socks guest survives any proxy and any client, and wants no more than it may",
        run: socks::run,
        beside_glass: Some(socks::run_beside_glass),
        corpus: "socks",
    },
    Target {
        name: "socks-wasm",
        what: "the socks guest says the same natively and in WebAssembly",
        run: socks::run_beside_glass,
        beside_glass: Some(socks::run_beside_glass),
        corpus: "socks",
    },
    Target {
        name: "pac",
        what: "the pac guest survives any script, and its functions say what plain ones do",
        run: pac::run,
        beside_glass: Some(pac::run_beside_glass),
        corpus: "pac",
    },
    Target {
        name: "pac-wasm",
        what: "the pac guest says the same natively and in WebAssembly",
        run: pac::run_beside_glass,
        beside_glass: Some(pac::run_beside_glass),
        corpus: "pac",
    },
    Target {
        name: "dns",
        what: "the dns guest survives any server, and believes only what an anchor leads to",
        run: dns::run,
        beside_glass: Some(dns::twin::run_beside_glass),
        corpus: "dns",
    },
    Target {
        name: "dns-wasm",
        what: "the dns guest resolves the same natively and in WebAssembly, over its sockets",
        run: dns::twin::run_beside_glass,
        beside_glass: Some(dns::twin::run_beside_glass),
        corpus: "dns",
    },
    Target {
        name: "dns-questions",
        what: "the dns guest survives any question, and replies to it within bounds",
        run: questions::run,
        beside_glass: Some(questions::run_beside_glass),
        corpus: "dns-questions",
    },
    Target {
        name: "dns-questions-wasm",
        what: "the dns guest reads questions the same natively and in WebAssembly",
        run: questions::run_beside_glass,
        beside_glass: Some(questions::run_beside_glass),
        corpus: "dns-questions",
    },
    Target {
        name: "control",
        what: "messages between processes decode, and encode again as the same",
        run: control::run,
        beside_glass: None,
        corpus: "control",
    },
    Target {
        name: "policy",
        what: "URLs, hosts and patterns mean the same when printed and parsed again",
        run: policy::run,
        beside_glass: None,
        corpus: "policy",
    },
    Target {
        name: "record",
        what: "TLS records open the same however they arrive, and to what was sealed",
        run: record::run,
        beside_glass: None,
        corpus: "record",
    },
    Target {
        name: "transcript",
        what: "the host reads hellos as a plain reading does",
        run: transcript::run,
        beside_glass: None,
        corpus: "transcript",
    },
    Target {
        name: "demand",
        what: "the engine finds the piece a codec demands, however the stream is cut",
        run: demand::run,
        beside_glass: None,
        corpus: "demand",
    },
    Target {
        name: "drill",
        what: "nothing: it crashes on purpose, so that what follows a finding can be tried",
        run: drill::run,
        beside_glass: None,
        corpus: "drill",
    },
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
