//! Which proxies are used: what is configured, what the system says, what a
//! script chooses, what failed lately.
//!
//! The system's settings are read here, in the embedder, and nowhere else. What is
//! read is a person's own configuration; it is bounded all the same.

mod chooser;
mod gnome;
mod guide;
mod kde;
mod stamps;
mod way_out;
mod wpad;

use std::env;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use fumehood_policy::{
    BypassError, EnvironmentError, ProxyError, ProxySettings, Route, SourceError, from_environment,
};
use tokio::process::Command;

pub(crate) use chooser::Choice;
pub use chooser::{ChooseError, ProxyChooser};
pub(crate) use guide::{Guide, Whom};
pub(crate) use way_out::{Candidate, NoWayOut, WayOut};

/// A way to go where a script cannot be had or has no answer: `direct`, or a proxy
/// without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyFallback(pub Route);

impl FromStr for ProxyFallback {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        Ok(ProxyFallback(match text {
            "direct" => Route::Direct,
            text => Route::Proxy(text.parse()?),
        }))
    }
}

/// Largest configuration of a desktop that is read, in bytes.
const MAX_CONFIGURATION_BYTES: usize = 256 << 10;

/// How long the desktop's own program may take to print it.
const PRINTED_WITHIN: Duration = Duration::from_secs(5);

/// Why the system's settings cannot be used. They are not the same as none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemProxyError {
    /// A variable.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A setting of the desktop's.
    #[error("the desktop's setting {key} is not understood: {why}")]
    Setting {
        /// Which.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// The desktop's configuration cannot be read.
    #[error("the desktop's proxy settings cannot be read ({what}): {source}")]
    Unreadable {
        /// A file or a program.
        what: String,
        /// Why.
        source: io::Error,
    },
}

impl SystemProxyError {
    fn setting(key: &str, why: impl ToString) -> Self {
        SystemProxyError::Setting {
            key: key.to_owned(),
            why: why.to_string(),
        }
    }

    fn proxy(key: &str) -> impl Fn(ProxyError) -> Self {
        move |why| Self::setting(key, why)
    }

    fn bypass(key: &str) -> impl Fn(BypassError) -> Self {
        move |why| Self::setting(key, why)
    }

    fn source(key: &str) -> impl Fn(SourceError) -> Self {
        move |why| Self::setting(key, why)
    }
}

/// The system's settings, read now: the environment's where it names a proxy,
/// else the desktop's, by `XDG_CURRENT_DESKTOP` (KDE's `kioslaverc`; for GNOME
/// and its kin what `gsettings` prints), else none. Never
/// [`ProxySettings::System`].
///
/// To follow changes read it again, or have a [`ProxyChooser`] do it.
///
/// # Errors
/// [`SystemProxyError`].
pub async fn system_proxies() -> Result<ProxySettings, SystemProxyError> {
    match from_environment(|name| env::var(name).ok())? {
        ProxySettings::Direct => {}
        set => return Ok(set),
    }
    let desktop = env::var("XDG_CURRENT_DESKTOP").unwrap_or_default();
    let is = |name: &str| desktop.split(':').any(|it| it.eq_ignore_ascii_case(name));
    if is("KDE") {
        return kioslaverc();
    }
    match ["GNOME", "Unity", "X-Cinnamon", "Budgie", "Pantheon", "MATE"]
        .into_iter()
        .any(is)
    {
        true => gnome::read(&printed_by_gsettings().await?),
        false => Ok(ProxySettings::Direct),
    }
}

/// Where the user's settings are.
fn configuration() -> Option<PathBuf> {
    let folder = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    folder.or_else(|| env::home_dir().map(|home| home.join(".config")))
}

/// What the desktops keep their settings in: KDE, then GNOME and its kin.
fn desktop_files() -> Vec<PathBuf> {
    let names = ["kioslaverc", "dconf/user"];
    let all = configuration().map(|folder| names.map(|name| folder.join(name)));
    all.into_iter().flatten().collect()
}

fn kioslaverc() -> Result<ProxySettings, SystemProxyError> {
    let Some(file) = configuration().map(|folder| folder.join("kioslaverc")) else {
        return Ok(ProxySettings::Direct);
    };
    let unreadable = |source| SystemProxyError::Unreadable {
        what: file.display().to_string(),
        source,
    };
    let read = crate::store::read_file(&file, MAX_CONFIGURATION_BYTES as u64);
    match read.map_err(|why| unreadable(io::Error::other(why)))? {
        Some(bytes) => kde::read(&String::from_utf8_lossy(&bytes), |name| env::var(name).ok()),
        // A desktop without one has the defaults.
        None => Ok(ProxySettings::Direct),
    }
}

async fn printed_by_gsettings() -> Result<String, SystemProxyError> {
    let unreadable = |source| SystemProxyError::Unreadable {
        what: "gsettings".to_owned(),
        source,
    };
    let mut command = Command::new("gsettings");
    command
        .args(["list-recursively", "org.gnome.system.proxy"])
        .kill_on_drop(true);
    let printed = tokio::time::timeout(PRINTED_WITHIN, command.output()).await;
    let printed = printed
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
        .map_err(unreadable)?;
    if !printed.status.success() || printed.stdout.len() > MAX_CONFIGURATION_BYTES {
        let why = format!("it ended with {}", printed.status);
        return Err(unreadable(io::Error::other(why)));
    }
    String::from_utf8(printed.stdout).map_err(|why| unreadable(io::Error::other(why)))
}
