//! Our client under trial: `fumehood fetch`, as anybody runs it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::bottle::Bottle;
use super::target::while_reloading;
use super::tries::Try;
use crate::cli::args::MissingLayers;
use crate::cli::exit::{Exit, Failed};

/// Longest that a URL may take, in seconds; all there is to wait for is here.
const MAX_SECONDS: &str = "10";

/// Makes all tries of the client's routes, and writes down what it answered.
pub(super) async fn run(
    tries: &mut [Try],
    bottle: &Bottle,
    missing: &MissingLayers,
) -> Result<(), Failed> {
    let (reloads, plain): (Vec<_>, Vec<_>) = tries
        .iter_mut()
        .filter(|it| it.route.is_clients())
        .partition(|it| it.is_reload());
    fetch(plain, &bottle.configuration(), missing).await?;
    for one in reloads {
        let configuration = bottle.configuration();
        let fetching = fetch(vec![one], &configuration, missing);
        let rewrite = |version| bottle.rewrite_configuration(version);
        while_reloading(fetching, rewrite).await?;
    }
    Ok(())
}

/// One process for all of them.
async fn fetch(
    tries: Vec<&mut Try>,
    configuration: &Path,
    missing: &MissingLayers,
) -> Result<(), Failed> {
    let urls: Vec<_> = tries.iter().flat_map(|it| it.sent.clone()).collect();
    if urls.is_empty() {
        return Ok(());
    }
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["fetch", "--json", "--silent", "--location"])
        .args(["--max-time", MAX_SECONDS])
        .arg("--config")
        .arg(configuration);
    missing.add_to(&mut command);
    for _ in &urls {
        command.args(["--output", "/dev/null"]);
    }
    command.arg("--");
    command.args(urls.iter().cloned().map(OsString::from_vec));
    let ended = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|e| failed(&e))?;
    let answers: Vec<Value> = ended
        .stdout
        .split(|it| *it == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    if answers.len() != urls.len() {
        let first = answers.first().map(|it| it["error"]["message"].to_string());
        return Err(failed(&first.unwrap_or_else(|| "it does not start".into())));
    }
    let mut answers = answers.iter();
    for one in tries {
        let of_one = answers.by_ref().take(one.sent.len());
        one.answer = of_one.last().map(words).unwrap_or_default();
    }
    Ok(())
}

/// What it said: a status, or why it refused.
fn words(answer: &Value) -> String {
    let error = &answer["error"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match (text(&error["reason"]), text(&error["code"])) {
        (Some(reason), _) => reason,
        (None, Some(code)) => code,
        (None, None) => answer["status"].to_string(),
    }
}

fn failed(why: &dyn std::fmt::Display) -> Failed {
    Failed::new(Exit::Launch, format!("`fumehood fetch` under trial: {why}"))
}
