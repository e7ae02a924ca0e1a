//! Figures that only a look inside can give: instances, handshakes, guests' memory.
//!
//! `fumehood-measure [CASE…]` prints one JSON object a line for each case, as
//! `cargo xtask bench` reads them. `ours` and `peer` are medians:
//!
//! ```text
//! {"case": "tls13-handshake", "ours": 612.0, "peer": 567.0, "peer_name": "rustls"}
//! ```

mod guests;
mod handshake;
mod held;
mod instance;
mod live;
mod memory;
mod origins;
mod own;
mod policy;
mod resolve;
mod server;

use std::process::ExitCode;

use serde_json::{Value, json};

/// One figure.
struct Row {
    case: &'static str,
    ours: f64,
    peer: Option<(f64, &'static str)>,
}

type Outcome = Result<Vec<Row>, String>;

/// Cases, and what measures them together.
type Group = (&'static [&'static str], fn() -> Outcome);

/// What measures which cases, so that asking for some does not run the rest.
const GROUPS: [Group; 11] = [
    (&["instance-cycle", "instance-share"], instance::measure),
    (
        &["tls13-handshake", "tls13-handshake-work"],
        handshake::measure,
    ),
    (
        &["guest-memory", "guest-memory-growth", "guest-payload"],
        memory::measure,
    ),
    (&["swap", "resume"], live::changes),
    (&["instances-rate", "instances-rate-held"], live::rates),
    (&["instance-memory"], live::memory),
    (&["swap-to-first-response"], held::swaps),
    (&["idle-http", "idle-https"], held::memory),
    (
        &["held-connections", "held-requests-wrong", "held-request"],
        held::many,
    ),
    (
        &[
            "policy-name",
            "policy-name-worst",
            "policy-address",
            "policy-build",
        ],
        policy::measure,
    ),
    (&["resolve-cached", "resolve-uncached"], resolve::measure),
];

#[expect(clippy::print_stdout, reason = "the figures are what was asked for")]
#[expect(clippy::print_stderr, reason = "the one way to say why there are none")]
fn main() -> ExitCode {
    // Some cases launch real engines, which are this program, executed again.
    fumehood::init();
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let [memory::TRANSFER, length] = wanted.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return match memory::transfer(length) {
            Ok(found) => {
                println!("{found}");
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("fumehood-measure: {why}");
                ExitCode::FAILURE
            }
        };
    }
    let is_wanted = |case: &str| wanted.is_empty() || wanted.iter().any(|want| want == case);
    for (cases, measure) in GROUPS {
        if !cases.iter().any(|case| is_wanted(case)) {
            continue;
        }
        match measure() {
            Ok(rows) => {
                for row in rows.iter().filter(|row| is_wanted(row.case)) {
                    println!("{}", row.to_json());
                }
            }
            Err(why) => {
                eprintln!("fumehood-measure: {}: {why}", cases.join(", "));
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

impl Row {
    fn alone(case: &'static str, ours: f64) -> Row {
        Row {
            case,
            ours,
            peer: None,
        }
    }

    fn to_json(&self) -> Value {
        match self.peer {
            None => json!({ "case": self.case, "ours": self.ours }),
            Some((peer, name)) => {
                json!({ "case": self.case, "ours": self.ours, "peer": peer, "peer_name": name })
            }
        }
    }
}

/// The middle of an odd number of figures.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Any error as its text.
fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
