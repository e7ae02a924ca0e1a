//! Why a module is not taken, made, or put to use.

use std::path::PathBuf;

use crate::{EngineError, Error, LaunchError};

/// Why something could not be done with a module. Nothing has changed then:
/// what was current is current.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The file's name does not say what the module is.
    #[error(
        "{file} does not say what module it is: name it NAME@VERSION.wasm, such as http1@1.2.0.wasm, or give name and version"
    )]
    Name {
        /// The file.
        file: String,
    },
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is over the bound.
    #[error("{file} has {bytes} bytes, and a module has at most {bound}")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: u64,
        /// Most there may be.
        bound: u64,
    },
    /// The file is something else.
    #[error(
        "{file} is not a WebAssembly component; `fumehood-compiler IN.wasm OUT` makes one of a core module"
    )]
    NotAComponent {
        /// The file.
        file: String,
    },
    /// A signature is required and there is none.
    #[error(
        "{module} is not signed, and only signed modules are taken; put its signature beside it, in a file of the same name with .sig added"
    )]
    Unsigned {
        /// Name and version.
        module: String,
    },
    /// There is a signature, but none of the keys made it for these bytes
    /// under this name and version.
    #[error(
        "the signature of {module} is by none of the {keys} keys that are trusted, or is for another module, version or content; get the module again from where it is published"
    )]
    BadSignature {
        /// Name and version.
        module: String,
        /// How many keys there are.
        keys: usize,
    },
    /// Its digest is not one of those the embedder pinned for that name.
    #[error(
        "{module} has the digest {digest}, which is not one that is allowed for it; it is another build, or was changed"
    )]
    WrongDigest {
        /// Name and version.
        module: String,
        /// What it has, in hexadecimal.
        digest: String,
    },
    /// A newer version was accepted before.
    #[error(
        "{module} is older than {newest}, which was accepted before; old versions are refused, since they may have the faults that the new one mends"
    )]
    RolledBack {
        /// Name and version.
        module: String,
        /// Newest version accepted.
        newest: String,
    },
    /// What must be remembered cannot be, or cannot be believed.
    #[error("{} cannot be used: {why}", path.display())]
    Store {
        /// The file or folder.
        path: PathBuf,
        /// One clause.
        why: String,
    },
    /// There is no compiler.
    #[error(
        "the program fumehood-compiler was not found ({tried}); put it beside this program or name it in FUMEHOOD_COMPILER"
    )]
    NoCompiler {
        /// Where it was looked for.
        tried: String,
    },
    /// The compiler could not be started, or did not keep to its part.
    #[error("the compiler failed: {0}")]
    Compiler(String),
    /// The compiler was ended for the time or memory it took, or died of it.
    #[error("{module} was not compiled: {limit}; a module that takes so much is not taken")]
    CompileLimit {
        /// Name and version.
        module: String,
        /// Which bound.
        limit: CompileLimit,
    },
    /// The compiler refused the module.
    #[error("{module} cannot be compiled: {why}")]
    Compile {
        /// Name and version.
        module: String,
        /// One sentence.
        why: String,
    },
    /// The engine refused it.
    #[error("the engine refuses {module}: {why}")]
    Refused {
        /// Its name.
        module: String,
        /// One sentence.
        why: String,
    },
    /// No such module or version.
    #[error("there is no module {0}; `fumehood modules list` shows which there are")]
    Unknown(String),
    /// The digest's beginning fits several.
    #[error("{0} fits several versions or is under 4 digits; give more of the digest")]
    Ambiguous(String),
    /// The engine does not answer, or not to the point.
    #[error("the engine did not answer in {seconds} s")]
    NoAnswer {
        /// How long it had.
        seconds: u64,
    },
    /// There is no engine.
    #[error(transparent)]
    Engine(Box<Error>),
}

/// A bound of the compiler that a module reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileLimit {
    /// Processor time.
    #[error(
        "the compiler used up its processor time, {} s",
        fumehood_sandbox::MAX_COMPILER_CPU_SECONDS
    )]
    ProcessorTime,
    /// Memory.
    #[error("the compiler used up its memory, {} MiB", fumehood_sandbox::MAX_COMPILER_MEMORY >> 20)]
    Memory,
    /// Its stack: nested too deep.
    #[error("the compiler's stack overflowed")]
    Stack,
    /// Time by the clock.
    #[error("the compiler was not done after {milliseconds} ms")]
    Time {
        /// What it had, start to end.
        milliseconds: u64,
    },
    /// Killed by somebody else, most likely by a system short of memory.
    #[error("the compiler was killed, as a system does that is short of memory")]
    Killed,
    /// A system call that it must not make.
    #[error("the compiler tried what its sandbox forbids and was killed for it")]
    Sandbox,
}

impl ModuleError {
    /// A name for machines; never changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ModuleError::Name { .. } => "name",
            ModuleError::File { .. } => "file",
            ModuleError::TooLarge { .. } => "too-large",
            ModuleError::NotAComponent { .. } => "not-a-component",
            ModuleError::Unsigned { .. } => "unsigned",
            ModuleError::BadSignature { .. } => "bad-signature",
            ModuleError::WrongDigest { .. } => "wrong-digest",
            ModuleError::RolledBack { .. } => "rolled-back",
            ModuleError::Store { .. } => "store",
            ModuleError::NoCompiler { .. } => "no-compiler",
            ModuleError::Compiler(_) => "compiler",
            ModuleError::CompileLimit { .. } => "compile-limit",
            ModuleError::Compile { .. } => "compile",
            ModuleError::Refused { .. } => "refused",
            ModuleError::Unknown(_) => "unknown-module",
            ModuleError::Ambiguous(_) => "ambiguous",
            ModuleError::NoAnswer { .. } => "no-answer",
            ModuleError::Engine(_) => "engine",
        }
    }
}

impl ModuleError {
    /// What is left of a rest after engines that died, where that is why.
    pub(crate) fn rest(&self) -> Option<&crate::Rest> {
        match self {
            ModuleError::Engine(error) => error.rest(),
            _ => None,
        }
    }

    /// Whether the engine is simply gone.
    pub(crate) fn is_engines_death(&self) -> bool {
        match self {
            ModuleError::Engine(error) => match &**error {
                Error::Engine(EngineError::Channel(error)) => error.is_closed(),
                _ => false,
            },
            _ => false,
        }
    }
}

impl From<LaunchError> for ModuleError {
    fn from(error: LaunchError) -> Self {
        ModuleError::Engine(Box::new(error.into()))
    }
}

impl From<Error> for ModuleError {
    fn from(error: Error) -> Self {
        ModuleError::Engine(Box::new(error))
    }
}
