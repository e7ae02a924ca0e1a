//! From an `http` request to what the engine is asked.

use fumehood_control::Field;
use fumehood_policy::{Scheme, Target};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};

use crate::Error;
use crate::error::CallerError;

/// Most fields of a request; as many as a response may have.
const MAX_FIELDS: usize = 256;

/// The fields as they are sent: `host` first, whether given or not; the
/// framing fields are left to the codec, which derives them from the content.
pub(crate) fn fields(target: &Target, headers: &HeaderMap) -> Result<Vec<Field>, Error> {
    if headers.len() > MAX_FIELDS {
        return Err(refuse(format!(
            "it has {} fields, and at most {MAX_FIELDS} are sent",
            headers.len()
        )));
    }
    if let Some(coding) = headers.get(TRANSFER_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"chunked")
    {
        return Err(refuse(
            "no transfer coding but chunked is spoken".to_owned(),
        ));
    }
    let host = match headers.get(HOST) {
        Some(host) => host.as_bytes().to_vec(),
        None => target.authority().into_bytes(),
    };
    let host = Field {
        name: HOST.as_str().to_owned(),
        value: host,
    };
    // A driver is told the host apart, and may send no fields at all.
    let mut fields = match target.scheme {
        Scheme::Http | Scheme::Https => vec![host],
        Scheme::Served(_) | Scheme::Udp => Vec::new(),
    };
    for (name, value) in headers {
        if name == HOST || name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
            continue;
        }
        let value = value.as_bytes().trim_ascii().to_vec();
        fields.push(Field {
            name: name.as_str().to_owned(),
            value,
        });
    }
    Ok(fields)
}

fn refuse(why: String) -> Error {
    Error::Caller(CallerError::Request(why))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;
    use fumehood_policy::RequestUrl;

    fn sent(headers: &HeaderMap) -> Vec<(String, String)> {
        let url = RequestUrl::parse("https://example.com:8443/a").unwrap();
        let fields = fields(&url.target, headers).unwrap();
        fields
            .into_iter()
            .map(|f| (f.name, String::from_utf8(f.value).unwrap()))
            .collect()
    }

    #[test]
    fn host_comes_first_and_framing_is_left_to_the_codec() {
        let mut headers = HeaderMap::new();
        headers.append("accept", "*/*".parse().unwrap());
        headers.append("content-length", "7".parse().unwrap());
        headers.append("transfer-encoding", "chunked".parse().unwrap());
        headers.append("accept", "a/b".parse().unwrap());
        let want = [
            ("host", "example.com:8443"),
            ("accept", "*/*"),
            ("accept", "a/b"),
        ];
        assert_eq!(
            sent(&headers),
            want.map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn a_host_of_the_callers_own_is_kept() {
        let mut headers = HeaderMap::new();
        headers.append("host", "other.example".parse().unwrap());
        assert_eq!(
            sent(&headers),
            [("host".to_owned(), "other.example".to_owned())]
        );
    }

    #[test]
    fn other_codings_and_too_many_fields_are_refused() {
        let url = RequestUrl::parse("http://example.com/").unwrap();
        let mut headers = HeaderMap::new();
        headers.append("transfer-encoding", "gzip".parse().unwrap());
        assert!(fields(&url.target, &headers).is_err());
        let mut headers = HeaderMap::new();
        for _ in 0..=MAX_FIELDS {
            headers.append("a", "b".parse().unwrap());
        }
        assert!(fields(&url.target, &headers).is_err());
    }
}
