//! A name server for the zone: enough of RFC 1035 for one question at a time.

use std::io;
use std::net::Ipv4Addr;

use tokio::net::UdpSocket;

use super::names::{Answers, Zone};

/// Longest question read, in bytes (RFC 1035 section 4.2.1).
const MAX_MESSAGE_BYTES: usize = 512;

const PORT: u16 = 53;
const HEADER_BYTES: usize = 12;

// Types, RFC 1035 section 3.2.2 and RFC 3596 section 2.1.
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const INTERNET: u16 = 1;

/// A response without an error, from whoever has the say: QR, AA, RD and RA
/// (RFC 1035 section 4.1.1).
const FLAGS: u16 = 0x8580;
const NO_SUCH_NAME: u16 = 3;

/// Where the name of the question begins, as a pointer (section 4.1.4).
const QUESTION_NAME: u16 = 0xc00c;

/// Listens where the bottle's resolver asks.
pub(super) async fn listen() -> io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, PORT)).await
}

/// Answers until the task is dropped.
pub(super) async fn serve(socket: UdpSocket) {
    let mut zone = Zone::default();
    let mut message = [0; MAX_MESSAGE_BYTES];
    loop {
        let Ok((read, from)) = socket.recv_from(&mut message).await else {
            continue;
        };
        if let Some(answer) = answer(&message[..read], &mut zone) {
            // Who does not take it asks again.
            let _lost = socket.send_to(&answer, from).await;
        }
    }
}

/// The answer to a question, if it is one.
fn answer(message: &[u8], zone: &mut Zone) -> Option<Vec<u8>> {
    let (name, kind, end) = question(message)?;
    let found = zone.look_up(&name, kind == A);
    let records = found
        .as_ref()
        .map(|it| records(it, kind))
        .unwrap_or_default();
    let code = if found.is_some() { 0 } else { NO_SUCH_NAME };
    let mut answer = message[..2].to_vec();
    let count = u16::try_from(records.len()).ok()?;
    for number in [FLAGS | code, 1, count, 0, 0] {
        answer.extend(number.to_be_bytes());
    }
    answer.extend(&message[HEADER_BYTES..end]);
    answer.extend(records.concat());
    Some(answer)
}

/// The name asked for in lower case, the type, and where the question ends.
fn question(message: &[u8]) -> Option<(String, u16, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER_BYTES;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        match length {
            0 => break,
            1..=63 => {
                let label = message.get(at..at + length)?;
                labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
                at += length;
            }
            _ => return None,
        }
    }
    let kind = u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?);
    let end = at + 4;
    (message.len() >= end).then(|| (labels.join("."), kind, end))
}

fn records(answers: &Answers, kind: u16) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let mut owner = QUESTION_NAME.to_be_bytes().to_vec();
    if let Some(target) = answers.alias_of {
        let target = encoded(target);
        records.push(record(&owner, CNAME, &target));
        owner = target;
    }
    match kind {
        A => records.extend(answers.v4.iter().map(|it| record(&owner, A, &it.octets()))),
        AAAA => records.extend(
            answers
                .v6
                .iter()
                .map(|it| record(&owner, AAAA, &it.octets())),
        ),
        _ => {}
    }
    records
}

/// Nobody may keep it: its time to live is 0.
fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = owner.to_vec();
    record.extend(kind.to_be_bytes());
    record.extend(INTERNET.to_be_bytes());
    record.extend(0_u32.to_be_bytes());
    record.extend(u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
    record.extend(data);
    record
}

fn encoded(name: &str) -> Vec<u8> {
    let mut encoded = Vec::new();
    for label in name.split('.') {
        encoded.push(u8::try_from(label.len()).unwrap_or_default());
        encoded.extend(label.as_bytes());
    }
    encoded.push(0);
    encoded
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn asking(name: &str, kind: u16) -> Vec<u8> {
        let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend(encoded(name));
        message.extend(kind.to_be_bytes());
        message.extend(INTERNET.to_be_bytes());
        message
    }

    #[test]
    fn an_alias_comes_with_its_address() {
        let asked = asking("ALIAS.prove.test", A);
        let answer = answer(&asked, &mut Zone::default()).unwrap();
        assert_eq!(answer[..2], [0xab, 0xcd]);
        assert_eq!(answer[6..8], [0, 2]);
        assert!(answer.ends_with(&[0, 4, 127, 0, 0, 1]));
    }

    #[test]
    fn what_is_cut_short_has_no_answer() {
        let whole = asking("alias.prove.test", AAAA);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length], &mut Zone::default()), None);
        }
        let answer = answer(&asking("nobody.prove.test", A), &mut Zone::default()).unwrap();
        assert_eq!(answer[3] & 0xf, 3);
    }
}
