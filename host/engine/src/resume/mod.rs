//! A codec that outlives its instances: when one ends, another takes its place
//! at the same point of the stream.
//!
//! A codec is a function of what it was asked. So a fresh instance that is
//! asked the same again stands where the old one stood, on the same socket,
//! without the peer's knowledge. What it says again is not passed on; that it
//! is the same is checked, since bytes of it are with the peer and heads of it
//! with the embedder already.

mod journal;

use std::hash::RandomState;
use std::sync::Arc;

use fumehood_control::{Aftermath, Cause, Challenge, Instance};

use crate::instance::{
    Answer, Answered, Call, Codec, CodecError, CodecModule, Demand, Fault, Faults, Opening,
    PayloadFrame, Progress, ProtocolError, RequestHead,
};
use crate::registry::{Registry, Version};
use journal::{Journal, Step};

/// Most takeovers in one exchange. A peer that found a bug in every version
/// ends its own exchange, and does not keep the engine busy.
const MAX_TAKEOVERS: u32 = 4;

/// A connection's codec.
pub(crate) struct SteadyCodec {
    registry: Arc<Registry>,
    version: Arc<Version<CodecModule>>,
    codec: Codec,
    journal: Journal,
    hasher: RandomState,
    /// Instances that took over, not yet told of.
    taken_over: Vec<Instance>,
    takeovers_left: u32,
    /// Work of instances before this one.
    bytes_before: u64,
    calls_before: u64,
}

impl SteadyCodec {
    /// An instance of the current version.
    ///
    /// # Errors
    /// [`Cause::Guest`] when there is none to be had.
    pub(crate) fn new(registry: &Arc<Registry>) -> Result<SteadyCodec, Cause> {
        let version = registry.http1.current()?;
        let codec = instantiate(&version)?;
        Ok(SteadyCodec {
            registry: Arc::clone(registry),
            version,
            codec,
            journal: Journal::default(),
            hasher: RandomState::new(),
            taken_over: Vec::new(),
            takeovers_left: MAX_TAKEOVERS,
            bytes_before: 0,
            calls_before: 0,
        })
    }

    /// Takes the current version, where this one's is not. To be called
    /// between two exchanges only: what an instance knew is lost. Returns the
    /// new instance.
    ///
    /// # Errors
    /// [`Cause::Guest`] when there is none to be had.
    pub(crate) fn refresh(&mut self) -> Result<Option<Instance>, Cause> {
        let current = self.registry.http1.current()?;
        if Arc::ptr_eq(&current, &self.version) {
            return Ok(None);
        }
        self.renew()?;
        Ok(Some(self.describe()))
    }

