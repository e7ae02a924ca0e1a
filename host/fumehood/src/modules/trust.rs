//! Which modules are taken: signatures, pinned digests, no way back.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use fumehood_control::Digest;

use super::accepted::Accepted;
use super::error::ModuleError;
use super::identity::{ModuleId, statement};
use crate::hex;

/// Length of an ed25519 public key, in bytes.
const KEY_BYTES: usize = 32;

/// Length of an ed25519 signature, in bytes.
const SIGNATURE_BYTES: usize = 64;

/// Most keys; each is tried on every signature.
pub(crate) const MAX_KEYS: usize = 16;

/// Most pins of a configuration: as many as files of a directory are looked at.
pub(crate) const MAX_PINS: usize = 64;

/// An ed25519 public key that signs modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModuleKey([u8; KEY_BYTES]);

impl ModuleKey {
    /// The key itself (RFC 8032 section 5.1.5).
    #[must_use]
    pub fn new(key: [u8; KEY_BYTES]) -> Self {
        ModuleKey(key)
    }

    /// From 64 hexadecimal digits; `None` for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode_exactly(text).map(ModuleKey)
    }

    /// As 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(&self.0)
    }
}

/// A text is not the 64 hexadecimal digits of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a module key is an ed25519 public key as 64 hexadecimal digits")]
pub struct NotAKey;

impl FromStr for ModuleKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        ModuleKey::from_hex(text).ok_or(NotAKey)
    }
}

impl fmt::Display for ModuleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// A digest that files of a name are to have. As text: `http1 9f86d081…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModulePin {
    name: String,
    digest: Digest,
}

/// A text is no pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pin is a module's name, a space, and a SHA-256 digest as 64 hexadecimal digits")]
pub struct NotAPin;

impl ModulePin {
    /// Which modules it is for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What they are to have.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl FromStr for ModulePin {
    type Err = NotAPin;

    fn from_str(text: &str) -> Result<Self, NotAPin> {
        let (name, digest) = text.split_once(' ').ok_or(NotAPin)?;
        // Whether it can be a name does not depend on a version.
        let id = ModuleId::new(name, "0.0.0").ok_or(NotAPin)?;
        Ok(ModulePin {
            name: id.name().to_owned(),
            digest: hex::decode_exactly(digest).ok_or(NotAPin)?,
        })
    }
}

impl fmt::Display for ModulePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, hex::encode(&self.digest))
    }
}

/// A detached signature, as its file has it: 128 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature([u8; SIGNATURE_BYTES]);

impl Signature {
    /// Longest file, in bytes: the digits and some white space.
    pub(crate) const MAX_FILE: u64 = 256;

    /// Anything unreadable becomes a signature that no key made.
    pub(crate) fn of_file(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        Signature(hex::decode_exactly(text.trim()).unwrap_or([0; SIGNATURE_BYTES]))
    }
}

/// What is known of a module's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureState {
    /// It is part of this program, and needs none.
    BuiltIn,
    /// There is none.
    Unsigned,
    /// There is one, and no key to check it with.
    Unchecked,
    /// This key made it.
    SignedBy(ModuleKey),
}

impl SignatureState {
    /// For reports: `built-in`, `unsigned`, `unchecked` or `signed-by:KEY`.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            SignatureState::BuiltIn => "built-in".to_owned(),
            SignatureState::Unsigned => "unsigned".to_owned(),
            SignatureState::Unchecked => "unchecked".to_owned(),
            SignatureState::SignedBy(key) => format!("signed-by:{}", key.to_hex()),
        }
    }
}

/// Which modules of files and folders an embedder takes. By default all: they
/// are sandboxed like any other, and reach what their imports say.
///
/// A signature is checked wherever there are keys, required or not: one that
/// no key made is refused.
#[derive(Clone, Debug, Default)]
pub struct ModuleTrust {
    keys: Vec<ModuleKey>,
    signed_only: bool,
    pins: BTreeMap<String, Vec<Digest>>,
    accepted: Option<PathBuf>,
    /// What is taken is not remembered.
    only_looks: bool,
}

