//! The guests an engine loads: those built in, or others of the embedder's.
//!
//! ```text
//! candidate   a component as it lies in a file        identity  name, version, digest
//! trust       is it taken?                            accepted  no way back
//! compile     to native code, in a sandboxed child    cache     or as made before
//! live        into the engine; swap, roll back        registry  what this side knows
//! watch       the module directory                    info      what is told of it all
//! ```

mod accepted;
mod cache;
mod candidate;
mod compile;
mod error;
mod identity;
mod info;
mod live;
mod registry;
mod trust;
mod watch;

use std::borrow::Cow;
use std::path::Path;

pub(crate) use compile::{COMPILE_WITHIN, Maker};
pub use error::{CompileLimit, ModuleError};
pub use identity::ModuleId;
pub use info::{Listing, ModuleInfo, ModuleUse, Refusal};
pub use live::{Loaded, Modules, Swapped};
pub(crate) use registry::{Origin, Registry};
pub(crate) use trust::{MAX_KEYS, MAX_PINS};
pub use trust::{ModuleKey, ModulePin, ModuleTrust, NotAKey, NotAPin, SignatureState};
pub use watch::OnChange;
pub(crate) use watch::watch;

use fumehood_control::ModuleHeader;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// A guest, compiled to native code by this project's compiler.
///
/// Native code is trusted as the program itself is: load only what
/// `fumehood-compiler` made.
#[derive(Clone, PartialEq, Eq)]
pub struct Module {
    /// The role it plays: `http1`, `tls`, `x509`, `dns`, `socks`, `pac`; any
    /// other name is a driver's.
    pub name: Cow<'static, str>,
    /// Semantic version.
    pub version: Cow<'static, str>,
    /// SHA-256 of the component it was compiled from.
    pub digest: [u8; 32],
    /// Native code for this processor and this version of wasmtime.
    pub code: Cow<'static, [u8]>,
}

impl Module {
    /// The guests built into this library: `http1`, `tls`, `x509`, `dns`, `socks`.
    #[must_use]
    pub fn embedded_defaults() -> Vec<Module> {
        EMBEDDED.iter().map(Embedded::module).collect()
    }

    /// The guest that runs proxy auto-configuration scripts, also built in. An
    /// engine is given it with the first script.
    #[must_use]
    pub fn embedded_pac() -> Module {
        PAC.module()
    }

    /// The `http1` guest with a trap in it, which the demonstration plays the
    /// attacker's part with: it traps at a response that says
    /// `x-fumehood-fault: trap`.
    #[cfg(feature = "demo")]
    #[must_use]
    pub fn embedded_faulty_http1() -> Module {
        FAULTY_HTTP1.module()
    }

    /// Whether it is one of those that are built in.
    pub(crate) fn is_embedded(&self) -> bool {
        EMBEDDED
            .iter()
            .chain([&PAC])
            .any(|built_in| built_in.module() == *self)
    }

    pub(crate) fn header(&self) -> ModuleHeader {
        ModuleHeader {
            name: self.name.clone().into_owned(),
            version: self.version.clone().into_owned(),
            digest: self.digest,
        }
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("code_bytes", &self.code.len())
            .finish_non_exhaustive()
    }
}

/// A module as the build script writes it down.
struct Embedded {
    name: &'static str,
    version: &'static str,
    digest: [u8; 32],
    code: &'static [u8],
}

impl Embedded {
    fn module(&self) -> Module {
        Module {
            name: Cow::Borrowed(self.name),
            version: Cow::Borrowed(self.version),
            digest: self.digest,
            code: Cow::Borrowed(self.code),
        }
    }
}

/// What a signature of this file's content under its name and version is
/// made over: sign these bytes with ed25519 and put the signature, as 128
/// hexadecimal digits, beside the file under its name with `.sig` added.
/// Blocks.
///
/// # Errors
/// As for reading the file in [`Modules::load`].
pub fn signed_statement(file: &Path, id: Option<ModuleId>) -> Result<String, ModuleError> {
    let candidate = candidate::Candidate::of_file(file, id)?;
    Ok(identity::statement(&candidate.id, &candidate.digest))
}

/// Judges a file as an engine with this trust would, and compiles it, without
/// an engine. Must be called on a tokio runtime with I/O and time.
///
/// # Errors
/// [`ModuleError`]
pub async fn verify_module(
    file: &Path,
    id: Option<ModuleId>,
    trust: &ModuleTrust,
) -> Result<ModuleInfo, ModuleError> {
    verify(file, id, trust, &Maker::default()).await
}

/// Where the user's own modules are: `$XDG_DATA_HOME/fumehood/modules`; none
/// for a user without a home.
#[must_use]
pub fn module_directory() -> Option<std::path::PathBuf> {
    crate::places::modules()
}

pub(crate) async fn verify(
    file: &Path,
    id: Option<ModuleId>,
    trust: &ModuleTrust,
    maker: &Maker,
) -> Result<ModuleInfo, ModuleError> {
    let path = file.to_owned();
    let candidate = live::blocking(move || candidate::Candidate::of_file(&path, id)).await?;
    let signature = live::judge(trust, &candidate).await?;
    let made = maker.make(&candidate).await?;
    let known = registry::Known {
        module: live::module_of(&candidate, &made),
        origin: Origin::File(candidate.path.clone()),
        signature,
        component_bytes: candidate.bytes.len() as u64,
        imports: made.native.imports,
        exports: made.native.exports,
        lot: registry::Lot::Sound,
        schemes: Vec::new(),
    };
    Ok(ModuleInfo::of_known(&known))
}

/// The native code of a file, for a throw-away child. Judged as any other.
pub(crate) async fn native_of(
    file: &Path,
    id: Option<ModuleId>,
    trust: &ModuleTrust,
    maker: &Maker,
) -> Result<Module, ModuleError> {
    let path = file.to_owned();
    let candidate = live::blocking(move || candidate::Candidate::of_file(&path, id)).await?;
    live::judge(trust, &candidate).await?;
    let made = maker.make(&candidate).await?;
    Ok(live::module_of(&candidate, &made))
}
