//! `shExpMatch`: shell patterns, and what else browsers take for one.
//!
//! Browsers turn the pattern into a regular expression: `*` becomes `.*`,
//! `?` becomes `.`, a dot stands for itself, and everything else is left as
//! it is. So `(a|b)*` and `[ab]?` work there, and here. Nearly all patterns
//! have none of that; those are matched in place, without a regular
//! expression and in time proportional to the product of both lengths at worst.

use std::collections::HashMap;

use boa_engine::string::{JsStr, JsStrVariant};
use boa_engine::{Context, JsNativeError, JsResult, JsString, JsValue};
use regress::Regex;

use super::{shared, text};
use crate::bounds::MAX_COMPILED_PATTERNS;

/// Patterns that are regular expressions, compiled. `None`: it is none.
#[derive(Default)]
pub(crate) struct Patterns(HashMap<JsString, Option<Regex>>);

/// True where the whole text is as the pattern says.
pub(super) fn sh_exp_match(
    _: &JsValue,
    args: &[JsValue],
    context: &mut Context,
) -> JsResult<JsValue> {
    let (subject, pattern) = (text(args, 0, context)?, text(args, 1, context)?);
    if let JsStrVariant::Latin1(plain) = pattern.as_str().variant()
        && !plain.iter().copied().any(is_special)
    {
        return Ok(matches_plain(subject.as_str(), plain).into());
    }
    let shared = shared(context);
    let mut patterns = shared.patterns.borrow_mut();
    match patterns.compiled(&pattern) {
        Some(regex) => {
            let units = subject.to_vec();
            Ok(regex.find_from_utf16(&units, 0).next().is_some().into())
        }
        None => Err(JsNativeError::syntax()
            .with_message(format!(
                "shExpMatch: `{}` is no pattern",
                pattern.to_std_string_lossy()
            ))
            .into()),
    }
}

/// Means something else in a regular expression than itself.
fn is_special(byte: u8) -> bool {
    matches!(
        byte,
        b'\\' | b'^' | b'$' | b'|' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'+'
    )
}

fn matches_plain(subject: JsStr<'_>, pattern: &[u8]) -> bool {
    match subject.variant() {
        JsStrVariant::Latin1(subject) => matches(subject, pattern),
        JsStrVariant::Utf16(subject) => matches(subject, pattern),
    }
}

/// Matches by going back to the last star alone: whatever an earlier star
/// might take instead, the later one can take too.
fn matches<T: Copy + PartialEq + From<u8>>(subject: &[T], pattern: &[u8]) -> bool {
    let (mut s, mut p) = (0, 0);
    // After the last star, and where its text begins to be tried again.
    let mut back: Option<(usize, usize)> = None;
    while let Some(unit) = subject.get(s) {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                if p == pattern.len() {
                    return true;
                }
                back = Some((p, s));
            }
            Some(b'?') => (s, p) = (s + 1, p + 1),
            Some(literal) if *unit == T::from(*literal) => (s, p) = (s + 1, p + 1),
            _ => match &mut back {
                Some((after, from)) => {
                    *from += 1;
                    (s, p) = (*from, *after);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

impl Patterns {
    fn compiled(&mut self, pattern: &JsString) -> Option<&Regex> {
        if self.0.len() >= MAX_COMPILED_PATTERNS && !self.0.contains_key(pattern) {
            self.0.clear();
        }
        self.0
            .entry(pattern.clone())
            .or_insert_with(|| compile(pattern))
            .as_ref()
    }
}

fn compile(pattern: &JsString) -> Option<Regex> {
    let mut source = Vec::with_capacity(pattern.len() + 8);
    source.push(u32::from('^'));
    for unit in pattern.iter().map(u32::from) {
        match char::from_u32(unit) {
            Some('.') => source.extend("\\.".chars().map(u32::from)),
            Some('*') => source.extend(".*".chars().map(u32::from)),
            Some('?') => source.push(u32::from('.')),
            _ => source.push(unit),
        }
    }
    source.push(u32::from('$'));
    Regex::from_unicode(source.into_iter(), "").ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, letter by letter.
    fn reference(subject: &[u8], pattern: &[u8]) -> bool {
        match (subject, pattern) {
            (_, [b'*', rest @ ..]) => {
                (0..=subject.len()).any(|taken| reference(&subject[taken..], rest))
            }
            ([_, subject @ ..], [b'?', pattern @ ..]) => reference(subject, pattern),
            ([one, subject @ ..], [other, pattern @ ..]) => {
                one == other && reference(subject, pattern)
            }
            ([], []) => true,
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_the_definition_says(
            subject in "[ab.]{0,12}",
            pattern in "[ab.*?]{0,8}",
        ) {
            let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
            prop_assert_eq!(matches(subject, pattern), reference(subject, pattern));
        }

        #[test]
        fn wide_and_narrow_text_match_alike(subject in "[ab]{0,8}", pattern in "[ab*?]{0,6}") {
            let wide: Vec<u16> = subject.encode_utf16().collect();
            prop_assert_eq!(
                matches(&wide, pattern.as_bytes()),
                matches(subject.as_bytes(), pattern.as_bytes())
            );
        }

        #[test]
        fn the_regular_expression_agrees_where_both_can(
            subject in "[ab.]{0,10}",
            pattern in "[ab.*?]{0,7}",
        ) {
            let units: Vec<u16> = subject.encode_utf16().collect();
            let regex = compile(&JsString::from(pattern.as_str()));
            let found = regex.is_some_and(|r| r.find_from_utf16(&units, 0).next().is_some());
            prop_assert_eq!(found, matches(subject.as_bytes(), pattern.as_bytes()));
        }
    }
}
