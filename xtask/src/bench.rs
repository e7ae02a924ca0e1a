//! `cargo xtask bench NAME`: holds the promises of SPECIFICATION.md against
//! real programs on this machine, and fails where one does not hold.
//!
//! Only comparisons made side by side say something on a machine that others
//! use too, so ours and the peer run in turn and the medians are compared.

mod cases;
mod inside;
pub(crate) mod pac;
mod peers;
mod proxy;
mod reported;
mod transfers;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::build;
use crate::guests::{self, Imports};
use crate::packages;
use crate::report;
use crate::workspace::Workspace;
pub(crate) use cases::Bench;
use cases::{CASES, Case, Source};

/// One case's outcome, in the case's unit.
struct Measured {
    ours: f64,
    /// The other program's figure, and its name.
    peer: Option<(f64, String)>,
}

/// What one types for a case, for each there is.
pub(crate) fn commands() -> impl Iterator<Item = String> {
    let cases = case_names().map(|(bench, case)| (bench.name(), case));
    let scripts = pac::case_names().into_iter().map(|case| ("pac", case));
    cases
        .chain(scripts)
        .map(|(bench, case)| format!("cargo xtask bench {bench} --only {case}"))
}

fn case_names() -> impl Iterator<Item = (Bench, &'static str)> {
    CASES.iter().map(|case| (case.bench, case.name))
}

pub(crate) fn run(workspace: &Workspace, bench: Bench, options: &[&str]) -> Result<ExitCode> {
    let options = Options::parse(bench, options)?;
    let cases: Vec<&Case> = CASES
        .iter()
        .filter(|case| case.bench == bench)
        .filter(|case| options.only.is_none_or(|only| case.name == only))
        .collect();
    match bench {
        Bench::Fetch => packages::require_programs(&["nginx", "curl"])?,
        Bench::Proxy => {
            packages::require_programs(&["nginx", "haproxy", "tinyproxy"])?;
            packages::require("danted", "dante-server")?;
        }
        Bench::Resolve => packages::require_programs(&["unbound"])?,
        Bench::Modules | Bench::Policy => {}
    }
    guests::build(workspace, Imports::MustMatch)?;

    let mut rows = Vec::new();
    let mut broken = 0_usize;
    for (case, measured) in measure(workspace, &cases)? {
        if !case.promise.holds(&measured) {
            broken += 1;
        }
        if options.json {
            println!("{}", json_row(case, &measured));
        }
        rows.push(table_row(case, &measured));
    }
    if !options.json {
        let header = ["case", "ours", "peer", "ratio", "promise", "holds"];
        println!("{}", report::table(&header, &rows));
    }
    if broken > 0 {
        bail!("{broken} of {} promises do not hold", rows.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures each case by its source: first what needs servers, then the rest.
fn measure<'a>(workspace: &Workspace, cases: &[&'a Case]) -> Result<Vec<(&'a Case, Measured)>> {
    let (inside, outside): (Vec<&Case>, Vec<&Case>) = cases
        .iter()
        .partition(|case| matches!(case.source, Source::Inside));
    let mut outcomes = Vec::new();
    if !outside.is_empty() {
        build::build_for_users(workspace, &["fumehood"])?;
        let peers = peers::Peers::start(workspace)?;
        for case in outside {
            report::line("measuring", &format!("{}: {}", case.name, case.what));
            let measured = match &case.source {
                Source::Transfer(transfer) => transfers::measure(workspace, &peers, transfer)?,
                Source::Reported(reported) => reported::measure(workspace, &peers, *reported)?,
                Source::Proxy(figure) => proxy::measure(workspace, &peers, *figure)?,
                Source::Inside => continue,
            };
            outcomes.push((case, measured));
        }
    }
    if !inside.is_empty() {
        let names: Vec<&str> = inside.iter().map(|case| case.name).collect();
        report::line("measuring", &names.join(", "));
        let mut figures = inside::measure(workspace, &names)?;
        for case in inside {
            let figure = figures.remove(case.name);
            let measured =
                figure.with_context(|| format!("there is no figure for {}", case.name))?;
            outcomes.push((case, measured));
        }
    }
    Ok(outcomes)
}

struct Options<'a> {
    json: bool,
    only: Option<&'a str>,
}

impl<'a> Options<'a> {
    fn parse(bench: Bench, words: &[&'a str]) -> Result<Self> {
        let names = || case_names().filter_map(|(of, name)| (of == bench).then_some(name));
        let mut options = Self {
            json: false,
            only: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--json" => options.json = true,
                "--only" => match words.next() {
                    Some(case) if names().any(|name| name == *case) => {
                        options.only = Some(case);
                    }
                    _ => bail!(
                        "--only needs one of: {}",
                        names().collect::<Vec<_>>().join(", ")
                    ),
                },
                other => bail!(
                    "`cargo xtask bench {}` has no option `{other}`",
                    bench.name()
                ),
            }
        }
        Ok(options)
    }
}

fn json_row(case: &Case, measured: &Measured) -> Value {
    let peer = measured.peer.as_ref();
    json!({
        "bench": case.bench.name(),
        "case": case.name,
        "unit": case.unit,
        "ours": measured.ours,
        "peer": peer.map(|(figure, _)| figure),
        "peer_name": peer.map(|(_, name)| name),
        "ratio": measured.ratio(),
        "promise": case.promise.to_string(),
        "holds": case.promise.holds(measured),
    })
}

fn table_row(case: &Case, measured: &Measured) -> Vec<String> {
    let figure = |value: f64| format!("{} {}", short(value), case.unit);
    let holds = if case.promise.holds(measured) {
        "yes"
    } else {
        "NO"
    };
    vec![
        case.name.to_owned(),
        figure(measured.ours),
        measured
            .peer
            .as_ref()
            .map_or_else(String::new, |(value, name)| {
                format!("{name} {}", figure(*value))
            }),
        measured
            .ratio()
            .map_or_else(String::new, |ratio| format!("{ratio:.3}")),
        case.promise.to_string(),
        holds.to_owned(),
    ]
}

/// Three digits or so; nobody measures more.
fn short(value: f64) -> String {
    if value >= 100.0 || value == 0.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

impl Measured {
    /// Ours divided by the peer's.
    fn ratio(&self) -> Option<f64> {
        self.peer.as_ref().map(|(peer, _)| self.ours / peer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn options_are_understood_or_refused() {
        let (bench, name) = case_names().next().unwrap();
        let words = ["--json", "--only", name];
        let options = Options::parse(bench, &words).unwrap();
        assert!(options.json);
        assert_eq!(options.only, Some(name));
        let wrong: [&[&str]; 5] = [
            &["--only"],
            &["--only", "no-such-case"],
            &["--only", "swap"],
            &["--only", "policy-name"],
            &["--fast"],
        ];
        for words in wrong {
            assert!(Options::parse(bench, words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn no_two_cases_share_a_name() {
        let mut names: Vec<_> = case_names().map(|(_, name)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
    }

    #[test]
    fn a_row_says_whether_its_promise_holds() {
        let case = CASES.iter().find(|case| case.name == "http-1gib").unwrap();
        let measured = |ours| Measured {
            ours,
            peer: Some((1000.0, "curl".to_owned())),
        };
        assert_eq!(json_row(case, &measured(900.0))["holds"], true);
        assert_eq!(json_row(case, &measured(899.0))["holds"], false);
        assert_eq!(json_row(case, &measured(500.0))["ratio"], 0.5);
    }
}
