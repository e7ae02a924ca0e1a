//! The cases and what each promises. SPECIFICATION.md has a row for each.

use std::fmt;

use super::Measured;
use super::proxy::Figure;
use super::reported::Reported;
use super::transfers::{Quantity, Transfer};

/// A set of cases: what one types behind `cargo xtask bench`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bench {
    /// Fetching, against curl and rustls.
    Fetch,
    /// Modules and instances: swaps, resumption, idle connections.
    Modules,
    /// Decisions of the policy.
    Policy,
    /// The forward proxy, against haproxy, tinyproxy and dante.
    Proxy,
    /// Names, against a native resolver.
    Resolve,
}

impl Bench {
    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Modules => "modules",
            Self::Policy => "policy",
            Self::Proxy => "proxy",
            Self::Resolve => "resolve",
        }
    }
}

/// One promise, measured.
pub(super) struct Case {
    pub(super) bench: Bench,
    /// As given to `--only`.
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) unit: &'static str,
    pub(super) source: Source,
    pub(super) promise: Promise,
}

/// Where the figures come from.
pub(super) enum Source {
    /// Whole processes, timed from outside, ours and curl in turn.
    Transfer(Transfer),
    /// What our command reports of its own transfer.
    Reported(Reported),
    /// The proxy under load, and others in turn.
    Proxy(Figure),
    /// The program `fumehood-measure`, which looks inside.
    Inside,
}

/// What has to hold of a case's figures.
#[derive(Clone, Copy)]
pub(super) enum Promise {
    /// Ours ≤ this, in the case's unit.
    AtMost(f64),
    /// Ours ≥ this, in the case's unit.
    AtLeast(f64),
    /// Ours ÷ peer ≥ this.
    RatioAtLeast(f64),
    /// Ours ÷ peer ≤ this.
    RatioAtMost(f64),
}

impl Promise {
    /// A ratio without a peer promises nothing and so does not hold.
    pub(super) fn holds(self, measured: &Measured) -> bool {
        match self {
            Self::AtMost(most) => measured.ours <= most,
            Self::AtLeast(least) => measured.ours >= least,
            Self::RatioAtLeast(least) => measured.ratio().is_some_and(|ratio| ratio >= least),
            Self::RatioAtMost(most) => measured.ratio().is_some_and(|ratio| ratio <= most),
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::RatioAtLeast(least) => write!(f, "≥ {least} × peer"),
            Self::RatioAtMost(most) => write!(f, "≤ {most} × peer"),
        }
    }
}

