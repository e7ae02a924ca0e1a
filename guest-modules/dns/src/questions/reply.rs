//! Replies: what is said, and within which length.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record};

use super::{Carrier, HEADER_BYTES, Question, Sought, Verdict};
use crate::bounds::{MAX_ALIASES, MAX_MESSAGE_BYTES, MAX_RECORDS, UDP_PAYLOAD_BYTES};
use crate::frame::frame;
use crate::names::Asked;

/// Longest datagram for who does not know EDNS, in bytes (RFC 1035 section 4.2.1).
const PLAIN_PAYLOAD_BYTES: u16 = 512;

/// The EDNS option "extended error", and its code "prohibited" (RFC 8914
/// sections 2 and 4.19).
const EXTENDED_ERROR: u16 = 15;
const PROHIBITED: u16 = 18;

/// Longest text of such an option, in bytes: a few words.
const MAX_TEXT_BYTES: usize = 128;

/// What is said.
pub(super) struct Reply {
    code: ResponseCode,
    /// Each name is an alias of the one before it, the first of the question's.
    aliases: Vec<Name>,
    addresses: Vec<RData>,
    ttl_s: u32,
    text: Option<String>,
}

impl Reply {
    /// A code, and nothing else.
    pub(super) fn only(code: ResponseCode) -> Reply {
        Reply {
            code,
            aliases: Vec::new(),
            addresses: Vec::new(),
            ttl_s: 0,
            text: None,
        }
    }

    pub(super) fn of(question: &Question, verdict: &Verdict) -> Reply {
        match verdict {
            Verdict::Found {
                aliases,
                addresses,
                ttl_s,
            } => {
                let addresses = addresses.iter().filter_map(|it| data(*it, question));
                Reply {
                    aliases: chain(aliases),
                    addresses: addresses.take(MAX_RECORDS).collect(),
                    ttl_s: *ttl_s,
                    ..Reply::only(ResponseCode::NoError)
                }
            }
            Verdict::NoSuchRecord => Reply::only(ResponseCode::NoError),
            Verdict::NoSuchName => Reply::only(ResponseCode::NXDomain),
            Verdict::Failed => Reply::only(ResponseCode::ServFail),
            Verdict::Refused(why) => Reply {
                text: Some(why[..why.floor_char_boundary(MAX_TEXT_BYTES)].to_owned()),
                ..Reply::only(ResponseCode::Refused)
            },
        }
    }

    /// As it is sent. What is too long for a datagram is left out, and a stream
    /// is to be asked by (RFC 2181 section 9).
    pub(super) fn encode(&self, question: &Question, carrier: Carrier) -> Vec<u8> {
        let most = longest(question, carrier);
        let whole = self.message(question).to_vec();
        let fits = |bytes: &Vec<u8>| bytes.len() <= most;
        let bytes = whole.ok().filter(fits).unwrap_or_else(|| {
            let mut short = Reply::only(self.code).message(question);
            short.metadata.truncation = true;
            // A name, a type and an EDNS record are always short enough.
            short.to_vec().unwrap_or_default()
        });
        match carrier {
            Carrier::Datagram => bytes,
            Carrier::Stream => frame(&bytes),
        }
    }

    fn message(&self, question: &Question) -> Message {
        let mut message = Message::new(question.id, MessageType::Response, OpCode::Query);
        message.metadata.response_code = self.code;
        message.metadata.recursion_desired = question.recursion_desired;
        message.metadata.recursion_available = true;
        message.metadata.checking_disabled = question.checking_disabled;
        message.add_query(question.query.clone());
        // Letter by letter as it was asked for, which some hold against a reply.
        let mut owner = question.query.name.clone();
        for alias in &self.aliases {
            let data = RData::CNAME(CNAME(alias.clone()));
            message.add_answer(Record::from_rdata(owner, self.ttl_s, data));
            owner = alias.clone();
        }
        for address in &self.addresses {
            message.add_answer(Record::from_rdata(
                owner.clone(),
                self.ttl_s,
                address.clone(),
            ));
        }
        if let Some(asked) = &question.edns {
            message.set_edns(self.edns(asked));
        }
        message
    }

    /// Only who sent one gets one (RFC 6891 section 7).
    fn edns(&self, asked: &Edns) -> Edns {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD_BYTES);
        // It is copied (RFC 3225 section 3); nothing here is signed.
        edns.set_dnssec_ok(asked.flags().dnssec_ok);
        if let Some(text) = &self.text {
            let mut data = PROHIBITED.to_be_bytes().to_vec();
            data.extend_from_slice(text.as_bytes());
            edns.options_mut()
                .insert(EdnsOption::Unknown(EXTENDED_ERROR, data));
        }
        edns
    }
}

/// Most bytes that a reply may have.
fn longest(question: &Question, carrier: Carrier) -> usize {
    match carrier {
        Carrier::Stream => MAX_MESSAGE_BYTES,
        Carrier::Datagram => {
            let offered = question.edns.as_ref().map(Edns::max_payload);
            let payload = offered.unwrap_or(PLAIN_PAYLOAD_BYTES);
            payload.clamp(PLAIN_PAYLOAD_BYTES, UDP_PAYLOAD_BYTES).into()
        }
    }
}

/// Aliases as names. Where one is no host name, the addresses are said to be the
/// question's own: whoever asked wants these.
fn chain(aliases: &[String]) -> Vec<Name> {
    let names = aliases.iter().take(MAX_ALIASES);
    let names = names.map(|alias| Asked::parse(alias).map(|asked| asked.name));
    names.collect::<Result<_, _>>().unwrap_or_default()
}

fn data(address: IpAddr, question: &Question) -> Option<RData> {
    match (address, question.sought()) {
        (IpAddr::V4(it), Sought::Ipv4) => Some(RData::A(A(it))),
        (IpAddr::V6(it), Sought::Ipv6) => Some(RData::AAAA(AAAA(it))),
        _ => None,
    }
}

/// A reply of a header alone, to what cannot be read further.
pub(super) fn bare(asked: &[u8; HEADER_BYTES], code: ResponseCode, carrier: Carrier) -> Vec<u8> {
    let mut header = [0; HEADER_BYTES];
    header[..2].copy_from_slice(&asked[..2]);
    // A reply, to the same operation, with recursion desired or not.
    header[2] = 0x80 | (asked[2] & 0x79);
    // Recursion is available.
    header[3] = 0x80 | code.low();
    match carrier {
        Carrier::Datagram => header.to_vec(),
        Carrier::Stream => frame(&header),
    }
}
