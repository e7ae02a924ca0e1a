//! Loads native code; the one place outside `sandbox` with `unsafe`.
#![expect(
    unsafe_code,
    reason = "native code is trusted on the word of whoever compiled it"
)]

use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use fumehood_sandbox::{MemfdError, SealedCode, map_code, seal_with};
use wasmtime::component::Component;
use wasmtime::{Config, CustomCodeMemory, Engine};

/// Largest native code of a module, in bytes; the largest of ours has 2 MiB.
const MAX_CODE_BYTES: usize = 64 << 20;

/// Most native code that is loaded in an engine's life, in bytes. It stays
/// mapped to the end, since nobody says when the last instance let go of it;
/// an embedder that replaces modules this often starts another engine.
const MAX_CODE_BYTES_IN_ALL: usize = 1 << 30;

/// Why code was not loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// It did not come as it must.
    #[error(transparent)]
    Memory(#[from] MemfdError),
    /// The engine has loaded as much as it may.
    #[error(
        "this engine has loaded {MAX_CODE_BYTES_IN_ALL} bytes of code, which is all it may: start another"
    )]
    Full,
    /// Another wasmtime made it, or for another configuration, or for
    /// processor features this machine lacks, or it is no code at all.
    #[error("its native code is not of this build's making: {0:#}")]
    Foreign(wasmtime::Error),
}

/// Loads modules, before the sandbox closes and after.
///
/// A module's code is never writable here: its text is mapped for execution
/// straight from the sealed memory that the embedder made.
pub(crate) struct CodeLoader {
    engine: Engine,
    mapped: Arc<Mapped>,
}

/// All code that was loaded.
#[derive(Default)]
struct Mapped(Mutex<Vec<SealedCode>>);

impl CodeLoader {
    /// An engine, and the loader for it.
    ///
    /// # Errors
    /// When the instance pool cannot be made.
    pub(crate) fn new(mut config: Config) -> wasmtime::Result<CodeLoader> {
        let mapped = Arc::new(Mapped::default());
        let memory: Arc<dyn CustomCodeMemory> = Arc::clone(&mapped) as _;
        config.with_custom_code_memory(Some(memory));
        Ok(CodeLoader {
            engine: Engine::new(&config)?,
            mapped,
        })
    }

    /// The engine that what is loaded belongs to.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Makes a component of native code that our own compiler produced, and
    /// says how large the code is. The caller vouches for where it comes from. It blocks
    /// as [`seal_with`] does.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub(crate) fn load(&self, code: OwnedFd) -> Result<(Component, u64), LoadError> {
        let code = map_code(code, MAX_CODE_BYTES)?;
        let bytes = NonNull::from(code.bytes());
        self.mapped.keep(code)?;
        // SAFETY: `deserialize_raw` requires bytes that
        // `Engine::precompile_component` made, that nobody alters, and that
        // live as long as the component. They come from the embedder, which is
        // trusted (it could run any code here anyway: it chose our program), in
        // a memfd whose seals forbid any later write; nothing from the network
        // leads here. `keep` has taken the mapping, and gives nothing back.
        let component = unsafe { Component::deserialize_raw(&self.engine, bytes) }
            // Made now, so that the first instance is as quick as the next.
            .and_then(|component| make_images(&component).map(|()| component))
            .map_err(LoadError::Foreign)?;
        Ok((component, bytes.len() as u64))
    }
}

/// Makes what instances' memories begin as: it is sealed too, and the kernel may be
/// busy with its pages.
fn make_images(component: &Component) -> wasmtime::Result<()> {
    seal_with(|| component.initialize_copy_on_write_image(), is_busy)
}

fn is_busy(error: &wasmtime::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|it| it.downcast_ref::<io::Error>());
    causes.any(|it| it.kind() == io::ErrorKind::ResourceBusy)
}

impl Mapped {
    fn keep(&self, code: SealedCode) -> Result<(), LoadError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sum: usize = all.iter().map(|code| code.bytes().len()).sum();
        if sum + code.bytes().len() > MAX_CODE_BYTES_IN_ALL {
            return Err(LoadError::Full);
        }
        all.push(code);
        Ok(())
    }
}

impl CustomCodeMemory for Mapped {
    fn required_alignment(&self) -> usize {
        rustix::param::page_size()
    }

    fn publish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (code, offset) = all
            .iter()
            .find_map(|code| {
                let offset = start.addr().checked_sub(code.bytes().as_ptr().addr())?;
                (offset < code.bytes().len()).then_some((code, offset))
            })
            .ok_or_else(|| wasmtime::Error::msg("code that this engine did not map"))?;
        let pages = length.next_multiple_of(self.required_alignment());
        Ok(code.make_executable(offset, pages)?)
    }

    /// The text stays as it is: mapped from sealed memory, it cannot change.
    fn unpublish_executable(&self, _: *const u8, _: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}
