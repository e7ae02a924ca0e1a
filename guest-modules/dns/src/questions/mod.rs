//! Questions of a confined program: read, and answered. Nothing is kept between.
//!
//! It is a server's side of the protocol (RFC 1035, 6891, 7766), of one that
//! only passes on what others found. What is asked is anybody's bytes; a reply
//! is at most as long as its carrier may have it, and is to be sent to nobody
//! but who asked.

mod reply;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType as Code};

use crate::message::check_counts;
use crate::names;
use reply::{Reply, bare};

/// Bytes of a message's header (RFC 1035 section 4.1.1).
const HEADER_BYTES: usize = 12;

/// Bytes of length before each message of a stream.
const LENGTH_BYTES: usize = 2;

/// Types that are no types of records (RFC 6895 section 3.1): transfers, `ANY`
/// and the like. Nothing is known of them here.
const META_TYPES: std::ops::RangeInclusive<u16> = 128..=255;

/// The only version of EDNS (RFC 6891 section 6.1.3).
const EDNS_VERSION: u8 = 0;

/// What carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// It is one datagram.
    Datagram,
    /// One of several on a stream, each with its length before.
    Stream,
}

/// What is asked of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// Type A.
    Ipv4,
    /// Type AAAA.
    Ipv6,
    /// Another type.
    Other,
}

/// A question that the host has to decide about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Lower case, without the trailing dot except for the root; bytes that no
    /// host name has as `\DDD`.
    pub name: String,
    /// What of it.
    pub sought: Sought,
}

/// What a message turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A question.
    Question(Asked),
    /// This is to be sent, whatever the policy.
    Reply(Vec<u8>),
    /// Nothing is to be sent.
    Nothing,
}

/// What becomes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Aliases in order, addresses, and for how many seconds they hold.
    Found {
        /// Those that were followed.
        aliases: Vec<String>,
        /// Those of another family than was asked for are left out.
        addresses: Vec<std::net::IpAddr>,
        /// In seconds.
        ttl_s: u32,
    },
    /// The name exists, without a record of the type.
    NoSuchRecord,
    /// The name does not exist.
    NoSuchName,
    /// The policy is against it; why, in a few words.
    Refused(String),
    /// Nothing came of it.
    Failed,
}

/// How many bytes more a stream must show before this is a whole message.
#[must_use]
pub fn missing(received: &[u8]) -> usize {
    let whole = match received.first_chunk::<LENGTH_BYTES>() {
        Some(length) => LENGTH_BYTES + usize::from(u16::from_be_bytes(*length)),
        None => LENGTH_BYTES,
    };
    whole.saturating_sub(received.len())
}

/// Reads a message.
#[must_use]
pub fn read(message: &[u8], carrier: Carrier) -> Reading {
    match Question::parse(message, carrier) {
        Ok(question) => Reading::Question(question.asked()),
        Err(Flaw::NoQuestion) => Reading::Nothing,
        Err(Flaw::Answered(reply)) => Reading::Reply(reply),
    }
}

/// What is to be sent; nothing where the message is no question.
#[must_use]
pub fn answer(message: &[u8], carrier: Carrier, verdict: &Verdict) -> Vec<u8> {
    match Question::parse(message, carrier) {
        Ok(question) => Reply::of(&question, verdict).encode(&question, carrier),
        Err(_) => Vec::new(),
    }
}

/// Why there is nothing to decide about.
enum Flaw {
    /// Whoever sent it waits for no answer, or cannot be told from who does not.
    NoQuestion,
    /// It gets this and no other answer.
    Answered(Vec<u8>),
}

/// A question as it came.
pub(crate) struct Question {
    pub(crate) id: u16,
    pub(crate) recursion_desired: bool,
    pub(crate) checking_disabled: bool,
    pub(crate) query: Query,
    pub(crate) edns: Option<Edns>,
}

impl Question {
    fn parse(message: &[u8], carrier: Carrier) -> Result<Question, Flaw> {
        let message = content(message, carrier).ok_or(Flaw::NoQuestion)?;
        let Some((header, rest)) = message.split_first_chunk::<HEADER_BYTES>() else {
            return Err(Flaw::NoQuestion);
        };
        // Answering answers would have two servers talk forever.
        if header[2] & 0x80 != 0 {
            return Err(Flaw::NoQuestion);
        }
        let stop = |code| Err(Flaw::Answered(bare(header, code, carrier)));
        // Four bits that say what is wanted: 0 is a question.
        if header[2] & 0x78 != 0 {
            return stop(ResponseCode::NotImp);
        }
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let counts = [4, 6, 8, 10].map(number);
        if counts[0] != 1 || check_counts(counts, rest.len()).is_err() {
            return stop(ResponseCode::FormErr);
        }
        let Ok(mut message) = Message::from_vec(message) else {
            return stop(ResponseCode::FormErr);
        };
        let Some(query) = message.queries.pop() else {
            return stop(ResponseCode::FormErr);
        };
        let question = Question {
            id: message.metadata.id,
            recursion_desired: message.metadata.recursion_desired,
            checking_disabled: message.metadata.checking_disabled,
            query,
            edns: message.edns,
        };
        match question.out_of_bounds() {
            None => Ok(question),
            Some(code) => {
                let reply = Reply::only(code).encode(&question, carrier);
                Err(Flaw::Answered(reply))
            }
        }
    }

    /// Why it has no answer, whatever the name.
    fn out_of_bounds(&self) -> Option<ResponseCode> {
        let version = self.edns.as_ref().map_or(EDNS_VERSION, Edns::version);
        let kind = self.query.query_type;
        if version != EDNS_VERSION {
            Some(ResponseCode::BADVERS)
        } else if kind == Code::OPT {
            Some(ResponseCode::FormErr)
        } else if META_TYPES.contains(&u16::from(kind)) {
            Some(ResponseCode::NotImp)
        } else if self.query.query_class != DNSClass::IN {
            Some(ResponseCode::Refused)
        } else {
            None
        }
    }

    fn asked(&self) -> Asked {
        Asked {
            name: names::text(&self.query.name),
            sought: self.sought(),
        }
    }

    pub(crate) fn sought(&self) -> Sought {
        match self.query.query_type {
            Code::A => Sought::Ipv4,
            Code::AAAA => Sought::Ipv6,
            _ => Sought::Other,
        }
    }
}

/// The message itself; none where its length is not what it says.
fn content(message: &[u8], carrier: Carrier) -> Option<&[u8]> {
    match carrier {
        Carrier::Datagram => Some(message),
        Carrier::Stream => {
            let (length, content) = message.split_first_chunk::<LENGTH_BYTES>()?;
            (usize::from(u16::from_be_bytes(*length)) == content.len()).then_some(content)
        }
    }
}
