//! A script's answer about one URL, for people and for programs.

use std::fmt::Write as _;

use fumehood::pac::{PacFinding, PacFound, PacName};
use fumehood::policy::Route;
use serde_json::{Value, json};

use crate::cli::escape::for_terminal;
use crate::cli::exit::Failed;

/// One URL and what came of it.
pub(super) struct Report<'a> {
    pub(super) url: &'a str,
    pub(super) found: PacFound,
}

/// A URL that no script is asked about, as a line.
pub(super) fn refusal(url: &str, failed: &Failed) -> String {
    let text = format!("{url}  error: {failed}");
    for_terminal(text.as_bytes()) + "\n"
}

/// The same for programs.
pub(super) fn refused(url: &str, failed: &Failed) -> Value {
    json!({
        "url": url,
        "proxies": null,
        "error": { "kind": failed.exit.name(), "message": failed.to_string() },
        "exit_code": failed.exit.code(),
    })
}

impl Report<'_> {
    /// One line; where it is explained, what led to it below.
    pub(super) fn text(&self, explain: bool) -> String {
        let answer = match &self.found.outcome {
            Ok(finding) => routes(finding),
            Err(why) => format!("error: {why}"),
        };
        let mut text = String::new();
        let mut row = |line: &str| {
            // Writing to a string does not fail.
            let _infallible = writeln!(text, "{}", for_terminal(line.as_bytes()));
        };
        row(&format!("{}  {answer}", self.url));
        if !explain {
            return text;
        }
        if self.found.earlier_steps > 0 {
            row(&format!("    … {} calls before", self.found.earlier_steps));
        }
        for step in &self.found.steps {
            let (name, given) = (&step.function, &step.arguments);
            row(&format!("    {name}({given}) = {}", step.answer));
        }
        for name in &self.found.names {
            row(&format!("    name {}: {}", name.name, addresses(name)));
        }
        if let Ok(finding) = &self.found.outcome {
            for alert in &finding.alerts {
                row(&format!("    alert {alert}"));
            }
            for skipped in &finding.skipped {
                row(&format!("    left out {skipped}"));
            }
            if finding.refused_names > 0 {
                row("    it asked for more names than the 20 of a call");
            }
        }
        text
    }

    pub(super) fn to_json(&self) -> Value {
        let (finding, error) = match &self.found.outcome {
            Ok(finding) => (Some(finding), None),
            Err(why) => (None, Some(why)),
        };
        let names: Vec<Value> = self
            .found
            .names
            .iter()
            .map(|it| {
                json!({
                    "name": it.name,
                    "addresses": it.addresses.as_ref().ok(),
                    "why": it.addresses.as_ref().err(),
                })
            })
            .collect();
        let steps: Vec<Value> = self
            .found
            .steps
            .iter()
            .map(|it| json!({ "function": it.function, "arguments": it.arguments, "answer": it.answer }))
            .collect();
        json!({
            "url": self.url,
            "proxies": finding.map(|it| it.routes.iter().map(route).collect::<Vec<_>>()),
            "pac": finding.map(routes),
            "skipped": finding.map(|it| &it.skipped),
            "alerts": finding.map(|it| &it.alerts),
            "dropped_alerts": finding.map(|it| it.dropped_alerts),
            "refused_names": finding.map(|it| it.refused_names),
            "names": names,
            "steps": steps,
            "earlier_steps": self.found.earlier_steps,
            "error": error.map(|it| json!({ "kind": it.name(), "message": it.to_string() })),
            "exit_code": error.map_or(0, |it| super::exit_of(it).code()),
        })
    }
}

/// As the script would write it.
fn routes(finding: &PacFinding) -> String {
    let texts: Vec<String> = finding.routes.iter().map(Route::to_string).collect();
    texts.join("; ")
}

fn route(route: &Route) -> Value {
    match route {
        Route::Direct => json!({ "scheme": "direct" }),
        Route::Proxy(server) => json!({
            "scheme": server.scheme.name(),
            "host": server.host.to_string(),
            "port": server.port,
        }),
    }
}

fn addresses(name: &PacName) -> String {
    match &name.addresses {
        Ok(found) => {
            let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
            texts.join(", ")
        }
        Err(why) => format!("none: {why}"),
    }
}
