//! URLs, parsed once: the target, what is asked of it, and the userinfo apart.

use std::fmt;

use crate::authority::{check_absolute, check_datagrams, check_text, split_scheme};
use crate::{Host, HostError, Scheme, ServedScheme, Target, host};

/// Longest URL accepted, in bytes. Firefox and Chromium take 1 and 2 MiB;
/// no honest request line is longer than this.
pub const MAX_URL_BYTES: usize = 64 * 1024;

/// A URL that a request can be made for. Parsed by the WHATWG rules, after
/// refusing what programs read differently. It has no fragment: servers never
/// see one (RFC 9110 section 7.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestUrl {
    /// Whom to ask.
    pub target: Target,
    /// What to ask for: begins with `/`, ASCII without spaces or controls.
    pub path_and_query: String,
    /// Credentials that stood in the URL, for an `Authorization` field.
    /// They are never printed.
    pub userinfo: Option<UserInfo>,
}

/// The part of a URL before `@`, percent-decoded. As RFC 7617 section 2 wants
/// them, neither part has control characters and the name has no colon.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UserInfo {
    /// The user's name; may be empty.
    pub username: Vec<u8>,
    /// The password; may be empty.
    pub password: Vec<u8>,
}

/// Keeps credentials out of logs.
impl fmt::Debug for UserInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserInfo(..)")
    }
}

/// Why a URL was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Over [`MAX_URL_BYTES`], as given or when percent-encoded.
    #[error("the URL is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// A control character anywhere; others would drop or forward it.
    #[error("the URL has the control character {0:?}")]
    Control(char),
    /// A backslash before the query; others disagree whether it is a slash.
    #[error("the URL has a backslash; write a slash, or %5C")]
    Backslash,
    /// No scheme where one is needed.
    #[error("the URL has no scheme; begin it with https:// or http://")]
    Relative,
    /// A scheme that is not spoken; at most 32 characters of it.
    #[error(
        "the URL's scheme {0:?} is not spoken; http and https are, and those of driver modules: \
         put one for it into the module directory (`fumehood fetch --module-directory DIR`), or \
         load it (`fumehood modules load FILE`)"
    )]
    Scheme(String),
    /// Nothing where the host should be.
    #[error("the URL has no host; after the scheme comes // and a host")]
    NoHost,
    /// The host was refused.
    #[error("the URL is refused: {0}")]
    Host(#[source] HostError),
    /// The port is not a number from 0 to 65535.
    #[error("the URL's port is not a number up to 65535")]
    Port,
    /// Two `@` in the authority, or credentials that no server can be sent.
    #[error("the URL's user name or password has a character that must not be there")]
    UserInfo,
}

impl RequestUrl {
    /// Parses an absolute `http` or `https` URL; spaces around it are dropped.
    ///
    /// # Errors
    /// One of [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        Self::parse_served(text, &[])
    }

    /// As [`RequestUrl::parse`], and for schemes that modules serve besides.
    /// Their URLs are read by the same rules, so that a host means the same
    /// everywhere: WHATWG's would leave that of an unknown scheme opaque.
    ///
    /// # Errors
    /// One of [`UrlError`].
    pub fn parse_served(text: &str, served: &[ServedScheme]) -> Result<Self, UrlError> {
        check_text(text)?;
        let text = text.trim_matches(' ');
        let (scheme, after) = check_absolute(text, served)?;
        let (url, port) = match scheme {
            Scheme::Http | Scheme::Https => {
                let url = url::Url::parse(text).map_err(|why| from_url_error(why, text))?;
                let port = url.port();
                (url, port)
            }
            Scheme::Served(_) | Scheme::Udp => as_of_the_web(after, text)?,
        };
        let host = Host::from_url(url.host().ok_or(UrlError::NoHost)?).map_err(UrlError::Host)?;
        Ok(RequestUrl {
            target: Target {
                scheme,
                host,
                port: port.unwrap_or(scheme.default_port()),
            },
            path_and_query: path_and_query(&url)?,
            userinfo: userinfo(&url)?,
        })
    }

    /// Parses `udp://host:port`, by which people name where datagrams go. Nothing
    /// can be requested of it.
    ///
    /// # Errors
    /// One of [`UrlError`]; [`UrlError::Port`] where it names no port.
    pub fn parse_datagrams(text: &str) -> Result<Self, UrlError> {
        check_text(text)?;
        let text = text.trim_matches(' ');
        let after = check_datagrams(text)?;
        let (url, port) = as_of_the_web(after, text)?;
        let host = Host::from_url(url.host().ok_or(UrlError::NoHost)?).map_err(UrlError::Host)?;
        Ok(RequestUrl {
            target: Target {
                scheme: Scheme::Udp,
                host,
                port: port.ok_or(UrlError::Port)?,
            },
            path_and_query: "/".to_owned(),
            userinfo: None,
        })
    }

    /// Resolves a reference against this URL, as for `Location` (RFC 9110
    /// section 10.2.2, RFC 3986 section 5). Credentials are those of the
    /// reference alone; the fragment is dropped.
    ///
    /// # Errors
    /// One of [`UrlError`].
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        check_text(reference)?;
        let reference = reference.trim_matches(' ');
        let served = match &self.target.scheme {
            Scheme::Http | Scheme::Https | Scheme::Udp => &[][..],
            Scheme::Served(served) => std::slice::from_ref(served),
        };
        if split_scheme(reference).is_some() {
            return Self::parse_served(reference, served);
        }
        if reference.starts_with("//") {
            let absolute = format!("{}:{reference}", self.target.scheme);
            return Self::parse_served(&absolute, served);
        }
        // A module's under one whose paths are read; it is not looked at again.
        let base = match self.target.scheme {
            Scheme::Http | Scheme::Https => self.to_string(),
            Scheme::Served(_) | Scheme::Udp => {
                format!("http://{}{}", self.target.authority(), self.path_and_query)
            }
        };
        let url = url::Url::parse(&base)
            .and_then(|base| base.join(reference))
            .map_err(|why| from_url_error(why, reference))?;
        Ok(RequestUrl {
            target: self.target.clone(),
            path_and_query: path_and_query(&url)?,
            userinfo: None,
        })
    }
}

