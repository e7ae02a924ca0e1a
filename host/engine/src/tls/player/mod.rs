//! A recorded handshake, played to a fresh instance: its imports are answered
//! from the recording, so there is no key, no network, no clock and no luck.

mod imports;
mod tape;

use fumehood_control::RecordedCall;
use serde::{Deserialize, Serialize};
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Result, Store};

use super::bindings::client::exports::fumehood::tls::client as wire;
use super::bindings::client::fumehood::crypto::keys;
use super::bindings::client::fumehood::guest::panic;
use super::bindings::client::fumehood::tls::verify;
use super::bindings::client::{TlsClient, TlsClientPre};
use super::guest::TlsModule;
use super::recorded::{Fingerprint, REFUSED, Refused, import};
use crate::instance::{Fault, GuestState, arm, new_store};
use crate::replay::{ReplayError, ReplayOutcome};
use tape::{Off, Tape};

/// What a player's store holds: no keys, and nobody who judges.
struct PlayState {
    guest: GuestState,
    tape: Tape,
}

/// A call into the guest, as [`super::guest`] records it.
enum Call {
    Start(wire::Config),
    Adopt(wire::Established),
    Receive(Vec<u8>),
    PostHandshake(Vec<u8>),
    RenewOutbound,
}

/// What the guest answered, in brief.
struct Said {
    fingerprint: Fingerprint,
    is_failure: bool,
}

impl Call {
    fn decode(step: &RecordedCall) -> Option<Call> {
        fn arguments<'a, T: Deserialize<'a>>(step: &'a RecordedCall) -> Option<T> {
            postcard::from_bytes(&step.arguments).ok()
        }
        Some(match step.function.as_str() {
            "start" => Call::Start(arguments(step)?),
            "adopt" => Call::Adopt(arguments(step)?),
            "receive" => Call::Receive(arguments(step)?),
            "post-handshake" => Call::PostHandshake(arguments(step)?),
            "renew-outbound" => Call::RenewOutbound,
            _ => return None,
        })
    }

    fn make(&self, client: &TlsClient, store: &mut Store<PlayState>) -> Result<Said> {
        fn said<T: Serialize>(answer: &std::result::Result<T, wire::Failure>) -> Said {
            Said {
                fingerprint: Fingerprint::of(answer),
                is_failure: answer.is_err(),
            }
        }
        arm(store);
        let client = client.fumehood_tls_client();
        Ok(match self {
            Call::Start(config) => said(&client.call_start(store, config)?),
            Call::Adopt(established) => said(&client.call_adopt(store, established)?),
            Call::Receive(record) => said(&client.call_receive(store, record)?),
            Call::PostHandshake(message) => said(&client.call_post_handshake(store, message)?),
            Call::RenewOutbound => said(&client.call_renew_outbound(store)?),
        })
    }
}

impl TlsModule {
    /// Plays a recording to a fresh instance and says how it ended.
    ///
    /// # Errors
    /// [`ReplayError::Call`] where a step does not decode,
    /// [`ReplayError::Diverged`] where the guest does something else than was
    /// recorded.
    pub(crate) fn play(
        &self,
        recording: &[RecordedCall],
    ) -> std::result::Result<ReplayOutcome, ReplayError> {
        let pre = self
            .playing()
            .map_err(|error| ReplayError::Module(error.to_string()))?;
        let state = PlayState {
            guest: GuestState::new(&self.about),
            tape: Tape::new(recording),
        };
        let mut store = new_store(&self.engine, state, |state| &mut state.guest);
        let client = match pre.instantiate(&mut store) {
            Ok(client) => client,
            Err(error) => return ended(&mut store, &error),
        };
        store.data_mut().guest.entered = true;
        while let Some(step) = store.data().tape.next() {
            let (name, call) = (step.function.clone(), Call::decode(step));
            let at = store.data().tape.position();
            let call = call.ok_or(ReplayError::Call(at))?;
            store.data_mut().tape.advance();
            let said = match call.make(&client, &mut store) {
                Ok(said) => said,
                Err(error) => return ended(&mut store, &error),
            };
            if let Some(outcome) = verdict(store.data(), &said)? {
                return Ok(outcome);
            }
            if said.is_failure {
                return Ok(ReplayOutcome::Refused(name));
            }
        }
        Ok(ReplayOutcome::Survived)
    }

    /// The module with the recording for its imports.
    fn playing(&self) -> Result<TlsClientPre<PlayState>> {
        let mut linker = Linker::new(&self.engine);
        panic::add_to_linker::<PlayState, HasSelf<PlayState>>(&mut linker, |state| state)?;
        keys::add_to_linker::<PlayState, HasSelf<PlayState>>(&mut linker, |state| state)?;
        verify::add_to_linker::<PlayState, HasSelf<PlayState>>(&mut linker, |state| state)?;
        TlsClientPre::new(linker.instantiate_pre(self.component())?)
    }
}

/// What the host thought of an answer, where that was the recorded end. It is
/// thought again of the same answer; of another one nothing is known.
fn verdict(
    state: &PlayState,
    said: &Said,
) -> std::result::Result<Option<ReplayOutcome>, ReplayError> {
    let tape = &state.tape;
    match tape.next() {
        Some(step) if step.function == REFUSED => {
            let refused = postcard::from_bytes::<Refused>(&step.arguments);
            let refused = refused.map_err(|_| ReplayError::Call(tape.position()))?;
            if refused.said == said.fingerprint {
                let fault = refused.into_fault(&state.guest);
                Ok(Some(ReplayOutcome::Fault(Box::new(fault.report().clone()))))
            } else if said.is_failure {
                Ok(None)
            } else {
                Ok(Some(ReplayOutcome::Survived))
            }
        }
        Some(step) if import::is(&step.function) => {
            let how = tape.diverged(step, "answers".to_owned());
            Err(ReplayError::Diverged(how))
        }
        _ => Ok(None),
    }
}

/// An instance that ended: by itself, or because the recording has no more to
/// say to it.
fn ended(
    store: &mut Store<PlayState>,
    error: &wasmtime::Error,
) -> std::result::Result<ReplayOutcome, ReplayError> {
    match store.data_mut().tape.off() {
        None => {
            let fault = Fault::of_call(&store.data().guest, error);
            Ok(ReplayOutcome::Fault(Box::new(fault.report().clone())))
        }
        Some(Off::Past) => Ok(ReplayOutcome::Survived),
        Some(Off::Damaged(at)) => Err(ReplayError::Call(at)),
        Some(Off::Diverged(how)) => Err(ReplayError::Diverged(how)),
    }
}
