//! What is kept of a handshake where the user asked for recordings: the calls
//! into the guest, and in each what the guest asked for and was told.
//!
//! Of what it asked, a fingerprint: enough to know whether a guest asks the same
//! again. Of what it was told, all: the numbers of secrets, public keys and
//! hashes, random numbers for its hellos, opened handshake messages, verdicts.
//! A secret's bytes are in no answer, so they are in no recording.

use serde::{Deserialize, Serialize};
use wasmtime::component::ResourceTableError;
use wasmtime::{Error, Result};

use super::state::TlsState;
use crate::instance::{Fault, GuestState};

/// What the imports are recorded as: interface and function of the WIT.
pub(super) mod import {
    pub(in crate::tls) const RANDOM: &str = "keys/random";
    pub(in crate::tls) const EXTRACT: &str = "keys/extract";
    pub(in crate::tls) const EXPAND: &str = "keys/expand";
    pub(in crate::tls) const HMAC: &str = "keys/hmac";
    pub(in crate::tls) const TLS12_MASTER: &str = "keys/tls12-master";
    pub(in crate::tls) const TLS12_KEY_BLOCK: &str = "keys/tls12-key-block";
    pub(in crate::tls) const TLS12_FINISHED: &str = "keys/tls12-finished";
    pub(in crate::tls) const NEW_EXCHANGE: &str = "keys/key-exchange";
    pub(in crate::tls) const PUBLIC_KEY: &str = "keys/key-exchange.public-key";
    pub(in crate::tls) const COMPLETE: &str = "keys/key-exchange.complete";
    pub(in crate::tls) const DROP_EXCHANGE: &str = "keys/key-exchange.drop";
    pub(in crate::tls) const NEW_TRANSCRIPT: &str = "keys/transcript";
    pub(in crate::tls) const UPDATE: &str = "keys/transcript.update";
    pub(in crate::tls) const FORK: &str = "keys/transcript.fork";
    pub(in crate::tls) const CURRENT: &str = "keys/transcript.current";
    pub(in crate::tls) const DROP_TRANSCRIPT: &str = "keys/transcript.drop";
    pub(in crate::tls) const OPEN: &str = "keys/record-key.open";
    pub(in crate::tls) const SEAL: &str = "keys/record-key.seal";
    pub(in crate::tls) const UNSEAL: &str = "keys/record-key.unseal";
    pub(in crate::tls) const DROP_RECORD_KEY: &str = "keys/record-key.drop";
    pub(in crate::tls) const VERIFY_CHAIN: &str = "verify/verify-chain";
    pub(in crate::tls) const VERIFY_SIGNATURE: &str = "verify/verify-signature";

    /// Whether a recorded function is one of these; the others are calls into
    /// the guest.
    pub(in crate::tls) fn is(function: &str) -> bool {
        function.contains('/') && function != super::REFUSED
    }
}

/// What is recorded where the host ended a guest for its answer: a [`Refused`].
pub(super) const REFUSED: &str = "host/refused";

/// An import's call.
#[derive(Serialize, Deserialize)]
pub(super) struct Step<T> {
    /// Of the arguments.
    pub(super) asked: Fingerprint,
    pub(super) told: Told<T>,
}

/// How it came out.
#[derive(Serialize, Deserialize)]
pub(super) enum Told<T> {
    Answer(T),
    /// It ended the guest, for having too many resources.
    Full,
    /// It ended the guest for what this says.
    End(String),
}

/// Why the host ended a guest that had answered.
#[derive(Serialize, Deserialize)]
pub(super) struct Refused {
    /// Of the answer.
    pub(super) said: Fingerprint,
    /// It is not for having made a key its own, but for words that no sound
    /// guest says.
    pub(super) nonsense: bool,
    pub(super) why: String,
}

/// Tells values apart that a guest made. Not against somebody who looks for two
/// that collide: he would deceive himself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    /// FNV-1a over the value's encoding: the same in each build.
    pub(super) fn of(value: &impl Serialize) -> Fingerprint {
        const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let bytes = postcard::to_stdvec(value).unwrap_or_default();
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        Fingerprint(bytes.iter().fold(BASIS, mix))
    }
}

impl Refused {
    /// As it is reported.
    pub(super) fn into_fault(self, guest: &GuestState) -> Fault {
        let kind = if self.nonsense { "nonsense" } else { "trap" };
        Fault::of_words(guest, kind, self.why)
    }
}

impl<T> Told<T> {
    /// What a player answers.
    pub(super) fn into_result(self) -> Result<T> {
        match self {
            Told::Answer(answer) => Ok(answer),
            Told::Full => Err(ResourceTableError::Full.into()),
            Told::End(why) => Err(Error::msg(why)),
        }
    }

    fn of(answer: &Result<T>) -> Told<&T> {
        match answer {
            Ok(answer) => Told::Answer(answer),
            Err(error) => match error.downcast_ref() {
                Some(ResourceTableError::Full) => Told::Full,
                _ => Told::End(format!("{error:#}")),
            },
        }
    }
}

impl TlsState {
    /// Answers an import, and keeps what was asked and told.
    pub(super) fn kept<T: Serialize>(
        &mut self,
        function: &'static str,
        asked: &impl Serialize,
        answer: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        if !self.guest.recording.is_wanted() {
            return answer(self);
        }
        let asked = Fingerprint::of(asked);
        let answer = answer(self);
        let told = Told::of(&answer);
        self.guest.recording.note(function, &Step { asked, told });
        answer
    }
}
