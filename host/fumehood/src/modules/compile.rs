//! A component to native code: from the cache, or by the compiler, a child in
//! a sandbox of its own.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use fumehood_control::{
    FromCompiler, Layer, MAX_INTERFACE_BYTES, MAX_INTERFACES, PROTOCOL_VERSION, ToCompiler,
};
use fumehood_sandbox::{
    AsyncChannel, Channel, MAX_COMPILER_CPU_SECONDS, MAX_COMPILER_OUTPUT, map_sealed, scratch,
    seal_scratch, sealed,
};
use rustix::process::Signal;
use tokio::process::{Child, Command};

use super::cache::{Cache, Found, Native};
use super::candidate::Candidate;
use super::error::{CompileLimit, ModuleError};
use crate::places;

/// The program's name.
const PROGRAM: &str = "fumehood-compiler";

/// Names the program where it is elsewhere.
const PROGRAM_VARIABLE: &str = "FUMEHOOD_COMPILER";

/// When this environment variable is set, the compiler writes to our stderr.
const LOG_VARIABLE: &str = "FUMEHOOD_LOG";

/// How long a compiler may take, start to end: twice the processor time it
/// has, for a machine that is busy.
pub(crate) const COMPILE_WITHIN: Duration = Duration::from_secs(2 * MAX_COMPILER_CPU_SECONDS);

/// What native code begins with, being an ELF file.
const CODE_MAGIC: [u8; 4] = *b"\x7fELF";

/// Where code comes from, and what for.
#[derive(Clone, Debug)]
pub(crate) struct Maker {
    /// The compiler, if the embedder named it.
    pub(crate) program: Option<PathBuf>,
    /// The cache; the user's where none is named.
    pub(crate) cache: Option<PathBuf>,
    /// Layers of the compiler's sandbox without which not to compile.
    pub(crate) required: Vec<Layer>,
    /// How long it may take.
    pub(crate) within: Duration,
}

impl Default for Maker {
    fn default() -> Self {
        Maker {
            program: None,
            cache: None,
            required: Layer::ALL.to_vec(),
            within: COMPILE_WITHIN,
        }
    }
}

/// Native code, and whether it was made just now.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) native: Native,
    pub(crate) cached: bool,
}

type CompilerChannel = AsyncChannel<ToCompiler, FromCompiler>;

impl Maker {
    /// Native code of a candidate. A cache that cannot be used is said so in
    /// the log, and done without.
    pub(crate) async fn make(&self, candidate: &Candidate) -> Result<Made, ModuleError> {
        let cache = self.cache();
        match cache.as_ref().map(|cache| cache.get(&candidate.digest)) {
            Some(Found::Code(native)) => {
                return Ok(Made {
                    native,
                    cached: true,
                });
            }
            Some(Found::Damaged(why)) => {
                tracing::warn!(module = %candidate.id, why, "cached native code is made anew");
            }
            Some(Found::Nothing) | None => {}
        }
        let native = self.compile(candidate).await?;
        if let Some(Err(error)) = cache.map(|cache| cache.put(&candidate.digest, &native)) {
            tracing::warn!(module = %candidate.id, %error, "native code was not cached");
        }
        Ok(Made {
            native,
            cached: false,
        })
    }

    /// Makes code anew whose cached like the engine refused.
    pub(crate) async fn make_anew(&self, candidate: &Candidate) -> Result<Made, ModuleError> {
        if let Some(cache) = self.cache() {
            cache.forget(&candidate.digest);
        }
        self.make(candidate).await
    }

    fn cache(&self) -> Option<Cache> {
        let path = self.cache.clone().or_else(places::module_cache)?;
        match Cache::open(&path, fumehood_wasm::code_build()) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the module cache is not used");
                None
            }
        }
    }

    async fn compile(&self, candidate: &Candidate) -> Result<Native, ModuleError> {
        let mut compiler = Compiler::start(&self.program()?)?;
        match tokio::time::timeout(self.within, compiler.work(&self.required, candidate)).await {
            Ok(Ok(native)) => Ok(native),
            Ok(Err(Stop::Error(error))) => Err(error),
            Ok(Err(Stop::Gone)) => Err(compiler.autopsy(candidate).await),
            Err(_) => Err(ModuleError::CompileLimit {
                module: candidate.id.to_string(),
                limit: CompileLimit::Time {
                    milliseconds: u64::try_from(self.within.as_millis()).unwrap_or(u64::MAX),
                },
            }),
        }
    }

    /// The compiler: named by the embedder, by the environment, or beside us.
    fn program(&self) -> Result<PathBuf, ModuleError> {
        let named = || std::env::var_os(PROGRAM_VARIABLE).filter(|v| !v.is_empty());
        if let Some(path) = self.program.clone().or_else(|| named().map(PathBuf::from)) {
            return match path.is_file() {
                true => Ok(path),
                false => Err(ModuleError::NoCompiler {
                    tried: path.display().to_string(),
                }),
            };
        }
        let ours = std::env::current_exe().unwrap_or_default();
        // Tests and examples lie one folder below programs.
        let folders = ours.ancestors().skip(1).take(2);
        let tried: Vec<PathBuf> = folders.map(|folder| folder.join(PROGRAM)).collect();
        tried
            .iter()
            .find(|path| path.is_file())
            .cloned()
            .ok_or_else(|| {
                let tried: Vec<String> = tried
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                ModuleError::NoCompiler {
                    tried: tried.join(", "),
                }
            })
    }
}

