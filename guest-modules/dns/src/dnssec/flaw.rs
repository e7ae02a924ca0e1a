//! What keeps a reply from being believed.

use std::fmt;

use hickory_proto::rr::{Name, RecordType as Code};

use crate::names::text;

/// Records by name and type, as people write them: `www.example.com A`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct What(String);

impl What {
    pub(crate) fn new(name: &Name, code: u16) -> Self {
        What(format!("{} {}", text(name), Code::from(code)))
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a reply is bogus (RFC 4033 section 5). Each names the records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("{0} is in a signed zone, and its signature is missing")]
    Unsigned(What),
    #[error("{what} is signed in the name of {signer}, which is not its zone")]
    WrongSigner { what: What, signer: String },
    #[error("{0} is signed with none of its zone's keys")]
    NoKey(What),
    #[error("the signature of {0} has expired")]
    Expired(What),
    #[error("the signature of {0} is not valid yet")]
    NotYetValid(What),
    #[error("the signature of {0} is wrong")]
    BadSignature(What),
    #[error("none of the keys of {0} is the one that its parent or a trust anchor names")]
    Untrusted(String),
    #[error("{0} has more keys than are looked at")]
    TooManyKeys(String),
    #[error("nothing signed shows that there is no {0}")]
    NotDenied(What),
    #[error("{0} comes of a wildcard, and nothing signed shows that the name itself is not there")]
    Expanded(What),
    #[error("{0} breaks the format")]
    Malformed(What),
    #[error("checking it takes more work than one answer may")]
    TooMuchWork,
}
