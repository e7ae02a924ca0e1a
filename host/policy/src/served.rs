//! Schemes that a module serves: a name and a port, learnt at run time. And the
//! names of schemes, as rules have them before anybody serves them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Scheme;

/// Longest name of such a scheme, in bytes. The longest in the IANA registry
/// that names a protocol of its own is shorter.
pub const MAX_SCHEME_BYTES: usize = 16;

/// Names that no module may take: those the host itself gives a meaning, and
/// those that never mean a network.
const RESERVED: [&str; 11] = [
    "about",
    "blob",
    "data",
    "file",
    "http",
    "https",
    "javascript",
    "mailto",
    "udp",
    "ws",
    "wss",
];

/// What a driver speaks over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Transport {
    /// A stream.
    Tcp,
    /// Datagrams, to and from one address.
    Udp,
}

/// A scheme that a driver module serves, with the port that a URL means when
/// it names none, and what that is a port of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct ServedScheme {
    /// Padded with zeros.
    name: [u8; MAX_SCHEME_BYTES],
    port: u16,
    transport: Transport,
}

/// The name of a scheme in a rule: `http`, `https`, `udp`, or one that a module
/// may serve, whether or not one does. In lower case; any case is read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SchemeName {
    /// Padded with zeros.
    name: [u8; MAX_SCHEME_BYTES],
}

/// As it travels; checked anew on arrival.
type Parts = (String, u16, Transport);

/// Why a name is no scheme that a module may serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    /// Not in the form of RFC 3986 section 3.1, in lower case, or too long.
    #[error(
        "a scheme begins with a-z, goes on with a-z, 0-9, \"+\", \"-\" or \".\", and has at most \
         {MAX_SCHEME_BYTES} characters"
    )]
    Name,
    /// The name has a meaning already.
    #[error("the scheme {0} is no module's to serve")]
    Reserved(String),
    /// Port 0 cannot be dialled.
    #[error("a scheme's port is from 1 to 65535")]
    Port,
}

impl ServedScheme {
    /// From its parts.
    ///
    /// # Errors
    /// [`SchemeError`]
    pub fn new(name: &str, port: u16, transport: Transport) -> Result<Self, SchemeError> {
        let padded = padded(name)?;
        if RESERVED.contains(&name) {
            return Err(SchemeError::Reserved(name.to_owned()));
        }
        if port == 0 {
            return Err(SchemeError::Port);
        }
        Ok(ServedScheme {
            name: padded,
            port,
            transport,
        })
    }

    /// As it stands in a URL.
    #[must_use]
    pub fn name(&self) -> &str {
        unpadded(&self.name)
    }

    /// The port where a URL names none.
    #[must_use]
    pub fn default_port(&self) -> u16 {
        self.port
    }

    /// What it is spoken over.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }
}

impl SchemeName {
    /// As it stands in a URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        unpadded(&self.name)
    }

    /// Whether it is that scheme's, whoever serves it and on which port.
    #[must_use]
    pub fn names(&self, scheme: &Scheme) -> bool {
        self.as_str() == scheme.name()
    }
}

impl From<Scheme> for SchemeName {
    fn from(scheme: Scheme) -> Self {
        // Those of the host fit, and others were checked when they were made.
        let name = padded(scheme.name()).unwrap_or_default();
        SchemeName { name }
    }
}

impl FromStr for SchemeName {
    type Err = SchemeError;

    fn from_str(text: &str) -> Result<Self, SchemeError> {
        let text = text.to_ascii_lowercase();
        let name = padded(&text)?;
        let spoken = Scheme::from_name(&text).is_some() || text == Scheme::Udp.name();
        match RESERVED.contains(&&*text) && !spoken {
            true => Err(SchemeError::Reserved(text)),
            false => Ok(SchemeName { name }),
        }
    }
}

impl TryFrom<String> for SchemeName {
    type Error = SchemeError;

    fn try_from(text: String) -> Result<Self, SchemeError> {
        text.parse()
    }
}

impl From<SchemeName> for String {
    fn from(name: SchemeName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for SchemeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SchemeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SchemeName({self})")
    }
}

/// A name in the form of RFC 3986 section 3.1, in lower case.
fn padded(name: &str) -> Result<[u8; MAX_SCHEME_BYTES], SchemeError> {
    let begins_well = name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    let goes_on =
        |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, b'+' | b'-' | b'.');
    if !begins_well || !name.bytes().all(goes_on) || name.len() > MAX_SCHEME_BYTES {
        return Err(SchemeError::Name);
    }
    let mut padded = [0; MAX_SCHEME_BYTES];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    Ok(padded)
}

fn unpadded(name: &[u8; MAX_SCHEME_BYTES]) -> &str {
    let length = name.iter().take_while(|it| **it != 0).count();
    // It was made of a `str`, of which all was ASCII.
    std::str::from_utf8(&name[..length]).unwrap_or_default()
}

impl fmt::Debug for ServedScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ServedScheme({}, {}, {:?})",
            self.name(),
            self.port,
            self.transport
        )
    }
}

impl TryFrom<Parts> for ServedScheme {
    type Error = SchemeError;

    fn try_from((name, port, transport): Parts) -> Result<Self, SchemeError> {
        ServedScheme::new(&name, port, transport)
    }
}

impl From<ServedScheme> for Parts {
    fn from(scheme: ServedScheme) -> Self {
        (scheme.name().to_owned(), scheme.port, scheme.transport)
    }
}
