//! Decisions under 10,000 rules: by name, by parent, by range, by client.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use fumehood_policy::{Effect, Policy, RequestUrl, Rule, Target, Terms};

use crate::{Outcome, Row, median, text};

/// Rules of the policy.
const RULES: u32 = 10_000;

/// Decisions timed together: the clock is read in 30 ns.
const BATCH: u32 = 1000;

/// Odd, so that the median is a real one.
const ROUNDS: u32 = 101;

pub(crate) fn measure() -> Outcome {
    let policy = policy()?;
    let terms = Terms {
        method: Some("GET".parse().map_err(text)?),
        client: Some("builder".parse().map_err(text)?),
        ..Terms::default()
    };
    // One that no rule is about, one that a name, a parent, a range denies.
    let urls = [
        "https://www.example.com/",
        "https://h4000.test/",
        "https://a.b.u4001.test/",
        "https://10.7.1.1/",
        "https://c4003.test:8080/",
    ];
    let targets = urls.iter().map(|url| target(url));
    let targets = targets.collect::<Result<Vec<Target>, String>>()?;
    let worst = [target(&format!("https://{}test/", "a.".repeat(124)))?];
    let named = &targets[..1];
    let address = IpAddr::V4(Ipv4Addr::new(93, 184, 215, 14));
    let encoded = postcard::to_stdvec(&policy).map_err(text)?;
    Ok(vec![
        Row::alone(
            "policy-name",
            timed(&targets, |it| policy.decide(it, &terms)),
        ),
        Row::alone(
            "policy-name-worst",
            timed(&worst, |it| policy.decide(it, &terms)),
        ),
        Row::alone(
            "policy-address",
            timed(named, |it| policy.decide_address(it, &terms, address)),
        ),
        Row::alone("policy-build", building(&encoded)?),
    ])
}

/// A quarter of the rules each: names, parents, ranges, names for a client.
fn policy() -> Result<Policy, String> {
    let mut policy = Policy::default();
    for at in 0..RULES {
        let host = match at % 4 {
            0 => format!("h{at}.test"),
            1 => format!("*.u{at}.test"),
            2 => format!("10.{}.{}.0/24", at >> 8 & 0xff, at & 0xff),
            _ => format!("c{at}.test"),
        };
        let mut rule = Rule::new(Effect::Deny, host.parse().map_err(text)?);
        if at % 4 == 3 {
            rule.clients = vec!["builder".parse().map_err(text)?];
        }
        policy.add_rule(rule).map_err(text)?;
    }
    Ok(policy)
}

fn target(url: &str) -> Result<Target, String> {
    RequestUrl::parse(url).map(|url| url.target).map_err(text)
}

/// Microseconds a decision, the median.
fn timed<T>(targets: &[Target], decide: impl Fn(&Target) -> T) -> f64 {
    let mut figures = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for target in targets.iter().cycle().take(BATCH as usize) {
            black_box(decide(black_box(target)));
        }
        figures.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH));
    }
    median(figures)
}

fn building(encoded: &[u8]) -> Result<f64, String> {
    let mut figures = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        black_box(postcard::from_bytes::<Policy>(encoded).map_err(text)?);
        figures.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(figures))
}
