//! Every bound of the codec. Exceeding one is a typed error.

/// Most bytes of a head or a trailer section, the empty line included. What
/// Chromium allows; real heads stay far below.
pub const MAX_HEAD_BYTES: usize = 256 * 1024;

/// Most fields in a head or a trailer section, either way.
pub const MAX_FIELDS: usize = 256;

/// Most bytes of one line, its CRLF included: a status line, a field line, a
/// chunk-size line. What Chromium allows.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// Most informational responses in one exchange. A server that goes on telling
/// of its progress for ever must not keep the exchange alive for ever.
pub const MAX_INFORMATIONAL: usize = 16;

/// Most bytes of a request target: the bound on URLs.
pub const MAX_TARGET_BYTES: usize = 64 * 1024;

/// Most hexadecimal digits of a chunk size: those of a `u64`.
pub const MAX_CHUNK_SIZE_DIGITS: usize = 16;

/// Most bytes of a request line, its CRLF included: the longest target, and the
/// longest method that anybody means.
pub const MAX_REQUEST_LINE_BYTES: usize = MAX_TARGET_BYTES + 64;
