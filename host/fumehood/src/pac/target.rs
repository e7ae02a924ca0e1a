//! What a script is asked about: a URL, parsed once, in the parts it may see.

use fumehood_control::PacTarget;
use fumehood_policy::{Host, RequestUrl, ServedScheme, Transport, UrlError};

/// Schemes beside http and https that programs ask scripts about, with their ports.
const OTHERS: [(&str, u16); 3] = [("ws", 80), ("wss", 443), ("ftp", 21)];

/// The parts of a URL. What https and wss keep between the user and the server
/// does not leave this process; credentials and fragments never do.
///
/// # Errors
/// One of [`UrlError`].
pub(super) fn parse(text: &str) -> Result<PacTarget, UrlError> {
    let others = OTHERS.into_iter().filter_map(|(name, port)| {
        // They are schemes by their form, which is all that can be wrong.
        ServedScheme::new(name, port, Transport::Tcp).ok()
    });
    let others: Vec<ServedScheme> = others.collect();
    Ok(of_url(&RequestUrl::parse_served(text, &others)?))
}

fn of_url(url: &RequestUrl) -> PacTarget {
    let target = &url.target;
    let scheme = target.scheme.name().to_owned();
    let path = match scheme.as_str() {
        "https" | "wss" => "/".to_owned(),
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
