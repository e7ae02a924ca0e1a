//! What is sent: `-d` and its kin, in the order of the command line.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use fumehood::Source;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::exit::{Exit, Failed};

/// Most data put together in memory, in bytes. A file given alone with
/// `--data-binary` is streamed, whatever its size.
const MAX_DATA_BYTES: u64 = 256 << 20;

/// All but the unreserved characters (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A request's content, which may be needed again for a redirect or a retry.
#[derive(Debug)]
pub(crate) enum Data {
    None,
    Bytes(Vec<u8>),
    File(PathBuf),
    /// Can be sent once.
    Stdin,
}

/// One option of the command line.
struct Piece {
    kind: Kind,
    value: OsString,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Form,
    Binary,
    Raw,
    Encoded,
}

const OPTIONS: [(&str, Kind); 4] = [
    ("data", Kind::Form),
    ("data_binary", Kind::Binary),
    ("data_raw", Kind::Raw),
    ("data_urlencode", Kind::Encoded),
];

impl Data {
    /// Reads what the options ask for.
    pub(crate) fn collect(matches: &ArgMatches) -> Result<Self, Failed> {
        let mut pieces = Vec::new();
        for (name, kind) in OPTIONS {
            let (Some(values), Some(indices)) =
                (matches.get_many::<OsString>(name), matches.indices_of(name))
            else {
                continue;
            };
            pieces.extend(indices.zip(values.map(|value| Piece {
                kind,
                value: value.clone(),
            })));
        }
        pieces.sort_by_key(|(index, _)| *index);
        let pieces: Vec<Piece> = pieces.into_iter().map(|(_, piece)| piece).collect();
        match &pieces[..] {
            [] => Ok(Data::None),
            [
                Piece {
                    kind: Kind::Binary,
                    value,
                },
            ] if value.as_bytes().starts_with(b"@") => match file_name(&value.as_bytes()[1..]) {
                None => Ok(Data::Stdin),
                Some(path) => Ok(Data::File(path.to_owned())),
            },
            pieces => Ok(Data::Bytes(join(pieces)?)),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Data::None)
    }

    /// Whether it can be sent once more.
    pub(crate) fn is_repeatable(&self) -> bool {
        !matches!(self, Data::Stdin)
    }

    /// Opens it for one exchange.
    pub(crate) fn open(&self) -> Result<Source, Failed> {
        match self {
            Data::None => Ok(Source::None),
            Data::Bytes(bytes) => Ok(Source::Bytes(bytes.clone())),
            Data::File(path) => {
                let wrong = |e: std::io::Error| read_error(path, &e);
                let file = File::open(path).map_err(wrong)?;
                let metadata = file.metadata().map_err(wrong)?;
                if metadata.is_dir() {
                    return Err(Failed::new(
                        Exit::Read,
                        format!("{} is a folder", path.display()),
                    ));
                }
                Ok(Source::Fd(
                    file.into(),
                    metadata.is_file().then_some(metadata.len()),
                ))
            }
            Data::Stdin => {
                let wrong = |e: std::io::Error| read_error(Path::new("-"), &e);
                let stdin = std::io::stdin()
                    .as_fd()
                    .try_clone_to_owned()
                    .map_err(wrong)?;
                Ok(Source::Fd(stdin, None))
            }
        }
    }
}

fn read_error(path: &Path, error: &std::io::Error) -> Failed {
    Failed::new(
        Exit::Read,
        format!("{} cannot be read: {error}", path.display()),
    )
}

/// `None` for `-`, standard input.
fn file_name(name: &[u8]) -> Option<&Path> {
    (name != b"-").then(|| Path::new(OsStr::from_bytes(name)))
}

fn read(name: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut content = Vec::new();
    let path = file_name(name);
    let read = match path {
        None => std::io::stdin()
            .lock()
            .take(MAX_DATA_BYTES + 1)
            .read_to_end(&mut content),
        Some(path) => File::open(path)
            .and_then(|file| file.take(MAX_DATA_BYTES + 1).read_to_end(&mut content)),
    };
    read.map_err(|e| read_error(path.unwrap_or(Path::new("-")), &e))?;
    Ok(content)
}

