//! Loads native code; the one place outside `sandbox` with `unsafe`.
#![expect(
    unsafe_code,
    reason = "native code is trusted on the word of whoever compiled it"
)]

use wasmtime::Engine;
use wasmtime::component::Component;

/// Makes a component of native code that our own compiler produced.
///
/// The caller vouches for where `code` comes from: the embedder read it from
/// its own program or from a file it checked, and passed it in a sealed memfd
/// before this process had spoken to anybody else.
///
/// # Errors
/// When it was made by another wasmtime, for another configuration, or for
/// processor features this machine lacks.
pub(crate) fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` requires bytes that `Engine::precompile_component`
    // made and nobody altered, since they become machine code. They reach this
    // process only in `ToEngine::Module` messages before `Start`, from the
    // embedder, which is trusted (it could run any code here anyway: it chose
    // our program), in a memfd whose seals forbid any later write. No message
    // accepted after `Start`, and nothing from the network, leads here.
    unsafe { Component::deserialize(engine, code) }
}
