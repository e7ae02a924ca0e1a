//! Under what terms a target is asked for: by whom, how, and how far.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::AddressSpace;

/// Longest method, in bytes. The longest registered one has 17.
pub const MAX_METHOD_BYTES: usize = 32;

/// Longest name of a client, in bytes; it goes into every grant and log line.
pub const MAX_CLIENT_BYTES: usize = 64;

/// What beside the target a decision looks at. The default knows nothing of
/// who asks and how, so rules that deny some methods apply to it, and rules
/// that allow some do not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// The request's method, where it is known.
    pub method: Option<Method>,
    /// Which part of the embedder asks, where it has said.
    pub client: Option<ClientName>,
    /// Address spaces that are not excluded from the start, as by a grant.
    /// The policy's own checks of addresses come on top.
    pub spaces: Spaces,
    /// Whoever had to be asked ([`crate::Effect::Ask`]) has said yes.
    pub confirmed: bool,
}

/// A request method, in upper case: a token of at most [`MAX_METHOD_BYTES`]
/// (RFC 9110 section 9.1). Methods have case, but no rule means `post` and not
/// `POST`, so both are one here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Method(String);

/// The name of a part of the embedder, as rules know it: 1 to
/// [`MAX_CLIENT_BYTES`] of `a-z`, `0-9`, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientName(String);

/// Why a method or a client's name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Not a token, or too long.
    #[error("a method is a token of at most {MAX_METHOD_BYTES} bytes, such as GET")]
    Method,
    /// Another character, empty, or too long.
    #[error("a client's name is 1 to {MAX_CLIENT_BYTES} of a-z, 0-9, \"-\", \"_\" and \".\"")]
    Client,
    /// None of the three.
    #[error("an address space is \"public\", \"local\" or \"loopback\"")]
    Space,
}

impl Method {
    /// Its text, in upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Method {
    type Err = TermsError;

    fn from_str(text: &str) -> Result<Self, TermsError> {
        let token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
        let fits = (1..=MAX_METHOD_BYTES).contains(&text.len());
        match fits && text.bytes().all(token) {
            true => Ok(Method(text.to_ascii_uppercase())),
            false => Err(TermsError::Method),
        }
    }
}

impl TryFrom<String> for Method {
    type Error = TermsError;

    fn try_from(text: String) -> Result<Self, TermsError> {
        text.parse()
    }
}

impl From<Method> for String {
    fn from(method: Method) -> Self {
        method.0
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ClientName {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientName {
    type Err = TermsError;

    fn from_str(text: &str) -> Result<Self, TermsError> {
        let good = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"-_.".contains(&it);
        let fits = (1..=MAX_CLIENT_BYTES).contains(&text.len());
        match fits && text.bytes().all(good) {
            true => Ok(ClientName(text.to_owned())),
            false => Err(TermsError::Client),
        }
    }
}

impl TryFrom<String> for ClientName {
    type Error = TermsError;

    fn try_from(text: String) -> Result<Self, TermsError> {
        text.parse()
    }
}

impl From<ClientName> for String {
    fn from(client: ClientName) -> Self {
        client.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of address spaces. The default is all of them;
/// [`AddressSpace::Forbidden`] is dialled whatever a set says, never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spaces(u8);

impl Spaces {
    /// Every space.
    pub const ALL: Spaces = Spaces(u8::MAX);

    /// The names of those that can be dialled, as people write them.
    pub const NAMES: [(&'static str, AddressSpace); 3] = [
        ("public", AddressSpace::Public),
        ("local", AddressSpace::Local),
        ("loopback", AddressSpace::Loopback),
    ];

    /// Exactly these.
    #[must_use]
    pub fn of(spaces: &[AddressSpace]) -> Self {
        Spaces(spaces.iter().fold(0, |bits, it| bits | bit(*it)))
    }

    /// Whether a space is among them.
    #[must_use]
    pub fn contains(self, space: AddressSpace) -> bool {
        self.0 & bit(space) != 0
    }

    /// Whether there is no space that can be dialled that it leaves out.
    #[must_use]
    pub fn is_all(self) -> bool {
        Self::NAMES.iter().all(|(_, space)| self.contains(*space))
    }

    /// Those in both.
    #[must_use]
    pub fn and(self, other: Spaces) -> Spaces {
        Spaces(self.0 & other.0)
    }
}

impl Default for Spaces {
    fn default() -> Self {
        Spaces::ALL
    }
}

/// `public, local`.
impl fmt::Display for Spaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES
            .iter()
            .filter(|(_, space)| self.contains(*space));
        for (at, (name, _)) in named.enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{name}")?;
        }
        Ok(())
    }
}

fn bit(space: AddressSpace) -> u8 {
    match space {
        AddressSpace::Public => 1,
        AddressSpace::Local => 2,
        AddressSpace::Loopback => 4,
        AddressSpace::Forbidden => 8,
    }
}

impl AddressSpace {
    /// Its name in the policy file, JSON and logs; never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AddressSpace::Public => "public",
            AddressSpace::Local => "local",
            AddressSpace::Loopback => "loopback",
            AddressSpace::Forbidden => "forbidden",
        }
    }
}

impl FromStr for AddressSpace {
    type Err = TermsError;

    /// One that can be dialled.
    fn from_str(text: &str) -> Result<Self, TermsError> {
        let found = Spaces::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, space)| *space).ok_or(TermsError::Space)
    }
}