/// Pieces are joined by `&`, as forms are.
fn join(pieces: &[Piece]) -> Result<Vec<u8>, Failed> {
    let mut all = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            all.push(b'&');
        }
        all.extend(content(piece.kind, piece.value.as_bytes())?);
        if all.len() as u64 > MAX_DATA_BYTES {
            return Err(Failed::new(
                Exit::Usage,
                format!(
                    "over {} MiB of data; give one file alone with --data-binary @FILE to stream it",
                    MAX_DATA_BYTES >> 20
                ),
            ));
        }
    }
    Ok(all)
}

fn content(kind: Kind, value: &[u8]) -> Result<Vec<u8>, Failed> {
    match (kind, value) {
        (Kind::Form, [b'@', name @ ..]) => {
            let mut content = read(name)?;
            content.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
            Ok(content)
        }
        (Kind::Binary, [b'@', name @ ..]) => read(name),
        (Kind::Encoded, value) => encoded(value),
        (Kind::Form | Kind::Binary | Kind::Raw, value) => Ok(value.to_vec()),
    }
}

/// `CONTENT`, `=CONTENT`, `NAME=CONTENT`, `@FILE`, `NAME@FILE`.
fn encoded(value: &[u8]) -> Result<Vec<u8>, Failed> {
    let Some(at) = value.iter().position(|byte| matches!(byte, b'=' | b'@')) else {
        return Ok(percent(value));
    };
    let (name, content) = (&value[..at], &value[at + 1..]);
    let content = if value[at] == b'@' {
        read(content)?
    } else {
        content.to_vec()
    };
    let mut all = name.to_vec();
    if !name.is_empty() {
        all.push(b'=');
    }
    all.extend(percent(&content));
    Ok(all)
}

fn percent(bytes: &[u8]) -> Vec<u8> {
    percent_encode(bytes, RESERVED).to_string().into_bytes()
}

/// `-G`: puts data into a URL's query, before its fragment.
pub(crate) fn into_query(url: &str, data: &[u8]) -> Result<String, Failed> {
    let data = str::from_utf8(data).map_err(|_| {
        Failed::new(
            Exit::Usage,
            "-G: the data is not text; use --data-urlencode",
        )
    })?;
    let (url, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let joint = match url.find('?') {
        None => "?",
        Some(at) if at + 1 == url.len() => "",
        Some(_) => "&",
    };
    Ok(format!("{url}{joint}{data}{fragment}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn encode(value: &str) -> String {
        String::from_utf8(encoded(value.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn urlencode_knows_its_forms() {
        assert_eq!(encode("a b"), "a%20b");
        assert_eq!(encode("=a&b"), "a%26b");
        assert_eq!(encode("name=ä/~"), "name=%C3%A4%2F~");
        assert_eq!(encode("name@/dev/null"), "name=");
    }

    #[test]
    fn a_form_file_loses_its_line_ends_and_a_binary_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        std::fs::write(&path, "a\r\nb\0\n").unwrap();
        let at = format!("@{}", path.display());
        assert_eq!(content(Kind::Form, at.as_bytes()).unwrap(), b"ab");
        assert_eq!(content(Kind::Binary, at.as_bytes()).unwrap(), b"a\r\nb\0\n");
        assert_eq!(content(Kind::Raw, b"@x").unwrap(), b"@x");
        assert_eq!(
            content(Kind::Form, b"@/nowhere/at/all").unwrap_err().exit,
            Exit::Read
        );
    }

    #[test]
    fn a_query_goes_before_the_fragment() {
        assert_eq!(into_query("http://a/b", b"x=1").unwrap(), "http://a/b?x=1");
        assert_eq!(
            into_query("http://a/b?y#f", b"x=1").unwrap(),
            "http://a/b?y&x=1#f"
        );
        assert_eq!(into_query("http://a/?", b"x").unwrap(), "http://a/?x");
        assert!(into_query("http://a/", b"\xff").is_err());
    }
}
