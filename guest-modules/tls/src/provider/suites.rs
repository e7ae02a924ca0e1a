//! The cipher suites: all of TLS 1.3's that browsers speak, TLS 1.2's with ECDHE and an AEAD.

use rustls::crypto::{CipherSuiteCommon, KeyExchangeAlgorithm};
use rustls::{
    CipherSuite, SignatureScheme, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite,
};

use super::hash::{HostHash, SHA256, SHA384};
use super::record::{AES_128_GCM, AES_256_GCM, Aead, CHACHA20_POLY1305};
use super::schedule::{HKDF_SHA256, HKDF_SHA384, HostHkdf};
use super::tls12::HostPrf;
use crate::imports::HashAlgorithm;

/// In order of preference.
pub(super) static ALL: [SupportedCipherSuite; 9] = [
    SupportedCipherSuite::Tls13(&TLS13_AES_256_GCM_SHA384),
    SupportedCipherSuite::Tls13(&TLS13_AES_128_GCM_SHA256),
    SupportedCipherSuite::Tls13(&TLS13_CHACHA20_POLY1305_SHA256),
    SupportedCipherSuite::Tls12(&TLS12_ECDSA_AES_256),
    SupportedCipherSuite::Tls12(&TLS12_ECDSA_AES_128),
    SupportedCipherSuite::Tls12(&TLS12_ECDSA_CHACHA20),
    SupportedCipherSuite::Tls12(&TLS12_RSA_AES_256),
    SupportedCipherSuite::Tls12(&TLS12_RSA_AES_128),
    SupportedCipherSuite::Tls12(&TLS12_RSA_CHACHA20),
];

/// Records under one key. The host counts them; the guest seals no more than
/// a handshake.
const CONFIDENTIALITY_LIMIT: u64 = 1 << 24;

static ECDSA: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
];

static RSA: &[SignatureScheme] = &[
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
];

const fn common(suite: CipherSuite, hash: &'static HostHash) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite,
        hash_provider: hash,
        confidentiality_limit: CONFIDENTIALITY_LIMIT,
    }
}

const fn tls13(
    suite: CipherSuite,
    hash: &'static HostHash,
    hkdf: &'static HostHkdf,
    aead: &'static Aead,
) -> Tls13CipherSuite {
    Tls13CipherSuite {
        common: common(suite, hash),
        hkdf_provider: hkdf,
        aead_alg: aead,
        quic: None,
    }
}

const fn tls12(
    suite: CipherSuite,
    hash: &'static HostHash,
    sign: &'static [SignatureScheme],
    prf: &'static HostPrf,
) -> Tls12CipherSuite {
    Tls12CipherSuite {
        common: common(suite, hash),
        kx: KeyExchangeAlgorithm::ECDHE,
        sign,
        prf_provider: prf,
        aead_alg: prf.aead,
    }
}

static TLS13_AES_256_GCM_SHA384: Tls13CipherSuite = tls13(
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    &SHA384,
    &HKDF_SHA384,
    &AES_256_GCM,
);
static TLS13_AES_128_GCM_SHA256: Tls13CipherSuite = tls13(
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    &SHA256,
    &HKDF_SHA256,
    &AES_128_GCM,
);
static TLS13_CHACHA20_POLY1305_SHA256: Tls13CipherSuite = tls13(
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    &SHA256,
    &HKDF_SHA256,
    &CHACHA20_POLY1305,
);

static PRF_AES_256: HostPrf = HostPrf {
    hash: HashAlgorithm::Sha384,
    aead: &AES_256_GCM,
};
static PRF_AES_128: HostPrf = HostPrf {
    hash: HashAlgorithm::Sha256,
    aead: &AES_128_GCM,
};
static PRF_CHACHA20: HostPrf = HostPrf {
    hash: HashAlgorithm::Sha256,
    aead: &CHACHA20_POLY1305,
};

static TLS12_ECDSA_AES_256: Tls12CipherSuite = tls12(
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    &SHA384,
    ECDSA,
    &PRF_AES_256,
);
static TLS12_ECDSA_AES_128: Tls12CipherSuite = tls12(
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    &SHA256,
    ECDSA,
    &PRF_AES_128,
);
static TLS12_ECDSA_CHACHA20: Tls12CipherSuite = tls12(
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    &SHA256,
    ECDSA,
    &PRF_CHACHA20,
);
static TLS12_RSA_AES_256: Tls12CipherSuite = tls12(
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    &SHA384,
    RSA,
    &PRF_AES_256,
);
static TLS12_RSA_AES_128: Tls12CipherSuite = tls12(
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    &SHA256,
    RSA,
    &PRF_AES_128,
);
static TLS12_RSA_CHACHA20: Tls12CipherSuite = tls12(
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    &SHA256,
    RSA,
    &PRF_CHACHA20,
);