impl ModuleTrust {
    /// Takes everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts signatures of this key. The 17th and later are not looked at.
    #[must_use]
    pub fn key(mut self, key: ModuleKey) -> Self {
        if self.keys.len() < MAX_KEYS {
            self.keys.push(key);
        }
        self
    }

    /// Refuses what none of the keys signed.
    #[must_use]
    pub fn signed_only(mut self) -> Self {
        self.signed_only = true;
        self
    }

    /// Refuses modules of this name with other digests than those pinned for it.
    #[must_use]
    pub fn pin(mut self, name: impl Into<String>, digest: Digest) -> Self {
        self.pins.entry(name.into()).or_default().push(digest);
        self
    }

    /// Refuses versions older than the newest that was ever taken, which is
    /// remembered in this file; its folder must be this user's alone.
    #[must_use]
    pub fn no_older(mut self, remembered_in: impl Into<PathBuf>) -> Self {
        self.accepted = Some(remembered_in.into());
        self
    }

    /// Judges by what is remembered, and remembers nothing: for who only looks.
    #[must_use]
    pub fn only_looking(mut self) -> Self {
        self.only_looks = true;
        self
    }

    /// Judges a module. Blocks on the file of accepted versions.
    pub(crate) fn judge(
        &self,
        id: &ModuleId,
        digest: &Digest,
        signature: Option<&Signature>,
    ) -> Result<SignatureState, ModuleError> {
        self.check_pin(id, digest)?;
        let state = self.check_signature(id, digest, signature)?;
        if let Some(path) = &self.accepted {
            Accepted::read(path)?.check(id)?;
        }
        Ok(state)
    }

    /// Remembers that a module was taken. Blocks on the file of accepted versions.
    pub(crate) fn remember(&self, id: &ModuleId) -> Result<(), ModuleError> {
        match &self.accepted {
            Some(path) if !self.only_looks => Accepted::remember(path, id),
            _ => Ok(()),
        }
    }

    fn check_pin(&self, id: &ModuleId, digest: &Digest) -> Result<(), ModuleError> {
        match self.pins.get(id.name()) {
            Some(pins) if !pins.contains(digest) => Err(ModuleError::WrongDigest {
                module: id.to_string(),
                digest: hex::encode(digest),
            }),
            _ => Ok(()),
        }
    }

