//! Challenges: what a server or a proxy wants to be told (RFC 9110 section 11.6.1).

use crate::bounds::{MAX_CHALLENGES, MAX_PARAMETERS};
use crate::fields::is_token_byte;

/// A challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme, in lower case.
    pub scheme: String,
    /// What follows it where that is a token68; else empty.
    pub token: String,
    /// Names in lower case, values unquoted, in the order they came.
    pub parameters: Vec<(String, String)>,
}

/// Reads the value of a `www-authenticate` or `proxy-authenticate` field, up to
/// where it is malformed or has more than [`MAX_CHALLENGES`] or a challenge more
/// than [`MAX_PARAMETERS`].
#[must_use]
pub fn challenges(value: &[u8]) -> Vec<Challenge> {
    let mut rest = Rest(value);
    let mut all = Vec::new();
    while all.len() < MAX_CHALLENGES {
        rest.skip_commas();
        let Some(challenge) = rest.challenge() else {
            break;
        };
        all.push(challenge);
    }
    all
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.0.iter().position(|byte| !wanted(*byte));
        let (taken, rest) = self.0.split_at(length.unwrap_or(self.0.len()));
        self.0 = rest;
        taken
    }

    fn skip_blanks(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn skip_commas(&mut self) {
        self.take_while(|byte| matches!(byte, b' ' | b'\t' | b','));
    }

    /// Whether an item of a list ends here.
    fn is_at_end(&self) -> bool {
        matches!(self.0, [] | [b',', ..])
    }

    fn token(&mut self) -> Option<&'a str> {
        let token = self.take_while(is_token_byte);
        let token = std::str::from_utf8(token).ok()?;
        (!token.is_empty()).then_some(token)
    }

    fn challenge(&mut self) -> Option<Challenge> {
        let scheme = self.token()?.to_ascii_lowercase();
        let mut challenge = Challenge {
            scheme,
            ..Challenge::default()
        };
        let blank = matches!(self.0, [b' ' | b'\t', ..]);
        self.skip_blanks();
        if self.is_at_end() {
            return Some(challenge);
        }
        if !blank {
            return None;
        }
        if let Some(token) = self.token68() {
            challenge.token = token;
            return Some(challenge);
        }
        challenge.parameters.push(self.parameter()?);
        loop {
            self.skip_blanks();
            if !self.is_at_end() {
                return None;
            }
            let here = self.0;
            self.skip_commas();
            let Some(parameter) = self.parameter() else {
                // It is another challenge, or the end, or nothing sound.
                self.0 = here;
                return Some(challenge);
            };
            if challenge.parameters.len() == MAX_PARAMETERS {
                self.0 = &[];
                return None;
            }
            challenge.parameters.push(parameter);
        }
    }

    /// Only where it is all that follows the scheme; else nothing is taken.
    fn token68(&mut self) -> Option<String> {
        let here = self.0;
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let (body, padding) = (
            self.take_while(letters),
            self.take_while(|byte| byte == b'='),
        );
        self.skip_blanks();
        if body.is_empty() || !self.is_at_end() {
            self.0 = here;
            return None;
        }
        String::from_utf8([body, padding].concat()).ok()
    }

    fn parameter(&mut self) -> Option<(String, String)> {
        let name = self.token()?.to_ascii_lowercase();
        self.skip_blanks();
        self.0 = self.0.strip_prefix(b"=")?;
        self.skip_blanks();
        let value = match self.0 {
            [b'"', rest @ ..] => {
                self.0 = rest;
                self.quoted()?
            }
            _ => self.token()?.to_owned(),
        };
        Some((name, value))
    }

    /// A quoted-string behind its first quote (RFC 9110 section 5.6.4).
    fn quoted(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        loop {
            match self.0 {
                [b'"', rest @ ..] => {
                    self.0 = rest;
                    return Some(text(bytes));
                }
                [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                    bytes.push(*byte);
                    self.0 = rest;
                }
                [] => return None,
            }
        }
    }
}

/// Text of these bytes. Where they are not UTF-8, those beyond ASCII become
/// question marks: text is never longer than what came, so bounds on the one
/// hold for the other.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let shown = |byte: &u8| match byte.is_ascii() {
            true => char::from(*byte),
            false => '?',
        };
        error.as_bytes().iter().map(shown).collect()
    })
}
