//! Recorded calls made again, in a throw-away child in the engine's sandbox.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use fumehood_control::{
    Assembly, FaultReport, FromReplay, Layer, MAX_BLOB_BYTES, PROTOCOL_VERSION, RecordedCall,
    ToReplay, fragments,
};
use fumehood_engine::{ReplayError as EngineError, ReplayOutcome};
use fumehood_sandbox::{Bootstrap, Channel, map_sealed, sealed};

use crate::crashes::Trail;
use crate::modules::{Maker, native_of};
use crate::process::Process;
use crate::{Module, ModuleError, ModuleId, ModuleTrust, Role, roles};

/// How long a child may take. A hang is ended by the guest's own deadline.
const REPLAY_WITHIN: Duration = Duration::from_secs(30);

/// Largest recording, in bytes: what a report can carry.
const MAX_RECORDING: usize = MAX_BLOB_BYTES;

/// What became of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// The instance ended.
    Fault(Box<FaultReport>),
    /// The guest refused this call, as it should what breaks a rule.
    Refused(String),
    /// All calls were answered.
    Survived,
}

/// Why a recording was not replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The recording is of a version that is not built in.
    #[error(
        "the recording is of {module} {version} ({digest}), which is not built in; give its file with --module"
    )]
    Absent {
        /// Its name.
        module: String,
        /// Its version.
        version: String,
        /// The digest's beginning.
        digest: String,
    },
    /// The module cannot be had.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// The guest does something else than was recorded, so there are no answers
    /// for it: where and what, one sentence.
    #[error("the recording does not fit: {0}")]
    Diverged(String),
    /// The child failed: one sentence.
    #[error("the recording was not replayed: {0}")]
    Child(String),
}

/// Makes the calls of a recording in the module in `file`, or in the built-in
/// one that it is of. Must be called on a tokio runtime with I/O and time, in a
/// program that calls [`crate::init`].
///
/// # Errors
/// [`ReplayError`]
pub async fn replay(
    trail: &Trail,
    file: Option<(&Path, Option<ModuleId>)>,
) -> Result<Replayed, ReplayError> {
    let broken = |e: &dyn std::fmt::Display| ReplayError::Child(e.to_string());
    if !roles::initialised() {
        return Err(broken(&crate::LaunchError::NotInitialised));
    }
    let calls = trail.recording().ok_or_else(|| broken(&"it is damaged"))?;
    let calls = fragments(&calls).map_err(|e| broken(&e))?.concat();
    let module = module(trail, file).await?;
    let code = sealed(&module.name, &[&module.code]).map_err(|e| broken(&e))?;
    let calls = sealed("recording", &[&calls]).map_err(|e| broken(&e))?;
    let (mut process, channel) =
        Process::start::<ToReplay, FromReplay>(Role::Replay).map_err(|e| broken(&e))?;
    let talk = async {
        let request = ToReplay {
            version: PROTOCOL_VERSION,
            required: Layer::ALL.to_vec(),
            header: module.header(),
        };
        use std::os::fd::AsFd as _;
        channel
            .send(&request, &[code.as_fd(), calls.as_fd()])
            .await
            .map_err(|e| broken(&e))?;
        let mut report = Assembly::default();
        loop {
            let (answer, _none) = channel.recv().await.map_err(|e| broken(&e))?;
            return match answer {
                FromReplay::Unsealed { why, .. } | FromReplay::Failed { why } => Err(broken(&why)),
                FromReplay::Diverged { how } => Err(ReplayError::Diverged(how)),
                FromReplay::Survived => Ok(Replayed::Survived),
                FromReplay::Refused { call } => Ok(Replayed::Refused(call)),
                FromReplay::FaultFragment { bytes } => {
                    report.push(&bytes).map_err(|e| broken(&e))?;
                    continue;
                }
                FromReplay::Fault { bytes } => {
                    let report = report.finish(&bytes).map_err(|e| broken(&e))?;
                    Ok(Replayed::Fault(Box::new(report)))
                }
            };
        }
    };
    let answer = tokio::time::timeout(REPLAY_WITHIN, talk).await;
    process.kill().await;
    answer.unwrap_or_else(|_| {
        Err(broken(&format!(
            "it took over {} s",
            REPLAY_WITHIN.as_secs()
        )))
    })
}

