//! Requests as they arrived, read with as little judgement as will do.

use std::io::{self, BufRead, Read};

/// Most bytes of a head or a line that are read; our client sends far less.
const MOST: u64 = 1 << 20;

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// As sent.
    pub method: String,
    /// As sent.
    pub target: String,
    /// Names in lower case, values trimmed, in order.
    pub fields: Vec<(String, String)>,
    /// Without its framing.
    pub content: Vec<u8>,
}

impl Request {
    /// The first value of a field, by its name in lower case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(it, _)| it == name)?;
        Some(&field.1)
    }

    /// Reads a head. `None` where the peer closed before one.
    pub(super) fn read_head(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let line = line(from)?;
        if line.is_empty() {
            return Ok(None);
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::Error::other(format!("not a request line: {line:?}")));
        };
        let mut fields = Vec::new();
        loop {
            let line = self::line(from)?;
            if line == "\r\n" {
                break;
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Some(Self {
            method,
            target,
            fields,
            content: Vec::new(),
        }))
    }

    /// Reads the content that the head announces.
    pub(super) fn read_content(&mut self, from: &mut impl BufRead) -> io::Result<()> {
        if self.field("transfer-encoding") == Some("chunked") {
            return self.read_chunks(from);
        }
        let length = self.field("content-length").unwrap_or("0");
        let length: u64 = length.parse().map_err(io::Error::other)?;
        from.take(length).read_to_end(&mut self.content)?;
        if self.content.len() as u64 == length {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn read_chunks(&mut self, from: &mut impl BufRead) -> io::Result<()> {
        loop {
            let size = line(from)?;
            let size = u64::from_str_radix(size.trim_end(), 16).map_err(io::Error::other)?;
            from.by_ref().take(size).read_to_end(&mut self.content)?;
            if line(from)? != "\r\n" {
                return Err(io::Error::other("a chunk without its end"));
            }
            if size == 0 {
                return Ok(());
            }
        }
    }
}

/// A line with its end; empty at the end of the stream.
fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.by_ref().take(MOST).read_line(&mut line)?;
    Ok(line)
}
