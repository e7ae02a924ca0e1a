//! Brings a fresh instance to a recorded end, away from any network.

use std::hash::RandomState;
use std::os::fd::OwnedFd;

use fumehood_control::{FaultReport, ModuleHeader, RecordedCall};

use crate::instance::{Call, CodecError, Ticker};
use crate::registry::{Limits, Registry};
use crate::tls::Anchors;

/// What became of a recording.
#[derive(Debug)]
pub enum ReplayOutcome {
    /// The instance ended, like this.
    Fault(Box<FaultReport>),
    /// The guest refused a call: what the peer sent breaks a rule, and the
    /// guest says so. Names the call.
    Refused(String),
    /// All calls were answered.
    Survived,
}

/// Why a recording was not replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Only `http1` depends on nothing but its calls.
    #[error("a recording of {0} cannot be replayed: only http1 depends on nothing but its calls")]
    Kind(String),
    /// The module was not loaded: one sentence.
    #[error("the module is refused: {0}")]
    Module(String),
    /// A call is not one, or not of this version of the engine.
    #[error("call {0} of the recording does not decode")]
    Call(usize),
}

/// Makes the recorded calls in a fresh instance of a module and says how it
/// ended. The same code and calls come to the same end each time.
///
/// `code` is a sealed memfd with what our own compiler made; the caller vouches
/// for it. It runs in this process, under the guest's usual bounds, and needs
/// no call that a sealed engine may not make.
///
/// # Errors
/// See [`ReplayError`].
pub fn replay(
    header: &ModuleHeader,
    code: OwnedFd,
    recording: &[RecordedCall],
) -> Result<ReplayOutcome, ReplayError> {
    if header.name != "http1" {
        return Err(ReplayError::Kind(header.name.clone()));
    }
    let calls = decode(recording)?;
    let refused = |why: &dyn std::fmt::Display| ReplayError::Module(why.to_string());
    let registry =
        Registry::new(Limits::for_one(), Anchors::default()).map_err(|error| refused(&error))?;
    registry.load(header, code).map_err(|why| refused(&why))?;
    registry
        .swap(&header.name, header.digest)
        .map_err(|why| refused(&why))?;
    let ticker = Ticker::start(registry.engine().clone()).map_err(|error| refused(&error))?;
    let _active = ticker.activate();
    let version = registry
        .http1
        .current()
        .map_err(|_| refused(&"it is not current"))?;
    let mut codec = version
        .module
        .instantiate()
        .map_err(|fault| refused(&fault))?;
    let hasher = RandomState::new();
    for call in &calls {
        match codec.perform(call, &hasher) {
            Ok(_) => {}
            Err(CodecError::Protocol(_)) => {
                return Ok(ReplayOutcome::Refused(call.name().to_owned()));
            }
            Err(CodecError::Fault(fault)) => {
                return Ok(ReplayOutcome::Fault(Box::new(fault.report().clone())));
            }
        }
    }
    Ok(ReplayOutcome::Survived)
}

fn decode(recording: &[RecordedCall]) -> Result<Vec<Call>, ReplayError> {
    recording
        .iter()
        .enumerate()
        .map(|(number, recorded)| {
            postcard::from_bytes::<Call>(&recorded.arguments)
                .ok()
                .filter(|call| call.name() == recorded.function)
                .ok_or(ReplayError::Call(number))
        })
        .collect()
}
