//! The guests an engine loads: those built in, or others of the embedder's.

use std::borrow::Cow;

use fumehood_control::ModuleHeader;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// A guest, compiled to native code by this project's compiler.
///
/// Native code is trusted as the program itself is: load only what
/// `fumehood-compiler` made.
#[derive(Clone, PartialEq, Eq)]
pub struct Module {
    /// The role it plays: `http1`, `tls`, `x509`.
    pub name: Cow<'static, str>,
    /// Semantic version.
    pub version: Cow<'static, str>,
    /// SHA-256 of the component it was compiled from.
    pub digest: [u8; 32],
    /// Native code for this processor and this version of wasmtime.
    pub code: Cow<'static, [u8]>,
}

impl Module {
    /// The guests built into this library: `http1`, `tls`, `x509`.
    #[must_use]
    pub fn embedded_defaults() -> Vec<Module> {
        EMBEDDED.iter().map(Embedded::module).collect()
    }

    /// The `http1` guest with a trap in it, which the demonstration plays the
    /// attacker's part with: it traps at a response that says
    /// `x-fumehood-fault: trap`.
    #[cfg(feature = "demo")]
    #[must_use]
    pub fn embedded_faulty_http1() -> Module {
        FAULTY_HTTP1.module()
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
