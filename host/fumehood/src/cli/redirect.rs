//! Where a redirect leads, and what of the request goes along (RFC 9110 section 15.4).

use fumehood::policy::{RequestUrl, Scheme};
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE,
    HOST, PROXY_AUTHORIZATION,
};
use http::{HeaderMap, Method};

use super::exit::{Exit, Failed};

/// The next request of a chain.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) url: RequestUrl,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    /// The content is sent again.
    pub(crate) keeps_data: bool,
    /// From https to http.
    pub(crate) downgrades: bool,
    /// To another origin: credentials were left behind.
    pub(crate) leaves_origin: bool,
}

/// Whether a status with a `Location` leads elsewhere.
pub(crate) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Follows one redirect.
pub(crate) fn follow(
    status: u16,
    location: &[u8],
    from: &RequestUrl,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Next, Failed> {
    let unusable =
        |why: String| Failed::new(Exit::Url, format!("{from} redirects to nowhere: {why}"));
    let location =
        str::from_utf8(location).map_err(|_| unusable("its location is not text".to_owned()))?;
    let url = from.join(location).map_err(|e| unusable(e.to_string()))?;
    let method = next_method(status, method);
    let keeps_data = !matches!(method, Method::GET | Method::HEAD) || matches!(status, 307 | 308);
    let leaves_origin = url.target != from.target;
    let mut headers = headers.clone();
    if !keeps_data {
        for name in [
            CONTENT_TYPE,
            CONTENT_ENCODING,
            CONTENT_LANGUAGE,
            CONTENT_LOCATION,
        ] {
            headers.remove(name);
        }
    }
    if leaves_origin {
        for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, HOST] {
            headers.remove(name);
        }
    }
    let downgrades = from.target.scheme == Scheme::Https && url.target.scheme == Scheme::Http;
    Ok(Next {
        url,
        method,
        headers,
        keeps_data,
        downgrades,
        leaves_origin,
    })
}

/// 303 asks for a GET; 301 and 302 do so for POST alone, as all programs
/// read them; 307 and 308 change nothing.
fn next_method(status: u16, method: &Method) -> Method {
    match (status, method) {
        (303, &Method::HEAD) => Method::HEAD,
        (303, _) | (301 | 302, &Method::POST) => Method::GET,
        _ => method.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn url(text: &str) -> RequestUrl {
        RequestUrl::parse(text).unwrap()
    }

    fn secret_headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in [AUTHORIZATION, COOKIE, HOST, CONTENT_TYPE] {
            headers.insert(name, "x".parse().unwrap());
        }
        headers.insert("x-own", "kept".parse().unwrap());
        headers
    }

    fn hop(status: u16, location: &str, method: Method) -> Next {
        let from = url("https://a.example/dir/x");
        follow(
            status,
            location.as_bytes(),
            &from,
            &method,
            &secret_headers(),
        )
        .unwrap()
    }

    #[test]
    fn methods_change_as_rfc_9110_says() {
        let cases = [
            (301, Method::POST, Method::GET, false),
            (302, Method::POST, Method::GET, false),
            (302, Method::PUT, Method::PUT, true),
            (303, Method::PUT, Method::GET, false),
            (303, Method::HEAD, Method::HEAD, false),
            (307, Method::POST, Method::POST, true),
            (308, Method::GET, Method::GET, true),
        ];
        for (status, before, after, keeps) in cases {
            let next = hop(status, "/", before.clone());
            assert_eq!(
                (next.method, next.keeps_data),
                (after, keeps),
                "{status} {before}"
            );
        }
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        for elsewhere in [
            "https://b.example/",
            "https://a.example:444/",
            "http://a.example/",
            "//b.example",
        ] {
            let next = hop(307, elsewhere, Method::GET);
            assert!(next.leaves_origin, "{elsewhere}");
            assert!(!next.headers.contains_key(AUTHORIZATION), "{elsewhere}");
            assert!(!next.headers.contains_key(COOKIE), "{elsewhere}");
            assert!(!next.headers.contains_key(HOST), "{elsewhere}");
            assert_eq!(next.headers["x-own"], "kept");
        }
        let same = hop(307, "https://A.EXAMPLE:443/y", Method::GET);
        assert!(!same.leaves_origin);
        assert!(same.headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn dropped_content_takes_its_fields_along() {
        assert!(
            !hop(303, "/", Method::POST)
                .headers
                .contains_key(CONTENT_TYPE)
        );
        assert!(
            hop(307, "/", Method::POST)
                .headers
                .contains_key(CONTENT_TYPE)
        );
    }

    #[test]
    fn references_are_resolved_and_downgrades_noticed() {
        assert_eq!(
            hop(302, "y?z", Method::GET).url.to_string(),
            "https://a.example/dir/y?z"
        );
        assert!(hop(302, "http://a.example/", Method::GET).downgrades);
        assert!(!hop(302, "/", Method::GET).downgrades);
    }

    #[test]
    fn what_is_no_url_is_refused() {
        let from = url("https://a.example/");
        for bad in [
            &b"file:///etc/passwd"[..],
            b"\xff",
            b"javascript:1",
            b"http://a\r\n/",
            b"http://",
        ] {
            let error = follow(302, bad, &from, &Method::GET, &HeaderMap::new()).unwrap_err();
            assert_eq!(error.exit, Exit::Url, "{bad:?}");
        }
    }
}
