//! The verdicts as a table, or as one JSON object.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use serde_json::{Value, json};

use super::corpus::Case;
use super::tries::{Try, Verdict};

/// All that was tried, and what became of it.
pub(super) struct Results {
    rows: Vec<Row>,
    columns: Vec<Column>,
    elapsed: Duration,
}

/// Who was tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) is_client: bool,
}

struct Row {
    case: &'static Case,
    tries: Vec<Judged>,
}

struct Judged {
    route: &'static str,
    is_client: bool,
    answer: String,
    verdict: Verdict,
}

/// The whole, in three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    tries: usize,
    through: usize,
    /// Controls that did not arrive: what else was held means nothing then.
    missed: usize,
}

impl Results {
    pub(super) fn of(tries: &[Try], columns: Vec<Column>, elapsed: Duration) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        for one in tries {
            if rows.last().is_none_or(|row| row.case.name != one.case.name) {
                rows.push(Row {
                    case: one.case,
                    tries: Vec::new(),
                });
            }
            if let Some(row) = rows.last_mut() {
                row.tries.push(Judged {
                    route: one.route.name(),
                    is_client: one.route.is_clients(),
                    answer: one.answer.clone(),
                    verdict: one.verdict(),
                });
            }
        }
        Results {
            rows,
            columns,
            elapsed,
        }
    }

    /// Whether nothing came through and every control arrived.
    pub(super) fn all_held(&self) -> bool {
        let count = self.count();
        count.through == 0 && count.missed == 0
    }

    fn count(&self) -> Count {
        let all = || self.rows.iter().flat_map(|row| &row.tries);
        Count {
            tries: all().count(),
            through: all()
                .filter(|it| matches!(it.verdict, Verdict::Through(_)))
                .count(),
            missed: all().filter(|it| it.verdict == Verdict::Missed).count(),
        }
    }

    /// Prints it.
    pub(super) fn print(&self, json: bool) {
        let text = match json {
            true => format!("{}\n", self.json()),
            false => self.text(std::io::stdout().is_terminal()),
        };
        let mut out = std::io::stdout().lock();
        // A standard output that is closed changes nothing.
        let _unheard = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn json(&self) -> Value {
        let of_try = |it: &Judged| {
            let (verdict, arrived) = match &it.verdict {
                Verdict::Held => ("held", &[][..]),
                Verdict::Through(arrived) => ("through", &arrived[..]),
                Verdict::Reached => ("reached", &[][..]),
                Verdict::Missed => ("missed", &[][..]),
            };
            json!({
                "route": it.route,
                "verdict": verdict,
                "answer": it.answer,
                "arrived": arrived,
            })
        };
        let of_row = |row: &Row| {
            json!({
                "case": row.case.name,
                "about": row.case.about,
                "tries": row.tries.iter().map(of_try).collect::<Vec<_>>(),
            })
        };
        let count = self.count();
        json!({
            "all_held": self.all_held(),
            "tries": count.tries,
            "through": count.through,
            "controls_missed": count.missed,
            "cases": self.rows.iter().map(of_row).collect::<Vec<_>>(),
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn text(&self, colours: bool) -> String {
        let colours = colours && std::env::var_os("NO_COLOR").is_none();
        let header = ["case", "what is tried"].map(str::to_owned).into_iter();
        let header = header.chain(self.columns.iter().map(|it| it.name.to_owned()));
        let mut lines = vec![header.collect::<Vec<_>>()];
        for row in &self.rows {
            let mut line = vec![row.case.name.to_owned(), row.case.about.to_owned()];
            line.extend(self.columns.iter().map(|column| row.cell(*column)));
            lines.push(line);
        }
        let mut text = String::new();
        for (index, line) in lines.iter().enumerate() {
            let bad = line.iter().any(|it| is_bad(it));
            let code = match (index, bad) {
                (0, _) => "1",
                (_, true) => "1;31",
                (_, false) => "",
            };
            text.push_str(&painted(&aligned(line, &lines), code, colours));
            text.push('\n');
        }
        text.push_str(&self.closing(colours));
        text
    }

    fn closing(&self, colours: bool) -> String {
        let Count {
            tries,
            through,
            missed,
        } = self.count();
        let seconds = self.elapsed.as_secs_f64();
        let (words, code) = match (through, missed) {
            (0, 0) => ("none through".to_owned(), "1;32"),
            (through, 0) => (format!("{through} through"), "1;31"),
            (through, missed) => (
                format!(
                    "{through} through; {missed} that are allowed did not arrive, so what was \
                     held means little"
                ),
                "1;31",
            ),
        };
        let line = format!("{} cases, {tries} tries: {words}.", self.rows.len());
        format!("\n{} {seconds:.1} s\n", painted(&line, code, colours))
    }
}

const THROUGH: &str = "THROUGH";
const MISSED: &str = "MISSED";

impl Row {
    /// A case in a column: what became of it, and by which route.
    fn cell(&self, column: Column) -> String {
        let tries = || {
            self.tries
                .iter()
                .filter(|it| it.is_client == column.is_client)
        };
        let routes = |wanted: fn(&Verdict) -> bool| {
            let routes = tries().filter(|it| wanted(&it.verdict)).map(|it| it.route);
            routes.collect::<Vec<_>>().join(", ")
        };
        let through = routes(|it| matches!(it, Verdict::Through(_)));
        let missed = routes(|it| *it == Verdict::Missed);
        match tries().next().map(|it| &it.verdict) {
            None => "–".to_owned(),
            _ if !through.is_empty() => format!("{THROUGH} by {through}"),
            _ if !missed.is_empty() => format!("{MISSED} by {missed}"),
            Some(Verdict::Reached) => "arrives".to_owned(),
            Some(_) => "held".to_owned(),
        }
    }
}

fn is_bad(cell: &str) -> bool {
    cell.starts_with(THROUGH) || cell.starts_with(MISSED)
}

/// A line, each cell as wide as the widest of its column.
fn aligned(line: &[String], lines: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (at, cell) in line.iter().enumerate() {
        let widths = lines.iter().filter_map(|line| line.get(at));
        let width = widths.map(|it| it.chars().count()).max().unwrap_or(0);
        text.push_str(&format!("{cell:<width$}  "));
    }
    text.trim_end().to_owned()
}

fn painted(text: &str, code: &str, colours: bool) -> String {
    match colours && !code.is_empty() {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}
