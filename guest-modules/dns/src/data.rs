//! Record data: hickory's shapes to ours.

use hickory_proto::rr::rdata::svcb::{SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{CAA, SOA, SVCB};
use hickory_proto::rr::{RData, RecordType as Code};

use crate::dnssec::{Dnskey, Ds};
use crate::names::text;
use crate::types::{RecordData, RecordType, ServiceBinding, ServiceParameter, ZoneAuthority};

/// The data, if it is of the wanted type.
pub(crate) fn convert(data: &RData, kind: RecordType) -> Option<RecordData> {
    Some(match (data, kind) {
        (RData::A(it), RecordType::A) => RecordData::A(it.0),
        (RData::AAAA(it), RecordType::Aaaa) => RecordData::Aaaa(it.0),
        (RData::CAA(it), RecordType::Caa) => certification(it),
        (RData::CNAME(it), RecordType::Cname) => RecordData::Cname(text(&it.0)),
        (RData::Unknown { code, rdata }, RecordType::Dnskey) if *code == Code::DNSKEY => {
            zone_key(&rdata.anything)?
        }
        (RData::Unknown { code, rdata }, RecordType::Ds) if *code == Code::DS => {
            delegation(&rdata.anything)?
        }
        (RData::HTTPS(it), RecordType::Https) => RecordData::Https(binding(&it.0)),
        (RData::MX(it), RecordType::Mx) => RecordData::Mx {
            preference: it.preference,
            exchange: text(&it.exchange),
        },
        (RData::NS(it), RecordType::Ns) => RecordData::Ns(text(&it.0)),
        (RData::PTR(it), RecordType::Ptr) => RecordData::Ptr(text(&it.0)),
        (RData::SOA(it), RecordType::Soa) => RecordData::Soa(authority(it)),
        (RData::SRV(it), RecordType::Srv) => RecordData::Srv {
            priority: it.priority,
            weight: it.weight,
            port: it.port,
            target: text(&it.target),
        },
        (RData::SVCB(it), RecordType::Svcb) => RecordData::Svcb(binding(it)),
        (RData::TXT(it), RecordType::Txt) => {
            RecordData::Txt(it.txt_data.iter().map(|part| part.to_vec()).collect())
        }
        _ => return None,
    })
}

fn certification(caa: &CAA) -> RecordData {
    RecordData::Caa {
        critical: caa.issuer_critical,
        tag: caa.tag.to_ascii_lowercase(),
        value: caa.value.clone(),
    }
}

fn authority(soa: &SOA) -> ZoneAuthority {
    ZoneAuthority {
        primary: text(&soa.mname),
        mailbox: text(&soa.rname),
        serial: soa.serial,
        // Unsigned on the wire (RFC 1035 section 3.3.13).
        refresh_s: soa.refresh.cast_unsigned(),
        retry_s: soa.retry.cast_unsigned(),
        expire_s: soa.expire.cast_unsigned(),
        minimum_s: soa.minimum,
    }
}

fn binding(svcb: &SVCB) -> ServiceBinding {
    ServiceBinding {
        priority: svcb.svc_priority,
        target: text(&svcb.target_name),
        parameters: svcb
            .svc_params
            .iter()
            .map(|(key, value)| parameter(*key, value))
            .collect(),
    }
}

fn parameter(key: SvcParamKey, value: &SvcParamValue) -> ServiceParameter {
    match value {
        SvcParamValue::Mandatory(keys) => {
            ServiceParameter::Mandatory(keys.0.iter().copied().map(u16::from).collect())
        }
        SvcParamValue::Alpn(protocols) => ServiceParameter::Alpn(protocols.0.clone()),
        SvcParamValue::NoDefaultAlpn => ServiceParameter::NoDefaultAlpn,
        SvcParamValue::Port(port) => ServiceParameter::Port(*port),
        SvcParamValue::Ipv4Hint(hint) => {
            ServiceParameter::Ipv4Hint(hint.0.iter().map(|it| it.0).collect())
        }
        SvcParamValue::EchConfigList(list) => ServiceParameter::Ech(list.0.clone()),
        SvcParamValue::Ipv6Hint(hint) => {
            ServiceParameter::Ipv6Hint(hint.0.iter().map(|it| it.0).collect())
        }
        SvcParamValue::Unknown(bytes) => ServiceParameter::Other(u16::from(key), bytes.0.clone()),
    }
}

/// RFC 4034 section 2.1.
fn zone_key(data: &[u8]) -> Option<RecordData> {
    let Dnskey {
        flags,
        protocol,
        algorithm,
        key,
        ..
    } = Dnskey::read(data)?;
    Some(RecordData::Dnskey {
        flags,
        protocol,
        algorithm,
        key,
    })
}

/// RFC 4034 section 5.1.
fn delegation(data: &[u8]) -> Option<RecordData> {
    let Ds {
        key_tag,
        algorithm,
        digest_type,
        digest,
    } = Ds::read(data)?;
    Some(RecordData::Ds {
        key_tag,
        algorithm,
        digest_type,
        digest,
    })
}
