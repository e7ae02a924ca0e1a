//! What a call is about: a URL in parts, without what a script must not see.

use crate::bounds::MAX_URL_BYTES;

/// A URL in parts, as the host parsed it. Credentials and fragment have no
/// place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Lower case: `http`, `https`, `ftp`, `ws`, `wss` or another.
    pub scheme: &'a str,
    /// A name in ASCII or an IP address; IPv6 without brackets.
    pub host: &'a str,
    /// Where it is not the scheme's own.
    pub port: Option<u16>,
    /// Path and query, from the slash on. Not shown for `https` and `wss`.
    pub path: &'a str,
}

/// Why parts make no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not lower-case letters, digits, `+`, `-`, `.`.
    #[error("the scheme is none")]
    Scheme,
    /// Empty, or with characters that no host has.
    #[error("the host is none")]
    Host,
    /// Does not begin with a slash, or is not printable ASCII.
    #[error("the path is none")]
    Path,
    /// Longer than [`MAX_URL_BYTES`].
    #[error("the URL is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
}

impl Target<'_> {
    /// The URL that the script sees: for `https` and `wss` the path is `/`, as
    /// what follows the host is between the user and that host.
    pub(crate) fn shown(&self) -> Result<String, TargetError> {
        self.check()?;
        let mut url = String::with_capacity(self.host.len() + self.path.len() + 16);
        url.push_str(self.scheme);
        url.push_str("://");
        if self.host.contains(':') {
            url.push('[');
            url.push_str(self.host);
            url.push(']');
        } else {
            url.push_str(self.host);
        }
        if let Some(port) = self.port {
            url.push(':');
            url.push_str(&port.to_string());
        }
        url.push_str(match self.scheme {
            "https" | "wss" => "/",
            _ => self.path,
        });
        Ok(url)
    }

    fn check(&self) -> Result<(), TargetError> {
        if self.scheme.len() + self.host.len() + self.path.len() > MAX_URL_BYTES {
            return Err(TargetError::TooLong);
        }
        let scheme_char =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
        if !self.scheme.starts_with(|c: char| c.is_ascii_lowercase())
            || !self.scheme.bytes().all(scheme_char)
        {
            return Err(TargetError::Scheme);
        }
        let host_char = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\[]".contains(&byte);
        if self.host.is_empty() || !self.host.bytes().all(host_char) {
            return Err(TargetError::Host);
        }
        let path_char = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !self.path.starts_with('/') || !self.path.bytes().all(path_char) {
            return Err(TargetError::Path);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn shown(
        scheme: &str,
        host: &str,
        port: Option<u16>,
        path: &str,
    ) -> Result<String, TargetError> {
        Target {
            scheme,
            host,
            port,
            path,
        }
        .shown()
    }

    #[test]
    fn paths_of_https_stay_private() {
        assert_eq!(
            shown("https", "a.test", None, "/secret?token=1").unwrap(),
            "https://a.test/"
        );
        assert_eq!(
            shown("wss", "a.test", Some(8443), "/secret").unwrap(),
            "wss://a.test:8443/"
        );
        assert_eq!(
            shown("http", "::1", Some(80), "/x?y").unwrap(),
            "http://[::1]:80/x?y"
        );
    }

    #[test]
    fn parts_that_are_none_are_refused() {
        for (scheme, host, path, error) in [
            ("HTTP", "a", "/", TargetError::Scheme),
            ("", "a", "/", TargetError::Scheme),
            ("1a", "a", "/", TargetError::Scheme),
            ("http", "", "/", TargetError::Host),
            ("http", "user@a", "/", TargetError::Host),
            ("http", "a b", "/", TargetError::Host),
            ("http", "ä", "/", TargetError::Host),
            ("http", "a", "", TargetError::Path),
            ("http", "a", "x", TargetError::Path),
            ("http", "a", "/#x", TargetError::Path),
            ("http", "a", "/\n", TargetError::Path),
        ] {
            assert_eq!(
                shown(scheme, host, None, path),
                Err(error),
                "{scheme} {host} {path}"
            );
        }
        let long = format!("/{}", "x".repeat(MAX_URL_BYTES));
        assert_eq!(shown("http", "a", None, &long), Err(TargetError::TooLong));
    }
}
