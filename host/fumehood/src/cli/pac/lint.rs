//! `fumehood pac lint`: what is wrong with a script, one line a remark.

use std::process::ExitCode;

use fumehood::pac::{PacRemark, PacSeverity};
use serde_json::{Value, json};

use super::args::Lint;
use crate::cli::escape::for_terminal;
use crate::cli::exit::{Exit, Failed};
use crate::cli::modules::json as line;

/// Fails where the script cannot be used; what is only unwise does not count.
pub(super) async fn run(args: &Lint) -> Result<(String, ExitCode), Failed> {
    let (engine, script) = super::script(&args.script).await?;
    let told = engine.lint_pac(&script).await;
    engine.flush_reports().await;
    let remarks = told?;
    let mut text = String::new();
    for remark in &remarks {
        text += &match args.json {
            true => line(&object(remark))?,
            false => sentence(&args.script.script, remark),
        };
    }
    let unusable = remarks.iter().any(|it| it.severity == PacSeverity::Error);
    let code = match unusable {
        true => ExitCode::from(Exit::Script.code()),
        false => ExitCode::SUCCESS,
    };
    Ok((text, code))
}

fn severity(remark: &PacRemark) -> &'static str {
    match remark.severity {
        PacSeverity::Error => "error",
        PacSeverity::Warning => "warning",
        PacSeverity::Note => "note",
    }
}

/// As compilers say it, so that editors find the place.
fn sentence(script: &str, remark: &PacRemark) -> String {
    let place = match remark.position {
        Some((line, column)) => format!("{script}:{line}:{column}"),
        None => script.to_owned(),
    };
    let text = format!(
        "{place}: {}: {} [{}]",
        severity(remark),
        remark.message,
        remark.rule
    );
    for_terminal(text.as_bytes()) + "\n"
}

fn object(remark: &PacRemark) -> Value {
    json!({
        "rule": remark.rule,
        "severity": severity(remark),
        "line": remark.position.map(|(line, _)| line),
        "column": remark.position.map(|(_, column)| column),
        "message": remark.message,
    })
}
