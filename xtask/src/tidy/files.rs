//! Rules for single files: opening line, length, leftovers, where `unsafe` is.

use std::path::Path;

use super::source::Source;

/// Longer files hide more than one concern. In lines.
const MAX_RUST_LINES: usize = 800;

/// A map that takes longer to read is not one. In lines.
const MAX_ARCHITECTURE_LINES: usize = 200;

/// Words that mark unfinished work, wherever they stand.
const UNFINISHED: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];

/// Macros of somebody still at work.
const LEFTOVERS: [&str; 3] = ["dbg", "todo", "unimplemented"];

/// All that may contain `unsafe`: the sandbox, and the one module of the
/// engine that loads native code.
const UNSAFE_PLACES: [&str; 2] = ["host/sandbox/", "host/engine/src/code.rs"];

pub(super) fn check(path: &Path, text: &str, problems: &mut Vec<String>) {
    let name = path.display().to_string();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("rs") => check_rust(&name, text, problems),
        Some("lock") => {}
        _ => unfinished(&name, text, problems),
    }
    let lines = text.lines().count();
    if name == "ARCHITECTURE.md" && lines > MAX_ARCHITECTURE_LINES {
        problems.push(format!(
            "{name}: {lines} lines; at most {MAX_ARCHITECTURE_LINES}"
        ));
    }
}

fn check_rust(name: &str, text: &str, problems: &mut Vec<String>) {
    let first = text.lines().find(|line| !line.starts_with("#!/"));
    if !first.is_some_and(|line| line.starts_with("//! ")) {
        problems.push(format!(
            "{name}:1: opens without a `//!` line that says what the file is for"
        ));
    }
    let lines = text.lines().count();
    if lines > MAX_RUST_LINES {
        problems.push(format!("{name}: {lines} lines; at most {MAX_RUST_LINES}"));
    }
    let source = Source::parse(text);
    unfinished(name, &source.comments, problems);
    unfinished(name, &source.code, problems);
    for (number, line) in numbered(&source.code) {
        for leftover in LEFTOVERS {
            let calls = |rest: &str| rest.starts_with('!') && !rest.starts_with("!=");
            if after_word(line, leftover).any(calls) {
                problems.push(format!("{name}:{number}: `{leftover}!` is left over"));
            }
        }
        if after_word(line, "unsafe").next().is_some()
            && !UNSAFE_PLACES.iter().any(|place| name.starts_with(place))
        {
            problems.push(format!(
                "{name}:{number}: `unsafe` outside {}",
                UNSAFE_PLACES.join(" and ")
            ));
        }
    }
}

fn unfinished(name: &str, text: &str, problems: &mut Vec<String>) {
    for (number, line) in numbered(text) {
        for word in UNFINISHED {
            if after_word(line, word).next().is_some() {
                problems.push(format!("{name}:{number}: {word} is left over"));
            }
        }
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

/// What follows each occurrence of `word` that is a word of its own.
fn after_word<'a>(line: &'a str, word: &'static str) -> impl Iterator<Item = &'a str> {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).filter_map(move |(at, _)| {
        let rest = &line[at + word.len()..];
        let alone = !line[..at].ends_with(part_of_word) && !rest.starts_with(part_of_word);
        alone.then_some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        check(Path::new(path), text, &mut problems);
        problems
    }

    #[test]
    fn good_files_pass() {
        let text = "//! What for.\n#![deny(unsafe_code)]\nfn f() { g(\"TODO unsafe\"); }\n";
        assert_eq!(problems("host/a.rs", text), Vec::<String>::new());
        let script = "#!/usr/bin/env cargo\n//! What for.\n";
        assert_eq!(problems("a.rs", script), Vec::<String>::new());
    }

    #[test]
    fn each_rule_finds_its_mistake() {
        let bad = [
            ("a.rs", "fn f() {}\n"),
            ("a.rs", "//! A.\n// TODO later\n"),
            ("a.rs", "//! A.\nfn f() { dbg!(1); }\n"),
            ("host/engine/src/b.rs", "//! A.\nunsafe fn f() {}\n"),
            ("README.md", "# A\nFIXME\n"),
        ];
        for (path, text) in bad {
            assert_eq!(problems(path, text).len(), 1, "{path}: {text}");
        }
        let long = format!("//! A.\n{}", "\n".repeat(MAX_RUST_LINES));
        assert_eq!(problems("a.rs", &long).len(), 1);
        let long = "\n".repeat(MAX_ARCHITECTURE_LINES + 1);
        assert_eq!(problems("ARCHITECTURE.md", &long).len(), 1);
    }

    #[test]
    fn the_sandbox_may_be_unsafe() {
        let text = "//! A.\nunsafe fn f() {}\n";
        assert_eq!(
            problems("host/sandbox/src/a.rs", text),
            Vec::<String>::new()
        );
    }
}
