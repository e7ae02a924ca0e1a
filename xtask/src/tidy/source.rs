//! Enough of Rust's lexis to tell code from comments and from strings.

/// A source file taken apart. Both parts keep the line breaks of the file, so
/// line numbers are those of the file.
pub(super) struct Source {
    /// Code, with strings emptied and comments blank.
    pub(super) code: String,
    /// What stands in comments.
    pub(super) comments: String,
}

impl Source {
    pub(super) fn parse(text: &str) -> Self {
        let mut parser = Parser {
            rest: text,
            source: Self {
                code: String::with_capacity(text.len()),
                comments: String::new(),
            },
        };
        while !parser.rest.is_empty() {
            parser.piece();
        }
        parser.source
    }
}

struct Parser<'a> {
    rest: &'a str,
    source: Source,
}

/// What a piece of the text is.
#[derive(Clone, Copy)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Parser<'_> {
    /// Takes the next comment, literal, identifier or single character.
    fn piece(&mut self) {
        let rest = self.rest;
        let word = word_length(rest);
        if rest.starts_with("//") {
            self.take(rest.find('\n').unwrap_or(rest.len()), Kind::Comment);
        } else if rest.starts_with("/*") {
            self.take(block_comment_length(rest), Kind::Comment);
        } else if let Some(length) = raw_string_length(rest) {
            self.take(length, Kind::Literal);
        } else if word > 0 {
            // Whole, so that the r of `for` opens no raw string.
            self.take(word, Kind::Code);
        } else if rest.starts_with('"') {
            self.take(quoted_length(rest, '"'), Kind::Literal);
        } else if let Some(length) = char_length(rest) {
            self.take(length, Kind::Literal);
        } else {
            self.take(rest.chars().next().map_or(0, char::len_utf8), Kind::Code);
        }
    }

    fn take(&mut self, length: usize, kind: Kind) {
        let (piece, rest) = self.rest.split_at(length);
        self.rest = rest;
        let breaks = piece.chars().filter(|c| *c == '\n');
        match kind {
            Kind::Code => {
                self.source.code.push_str(piece);
                self.source.comments.extend(breaks);
            }
            Kind::Comment => {
                self.source.comments.push_str(piece);
                self.source.code.extend(breaks);
            }
            Kind::Literal => {
                self.source.code.push(' ');
                self.source.comments.extend(breaks.clone());
                self.source.code.extend(breaks);
            }
        }
    }
}

/// Of an identifier, a keyword or a number.
fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

fn block_comment_length(text: &str) -> usize {
    let mut depth = 0_u32;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#`, `br"…"`, `cr"…"`.
fn raw_string_length(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"]
        .into_iter()
        .find(|prefix| {
            text.strip_prefix(prefix)
                .is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
        })?
        .len();
    let hashes = text[prefix..].find('"')?;
    let open = prefix + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    let length = text[open..].find(&close);
    Some(length.map_or(text.len(), |length| open + length + close.len()))
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character literal; `None` for a lifetime.
fn char_length(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('\'')?;
    let mut chars = rest.chars();
    let first = chars.next()?;
    if first == '\\' || chars.next() == Some('\'') {
        return Some(quoted_length(text, '\''));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::parse(text).code
    }

    #[test]
    fn strings_are_emptied() {
        assert_eq!(code(r#"a("x\"y", b)"#), "a( , b)");
        assert_eq!(code(r##"a(r#"x"y"#, b)"##), "a( , b)");
        assert_eq!(code("a(br\"x\\\", b)"), "a( , b)");
    }

    #[test]
    fn comments_are_set_apart_and_lines_kept() {
        let source = Source::parse("a // x\nb /* y /* z */\n */ c\n");
        assert_eq!(source.code, "a \nb \n c\n");
        assert_eq!(source.comments, "// x\n/* y /* z */\n */\n");
    }

    #[test]
    fn lifetimes_are_code_and_characters_are_not() {
        assert_eq!(code("f::<'a>('b', '\\'', '\"')"), "f::<'a>( ,  ,  )");
    }

    #[test]
    fn a_word_that_ends_in_r_opens_nothing() {
        assert_eq!(code("for\"x\" y"), "for  y");
    }

    #[test]
    fn what_never_ends_ends_with_the_file() {
        for text in ["\"abc", "/* abc", "r#\"abc\"", "'\\", "'"] {
            assert!(!code(text).contains("abc"));
        }
    }
}
