//! What is wrong with a configuration, and where.

use std::ops::Range;
use std::path::PathBuf;

/// Why a configuration was refused. Its `Display` says where, what, and what
/// to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file is not there or cannot be read.
    #[error("the configuration {} cannot be read: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// One clause.
        why: String,
    },
    /// What is in the file is refused.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: u32,
        /// In characters, counted from 1.
        column: u32,
        /// One sentence, with a suggestion where there is one.
        message: String,
    },
    /// What is in an environment variable is refused.
    #[error("the environment variable {name}: {message}")]
    Environment {
        /// Its name.
        name: &'static str,
        /// One sentence.
        message: String,
    },
    /// What a flag says is refused.
    #[error("{name}: {message}")]
    Flag {
        /// The flag.
        name: &'static str,
        /// One sentence.
        message: String,
    },
    /// There is nothing to read again: the engine was given no configuration.
    #[error("this engine follows no configuration; its embedder set the policy itself")]
    NotFollowed,
    /// The processes could not be told.
    #[error("the new policy was not taken by the broker: {0}")]
    NotTaken(String),
}

/// Line and column of a place in a text, both counted from 1.
pub(super) fn position(text: &str, at: usize) -> (u32, u32) {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.bytes().filter(|it| *it == b'\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |it| it + 1);
    let column = before[start..].chars().count() + 1;
    let number = |it| u32::try_from(it).unwrap_or(u32::MAX);
    (number(line), number(column))
}

/// Where and what, of an error of the parser's.
pub(super) fn explain(error: &toml::de::Error) -> (Range<usize>, String) {
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    match suggestion(message) {
        Some(name) => (span, format!("{message}; did you mean `{name}`?")),
        None => (span, message.to_owned()),
    }
}

/// The parser says which name it did not know and which it would have known,
/// each in backticks. Of those, the nearest, unless none is near.
fn suggestion(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let near = names.map(|name| (distance(unknown, name), name));
    let (distance, name) = near.min_by_key(|(distance, _)| *distance)?;
    // More than every other letter wrong is no slip any more.
    (distance * 2 <= unknown.chars().count().max(2)).then_some(name)
}

/// Letters to add, drop or change to make one of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    // Keys are short; longer ones are near to nothing.
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
