//! Chains of every kind, good and bad, against the host's signature checks.
#![allow(clippy::unwrap_used, reason = "a test")]

use fumehood_crypto::signature as host;
use fumehood_guest_x509::signatures::{self, Algorithm};
use fumehood_guest_x509::{KeyKind, MAX_ANCHORS, MAX_CHAIN_LENGTH, Rejection, Verdict, Verifier};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData as _, SanType,
    SignatureAlgorithm, date_time_ymd,
};

/// 2024-01-01, inside the validity of all certificates here.
const NOW: u64 = 1_704_067_200;
const YEAR: u64 = 365 * 24 * 3600;

fn check(algorithm: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let algorithm = match algorithm {
        Algorithm::EcdsaP256Sha256 => host::Algorithm::EcdsaP256Sha256,
        Algorithm::EcdsaP256Sha384 => host::Algorithm::EcdsaP256Sha384,
        Algorithm::EcdsaP384Sha256 => host::Algorithm::EcdsaP384Sha256,
        Algorithm::EcdsaP384Sha384 => host::Algorithm::EcdsaP384Sha384,
        Algorithm::EcdsaP521Sha512 => host::Algorithm::EcdsaP521Sha512,
        Algorithm::Ed25519 => host::Algorithm::Ed25519,
        Algorithm::RsaPssSha256 => host::Algorithm::RsaPssSha256,
        Algorithm::RsaPssSha384 => host::Algorithm::RsaPssSha384,
        Algorithm::RsaPssSha512 => host::Algorithm::RsaPssSha512,
        Algorithm::RsaPkcs1Sha256 => host::Algorithm::RsaPkcs1Sha256,
        Algorithm::RsaPkcs1Sha384 => host::Algorithm::RsaPkcs1Sha384,
        Algorithm::RsaPkcs1Sha512 => host::Algorithm::RsaPkcs1Sha512,
    };
    host::verify(algorithm, key, message, signature)
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

fn server(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2023, 1, 1);
    params.not_after = date_time_ymd(2025, 1, 1);
    params
}

fn root() -> Issuer {
    Issuer::self_signed(authority("root"), KeyPair::generate().unwrap()).unwrap()
}

fn below(params: CertificateParams, issuer: &Issuer) -> Issuer {
    Issuer::signed_by(params, KeyPair::generate().unwrap(), issuer).unwrap()
}

fn leaf(params: &CertificateParams, issuer: &Issuer) -> (Vec<u8>, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().der().to_vec(), key)
}

fn der(issuer: &Issuer) -> Vec<u8> {
    issuer.der().to_vec()
}

fn trusting(anchor: &Issuer) -> Verifier {
    signatures::install(check);
    let mut verifier = Verifier::default();
    assert_eq!(verifier.set_anchors(&[der(anchor)]), 1);
    verifier
}

/// Root, intermediate, and this leaf: the judgement for a name at [`NOW`].
fn judge(params: &CertificateParams, name: &str) -> Result<Verdict, Rejection> {
    let root = root();
    let intermediate = below(authority("intermediate"), &root);
    let (leaf, _) = leaf(params, &intermediate);
    trusting(&root).verify(&[leaf, der(&intermediate)], name, NOW)
}

#[test]
fn a_good_chain_gives_the_leafs_key() {
    let root = root();
    let intermediate = below(authority("intermediate"), &root);
    let (leaf, key) = leaf(&server(&["example.org"]), &intermediate);
    let verifier = trusting(&root);
    let verdict = Verdict {
        kind: KeyKind::P256,
        public_key: key.der_bytes().to_vec(),
    };
    let chain = [leaf.clone(), der(&intermediate)];
    assert_eq!(
        verifier.verify(&chain, "example.org", NOW),
        Ok(verdict.clone())
    );
    // The root may be sent along, and intermediates in any order.
    let chain = [leaf.clone(), der(&root), der(&intermediate)];
    assert_eq!(
        verifier.verify(&chain, "example.org", NOW),
        Ok(verdict.clone())
    );
    assert_eq!(
        verifier.verify(std::slice::from_ref(&leaf), "example.org", NOW),
        Err(Rejection::UnknownIssuer)
    );
    assert_eq!(Verifier::unverified_key(&leaf), Ok(verdict));
}