pub(super) const CASES: [Case; 37] = [
    Case {
        bench: Bench::Fetch,
        name: "http-1gib",
        what: "1 GiB from nginx over HTTP to /dev/null, against curl",
        unit: "MiB/s",
        source: Source::Transfer(Transfer {
            server: "http",
            file: "1gib.bin",
            quantity: Quantity::Throughput { bytes: 1 << 30 },
            rounds: 7,
        }),
        promise: Promise::RatioAtLeast(0.9),
    },
    Case {
        bench: Bench::Fetch,
        name: "tls13-1gib",
        what: "the same over TLS 1.3 with AES-128-GCM",
        unit: "MiB/s",
        source: Source::Transfer(Transfer {
            server: "tls13",
            file: "1gib.bin",
            quantity: Quantity::Throughput { bytes: 1 << 30 },
            rounds: 7,
        }),
        promise: Promise::RatioAtLeast(0.9),
    },
    Case {
        bench: Bench::Fetch,
        name: "http-chunks-64mib",
        what: "64 MiB in chunks of 4 KiB over HTTP to /dev/null, against curl",
        unit: "MiB/s",
        source: Source::Transfer(Transfer {
            server: "chunks",
            file: "64mib",
            quantity: Quantity::Throughput { bytes: 64 << 20 },
            rounds: 15,
        }),
        promise: Promise::RatioAtLeast(0.5),
    },
    Case {
        bench: Bench::Fetch,
        name: "https-cold-1kib",
        what: "1 KiB over https, the whole process from start to end, against curl",
        unit: "ms",
        source: Source::Transfer(Transfer {
            server: "tls13",
            file: "1kib.bin",
            quantity: Quantity::WallTime,
            rounds: 21,
        }),
        promise: Promise::RatioAtMost(2.0),
    },
    Case {
        bench: Bench::Fetch,
        name: "engine-ready",
        what: "spawning the engine until it is sandboxed and ready",
        unit: "ms",
        source: Source::Reported(Reported::EngineReady),
        promise: Promise::AtMost(15.0),
    },
    Case {
        bench: Bench::Fetch,
        name: "guest-memory",
        what: "resident memory of a guest while 1 GiB passes over TLS",
        unit: "MiB",
        source: Source::Inside,
        promise: Promise::AtMost(1.5),
    },
    Case {
        bench: Bench::Fetch,
        name: "guest-memory-growth",
        what: "what a body of 1 GiB adds to the guests' memory over one of 1 KiB",
        unit: "B",
        source: Source::Inside,
        promise: Promise::AtMost(0.0),
    },
    Case {
        bench: Bench::Fetch,
        name: "guest-payload",
        what: "bytes of a body of 1 GiB found in the guests' memory",
        unit: "B",
        source: Source::Inside,
        promise: Promise::AtMost(0.0),
    },
    Case {
        bench: Bench::Fetch,
        name: "instance-cycle",
        what: "creating an instance, its first call, dropping it",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::AtMost(20.0),
    },
    Case {
        bench: Bench::Fetch,
        name: "instance-share",
        what: "that cycle, beside a loopback connect, handshake and small request",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::RatioAtMost(0.02),
    },
    Case {
        bench: Bench::Fetch,
        name: "tls13-handshake",
        what: "a full TLS 1.3 handshake through the guest, against native rustls",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::RatioAtMost(1.3),
    },
    Case {
        bench: Bench::Fetch,
        name: "tls13-handshake-work",
        what: "the same with instance, key share and ClientHello, made during the connect",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::RatioAtMost(1.5),
    },
    Case {
        bench: Bench::Modules,
        name: "swap",
        what: "loading precompiled code, checking, linking, trying it, and the swap",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::AtMost(500.0),
    },
    Case {
        bench: Bench::Modules,
        name: "swap-to-first-response",
        what: "from the order to swap to the first response through the new version",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::AtMost(3000.0),
    },
    Case {
        bench: Bench::Modules,
        name: "resume",
        what: "a head over which a codec traps twice, until the version before takes over",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::AtMost(1000.0),
    },
    Case {
        bench: Bench::Modules,
        name: "instances-rate",
        what: "instances made, called once and dropped on one core",
        unit: "/s",
        source: Source::Inside,
        promise: Promise::AtLeast(40000.0),
    },
    Case {
        bench: Bench::Modules,
        name: "instances-rate-held",
        what: "the same while 5,000 others idle",
        unit: "/s",
        source: Source::Inside,
        promise: Promise::RatioAtLeast(0.8),
    },
    Case {
        bench: Bench::Modules,
        name: "instance-memory",
        what: "memory of an http1 instance that idles, with its page tables",
        unit: "KiB",
        source: Source::Inside,
        promise: Promise::AtMost(39.0),
    },
    Case {
        bench: Bench::Modules,
        name: "idle-http",
        what: "memory of the engine for an idle http connection",
        unit: "KiB",
        source: Source::Inside,
        promise: Promise::AtMost(48.0),
    },
    Case {
        bench: Bench::Modules,
        name: "idle-https",
        what: "memory of the engine for an idle https connection",
        unit: "KiB",
        source: Source::Inside,
        promise: Promise::AtMost(160.0),
    },
    Case {
        bench: Bench::Modules,
        name: "held-connections",
        what: "idle connections held by one engine",
        unit: "",
        source: Source::Inside,
        promise: Promise::AtLeast(5000.0),
    },
    Case {
        bench: Bench::Modules,
        name: "held-requests-wrong",
        what: "requests on a sample of them that were not answered by it exactly",
        unit: "",
        source: Source::Inside,
        promise: Promise::AtMost(0.0),
    },
    Case {
        bench: Bench::Modules,
        name: "held-request",
        what: "a request on one of them",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::AtMost(2000.0),
    },
    Case {
        bench: Bench::Policy,
        name: "policy-name",
        what: "deciding on a target under 10,000 rules: one of each kind that matches, and one of none",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::AtMost(2.0),
    },
    Case {
        bench: Bench::Policy,
        name: "policy-name-worst",
        what: "the same on the longest name with the most labels",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::AtMost(2.0),
    },
    Case {
        bench: Bench::Policy,
        name: "policy-address",
        what: "deciding on an address of a name under these rules",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::AtMost(2.0),
    },
    Case {
        bench: Bench::Policy,
        name: "policy-build",
        what: "making that policy of its encoding, as the broker does when it changes",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::AtMost(50_000.0),
    },
    Case {
        bench: Bench::Proxy,
        name: "proxy-request-work",
        what: "processor time of a forwarded request for 1 KiB, connections kept, 16 at once",
        unit: "µs",
        source: Source::Proxy(Figure::RequestWork),
        promise: Promise::RatioAtMost(2.5),
    },
    Case {
        bench: Bench::Proxy,
        name: "proxy-tunnel-bulk",
        what: "1 GiB through a tunnel",
        unit: "MiB/s",
        source: Source::Proxy(Figure::TunnelBulk),
        promise: Promise::RatioAtLeast(1.0),
    },
    Case {
        bench: Bench::Proxy,
        name: "proxy-socks-bulk",
        what: "1 GiB through a tunnel by SOCKS 5",
        unit: "MiB/s",
        source: Source::Proxy(Figure::SocksBulk),
        promise: Promise::RatioAtLeast(1.0),
    },
    Case {
        bench: Bench::Proxy,
        name: "proxy-connection-rate",
        what: "new connections a second, one request each, and as many to the server",
        unit: "a second",
        source: Source::Proxy(Figure::ConnectionRate),
        promise: Promise::RatioAtLeast(0.7),
    },
    Case {
        bench: Bench::Proxy,
        name: "proxy-shared-rate",
        what: "the same where the server keeps connections, which clients share",
        unit: "a second",
        source: Source::Proxy(Figure::SharedRate),
        promise: Promise::RatioAtLeast(0.8),
    },
    Case {
        bench: Bench::Proxy,
        name: "proxy-tunnel-memory",
        what: "memory of a tunnel that says nothing, of 5,000 held",
        unit: "kB",
        source: Source::Proxy(Figure::TunnelMemory),
        promise: Promise::AtMost(10.0),
    },
    Case {
        bench: Bench::Proxy,
        name: "proxy-start",
        what: "from the start of the command until it listens",
        unit: "ms",
        source: Source::Proxy(Figure::Start),
        promise: Promise::AtMost(30.0),
    },
    Case {
        bench: Bench::Proxy,
        name: "proxy-idle-memory",
        what: "resident memory of all processes before the first connection",
        unit: "MB",
        source: Source::Proxy(Figure::IdleMemory),
        promise: Promise::AtMost(30.0),
    },
    Case {
        bench: Bench::Resolve,
        name: "resolve-cached",
        what: "a name that the cache has, from the question to the guest's answer",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::AtMost(20.0),
    },
    Case {
        bench: Bench::Resolve,
        name: "resolve-uncached",
        what: "a name from unbound through all our processes, against hickory-resolver in one",
        unit: "µs",
        source: Source::Inside,
        promise: Promise::RatioAtMost(4.0),
    },
];
