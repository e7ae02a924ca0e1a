//! Each claim: tried, observed, judged.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fumehood::control::{LayerState, Summary};
use fumehood::policy::RequestUrl;
use fumehood::probe::{self, Attack, Verdict};
use fumehood::{Engine, Error, Journey, Options};
use http_body_util::{BodyExt as _, Empty};
use serde_json::json;

use super::origin::Origin;
use crate::cli::content::matches;
use crate::cli::exit::{Exit, Failed};
use crate::cli::report::{layers as layers_json, tls_name};
use crate::cli::show::Finding;

/// Transfers under way while a guest traps.
const NEIGHBOURS: usize = 4;

/// Size of each, in bytes.
const NEIGHBOUR_BYTES: u64 = 8 << 20;

/// Most memory that the guests of a transfer may take, in bytes, for the
/// claim to hold: the largest honest handshake stays under 2 MiB a guest.
const GUEST_MEMORY: u64 = 8 << 20;

/// A transfer that was followed to its end.
struct Fetched {
    journey: Journey,
    summary: Summary,
    received: u64,
    exact: bool,
}

/// Fetches and compares every byte with what the server must have sent.
async fn fetch(engine: &Engine, origin: &Origin, path: &str) -> Result<Fetched, Error> {
    let mut response = engine.client().send(get(&origin.url(path))?).await?;
    let journey = response
        .extensions_mut()
        .remove::<Journey>()
        .unwrap_or_default();
    let body = response.body_mut();
    let (mut received, mut exact) = (0_u64, true);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            exact &= matches(received, &data);
            received += data.len() as u64;
        }
    }
    let summary = body.summary().copied().unwrap_or_default();
    Ok(Fetched {
        journey,
        summary,
        received,
        exact,
    })
}

fn get(url: &str) -> Result<http::Request<Empty<Bytes>>, Error> {
    http::Request::get(url)
        .extension(Options::default())
        .body(Empty::new())
        .map_err(|e| Error::Caller(fumehood::CallerError::Request(e.to_string())))
}

/// A page over TLS.
pub(super) async fn first_light(engine: &Engine, origin: &Origin) -> Result<Finding, Failed> {
    let begun = Instant::now();
    let fetched = fetch(engine, origin, "/bytes/100000").await?;
    let elapsed = begun.elapsed();
    let tls = fetched.journey.tls.as_ref();
    let agreed = tls.map_or("no TLS".to_owned(), |tls| {
        let verified = if tls.verified {
            "verified"
        } else {
            "NOT verified"
        };
        format!(
            "{}, {}, {}, certificate {verified}",
            tls_name(tls.version),
            tls.cipher,
            tls.group
        )
    });
    let guests = fetched
        .journey
        .instances
        .iter()
        .map(|it| format!("{} {}", it.module, it.version));
    let guests: Vec<_> = guests.collect();
    let seen = vec![
        format!(
            "fetched 100,000 bytes over TLS in {}, byte for byte",
            milliseconds(elapsed)
        ),
        agreed,
        format!(
            "guests: {}; they saw {} bytes, and {} went past them",
            guests.join(", "),
            fetched.summary.bytes_through_guests,
            fetched.summary.bytes_past_guests
        ),
    ];
    let holds = fetched.exact
        && fetched.received == 100_000
        && tls.is_some_and(|tls| tls.verified)
        && fetched.summary.bytes_past_guests >= 100_000;
    let figures = json!({
        "elapsed_us": u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        "bytes_through_guests": fetched.summary.bytes_through_guests,
        "bytes_past_guests": fetched.summary.bytes_past_guests,
    });
    Ok(Finding {
        name: "first-light",
        holds,
        seen,
        figures,
    })
}

