//! Why an exchange cannot go on, sorted by blame.

use crate::bounds::{MAX_FIELDS, MAX_HEAD_BYTES, MAX_INFORMATIONAL, MAX_LINE_BYTES};

/// Why an exchange cannot go on. The connection is of no use afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The peer broke the protocol.
    #[error("the peer broke HTTP/1.1: {0}")]
    Peer(#[from] Violation),
    /// The peer exceeded a bound.
    #[error("the peer exceeded a bound: {0}")]
    Limit(#[from] Limit),
    /// The peer closed too early.
    #[error("the peer closed the connection too early: {0}")]
    Truncated(#[from] Truncation),
    /// The caller asked for what cannot be done.
    #[error("{0}")]
    Misuse(#[from] Misuse),
}

/// Which rule the peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// RFC 9112 section 4.
    #[error("the status line is not one")]
    BadStatusLine,
    /// RFC 9112 section 2.3.
    #[error("the version is neither HTTP/1.0 nor HTTP/1.1")]
    BadVersion,
    /// RFC 9112 section 5, RFC 9110 section 5.5.
    #[error("a field line is malformed")]
    BadField,
    /// RFC 9112 section 2.2.
    #[error("a line ends in LF alone, or a CR stands alone")]
    BareLineEnding,
    /// RFC 9112 section 5.2.
    #[error("a field line starts with white space")]
    ObsoleteFolding,
    /// RFC 9110 section 5.5.
    #[error("there is a NUL in a head")]
    Nul,
    /// RFC 9110 section 8.6.
    #[error("content-length is not one number")]
    BadContentLength,
    /// RFC 9112 sections 6.1 and 6.3.
    #[error("the length of the content is ambiguous")]
    AmbiguousLength,
    /// RFC 9112 section 6.1.
    #[error("transfer-encoding is not a single chunked")]
    BadTransferEncoding,
    /// RFC 9112 section 7.1.
    #[error("a chunk-size line is malformed")]
    BadChunk,
    /// RFC 9112 section 7.1.
    #[error("a chunk is longer than its size")]
    BadChunkEnd,
    /// RFC 9110 section 6.5.1.
    #[error("a trailer field may not be one")]
    ForbiddenTrailer,
    /// RFC 9110 section 7.8.
    #[error("it switched protocols without being asked")]
    UnsolicitedUpgrade,
    /// RFC 9112 section 9.2.
    #[error("bytes arrived while no request was outstanding")]
    UnsolicitedBytes,
    /// RFC 9112 section 3.
    #[error("the request line is not one")]
    BadRequestLine,
    /// RFC 9112 section 3.2.
    #[error("the request target has none of the forms there are, or not its method's")]
    BadTarget,
    /// RFC 9112 section 3.2.
    #[error("there is not exactly one sound host field")]
    BadHost,
}

/// Which bound the peer exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// See [`MAX_HEAD_BYTES`]; less where less is preferred.
    #[error("a head or trailer section has more bytes than its bound")]
    HeadBytes,
    /// See [`MAX_FIELDS`]; less where less is preferred.
    #[error("a head or trailer section has more fields than its bound")]
    FieldCount,
    /// See [`MAX_LINE_BYTES`].
    #[error("a line is over {MAX_LINE_BYTES} bytes")]
    LineBytes,
    /// See [`MAX_INFORMATIONAL`].
    #[error("over {MAX_INFORMATIONAL} informational responses came")]
    InformationalCount,
}

/// Where the peer closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Truncation {
    /// Before the first byte of a response.
    #[error("before the message")]
    BeforeHead,
    /// Inside a head, or after an informational one.
    #[error("in the message's head")]
    InHead,
    /// Inside the payload or the chunk framing.
    #[error("in the message's content")]
    InPayload,
}

/// What the caller did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// A second request before the first one's end.
    #[error("a request was begun while another was under way: requests are not pipelined")]
    Pipelined,
    /// There is no exchange that the call could belong to.
    #[error("no exchange is under way")]
    NoExchange,
    /// An error came before, or the peer closed, or the last completion said not reusable.
    #[error("the connection is of no further use: open another")]
    ConnectionOver,
    /// Bytes were shown that are not the demanded piece.
    #[error("the bytes shown are not the piece that was demanded")]
    NotTheDemandedPiece,
    /// More payload was moved than demanded, or none was demanded.
    #[error("payload was moved that was not demanded")]
    UndemandedPayload,
    /// The method is not a token, or too long to be sent.
    #[error("the method is not a token")]
    BadMethod,
    /// `CONNECT` with content, or not with a host and a port.
    #[error("CONNECT is sent without content, and asks for host:port")]
    Connect,
    /// `TRACE` has no content (RFC 9110 section 9.3.8).
    #[error("a TRACE request cannot have content")]
    TraceContent,
    /// The target is not in origin-form or absolute-form, or not visible ASCII.
    #[error("the request target is neither a path nor an absolute URL in visible ASCII")]
    BadTarget,
    /// A target above the bound.
    #[error("the request target is over {} bytes", crate::bounds::MAX_TARGET_BYTES)]
    LongTarget,
    /// A field name is not a token. Fields are counted from 1.
    #[error("the name of request field {0} is not a token")]
    BadFieldName(usize),
    /// A field value has a control byte in it or white space around it.
    #[error("the value of request field {0} has a control byte in it or white space around it")]
    BadFieldValue(usize),
    /// A field that the codec sends itself.
    #[error("request field {0} tells how the content is framed, which the codec does itself")]
    FramingField(usize),
    /// A field that promises what this codec does not do: an upgrade,
    /// trailers, transfer codings.
    #[error("request field {0} offers an upgrade, a trailer or a transfer coding")]
    UnsupportedOffer(usize),
    /// RFC 9112 section 3.2.
    #[error("a request must have exactly one host field")]
    NotOneHost,
    /// More fields than the bound.
    #[error("a request has over {MAX_FIELDS} fields")]
    ManyFields,
    /// A head above the bound.
    #[error("a request head is over {MAX_HEAD_BYTES} bytes")]
    LongHead,
    /// A piece of payload of length 0, which in chunked coding would be the end.
    #[error("an empty piece of request payload was framed")]
    EmptyPiece,
    /// More payload than `content-length` said.
    #[error("more request payload came than was promised")]
    OverPromised,
    /// Less payload than `content-length` said.
    #[error("less request payload came than was promised")]
    UnderPromised,
    /// The request payload had ended.
    #[error("the request payload had ended")]
    PayloadEnded,
    /// A response that the request cannot have: a second one, 101 without an
    /// offer, a status out of range, content where there can be none.
    #[error("the request cannot have that response")]
    BadAnswer,
}
