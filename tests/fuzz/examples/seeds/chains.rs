//! Certificate chains of rcgen's making.

use fumehood_fuzz::pieces::join;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ED25519, SignatureAlgorithm,
    date_time_ymd,
};

use crate::seed;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// 2024-01-01, inside the validity of all certificates here.
const TODAY: u16 = 19_723;

pub(crate) fn write() {
    let root = root(&rcgen::PKCS_ECDSA_P256_SHA256);
    let middle = Issuer::signed_by(authority("middle"), key(), &root).unwrap();
    let leaf = leaf(&["example.org", "*.example.net"], &middle);
    chain("two-steps", "example.org", &root, &[&leaf, middle.der()]);
    chain("wildcard", "www.example.net", &root, &[&leaf, middle.der()]);
    chain("wrong-name", "example.com", &root, &[&leaf, middle.der()]);
    chain("no-intermediate", "example.org", &root, &[&leaf]);
    chain("expired", "example.org", &root, &[&leaf, middle.der()]);

    let mut params = authority("constrained");
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".to_owned())],
        excluded_subtrees: vec![GeneralSubtree::DnsName("evil.example.org".to_owned())],
    });
    let constrained = Issuer::signed_by(params, key(), &root).unwrap();
    let inside = self::leaf(&["www.example.org"], &constrained);
    chain(
        "name-constraints",
        "www.example.org",
        &root,
        &[&inside, constrained.der()],
    );

    let small = self::root(&PKCS_ED25519);
    let address = self::leaf(&["192.0.2.1", "2001:db8::1"], &small);
    chain("address", "192.0.2.1", &small, &[&address]);
}

fn chain(name: &str, server: &str, anchor: &Issuer, chain: &[&[u8]]) {
    let day = if name == "expired" { 30_000 } else { TODAY };
    let day = day.to_le_bytes();
    let mut pieces: Vec<&[u8]> = vec![&day, server.as_bytes(), anchor.der()];
    pieces.extend(chain);
    seed("x509", name, &join(&pieces));
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn root(algorithm: &'static SignatureAlgorithm) -> Issuer {
    let key = KeyPair::generate_for(algorithm).unwrap();
    Issuer::self_signed(authority("root"), key).unwrap()
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let names = &mut params.distinguished_name;
    names.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

fn leaf(names: &[&str], issuer: &Issuer) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2023, 1, 1);
    params.not_after = date_time_ymd(2025, 1, 1);
    params.signed_by(&key(), issuer).unwrap().der().to_vec()
}
