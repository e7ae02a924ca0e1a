//! A certification authority to throw away, and leaves with every flaw that
//! must be noticed.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// What a good leaf is valid for: all that a server on loopback is called.
pub const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "fumehood.test"];

/// What a leaf with [`Flaw::WrongHost`] is valid for, and nothing else.
pub const WRONG_NAME: &str = "elsewhere.test";

/// Made by [`rcgen`] a moment ago: signing fails only for parameters it cannot
/// encode, and these are ours.
const SIGNS: &str = "rcgen signs what it has been given here";

/// What is wrong with a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Its time was January 2020.
    Expired,
    /// Its time begins in 2090.
    NotYetValid,
    /// Valid for [`WRONG_NAME`] only.
    WrongHost,
    /// Signed by its own key; no authority has seen it.
    SelfSigned,
    /// Signed by an authority of the same name with another key.
    ForgedIssuer,
    /// For clients, not for servers.
    WrongPurpose,
}

impl Flaw {
    /// Every flaw there is, for tests that go through them all.
    pub const ALL: [Self; 6] = [
        Self::Expired,
        Self::NotYetValid,
        Self::WrongHost,
        Self::SelfSigned,
        Self::ForgedIssuer,
        Self::WrongPurpose,
    ];
}

/// An authority whose key lives as long as the test.
#[derive(Debug)]
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    /// What a server has to send between its leaf and the root.
    intermediates: Vec<Certificate>,
}

/// A certificate chain and its key, as servers take them.
#[derive(Debug)]
pub struct Identity {
    /// The leaf first, then the intermediates; never the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key, ECDSA on P-256.
    pub key: PrivateKeyDer<'static>,
    /// The chain as a PEM file.
    pub chain_pem: String,
    /// The key as a PEM file.
    pub key_pem: String,
}

impl TestCa {
    /// A new root.
    ///
    /// # Panics
    /// If no key can be generated.
    #[must_use]
    pub fn new() -> Self {
        let key = new_key();
        let params = authority("Fumehood test root");
        let certificate = params.self_signed(&key).expect(SIGNS);
        Self {
            pem: certificate.pem(),
            certificate: certificate.into(),
            issuer: Issuer::new(params, key),
            intermediates: Vec::new(),
        }
    }

    /// An intermediate authority below this one. What it issues comes with
    /// the chain up to, and without, the root.
    ///
    /// # Panics
    /// If no key can be generated.
    #[must_use]
    pub fn subordinate(&self) -> Self {
        let key = new_key();
        let params = authority("Fumehood test intermediate");
        let certificate = params.signed_by(&key, &self.issuer).expect(SIGNS);
        let mut intermediates = vec![certificate.clone()];
        intermediates.extend(self.intermediates.iter().cloned());
        Self {
            pem: certificate.pem(),
            certificate: certificate.into(),
            issuer: Issuer::new(params, key),
            intermediates,
        }
    }

    /// The authority's own certificate: for a root, the trust anchor.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The same as a PEM file, for `--cacert`.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A good leaf for [`NAMES`].
    ///
    /// # Panics
    /// If no key can be generated.
    #[must_use]
    pub fn issue(&self) -> Identity {
        self.issue_for(&NAMES)
    }

    /// A good leaf for these names and addresses.
    ///
    /// # Panics
    /// If a name is not one.
    #[must_use]
    pub fn issue_for(&self, names: &[&str]) -> Identity {
        self.sign(&leaf(names))
    }

    /// A leaf that is good but for one flaw.
    ///
    /// # Panics
    /// If no key can be generated.
    #[must_use]
    pub fn issue_flawed(&self, flaw: Flaw) -> Identity {
        let mut params = leaf(&NAMES);
        match flaw {
            Flaw::Expired => {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2020, 1, 31);
            }
            Flaw::NotYetValid => {
                params.not_before = date_time_ymd(2090, 1, 1);
                params.not_after = date_time_ymd(2091, 1, 1);
            }
            Flaw::WrongHost => params = leaf(&[WRONG_NAME]),
            Flaw::SelfSigned => {
                let key = new_key();
                let certificate = params.self_signed(&key).expect(SIGNS);
                return Identity::new(&[certificate], &key);
            }
            Flaw::ForgedIssuer => return Self::new().sign(&params),
            Flaw::WrongPurpose => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }
        }
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer).expect(SIGNS);
        let mut chain = vec![certificate];
        chain.extend(self.intermediates.iter().cloned());
        Identity::new(&chain, &key)
    }
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    fn new(chain: &[Certificate], key: &KeyPair) -> Self {
        Self {
            chain_pem: chain.iter().map(Certificate::pem).collect(),
            chain: chain.iter().map(|one| one.der().clone()).collect(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            key_pem: key.serialize_pem(),
        }
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("the system has random numbers for a key")
}

fn authority(name: &str) -> CertificateParams {
    let mut params = lasting(CertificateParams::default());
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params =
        lasting(CertificateParams::new(names).expect("a test asks for names that are names"));
    params
        .distinguished_name
        .push(DnType::CommonName, "Fumehood test server");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// Valid whatever the machine's clock says within reason.
fn lasting(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2080, 1, 1);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}