#[test]
fn every_kind_of_key_signs_and_is_told() {
    let kinds: [(&'static SignatureAlgorithm, KeyKind); 6] = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, KeyKind::P256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, KeyKind::P384),
        (&rcgen::PKCS_ECDSA_P521_SHA512, KeyKind::P521),
        (&rcgen::PKCS_ED25519, KeyKind::Ed25519),
        (&rcgen::PKCS_RSA_SHA256, KeyKind::Rsa),
        (&rcgen::PKCS_RSA_SHA512, KeyKind::Rsa),
    ];
    for (algorithm, kind) in kinds {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let root = Issuer::self_signed(authority("root"), key).unwrap();
        let key = KeyPair::generate_for(algorithm).unwrap();
        let leaf = server(&["example.org"]).signed_by(&key, &root).unwrap();
        let verdict = trusting(&root)
            .verify(&[leaf.der().to_vec()], "example.org", NOW)
            .unwrap();
        assert_eq!(
            verdict,
            Verdict {
                kind,
                public_key: key.der_bytes().to_vec()
            }
        );
    }
}

#[test]
fn time_is_kept() {
    let root = root();
    let (leaf, _) = leaf(&server(&["example.org"]), &root);
    let verifier = trusting(&root);
    let at = |now| {
        verifier
            .verify(std::slice::from_ref(&leaf), "example.org", now)
            .map(drop)
    };
    let (begin, end) = (NOW - YEAR, NOW + YEAR + 24 * 3600);
    assert_eq!(at(begin - 1), Err(Rejection::NotYetValid(begin)));
    assert_eq!(at(begin), Ok(()));
    assert_eq!(at(end), Ok(()));
    assert_eq!(at(end + 1), Err(Rejection::Expired(end)));
}

#[test]
fn strangers_are_not_believed() {
    let (ours, theirs) = (root(), root());
    let (leaf, key) = leaf(&server(&["example.org"]), &theirs);
    let verifier = trusting(&ours);
    // Same issuer name, another key.
    let judged = verifier.verify(&[leaf, der(&theirs)], "example.org", NOW);
    assert!(
        matches!(
            judged,
            Err(Rejection::BadSignature | Rejection::UnknownIssuer)
        ),
        "{judged:?}"
    );
    let alone = server(&["example.org"])
        .self_signed(&key)
        .unwrap()
        .der()
        .to_vec();
    let judged = verifier.verify(&[alone], "example.org", NOW);
    assert_eq!(judged, Err(Rejection::UnknownIssuer));
    let judged = Verifier::default()
        .verify(&[der(&ours)], "example.org", NOW)
        .map(drop);
    assert!(judged.is_err());
}

#[test]
fn a_forged_leaf_is_not_believed() {
    let root = root();
    let (mut leaf, _) = leaf(&server(&["example.org"]), &root);
    let at = leaf
        .windows(11)
        .position(|window| window == b"example.org")
        .unwrap();
    leaf[at] = b'E';
    let judged = trusting(&root).verify(&[leaf], "example.org", NOW);
    assert_eq!(judged, Err(Rejection::BadSignature));
}

#[test]
fn names_are_matched_as_rfc_9525_has_it() {
    let wrong = |names: &[&str]| {
        Err(Rejection::WrongName(
            names.iter().map(|name| (*name).to_owned()).collect(),
        ))
    };
    let judge = |names: &[&str], name| judge(&server(names), name).map(drop);
    assert_eq!(
        judge(&["example.org"], "www.example.org"),
        wrong(&["example.org"])
    );
    assert_eq!(judge(&["EXAMPLE.org"], "example.org"), Ok(()));
    assert_eq!(judge(&["*.example.org"], "www.example.org"), Ok(()));
    assert_eq!(
        judge(&["*.example.org"], "example.org"),
        wrong(&["*.example.org"])
    );
    assert_eq!(
        judge(&["*.example.org"], "a.b.example.org"),
        wrong(&["*.example.org"])
    );
    assert_eq!(judge(&["192.0.2.1"], "192.0.2.1"), Ok(()));
    assert_eq!(judge(&["2001:db8::1"], "2001:db8::1"), Ok(()));
    assert_eq!(judge(&["192.0.2.1"], "192.0.2.2"), wrong(&["192.0.2.1"]));
    assert_eq!(
        judge(&["example.org", "192.0.2.1"], "b.org"),
        wrong(&["example.org", "192.0.2.1"])
    );
    assert!(matches!(
        judge(&["example.org"], "not a name"),
        Err(Rejection::Other(_))
    ));
}

/// An address written as a DNS name counts for nothing (RFC 9525 section 4.1.1).
#[test]
fn an_address_as_a_dns_name_does_not_count() {
    let mut params = server(&[]);
    params.subject_alt_names = vec![SanType::DnsName("192.0.2.1".try_into().unwrap())];
    assert!(judge(&params, "192.0.2.1").is_err());
}

#[test]
fn purposes_are_kept_apart() {
    let mut client = server(&["example.org"]);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert_eq!(judge(&client, "example.org"), Err(Rejection::WrongPurpose));

    let mut issuer = server(&["example.org"]);
    issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(judge(&issuer, "example.org"), Err(Rejection::WrongPurpose));

    // A leaf that issues certificates.
    let root = root();
    let usurper = below(server(&["evil.example"]), &root);
    let (leaf, _) = leaf(&server(&["example.org"]), &usurper);
    let judged = trusting(&root).verify(&[leaf, der(&usurper)], "example.org", NOW);
    assert_eq!(judged, Err(Rejection::WrongPurpose));
}

#[test]
fn name_constraints_bind() {
    let root = root();
    let mut params = authority("constrained");
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".to_owned())],
        excluded_subtrees: vec![],
    });
    let constrained = below(params, &root);
    let verifier = trusting(&root);
    let judge = |name: &str| {
        let (leaf, _) = leaf(&server(&[name]), &constrained);
        verifier
            .verify(&[leaf, der(&constrained)], name, NOW)
            .map(drop)
    };
    assert_eq!(judge("www.example.org"), Ok(()));
    assert_eq!(judge("example.com"), Err(Rejection::NameConstraint));
}

