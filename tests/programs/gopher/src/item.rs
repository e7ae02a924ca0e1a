//! What a URL's path asks for: an item's type, and the line that is sent.

/// Longest selector, in bytes; RFC 1436 section 2 has 255 for what a server lists.
pub const MAX_SELECTOR_BYTES: usize = 1024;

/// An item as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// `0` text, `1` menu, `7` search, `9` and others content (RFC 1436 section 3.8).
    pub kind: u8,
    /// Selector, perhaps a tab and what is searched for, CR LF.
    pub line: Vec<u8>,
}

impl Item {
    /// Reads a path as RFC 4266 section 2.1 has it: `/`, one character of type,
    /// the selector, percent-encoded. Nothing behind the slash is the menu.
    ///
    /// # Errors
    /// One sentence.
    pub fn of_path(path: &str) -> Result<Item, String> {
        let rest = path.strip_prefix('/').unwrap_or(path).as_bytes();
        let (kind, encoded) = match rest.split_first() {
            Some((kind, encoded)) => (*kind, encoded),
            None => (b'1', &[][..]),
        };
        if !kind.is_ascii_alphanumeric() && !b"+;:".contains(&kind) {
            return Err("an item's type is one letter or digit behind the slash".to_owned());
        }
        let mut line = decoded(encoded);
        if line.len() > MAX_SELECTOR_BYTES {
            return Err(format!("a selector has at most {MAX_SELECTOR_BYTES} bytes"));
        }
        // A second line would be a second request.
        if line.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            return Err("a selector has no line end and no zero byte".to_owned());
        }
        if line.iter().filter(|byte| **byte == b'\t').count() > 1 {
            return Err("a selector has one tab at most, before what is searched for".to_owned());
        }
        line.extend_from_slice(b"\r\n");
        Ok(Item { kind, line })
    }

    /// Text comes in lines and ends with a full stop alone on one.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self.kind, b'0' | b'1' | b'7')
    }

    /// Its media type.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self.kind {
            b'0' => "text/plain",
            b'1' | b'7' => "application/gopher-menu",
            b'g' => "image/gif",
            b'h' => "text/html",
            _ => "application/octet-stream",
        }
    }
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|it| u8::try_from(it).ok())
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let pair = match tail {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str) -> Result<(char, String), String> {
        let item = Item::of_path(path)?;
        Ok((
            char::from(item.kind),
            String::from_utf8_lossy(&item.line).into_owned(),
        ))
    }

    #[test]
    fn paths_are_selectors() {
        for (path, kind, sent) in [
            ("", '1', "\r\n"),
            ("/", '1', "\r\n"),
            ("/0", '0', "\r\n"),
            ("/0/a%20b", '0', "/a b\r\n"),
            ("/7find%09this%", '7', "find\tthis%\r\n"),
            ("/9caf%C3%A9?x", '9', "caf\u{e9}?x\r\n"),
        ] {
            assert_eq!(line(path), Ok((kind, sent.to_owned())), "{path}");
        }
    }

    #[test]
    fn nothing_can_be_smuggled_into_the_line() {
        for path in [
            "/0a%0D%0Ab",
            "/0a%0ab",
            "/0%00",
            "/0a%09b%09c",
            "/%200",
            "//a",
        ] {
            assert!(line(path).is_err(), "{path}");
        }
        assert!(line(&format!("/0{}", "a".repeat(MAX_SELECTOR_BYTES))).is_ok());
        assert!(line(&format!("/0{}", "a".repeat(MAX_SELECTOR_BYTES + 1))).is_err());
    }
}
