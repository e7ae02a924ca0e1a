//! Continuing a download where it stopped (RFC 9110 section 14).

use http::header::{CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderValue};

use super::exit::{Exit, Failed};

/// What a response means to a download that continues at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The rest follows.
    Rest,
    /// There is no rest: the file is whole already.
    Whole,
    /// Some other status, to be treated as always.
    Other,
}

/// Where to continue: `-` is the size of what is there already.
pub(crate) fn offset(option: &str, size: u64) -> Result<u64, Failed> {
    if option == "-" {
        return Ok(size);
    }
    option.parse().map_err(|_| {
        Failed::new(
            Exit::Usage,
            format!("-C {option}: not \"-\" and not a byte offset"),
        )
    })
}

/// Asks for the bytes from `offset` on.
pub(crate) fn ask(headers: &mut HeaderMap, offset: u64) -> Result<(), Failed> {
    let value = HeaderValue::from_str(&format!("bytes={offset}-"))
        .map_err(|e| Failed::new(Exit::Usage, e.to_string()))?;
    headers.insert(RANGE, value);
    Ok(())
}

/// Reads the answer to a request for the bytes from `offset` on.
pub(crate) fn judge(status: u16, headers: &HeaderMap, offset: u64) -> Result<Answer, Failed> {
    let range = headers
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    match status {
        206 => match range.and_then(first_byte) {
            Some(first) if first == offset => Ok(Answer::Rest),
            _ => Err(Failed::new(
                Exit::Range,
                format!("the server sends another part than the one from byte {offset} on"),
            )),
        },
        // Nothing was there to continue, so all of it is the rest.
        200..=299 if offset == 0 => Ok(Answer::Rest),
        200..=299 => Err(Failed::new(
            Exit::Range,
            "the server does not resume downloads; fetch it again without -C",
        )),
        416 if range.and_then(complete_length) == Some(offset) => Ok(Answer::Whole),
        416 => Err(Failed::new(
            Exit::Range,
            format!(
                "the server has nothing from byte {offset} on: the file is another, or longer than its own"
            ),
        )),
        _ => Ok(Answer::Other),
    }
}

/// Of `bytes 5-9/10`.
fn first_byte(range: &str) -> Option<u64> {
    range
        .strip_prefix("bytes ")?
        .split_once('-')?
        .0
        .parse()
        .ok()
}

/// Of `bytes */10`.
fn complete_length(range: &str) -> Option<u64> {
    range.strip_prefix("bytes */")?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn answer(status: u16, range: Option<&str>, offset: u64) -> Result<Answer, Exit> {
        let mut headers = HeaderMap::new();
        if let Some(range) = range {
            headers.insert(CONTENT_RANGE, range.parse().unwrap());
        }
        judge(status, &headers, offset).map_err(|failed| failed.exit)
    }

    #[test]
    fn only_the_part_asked_for_is_appended() {
        assert_eq!(answer(206, Some("bytes 5-9/10"), 5), Ok(Answer::Rest));
        assert_eq!(answer(206, Some("bytes 5-9/*"), 5), Ok(Answer::Rest));
        assert_eq!(answer(206, Some("bytes 0-9/10"), 5), Err(Exit::Range));
        assert_eq!(answer(206, None, 5), Err(Exit::Range));
        assert_eq!(answer(206, Some("bytes x-9/10"), 5), Err(Exit::Range));
    }

    #[test]
    fn a_server_that_sends_all_is_not_appended() {
        assert_eq!(answer(200, None, 5), Err(Exit::Range));
        assert_eq!(answer(200, None, 0), Ok(Answer::Rest));
    }

    #[test]
    fn a_file_that_is_whole_is_left_alone() {
        assert_eq!(answer(416, Some("bytes */5"), 5), Ok(Answer::Whole));
        assert_eq!(answer(416, Some("bytes */4"), 5), Err(Exit::Range));
        assert_eq!(answer(416, None, 5), Err(Exit::Range));
        assert_eq!(answer(404, None, 5), Ok(Answer::Other));
    }

    #[test]
    fn offsets_are_sizes_or_numbers() {
        assert_eq!(offset("-", 7).unwrap(), 7);
        assert_eq!(offset("3", 7).unwrap(), 3);
        assert!(offset("x", 7).is_err());
    }
}
