//! The algorithms spoken, and their sizes.

use aws_lc_rs::{aead, digest, hkdf, hmac};

/// Hashes of the cipher suites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// FIPS 180-4.
    Sha256,
    /// FIPS 180-4.
    Sha384,
}

impl Hash {
    /// Length of its output, in bytes.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
        }
    }

    pub(crate) fn digest(self) -> &'static digest::Algorithm {
        match self {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha384 => &digest::SHA384,
        }
    }

    pub(crate) fn hmac(self) -> hmac::Algorithm {
        match self {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha384 => hmac::HMAC_SHA384,
        }
    }

    pub(crate) fn hkdf(self) -> hkdf::Algorithm {
        match self {
            Hash::Sha256 => hkdf::HKDF_SHA256,
            Hash::Sha384 => hkdf::HKDF_SHA384,
        }
    }
}

/// AEADs of the cipher suites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aead {
    /// RFC 5116.
    Aes128Gcm,
    /// RFC 5116.
    Aes256Gcm,
    /// RFC 8439.
    ChaCha20Poly1305,
}

impl Aead {
    /// Length of its key, in bytes.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Aead::Aes128Gcm => 16,
            Aead::Aes256Gcm | Aead::ChaCha20Poly1305 => 32,
        }
    }

    /// Length of the part of the nonce that is derived with the key, in bytes
    /// (RFC 5288 section 3, RFC 7905 section 2, RFC 8446 section 5.3).
    #[must_use]
    pub const fn fixed_iv_len(self, version: Version) -> usize {
        match (version, self) {
            (Version::Tls12, Aead::Aes128Gcm | Aead::Aes256Gcm) => 4,
            (Version::Tls12, Aead::ChaCha20Poly1305) | (Version::Tls13, _) => 12,
        }
    }

    pub(crate) fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Aead::Aes128Gcm => &aead::AES_128_GCM,
            Aead::Aes256Gcm => &aead::AES_256_GCM,
            Aead::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }
}

/// Key exchange groups (IANA "TLS Supported Groups").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// 0x0017
    Secp256r1,
    /// 0x0018
    Secp384r1,
    /// 0x001d
    X25519,
    /// 0x11ec
    X25519MlKem768,
}

impl Group {
    /// IANA code point.
    #[must_use]
    pub const fn code_point(self) -> u16 {
        match self {
            Group::Secp256r1 => 0x0017,
            Group::Secp384r1 => 0x0018,
            Group::X25519 => 0x001d,
            Group::X25519MlKem768 => 0x11ec,
        }
    }
}

/// TLS versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// Which way a record key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Client to server.
    Seal,
    /// Server to client.
    Open,
}
