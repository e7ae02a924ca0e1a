//! Findings on the terminal, or as one JSON object.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::exit::{Exit, Failed};
use super::report;

/// What was claimed, what was seen, and whether they agree.
pub(super) struct Finding {
    /// Its name in JSON.
    pub(super) name: &'static str,
    pub(super) holds: bool,
    /// Lines for people, the most telling first.
    pub(super) seen: Vec<String>,
    /// Figures for JSON.
    pub(super) figures: Value,
}

/// Prints as findings come, or collects them.
pub(super) struct Show {
    json: bool,
    colours: bool,
    findings: Map<String, Value>,
    all_hold: bool,
    elapsed: Duration,
}

impl Show {
    pub(super) fn new(json: bool) -> Self {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Show {
            json,
            colours,
            findings: Map::new(),
            all_hold: true,
            elapsed: Duration::ZERO,
        }
    }

    pub(super) fn title(&self, text: &str) {
        if !self.json {
            print(&format!("\n{}\n", self.in_colour("1", text)));
        }
    }

    pub(super) fn finding(&mut self, finding: Finding) {
        self.all_hold &= finding.holds;
        if !self.json {
            let mark = if finding.holds {
                self.in_colour("32", "✓")
            } else {
                self.in_colour("1;31", "✗")
            };
            for (index, line) in finding.seen.iter().enumerate() {
                match index {
                    0 => print(&format!("  {mark} {line}\n")),
                    _ => print(&format!("    {}\n", self.in_colour("2", line))),
                }
            }
        }
        let value =
            json!({ "holds": finding.holds, "seen": finding.seen, "figures": finding.figures });
        self.findings.insert(finding.name.to_owned(), value);
    }

    pub(super) fn took(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
    }

    /// All was tried.
    pub(super) fn end(&self) -> ExitCode {
        if self.json {
            print(&format!("{}\n", self.to_json(None)));
        } else {
            let seconds = self.elapsed.as_secs_f64();
            let text = match self.all_hold {
                true => self.in_colour("1;32", "Every claim held."),
                false => self.in_colour("1;31", "Not every claim held: see the lines with ✗."),
            };
            print(&format!("\n{text} {seconds:.1} s\n"));
        }
        if self.all_hold {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// Something that is no claim went wrong.
    pub(super) fn broken(&self, failed: &Failed) -> ExitCode {
        if self.json {
            print(&format!("{}\n", self.to_json(Some(failed))));
        }
        // The exit code still tells.
        let _unheard = writeln!(std::io::stderr().lock(), "fumehood: {failed}");
        let code = if failed.exit == Exit::Usage {
            Exit::Launch
        } else {
            failed.exit
        };
        ExitCode::from(code.code())
    }

    fn to_json(&self, failed: Option<&Failed>) -> Value {
        json!({
            "all_hold": self.all_hold && failed.is_none(),
            "claims": self.findings,
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            "error": failed.map(report::error),
        })
    }

    fn in_colour(&self, code: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // A standard output that is closed changes nothing.
    let _unheard = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
