//! Checks on a URL's text, before it is parsed, that make all parsers agree.

use crate::host;
use crate::{Scheme, ServedScheme, UrlError};

/// Refuses a text that is too long or has characters that parsers drop
/// (control bytes) or turn (backslashes before the query).
pub(crate) fn check_text(text: &str) -> Result<(), UrlError> {
    if text.len() > crate::MAX_URL_BYTES {
        return Err(UrlError::TooLong);
    }
    if let Some(control) = text.chars().find(|it| it.is_control()) {
        return Err(UrlError::Control(control));
    }
    let before_query = text.split(['?', '#']).next().unwrap_or_default();
    if before_query.contains('\\') {
        Err(UrlError::Backslash)
    } else {
        Ok(())
    }
}

/// The scheme that an absolute URL begins with, and what follows its colon;
/// `None` for a relative reference (RFC 3986 section 4.2).
pub(crate) fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let mut letters = scheme.bytes();
    let begins_well = letters.next().is_some_and(|it| it.is_ascii_alphabetic());
    let is_scheme = begins_well
        && letters.all(|it| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'-' | b'.'));
    is_scheme.then_some((scheme, rest))
}

/// Checks that a URL has a scheme that is spoken and an authority that can be
/// read in one way. Returns what follows the scheme's colon, too.
pub(crate) fn check_absolute<'a>(
    text: &'a str,
    served: &[ServedScheme],
) -> Result<(Scheme, &'a str), UrlError> {
    let (name, after) = split_scheme(text).ok_or(UrlError::Relative)?;
    let of_module = || {
        let mut all = served.iter();
        let found = all.find(|it| it.name().eq_ignore_ascii_case(name));
        found.copied().map(Scheme::Served)
    };
    let scheme = Scheme::from_name(name)
        .or_else(of_module)
        // A scheme may be as long as a URL; an error need not.
        .ok_or_else(|| UrlError::Scheme(name.chars().take(32).collect()))?;
    check_after(after)?;
    Ok((scheme, after))
}

/// The same of `udp://`, which nothing is requested of.
pub(crate) fn check_datagrams(text: &str) -> Result<&str, UrlError> {
    let (name, after) = split_scheme(text).ok_or(UrlError::Relative)?;
    if !name.eq_ignore_ascii_case(Scheme::Udp.name()) {
        return Err(UrlError::Scheme(name.chars().take(32).collect()));
    }
    check_after(after)?;
    Ok(after)
}

/// What follows a scheme's colon: two slashes and an authority.
fn check_after(after: &str) -> Result<(), UrlError> {
    let rest = after.strip_prefix("//").ok_or(UrlError::NoHost)?;
    check_authority(rest.split(['/', '?', '#']).next().unwrap_or_default())
}

/// `[userinfo@]host[:port]`. Parsers differ on a second `@`.
fn check_authority(authority: &str) -> Result<(), UrlError> {
    let host_and_port = match authority.split_once('@') {
        Some((_, rest)) if rest.contains('@') => return Err(UrlError::UserInfo),
        Some((_, rest)) => rest,
        None => authority,
    };
    if host_and_port.is_empty() || host_and_port.starts_with(':') {
        return Err(UrlError::NoHost);
    }
    host::check_text(host_and_port).map_err(UrlError::Host)
}

/// `host[:port]`, IPv6 in brackets: the host, and what follows its colon.
pub(crate) fn split_port(place: &str) -> (&str, Option<&str>) {
    let after_brackets = place.rfind(']').map_or(0, |at| at + 1);
    match place[after_brackets..].find(':') {
        Some(at) => {
            let (host, port) = place.split_at(after_brackets + at);
            (host, Some(&port[1..]))
        }
        None => (place, None),
    }
}

/// Digits alone, and not zero.
pub(crate) fn port_of(digits: &str) -> Option<u16> {
    let plain = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    let port = plain.then(|| digits.parse().ok()).flatten();
    port.filter(|it| *it != 0)
}