    fn check_signature(
        &self,
        id: &ModuleId,
        digest: &Digest,
        signature: Option<&Signature>,
    ) -> Result<SignatureState, ModuleError> {
        let module = || id.to_string();
        let Some(signature) = signature else {
            return match self.signed_only {
                true => Err(ModuleError::Unsigned { module: module() }),
                false => Ok(SignatureState::Unsigned),
            };
        };
        if self.keys.is_empty() && !self.signed_only {
            return Ok(SignatureState::Unchecked);
        }
        let statement = statement(id, digest);
        let made_it = |key: &&ModuleKey| {
            UnparsedPublicKey::new(&ED25519, key.0)
                .verify(statement.as_bytes(), &signature.0)
                .is_ok()
        };
        match self.keys.iter().find(made_it) {
            Some(key) => Ok(SignatureState::SignedBy(*key)),
            None => Err(ModuleError::BadSignature {
                module: module(),
                keys: self.keys.len(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    const DIGEST: Digest = [7; 32];

    fn signer(seed: u8) -> (Ed25519KeyPair, ModuleKey) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let key = ModuleKey::new(pair.public_key().as_ref().try_into().unwrap());
        (pair, key)
    }

    fn id(version: &str) -> ModuleId {
        ModuleId::new("http1", version).unwrap()
    }

    fn sign(pair: &Ed25519KeyPair, id: &ModuleId, digest: &Digest) -> Signature {
        let signature = pair.sign(statement(id, digest).as_bytes());
        Signature::of_file(format!("{}\n", hex::encode(signature.as_ref())).as_bytes())
    }

    #[test]
    fn only_a_trusted_key_s_word_on_this_very_module_counts() {
        let ((pair, key), (other, _)) = (signer(1), signer(2));
        let trust = ModuleTrust::new().key(signer(3).1).key(key).signed_only();
        let good = sign(&pair, &id("1.0.0"), &DIGEST);
        let judged = trust.judge(&id("1.0.0"), &DIGEST, Some(&good)).unwrap();
        assert_eq!(judged, SignatureState::SignedBy(key));
        let refused = [
            (id("1.0.0"), DIGEST, sign(&other, &id("1.0.0"), &DIGEST)),
            (id("1.0.1"), DIGEST, good), // an old module as a new one
            (id("1.0.0"), [8; 32], good),
            (ModuleId::new("tls", "1.0.0").unwrap(), DIGEST, good),
            (id("1.0.0"), DIGEST, Signature::of_file(b"\xff garbage")),
        ];
        for (id, digest, signature) in refused {
            let error = trust.judge(&id, &digest, Some(&signature)).unwrap_err();
            assert_eq!(error.code(), "bad-signature", "{id}");
        }
        let error = trust.judge(&id("1.0.0"), &DIGEST, None).unwrap_err();
        assert_eq!(error.code(), "unsigned");
        assert!(error.to_string().contains(".sig"), "{error}");
    }

    #[test]
    fn a_false_signature_is_refused_even_where_none_is_required() {
        let ((_, key), (other, _)) = (signer(1), signer(2));
        let trust = ModuleTrust::new().key(key);
        let signature = sign(&other, &id("1.0.0"), &DIGEST);
        assert!(
            trust
                .judge(&id("1.0.0"), &DIGEST, Some(&signature))
                .is_err()
        );
        let unsigned = trust.judge(&id("1.0.0"), &DIGEST, None).unwrap();
        assert_eq!(unsigned, SignatureState::Unsigned);
        let nobody = ModuleTrust::new().signed_only();
        assert!(
            nobody
                .judge(&id("1.0.0"), &DIGEST, Some(&signature))
                .is_err()
        );
    }

    #[test]
    fn a_pinned_name_takes_pinned_digests_alone() {
        let trust = ModuleTrust::new()
            .pin("http1", [1; 32])
            .pin("http1", DIGEST);
        assert!(trust.judge(&id("1.0.0"), &DIGEST, None).is_ok());
        let error = trust.judge(&id("1.0.0"), &[2; 32], None).unwrap_err();
        assert_eq!(error.code(), "wrong-digest");
        let tls = ModuleId::new("tls", "1.0.0").unwrap();
        assert!(trust.judge(&tls, &[2; 32], None).is_ok());
    }

    #[test]
    fn what_was_taken_once_is_the_oldest_taken_again() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("state/modules.json");
        let trust = ModuleTrust::new().no_older(&file);
        trust.judge(&id("1.2.0"), &DIGEST, None).unwrap();
        trust.remember(&id("1.2.0")).unwrap();
        trust.remember(&id("1.1.0")).unwrap(); // never lowers it
        for old in ["1.1.9", "1.2.0-rc.1", "0.9.0"] {
            let error = trust.judge(&id(old), &DIGEST, None).unwrap_err();
            assert_eq!(error.code(), "rolled-back", "{old}");
            assert!(error.to_string().contains("1.2.0"), "{error}");
        }
        for new in ["1.2.0", "1.3.0"] {
            trust.judge(&id(new), &DIGEST, None).unwrap();
        }
        // Who only looks goes by it and does not raise it.
        let looking = trust.clone().only_looking();
        looking.remember(&id("9.0.0")).unwrap();
        assert!(looking.judge(&id("1.1.9"), &DIGEST, None).is_err());
        trust.judge(&id("1.2.0"), &DIGEST, None).unwrap();
        // What cannot be believed is no leave.
        std::fs::write(&file, "garbage").unwrap();
        assert_eq!(
            trust.judge(&id("9.0.0"), &DIGEST, None).unwrap_err().code(),
            "store"
        );
    }
}