async fn module(
    trail: &Trail,
    file: Option<(&Path, Option<ModuleId>)>,
) -> Result<Module, ReplayError> {
    if let Some((path, id)) = file {
        // For a file with another name, the recording says which it is to be.
        let id = id.or_else(|| {
            let named = path.file_name().and_then(|name| name.to_str());
            let says = named.and_then(ModuleId::of_file_name);
            says.or_else(|| ModuleId::new(&trail.module, &trail.version))
        });
        return Ok(native_of(path, id, &ModuleTrust::new(), &Maker::default()).await?);
    }
    let header = trail.header();
    let same = |module: &Module| Some(module.header()) == header;
    let mut built_in = Module::embedded_defaults();
    #[cfg(feature = "demo")]
    built_in.push(Module::embedded_faulty_http1());
    built_in
        .into_iter()
        .find(same)
        .ok_or_else(|| ReplayError::Absent {
            module: trail.module.clone(),
            version: trail.version.clone(),
            digest: trail.digest.chars().take(16).collect(),
        })
}

/// Plays the child, from the first thing in `main` to the end of the process.
pub(crate) fn serve() -> ExitCode {
    // Nobody is there to be told of an error but the parent, which sees the end.
    match serve_one() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve_one() -> Result<(), Box<dyn std::error::Error>> {
    let (bootstrap, control) = Bootstrap::enter()?;
    let channel = Channel::<FromReplay, ToReplay>::from_fd(control)?;
    let (request, fds) = channel.recv()?;
    if request.version != PROTOCOL_VERSION {
        return Err("another build".into());
    }
    let sealing = bootstrap
        .isolate(fumehood_sandbox::Role::Engine)
        .and_then(|isolated| isolated.seal(&request.required));
    if let Err(refusal) = sealing {
        let layers = refusal.layers().to_vec();
        let why = refusal.to_string();
        return Ok(channel.send(&FromReplay::Unsealed { layers, why }, &[])?);
    }
    let [code, calls] = <[OwnedFd; 2]>::try_from(fds).map_err(|_| "two descriptors")?;
    let calls: Vec<RecordedCall> = {
        let bytes = map_sealed(&calls, MAX_RECORDING)?;
        Assembly::default().finish(&bytes)?
    };
    for answer in run(&request, code, &calls)? {
        channel.send(&answer, &[])?;
    }
    Ok(())
}

/// The answer, in pieces.
fn run(
    request: &ToReplay,
    code: OwnedFd,
    calls: &[RecordedCall],
) -> Result<Vec<FromReplay>, Box<dyn std::error::Error>> {
    Ok(
        match fumehood_engine::replay(&request.header, code, calls) {
            Ok(ReplayOutcome::Survived) => vec![FromReplay::Survived],
            Ok(ReplayOutcome::Refused(call)) => vec![FromReplay::Refused { call }],
            Ok(ReplayOutcome::Fault(mut report)) => {
                // Whoever asks has it.
                report.recording.clear();
                let mut pieces = fragments(&report)?;
                let last = pieces.pop().unwrap_or_default();
                let mut answers: Vec<FromReplay> = pieces
                    .into_iter()
                    .map(|bytes| FromReplay::FaultFragment { bytes })
                    .collect();
                answers.push(FromReplay::Fault { bytes: last });
                answers
            }
            Err(EngineError::Diverged(how)) => vec![FromReplay::Diverged {
                how: how.to_string(),
            }],
            Err(error) => vec![FromReplay::Failed {
                why: error.to_string(),
            }],
        },
    )
}

impl Trail {
    /// Whether a replay came to the recorded end.
    #[must_use]
    pub fn is_reproduced_by(&self, replayed: &Replayed) -> bool {
        matches!(replayed, Replayed::Fault(fault) if fault.kind == self.kind && fault.detail == self.detail)
    }

    /// The version that a recording is of, for people.
    #[must_use]
    pub fn title(&self) -> String {
        let digest: String = self.digest.chars().take(16).collect();
        format!("{} {} ({digest})", self.module, self.version)
    }
}