#[test]
fn bounds_are_held_to() {
    let root = root();
    let (leaf, _) = leaf(&server(&["example.org"]), &root);
    let mut verifier = trusting(&root);
    let long = vec![leaf.clone(); MAX_CHAIN_LENGTH + 1];
    assert_eq!(
        verifier.verify(&long, "example.org", NOW),
        Err(Rejection::Limit)
    );
    let fat = [leaf, vec![0; 128 * 1024]];
    assert_eq!(
        verifier.verify(&fat, "example.org", NOW),
        Err(Rejection::Limit)
    );
    assert_eq!(
        verifier.verify(&[], "example.org", NOW),
        Err(Rejection::Malformed)
    );
    let many = vec![der(&root); MAX_ANCHORS + 1];
    assert_eq!(verifier.set_anchors(&many), MAX_ANCHORS);
    assert_eq!(verifier.set_anchors(&[b"garbage".to_vec(), der(&root)]), 1);
}

proptest! {
    /// Noise is refused, with and without a believable beginning.
    #[test]
    fn garbage_is_rejected(noise in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Verifier::unverified_key(&noise).is_err());
        let verifier = Verifier::default();
        prop_assert!(verifier.verify(&[noise], "example.org", NOW).is_err());
    }

    /// One changed byte anywhere makes a certificate another, which nobody signed.
    #[test]
    fn a_changed_byte_is_noticed(at in any::<prop::sample::Index>(), to in 1..=255_u8) {
        thread_local! {
            static GOOD: (Issuer, Vec<u8>) = {
                let root = root();
                let (leaf, _) = leaf(&server(&["example.org"]), &root);
                (root, leaf)
            };
        }
        GOOD.with(|(root, leaf)| {
            let mut leaf = leaf.clone();
            let at = at.index(leaf.len());
            leaf[at] ^= to;
            prop_assert!(trusting(root).verify(&[leaf], "example.org", NOW).is_err());
            Ok(())
        })?;
    }
}
