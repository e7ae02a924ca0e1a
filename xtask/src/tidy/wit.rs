//! Every package, interface, world, type and function of our WIT says what it is.

use std::path::Path;

/// What opens something that has to be explained.
const EXPLAINED: [&str; 8] = [
    "package ",
    "interface ",
    "world ",
    "record ",
    "variant ",
    "enum ",
    "flags ",
    "resource ",
];

pub(super) fn check(path: &Path, text: &str, problems: &mut Vec<String>) {
    let vendored = path.components().any(|part| part.as_os_str() == "deps");
    if path.extension().is_none_or(|extension| extension != "wit") || vendored {
        return;
    }
    let mut documented = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("///") {
            documented = true;
            continue;
        }
        if line.is_empty() || line.starts_with("//") || line.starts_with('@') {
            continue;
        }
        if needs_words(line) && !documented {
            problems.push(format!(
                "{}:{}: `{}` has no `///` line",
                path.display(),
                index + 1,
                line.trim_end_matches(" {")
            ));
        }
        // A package's words serve for the interface it opens with.
        documented &= line.starts_with("package ");
    }
}

fn needs_words(line: &str) -> bool {
    let names_a_type = EXPLAINED.iter().any(|opening| line.starts_with(opening));
    let is_function = line
        .split_once(':')
        .map(|(_, what)| what.trim_start())
        .is_some_and(|what| {
            ["func(", "static func(", "async func("]
                .iter()
                .any(|opening| what.starts_with(opening))
        });
    // A world may list a function that an interface explains; ours do not.
    (names_a_type || is_function) && !line.starts_with("use ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        let mut problems = Vec::new();
        check(Path::new(path), text, &mut problems);
        problems.len()
    }

    const BARE: &str = "package a:b;\ninterface c {\n    d: func(e: u8) -> u8;\n}\n";
    const FULL: &str = "/// P.\npackage a:b;\n/// I.\n@since(version = 1)\ninterface c {\n    \
                        /// F.\n    d: func(e: u8) -> u8;\n}\n";

    #[test]
    fn what_is_not_explained_is_found() {
        assert_eq!(count("wit/a/a.wit", BARE), 3);
        assert_eq!(count("wit/a/a.wit", FULL), 0);
        assert_eq!(
            count("wit/a/a.wit", "/// P.\npackage a:b;\n\ninterface c {\n"),
            0
        );
    }

    #[test]
    fn vendored_packages_are_their_authors() {
        assert_eq!(count("wit/deps/a.wit", BARE), 0);
    }
}