/// Why there is no code.
enum Stop {
    Error(ModuleError),
    /// The child ended without a word.
    Gone,
}

impl From<ModuleError> for Stop {
    fn from(error: ModuleError) -> Self {
        Stop::Error(error)
    }
}

fn broken(error: impl std::fmt::Display) -> ModuleError {
    ModuleError::Compiler(error.to_string())
}

/// A running compiler; dropped, it is killed and reaped.
struct Compiler {
    child: Child,
    channel: CompilerChannel,
}

impl Compiler {
    fn start(program: &Path) -> Result<Self, ModuleError> {
        let (ours, theirs) = Channel::pair().map_err(broken)?;
        let mut command = Command::new(program);
        command
            .arg("--sandboxed")
            .env_clear()
            .stdin(theirs.into_fd());
        command.stdout(Stdio::null()).kill_on_drop(true);
        command.stderr(match std::env::var_os(LOG_VARIABLE) {
            Some(_) => Stdio::inherit(),
            None => Stdio::null(),
        });
        let started = command.spawn();
        let child =
            started.map_err(|e| ModuleError::Compiler(format!("{}: {e}", program.display())))?;
        let channel = ours.into_async().map_err(broken)?;
        Ok(Compiler { child, channel })
    }

    async fn work(&self, required: &[Layer], candidate: &Candidate) -> Result<Native, Stop> {
        let hello = ToCompiler::Hello {
            version: PROTOCOL_VERSION,
            required: required.to_vec(),
        };
        self.say(&hello, &[]).await?;
        let build = fumehood_wasm::code_build();
        match self.hear().await? {
            FromCompiler::Ready {
                version: PROTOCOL_VERSION,
                build: theirs,
            } if theirs == build => {}
            FromCompiler::Ready { build: theirs, .. } => {
                let why = format!("it makes code for {theirs}, and this program loads {build}");
                return Err(ModuleError::Compiler(why).into());
            }
            FromCompiler::Refused { why, .. } => return Err(ModuleError::Compiler(why).into()),
            _ => return Err(out_of_order().into()),
        }
        let component = sealed("component", &[&candidate.bytes]).map_err(broken)?;
        let code = scratch("native code").map_err(broken)?;
        self.say(&ToCompiler::Compile, &[&component, &code]).await?;
        match self.hear().await? {
            FromCompiler::Compiled {
                bytes,
                imports,
                exports,
            } => Ok(Native {
                code: collect(&code, bytes)?,
                imports: names(imports)?,
                exports: names(exports)?,
            }),
            FromCompiler::Failed { why } => Err(ModuleError::Compile {
                module: candidate.id.to_string(),
                why,
            }
            .into()),
            _ => Err(out_of_order().into()),
        }
    }

    async fn say(&self, message: &ToCompiler, fds: &[&OwnedFd]) -> Result<(), Stop> {
        let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
        self.channel.send(message, &fds).await.map_err(stop)
    }

    async fn hear(&self) -> Result<FromCompiler, Stop> {
        self.channel
            .recv()
            .await
            .map(|(message, _none)| message)
            .map_err(stop)
    }

    /// Says what it died of.
    async fn autopsy(&mut self, candidate: &Candidate) -> ModuleError {
        match self.child.wait().await {
            Ok(status) => autopsy(status, candidate.id.to_string()),
            Err(error) => broken(error),
        }
    }
}

fn autopsy(status: ExitStatus, module: String) -> ModuleError {
    let limit = match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => CompileLimit::ProcessorTime,
        // What allocates in vain gives up.
        Some(Signal::ABORT) => CompileLimit::Memory,
        Some(Signal::SEGV) => CompileLimit::Stack,
        Some(Signal::KILL) => CompileLimit::Killed,
        Some(Signal::SYS) => CompileLimit::Sandbox,
        _ => return ModuleError::Compiler(format!("it ended without a word ({status})")),
    };
    ModuleError::CompileLimit { module, limit }
}

fn stop(error: fumehood_sandbox::ChannelError) -> Stop {
    match error {
        fumehood_sandbox::ChannelError::Closed => Stop::Gone,
        error => Stop::Error(broken(error)),
    }
}

fn out_of_order() -> ModuleError {
    ModuleError::Compiler("it broke the order of messages".to_owned())
}

/// What the child wrote, once it cannot write any more.
fn collect(code: &OwnedFd, bytes: u64) -> Result<Vec<u8>, ModuleError> {
    seal_scratch(code).map_err(broken)?;
    let bound = usize::try_from(MAX_COMPILER_OUTPUT).unwrap_or(usize::MAX);
    let code = map_sealed(code, bound).map_err(broken)?;
    if code.len() as u64 != bytes || !code.starts_with(&CODE_MAGIC) {
        return Err(ModuleError::Compiler(
            "what it wrote is not native code".to_owned(),
        ));
    }
    Ok(code.to_vec())
}

/// Names of interfaces are printable ASCII; a compiler gone wrong could say anything.
fn names(names: Vec<String>) -> Result<Vec<String>, ModuleError> {
    let sound = |name: &String| {
        name.len() <= MAX_INTERFACE_BYTES && name.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match names.len() <= MAX_INTERFACES && names.iter().all(sound) {
        true => Ok(names),
        false => Err(out_of_order()),
    }
}
