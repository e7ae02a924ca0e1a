//! Records as people and programs read them.

use std::fmt::Write as _;

use fumehood::control::{NameAnswer, RecordData, ServiceBinding, ServiceParameter};
use serde_json::{Value, json};

use crate::cli::escape::for_terminal;

/// A line a record: owner, time to live, type, data, as in a zone file.
pub(super) fn text(answer: &NameAnswer) -> String {
    let mut text = String::new();
    let mut put = |owner: &str, kind: &str, data: &str| {
        let row = format!("{owner}  {}  {kind}  {data}", answer.ttl_s);
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{}", for_terminal(row.as_bytes()));
    };
    let mut owner = &answer.name;
    for alias in &answer.aliases {
        put(owner, "CNAME", alias);
        owner = alias;
    }
    for record in &answer.records {
        put(owner, record.record_type().name(), &data(record));
    }
    text
}

pub(super) fn json(answer: &NameAnswer) -> Vec<Value> {
    let record = |record: &RecordData| {
        json!({
            "type": record.record_type().name(),
            "data": data(record),
            "address": record.address(),
        })
    };
    answer.records.iter().map(record).collect()
}

/// In presentation form.
fn data(record: &RecordData) -> String {
    match record {
        RecordData::A(address) => address.to_string(),
        RecordData::Aaaa(address) => address.to_string(),
        RecordData::Caa {
            critical,
            tag,
            value,
        } => format!("{} {tag} {}", u8::from(*critical) << 7, quoted(value)),
        RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => name.clone(),
        RecordData::Dnskey {
            flags,
            protocol,
            algorithm,
            key,
        } => format!("{flags} {protocol} {algorithm} {}", base64(key)),
        RecordData::Ds {
            key_tag,
            algorithm,
            digest_type,
            digest,
        } => {
            let digits: String = digest.iter().map(|it| format!("{it:02X}")).collect();
            format!("{key_tag} {algorithm} {digest_type} {digits}")
        }
        RecordData::Https(binding) | RecordData::Svcb(binding) => service(binding),
        RecordData::Mx {
            preference,
            exchange,
        } => format!("{preference} {exchange}"),
        RecordData::Soa {
            primary,
            mailbox,
            serial,
            refresh_s,
            retry_s,
            expire_s,
            minimum_s,
        } => format!("{primary} {mailbox} {serial} {refresh_s} {retry_s} {expire_s} {minimum_s}"),
        RecordData::Srv {
            priority,
            weight,
            port,
            target,
        } => format!("{priority} {weight} {port} {target}"),
        RecordData::Txt(strings) => {
            let strings: Vec<String> = strings.iter().map(|it| quoted(it)).collect();
            strings.join(" ")
        }
    }
}

fn service(binding: &ServiceBinding) -> String {
    let mut text = format!("{} {}", binding.priority, binding.target);
    for it in &binding.parameters {
        text += " ";
        text += &parameter(it);
    }
    text
}

/// As in RFC 9460 section 2.1.
fn parameter(it: &ServiceParameter) -> String {
    fn list<T: ToString>(them: &[T]) -> String {
        let them: Vec<String> = them.iter().map(T::to_string).collect();
        them.join(",")
    }
    match it {
        ServiceParameter::Mandatory(keys) => {
            let keys: Vec<String> = keys.iter().map(|key| format!("key{key}")).collect();
            format!("mandatory={}", keys.join(","))
        }
        ServiceParameter::Alpn(ids) => format!("alpn={}", quoted(ids.join(",").as_bytes())),
        ServiceParameter::NoDefaultAlpn => "no-default-alpn".to_owned(),
        ServiceParameter::Port(port) => format!("port={port}"),
        ServiceParameter::Ipv4Hint(them) => format!("ipv4hint={}", list(them)),
        ServiceParameter::Ech(bytes) => format!("ech={}", base64(bytes)),
        ServiceParameter::Ipv6Hint(them) => format!("ipv6hint={}", list(them)),
        ServiceParameter::Other(key, value) => format!("key{key}={}", quoted(value)),
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A character string (RFC 1035 section 5.1): what is not plain is `\DDD`.
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            b' '..=b'~' => text.push(char::from(*byte)),
            other => {
                // Writing to a string does not fail.
                let _infallible = write!(text, "\\{other:03}");
            }
        }
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_any_bytes_are_plain_text() {
        assert_eq!(
            quoted(b"a \"b\" \\ \x1b\xff"),
            "\"a \\\"b\\\" \\\\ \\027\\255\""
        );
    }

    #[test]
    fn a_service_binding_is_written_as_its_rfc_has_it() {
        let binding = ServiceBinding {
            priority: 1,
            target: ".".to_owned(),
            parameters: vec![
                ServiceParameter::Mandatory(vec![1]),
                ServiceParameter::Alpn(vec!["h2".to_owned(), "h3".to_owned()]),
                ServiceParameter::NoDefaultAlpn,
                ServiceParameter::Port(8443),
                ServiceParameter::Ipv4Hint(vec![[192, 0, 2, 1].into()]),
                ServiceParameter::Ech(vec![1, 2, 3]),
                ServiceParameter::Other(7, b"/q{?dns}".to_vec()),
            ],
        };
        assert_eq!(
            service(&binding),
            "1 . mandatory=key1 alpn=\"h2,h3\" no-default-alpn port=8443 ipv4hint=192.0.2.1 \
             ech=AQID key7=\"/q{?dns}\""
        );
    }
}
