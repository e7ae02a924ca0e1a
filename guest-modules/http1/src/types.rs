//! What crosses the boundary: the types of `fumehood:http1`, natively.

/// A field line (RFC 9110 section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// A token, as sent.
    pub name: String,
    /// Bytes without surrounding white space.
    pub value: Vec<u8>,
}

/// A field line, owned or lent: what is only written need not be copied first.
pub trait Line {
    /// A token.
    fn name(&self) -> &str;
    /// Bytes without surrounding white space.
    fn value(&self) -> &[u8];
}

impl Line for Field {
    fn name(&self) -> &str {
        &self.name
    }

    fn value(&self) -> &[u8] {
        &self.value
    }
}

/// Name and value, in the bytes they came in.
pub(crate) type Lent<'a> = (&'a str, &'a [u8]);

impl Line for Lent<'_> {
    fn name(&self) -> &str {
        self.0
    }

    fn value(&self) -> &[u8] {
        self.1
    }
}

/// How long the request's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadLength {
    /// There is no content.
    None,
    /// Exactly so many bytes follow; sent as `content-length`.
    Known(u64),
    /// Unknown until it ends; sent with `transfer-encoding: chunked`.
    Unknown,
}

/// What is wanted sent. The codec adds the framing field itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead<F = Field> {
    /// A token (RFC 9110 section 9.1), case-sensitive. `CONNECT` has no content.
    pub method: String,
    /// Origin-form or absolute-form, of `CONNECT` authority-form (RFC 9112
    /// section 3.2), visible ASCII, at
    /// most [`MAX_TARGET_BYTES`](crate::bounds::MAX_TARGET_BYTES).
    pub target: String,
    /// `host` among them, exactly once; sent in this order.
    pub fields: Vec<F>,
    /// How much content follows.
    pub payload: PayloadLength,
    /// Offers to go on as a WebSocket (RFC 6455 section 4.1); the codec adds
    /// `connection` and `upgrade` itself.
    pub upgrade: bool,
}

/// What is written around one piece of request payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayloadFrame {
    /// In front of it.
    pub before: Vec<u8>,
    /// Behind it.
    pub after: Vec<u8>,
}

/// A response's status line and fields (RFC 9112 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead<F = Field> {
    /// Minor version of HTTP/1: 0 or 1.
    pub minor_version: u8,
    /// 100–999. Those above 599 are outside the registry; a client treats them
    /// as 5xx (RFC 9110 section 15).
    pub status: u16,
    /// As sent, possibly empty.
    pub reason: Vec<u8>,
    /// In the order received, at most [`MAX_FIELDS`](crate::bounds::MAX_FIELDS).
    pub fields: Vec<F>,
}

/// The piece of the inbound stream that must come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Everything up to and including the first empty line, or so many bytes
    /// when that many have come without one.
    EmptyLine(u32),
    /// Everything up to and including so many LFs, under the same rule.
    Lines(LineDemand),
    /// So many bytes of content, which the codec must not see.
    Payload(u64),
    /// Content until the peer closes.
    PayloadUntilClose,
    /// Nothing; any byte is unsolicited.
    Nothing,
}

/// How many lines, and how long they may be together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineDemand {
    /// LFs to see.
    pub count: u32,
    /// Most bytes.
    pub at_most: u32,
}

/// Something the stream said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<F = Field> {
    /// A 1xx response other than 101.
    Informational(ResponseHead<F>),
    /// The final response's head.
    Head(ResponseHead<F>),
    /// Trailer fields; never empty.
    Trailers(Vec<F>),
    /// The exchange is over.
    Complete(Completion),
}

/// How an exchange left the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The connection can carry another request (RFC 9112 section 9.3).
    pub reusable: bool,
}

/// The outcome of a step: what was said, in stream order, and what must be seen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress<F = Field> {
    /// What was said.
    pub events: Vec<Event<F>>,
    /// What must be seen next.
    pub demand: Demand,
    /// With a demand for payload: the lines that may be shown right after it,
    /// which says that all of the payload has been moved.
    pub then: Option<LineDemand>,
}

/// What a request in the server's role asks for (RFC 9112 section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestTarget {
    /// CONNECT's authority-form: `host:port`, not looked into further.
    Authority(String),
    /// absolute-form, cut in two.
    Absolute {
        /// `scheme://host` or `scheme://host:port`, as sent and without userinfo.
        origin: String,
        /// What follows, beginning with `/`.
        path: String,
    },
    /// origin-form or asterisk-form: meant for the proxy itself.
    Local(String),
}

/// A request that came, as it may be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<F = Field> {
    /// A token, as sent.
    pub method: String,
    /// Minor version of HTTP/1: 0 or 1.
    pub minor_version: u8,
    /// What is asked for.
    pub target: RequestTarget,
    /// In the order received, without what concerns this connection alone,
    /// without framing and without `host`.
    pub fields: Vec<F>,
    /// How much content follows.
    pub payload: PayloadLength,
    /// The connection would be a WebSocket's (RFC 6455 section 4.1), if the
    /// server agrees.
    pub upgrade: bool,
    /// Who the client says it is, where it does so in the Basic scheme.
    pub login: Option<Login>,
}

/// User name and password (RFC 7617), for the proxy alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Without a colon.
    pub name: Vec<u8>,
    /// As sent.
    pub password: Vec<u8>,
}

/// Keeps them out of logs.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(..)")
    }
}

/// A response to be sent in the server's role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<F = Field> {
    /// 100–999.
    pub status: u16,
    /// May be empty.
    pub reason: Vec<u8>,
    /// As they came from the server. What concerns its connection alone is not sent.
    pub fields: Vec<F>,
    /// How much content follows.
    pub payload: PayloadLength,
    /// The connection ends with it.
    pub last: bool,
    /// It asks who the client is (RFC 9110 section 15.5.8): the field that says so
    /// is written here, as one of a server's would not be passed on.
    pub challenge: bool,
}

/// Something the client's stream said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEvent<F = Field> {
    /// A request's head. Payload may follow.
    Request(Request<F>),
    /// All of the request has come; trailers are dropped (RFC 9110 section 6.5.1).
    RequestEnd,
}

/// The outcome of a step in the server's role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerProgress<F = Field> {
    /// What was said.
    pub events: Vec<ServerEvent<F>>,
    /// What must be seen next.
    pub demand: Demand,
    /// As [`Progress::then`].
    pub then: Option<LineDemand>,
}

/// The end of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What is still to be sent.
    pub bytes: Vec<u8>,
    /// Another request may follow.
    pub persists: bool,
}