/// What both processes reported of their sandboxes.
pub(super) async fn layers(engine: &Engine) -> Finding {
    let report = engine.launch_report().await;
    let of = |wanted: fn(&LayerState) -> bool| {
        let layers = report
            .engine
            .layers
            .iter()
            .filter(move |it| wanted(&it.state));
        layers.map(|it| it.layer.name()).collect::<Vec<_>>()
    };
    let held = of(|state| matches!(state, LayerState::Holds(_)));
    let missing = of(|state| matches!(state, LayerState::Missing { .. }));
    let mut seen = vec![
        format!(
            "the engine has {} layers around it and was ready in {}",
            held.len(),
            milliseconds(Duration::from_micros(report.engine.ready_us))
        ),
        held.join(", "),
    ];
    if !missing.is_empty() {
        seen.push(format!(
            "missing: {}; see `fumehood doctor`",
            missing.join(", ")
        ));
    }
    Finding {
        name: "layers",
        holds: !held.is_empty() && missing.is_empty(),
        seen,
        figures: json!({
            "engine_ready_us": report.engine.ready_us,
            "broker_ready_us": report.broker.ready_us,
            "engine": layers_json(&report.engine.layers),
            "broker": layers_json(&report.broker.layers),
        }),
    }
}

/// Native attacks, each from a process of its own in the engine's sandbox.
pub(super) fn attacks() -> Result<Finding, Failed> {
    let (mut killed, mut refused) = (Vec::new(), Vec::new());
    let mut odd = Vec::new();
    for attack in Attack::ALL.iter().copied() {
        let verdict = probe::attack(attack)
            .map_err(|e| Failed::new(Exit::Launch, format!("{}: {e}", attack.name())))?;
        match verdict {
            _ if !verdict.is(attack.expected()) => {
                odd.push(format!("{}: {verdict:?}", attack.name()));
            }
            Verdict::Killed => killed.push(attack.name()),
            Verdict::Refused(_) => refused.push(attack.name()),
            Verdict::Succeeded => odd.push(format!("{}: succeeded", attack.name())),
        }
    }
    let mut seen = vec![
        format!(
            "{} attacks from inside the sandbox: {} killed on the spot, {} refused, {} successful",
            Attack::ALL.len(),
            killed.len(),
            refused.len(),
            odd.len()
        ),
        format!("killed: {}", killed.join(", ")),
        format!("refused: {}", refused.join(", ")),
    ];
    seen.extend(odd.iter().map(|odd| format!("NOT as it must be: {odd}")));
    let holds = odd.is_empty() && !killed.is_empty();
    let figures = json!({ "killed": killed, "refused": refused, "unexpected": odd });
    Ok(Finding {
        name: "attacks",
        holds,
        seen,
        figures,
    })
}

/// A listener that counts who comes.
struct Canary {
    listener: TcpListener,
    address: SocketAddr,
}

impl Canary {
    fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok(Canary {
            address: listener.local_addr()?,
            listener,
        })
    }

    /// Connections that reached the kernel's queue since the last count.
    fn count(&self) -> usize {
        std::iter::from_fn(|| self.listener.accept().ok()).count()
    }
}

/// An address outside the policy, written in every way that comes to mind.
pub(super) async fn policy(engine: &Engine) -> Result<Finding, Failed> {
    let broken = |e: io::Error| Failed::new(Exit::Launch, format!("the canary: {e}"));
    let canary = Canary::start().map_err(broken)?;
    let port = canary.address.port();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "x.localhost",
        "127.0.0.1.",
    ];
    let (mut denied, mut odd) = (0, Vec::new());
    let mut words = String::new();
    for host in hosts {
        let url = format!("http://{host}:{port}/latest/meta-data/");
        match engine.client().send(get(&url)?).await {
            Err(error @ Error::Policy(_)) => {
                denied += 1;
                if words.is_empty() {
                    words = error.to_string();
                }
            }
            // Not even a URL: refused before the policy is asked.
            Err(Error::Caller(_)) if RequestUrl::parse(&url).is_err() => denied += 1,
            Err(error) => odd.push(format!("{host}: {error}")),
            Ok(_) => odd.push(format!("{host}: answered")),
        }
    }
    let reached = canary.count();
    // The canary itself must be alive, or its silence means nothing.
    let control = TcpStream::connect(canary.address).map_err(broken)?;
    let alive = canary.count() == 1;
    drop(control);
    let mut seen = vec![
        format!(
            "{denied} of {} ways to say 127.0.0.1 denied; a listener there counted {reached} connections",
            hosts.len()
        ),
        words,
    ];
    seen.extend(odd.iter().map(|odd| format!("NOT denied: {odd}")));
    let holds = reached == 0 && alive && odd.is_empty() && denied == hosts.len();
    let figures = json!({ "denied": denied, "connections": reached, "canary_alive": alive });
    Ok(Finding {
        name: "policy",
        holds,
        seen,
        figures,
    })
}

