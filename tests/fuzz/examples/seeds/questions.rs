//! Questions of confined programs, by hickory-proto's encoder.

use fumehood_fuzz::questions::option;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::RecordType;

use crate::rig::name;
use crate::seed;

/// Addresses of the verdict, or a long refusal, come of these bits.
const MANY: u8 = 0xe0;

const FOUND: u8 = 3 * option::VERDICT;
const REFUSED: u8 = option::VERDICT;

pub(crate) fn write() {
    let plain = || question(RecordType::A);
    let edns = || {
        let mut message = plain();
        let mut edns = Edns::new();
        edns.set_max_payload(4096);
        message.set_edns(edns);
        message
    };
    for (name, options, message) in [
        ("found", FOUND, plain()),
        ("found-of-ipv6", FOUND, question(RecordType::AAAA)),
        ("other-records", option::OTHER_RECORDS, plain()),
        ("odd-alias", FOUND | option::ODD_ALIAS, plain()),
        ("too-many", FOUND | MANY, plain()),
        ("too-many-for-edns", FOUND | MANY, edns()),
        ("stream", FOUND | MANY | option::STREAM, edns()),
        ("refused", REFUSED, plain()),
        ("refused-with-reason", REFUSED | MANY, edns()),
        ("service", 0, question(RecordType::HTTPS)),
        ("any", 0, question(RecordType::ANY)),
    ] {
        write_one(name, options, &message);
    }
    let mut update = plain();
    update.metadata.op_code = OpCode::Update;
    write_one("update", 0, &update);
    let mut answer = plain();
    answer.metadata.message_type = MessageType::Response;
    write_one("answer", 0, &answer);
}

fn question(kind: RecordType) -> Message {
    let mut message = Message::new(0xbeef, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name("wWw.ExAmPle"), kind));
    message
}

fn write_one(name: &str, options: u8, message: &Message) {
    let input = [&[options][..], &message.to_vec().unwrap()].concat();
    seed("dns-questions", name, &input);
}
