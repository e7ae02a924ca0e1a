//! Record protection during the handshake: one import a record.

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload,
    Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

use crate::handle;
use crate::imports::{self, AeadAlgorithm, Direction, RecordKey};

pub(super) static AES_128_GCM: Aead = Aead {
    algorithm: AeadAlgorithm::Aes128Gcm,
};
pub(super) static AES_256_GCM: Aead = Aead {
    algorithm: AeadAlgorithm::Aes256Gcm,
};
pub(super) static CHACHA20_POLY1305: Aead = Aead {
    algorithm: AeadAlgorithm::Chacha20Poly1305,
};

/// Length of a tag, in bytes.
const TAG: usize = 16;

pub(super) struct Aead {
    pub(super) algorithm: AeadAlgorithm,
}

impl Aead {
    /// Length of a key, in bytes.
    pub(super) fn key_len(&self) -> usize {
        match self.algorithm {
            AeadAlgorithm::Aes128Gcm => 16,
            AeadAlgorithm::Aes256Gcm | AeadAlgorithm::Chacha20Poly1305 => 32,
        }
    }

    /// Length of TLS 1.2's explicit nonce, in bytes.
    fn explicit_nonce_len(&self) -> usize {
        match self.algorithm {
            AeadAlgorithm::Aes128Gcm | AeadAlgorithm::Aes256Gcm => 8,
            AeadAlgorithm::Chacha20Poly1305 => 0,
        }
    }

    fn record(
        &self,
        version: imports::ProtocolVersion,
        direction: Direction,
        key: &AeadKey,
    ) -> Box<Record> {
        let explicit_nonce = match version {
            imports::ProtocolVersion::Tls12 => self.explicit_nonce_len(),
            imports::ProtocolVersion::Tls13 => 0,
        };
        let traffic = handle::from_bytes(key.as_ref());
        Box::new(Record {
            key: RecordKey::open(version, self.algorithm, direction, traffic),
            version,
            explicit_nonce,
        })
    }

    fn secrets(&self, key: AeadKey, iv: Iv) -> ConnectionTrafficSecrets {
        match self.algorithm {
            AeadAlgorithm::Aes128Gcm => ConnectionTrafficSecrets::Aes128Gcm { key, iv },
            AeadAlgorithm::Aes256Gcm => ConnectionTrafficSecrets::Aes256Gcm { key, iv },
            AeadAlgorithm::Chacha20Poly1305 => {
                ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }
            }
        }
    }
}

impl Tls13AeadAlgorithm for Aead {
    fn encrypter(&self, key: AeadKey, _iv: Iv) -> Box<dyn MessageEncrypter> {
        self.record(imports::ProtocolVersion::Tls13, Direction::Seal, &key)
    }

    fn decrypter(&self, key: AeadKey, _iv: Iv) -> Box<dyn MessageDecrypter> {
        self.record(imports::ProtocolVersion::Tls13, Direction::Open, &key)
    }

    fn key_len(&self) -> usize {
        Aead::key_len(self)
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok(self.secrets(key, iv))
    }
}

/// Half a key block is one secret of the host's: key and IV.
impl Tls12AeadAlgorithm for Aead {
    fn encrypter(&self, key: AeadKey, _iv: &[u8], _extra: &[u8]) -> Box<dyn MessageEncrypter> {
        self.record(imports::ProtocolVersion::Tls12, Direction::Seal, &key)
    }

    fn decrypter(&self, key: AeadKey, _iv: &[u8]) -> Box<dyn MessageDecrypter> {
        self.record(imports::ProtocolVersion::Tls12, Direction::Open, &key)
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        let explicit_nonce_len = self.explicit_nonce_len();
        KeyBlockShape {
            enc_key_len: self.key_len(),
            fixed_iv_len: 12 - explicit_nonce_len,
            explicit_nonce_len,
        }
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        _iv: &[u8],
        _explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok(self.secrets(key, Iv::new([0; 12])))
    }
}

/// A record key of the host's; an error if the host would not give one.
struct Record {
    key: Result<RecordKey, imports::Error>,
    version: imports::ProtocolVersion,
    explicit_nonce: usize,
}

impl MessageEncrypter for Record {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let mut content = message.payload.to_vec();
        let outer = match self.version {
            imports::ProtocolVersion::Tls12 => message.typ,
            imports::ProtocolVersion::Tls13 => {
                content.push(message.typ.into());
                ContentType::ApplicationData
            }
        };
        let sealed = self
            .key
            .as_ref()
            .ok()
            .and_then(|key| key.seal(sequence, message.typ.into(), &content).ok())
            .ok_or(Error::EncryptError)?;
        let mut payload = PrefixedPayload::with_capacity(sealed.len());
        payload.extend_from_slice(&sealed);
        Ok(OutboundOpaqueMessage::new(
            outer,
            ProtocolVersion::TLSv1_2,
            payload,
        ))
    }

    fn encrypted_payload_len(&self, content: usize) -> usize {
        let inner_type = match self.version {
            imports::ProtocolVersion::Tls12 => 0,
            imports::ProtocolVersion::Tls13 => 1,
        };
        self.explicit_nonce + content + inner_type + TAG
    }
}

impl MessageDecrypter for Record {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let opened = self
            .key
            .as_ref()
            .ok()
            .and_then(|key| {
                key.unseal(sequence, message.typ.into(), &message.payload)
                    .ok()
            })
            .ok_or(Error::DecryptError)?;
        let space = message
            .payload
            .get_mut(..opened.len())
            .ok_or(Error::DecryptError)?;
        space.copy_from_slice(&opened);
        match self.version {
            imports::ProtocolVersion::Tls12 => {
                Ok(message.into_plain_message_range(0..opened.len()))
            }
            imports::ProtocolVersion::Tls13 => {
                message.payload.truncate(opened.len());
                message.into_tls13_unpadded_message()
            }
        }
    }
}