/// A guest traps while others are half-way through their content.
pub(super) async fn trap(engine: &Engine, origin: &Origin) -> Result<Finding, Failed> {
    let held = format!("/held/{NEIGHBOUR_BYTES}");
    let neighbours = async {
        tokio::join!(
            fetch(engine, origin, &held),
            fetch(engine, origin, &held),
            fetch(engine, origin, &held),
            fetch(engine, origin, &held)
        )
    };
    let poison = async {
        // All four are in the middle of their content when it happens.
        let limit = Instant::now() + Duration::from_secs(10);
        while origin.held() < NEIGHBOURS && Instant::now() < limit {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let witnesses = origin.held();
        let poisoned = fetch(engine, origin, "/poison").await;
        origin.release();
        (witnesses, poisoned)
    };
    let ((a, b, c, d), (witnesses, poisoned)) = tokio::join!(neighbours, poison);
    let trapped = matches!(poisoned, Err(Error::Guest(_)));
    let outcomes = [a, b, c, d];
    let whole = |it: &Result<Fetched, Error>| {
        it.as_ref()
            .is_ok_and(|it| it.exact && it.received == NEIGHBOUR_BYTES)
    };
    let exact = outcomes.iter().filter(|it| whole(it)).count();
    let after = fetch(engine, origin, "/bytes/1000").await;
    let goes_on = after.is_ok_and(|it| it.exact);
    let happened = if trapped {
        "a guest trapped"
    } else {
        "NO guest trapped"
    };
    let mut seen = vec![format!(
        "{happened}; {exact} of {NEIGHBOURS} transfers beside it finished, byte for byte ({} MiB each)",
        NEIGHBOUR_BYTES >> 20
    )];
    match &poisoned {
        Err(error) => seen.push(error.to_string()),
        Ok(_) => seen.push("the poisoned response was NOT a trap".to_owned()),
    }
    seen.extend(
        outcomes
            .iter()
            .filter_map(|it| it.as_ref().err())
            .map(ToString::to_string),
    );
    if goes_on {
        seen.push("the same engine answers the next request".to_owned());
    }
    Ok(Finding {
        name: "trap",
        holds: trapped && exact == NEIGHBOURS && witnesses == NEIGHBOURS && goes_on,
        seen,
        figures: json!({
            "trapped": trapped,
            "under_way": witnesses,
            "finished_exact": exact,
            "engine_goes_on": goes_on,
        }),
    })
}

/// A large body, and how little of it the guests see.
pub(super) async fn bulk(
    engine: &Engine,
    origin: &Origin,
    mebibytes: u64,
) -> Result<Finding, Failed> {
    let bytes = mebibytes << 20;
    let begun = Instant::now();
    let fetched = fetch(engine, origin, &format!("/bytes/{bytes}")).await?;
    let elapsed = begun.elapsed();
    let summary = &fetched.summary;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let speed = bytes as f64 / (1 << 20) as f64 / elapsed.as_secs_f64();
    let seen = vec![
        format!(
            "{mebibytes} MiB over TLS, byte for byte, in {:.2} s: {speed:.0} MiB/s",
            elapsed.as_secs_f64()
        ),
        format!(
            "the guests saw {} bytes of it in {} calls and used {} KiB of memory",
            summary.bytes_through_guests,
            summary.guest_calls,
            summary.guest_memory_bytes / 1024
        ),
    ];
    let holds = fetched.exact
        && fetched.received == bytes
        && summary.bytes_past_guests >= bytes
        && summary.guest_memory_bytes > 0
        && summary.guest_memory_bytes <= GUEST_MEMORY;
    let figures = json!({
        "bytes": bytes,
        "elapsed_us": u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        "mebibytes_per_second": speed,
        "bytes_through_guests": summary.bytes_through_guests,
        "guest_memory_bytes": summary.guest_memory_bytes,
    });
    Ok(Finding {
        name: "bulk",
        holds,
        seen,
        figures,
    })
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_counts() {
        let canary = Canary::start().ok();
        let count = canary.map(|canary| {
            let _here = TcpStream::connect(canary.address);
            (canary.count(), canary.count())
        });
        assert_eq!(count, Some((1, 0)));
    }
}
