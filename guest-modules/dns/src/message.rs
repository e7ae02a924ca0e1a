//! Messages: questions to bytes, bytes to replies. The codec is hickory-proto.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, Name, RecordType as Code};

use crate::bounds::{MAX_REPLY_RECORDS, PADDING_BLOCK_BYTES, UDP_PAYLOAD_BYTES};
use crate::types::{Mismatch, RecordType};

/// Bytes of a message's header (RFC 1035 section 4.1.1).
const HEADER_BYTES: usize = 12;

/// Fewest bytes of a record: the root, type, class, TTL and an empty rest.
const SMALLEST_RECORD_BYTES: usize = 11;

/// The EDNS option "padding" (RFC 7830), and the bytes before its content.
const PADDING: u16 = 12;
const OPTION_HEADER_BYTES: usize = 4;

/// A question as it is sent, letter by letter.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) id: u16,
    pub(crate) name: Name,
    pub(crate) kind: RecordType,
    pub(crate) edns: bool,
    /// Ask for the AD bit (RFC 6840 section 5.7).
    pub(crate) authentic: bool,
    /// Ask for signatures (RFC 4035 section 3.2), and for what the server does
    /// not believe too: the judgement is ours (RFC 6840 section 5.9).
    pub(crate) dnssec: bool,
    /// Encrypted: hide its length.
    pub(crate) padded: bool,
}

impl Question {
    /// # Errors
    /// None that a name within its bounds could cause; says which.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, String> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.authentic_data = self.authentic;
        message.metadata.checking_disabled = self.dnssec;
        message.add_query(Query::query(self.name.clone(), code(self.kind)));
        if self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_PAYLOAD_BYTES);
            edns.set_dnssec_ok(self.dnssec);
            message.set_edns(edns);
        }
        let bytes = message.to_vec().map_err(|why| why.to_string())?;
        let Some(edns) = message.edns.as_mut().filter(|_| self.padded) else {
            return Ok(bytes);
        };
        let least = bytes.len() + OPTION_HEADER_BYTES;
        let padding = least.next_multiple_of(PADDING_BLOCK_BYTES) - least;
        let option = EdnsOption::Unknown(PADDING, vec![0; padding]);
        edns.options_mut().insert(option);
        message.to_vec().map_err(|why| why.to_string())
    }
}

/// What bytes from a server turn out to be.
pub(crate) enum Reply {
    /// The reply to this question; its content is yet to be judged.
    Ours(Box<Message>),
    /// Not the reply to this question.
    Ignored(Mismatch),
    /// It has our ID, and breaks the protocol. Says how.
    Malformed(String),
}

/// Reads a reply to `question`. Where the letters must be ours (a reply that
/// anybody could have sent) and are not, it is ignored.
pub(crate) fn read(bytes: &[u8], question: &Question, same_letters: bool) -> Reply {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Reply::Ignored(Mismatch::Header);
    };
    let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    if number(0) != question.id {
        return Reply::Ignored(Mismatch::Id);
    }
    // Its first bit tells replies from questions.
    if header[2] & 0x80 == 0 {
        return Reply::Ignored(Mismatch::Header);
    }
    if let Err(why) = check_counts([4, 6, 8, 10].map(number), rest.len()) {
        return Reply::Malformed(why);
    }
    let message = match Message::from_vec(bytes) {
        Ok(message) => message,
        Err(why) => return Reply::Malformed(why.to_string()),
    };
    if message.metadata.op_code != OpCode::Query {
        return Reply::Ignored(Mismatch::Header);
    }
    match message.queries.as_slice() {
        // Some servers repeat no question when they fail. Such a reply can
        // make us ask elsewhere, and no more.
        [] if !says_something(message.metadata.response_code) => {}
        [asked] if is_asked(asked, question) => {
            if same_letters && !asked.name.eq_case(&question.name) {
                return Reply::Ignored(Mismatch::Letters);
            }
        }
        _ => return Reply::Ignored(Mismatch::Question),
    }
    Reply::Ours(Box::new(message))
}

/// Whether the code stands for an answer, be it that there is none.
pub(crate) fn says_something(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
}

fn is_asked(asked: &Query, question: &Question) -> bool {
    asked.name == question.name
        && asked.query_type == code(question.kind)
        && asked.query_class == DNSClass::IN
}

/// Holds the counts of a header against what follows it, before anything is
/// allocated for them.
pub(crate) fn check_counts(counts: [u16; 4], rest: usize) -> Result<(), String> {
    let [questions, answers, authorities, additionals] = counts.map(usize::from);
    let records = answers + authorities + additionals;
    if questions > 1 {
        return Err(format!("it repeats {questions} questions"));
    }
    if records > MAX_REPLY_RECORDS {
        return Err(format!(
            "it has {records} records; {MAX_REPLY_RECORDS} are read at most"
        ));
    }
    if records * SMALLEST_RECORD_BYTES > rest {
        return Err(format!(
            "it promises {records} records in {rest} bytes, which cannot hold them"
        ));
    }
    Ok(())
}

/// The type's number as hickory knows it.
pub(crate) fn code(kind: RecordType) -> Code {
    match kind {
        RecordType::A => Code::A,
        RecordType::Aaaa => Code::AAAA,
        RecordType::Caa => Code::CAA,
        RecordType::Cname => Code::CNAME,
        RecordType::Dnskey => Code::DNSKEY,
        RecordType::Ds => Code::DS,
        RecordType::Https => Code::HTTPS,
        RecordType::Mx => Code::MX,
        RecordType::Ns => Code::NS,
        RecordType::Ptr => Code::PTR,
        RecordType::Soa => Code::SOA,
        RecordType::Srv => Code::SRV,
        RecordType::Svcb => Code::SVCB,
        RecordType::Txt => Code::TXT,
    }
}
