//! SPECIFICATION.md: every promise names the bench or the test that holds it.
//!
//! A promise is a row of a table whose last column is headed `Held by`. That
//! cell names, in backticks, either a case of the bench, as one would type it
//! (`cargo xtask bench BENCH --only CASE`), or a test (`PATH/FILE.rs::NAME`).

use std::fs;
use std::path::Path;

use crate::bench;
use crate::workspace::Workspace;

const FILE: &str = "SPECIFICATION.md";
const BENCH: &str = "cargo xtask bench ";

pub(super) fn check(workspace: &Workspace, problems: &mut Vec<String>) {
    let Ok(text) = fs::read_to_string(workspace.root().join(FILE)) else {
        problems.push(format!("{FILE} is not there"));
        return;
    };
    let rows = promises(&text);
    if rows.is_empty() {
        problems.push(format!("{FILE}: has no table with a last column `Held by`"));
    }
    for row in &rows {
        if row.holders.is_empty() {
            problems.push(format!("{FILE}:{}: nothing holds this promise", row.line));
        }
        for holder in &row.holders {
            if let Some(reason) = missing(workspace.root(), holder) {
                problems.push(format!("{FILE}:{}: `{holder}`: {reason}", row.line));
            }
        }
    }
    for held in bench::commands() {
        if !rows.iter().any(|row| row.holders.contains(&held.as_str())) {
            problems.push(format!("{FILE}: `{held}` holds no promise in it"));
        }
    }
}

struct Promise<'a> {
    line: usize,
    /// What stands in backticks in the last cell.
    holders: Vec<&'a str>,
}

fn promises(text: &str) -> Vec<Promise<'_>> {
    let mut promises = Vec::new();
    let mut in_table = false;
    for (index, line) in text.lines().enumerate() {
        let Some(last) = last_cell(line) else {
            in_table = false;
            continue;
        };
        if last.eq_ignore_ascii_case("held by") {
            in_table = true;
        } else if in_table && !last.trim_matches(['-', ':']).is_empty() {
            promises.push(Promise {
                line: index + 1,
                holders: last.split('`').skip(1).step_by(2).collect(),
            });
        }
    }
    promises
}

fn last_cell(line: &str) -> Option<&str> {
    let row = line.trim().strip_prefix('|')?.trim_end_matches('|');
    row.rsplit('|').next().map(str::trim)
}

/// Why `holder` holds nothing, if so.
fn missing(root: &Path, holder: &str) -> Option<String> {
    if holder.starts_with(BENCH) {
        let known = bench::commands().any(|it| it == holder);
        return (!known).then(|| "the bench has no such case".to_owned());
    }
    let Some((file, test)) = holder.split_once("::") else {
        return Some(format!(
            "neither `{BENCH}NAME --only CASE` nor `FILE.rs::TEST`"
        ));
    };
    let name = test.rsplit("::").next().unwrap_or(test);
    match fs::read_to_string(root.join(file)) {
        Ok(text) if text.contains(&format!("fn {name}(")) => None,
        Ok(_) => Some(format!("{file} has no test of this name")),
        Err(_) => Some(format!("there is no file {file}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
| Promise | Held by |
|---|---|
| fast | `cargo xtask bench fetch --only engine-ready` |
| safe | `a.rs::b`, `c.rs::d` |
| vague | somebody |

| Other | Table |
|---|---|
| x | `y` |
";

    #[test]
    fn rows_and_their_holders_are_found() {
        let found = promises(TEXT);
        let holders: Vec<usize> = found.iter().map(|row| row.holders.len()).collect();
        assert_eq!(holders, [1, 2, 0]);
        assert_eq!(found.first().map(|row| row.line), Some(3));
    }

    #[test]
    fn a_holder_must_exist() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let here = "src/tidy/promises.rs";
        assert_eq!(missing(root, &format!("{here}::a_holder_must_exist")), None);
        assert!(missing(root, &format!("{here}::no_such_test")).is_some());
        assert!(missing(root, "no/such/file.rs::test").is_some());
        assert!(missing(root, "cargo xtask bench fetch --only no-such-case").is_some());
        assert!(missing(root, "prose").is_some());
    }
}
