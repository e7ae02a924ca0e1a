//! `guest-modules/IMPORTS.txt`: what every guest may import, under review.
//!
//! An import is a capability. A guest that gains one does not build until the
//! committed list says so, and the list's change is what a reviewer sees.

use std::fs;

use anyhow::{Context, Result, bail};

use super::manifest::Built;
use crate::report;
use crate::workspace::Workspace;

const FILE: &str = "guest-modules/IMPORTS.txt";

const HEADER: &str = "\
# Every guest's imports: all that it can reach. Compared on each build;
# `cargo xtask guests --bless` writes it anew.
";

/// What to do where the list and the guests differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Imports {
    MustMatch,
    Bless,
}

pub(super) fn compare(workspace: &Workspace, guests: &[Built], mode: Imports) -> Result<()> {
    let path = workspace.root().join(FILE);
    let actual = listing(guests);
    let committed = fs::read_to_string(&path).unwrap_or_default();
    if actual == committed {
        return Ok(());
    }
    if mode == Imports::Bless {
        fs::write(&path, actual).with_context(|| format!("cannot write {FILE}"))?;
        report::line(
            "imports",
            &format!("{FILE} written; look at the difference"),
        );
        return Ok(());
    }
    bail!(
        "the guests' imports are not those of {FILE}:\n{}\
         Where this is meant, type `cargo xtask guests --bless` and commit the file.",
        difference(&committed, &actual)
    );
}

fn listing(guests: &[Built]) -> String {
    let mut text = HEADER.to_owned();
    for guest in guests {
        text.push_str(&format!("\n{}\n", guest.name));
        for import in &guest.imports {
            text.push_str(&format!("    {import}\n"));
        }
    }
    text
}

/// What each guest gained (`+`) and lost (`-`).
fn difference(committed: &str, actual: &str) -> String {
    let (old, new) = (qualified(committed), qualified(actual));
    let lost = old.iter().filter(|line| !new.contains(line));
    let gained = new.iter().filter(|line| !old.contains(line));
    let mut text = String::new();
    for line in lost {
        text.push_str(&format!("  - {line}\n"));
    }
    for line in gained {
        text.push_str(&format!("  + {line}\n"));
    }
    text
}

/// Each guest, and each import with its guest's name before it.
fn qualified(listing: &str) -> Vec<String> {
    let mut guest = "";
    let mut lines = Vec::new();
    for line in listing.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(import) = line.strip_prefix("    ") {
            lines.push(format!("{guest}: {import}"));
        } else {
            guest = line;
            lines.push(line.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_names_guest_and_import() {
        let old = "# x\n\nhttp1\n    a\ntls\n    a\n";
        let new = "# x\n\nhttp1\n    a\n    b\ntls\n";
        assert_eq!(difference(old, new), "  - tls: a\n  + http1: b\n");
    }
}
