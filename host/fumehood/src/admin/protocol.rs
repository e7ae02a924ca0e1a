//! Requests and answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Engine, ModuleError, ModuleId, SettingsError};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// All versions: a [`crate::Listing`].
    List {},
    /// All versions of one module.
    Inspect {
        /// Of the module.
        name: String,
    },
    /// Load a file as a candidate.
    Load {
        /// Its absolute path.
        path: PathBuf,
        /// The module's name, where the file's does not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Its version, likewise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// Judge and compile a file without loading it.
    Verify {
        /// Its absolute path.
        path: PathBuf,
        /// As in `Load`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// As in `Load`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// Make a version current.
    Swap {
        /// Of the module.
        name: String,
        /// What the version's digest begins with, 4 hexadecimal digits at least.
        digest: String,
    },
    /// Make the version before current again.
    Rollback {
        /// Of the module.
        name: String,
    },
    /// How the engine is: a [`crate::Status`].
    Status {},
    /// Read the configuration again: a [`crate::Revision`].
    PolicyReload {},
    /// Take a grant back, and end what runs under it.
    Revoke {
        /// Its number, as in [`crate::GrantStatus`].
        grant: u64,
    },
}

/// An answer: `result` where `ok`, else `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// It was done.
    pub ok: bool,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// For machines; never changes.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// Why a running engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// It cannot be reached.
    #[error("the admin socket {} cannot be used: {why}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// One clause.
        why: String,
    },
    /// It says why not.
    #[error("{message}")]
    Refused {
        /// For machines.
        code: String,
        /// One sentence.
        message: String,
    },
}

impl Answer {
    pub(crate) fn refused(code: &str, message: impl Into<String>) -> Self {
        let error = Problem {
            code: code.to_owned(),
            message: message.into(),
        };
        Answer {
            ok: false,
            result: None,
            error: Some(error),
        }
    }
}

impl From<ModuleError> for Answer {
    fn from(error: ModuleError) -> Self {
        Answer::refused(error.code(), error.to_string())
    }
}

impl From<SettingsError> for Answer {
    fn from(error: SettingsError) -> Self {
        Answer::refused("configuration", error.to_string())
    }
}

/// Does what a line asks.
pub(crate) async fn answer(engine: &Engine, line: &[u8]) -> Answer {
    let request = match serde_json::from_slice::<Value>(line) {
        Ok(value) => serde_json::from_value::<Request>(value.clone()).map_err(|e| (value, e)),
        Err(error) => return Answer::refused("malformed", format!("this is not JSON: {error}")),
    };
    match request {
        Ok(request) => match perform(engine, request).await {
            Ok(result) => Answer {
                ok: true,
                result: Some(result),
                error: None,
            },
            Err(refusal) => refusal,
        },
        Err((value, error)) => {
            let known = [
                "list",
                "inspect",
                "load",
                "verify",
                "swap",
                "rollback",
                "status",
                "policy-reload",
                "revoke",
            ];
            match value.get("command").and_then(Value::as_str) {
                Some(command) if known.contains(&command) => {
                    Answer::refused("malformed", error.to_string())
                }
                _ => Answer::refused(
                    "unknown-command",
                    format!("there are the commands {}", known.join(", ")),
                ),
            }
        }
    }
}

async fn perform(engine: &Engine, request: Request) -> Result<Value, Answer> {
    let modules = engine.modules();
    let json = |value: Result<Value, serde_json::Error>| {
        value.map_err(|e| Answer::refused("malformed", e.to_string()))
    };
    match request {
        Request::List {} => json(serde_json::to_value(modules.list().await?)),
        Request::Inspect { name } => json(serde_json::to_value(modules.inspect(&name).await?)),
        Request::Load {
            path,
            name,
            version,
        } => {
            let id = identity(&path, name, version)?;
            Ok(loaded(&modules.load(&path, id).await?))
        }
        Request::Verify {
            path,
            name,
            version,
        } => {
            let id = identity(&path, name, version)?;
            json(serde_json::to_value(modules.verify(&path, id).await?))
        }
        Request::Swap { name, digest } => Ok(swapped(&modules.swap_to(&name, &digest).await?)),
        Request::Rollback { name } => Ok(swapped(&modules.rollback(&name).await?)),
        Request::Status {} => json(serde_json::to_value(engine.status().await)),
        Request::Revoke { grant } if engine.revoke(grant) => Ok(json!({ "revoked": grant })),
        Request::Revoke { grant } => Err(Answer::refused(
            "unknown-grant",
            format!("nobody holds a grant of number {grant}"),
        )),
        Request::PolicyReload {} => json(serde_json::to_value(engine.reload().await?)),
    }
}

/// Name and version where both are given; the file's name says it where neither is.
fn identity(
    path: &std::path::Path,
    name: Option<String>,
    version: Option<String>,
) -> Result<Option<ModuleId>, ModuleError> {
    let unclear = || ModuleError::Name {
        file: path.display().to_string(),
    };
    match (name, version) {
        (None, None) => Ok(None),
        (Some(name), Some(version)) => ModuleId::new(&name, &version).map(Some).ok_or_else(unclear),
        _ => Err(unclear()),
    }
}

fn loaded(loaded: &crate::Loaded) -> Value {
    json!({
        "name": loaded.id.name(),
        "version": loaded.id.version().to_string(),
        "digest": loaded.digest_hex(),
        "signature": loaded.signature.text(),
        "cached": loaded.cached,
        "took_us": loaded.took_us,
    })
}

fn swapped(swapped: &crate::Swapped) -> Value {
    json!({
        "from": crate::hex::encode(&swapped.from),
        "to": crate::hex::encode(&swapped.to),
        "took_us": swapped.took_us,
    })
}
