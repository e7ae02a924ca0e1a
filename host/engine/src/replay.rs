//! Brings a fresh instance to a recorded end, away from any network.

use std::hash::RandomState;
use std::os::fd::OwnedFd;

use fumehood_control::{FaultReport, ModuleHeader, RecordedCall};

use crate::instance::{Call, CodecError, Ticker};
use crate::registry::{Limits, Registry};
use crate::tls::{Anchors, Recorded};

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
    /// Of `http1`, `tls` and `x509` all is recorded that they depend on.
    #[error("a recording of {0} cannot be replayed: it depends on more than was recorded")]
    Kind(String),
    /// The module was not loaded: one sentence.
    #[error("the module is refused: {0}")]
    Module(String),
    /// A call is not one, or not of this version of the engine.
    #[error("call {0} of the recording does not decode")]
    Call(usize),
    /// The guest does something else than was recorded, so there are no answers
    /// for it.
    #[error("{0}")]
    Diverged(Divergence),
}

/// Where a guest and a recording of another one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The step of the recording, from 0.
    pub step: usize,
    /// What was recorded there: a few words that follow "was recorded".
    pub recorded: String,
    /// What the guest does: a few words that follow "the guest".
    pub did: String,
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Divergence {
            step,
            recorded,
            did,
        } = self;
        write!(
            f,
            "at step {step} the guest {did}, where {recorded} was recorded: the recording is of another version, or damaged"
        )
    }
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
    match header.name.as_str() {
        "http1" => {
            let calls = decode(recording)?;
            let (registry, ticker) = prepare(header, code, Anchors::default())?;
            let _active = ticker.activate();
            replay_codec(&registry, &calls)
        }
        "x509" => {
            let mut recorded = Recorded::decode(recording).map_err(ReplayError::Call)?;
            let anchors = std::mem::take(&mut recorded.anchors);
            let (registry, ticker) = prepare(header, code, anchors)?;
            let _active = ticker.activate();
            let version = registry.x509.current().map_err(|_| not_current())?;
            Ok(match version.module.ask_again(&recorded) {
                Ok(true) => ReplayOutcome::Survived,
                Ok(false) => ReplayOutcome::Refused("verify".to_owned()),
                Err(faults) => ReplayOutcome::Fault(Box::new(faults.report().clone())),
            })
        }
        "tls" => {
            let (registry, ticker) = prepare(header, code, Anchors::default())?;
            let _active = ticker.activate();
            let version = registry.tls.current().map_err(|_| not_current())?;
            version.module.play(recording)
        }
        other => Err(ReplayError::Kind(other.to_owned())),
    }
}

/// The one module, current, and the clock that ends what hangs.
fn prepare(
    header: &ModuleHeader,
    code: OwnedFd,
    anchors: Anchors,
) -> Result<(Registry, Ticker), ReplayError> {
    let refused = |why: &dyn std::fmt::Display| ReplayError::Module(why.to_string());
    let registry = Registry::new(Limits::for_one(), anchors).map_err(|error| refused(&error))?;
    registry.load(header, code).map_err(|why| refused(&why))?;
    registry
        .swap(&header.name, header.digest)
        .map_err(|why| refused(&why))?;
    let ticker = Ticker::start(registry.engine().clone()).map_err(|error| refused(&error))?;
    Ok((registry, ticker))
}

fn not_current() -> ReplayError {
    ReplayError::Module("it is not current".to_owned())
}

fn replay_codec(registry: &Registry, calls: &[Call]) -> Result<ReplayOutcome, ReplayError> {
    let version = registry.http1.current().map_err(|_| not_current())?;
    let mut codec = version
        .module
        .instantiate()
        .map_err(|fault| ReplayError::Module(fault.to_string()))?;
    let hasher = RandomState::new();
    for call in calls {
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