/// Without credentials. Parsing it again gives the same target and path.
impl fmt::Display for RequestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.target, self.path_and_query)
    }
}

impl std::str::FromStr for RequestUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

/// A module's URL, read as if it were of the web; and the port it names, also
/// where that is the web's own, which the reader drops.
fn as_of_the_web(after: &str, text: &str) -> Result<(url::Url, Option<u16>), UrlError> {
    let read = |scheme: &str| {
        url::Url::parse(&format!("{scheme}:{after}")).map_err(|why| from_url_error(why, text))
    };
    let (plain, secure) = (read("http")?, read("https")?);
    let port = plain.port().or(secure.port());
    Ok((plain, port))
}

/// Percent-encoding may have made it three times as long, so it is measured again.
fn path_and_query(url: &url::Url) -> Result<String, UrlError> {
    let mut text = url.path().to_owned();
    if let Some(query) = url.query() {
        text.push('?');
        text.push_str(query);
    }
    if url.as_str().len() > MAX_URL_BYTES {
        return Err(UrlError::TooLong);
    }
    match text.chars().find(|it| !it.is_ascii_graphic()) {
        Some(odd) => Err(UrlError::Control(odd)),
        None => Ok(text),
    }
}

fn userinfo(url: &url::Url) -> Result<Option<UserInfo>, UrlError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    decoded_user(url.username(), url.password().unwrap_or_default()).map(Some)
}

/// Reads `user[:password]`, as it stands before the `@` of an authority.
pub(crate) fn user_info_of(text: &str) -> Result<UserInfo, UrlError> {
    let (username, password) = text.split_once(':').unwrap_or((text, ""));
    decoded_user(username, password)
}

fn decoded_user(username: &str, password: &str) -> Result<UserInfo, UrlError> {
    let username = percent_decoded(username);
    let password = percent_decoded(password);
    let controls = username.iter().chain(&password).any(u8::is_ascii_control);
    if controls || username.contains(&b':') {
        return Err(UrlError::UserInfo);
    }
    Ok(UserInfo { username, password })
}

/// Decodes `%XX`; what is not that stays as it is (WHATWG URL section 1.3).
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = match tail {
            [high, low, after @ ..] if *first == b'%' => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (*first, tail),
            },
            _ => (*first, tail),
        };
        decoded.push(byte);
        rest = after;
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|it| u8::try_from(it).ok())
}

fn from_url_error(why: url::ParseError, text: &str) -> UrlError {
    match why {
        url::ParseError::InvalidPort => UrlError::Port,
        url::ParseError::Overflow => UrlError::TooLong,
        url::ParseError::RelativeUrlWithoutBase => UrlError::Relative,
        why => {
            let authority = text.split("//").nth(1).unwrap_or_default();
            let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority.rsplit('@').next().unwrap_or_default();
            let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
            UrlError::Host(host::from_url_error(why, host))
        }
    }
}
