//! The request's fields: defaults, options, and what `-H` adds and takes away.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fumehood::policy::UserInfo;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::args::Request;
use super::exit::{Exit, Failed};

/// What forms are sent as (`application/x-www-form-urlencoded`, WHATWG URL section 5).
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// What we call ourselves where nobody says otherwise.
pub(crate) const DEFAULT_USER_AGENT: &str = concat!("fumehood/", env!("CARGO_PKG_VERSION"));

/// Builds the fields of a first request, as curl would; `user_agent` is the
/// configuration's.
pub(crate) fn build(
    args: &Request,
    user_agent: Option<&str>,
    has_data: bool,
) -> Result<HeaderMap, Failed> {
    let mut headers = HeaderMap::new();
    let agent = user_agent.unwrap_or(DEFAULT_USER_AGENT);
    set(&mut headers, USER_AGENT, agent)?;
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    if has_data {
        headers.insert(CONTENT_TYPE, FORM);
    }
    if let Some(name) = &args.user_agent {
        set(&mut headers, USER_AGENT, name)?;
    }
    if let Some(referer) = &args.referer {
        set(&mut headers, REFERER, referer)?;
    }
    if let Some(user) = &args.user {
        if !user.contains(':') {
            return Err(Failed::new(
                Exit::Usage,
                "-u takes USER:PASSWORD; nothing is asked for",
            ));
        }
        headers.insert(AUTHORIZATION, basic(user.as_bytes())?);
    }
    let mut given = Vec::new();
    for line in &args.header {
        apply(&mut headers, &mut given, line)?;
    }
    Ok(headers)
}

/// Credentials that stood in a URL, unless the user gave others.
pub(crate) fn add_userinfo(headers: &mut HeaderMap, userinfo: &UserInfo) -> Result<(), Failed> {
    if !headers.contains_key(AUTHORIZATION) {
        let pair = [&userinfo.username[..], b":", &userinfo.password[..]].concat();
        headers.insert(AUTHORIZATION, basic(&pair)?);
    }
    Ok(())
}

/// RFC 7617.
fn basic(pair: &[u8]) -> Result<HeaderValue, Failed> {
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|e| Failed::new(Exit::Usage, e.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// An empty value takes the field away.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), Failed> {
    if value.is_empty() {
        headers.remove(name);
        return Ok(());
    }
    let value = HeaderValue::from_str(value).map_err(|_| {
        Failed::new(
            Exit::Usage,
            format!("{name}: the value has control characters"),
        )
    })?;
    headers.insert(name, value);
    Ok(())
}

/// One `-H`. The first of a name replaces a default, later ones are added.
fn apply(headers: &mut HeaderMap, given: &mut Vec<HeaderName>, line: &str) -> Result<(), Failed> {
    let bad = |why: &str| Failed::new(Exit::Usage, format!("-H {line:?}: {why}"));
    let (name, value, keep_empty) = match (line.split_once(':'), line.strip_suffix(';')) {
        (Some((name, value)), _) => (name, value.trim(), false),
        (None, Some(name)) => (name, "", true),
        (None, None) => return Err(bad("write \"Name: value\"")),
    };
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("the name is not a token"))?;
    if name == http::header::CONTENT_LENGTH || name == http::header::TRANSFER_ENCODING {
        return Err(bad("the length follows from the data and cannot be set"));
    }
    if value.is_empty() && !keep_empty {
        headers.remove(&name);
        return Ok(());
    }
    let value =
        HeaderValue::from_str(value).map_err(|_| bad("the value has control characters"))?;
    if given.contains(&name) {
        headers.append(name, value);
    } else {
        headers.insert(name.clone(), value);
        given.push(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn lines(given: &[&str]) -> Result<HeaderMap, Failed> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let mut seen = Vec::new();
        for line in given {
            apply(&mut headers, &mut seen, line)?;
        }
        Ok(headers)
    }

    #[test]
    fn the_first_replaces_a_default_and_later_ones_add() {
        let headers = lines(&["Accept: a/b", "accept:c/d"]).unwrap();
        let all: Vec<_> = headers.get_all(ACCEPT).iter().collect();
        assert_eq!(all, ["a/b", "c/d"]);
    }

    #[test]
    fn an_empty_one_takes_away_and_a_semicolon_sends_empty() {
        assert!(lines(&["Accept:"]).unwrap().is_empty());
        assert_eq!(lines(&["X-Empty;"]).unwrap()["x-empty"], "");
    }

    #[test]
    fn smuggling_is_refused() {
        for bad in [
            "no colon",
            "a b: c",
            "x: a\r\ny: b",
            "Content-Length: 5",
            "Transfer-Encoding: x",
            ": v",
        ] {
            assert!(lines(&[bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn basic_is_as_in_rfc_7617() {
        assert_eq!(
            basic(b"Aladdin:open sesame").unwrap(),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert!(basic(b"a:b").unwrap().is_sensitive());
    }
}
