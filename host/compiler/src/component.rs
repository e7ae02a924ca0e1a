//! Components: wrapping a core module, listing imports, making native code.

use wasmtime::Engine;
use wasmtime::component::Component;
use wit_component::ComponentEncoder;

/// What byte 4 of a binary is in a component (a core module has 1 there).
const COMPONENT_LAYER: u8 = 0x0d;

/// Why a guest did not become native code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("not a component and not a module with its world inside: {0}")]
    Wrap(String),
    #[error("wasmtime refuses it: {0}")]
    Compile(String),
}

/// The component around a core module; a component is returned as it is.
pub(crate) fn wrap(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    if bytes.get(4) == Some(&COMPONENT_LAYER) {
        return Ok(bytes.to_vec());
    }
    ComponentEncoder::default()
        .validate(true)
        .module(bytes)
        .and_then(ComponentEncoder::encode)
        .map_err(|error| Error::Wrap(format!("{error:#}")))
}

/// Native code for [`fumehood_wasm::CODE_TARGET`].
pub(crate) fn precompile(component: &[u8]) -> Result<Vec<u8>, Error> {
    let mut config = fumehood_wasm::code_config();
    config
        .target(fumehood_wasm::CODE_TARGET)
        .and_then(|config| Engine::new(config))
        .and_then(|engine| engine.precompile_component(component))
        .map_err(|error| Error::Compile(format!("{error:#}")))
}

/// The interfaces and functions a component imports, sorted.
pub(crate) fn imports(component: &[u8]) -> Result<Vec<String>, Error> {
    let engine = Engine::new(&fumehood_wasm::code_config())
        .map_err(|error| Error::Compile(format!("{error:#}")))?;
    let component =
        Component::new(&engine, component).map_err(|error| Error::Compile(format!("{error:#}")))?;
    let ty = component.component_type();
    let mut names: Vec<String> = ty
        .imports(&engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    names.sort();
    Ok(names)
}