    /// Takes a fresh instance in any case, for somebody else: nothing that one showed
    /// a guest is in another's. When it may be called is as for
    /// [`SteadyCodec::refresh`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn renew(&mut self) -> Result<(), Cause> {
        let current = self.registry.http1.current()?;
        let codec = instantiate(&current)?;
        self.replace(current, codec);
        self.journal = Journal::default();
        Ok(())
    }

    /// Whether it is of the version that new connections take.
    pub(crate) fn is_current(&self) -> bool {
        let current = self.registry.http1.current();
        current.is_ok_and(|current| Arc::ptr_eq(&current, &self.version))
    }

    /// Gives back what is kept of an exchange that is over: nothing of it
    /// would be made again.
    pub(crate) fn rest(&mut self) {
        self.journal = Journal::default();
        self.codec.rest();
    }

    /// The present instance, for the journey.
    pub(crate) fn describe(&self) -> Instance {
        self.codec.describe()
    }

    /// Instances that took over since the last time.
    pub(crate) fn taken_over(&mut self) -> Vec<Instance> {
        std::mem::take(&mut self.taken_over)
    }

    /// Bytes shown to guests or made by them so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes_before + self.codec.bytes()
    }

    /// Calls made so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls_before + self.codec.calls()
    }

    /// Linear memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.codec.memory_bytes()
    }

    /// Starts an exchange.
    pub(crate) fn encode_head(&mut self, head: RequestHead) -> Result<Opening, CodecError> {
        self.journal = Journal::default();
        self.takeovers_left = MAX_TAKEOVERS;
        let preferences = self.registry.supervisor.preferences().http1;
        match self.perform(Call::EncodeHead(Box::new(head), preferences))? {
            Answer::Opening(opening) => Ok(opening),
            _ => unreachable!("a call is answered with its own kind"),
        }
    }

    /// What to write around `length` bytes of request payload.
    pub(crate) fn frame_payload(&mut self, length: u64) -> Result<PayloadFrame, CodecError> {
        match self.perform(Call::FramePayload(length))? {
            Answer::Frame(frame) => Ok(frame),
            _ => unreachable!("a call is answered with its own kind"),
        }
    }

    /// What to write after all request payload.
    pub(crate) fn end_payload(&mut self) -> Result<Vec<u8>, CodecError> {
        match self.perform(Call::EndPayload)? {
            Answer::Bytes(bytes) => Ok(bytes),
            _ => unreachable!("a call is answered with its own kind"),
        }
    }

    /// The demand in force.
    pub(crate) fn demand(&mut self) -> Result<Demand, CodecError> {
        match self.perform(Call::CurrentDemand)? {
            Answer::Demand(demand) => Ok(demand),
            _ => unreachable!("a call is answered with its own kind"),
        }
    }

    /// Shows the demanded bytes.
    pub(crate) fn receive(&mut self, data: &[u8]) -> Result<Progress, CodecError> {
        self.progress_of(Call::Receive(data.into()))
    }

    /// Reports payload moved.
    pub(crate) fn payload_moved(&mut self, count: u64) -> Result<Progress, CodecError> {
        self.progress_of(Call::PayloadMoved(count))
    }

    /// Reports the peer's close.
    pub(crate) fn end_of_stream(&mut self, pending: u64) -> Result<Progress, CodecError> {
        self.progress_of(Call::EndOfStream(pending))
    }

    /// What a proxy wants to be told, in a field of its.
    pub(crate) fn challenges(&mut self, value: &[u8]) -> Result<Vec<Challenge>, CodecError> {
        match self.perform(Call::Challenges(value.into()))? {
            Answer::Challenges(all) => Ok(all),
            _ => unreachable!("a call is answered with its own kind"),
        }
    }

    fn progress_of(&mut self, call: Call) -> Result<Progress, CodecError> {
        match self.perform(call)? {
            Answer::Progress(progress) => Ok(progress),
            _ => unreachable!("a call is answered with its own kind"),
        }
    }

    fn perform(&mut self, call: Call) -> Result<Answer, CodecError> {
        let answered = match self.codec.perform(&call, &self.hasher) {
            Err(CodecError::Fault(fault)) => self.take_over(&call, fault)?,
            other => other?,
        };
        self.journal.note(Step {
            call,
            fingerprint: answered.fingerprint,
        });
        Ok(answered.answer)
    }

    /// Has another instance make the calls so far, then the one that failed.
    fn take_over(&mut self, call: &Call, fault: Fault) -> Result<Answered, CodecError> {
        let mut first = fault.clone();
        let mut faults = Faults::from(fault);
        let outcome = self.try_others(call, &mut faults);
        faults.settle(match outcome {
            Ok(_) => Aftermath::Resumed,
            Err(_) => Aftermath::Failed,
        });
        self.registry.enforce();
        match outcome {
            Ok(answered) => answered.map_err(CodecError::Protocol),
            Err(why) => {
                first.remark(why);
                Err(CodecError::Fault(first))
            }
        }
    }

    /// The same version once, then the good one before it. What the last call
    /// comes to in a sound instance is the answer, an error of the peer's too.
    fn try_others(
        &mut self,
        call: &Call,
        faults: &mut Faults,
    ) -> Result<Result<Answered, ProtocolError>, &'static str> {
        if self.journal.has_overflowed() {
            return Err("the exchange was too long to be resumed");
        }
        let again = Some(&self.version)
            .filter(|version| !version.about.is_condemned())
            .cloned();
        let before = self.registry.http1.previous(self.version.digest());
        let mut why = "no other version was there to resume it";
        for version in [again, before].into_iter().flatten() {
            if self.takeovers_left == 0 {
                return Err("it was resumed as often as an exchange may be");
            }
            self.takeovers_left -= 1;
            let mut codec = match version.module.instantiate() {
                Ok(codec) => codec,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            match replay(&self.journal, &mut codec, &self.hasher, call) {
                Ok(answer) => {
                    self.replace(version, codec);
                    self.taken_over.push(self.describe());
                    return Ok(answer);
                }
                Err(Mismatch::Fault(fault)) => {
                    why = "other instances ended at the same place or before";
                    faults.push(fault);
                }
                Err(Mismatch::Differs) => {
                    why = "another instance told something else of the same bytes";
                }
            }
        }
        Err(why)
    }

    fn replace(&mut self, version: Arc<Version<CodecModule>>, codec: Codec) {
        self.bytes_before += self.codec.bytes();
        self.calls_before += self.codec.calls();
        self.version = version;
        self.codec = codec;
    }
}

/// Why an instance did not take over.
enum Mismatch {
    /// It ended too.
    Fault(Fault),
    /// It does not say what the one before said.
    Differs,
}

fn replay(
    journal: &Journal,
    codec: &mut Codec,
    hasher: &RandomState,
    last: &Call,
) -> Result<Result<Answered, ProtocolError>, Mismatch> {
    for step in journal.steps() {
        match codec.perform(&step.call, hasher) {
            Ok(answered) if answered.fingerprint == step.fingerprint => {}
            Ok(_) | Err(CodecError::Protocol(_)) => return Err(Mismatch::Differs),
            Err(CodecError::Fault(fault)) => return Err(Mismatch::Fault(fault)),
        }
    }
    match codec.perform(last, hasher) {
        Ok(answered) => Ok(Ok(answered)),
        Err(CodecError::Protocol(error)) => Ok(Err(error)),
        Err(CodecError::Fault(fault)) => Err(Mismatch::Fault(fault)),
    }
}

/// An instance; its failure is reported.
fn instantiate(version: &Version<CodecModule>) -> Result<Codec, Cause> {
    version.module.instantiate().map_err(|fault| {
        fault.settle(Aftermath::Failed);
        fault.into()
    })
}
