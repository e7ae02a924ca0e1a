//! What a script is asked about: a URL, parsed once, in the parts it may see.

use fumehood_control::PacTarget;
use fumehood_policy::{Host, RequestUrl, ServedScheme, Transport, UrlError};

/// Schemes that are read as the web's, which they are but for the name.
const OF_THE_WEB: [(&str, &str); 2] = [("ws", "http"), ("wss", "https")];

/// Another that programs ask scripts about, with its port.
const FTP: (&str, u16) = ("ftp", 21);

/// The parts of a URL. What https and wss keep between the user and the server
/// does not leave this process; credentials and fragments never do.
///
/// # Errors
/// One of [`UrlError`].
pub(super) fn parse(text: &str) -> Result<PacTarget, UrlError> {
    let text = text.trim_matches(' ');
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    let mut of_the_web = OF_THE_WEB.into_iter();
    if let Some((name, like)) = of_the_web.find(|(name, _)| scheme.eq_ignore_ascii_case(name)) {
        let url = RequestUrl::parse(&format!("{like}:{rest}"))?;
        let scheme = name.to_owned();
        return Ok(PacTarget {
            scheme,
            ..of_url(&url)
        });
    }
    // A scheme by its form, which is all that can be wrong.
    let ftp = ServedScheme::new(FTP.0, FTP.1, Transport::Tcp).ok();
    Ok(of_url(&RequestUrl::parse_served(text, ftp.as_slice())?))
}

fn of_url(url: &RequestUrl) -> PacTarget {
    let target = &url.target;
    let scheme = target.scheme.name().to_owned();
    let path = match scheme.as_str() {
        "https" => "/".to_owned(),
        _ => url.path_and_query.clone(),
    };
    PacTarget {
        host: match &target.host {
            Host::Name(name) => name.to_string(),
            Host::V4(it) => it.to_string(),
            Host::V6(it) => it.to_string(),
        },
        port: (target.port != target.scheme.default_port()).then_some(target.port),
        scheme,
        path,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn urls_are_cut_to_what_scripts_may_see() {
        for (text, scheme, host, port, path) in [
            ("http://A.Test/x?y#z", "http", "a.test", None, "/x?y"),
            ("https://u:p@a.test/secret?s", "https", "a.test", None, "/"),
            ("https://a.test:8443/x", "https", "a.test", Some(8443), "/"),
            ("wss://a.test:443/x", "wss", "a.test", None, "/"),
            ("ws://[2001:DB8::1]/x", "ws", "2001:db8::1", None, "/x"),
            ("ftp://a.test/x", "ftp", "a.test", None, "/x"),
            ("ftp://a.test:80/x", "ftp", "a.test", Some(80), "/x"),
        ] {
            let target = parse(text).unwrap();
            assert_eq!(
                (&*target.scheme, &*target.host, target.port, &*target.path),
                (scheme, host, port, path),
                "{text}"
            );
        }
        for text in ["", "a.test", "file:///etc/passwd", "http://", "http://a b/"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
