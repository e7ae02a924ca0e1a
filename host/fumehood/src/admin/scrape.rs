//! `GET /metrics` over the admin socket, for collectors that speak HTTP:
//! `curl --unix-socket PATH http://localhost/metrics`.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::Engine;
use crate::metrics::CONTENT_TYPE;

/// How a line of HTTP begins that no line of JSON does.
const GET: &[u8] = b"GET ";

/// Whether a connection's first line is of HTTP.
pub(super) fn is_http(line: &[u8]) -> bool {
    line.starts_with(GET)
}

/// Reads the rest of the head, whose fields change nothing, and answers. The
/// caller bounds what `reader` gives, and closes.
pub(super) async fn answer(
    engine: &Engine,
    line: &[u8],
    reader: &mut (impl AsyncBufRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut field = Vec::new();
    while !matches!(&field[..], b"\r\n" | b"\n") {
        field.clear();
        if reader.read_until(b'\n', &mut field).await? == 0 {
            return Ok(());
        }
    }
    let path = line[GET.len()..].split(|byte| *byte == b' ').next();
    let (status, content) = match path {
        Some(b"/metrics") => ("200 OK", engine.status().await.to_prometheus()),
        _ => ("404 Not Found", "there is only /metrics here\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: {}\r\nconnection: \
         close\r\n\r\n",
        content.len()
    );
    writer.write_all(head.as_bytes()).await?;
    writer.write_all(content.as_bytes()).await
}
