//! `cargo xtask bench pac`: our evaluator against pacparser (SpiderMonkey in C)
//! and pac-resolver (QuickJS in WebAssembly), on the same scripts in one run.
//!
//! The others are fetched with pip and npm, once, into `target/bench/pac`.

mod peers;
mod scripts;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::command;
use crate::guests::{self, Imports};
use crate::report;
use crate::workspace::Workspace;
use scripts::Script;

const PROGRAM: &str = "fumehood-measure-pac";

/// What one evaluator does with one script, in microseconds.
struct Figures {
    /// From the script's text to its first answer.
    load: f64,
    /// One call of the warm script.
    call: f64,
    /// First entry of each answer, which all have to agree on.
    answers: Vec<String>,
}

/// What `--only` takes.
pub(super) fn case_names() -> Vec<&'static str> {
    scripts::all().iter().map(|script| script.name).collect()
}

pub(crate) fn run(workspace: &Workspace, options: &[&str]) -> Result<ExitCode> {
    let scripts = scripts::all();
    let (json, only) = parse(options, &scripts)?;
    guests::build(workspace, Imports::MustMatch)?;
    command::run(
        workspace
            .cargo()
            .args(["build", "--release", "--package", "fumehood-measure"])
            .args(["--bin", PROGRAM]),
    )?;
    let folder = workspace.target().join("bench").join("pac");
    let peers = peers::install(&folder)?;
    let mut rows = Vec::new();
    let mut slower = 0_usize;
    for script in scripts.iter().filter(|s| only.is_none_or(|o| s.name == o)) {
        report::line("measuring", &format!("{}: {}", script.name, script.what));
        let file = folder.join(format!("{}.pac", script.name));
        fs::write(&file, &script.text)?;
        let ours = figures(ask(workspace.release_program(PROGRAM), script, &file))?;
        let theirs = peers.measure(script, &file)?;
        for (name, peer) in &theirs {
            ensure!(
                peer.answers == ours.answers,
                "{}: {name} answers {:?}, we {:?}",
                script.name,
                peer.answers,
                ours.answers
            );
        }
        for (what, ours, theirs) in compared(&ours, &theirs) {
            let faster = theirs.iter().all(|(_, figure)| ours < *figure);
            slower += usize::from(!faster);
            if json {
                println!("{}", json_row(script, what, ours, &theirs, faster));
            }
            rows.push(table_row(script, what, ours, &theirs, faster));
        }
    }
    if !json {
        let header = ["script", "µs of a", "ours", "peers", "faster"];
        println!("{}", report::table(&header, &rows));
    }
    if slower > 0 {
        bail!(
            "{slower} of {} figures are not better than both peers'",
            rows.len()
        );
    }
    Ok(ExitCode::SUCCESS)
}

type Peer<'a> = (&'a str, f64);

/// The figures, load and call apart.
fn compared<'a>(
    ours: &Figures,
    theirs: &'a [(&'static str, Figures)],
) -> [(&'static str, f64, Vec<Peer<'a>>); 2] {
    let of = |pick: fn(&Figures) -> f64| theirs.iter().map(|(n, f)| (*n, pick(f))).collect();
    [
        ("load", ours.load, of(|figures| figures.load)),
        ("call", ours.call, of(|figures| figures.call)),
    ]
}

/// A program that takes script, calls and hosts.
fn ask(program: impl AsRef<std::ffi::OsStr>, script: &Script, file: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg(file)
        .arg(script.calls.to_string())
        .args(&script.hosts);
    command
}

/// Runs it and reads the object it prints.
fn figures(mut command: Command) -> Result<Figures> {
    let printed = command::capture(&mut command)?;
    read(&printed).with_context(|| format!("`{}` printed `{printed}`", command::shown(&command)))
}

fn read(printed: &str) -> Result<Figures> {
    let value: Value = serde_json::from_str(printed)?;
    let answers = value["answers"].as_array().context("no answers")?;
    let first = |answer: &Value| {
        let text = answer.as_str()?;
        Some(text.split(';').next().unwrap_or(text).trim().to_owned())
    };
    Ok(Figures {
        load: value["load"].as_f64().context("no load")?,
        call: value["call"].as_f64().context("no call")?,
        answers: answers
            .iter()
            .map(|answer| first(answer).context("an answer is no string"))
            .collect::<Result<_>>()?,
    })
}

fn parse<'a>(options: &[&'a str], scripts: &[Script]) -> Result<(bool, Option<&'a str>)> {
    let names: Vec<&str> = scripts.iter().map(|script| script.name).collect();
    let (mut json, mut only) = (false, None);
    let mut words = options.iter();
    while let Some(word) = words.next() {
        match (*word, words.as_slice()) {
            ("--json", _) => json = true,
            ("--only", [name, ..]) if names.contains(name) => {
                only = Some(*name);
                words.next();
            }
            ("--only", _) => bail!("--only needs one of: {}", names.join(", ")),
            (other, _) => bail!("`cargo xtask bench pac` has no option `{other}`"),
        }
    }
    Ok((json, only))
}

fn json_row(script: &Script, what: &str, ours: f64, theirs: &[Peer<'_>], faster: bool) -> Value {
    json!({
        "bench": "pac",
        "case": format!("{}-{what}", script.name),
        "unit": "µs",
        "ours": ours,
        "peers": theirs.iter().map(|(n, f)| ((*n).to_owned(), json!(f))).collect::<serde_json::Map<_, _>>(),
        "promise": "< each peer",
        "holds": faster,
    })
}

fn table_row(
    script: &Script,
    what: &str,
    ours: f64,
    theirs: &[Peer<'_>],
    faster: bool,
) -> Vec<String> {
    let peers: Vec<String> = theirs
        .iter()
        .map(|(name, figure)| format!("{name} {figure:.1} ({:.2} ×)", ours / figure))
        .collect();
    vec![
        script.name.to_owned(),
        what.to_owned(),
        format!("{ours:.1}"),
        peers.join(", "),
        if faster { "yes" } else { "NO" }.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn figures_are_read_and_answers_cut_to_their_first_entry() {
        let read = |text| read(text).unwrap();
        let figures = read(r#"{"load":1,"call":2.5,"answers":["PROXY a:1; DIRECT","DIRECT"]}"#);
        assert_eq!((figures.load, figures.call), (1.0, 2.5));
        assert_eq!(figures.answers, ["PROXY a:1", "DIRECT"]);
        assert!(super::read("{}").is_err());
    }

    #[test]
    fn options_are_understood_or_refused() {
        let scripts = scripts::all();
        let parse = |words: &[&'static str]| parse(words, &scripts);
        assert_eq!(
            parse(&["--json", "--only", "rules-10"]).unwrap(),
            (true, Some("rules-10"))
        );
        assert!(parse(&["--only"]).is_err());
        assert!(parse(&["--only", "x"]).is_err());
        assert!(parse(&["--fast"]).is_err());
    }
}
