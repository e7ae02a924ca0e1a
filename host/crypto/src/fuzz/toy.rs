//! A key service without keys: it answers a TLS guest's every question, the
//! same each time, and protects nothing.
//!
//! So what a fuzzer writes is what the guest reads: "encrypted" records are
//! plaintext with a tag behind it, a Finished message is right when it is made of
//! [`TOY_MAC`], and certificates and signatures are believed unless they begin
//! with `0xff`.

use crate::Group;
use crate::protection::TAG;

/// Every byte of every MAC.
pub const TOY_MAC: u8 = 0x5a;

/// A record whose last byte is this does not authenticate.
pub const TAG_OF_A_BAD_RECORD: u8 = 0xff;

/// What a chain or a signature begins with that is not believed.
const NOT_BELIEVED: u8 = 0xff;

/// Answers one connection's guest.
#[derive(Clone, Debug, Default)]
pub struct Toy {
    /// Random bytes, secrets and resources given out so far.
    count: u64,
    /// A hash of what each transcript holds, by resource.
    transcripts: Vec<(u32, u64)>,
}

impl Toy {
    /// The next "random" bytes.
    pub fn random(&mut self, length: u32) -> Vec<u8> {
        self.count += 1;
        let first = self.count.to_le_bytes()[0];
        (0..length).map(|at| first ^ at.to_le_bytes()[0]).collect()
    }

    /// Names a new secret.
    pub fn secret(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Names a new resource.
    pub fn resource(&mut self) -> u32 {
        self.secret().try_into().unwrap_or(u32::MAX)
    }

    /// A client's key share of the right length.
    #[must_use]
    pub fn public_key(group: Group) -> Vec<u8> {
        vec![4; client_share(group)]
    }

    /// The secret that comes of a server's key share, if it has the right length.
    pub fn complete(&mut self, group: Group, peer: &[u8]) -> Option<u64> {
        (peer.len() == server_share(group)).then(|| self.secret())
    }

    /// An empty transcript.
    pub fn transcript(&mut self) -> u32 {
        let name = self.resource();
        self.transcripts.push((name, 0xcbf2_9ce4_8422_2325));
        name
    }

    /// Adds to a transcript: FNV-1a.
    pub fn update(&mut self, transcript: u32, data: &[u8]) {
        let found = self
            .transcripts
            .iter_mut()
            .find(|(name, _)| *name == transcript);
        if let Some((_, hash)) = found {
            for byte in data {
                *hash = (*hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }

    /// A copy of a transcript.
    pub fn fork(&mut self, transcript: u32) -> u32 {
        let state = self.state(transcript);
        let name = self.resource();
        self.transcripts.push((name, state));
        name
    }

    /// A transcript's hash of so many bytes.
    #[must_use]
    pub fn current(&self, transcript: u32, length: usize) -> Vec<u8> {
        let state = self.state(transcript).to_le_bytes();
        state.iter().copied().cycle().take(length).collect()
    }

    /// Forgets a resource.
    pub fn drop_resource(&mut self, resource: u32) {
        self.transcripts.retain(|(name, _)| *name != resource);
    }

    /// A MAC of so many bytes.
    #[must_use]
    pub fn mac(length: usize) -> Vec<u8> {
        vec![TOY_MAC; length]
    }

    /// A record's payload: its content and a tag.
    #[must_use]
    pub fn seal(content: &[u8]) -> Vec<u8> {
        [content, &[0; TAG]].concat()
    }

    /// A record's content, if there is a tag behind it and it is not a bad one.
    #[must_use]
    pub fn unseal(payload: &[u8]) -> Option<Vec<u8>> {
        let length = payload.len().checked_sub(TAG)?;
        (payload.last() != Some(&TAG_OF_A_BAD_RECORD)).then(|| payload[..length].to_vec())
    }

    /// Whether a certificate or a signature is believed.
    #[must_use]
    pub fn believes(bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|first| *first != NOT_BELIEVED)
    }

    fn state(&self, transcript: u32) -> u64 {
        let found = self
            .transcripts
            .iter()
            .find(|(name, _)| *name == transcript);
        found.map_or(0, |(_, hash)| *hash)
    }
}

/// Bytes of a client's key share.
fn client_share(group: Group) -> usize {
    match group {
        Group::X25519 => 32,
        Group::Secp256r1 => 65,
        Group::Secp384r1 => 97,
        Group::X25519MlKem768 => 1184 + 32,
    }
}

/// Bytes of a server's key share.
fn server_share(group: Group) -> usize {
    match group {
        Group::X25519MlKem768 => 1088 + 32,
        other => client_share(other),
    }
}
