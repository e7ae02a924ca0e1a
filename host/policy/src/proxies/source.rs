//! Where a PAC script comes from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{RequestUrl, UrlError};

/// Longest `data:` URL of a script, in bytes: 1 MiB, base64-encoded.
pub const MAX_DATA_BYTES: usize = 1_400_000;

/// Where a PAC script comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum PacSource {
    /// A file of this machine.
    File(PathBuf),
    /// A server, over http or https.
    Url(RequestUrl),
    /// It stood in a `data:` URL (RFC 2397).
    Data(Vec<u8>),
}

/// Why a source was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The URL was refused.
    #[error("the script's URL is refused: {0}")]
    Url(#[from] UrlError),
    /// Not `data:[TYPE][;base64],CONTENT`, or its content does not decode.
    #[error("the script's data: URL is not of the form data:[TYPE][;base64],CONTENT")]
    Data,
    /// Over [`MAX_DATA_BYTES`].
    #[error("the script's data: URL is longer than {MAX_DATA_BYTES} bytes")]
    DataTooLong,
    /// A `file:` URL of another machine, or without an absolute path.
    #[error("the script's file: URL is not of the form file:///PATH")]
    File,
}

impl FromStr for PacSource {
    type Err = SourceError;

    /// Reads an http, https, `data:` or `file:` URL; all else is a path.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        let is = |scheme: &str| {
            let start = text.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        if is("data:") {
            return data(&text["data:".len()..]).map(PacSource::Data);
        }
        if is("http:") || is("https:") {
            return Ok(PacSource::Url(RequestUrl::parse(text)?));
        }
        if is("file:") {
            let rest = &text["file:".len()..];
            let path = rest.strip_prefix("//localhost").unwrap_or(rest);
            let path = path.strip_prefix("//").unwrap_or(path);
            let absolute = path.starts_with('/') && !path.starts_with("//");
            let path = absolute.then(|| percent_decoded(path)).flatten();
            let path = path.and_then(|it| String::from_utf8(it).ok());
            return path
                .map(|it| PacSource::File(it.into()))
                .ok_or(SourceError::File);
        }
        Ok(PacSource::File(text.into()))
    }
}

/// Without the script itself.
impl fmt::Display for PacSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PacSource::File(path) => path.display().fmt(f),
            PacSource::Url(url) => url.fmt(f),
            PacSource::Data(bytes) => write!(f, "a data: URL of {} bytes", bytes.len()),
        }
    }
}

impl fmt::Debug for PacSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PacSource({self})")
    }
}

/// What follows `data:`.
fn data(text: &str) -> Result<Vec<u8>, SourceError> {
    if text.len() > MAX_DATA_BYTES {
        return Err(SourceError::DataTooLong);
    }
    let (kind, content) = text.split_once(',').ok_or(SourceError::Data)?;
    let content = percent_decoded(content).ok_or(SourceError::Data)?;
    let last = kind.rsplit(';').next().unwrap_or_default();
    match last.trim().eq_ignore_ascii_case("base64") {
        true => STANDARD.decode(content).map_err(|_| SourceError::Data),
        false => Ok(content),
    }
}

/// `None` where a percent sign begins nothing.
fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            byte => byte,
        });
    }
    Some(decoded)
}
