//! `fumehood doctor`: what the sandbox is worth here, and what to do about the rest.

use std::io::Write as _;
use std::process::ExitCode;

use fumehood::Role;
use fumehood::control::{Layer, LayerReport, LayerState};
use fumehood::probe::{self, HostFacts, ProbeError};
use serde_json::{Value, json};

use super::args::Doctor;
use super::exit::{Exit, Failed};

/// Runs the command. Fails where a layer is missing that engines require.
pub(crate) fn run(args: &Doctor) -> ExitCode {
    match examine() {
        Ok(findings) => {
            let complete = findings.iter().all(Finding::is_complete);
            let text = if args.json {
                in_json(&findings)
            } else {
                in_text(&findings)
            };
            // A standard output that is closed changes nothing.
            let _unheard = std::io::stdout().lock().write_all(text.as_bytes());
            if complete {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(Exit::Launch.code())
            }
        }
        Err(failed) => {
            // The exit code still tells.
            let _unheard = writeln!(std::io::stderr().lock(), "fumehood: {failed}");
            ExitCode::from(failed.exit.code())
        }
    }
}

/// One role's sandbox.
struct Finding {
    role: &'static str,
    layers: Vec<LayerReport>,
    facts: HostFacts,
}

fn examine() -> Result<Vec<Finding>, Failed> {
    let find = |(role, layers): (&'static str, Result<_, ProbeError>)| {
        let layers = layers.map_err(|e| Failed::new(Exit::Launch, e.to_string()))?;
        Ok(Finding {
            role,
            layers,
            facts: HostFacts::look(),
        })
    };
    let looks = [
        (Role::Engine.name(), probe::layers(Role::Engine)),
        (Role::Broker.name(), probe::layers(Role::Broker)),
        ("compiler", probe::compiler_layers()),
    ];
    looks.into_iter().map(find).collect()
}

impl Finding {
    fn is_complete(&self) -> bool {
        !self
            .layers
            .iter()
            .any(|report| matches!(report.state, LayerState::Missing { .. }))
    }

    fn cause_and_fix(&self, report: &LayerReport) -> Option<(&'static str, &'static str)> {
        probe::remedy(report, &self.facts).map(|remedy| (remedy.cause, remedy.fix))
    }
}

fn in_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        text += &format!("{}\n", finding.role);
        for report in &finding.layers {
            text += &line(finding, report);
        }
    }
    if !findings.iter().all(Finding::is_complete) {
        text += "\nEngines require every layer. To go on without one, say so by name:\n  \
                 fumehood fetch --allow-missing-layer LAYER ...\n";
    }
    text
}

fn line(finding: &Finding, report: &LayerReport) -> String {
    let name = report.layer.name();
    match &report.state {
        LayerState::Holds(detail) => format!("  ok       {name:<16} {detail}\n"),
        LayerState::NotUsed => format!("  not used {name}\n"),
        LayerState::Missing { syscall, errno } => {
            let why = std::io::Error::from_raw_os_error(*errno);
            let floor = if Layer::FLOOR.contains(&report.layer) {
                " (nothing runs without)"
            } else {
                ""
            };
            let mut text = format!("  MISSING  {name:<16} {syscall}: {why}{floor}\n");
            if let Some((cause, fix)) = finding.cause_and_fix(report) {
                text += &format!("           cause: {cause}\n           fix:   {fix}\n");
            }
            text
        }
    }
}

fn in_json(findings: &[Finding]) -> String {
    let roles: serde_json::Map<String, Value> = findings
        .iter()
        .map(|finding| {
            let mut layers = super::report::layers(&finding.layers);
            for report in &finding.layers {
                if let Some((cause, fix)) = finding.cause_and_fix(report) {
                    layers[report.layer.name()]["cause"] = cause.into();
                    layers[report.layer.name()]["fix"] = fix.into();
                }
            }
            (finding.role.to_owned(), layers)
        })
        .collect();
    let complete = findings.iter().all(Finding::is_complete);
    format!("{}\n", json!({ "complete": complete, "roles": roles }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(state: LayerState) -> Finding {
        let layers = vec![LayerReport {
            layer: Layer::Landlock,
            state,
        }];
        Finding {
            role: "engine",
            layers,
            facts: HostFacts::look(),
        }
    }

    #[test]
    fn a_missing_layer_is_named_with_its_call() {
        let missing = finding(LayerState::Missing {
            syscall: "landlock_create_ruleset".into(),
            errno: 38,
        });
        assert!(!missing.is_complete());
        let text = in_text(&[missing]);
        assert!(text.contains("MISSING  landlock"), "{text}");
        assert!(text.contains("landlock_create_ruleset"), "{text}");
        assert!(text.contains("--allow-missing-layer"), "{text}");
    }

    #[test]
    fn what_holds_needs_no_words() {
        let text = in_text(&[finding(LayerState::Holds("abi 7".into()))]);
        assert!(
            text.contains("ok") && !text.contains("--allow-missing-layer"),
            "{text}"
        );
    }
}
